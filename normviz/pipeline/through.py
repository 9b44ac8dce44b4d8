"""A fitted pipeline as the transform of a scan, which goes to other processes with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, NamedTuple

from normviz.errors import NormvizError, ParameterError
from normviz.images import UNIT_RANGE, Image, ValueRange, image_of
from normviz.pipeline.base import BYTES, FLOAT, Kind, Step
from normviz.pipeline.pipeline import Arriving, FittedPipeline
from normviz.read import Part, Problem
from normviz.statistics.engines import Engine


@dataclass(frozen=True, eq=False, repr=False)
class Through:
    """Call it on an image to have it as it is after the pipeline, with a value range.

    ``occurs``: the range to declare where the values have none after the last step.
    ``wants``: the step that they are for, which is named when they have none.
    """

    fitted: FittedPipeline
    occurs: ValueRange | None = None
    wants: Step | None = None

    def __call__(self, image: Image) -> Image:
        if self.occurs is None:
            return Arriving([image], self.fitted, self.wants)[0]
        done = image_of(self.fitted(image), self.occurs)
        return replace(done, path=image.path, label=image.label, notes=image.notes)

    def __repr__(self) -> str:
        # The same for the same pipeline: a checkpoint tells by it whether it is of this scan.
        digest = blake2b(self.fitted.to_json().encode(), digest_size=16).hexdigest()
        return f"Through({digest}, {self.occurs})"


def through(fitted: FittedPipeline, parts: Iterable[Part], engine: Engine) -> Through:
    """Return the transform that makes images ready to be measured after the pipeline.

    Where the values have no range after the last step, all are read once before, and the range
    that occurs is declared.
    """
    try:
        ends = [fitted.pipeline.kinds(kind)[-1] for kind in (BYTES, Kind(FLOAT, UNIT_RANGE))]
    except ParameterError:
        ends = []
    if ends and all(kind.value_range is not None for kind in ends):
        return Through(fitted)
    task = _Extremes(fitted)
    found = task.joined([one for _, one in engine.results(task, iter(parts))])
    if not found.endless:
        return Through(fitted)
    # A set of one value still needs a range with two ends.
    high = found.high if found.high > found.low else found.low + 1
    return Through(fitted, ValueRange(found.low, high))


class _Found(NamedTuple):
    low: float
    high: float
    endless: bool
    """Whether some image has no value range."""


_NOTHING = _Found(float("inf"), float("-inf"), False)


@dataclass(frozen=True)
class _Extremes:
    """The smallest and largest value of each part after a pipeline."""

    fitted: FittedPipeline
    together: int = 16

    def __call__(self, part: Part) -> _Found:
        total = _NOTHING
        for _, item in part.images():
            if isinstance(item, Problem):
                continue
            try:
                *_, last = self.fitted.stages(item)
            except NormvizError:
                continue
            ends = float(last.pixels.min()), float(last.pixels.max())
            total = self.joined([total, _Found(*ends, last.value_range is None)])
        return total

    def lost(self, part: Part) -> _Found:
        return _NOTHING

    def halves(self, part: Part) -> Sequence[Part]:
        return part.halves()

    def whole(self, results: Sequence[Any]) -> _Found:
        return self.joined(results)

    def joined(self, results: Sequence[Any]) -> _Found:
        return _Found(
            min((one.low for one in results), default=_NOTHING.low),
            max((one.high for one in results), default=_NOTHING.high),
            any(one.endless for one in results),
        )
