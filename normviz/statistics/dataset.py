"""The statistics of a set of images, mergeable: what dataset-scope methods fit on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from normviz.errors import NotFittedError, ShapeError
from normviz.images import UNIT_RANGE, Image, ValueRange
from normviz.read import Problem
from normviz.statistics.across import PAIRS, Across, fraction
from normviz.statistics.counts import Counts
from normviz.statistics.covariance import SecondMoments
from normviz.statistics.estimate import Estimate, estimate
from normviz.statistics.measure import Key, measured
from normviz.statistics.moments import Moments
from normviz.statistics.patches import PatchPlan, PatchSums
from normviz.statistics.pixel_sums import PixelSums, PositionSums
from normviz.statistics.rows import Row, kept

PERCENTILES = (0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9)

MOST_LABELS = 10_000
"""Of a set with more labels than this, no statistics are kept by label."""

MOST_PROBLEMS = 1_000
"""All that could not be read are counted; this many are listed."""

HISTOGRAM_BINS = 256


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


@dataclass(frozen=True)
class Reading:
    """How far a pass over a source has come.

    ``total``: the images there are, None while that is not known. ``unit``: what is drawn at
    random, "image" or "shard"; None where images come in the order of the source, which is no
    random sample of it. ``units``: how many of those there are in all.
    """

    complete: bool
    total: int | None
    unit: str | None = None
    units: int | None = None


@dataclass(frozen=True, eq=False)
class DatasetStatistics:
    """Everything dataset-scope methods need, from one pass over a set of images.

    A commutative monoid: ``empty()``, ``of(image)``, ``merge``. Values are in units of
    ``value_range``: that of the images when they all share one, else fractions 0…1. Grey images
    in a set with colour ones count for R, G and B alike.

    All of it but the moments of float pixels is whole numbers, so that the result is the same to
    the bit whatever the order and the split: exact for integer pixels (rounded once); otherwise
    from the float64 mean and variance of each image, which are added exactly. (A float
    image is centred block by block: with n pixels its variance is known to about n · 1e-16 of
    itself at worst, by Chan, Golub and LeVeque 1983, and in practice to 1e-13.)

    ``rows``: one an image, of up to 4,096 images; of more, a random sample (``all_rows`` tells).
    ``labels``: the same statistics by label, without rows, mean image and patches.
    ``reading``: how far a scan had come; not merged.
    """

    parts: Mapping[Key, Counts | Moments] = field(default_factory=dict)
    across: Mapping[int, Across] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    unreadable: int = 0
    problems: tuple[Problem, ...] = ()
    side: int | None = None
    pixel_sums: Mapping[int, PositionSums] = field(default_factory=dict)
    plan: PatchPlan | None = None
    patch_sums: Mapping[tuple[int, int], PatchSums] = field(default_factory=dict)
    labels: Mapping[str, DatasetStatistics] = field(default_factory=dict)
    too_many_labels: bool = False
    units: Across | None = None
    """The sums between shards, where shards are what is drawn at random."""
    reading: Reading | None = None

    @classmethod
    def empty(
        cls, mean_image: int | None = None, patches: PatchPlan | None = None
    ) -> DatasetStatistics:
        return cls(side=mean_image, plan=patches)

    @classmethod
    def of(
        cls, image: Image, mean_image: int | None = None, patches: PatchPlan | None = None
    ) -> DatasetStatistics:
        """Measure one image."""
        one = measured(image)
        parts, across = {one.key: one.summary}, {image.channels: one.across}
        drawn = PatchSums.of(image, patches, one.row.rank) if patches else None
        return cls(
            parts=parts,
            across=across,
            rows=(one.row,),
            side=mean_image,
            pixel_sums={image.channels: PositionSums.of(image, mean_image)} if mean_image else {},
            plan=patches,
            patch_sums={(image.channels, drawn.top): drawn} if drawn else {},
            labels={} if image.label is None else {image.label: cls(parts=parts, across=across)},
        )

    def merge(self, other: DatasetStatistics) -> DatasetStatistics:
        """Return the statistics of both sets together; neither operand is changed."""
        if (self.side, self.plan) != (other.side, other.plan):
            raise ShapeError(
                f"cannot merge statistics with mean images of side {self.side} and {other.side}, "
                f"patches {self.plan} and {other.plan}; scan both alike."
            )
        labels = (
            {}
            if self.too_many_labels or other.too_many_labels
            else _merged(self.labels, other.labels)
        )
        too_many = self.too_many_labels or other.too_many_labels or len(labels) > MOST_LABELS
        return DatasetStatistics(
            parts=_merged(self.parts, other.parts),
            across=_merged(self.across, other.across),
            rows=kept((*self.rows, *other.rows)),
            unreadable=self.unreadable + other.unreadable,
            problems=sorted_problems((*self.problems, *other.problems)),
            side=self.side,
            pixel_sums=_merged(self.pixel_sums, other.pixel_sums),
            plan=self.plan,
            patch_sums=_merged(self.patch_sums, other.patch_sums),
            labels={} if too_many else labels,
            too_many_labels=too_many,
            units=_together(self.units, other.units),
        )

    @cached_property
    def images(self) -> int:
        return sum(across.images for across in self.across.values())

    @property
    def all_rows(self) -> bool:
        """Whether ``rows`` has every image, not a sample."""
        return len(self.rows) == self.images

    @cached_property
    def pixels(self) -> int:
        """Pixels of all images: the count per channel."""
        return self._across.pixels

    @cached_property
    def channels(self) -> int:
        self._refuse_empty()
        return max(self.across)

    @cached_property
    def value_range(self) -> ValueRange:
        ranges = {key.value_range for key in self.parts}
        return ranges.pop() if len(ranges) == 1 else UNIT_RANGE

    @property
    def exact(self) -> bool:
        """Whether mean, std and extremes of these images are exact: all pixels are integers."""
        return self._only_counts is not None

    @cached_property
    def fraction_mean(self) -> np.ndarray:
        """Mean per channel as a fraction of the value range."""
        if (counts := self._only_counts) is not None:
            return counts.mean / counts.value_range.high
        across = self._across
        return np.array([float(fraction(t.s) / across.pixels) for t in across.terms])

    @cached_property
    def fraction_std(self) -> np.ndarray:
        """Pooled population std per channel as a fraction of the value range."""
        if (counts := self._only_counts) is not None:
            return np.sqrt(counts.variance) / counts.value_range.high
        across = self._across
        return np.sqrt([float(_variance(t.s, t.q, across.pixels)) for t in across.terms])

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean per channel, every pixel weighted alike."""
        return self.value_range.low + self.fraction_mean * self.value_range.span

    @cached_property
    def std(self) -> Stds:
        """The three stds of :class:`Stds`."""
        across, span = self._across, self.value_range.span
        n = across.images
        rms = [math.sqrt(fraction(terms.variances) / n) for terms in across.terms]
        mean = [float(fraction(terms.stds) / n) for terms in across.terms]
        return Stds(
            pooled=self.fraction_std * span,
            rms_of_images=np.array(rms) * span,
            mean_of_images=np.array(mean) * span,
        )

    @cached_property
    def variance(self) -> VarianceSplit:
        """How much of the pooled variance lies within images, and how much between them."""
        across, square = self._across, self.value_range.span**2
        n = across.pixels
        within = [float(fraction(t.q - t.mean_squares) / n) for t in across.terms]
        between = [float(_variance(t.s, t.mean_squares, n)) for t in across.terms]
        # A sum is rounded down by a step of 10⁻²⁴ an image, so that nothing may come out below 0.
        return VarianceSplit(*(np.maximum(values, 0) * square for values in (within, between)))

    @cached_property
    def fraction_covariance(self) -> np.ndarray:
        """Population covariance of the channels ``(C, C)``, of fractions of the value range."""
        across = self._across
        n = across.pixels
        sums = [fraction(terms.s) for terms in across.terms]
        out = np.diag(self.fraction_std**2)
        for (i, j), cross in zip(PAIRS, across.cross, strict=False):
            out[i, j] = out[j, i] = fraction(cross) / n - sums[i] * sums[j] / n**2
        return out

    @cached_property
    def covariance(self) -> np.ndarray:
        """Population covariance of the channels ``(C, C)``, in units of the range squared."""
        return self.fraction_covariance * self.value_range.span**2

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
        """Percentiles per channel; None for a set that mixes floats with others or their ranges."""
        part = self._only_part
        if part is None:
            return None
        values = part.percentiles(PERCENTILES)
        if part.value_range != self.value_range:
            values = _moved(values, part.value_range, self.value_range)
        return dict(zip(PERCENTILES, values, strict=True))

    @cached_property
    def histogram(self) -> np.ndarray | None:
        """Pixels in each of 256 equal bins of the value range, per channel ``(C, 256)``.

        For bytes a bin is a level. None for a set that mixes floats with others or their ranges.
        """
        part = self._only_part
        if part is None:
            return None
        return part.table.reshape(part.channels, HISTOGRAM_BINS, -1).sum(axis=2)

    @cached_property
    def fraction_mean_image(self) -> np.ndarray:
        """Mean at each position, as fractions of the value range.

        ``(H, W, C)`` of the images where they all have one size of at most ``side²`` pixels, else
        ``(side, side, C)``, to which each was squeezed.
        """
        return self._sums.mean

    @cached_property
    def fraction_std_image(self) -> np.ndarray:
        """Population std at each position, as fractions; of the mean image's size."""
        return self._sums.std

    @property
    def mean_image_is_squeezed(self) -> bool:
        """Whether images were squeezed for the mean image: of many sizes, or larger ones."""
        return self._position_sums.own is None

    @cached_property
    def patch_moments(self) -> SecondMoments:
        """Moments of the patches as vectors (row, column, channel) of fractions.

        Grey patches in a set with colour ones are repeated.
        """
        if not self.patch_sums:
            raise NotFittedError(
                "these statistics hold no patches. Scan integer images with patches=PatchPlan(…)."
            )
        total: SecondMoments | None = None
        for (channels, _), sums in sorted(self.patch_sums.items()):
            moments = sums.moments
            if channels < max(self.channels, 1):
                repeat = self.channels // channels
                moments = SecondMoments(
                    moments.count,
                    np.repeat(moments.mean, repeat),
                    np.repeat(np.repeat(moments.products, repeat, 0), repeat, 1),
                )
            total = moments if total is None else total.merge(moments)
        assert total is not None
        return total

    @property
    def by_label(self) -> Mapping[str, DatasetStatistics]:
        """The statistics of each label's images; empty without labels, and with too many."""
        return dict(sorted(self.labels.items()))

    @cached_property
    def estimate(self) -> Estimate | None:
        """What these images tell of the whole source, with 95 % intervals.

        None when they are all of it, or no random sample of it.
        """
        reading = self.reading
        if reading is None or reading.complete or reading.unit is None:
            return None
        sums = self.units if reading.unit == "shard" else self._across
        if sums is None:
            return None
        return estimate(sums, reading.unit, reading.units)

    def as_unit(self) -> DatasetStatistics:
        """Return the same with all its images as one unit of the random sample: a shard."""
        return replace(self, units=self._across.as_one()) if self.across else self

    def with_reading(self, reading: Reading) -> DatasetStatistics:
        return replace(self, reading=reading)

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain numbers for JSON, with the transform they hold for."""
        complete = self.reading is None or self.reading.complete
        record: dict[str, Any] = {
            "images": self.images,
            "unreadable": self.unreadable,
            "channels": self.channels,
            "pixels": self.pixels,
            "value_range": list(self.value_range),
            # Of the source, whose part these images may be; of these images it says the next.
            "exact": self.exact and complete,
            "integers": self.exact,
            "complete": complete,
            **self._numbers(self.value_range),
            "histogram": None if self.histogram is None else self.histogram.tolist(),
            "by_label": {
                label: {"images": part.images, **part._numbers(self.value_range)}
                for label, part in self.by_label.items()
            },
            "transform": "none: every pixel of every image at its own size",
        }
        if self.estimate is not None:
            record["estimate"] = self.estimate.to_dict(self.value_range.span)
        return record

    def _numbers(self, span: ValueRange) -> dict[str, Any]:
        """The numbers per channel in units of a range that may be the whole set's."""
        own = self.value_range

        def places(values: np.ndarray) -> list[float]:
            return values.tolist() if own == span else _moved(values, own, span).tolist()

        def sizes(values: np.ndarray, power: int = 1) -> Any:
            return (values * (span.span / own.span) ** power).tolist()

        percentiles = self.percentiles
        return {
            "mean": places(self.mean),
            "std": {
                "pooled": sizes(self.std.pooled),
                "rms_of_images": sizes(self.std.rms_of_images),
                "mean_of_images": sizes(self.std.mean_of_images),
            },
            "min": places(self.low),
            "max": places(self.high),
            "percentiles": None
            if percentiles is None
            else {f"{q:g}": places(values) for q, values in percentiles.items()},
            "variance": {
                "within": sizes(self.variance.within, 2),
                "between": sizes(self.variance.between, 2),
            },
            "covariance": sizes(self.covariance, 2),
        }

    @cached_property
    def _only_part(self) -> Counts | Moments | None:
        self._refuse_empty()
        if len(self.parts) == 1:
            return next(iter(self.parts.values()))
        if 0 in {key.levels for key in self.parts}:
            return None
        # Grey counts stand for each channel, and a level of 8 bits is one of 16: white is white.
        levels = max(key.levels for key in self.parts)
        total = np.zeros((self.channels, levels), np.int64)
        for key, part in self.parts.items():
            step = (levels - 1) // (key.levels - 1)
            total[:, ::step] += np.repeat(part.table, self.channels // part.channels, axis=0)
        return Counts(total)

    @property
    def _only_counts(self) -> Counts | None:
        return part if isinstance(part := self._only_part, Counts) else None

    @cached_property
    def _across(self) -> Across:
        self._refuse_empty()
        total: Across | None = None
        for part in self.across.values():
            total = _together(total, part)
        assert total is not None
        return total

    @property
    def _sums(self) -> PixelSums:
        return self._position_sums.best

    @property
    def _position_sums(self) -> PositionSums:
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

    def _extreme(self, pick: Any, combine: Any) -> np.ndarray:
        self._refuse_empty()
        best: np.ndarray | None = None
        for (channels, _, value_range), part in self.parts.items():
            share = (pick(part) - value_range.low) / value_range.span
            share = np.repeat(share, self.channels // channels)
            best = share if best is None else combine(best, share)
        assert best is not None
        return self.value_range.low + best * self.value_range.span

    def _refuse_empty(self) -> None:
        if not self.parts:
            raise NotFittedError("no image could be read, so there are no statistics to use.")


def sorted_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the first problems by path: which ones does not depend on the order they came in."""
    return tuple(sorted(problems)[:MOST_PROBLEMS])


def _moved(values: np.ndarray, own: ValueRange, other: ValueRange) -> np.ndarray:
    """Return values of one range at the same places of another."""
    return other.low + (values - own.low) / own.span * other.span


def _variance(s: int, q: int, n: int) -> Fraction:
    mean = fraction(s) / n
    return max(fraction(q) / n - mean**2, Fraction(0))


def _together(left: Across | None, right: Across | None) -> Across | None:
    if left is None or right is None:
        return left or right
    channels = max(len(left.terms), len(right.terms))
    return left.in_channels(channels).merge(right.in_channels(channels))


def _merged(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> dict[Any, Any]:
    both = dict(left)
    for key, value in right.items():
        both[key] = both[key].merge(value) if key in both else value
    return both
