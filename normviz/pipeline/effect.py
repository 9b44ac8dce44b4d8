"""What the order of steps does to the statistics of a set: mean and std after each step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np

from normviz.errors import NotFittedError, ParameterError
from normviz.images import UNIT_RANGE, Image, ValueRange, image_of
from normviz.pipeline.base import BYTES, FLOAT, Kind
from normviz.pipeline.pipeline import Arriving, FittedPipeline, Pipeline, Stage
from normviz.statistics.counts import Counts

# Some tens of megabytes at a time, however large the image.
_VALUES_A_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Spread:
    """Count, mean and Σ(x − mean)² a channel, and the extremes: mergeable, in float64."""

    count: int
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray) -> Spread:
        """Summarize float pixels ``(H, W, C)`` block by block."""
        rows = max(1, _VALUES_A_BLOCK // (pixels.shape[1] * pixels.shape[2]))
        blocks = (pixels[top : top + rows] for top in range(0, len(pixels), rows))
        return reduce(cls.merge, map(cls._of_block, blocks))

    @classmethod
    def _of_block(cls, pixels: np.ndarray) -> Spread:
        flat = pixels.reshape(-1, pixels.shape[-1]).astype(np.float64)
        mean = flat.mean(axis=0)
        squares = ((flat - mean) ** 2).sum(axis=0)
        return cls(len(flat), mean, squares, flat.min(axis=0), flat.max(axis=0))

    @classmethod
    def counted(cls, counts: Counts) -> Spread:
        """Exact but for one rounding, from a table of levels."""
        n = counts.count
        return cls(n, counts.mean, counts.variance * n, counts.low, counts.high)

    def merge(self, other: Spread) -> Spread:
        """The update of Chan, Golub and LeVeque (1983)."""
        n = self.count + other.count
        step = other.mean - self.mean
        return Spread(
            n,
            self.mean + step * (other.count / n),
            self.squares + other.squares + step**2 * (self.count * other.count / n),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def as_fractions(self, span: ValueRange) -> Spread:
        ends = ((end - span.low) / span.span for end in (self.mean, self.low, self.high))
        mean, low, high = ends
        return Spread(self.count, mean, self.squares / span.span**2, low, high)

    def in_channels(self, channels: int) -> Spread:
        """A grey image stands for each of three channels."""
        parts = (self.mean, self.squares, self.low, self.high)
        return Spread(self.count, *(np.repeat(one, channels // len(one)) for one in parts))


@dataclass(frozen=True, eq=False)
class StepStatistics:
    """A set after one step: every pixel of every image weighted alike.

    Mean and std are in the unit of the values there, which steps change; ``fraction_mean`` and
    ``fraction_std`` can be compared wherever there is a value range.
    """

    after: str
    """The step in words, "as read" before the first one."""
    images: int
    pixels: int
    mean: np.ndarray
    std: np.ndarray
    """Pooled population std per channel."""
    low: np.ndarray
    high: np.ndarray
    value_range: ValueRange | None
    exact: bool
    """Whether the values are integers of one kind, so that nothing but the last digit is rounded;
    otherwise float64 moments."""

    @property
    def fraction_mean(self) -> np.ndarray:
        span = self._ranged()
        return (self.mean - span.low) / span.span

    @property
    def fraction_std(self) -> np.ndarray:
        return self.std / self._ranged().span

    def _ranged(self) -> ValueRange:
        if self.value_range is None:
            raise ParameterError(
                f"after “{self.after}” the values have no range to be fractions of."
            )
        return self.value_range


def statistics_along(
    pipeline: Pipeline | FittedPipeline, images: Iterable[Image]
) -> tuple[StepStatistics, ...]:
    """Return the statistics of ``images`` as read and after each step, from one pass.

    A pipeline that is not fitted is fitted on these images first. Grey images in a set with
    colour ones count for R, G and B alike; sets that mix value ranges are given as fractions.

    >>> from normviz.pipeline import STEPS
    >>> stripes = image_of(np.array([[0, 200] * 4] * 2, np.uint8))
    >>> along = statistics_along(Pipeline([STEPS["resize"](1, interpolation="area")]), [stripes])
    >>> [(one.after, float(one.mean[0]), float(one.std[0])) for one in along]
    [('as read', 100.0, 100.0), ('resize 1 (shorter side, area average, Pillow)', 100.0, 0.0)]
    """
    fitted = pipeline.fit(images) if isinstance(pipeline, Pipeline) else pipeline
    collected = [_Collected() for _ in range(len(fitted.pipeline.steps) + 1)]
    for image in images:
        for one, stage in zip(collected, fitted.stages(image), strict=True):
            one.add(stage)
    names = ["as read", *(step.words() for step in fitted.pipeline.steps)]
    return tuple(one.statistics(name) for one, name in zip(collected, names, strict=True))


class _Collected:
    """The parts of one stage, kept apart by channels, type and value range."""

    def __init__(self) -> None:
        self.images = 0
        self.parts: dict[tuple[int, np.dtype, ValueRange | None], Counts | Spread] = {}

    def add(self, stage: Stage) -> None:
        pixels = stage.pixels
        whole = np.issubdtype(pixels.dtype, np.integer)
        part: Counts | Spread = (
            Counts.of(np.ascontiguousarray(pixels)) if whole else Spread.of(pixels)
        )
        key = pixels.shape[2], pixels.dtype, stage.value_range
        before = self.parts.get(key)
        self.parts[key] = part if before is None else before.merge(part)  # type: ignore[arg-type]
        self.images += 1

    def statistics(self, after: str) -> StepStatistics:
        if not self.parts:
            raise NotFittedError("no image could be read, so there are no statistics to use.")
        channels = max(key[0] for key in self.parts)
        ranges = {key[2] for key in self.parts}
        mixed = len(ranges) > 1 and None not in ranges
        parts = []
        for (_, _, span), part in self.parts.items():
            one = Spread.counted(part) if isinstance(part, Counts) else part
            one = one.in_channels(channels)
            parts.append(one.as_fractions(span) if mixed and span is not None else one)
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.merge(part)
        span = UNIT_RANGE if mixed else ranges.pop() if len(ranges) == 1 else None
        return StepStatistics(
            after=after,
            images=self.images,
            pixels=whole.count,
            mean=whole.mean,
            std=np.sqrt(whole.squares / whole.count),
            low=whole.low,
            high=whole.high,
            value_range=span,
            exact=len(self.parts) == 1 and isinstance(next(iter(self.parts.values())), Counts),
        )


@dataclass(frozen=True, eq=False)
class OrderEffect:
    """Two pipelines on the same images: their statistics, and how far their results differ."""

    first: tuple[StepStatistics, ...]
    second: tuple[StepStatistics, ...]
    largest: float | None
    """The largest difference of a value between the two results; None for other sizes."""
    average: float | None
    """The mean size of that difference over all values."""

    @property
    def std_ratio(self) -> np.ndarray:
        """The first result's std in the second one's, per channel."""
        return self.first[-1].std / self.second[-1].std

    @cached_property
    def sentence(self) -> str:
        """What the order does, read from the numbers."""
        ends = [
            f"mean {_listed(one[-1].mean)} and std {_listed(one[-1].std)}"
            for one in (self.first, self.second)
        ]
        said = f"The first order ends with {ends[0]}, the second with {ends[1]}"
        if self.largest is None or self.average is None:
            return f"{said}; their results have other sizes."
        if self.largest == 0:
            return f"{said}; their results are the same."
        return (
            f"{said}; their results differ by {self.average:.3g} on average and "
            f"{self.largest:.3g} at most."
        )


def order_effect(
    images: Sequence[Image], first: Pipeline | FittedPipeline, second: Pipeline | FittedPipeline
) -> OrderEffect:
    """Return what two pipelines, such as two orders of the same steps, make of the same images.

    The pair ``MEASURED_AT_FULL_SIZE`` and ``MEASURED_AFTER_RESIZE`` of ``normviz.pipeline.known``
    is a common one. Resizing averages neighbours, which lowers the std; it makes large and small
    images weigh alike; and the crop drops the margins. Of the eighteen bundled photos the std of
    R, G, B is 78.93, 69.78, 67.88 levels at full size, 75.98, 69.39, 68.07 after resize 256 and
    76.73, 69.57, 68.31 after crop 224: measured at full size, the numbers leave the network a red
    std of 0.97 instead of 1 and a green mean of 0.09 instead of 0. At 32 pixels it is 73.08,
    66.47, 64.91, but 76.06, 69.49, 68.09 without antialiasing.
    """
    fits = [one.fit(images) if isinstance(one, Pipeline) else one for one in (first, second)]
    before, after = (statistics_along(one, images) for one in fits)
    largest, total, count = 0.0, 0.0, 0
    for image in images:
        a, b = (one(image) for one in fits)
        if a.shape != b.shape:
            return OrderEffect(before, after, None, None)
        difference = np.abs(a.astype(np.float64) - b)
        largest = max(largest, float(difference.max()))
        total, count = total + float(difference.sum()), count + difference.size
    return OrderEffect(before, after, largest, total / count)


def arriving(fitted: FittedPipeline, images: Iterable[Image]) -> Sequence[Image]:
    """Return ``images`` as they are after the pipeline, each with a value range, to be scanned.

    Where the values have none after the last step, all are read once before, and the range that
    occurs is declared.
    """
    steps = fitted.pipeline
    try:
        ends = [steps.kinds(kind)[-1] for kind in (BYTES, Kind(FLOAT, UNIT_RANGE))]
    except ParameterError:
        ends = []
    if ends and all(kind.value_range is not None for kind in ends):
        return Arriving(images, fitted)
    declared = Arriving(images, fitted)
    lows, highs, endless = [], [], False
    for image in images:
        *_, last = fitted.stages(image)
        endless = endless or last.value_range is None
        lows.append(float(last.pixels.min()))
        highs.append(float(last.pixels.max()))
    if not endless:
        return declared
    low, high = min(lows), max(highs)
    # A set of one value still needs a range with two ends.
    return _Occurring(images, fitted, ValueRange(low, high if high > low else low + 1))


class _Occurring(Arriving):
    def __init__(self, images: Iterable[Image], fitted: FittedPipeline, occurs: ValueRange) -> None:
        super().__init__(images, fitted)
        self.occurs = occurs

    def _through(self, image: Image) -> Image:
        done = image_of(self.fitted(image), self.occurs)
        return replace(done, path=image.path, label=image.label, notes=image.notes)


def _listed(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{round(float(value), 4) + 0.0:.4g}" for value in values) + ")"
