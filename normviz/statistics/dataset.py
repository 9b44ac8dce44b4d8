"""The statistics of a set of images, in one pass, mergeable: what dataset-scope methods fit on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from normviz.errors import NotFittedError, ShapeError
from normviz.images import UNIT_RANGE, Image, ValueRange, resized
from normviz.statistics.counts import Counts
from normviz.statistics.image import summary_of
from normviz.statistics.moments import Moments

PERCENTILES = (0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9)

# The mean image is summed in integers, so that it does not depend on the order of the images;
# 16 bits keep its rounding (1/131,070 of the range) below what a picture can show.
_PIXEL_STEPS = 65535


@dataclass(frozen=True)
class Row:
    """One image's line: what the numbers *between* images are made from (fractions of range)."""

    path: str
    label: str | None
    height: int
    width: int
    value_range: ValueRange
    mean: tuple[float, ...]
    variance: tuple[float, ...]

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def spread(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance in ``channels`` channels: a grey image stands for all of them."""
        repeat = channels // len(self.mean)
        return np.array(self.mean * repeat), np.array(self.variance * repeat)


@dataclass(frozen=True)
class Stds:
    """The three "dataset stds" in circulation, per channel; each is at most the next one's size.

    ``mean_of_images`` ≤ ``rms_of_images`` ≤ ``pooled`` (for images of one size).
    """

    pooled: np.ndarray
    rms_of_images: np.ndarray
    mean_of_images: np.ndarray


@dataclass(frozen=True)
class VarianceSplit:
    """Law of total variance, pixels weighted alike: pooled variance = within + between images."""

    within: np.ndarray
    between: np.ndarray


@dataclass(frozen=True, eq=False)
class PixelSums:
    """Σx and Σx² at each position of images squeezed to ``side × side``, in 65,535 steps."""

    count: int
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, image: Image, side: int) -> PixelSums:
        low, span = image.value_range.low, image.value_range.span
        small = resized(image.pixels.astype(np.float32, copy=False), side, side)
        fraction = (small.astype(np.float64) - low) / span
        steps = np.rint(fraction * _PIXEL_STEPS).astype(np.int64)
        return cls(1, steps, steps**2)

    def merge(self, other: PixelSums) -> PixelSums:
        return PixelSums(
            self.count + other.count, self.sums + other.sums, self.squares + other.squares
        )

    def in_channels(self, channels: int) -> PixelSums:
        repeat = channels // self.sums.shape[2]
        if repeat == 1:
            return self
        return PixelSums(
            self.count, np.repeat(self.sums, repeat, 2), np.repeat(self.squares, repeat, 2)
        )


_Key = tuple[int, int, ValueRange]


@dataclass(frozen=True, eq=False)
class DatasetStatistics:
    """Everything dataset-scope methods need, from one pass over a set of images.

    A commutative monoid: ``empty()``, ``of(image)``, ``merge``. Values are in units of
    ``value_range``: that of the images when they all share one, else fractions 0…1. Grey images
    in a set with colour ones count for R, G and B alike.

    Exact for integer pixels of one depth (Python integers, rounded once); otherwise from one
    float64 row an image, added with ``math.fsum``, so that the order does not matter either.
    """

    parts: Mapping[_Key, Counts | Moments] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    unreadable: int = 0
    side: int | None = None
    pixel_sums: Mapping[int, PixelSums] = field(default_factory=dict)

    @classmethod
    def empty(cls, mean_image: int | None = None) -> DatasetStatistics:
        return cls(side=mean_image)

    @classmethod
    def of(cls, image: Image, mean_image: int | None = None) -> DatasetStatistics:
        summary = summary_of(image.pixels, image.value_range)
        low, span = image.value_range.low, image.value_range.span
        row = Row(
            path=image.path,
            label=image.label,
            height=image.height,
            width=image.width,
            value_range=image.value_range,
            mean=tuple(float(m) for m in (summary.mean - low) / span),
            variance=tuple(float(v) for v in summary.variance / span**2),
        )
        sums = {image.channels: PixelSums.of(image, mean_image)} if mean_image else {}
        key = (image.channels, image.levels or 0, image.value_range)
        return cls(parts={key: summary}, rows=(row,), side=mean_image, pixel_sums=sums)

    def merge(self, other: DatasetStatistics) -> DatasetStatistics:
        """Return the statistics of both sets together; neither operand is changed."""
        if self.side != other.side:
            raise ShapeError(
                f"cannot merge statistics with mean images of side {self.side} and {other.side}; "
                "scan both with the same mean_image."
            )
        return DatasetStatistics(
            parts=_merged(self.parts, other.parts),
            rows=self.rows + other.rows,
            unreadable=self.unreadable + other.unreadable,
            side=self.side,
            pixel_sums=_merged(self.pixel_sums, other.pixel_sums),
        )

    @property
    def images(self) -> int:
        return len(self.rows)

    @cached_property
    def channels(self) -> int:
        self._refuse_empty()
        return max(key[0] for key in self.parts)

    @cached_property
    def value_range(self) -> ValueRange:
        ranges = {row.value_range for row in self.rows}
        return ranges.pop() if len(ranges) == 1 else UNIT_RANGE

    @property
    def exact(self) -> bool:
        """Whether mean, std and extremes are exact: all pixels are integers of one depth."""
        return self._only_counts is not None

    @cached_property
    def fraction_mean(self) -> np.ndarray:
        """Mean per channel as a fraction of the value range."""
        if (counts := self._only_counts) is not None:
            return counts.mean / counts.value_range.high
        return self._weighted([row.spread(self.channels)[0] for row in self.rows])

    @cached_property
    def fraction_std(self) -> np.ndarray:
        """Pooled population std per channel as a fraction of the value range."""
        if (counts := self._only_counts) is not None:
            return np.sqrt(counts.variance) / counts.value_range.high
        return np.sqrt(self._split.within + self._split.between)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean per channel, every pixel weighted alike."""
        return self.value_range.low + self.fraction_mean * self.value_range.span

    @cached_property
    def std(self) -> Stds:
        """The three stds of :class:`Stds`."""
        stds = [np.sqrt(row.spread(self.channels)[1]) for row in self.rows]
        squares = [s**2 for s in stds]
        span = self.value_range.span
        return Stds(
            pooled=self.fraction_std * span,
            rms_of_images=np.sqrt(_column_sums(squares) / self.images) * span,
            mean_of_images=_column_sums(stds) / self.images * span,
        )

    @cached_property
    def variance(self) -> VarianceSplit:
        """How much of the pooled variance lies within images, and how much between them."""
        square = self.value_range.span**2
        return VarianceSplit(self._split.within * square, self._split.between * square)

    @cached_property
    def low(self) -> np.ndarray:
        """Smallest value per channel."""
        return self._extreme(lambda part: part.low, np.minimum)

    @cached_property
    def high(self) -> np.ndarray:
        """Largest value per channel."""
        return self._extreme(lambda part: part.high, np.maximum)

    @cached_property
    def percentiles(self) -> dict[float, np.ndarray] | None:
        """Percentiles per channel; None for a set that mixes depths or float ranges."""
        part = self._only_part
        return {q: part.percentile(q) for q in PERCENTILES} if part is not None else None

    @cached_property
    def fraction_mean_image(self) -> np.ndarray:
        """Mean at each position ``(side, side, C)``, as fractions of the value range."""
        sums = self._sums
        return sums.sums / (sums.count * _PIXEL_STEPS)

    @cached_property
    def fraction_std_image(self) -> np.ndarray:
        """Population std at each position ``(side, side, C)``, as fractions."""
        sums = self._sums
        # n·Σx² stays below 2**63 up to 46,000 images of full white; beyond, float64 is used.
        n = sums.count
        if n < 40_000:
            scaled = (n * sums.squares - sums.sums**2) / n**2
        else:
            scaled = sums.squares / n - (sums.sums / n) ** 2
        return np.sqrt(np.maximum(scaled, 0)) / _PIXEL_STEPS

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain numbers for JSON, with the transform they hold for."""
        percentiles = None
        if self.percentiles is not None:
            percentiles = {f"{q:g}": values.tolist() for q, values in self.percentiles.items()}
        return {
            "images": self.images,
            "unreadable": self.unreadable,
            "channels": self.channels,
            "value_range": list(self.value_range),
            "exact": self.exact,
            "mean": self.mean.tolist(),
            "std": {
                "pooled": self.std.pooled.tolist(),
                "rms_of_images": self.std.rms_of_images.tolist(),
                "mean_of_images": self.std.mean_of_images.tolist(),
            },
            "min": self.low.tolist(),
            "max": self.high.tolist(),
            "percentiles": percentiles,
            "variance": {
                "within": self.variance.within.tolist(),
                "between": self.variance.between.tolist(),
            },
            "transform": "none: every pixel of every image at its own size",
        }

    @cached_property
    def _only_part(self) -> Counts | Moments | None:
        self._refuse_empty()
        if len(self.parts) == 1:
            return next(iter(self.parts.values()))
        depths = {key[1:] for key in self.parts}
        if len(depths) != 1 or 0 in {key[1] for key in self.parts}:
            return None
        # Grey and colour of one integer depth: the grey counts stand for each channel.
        tables = [
            np.repeat(part.table, self.channels // part.channels, axis=0)
            for part in self.parts.values()
        ]
        return Counts(np.sum(tables, axis=0))

    @property
    def _only_counts(self) -> Counts | None:
        return part if isinstance(part := self._only_part, Counts) else None

    @cached_property
    def _split(self) -> VarianceSplit:
        channels = self.channels  # refuses an empty set
        spreads = [row.spread(channels) for row in self.rows]
        away = [(mean - self.fraction_mean) ** 2 for mean, _ in spreads]
        within = self._weighted([variance for _, variance in spreads])
        return VarianceSplit(within=within, between=self._weighted(away))

    @property
    def _sums(self) -> PixelSums:
        self._refuse_empty()
        if not self.pixel_sums:
            raise NotFittedError(
                "these statistics hold no mean image. Scan with mean_image=SIDE to get one."
            )
        parts = [part.in_channels(self.channels) for part in self.pixel_sums.values()]
        total = parts[0]
        for part in parts[1:]:
            total = total.merge(part)
        return total

    def _weighted(self, values: list[np.ndarray]) -> np.ndarray:
        weights = [row.pixels for row in self.rows]
        parts = [value * weight for value, weight in zip(values, weights, strict=True)]
        return _column_sums(parts) / sum(weights)

    def _extreme(self, pick: Any, combine: Any) -> np.ndarray:
        self._refuse_empty()
        best: np.ndarray | None = None
        for (channels, _, value_range), part in self.parts.items():
            fraction = (pick(part) - value_range.low) / value_range.span
            fraction = np.repeat(fraction, self.channels // channels)
            best = fraction if best is None else combine(best, fraction)
        assert best is not None
        return self.value_range.low + best * self.value_range.span

    def _refuse_empty(self) -> None:
        if not self.parts:
            raise NotFittedError("no image could be read, so there are no statistics to use.")


def scan(photos: Iterable[Image], *, mean_image: int | None = None) -> DatasetStatistics:
    """Read every image once and return the statistics of the set.

    ``mean_image`` is the side in pixels of the mean and std image to keep (None: neither); images
    are squeezed to that square by area averaging, as Caffe's ``convert_imageset`` resizes.

    >>> from normviz.images import image_of
    >>> dark, light = (image_of(np.full((2, 2), v, np.uint8)) for v in (0, 200))
    >>> stats = scan([dark, light])
    >>> float(stats.mean[0]), float(stats.std.pooled[0]), float(stats.std.mean_of_images[0])
    (100.0, 100.0, 0.0)
    """
    *_, final = scan_progress(photos, mean_image=mean_image, every=math.inf)
    return final


def scan_progress(
    photos: Iterable[Image], *, mean_image: int | None = None, every: float = 0.25
) -> Iterator[DatasetStatistics]:
    """Yield the statistics so far about each ``every`` seconds; the last one yielded is final.

    Stop early by not asking for the next one. Images that ``photos`` could not read are counted
    in ``unreadable`` when it keeps a list of ``problems``.
    """
    parts: dict[_Key, Counts | Moments] = {}
    sums: dict[int, PixelSums] = {}
    rows: list[Row] = []

    def snapshot() -> DatasetStatistics:
        unreadable = len(getattr(photos, "problems", ()))
        return DatasetStatistics(dict(parts), tuple(rows), unreadable, mean_image, dict(sums))

    shown = time.monotonic()
    for image in photos:
        one = DatasetStatistics.of(image, mean_image)
        parts = _merged(parts, one.parts)
        sums = _merged(sums, one.pixel_sums)
        rows.extend(one.rows)
        if time.monotonic() - shown >= every:
            yield snapshot()
            shown = time.monotonic()
    yield snapshot()


def _merged(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> dict[Any, Any]:
    both = dict(left)
    for key, value in right.items():
        both[key] = both[key].merge(value) if key in both else value
    return both


def _column_sums(vectors: list[np.ndarray]) -> np.ndarray:
    """Add vectors with one correctly rounded sum a column, whatever their order."""
    return np.array([math.fsum(column) for column in zip(*vectors, strict=True)])
