"""Numbers of several seeds as mean and spread, small enough to be kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def mean_and_spread(values: Sequence[float]) -> list[float | None]:
    """Return mean and standard deviation (n − 1), four digits; None for what is not finite.

    >>> mean_and_spread([1.0, 2.0, 3.0]), mean_and_spread([1.0, float("inf")])
    ([2.0, 1.0], [None, None])
    """
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        return [None, None]
    deviation = float(array.std(ddof=1)) if len(array) > 1 else 0.0
    return [short(float(array.mean())), short(deviation)]


def mean_and_factor(values: Sequence[float]) -> list[float | None]:
    """Return geometric mean and geometric standard deviation, what :func:`mean_and_spread` is of
    logarithms: for numbers drawn on a log scale, where mean ÷ factor to mean × factor is a band.

    None where a value is not finite and above 0.

    >>> mean_and_factor([1.0, 10.0, 100.0]), mean_and_factor([1.0, 0.0])
    ([10.0, 10.0], [None, None])
    """
    array = np.asarray(values, np.float64)
    if not (np.isfinite(array) & (array > 0)).all():
        return [None, None]
    logs = np.log(array)
    deviation = float(logs.std(ddof=1)) if len(array) > 1 else 0.0
    return [short(math.exp(float(logs.mean()))), short(math.exp(deviation))]


def short(value: float, digits: int = 4) -> float | None:
    """Return a number with few digits, None for one that is not finite: JSON has no infinity.

    >>> short(0.123456), short(float("nan"))
    (0.1235, None)
    """
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def worded(value: float | None, decimals: int = 2) -> str:
    """Return a number for a sentence; None is what was not finite.

    >>> worded(1.447), worded(None), worded(-0.001)
    ('1.45', 'beyond all numbers', '0.00')
    """
    return "beyond all numbers" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}"
