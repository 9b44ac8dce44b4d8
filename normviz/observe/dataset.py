"""What the rows of a set's statistics tell: measures of images, ranks, near-duplicates, labels.

Everything here is computed from statistics; no image is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normviz.images import CHANNEL_NAMES
from normviz.observe.sentences import number, percent, significant
from normviz.statistics import DatasetStatistics, Row
from normviz.statistics.estimate import FEWEST, t_quantile
from normviz.statistics.rows import KEPT

NEAR = 6
"""Fingerprints that differ in at most this many of 64 bits are called near-duplicates."""

# Below this std, as a fraction of the range, an image has no edges to make a fingerprint from.
_FLAT = 0.5 / 255

# So many fingerprints are compared with all others at a time.
_BLOCK = 512


# ------------------------------------------------------------------------- measures of an image


@dataclass(frozen=True)
class Measure:
    """One number an image. ``of`` gives it for rows, as fractions of the range or as it is.

    ``unit``: "value" is a value of the value range, "span" a difference of values; else it is what
    is written after the number.
    """

    title: str
    words: str
    unit: str
    of: Callable[[Sequence[Row]], np.ndarray]

    def values(self, rows: Sequence[Row], low: float, span: float) -> np.ndarray:
        """Return the numbers in the unit that is shown: of the value range, or percent."""
        found = self.of(rows)
        if self.unit == "%":
            return found * 100
        if self.unit in ("value", "span"):
            return found * span + (low if self.unit == "value" else 0)
        return found


def _per_image(rows: Sequence[Row], pick: Callable[[Row], Sequence[float]]) -> np.ndarray:
    return np.array([np.mean(pick(row)) for row in rows], np.float64)


def _mean(rows: Sequence[Row]) -> np.ndarray:
    return _per_image(rows, lambda row: row.mean)


def _std(rows: Sequence[Row]) -> np.ndarray:
    squares = [np.mean(row.variance) + np.var(row.mean) for row in rows]
    return np.sqrt(np.array(squares, np.float64))


def _clipped(rows: Sequence[Row]) -> np.ndarray:
    return _per_image(rows, lambda row: row.clipped_low) + _per_image(
        rows, lambda row: row.clipped_high
    )


MEASURES: dict[str, Measure] = {
    "mean": Measure("Mean", "mean of all its values, channels together", "value", _mean),
    "std": Measure("Std", "std of all its values, channels together", "span", _std),
    "sharpness": Measure(
        "Sharpness",
        "root mean square difference to the pixel two further, green channel (Brenner 1976)",
        "span",
        lambda rows: np.array([row.sharpness for row in rows], np.float64),
    ),
    "clipped": Measure(
        "Clipped", "share of values at the lowest or highest possible", "%", _clipped
    ),
    "clipped_low": Measure(
        "Clipped to black",
        "share of values at the lowest possible",
        "%",
        lambda rows: _per_image(rows, lambda row: row.clipped_low),
    ),
    "clipped_high": Measure(
        "Clipped to white",
        "share of values at the highest possible",
        "%",
        lambda rows: _per_image(rows, lambda row: row.clipped_high),
    ),
    "red_blue": Measure(
        "Red − blue",
        "mean of red less mean of blue: positive is warm light",
        "span",
        lambda rows: np.array([row.mean[0] - row.mean[-1] for row in rows], np.float64),
    ),
    "pixels": Measure(
        "Size",
        "width times height",
        "megapixels",
        lambda rows: np.array([row.pixels / 1e6 for row in rows], np.float64),
    ),
    "shape": Measure(
        "Width ÷ height",
        "the shape: above 1 is landscape",
        "",
        lambda rows: np.array([row.width / row.height for row in rows], np.float64),
    ),
}


@dataclass(frozen=True)
class Rank:
    """An order of images, by a measure, from its lowest or highest."""

    title: str
    measure: str
    highest: bool = False


RANKS: dict[str, Rank] = {
    "darkest": Rank("Darkest", "mean"),
    "brightest": Rank("Brightest", "mean", highest=True),
    "flattest": Rank("Flattest", "std"),
    "clipped": Rank("Most clipped", "clipped", highest=True),
    "blurriest": Rank("Blurriest", "sharpness"),
}


def ranked(rows: Sequence[Row], rank: Rank, most: int | None = None) -> list[int]:
    """Return the numbers of the rows in the order of a rank; equal ones in the order of the source.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned
    >>> grey = [image_of(np.full((4, 4), v, np.uint8)) for v in (9, 2, 5)]
    >>> ranked(scanned(grey).rows, RANKS["darkest"])
    [1, 2, 0]
    """
    values = MEASURES[rank.measure].of(rows)
    order = np.argsort(-values if rank.highest else values, kind="stable")
    return order[:most].tolist()


# ------------------------------------------------------------------------------ near-duplicates


@dataclass(frozen=True)
class Alike:
    """Two rows by number, and in how many of 64 bits their fingerprints differ."""

    first: int
    second: int
    bits: int


def near_duplicates(rows: Sequence[Row], near: int = NEAR) -> list[Alike]:
    """Return the pairs of at most ``near`` differing bits, the most alike first.

    The fingerprint says at 8 × 8 places whether it gets brighter to the right, so that it sees
    the same picture under other light, size or compression. Flat images have none. Every pair of
    the (at most 4,096) rows is compared.
    """
    flat = _std(rows) < _FLAT
    places = np.flatnonzero(~flat)
    prints = np.array([rows[at].fingerprint for at in places.tolist()], np.uint64)
    found: list[Alike] = []
    for top in range(0, len(prints), _BLOCK):
        block = prints[top : top + _BLOCK]
        bits = np.bitwise_count(block[:, None] ^ prints[None, top:])
        firsts, seconds = np.nonzero(bits <= near)
        found += [
            Alike(int(places[top + a]), int(places[top + b]), int(bits[a, b]))
            for a, b in zip(firsts, seconds, strict=True)
            if a < b
        ]
    return sorted(found, key=lambda pair: (pair.bits, pair.first, pair.second))


def alike_words(rows: Sequence[Row], pairs: Sequence[Alike], titles: Sequence[str]) -> str:
    """Say how many pairs are near-duplicates, and which are most alike."""
    if not pairs:
        return (
            f"No two of the {len(rows):,} images are near-duplicates (fingerprints that differ in "
            f"at most {NEAR} of 64 bits)."
        )
    first = pairs[0]
    count = f"{len(pairs):,} pairs of images are" if len(pairs) > 1 else "1 pair of images is"
    return (
        f"{count} nearly the same picture, perhaps under other light: “{titles[first.first]}” and "
        f"“{titles[first.second]}” differ in {first.bits} of 64 bits."
    )


# ---------------------------------------------------------------------------- between and within


def between_share(statistics: DatasetStatistics) -> np.ndarray:
    """The share of each channel's variance that lies between images, 0…1."""
    split = statistics.variance
    total = split.within + split.between
    return np.divide(split.between, total, out=np.zeros_like(total), where=total > 0)


def split_words(statistics: DatasetStatistics) -> str:
    """Say what per-image normalization would remove."""
    split = statistics.variance
    total = float((split.within + split.between).sum())
    if not total:
        return "Every image holds one and the same value: there is no variance to split."
    if statistics.images == 1:
        return "One image has nothing between images: its variance is all within it."
    share = float(split.between.sum()) / total
    return (
        f"{percent(share)} of the variance lies between images: how bright, and of which colour, "
        "each is as a whole. Subtracting each image's own mean per channel would remove exactly "
        f"that, and leave {percent(1 - share)}; subtracting the dataset's mean keeps both."
    )


# ------------------------------------------------------------------------------------- by label


@dataclass(frozen=True)
class LabelNumbers:
    """One label's images: how many, and the mean and std of all their values, channels together."""

    label: str
    images: int
    mean: float
    std: float


def by_label(statistics: DatasetStatistics) -> list[LabelNumbers]:
    """Return the labels' numbers in units of the set's value range, the darkest first."""
    low, span = statistics.value_range.low, statistics.value_range.span
    found = []
    for label, part in statistics.by_label.items():
        mean, std = part.fraction_mean, part.fraction_std
        pooled = float(np.sqrt(np.mean(std**2) + np.var(mean)))
        found.append(
            LabelNumbers(label, part.images, low + float(mean.mean()) * span, pooled * span)
        )
    return sorted(found, key=lambda one: (one.mean, one.label))


def label_share(rows: Sequence[Row]) -> float:
    """Which share of the variance of the images' means lies between labels (η²), 0…1."""
    labelled = [row for row in rows if row.label is not None]
    means = _mean(labelled)
    if len(means) < 2 or not means.var():
        return 0.0
    _, which = np.unique([str(row.label) for row in labelled], return_inverse=True)
    counts = np.bincount(which)
    centres = np.bincount(which, means) / counts
    return float((counts * (centres - means.mean()) ** 2).sum() / (len(means) * means.var()))


def label_words(statistics: DatasetStatistics) -> str:
    """Say which label is brightest and which darkest, and whether brightness tells labels."""
    found = by_label(statistics)
    if len(found) < 2:
        return "All images have one label."
    dark, light = found[0], found[-1]
    std = float(np.sqrt(np.mean(statistics.fraction_std**2))) * statistics.value_range.span
    apart = (light.mean - dark.mean) / std if std else 0.0
    words = (
        f"“{light.label}” is brightest (mean {number(light.mean)}) and “{dark.label}” darkest "
        f"({number(dark.mean)}): {number(apart)} of the set's stds apart. "
    )
    share = label_share(statistics.rows)
    return words + (
        f"The label alone accounts for {percent(share)} of the variance of the images' means; "
        "a network given images of mean 0 cannot use that."
    )


# ----------------------------------------------------------------------------------- convergence


@dataclass(frozen=True, eq=False)
class Convergence:
    """Running means ``(K, C)`` after ``images`` (K,) of the rows in random order, in value units.

    ``half_width``: of the 95 % interval, infinite for fewer than 10 images. ``final``: the mean of
    all ``read`` images. ``of``: how many images there are. ``complete``: whether the pass went to
    its end; else ``final`` is an estimate too.
    """

    images: np.ndarray
    mean: np.ndarray
    half_width: np.ndarray
    final: np.ndarray
    read: int
    of: int
    complete: bool


def convergence(statistics: DatasetStatistics, seed: int = 0, most: int = 200) -> Convergence:
    r"""Return the mean of every channel as the images are read in random order.

    The images are the sampling unit, as in :func:`normviz.statistics.estimate.estimate`: the mean
    ΣS/Σn is a ratio, its error that of the residuals :math:`S_i - m n_i`, Student's t, times
    :math:`\sqrt{1 - k/N}` after k of N images.
    """
    rows, channels = statistics.rows, statistics.channels
    order = np.random.default_rng(seed).permutation(len(rows))
    sizes = np.array([rows[at].pixels for at in order], np.float64)[:, None]
    means = np.array([rows[at].spread(channels)[0] for at in order])
    final = statistics.fraction_mean
    total = statistics.images
    if statistics.reading is not None and statistics.reading.total:
        total = max(total, statistics.reading.total - statistics.unreadable)
    # Centred on the final mean, so that little is lost where squares are subtracted.
    sums = (means - final) * sizes
    n, s = np.cumsum(sizes, 0), np.cumsum(sums, 0)
    ss, ns, nn = np.cumsum(sums**2, 0), np.cumsum(sizes * sums, 0), np.cumsum(sizes**2, 0)
    at = np.unique(np.geomspace(1, len(rows), min(most, len(rows))).round().astype(int)) - 1
    counts = at + 1
    ratio = s[at] / n[at]
    residuals = np.maximum(ss[at] - 2 * ratio * ns[at] + ratio**2 * nn[at], 0) / n[at] ** 2
    half = np.full((len(at), channels), np.inf)
    for row, count in enumerate(counts.tolist()):
        if count >= FEWEST:
            left = max(0.0, 1 - count / total)
            variance = residuals[row] * count / (count - 1) * left
            half[row] = t_quantile(count - 1) * np.sqrt(variance)
    span, low = statistics.value_range.span, statistics.value_range.low
    return Convergence(
        images=counts,
        mean=low + (final + ratio) * span,
        half_width=half * span,
        final=low + final * span,
        read=statistics.images,
        of=total,
        complete=statistics.reading is None or statistics.reading.complete,
    )


def convergence_words(found: Convergence, channels: int, span: float) -> str:
    """Say how well a part of the images would have told the mean."""
    count = int(found.images[-1])
    if count < FEWEST:
        return (
            f"{count} images are too few for an interval (there is none below {FEWEST}): the "
            "mean of so small a set is that of its pictures, not of a kind of picture."
        )
    widths = found.half_width.max(axis=1)
    quarter = int(np.searchsorted(found.images, max(FEWEST, count / 4)))
    early = int(found.images[quarter])
    apart = np.abs(found.mean[quarter] - found.final)
    inside = int((apart <= found.half_width[quarter]).sum())
    names = "channels" if channels > 1 else "channel"
    some = f"{inside} of {channels} {names}"
    end = f"the final value of {some} lies in that band"
    if not found.complete:
        end = f"the estimate from all {found.read:,} images read lies in that band for {some}"
    return (
        f"After {early:,} of {found.of:,} images in random order the means are known to "
        f"±{significant(float(widths[quarter]))} (95 %, of {span:g}); {end}. Images are the "
        "sample, not their pixels: those of one image resemble each other."
    )


# ------------------------------------------------------------------------------------ in words


def taken_words(statistics: DatasetStatistics, count: int) -> str:
    """Say how many images numbers are of, and whether that is all of ``count`` or an estimate.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned
    >>> taken_words(scanned([image_of(np.zeros((2, 2), np.uint8))]), 1)
    '1 image'
    """
    images = statistics.images
    found = statistics.estimate
    if found is not None:
        return f"an estimate ({_interval(statistics)}) from {images:,} of {count:,} images"
    plural = "image" if images == 1 else "images"
    part = "" if images + statistics.unreadable >= count else f" of {count:,}"
    return f"{images:,}{part} {plural}"


def exactness_words(statistics: DatasetStatistics) -> str:
    """Say whether the constants are exact or an estimate, and of how many images."""
    images, plural = statistics.images, "image" if statistics.images == 1 else "images"
    if statistics.estimate is not None:
        return (
            f"An estimate from {images:,} {plural} drawn at random: {_interval(statistics)}, as "
            "fractions of the value range."
        )
    how = "Exact" if statistics.exact else "In float64"
    return f"{how}: every pixel of {images:,} {plural}, {statistics.pixels:,} pixels a channel."


def running_words(statistics: DatasetStatistics) -> str:
    """Say the means so far, each with its interval."""
    found = statistics.estimate
    span = statistics.value_range.span
    parts = []
    for at, name in enumerate(CHANNEL_NAMES[statistics.channels]):
        half = "" if found is None else f" ± {significant(float(found.mean[at]) * span)}"
        parts.append(f"{name} {number(float(statistics.mean[at]))}{half}")
    return f"Mean so far (95 %): {', '.join(parts)}"


def _interval(statistics: DatasetStatistics) -> str:
    found = statistics.estimate
    assert found is not None
    if not np.isfinite(found.widest):
        return f"too few images for an interval: below {FEWEST}"
    mean, std = float(found.mean.max()), float(found.std.max())
    return f"95 %: means ±{significant(mean)}, stds ±{significant(std)}"


def sample_words(statistics: DatasetStatistics) -> str:
    """Say when not every image has its row; empty otherwise."""
    if statistics.all_rows:
        return ""
    return f"Of {statistics.images:,} images, {KEPT:,} drawn at random are shown here."


def pictures_words(statistics: DatasetStatistics) -> str:
    """Say whether the mean image says more than the mean per channel."""
    image = statistics.fraction_mean_image
    pooled = float((statistics.fraction_std**2).sum())
    if not pooled:
        return "All pixels are alike."
    share = min(1.0, float(image.var(axis=(0, 1)).sum()) / pooled)
    words = (
        f"Where in the picture a pixel lies accounts for {percent(share)} of the variance: that is "
        "what subtracting the mean image would remove beyond the mean per channel"
    )
    if statistics.images < 30:
        return words + f". Of {statistics.images} images it shows the pictures themselves."
    return words + "."


def clipped_words(statistics: DatasetStatistics) -> str:
    """Say which share of the values lies at the ends of the range."""
    counts = statistics.histogram
    if counts is None:
        return ""
    total = counts.sum()
    low, high = statistics.value_range
    return (
        f"{percent(float(counts[:, 0].sum() / total))} of the values are in the lowest and "
        f"{percent(float(counts[:, -1].sum() / total))} in the highest of 256 bins ({low:g} and "
        f"{high:g} for bytes): no normalization brings back what is clipped."
    )


def scatter_words(
    rows: Sequence[Row], x: str, y: str, units: tuple[float, float], titles: Mapping[int, str]
) -> str:
    """Say how two measures go together over the images, and which lies furthest out."""
    a, b = (MEASURES[name].values(rows, *units) for name in (x, y))
    first, second = MEASURES[x].title.lower(), MEASURES[y].title.lower()
    if len(rows) < 3 or not a.std() or not b.std():
        return f"Each point is an image: {first} across, {second} up."
    r = float(np.corrcoef(a, b)[0, 1])
    far = int(np.argmax(((a - a.mean()) / a.std()) ** 2 + ((b - b.mean()) / b.std()) ** 2))
    strength = "hardly go" if abs(r) < 0.3 else "go" if r > 0 else "go against each other"
    together = "" if strength.endswith("other") else " together"
    return (
        f"{first.capitalize()} and {second} {strength}{together} (r = {number(r)} over "
        f"{len(rows):,} images); furthest out lies “{titles[far]}”."
    )
