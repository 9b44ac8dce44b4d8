"""What a pipeline can say against itself without seeing an image: mistakes people really make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from normviz.errors import ParameterError
from normviz.pipeline.base import BYTES, Kind, Step
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.pipeline import Pipeline
from normviz.pipeline.values import ChannelOrder, MeanStd, Scale
from normviz.presets import PRESETS

# A span that only fractions and −1…1 have, one that only 8-bit numbers and wider ones have, and a
# factor that only a rescaling of those has.
_UNIT_SPAN, _BYTE_SPAN, _RESCALING = 2.5, 100.0, 1 / 50


def remarks(pipeline: Pipeline, kind: Kind = BYTES) -> tuple[str, ...]:
    """Return one sentence for each thing that is probably a mistake, in the order of the steps.

    ``kind`` is what arrives: 8-bit images unless said otherwise.

    >>> from normviz.pipeline import STEPS
    >>> twice = Pipeline([STEPS["scale"](1 / 255), STEPS["scale"](1 / 255)])
    >>> print(*remarks(twice))
    Step 2 “÷ 255” is given 0…1, not 0…255: step 1 “÷ 255” rescaled already, and what comes out is \
0…0.00392157.
    """
    try:
        kinds = pipeline.kinds(kind)
        refused = []
    except ParameterError as error:
        # Up to the step that cannot work everything else can still be said.
        kinds, refused = _as_far_as_it_goes(pipeline, kind), [str(error)]
    return (*_found(pipeline.steps[: len(kinds) - 1], kinds), *refused)


def _as_far_as_it_goes(pipeline: Pipeline, kind: Kind) -> list[Kind]:
    for number in range(len(pipeline.steps), -1, -1):
        try:
            return Pipeline(pipeline.steps[:number]).kinds(kind)
        except ParameterError:
            continue
    return [kind]


@dataclass
class _Seen:
    """What has been done so far, each as the number and words of the step that did it."""

    rescaled: str = ""
    normalized: str = ""
    turned: str = ""
    measured: str = ""
    at_positions: bool = False
    """Whether what was measured first is a number at each position, which a crop cuts along."""
    measured_told: bool = False
    smallest: int | None = None
    """Pixels that both sides have at least, once a resize has set them."""


def _found(steps: Sequence[Step], kinds: Sequence[Kind]) -> Iterator[str]:
    seen = _Seen()
    for number, (step, before, after) in enumerate(zip(steps, kinds, kinds[1:], strict=False), 1):
        name = f"step {number} “{step.words()}”"
        if isinstance(step, Scale):
            yield from _scaled(step, name, before, after, seen)
        elif isinstance(step, MeanStd):
            yield from _mean_and_std(step, name, before, seen)
        elif isinstance(step, ChannelOrder):
            if seen.turned:
                yield f"{_capital(name)} turns back the channels that {seen.turned} has turned."
            seen.turned = "" if seen.turned else name
        elif isinstance(step, (Resize, CentreCrop)):
            yield from _size_changed(step, name, before, seen)
        elif isinstance(step, Normalize):
            yield from _method(step, name, before, after, seen)


def _scaled(step: Scale, name: str, before: Kind, after: Kind, seen: _Seen) -> Iterator[str]:
    span = before.value_range
    if abs(step.factor) <= _RESCALING:
        if span is not None and span.span <= _UNIT_SPAN:
            why = (
                f"{seen.rescaled} rescaled already"
                if seen.rescaled
                else "they are fractions already"
            )
            out = _shown(after)
            yield (
                f"{_capital(name)} is given {_shown(before)}, not 0…255: {why}, and what comes out "
                f"is {out}."
            )
        elif span is None and seen.normalized:
            yield (
                f"{_capital(name)} rescales what {seen.normalized} has normalized already: the "
                f"values are divided by {abs(1 / step.factor):g} once more."
            )
        seen.rescaled = seen.rescaled or name


def _mean_and_std(step: MeanStd, name: str, before: Kind, seen: _Seen) -> Iterator[str]:
    mean, std = np.array(step.mean), np.array(step.std)
    high = float(np.abs(mean).max())
    span = before.value_range
    if span is not None and span.span >= _BYTE_SPAN and 0 < high <= 1 and std.max() <= 1:
        yield (
            f"{_capital(name)} has numbers for fractions 0…1, and values of {_shown(before)} "
            f"arrive: white becomes {(span.high - mean[0]) / std[0]:.4g}. Scale by 1/{span.high:g} "
            "before it."
        )
    if span is not None and span.span <= _UNIT_SPAN and high > _UNIT_SPAN:
        yield (
            f"{_capital(name)} has numbers for 0…255, and values of {_shown(before)} arrive: the "
            "picture all but vanishes in the subtraction. Leave the scaling out, or divide mean "
            "and std by 255."
        )
    if seen.normalized:
        yield f"{_capital(name)} normalizes what {seen.normalized} has normalized already."
    yield from _order(step, name, bool(seen.turned))
    seen.normalized = seen.normalized or name


def _order(step: MeanStd, name: str, turned: bool) -> Iterator[str]:
    """Compare with published colours, which tell RGB from BGR."""
    if len(step.mean) != 3:
        return
    fractions = np.array(step.mean) / (255 if max(step.mean) > _UNIT_SPAN else 1)
    off = {
        preset.title: np.abs(fractions - (colour if turned else colour[::-1])).max()
        for preset in PRESETS.values()
        if not preset.folklore
        and len(colour := preset.fraction_mean) == 3
        and np.ptp(colour) >= 0.01
    }
    nearest = min(off, key=lambda title: off[title])
    if off[nearest] < 2e-3:
        has, gets = ("RGB", "BGR") if turned else ("BGR", "RGB")
        yield (
            f"{_capital(name)} has the mean of {nearest} in {has} order, and {gets} arrives: red "
            f"and blue are mixed up. {'Leave' if turned else 'Put'} RGB ↔ BGR "
            f"{'out' if turned else 'before it'}, or reverse its numbers."
        )


def _size_changed(step: Resize | CentreCrop, name: str, before: Kind, seen: _Seen) -> Iterator[str]:
    cuts_along = seen.at_positions and isinstance(step, CentreCrop)
    if seen.measured and not seen.measured_told and not cuts_along:
        seen.measured_told = True
        yield (
            f"{_capital(name)} comes after {seen.measured}, whose numbers are of the whole "
            "picture at the size it had there; what the network sees has another mean and std."
        )
    elif seen.normalized and not seen.measured and isinstance(step, Resize):
        yield (
            f"{_capital(name)} resizes what {seen.normalized} has normalized; published models "
            "resize the 8-bit picture, which rounds to whole levels (and clips bicubic)."
        )
    if isinstance(step, Resize):
        known = step.side in ("shorter", "both")
        seen.smallest = min(step.size, step.width or step.size) if known else None
        return
    largest = max(step.size, step.width or step.size)
    if seen.smallest is not None and largest > seen.smallest:
        black = before.value_range is not None and before.value_range.low == 0
        yield (
            f"{_capital(name)} is larger than the {seen.smallest} pixels that are there: the rest "
            f"is filled with zeros, which {'is' if black else 'is not'} black at this step."
        )
    seen.smallest = min(step.size, step.width or step.size)


def _method(step: Normalize, name: str, before: Kind, after: Kind, seen: _Seen) -> Iterator[str]:
    about = step.method.about
    if step.method.key == "published" and seen.turned:
        yield (
            f"{_capital(name)} takes RGB, and {seen.turned} has turned the channels: red and blue "
            "are mixed up. Turn them after it."
        )
    if about.scope == "fixed" and after.value_range is not None:
        if before.value_range is not None and before.value_range.span >= _BYTE_SPAN:
            seen.rescaled = seen.rescaled or name
        return
    if seen.normalized:
        yield f"{_capital(name)} normalizes what {seen.normalized} has normalized already."
    seen.normalized = seen.normalized or name
    if about.scope != "fixed" and not seen.measured:
        seen.measured = name
        seen.at_positions = about.reduces == ("N",)


def _shown(kind: Kind) -> str:
    span = kind.value_range
    return "values without a range" if span is None else f"{span.low:g}…{span.high:g}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
