"""What a method does not see, tried on one image: change the input, measure the output's change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from normviz.images import Image
from normviz.methods.base import Fitted

# An output that moves by less than this share of its own range has not seen the change: rounding
# of float32 pixels moves it by less than a tenth of that.
UNSEEN = 1e-4

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

    @property
    def seen(self) -> bool:
        return self.change > UNSEEN

    @property
    def kept(self) -> bool:
        """Whether a promise, if there is one, holds on this image."""
        return not (self.promised and self.seen)

    @property
    def said(self) -> str:
        """What became of the output, in a few words.

        >>> [Tried("gain", "", *found).said for found in ((True, 0), (False, 0), (True, 0.2658))]
        ['nothing, as promised', 'nothing here', '27 %, against the promise']
        >>> Tried("gain", "", False, 1.3).said, Tried("gain", "", False, 0.0123).said
        ('130 %', '1.2 %')
        """
        if not self.seen:
            return "nothing, as promised" if self.promised else "nothing here"
        share = 100 * self.change
        moved = f"{share:.2g} %" if share < 9.95 else f"{share:.0f} %"
        return moved if self.kept else f"{moved}, against the promise"


def tried_changes(fitted: Fitted, image: Image) -> list[Tried]:
    """Try each change that fits the image's channels; computed by the definition in float64.

    The image is taken at half its brightness, as floats, so that no change leaves 0…1.

    >>> from normviz.images import image_of
    >>> from normviz.methods import METHODS
    >>> ramp = image_of(np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4))
    >>> [(t.name, t.seen) for t in tried_changes(METHODS["image_mean"]().fit(), ramp)]
    [('gain', True), ('offset', False), ('curve', True)]
    """
    u = 0.5 * (image.pixels.astype(np.float64) - image.value_range.low) / image.value_range.span
    base = fitted.reference(u)
    reach = float(base.max() - base.min()) or 1.0
    promises = fitted.method.about.invariances
    found = []
    for name, (words, change) in CHANGES.items():
        # One channel has no colour: the three changes of it are those of gain and offset.
        if image.channels == 1 and ("channel" in name or name == "colour_cast"):
            continue
        done = fitted.reference(change(u))
        if name == "colour_cast" and (power := float((done**2).sum())):
            done = done * (float((base * done).sum()) / power)
        moved = float(np.abs(done - base).max()) / reach
        # Who does not see a gain of each channel does not see a cast, either.
        promised = name in promises or (name == "colour_cast" and "channel_gain" in promises)
        found.append(Tried(name, words, promised, moved))
    return found
