"""Are two sets of images alike? Effect sizes between two records of ``normviz stats``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from normviz.errors import ParameterError
from normviz.images import BYTE_RANGE, CHANNEL_NAMES, ValueRange
from normviz.statistics.estimate import FEWEST, t_quantile

THRESHOLDS = ((0.1, "negligible"), (0.5, "small"), (0.8, "medium"), (math.inf, "large"))
"""Words for effect sizes below each bound.

Cohen 1988 (Statistical Power Analysis for the Behavioral Sciences, chapter 2) calls 0.2 small, 0.5
medium and 0.8 large; below 0.1, half of his smallest, nothing is made of it here. The logarithm of
a ratio of stds is given the same bounds: for normal distributions it moves about as much of the
distribution (0.48 against 0.40 of it per unit, near 0).
"""


@dataclass(frozen=True)
class Taken:
    """How many images a record is of, ``of`` how many (None where that is not known).

    ``unit``: what was drawn at random, "image" or "shard", ``count`` of ``units`` of them; None
    where the record is no estimate.
    """

    images: int
    of: int | None = None
    complete: bool = True
    unit: str | None = None
    count: int | None = None
    units: int | None = None

    @classmethod
    def of_record(cls, record: Any) -> Taken:
        images, complete = int(record["images"]), record.get("complete", True)
        if not isinstance(complete, bool):
            raise ValueError(f"complete is {complete!r:.60}")
        total, estimate = (record.get("reading") or {}).get("of"), record.get("estimate")
        if complete or estimate is None:
            return cls(images, _count(total), complete)
        if (unit := estimate["unit"]) not in ("image", "shard"):
            raise ValueError(f"an estimate from units {unit!r:.60}")
        count, units = int(estimate["count"]), _count(estimate["of"])
        if total is None and unit == "image":
            total = units
        return cls(images, _count(total), False, unit, count, units)

    @property
    def words(self) -> str:
        """Say how many images it is, and that it is an estimate where it is one.

        >>> Taken(320).words, Taken(320, 1000, False, "image", 320, 1000).words
        ('320 images', 'an estimate from 320 of 1,000 images')
        """
        of = "" if self.of is None or self.complete else f" of {self.of:,}"
        plural = "image" if (self.of if of else self.images) == 1 else "images"
        said = f"{self.images:,}{of} {plural}"
        if self.complete:
            return said
        if self.unit is None:
            return f"a part of the set, {said}"
        if self.unit == "shard":
            units = "" if self.units is None else f" of {self.units:,}"
            said += f", in {self.count:,}{units} shards"
        return f"an estimate from {said}"


@dataclass(frozen=True, eq=False)
class SetRecord:
    """What is compared of one set, in fractions of its value range; per channel.

    ``between``: variance between the images' means. ``errors``: the standard error of the mean if
    these images (or shards) are a random sample, ``count`` of them; None where it is not known.
    ``taken``: how much of the set this is. ``histogram``: shares of 256 bins ``(C, 256)``, None
    without one.
    """

    name: str
    images: int
    taken: Taken
    pixels: int
    value_range: ValueRange
    mean: np.ndarray
    std: np.ndarray
    between: np.ndarray
    errors: np.ndarray | None
    count: int
    unit: str
    histogram: np.ndarray | None
    levels_are_bins: bool
    transform: str
    pipeline: Any

    @classmethod
    def of(cls, record: Any, name: str) -> SetRecord:
        """Check a record of ``normviz stats --json`` and take from it what is compared.

        Raises :class:`ParameterError` for anything else.
        """
        try:
            return cls._of(record, name)
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else f"{error}"
            raise ParameterError(
                f"{name}: this is no record of `normviz stats --json` ({what}). Measure the set "
                "again with --out."
            ) from None

    @classmethod
    def _of(cls, record: Any, name: str) -> SetRecord:
        low, high = map(float, record["value_range"])
        span, channels = high - low, int(record["channels"])
        if channels not in CHANNEL_NAMES or not (span > 0 and math.isfinite(span)):
            raise ValueError(f"{channels} channels, values {low:g} to {high:g}")

        def per_channel(values: Any, scale: float) -> np.ndarray:
            array = np.array(values, np.float64)
            if array.shape != (channels,) or not np.isfinite(array).all():
                raise ValueError(f"expected {channels} numbers, got {values!r:.60}")
            return array / scale

        images, pixels = int(record["images"]), int(record["pixels"])
        if not 0 < images <= pixels:
            raise ValueError(f"{images} images of {pixels} pixels")
        between = per_channel(record["variance"]["between"], span**2)
        sample = record.get("as_sample") or {}
        errors, count, unit = sample.get("standard_error_mean"), images, "image"
        if errors is not None:
            errors = per_channel(errors, span)
            count, unit = int(sample["count"]), str(sample["unit"])
        elif images >= FEWEST:
            # For images of one size it is the same.
            errors = np.sqrt(between / (images - 1))
        return cls(
            name=name,
            images=images,
            taken=Taken.of_record(record),
            pixels=pixels,
            value_range=ValueRange(low, high),
            mean=per_channel(np.array(record["mean"], np.float64) - low, span),
            std=per_channel(record["std"]["pooled"], span),
            between=between,
            errors=errors,
            count=count,
            unit=unit,
            histogram=_shares(record.get("histogram"), channels),
            levels_are_bins=(low, high) == BYTE_RANGE
            and record.get("integers", record.get("exact")) is True,
            transform=str(record["transform"]),
            pipeline=record.get("pipeline"),
        )


@dataclass(frozen=True)
class ChannelDifference:
    """How the second set differs from the first in one channel; fractions of the value range.

    ``difference`` of the means, second minus first; ``half_width`` of its 95 % interval, images
    being the unit (Welch's t), and ``t`` the difference in standard errors; None where a set has
    fewer than 10 images.

    ``d_pixels``: the difference in pooled stds of the pixels: how far off zero the second set's
    mean lies once both are divided by their spread. ``d_images``: in pooled stds of the images'
    means: Cohen's d with an image as the unit; None for two single images. ``log_std_ratio``: the
    natural logarithm of second over first std. An infinite effect (a difference without any
    spread) is infinite.

    ``total_variation``: half the sum of the histograms' differences, 0 (equal) to 1 (no value in
    common). ``wasserstein``: how far the values of one histogram must move to give the other, on
    average; None without histograms.
    """

    channel: str
    difference: float
    half_width: float | None
    t: float | None
    d_pixels: float
    d_images: float | None
    log_std_ratio: float
    total_variation: float | None
    wasserstein: float | None

    @property
    def largest(self) -> float:
        """The largest effect of the three, whatever its sign."""
        return max(
            abs(self.d_pixels),
            abs(self.d_images) if self.d_images is not None else 0.0,
            abs(self.log_std_ratio),
        )

    @property
    def largest_d(self) -> float:
        """The larger of the two d, whatever its sign."""
        return max(abs(self.d_pixels), abs(self.d_images or 0.0))

    @property
    def verdict(self) -> str:
        """Say in a sentence how large the differences are."""
        if self.difference == 0 and self.log_std_ratio == 0:
            return f"{self.channel}: mean and std are the same."
        way = "higher" if self.difference > 0 else "lower"
        mean = f"the mean is {abs(self.difference):.4f} of the range {way}"
        parts = [f"{_amount(self.d_pixels)} stds of pixels ({word(self.d_pixels)})"]
        if self.d_images is not None:
            parts.append(f"{_amount(self.d_images)} of image means ({word(self.d_images)})")
        ratio = math.exp(self.log_std_ratio) if math.isfinite(self.log_std_ratio) else math.inf
        times = f"{ratio:.3f} times" if math.isfinite(ratio) else "not to be compared with"
        std = f"the std is {times} the first's ({word(self.log_std_ratio)})"
        if self.half_width is None:
            sure = "too few images to tell chance from difference"
        elif abs(self.difference) > self.half_width:
            sure = f"more than chance (± {self.half_width:.4f})"
        else:
            sure = f"within chance (± {self.half_width:.4f})"
        return f"{self.channel}: {mean}, {', '.join(parts)}, {sure}; {std}."


@dataclass(frozen=True)
class SetComparison:
    """The differences of two sets by channel, and what was done to make them comparable."""

    first: str
    second: str
    taken: tuple[Taken, Taken]
    channels: tuple[ChannelDifference, ...]
    notes: tuple[str, ...]

    @property
    def largest_d(self) -> float:
        """The largest d of all channels."""
        return max(one.largest_d for one in self.channels)

    @property
    def verdict(self) -> str:
        """Say in a sentence whether the sets are alike."""
        worst = max(self.channels, key=lambda one: one.largest)
        size = word(worst.largest)
        if size == "negligible":
            return f"Alike: no difference of mean or std reaches {THRESHOLDS[0][0]:g} stds."
        return (
            f"The largest difference is {size} ({_amount(worst.largest)}, channel {worst.channel})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; an infinite effect is None, and its word tells it."""
        listed = []
        for one in self.channels:
            effects = {
                "d_pixels": _word_or_none(one.d_pixels),
                "d_images": _word_or_none(one.d_images),
                "log_std_ratio": _word_or_none(one.log_std_ratio),
            }
            values = {key: _finite(value) for key, value in asdict(one).items()}
            listed.append({**values, "words": effects, "verdict": one.verdict})
        return {
            "first": self.first,
            "second": self.second,
            "taken": [{**asdict(one), "said": one.words} for one in self.taken],
            "unit": "fractions of the value range",
            "thresholds": {name: None if math.isinf(b) else b for b, name in THRESHOLDS},
            "channels": listed,
            "notes": list(self.notes),
            "verdict": self.verdict,
        }


def compare_sets(first: SetRecord, second: SetRecord) -> SetComparison:
    """Compare two sets that were measured in the same way.

    Raises :class:`ParameterError` for sets of different channels or transforms.

    >>> def of(mean, name):
    ...     return SetRecord.of({"images": 1, "pixels": 4, "value_range": [0, 255], "channels": 1,
    ...         "mean": [mean], "std": {"pooled": [51.0]}, "variance": {"between": [0]},
    ...         "transform": "none"}, name)
    >>> found = compare_sets(of(51.0, "a"), of(102.0, "b"))
    >>> round(found.channels[0].d_pixels, 12), found.verdict
    (1.0, 'The largest difference is large (1.00, channel grey).')
    """
    names = f"{first.name} and {second.name}"
    if first.transform != second.transform:
        raise ParameterError(
            f"{names} were measured under different transforms: {first.transform}; and "
            f"{second.transform}. Measure both alike."
        )
    if first.pipeline != second.pipeline:
        raise ParameterError(
            f"{names} were measured after the same steps with different numbers. Measure both "
            "with one stored pipeline."
        )
    if len(first.mean) != len(second.mean):
        raise ParameterError(
            f"{names} have {len(first.mean)} and {len(second.mean)} channels. Measure both in grey "
            "or in colour."
        )
    notes = []
    if first.value_range != second.value_range:
        notes.append(
            "The value ranges differ ("
            + " and ".join(f"{r.low:g}…{r.high:g}" for r in (first.value_range, second.value_range))
            + "): both are compared as fractions of their range."
        )
    if first.errors is None or second.errors is None:
        notes.append(
            f"No interval: it takes {FEWEST} images (or shards) in each set, for these are the "
            "sample, not their pixels."
        )
    if first.histogram is None or second.histogram is None:
        notes.append("No distance of histograms: one of the records has none.")
    channels = tuple(
        _channel(first, second, at, name) for at, name in enumerate(CHANNEL_NAMES[len(first.mean)])
    )
    taken = first.taken, second.taken
    return SetComparison(first.name, second.name, taken, channels, tuple(notes))


def word(effect: float) -> str:
    """Return the word of :data:`THRESHOLDS` for an effect size, whatever its sign.

    >>> word(-0.3), word(0.8), word(math.inf)
    ('small', 'large', 'large')
    """
    return next((name for bound, name in THRESHOLDS if abs(effect) < bound), THRESHOLDS[-1][1])


def total_variation(first: np.ndarray, second: np.ndarray) -> float:
    """Return half the sum of the differences of two histograms of shares.

    >>> total_variation(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    0.5
    """
    return float(np.abs(first - second).sum() / 2)


def wasserstein(first: np.ndarray, second: np.ndarray, step: float) -> float:
    """Return the 1-D Wasserstein distance of two histograms of shares, bins ``step`` apart.

    The area between their cumulative shares (Vallender 1974).

    >>> wasserstein(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]), 0.5)
    1.0
    """
    return float(np.abs(np.cumsum(first - second)).sum() * step)


def _channel(first: SetRecord, second: SetRecord, at: int, name: str) -> ChannelDifference:
    difference = float(second.mean[at] - first.mean[at])
    half_width = t = None
    if first.errors is not None and second.errors is not None:
        squares = first.errors[at] ** 2, second.errors[at] ** 2
        error = math.sqrt(sum(squares))
        half_width = t_quantile(_freedom(squares, (first.count, second.count))) * error
        t = _over(difference, error)
    pixels = _pooled(
        (first.std[at] ** 2, second.std[at] ** 2), (first.pixels, second.pixels), lost=0
    )
    images = _pooled((first.between[at], second.between[at]), (first.images, second.images), lost=2)
    tv = distance = None
    if first.histogram is not None and second.histogram is not None:
        pair = first.histogram[at], second.histogram[at]
        # Of bytes a bin is a level, and 255 steps make the range.
        step = 1 / 255 if first.levels_are_bins and second.levels_are_bins else 1 / len(pair[0])
        tv, distance = total_variation(*pair), wasserstein(*pair, step)
    ratio = _log_ratio(float(first.std[at]), float(second.std[at]))
    return ChannelDifference(
        channel=name,
        difference=difference,
        half_width=half_width,
        t=t,
        d_pixels=_over(difference, math.sqrt(pixels)) if pixels is not None else 0.0,
        d_images=None if images is None else _over(difference, math.sqrt(images)),
        log_std_ratio=ratio,
        total_variation=tv,
        wasserstein=distance,
    )


def _pooled(variances: tuple[float, float], counts: tuple[int, int], lost: int) -> float | None:
    """Cohen's pooled variance of two population variances, ``lost`` degrees of freedom fewer."""
    freedom = sum(counts) - lost
    if freedom < 1:
        return None
    return sum(v * n for v, n in zip(variances, counts, strict=True)) / freedom


def _freedom(squares: tuple[float, float], counts: tuple[int, int]) -> int:
    """Welch's degrees of freedom, rounded down."""
    below = sum(s**2 / (n - 1) for s, n in zip(squares, counts, strict=True))
    return int(sum(squares) ** 2 / below) if below else sum(counts) - 2


def _over(difference: float, spread: float) -> float:
    if spread > 0:
        return difference / spread
    return math.copysign(math.inf, difference) if difference else 0.0


def _log_ratio(first: float, second: float) -> float:
    if first > 0 and second > 0:
        return math.log(second / first)
    return 0.0 if first == second else math.copysign(math.inf, second - first)


def _shares(histogram: Any, channels: int) -> np.ndarray | None:
    if histogram is None:
        return None
    counts = np.array(histogram, np.float64)
    if counts.shape != (channels, 256) or not (counts.min() >= 0 and counts.sum(1).min() > 0):
        raise ValueError("the histogram is not of 256 bins a channel")
    return counts / counts.sum(axis=1, keepdims=True)


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def _amount(effect: float) -> str:
    return f"{abs(effect):.2f}" if math.isfinite(effect) else "infinitely many"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _word_or_none(effect: float | None) -> str | None:
    return None if effect is None else word(effect)
