"""The statistics of a set as a table for a terminal."""

from __future__ import annotations

import numpy as np

from normviz.cli.words import images_text
from normviz.images import BYTE_RANGE, CHANNEL_NAMES, UNIT_RANGE
from normviz.statistics import DatasetStatistics
from normviz.statistics.across import PAIRS
from normviz.statistics.dataset import MOST_LABELS as MOST_STORED

MOST_LABELS = 20
"""Sets with more labels have no line for each."""


def exactness(stats: DatasetStatistics, seed: int | None) -> str:
    """Say what the numbers are: all of it, or an estimate, and of what."""
    reading = stats.reading
    if reading is None or reading.complete:
        how = (
            "exact, summed in whole numbers"
            if stats.exact
            else "in float64, from the pixels of mixed depths or floats"
        )
        return f"Every pixel of {images_text(stats.images)}: {how}."
    of = "very many" if reading.total is None else f"{reading.total:,}"
    drawn, unit = f"{images_text(stats.images)} of {of}", "Images are"
    if reading.unit == "shard":
        count = 0 if stats.estimate is None else stats.estimate.count
        drawn, unit = f"{drawn}, in {count:,} of {reading.units:,} shards", "Shards are"
    return (
        f"An estimate from {drawn}, drawn at random (seed {seed}); ± is the half-width of the 95 % "
        f"interval. {unit} the sampling unit, not pixels, for those of one image resemble each "
        "other. Extremes and percentiles are of the images read."
    )


def table(stats: DatasetStatistics, transform: str, seed: int | None) -> str:
    low, high = stats.value_range
    complete = stats.reading is None or stats.reading.complete
    exact = ", exact" if stats.exact and complete else ""
    lines = [
        f"{images_text(stats.images)}, {stats.unreadable} unreadable; values {low:g} to {high:g}"
        f"{exact}",
        *([] if complete else [exactness(stats, seed)]),
        "",
    ]
    if transform:
        lines.insert(0, f"after {transform}")
    names = CHANNEL_NAMES[stats.channels]
    lines.append(f"{'':24}" + "".join(f"{name:>12}" for name in names))
    lines += [
        f"{name:24}" + "".join(f"{value:>12.4f}" for value in values) + unit
        for name, values, unit in _rows(stats)
    ]
    lines += _correlation(stats, names)
    lines += _labels(stats, names)
    return "\n".join([*lines, *_constants(stats, transform)])


def _rows(stats: DatasetStatistics) -> list[tuple[str, np.ndarray, str]]:
    within, between = stats.variance.within, stats.variance.between
    share = between / np.maximum(within + between, np.finfo(float).tiny)
    rows = [("mean", stats.mean, "")]
    estimate, span = stats.estimate, stats.value_range.span
    if estimate is not None:
        rows.append(("  ±", estimate.mean * span, ""))
    rows.append(("std, pooled", stats.std.pooled, ""))
    if estimate is not None:
        rows.append(("  ±", estimate.std * span, ""))
    rows += [
        ("std, rms of images", stats.std.rms_of_images, ""),
        ("std, mean of images", stats.std.mean_of_images, ""),
        ("min", stats.low, ""),
        ("max", stats.high, ""),
        ("variance between images", 100 * share, " %"),
    ]
    rows += [(f"percentile {q:g}", values, "") for q, values in (stats.percentiles or {}).items()]
    return rows


def _correlation(stats: DatasetStatistics, names: tuple[str, ...]) -> list[str]:
    if len(names) == 1:
        return []
    covariance, std = stats.covariance, np.sqrt(np.diag(stats.covariance))
    pairs = [f"{names[i]}–{names[j]}" for i, j in PAIRS]
    # A flat channel has no correlation with anything.
    correlations = [
        f"{covariance[i, j] / (std[i] * std[j]):.4f}" if std[i] * std[j] > 0 else "none"
        for i, j in PAIRS
    ]
    return [
        "",
        f"{'':24}" + "".join(f"{pair:>12}" for pair in pairs),
        f"{'covariance':24}" + "".join(f"{covariance[i, j]:>12.4f}" for i, j in PAIRS),
        f"{'correlation':24}" + "".join(f"{text:>12}" for text in correlations),
    ]


def _labels(stats: DatasetStatistics, names: tuple[str, ...]) -> list[str]:
    by_label = stats.by_label
    if stats.too_many_labels:
        return ["", f"more than {MOST_STORED:,} labels: no numbers by label"]
    if len(by_label) > MOST_LABELS:
        return ["", f"{len(by_label):,} labels; the JSON has their numbers"]
    if not by_label:
        return []
    heads = [f"{kind} {name}" for kind in ("mean", "std") for name in names]
    low, span = stats.value_range.low, stats.value_range.span
    lines = ["", f"{'label':16}{'images':>8}" + "".join(f"{head:>12}" for head in heads)]
    for label, part in by_label.items():
        # A label of grey images only, in a set with colour ones.
        repeat = len(names) // part.channels
        mean, std = part.fraction_mean * span + low, part.fraction_std * span
        numbers = [*np.repeat(mean, repeat), *np.repeat(std, repeat)]
        lines.append(
            f"{label[:16]:16}{part.images:>8,}" + "".join(f"{value:>12.4f}" for value in numbers)
        )
    return lines


def _constants(stats: DatasetStatistics, transform: str) -> list[str]:
    if transform and stats.value_range not in (BYTE_RANGE, UNIT_RANGE):
        return []
    if not stats.fraction_std.min() > 0:
        return ["", "torchvision: no Normalize, for a channel's std is 0"]
    mean, std = (
        ", ".join(f"{value:.6g}" for value in values)
        for values in (stats.fraction_mean, stats.fraction_std)
    )
    return ["", f"torchvision, on fractions 0 to 1: Normalize(mean=[{mean}], std=[{std}])"]
