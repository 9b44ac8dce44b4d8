"""Where the variance of brightness lies: within images, between images, between classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from normviz.errors import ParameterError
from normviz.statistics import Row

DRAWS = 20_000

NOTHING = 1e-12
"""Variances of fractions below this are rounding."""


@dataclass(frozen=True)
class Split:
    """The variance of all values, each image counting alike, as shares that add up to 1.

    ``within``: inside of images. ``nuisance``: of images' means within their class (without labels:
    between images). ``signal``: of the classes' means. All shares are 0 where nothing varies.
    """

    within: float
    nuisance: float
    signal: float

    @property
    def correlation(self) -> float:
        """The plain intra-class correlation of images: how much of all variance is between them."""
        return self.nuisance + self.signal

    @property
    def share(self) -> float:
        """How much of the variance between images is nuisance, 0…1."""
        return self.nuisance / self.correlation if self.correlation else 0.0


def split_of(means: np.ndarray, variances: np.ndarray, classes: np.ndarray) -> Split:
    """Split by each image's mean and population variance ``(N,)`` and its class ``(N,)``.

    By the law of total variance: Var(x) = mean of the images' variances + variance of their means
    within classes + variance of the class means (each class weighted by its images).

    >>> split = split_of(np.array([0, 2, 10, 12.0]), np.zeros(4), np.array([0, 0, 1, 1]))
    >>> round(split.share, 4), split.correlation  # 1 within classes, 25 between
    (0.0385, 1.0)
    """
    places, of_class = _class_means(means, classes)
    inside = float(variances.mean())
    nuisance = float(((means - of_class[places]) ** 2).mean())
    signal = float(((of_class[places] - means.mean()) ** 2).mean())
    total = inside + nuisance + signal
    if total < NOTHING:
        return Split(0.0, 0.0, 0.0)
    return Split(inside / total, nuisance / total, signal / total)


def split_of_images(images: np.ndarray, labels: np.ndarray) -> Split:
    """Split the variance of images of one size ``(N, H, W, C)``; the shares have no unit."""
    values = images.reshape(len(images), -1).astype(np.float64)
    return split_of(values.mean(axis=1), values.var(axis=1), labels)


def explained(means: np.ndarray, classes: np.ndarray) -> float:
    """Return how much of the variance of images' brightness their classes explain, 0…1.

    Hays' ω² = (SSB − (K − 1)·MSW) / (SST + MSW): what chance gives to K class means is taken off.
    0 where that leaves less than nothing, and where all images are of one brightness. Source:
    W. L. Hays, Statistics for Psychologists (1963).

    >>> explained(np.array([0, 2, 10, 12.0]), np.array([0, 0, 1, 1])).__round__(3)
    0.925
    """
    places, of_class = _class_means(means, classes)
    number = len(of_class)
    if len(means) <= number:
        return 0.0
    between = float(((of_class[places] - means.mean()) ** 2).sum())
    inside = float(((means - of_class[places]) ** 2).sum()) / (len(means) - number)
    total = float(((means - means.mean()) ** 2).sum())
    if total < NOTHING * len(means):
        return 0.0
    return max(0.0, (between - (number - 1) * inside) / (total + inside))


def explained_interval(
    means: np.ndarray, classes: np.ndarray, level: float = 0.05, seed: int = 0
) -> tuple[float, float]:
    """Return the 1 − ``level`` interval of what :func:`explained` estimates.

    F = MSB/MSW has a noncentral F distribution with noncentrality λ, and λ/(λ + N) is explained.
    The ends are those λ under which F beyond the one found has probability ``level``/2, taken from
    20,000 draws. Brightness within classes is taken for normal, of one variance. Source: J. H.
    Steiger, Psychological Methods 9 (2004) 164.
    """
    places, of_class = _class_means(means, classes)
    many, number = len(means), len(of_class)
    inside = float(((means - of_class[places]) ** 2).sum())
    between = float(((of_class[places] - means.mean()) ** 2).sum())
    if many <= number or inside < NOTHING * many:
        return (0.0, 1.0) if between < NOTHING * many or many <= number else (1.0, 1.0)
    freedom = number - 1
    found = between / freedom / (inside / (many - number))
    random = np.random.default_rng(seed)
    normal = random.normal(size=DRAWS)
    rest = random.chisquare(freedom - 1, DRAWS) if freedom > 1 else np.zeros(DRAWS)
    error = random.chisquare(many - number, DRAWS) / (many - number)

    def reaches(noncentrality: float) -> float:
        drawn = ((normal + np.sqrt(noncentrality)) ** 2 + rest) / freedom / error
        return float((drawn >= found).mean())

    ends = []
    for share in (level / 2, 1 - level / 2):
        low, high = 0.0, 1.0
        while reaches(high) < share:
            high *= 2
        # The share grows with the noncentrality, the draws being the same.
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if reaches(middle) < share else (low, middle)
        ends.append(high / (high + many) if low > 0 else 0.0)
    return ends[0], ends[1]


def _class_means(means: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, places = np.unique(classes, return_inverse=True)
    return places, np.bincount(places, means) / np.bincount(places)


@dataclass(frozen=True)
class Brightness:
    """What images' brightness says of a set: its split, and what classes explain of it.

    ``explained`` (ω²) has its 95 % interval; None without labels. ``images`` and ``classes`` are
    what was counted, ``unlabelled`` what was not.
    """

    split: Split
    explained: float | None
    interval: tuple[float, float] | None
    images: int
    classes: int
    unlabelled: int


def brightness_of(rows: Sequence[Row], labelled: bool = True) -> Brightness:
    """Measure a set by its rows; an image's brightness is the mean of all its values, 0…1.

    With two labels or more and ``labelled``, only images with a label count.

    Raises :class:`ParameterError` for fewer than two images.
    """
    known = [row for row in rows if row.label]
    by_label = labelled and len({row.label for row in known}) > 1
    used = known if by_label else list(rows)
    if len(used) < 2:
        raise ParameterError(
            f"Advice needs at least two images, better some hundred; this set has {len(used)}."
        )
    means = np.array([np.mean(row.mean) for row in used])
    variances = np.array([np.mean(row.variance) + np.var(row.mean) for row in used])
    names = np.array([row.label if by_label else "" for row in used])
    split = split_of(means, variances, names)
    if not by_label:
        return Brightness(split, None, None, len(used), 0, 0)
    interval = explained_interval(means, names)
    unlabelled = len(rows) - len(used)
    return Brightness(
        split, explained(means, names), interval, len(used), len(set(names)), unlabelled
    )
