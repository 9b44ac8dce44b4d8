"""What a method does not see: change its input, measure the change of its output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from normviz.images import Image
from normviz.methods.base import Fitted
from normviz.methods.features import AXES, FeatureNorm

# An output that moves by less than this share of its own range has not seen the change: rounding
# of float32 pixels moves it by less than a tenth of that.
UNSEEN = 1e-4

# So many times as bright, an input is as far above every ε and floor as if there were none.
_BRIGHT = 1e6

_CAST = np.array([1.0, 0.8, 0.6])
_STEPS = np.array([0.0, 0.05, 0.1])

# Each keeps fractions within 0…1; they start from half the image, so that there is room for it.
CHANGES: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "gain": ("light: × 0.5", lambda u: 0.5 * u),
    "offset": ("a veil: + 0.2", lambda u: u + 0.2),
    "channel_gain": ("channels × 1, 0.8, 0.6", lambda u: u * _CAST[: u.shape[2]]),
    "channel_offset": ("channels + 0, 0.05, 0.1", lambda u: u + _STEPS[: u.shape[2]]),
    "colour_cast": ("warmer light, up to brightness", lambda u: u * _CAST),
    "curve": ("camera curve: power 0.6", lambda u: u**0.6),
}


@dataclass(frozen=True)
class Tried:
    """One change of the input, and what became of the output."""

    name: str
    words: str
    promised: bool
    change: float
    """Largest change of the output, as a share of its range before (of 1 where that is 0)."""
    limit: str = ""
    """What alone makes a promised change seen, "ε" or "the floor": without it the promise holds."""

    @property
    def seen(self) -> bool:
        return self.change > UNSEEN

    @property
    def kept(self) -> bool:
        """Whether a promise, if there is one, holds on this image, but for ε or a floor."""
        return not (self.promised and self.seen) or bool(self.limit)

    @property
    def said(self) -> str:
        """What became of the output, in a few words.

        >>> [Tried("gain", "", *found).said for found in ((True, 0), (False, 0), (True, 0.2658))]
        ['nothing, as promised', 'nothing here', '27 %, against the promise']
        >>> Tried("gain", "", False, 1.3).said, Tried("gain", "", False, 0.0123).said
        ('130 %', '1.2 %')
        >>> Tried("gain", "", True, 0.0025, "ε").said
        '0.25 %, by ε alone'
        """
        if not self.seen:
            return "nothing, as promised" if self.promised else "nothing here"
        share = 100 * self.change
        moved = f"{share:.2g} %" if share < 9.95 else f"{share:.0f} %"
        if self.limit:
            return f"{moved}, by {self.limit} alone"
        return moved if self.kept else f"{moved}, against the promise"


def tried_changes(fitted: Fitted, image: Image) -> list[Tried]:
    """Try each change that fits the image's channels; computed by the definition in float64.

    The image is taken at half its brightness, as floats, so that no change leaves 0…1. Where a
    promise seems broken, the change is tried again so bright that a floor is nothing beside the
    image: if it is not seen there, the floor alone made it.

    >>> from normviz.images import image_of
    >>> from normviz.methods import METHODS
    >>> ramp = image_of(np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4))
    >>> [(t.name, t.seen) for t in tried_changes(METHODS["image_mean"]().fit(), ramp)]
    [('gain', True), ('offset', False), ('curve', True)]
    """
    u = 0.5 * (image.pixels.astype(np.float64) - image.value_range.low) / image.value_range.span
    base = fitted.reference(u)

    def bright(x: np.ndarray) -> np.ndarray:
        # The definition itself: such fractions leave every value range.
        return fitted.method.definition(_BRIGHT * x, fitted.constants)

    promises = fitted.method.about.invariances
    has_floor = bool(fitted.method.about.floor)
    found = []
    for name, (words, change) in CHANGES.items():
        # One channel has no colour: the three changes of it are those of gain and offset.
        if image.channels == 1 and ("channel" in name or name == "colour_cast"):
            continue
        # Who does not see a gain of each channel does not see a cast, either.
        promised = name in promises or (name == "colour_cast" and "channel_gain" in promises)
        one = Tried(name, words, promised, _moved(name, base, fitted.reference(change(u))))
        if has_floor and not one.kept and _moved(name, bright(u), bright(change(u))) <= UNSEEN:
            one = replace(one, limit="the floor")
        found.append(one)
    return found


def _moved(name: str, base: np.ndarray, done: np.ndarray) -> float:
    """How far the change of this name moved an output; what is common to a cast is no move."""
    if name == "colour_cast" and (power := float((done**2).sum())):
        done = done * (float((base * done).sum()) / power)
    return _apart(base, done)


def _apart(base: np.ndarray, done: np.ndarray) -> float:
    """The largest change, as a share of the range of ``base``, or of 1 where it has none."""
    return float(np.abs(done - base).max()) / (float(base.max() - base.min()) or 1.0)


def tried_on_maps(
    norm: FeatureNorm,
    maps: np.ndarray,
    apply: Callable[[FeatureNorm, np.ndarray], np.ndarray] | None = None,
) -> list[Tried]:
    """Try gains and offsets along each axis of feature maps ``(N, H, W, C)``, in float64.

    Gains go evenly from 0.5 to 1, offsets from 0.2 to 1 std of all the maps. ``apply`` calls the
    norm where that needs more than the maps. Where a promise seems broken, the change is tried
    again on maps so large that ε is nothing beside them: if it is not seen there, ε alone made it.

    >>> from normviz.methods import FEATURE_NORMS
    >>> maps = np.random.default_rng(0).normal(size=(2, 4, 4, 8))
    >>> tried = tried_on_maps(FEATURE_NORMS["instance_norm"](epsilon=1e-12), maps)
    >>> [t.name for t in tried if t.seen]
    ['position_gain', 'position_offset']
    >>> faint = tried_on_maps(FEATURE_NORMS["instance_norm"](), 0.03 * maps)
    >>> [t.said for t in faint if t.name == "common_gain"]
    ['1.2 %, by ε alone']
    """

    def of(x: np.ndarray) -> np.ndarray:
        return norm(x) if apply is None else apply(norm, x)

    base, std = of(maps), float(maps.std()) or 1.0
    found = []
    for name, each, axes in _along(norm):
        shape = [n if axis in axes else 1 for n, axis in zip(maps.shape, AXES, strict=True)]
        steps = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
        if name == "group":
            groups = norm.groups  # type: ignore[attr-defined]
            steps = np.repeat(np.linspace(0, 1, groups), maps.shape[3] // groups)
        for kind, along in (("gain", norm.gain_along), ("offset", norm.offset_along)):
            gain = kind == "gain"
            changed = maps * (0.5 + 0.5 * steps) if gain else maps + std * (0.2 + 0.8 * steps)
            words = ("× 0.5" if gain else "+ 0.2 stds") if not axes else ""
            words = words or ("× 0.5 to 1" if gain else "+ 0.2 to 1 std")
            own = set(axes) if name != "group" else set()
            promised = along is not None and own <= set(along)
            one = Tried(f"{name}_{kind}", f"{each} {words}", promised, _apart(base, of(changed)))
            if not one.kept and _apart(of(_BRIGHT * maps), of(_BRIGHT * changed)) <= UNSEEN:
                one = replace(one, limit="ε")
            found.append(one)
    return found


def _along(norm: FeatureNorm) -> list[tuple[str, str, tuple[str, ...]]]:
    """A name, words, and the axes along which a change differs."""
    kinds: list[tuple[str, str, tuple[str, ...]]] = [
        ("common", "every value", ()),
        ("channel", "each channel", ("C",)),
        ("image", "each image", ("N",)),
        ("position", "each position", ("H", "W")),
    ]
    if norm.in_groups:
        kinds.insert(1, ("group", "each group of channels", ("C",)))
    return kinds
