"""How far two methods' results for one image lie apart, and whether it is only gain and offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.errors import ShapeError


@dataclass(frozen=True)
class Difference:
    """Two results a and b of one image, ``(H, W, C)`` each, pooled over all values."""

    mean: float
    """Mean of |b − a|."""
    largest: float
    """Largest |b − a|."""
    row: int
    column: int
    channel: int
    """Where it is largest."""
    gain: float
    offset: float
    """The line b ≈ gain · a + offset of least squares."""
    explained: float
    """R²: the share of b's variance that this line explains, 0 to 1."""


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Compare two results value by value, in float64.

    Raises :class:`ShapeError` when they are of different shapes.

    >>> found = difference(np.array([[[0.0], [1.0]]]), np.array([[[1.0], [3.0]]]))
    >>> found.mean, found.largest, found.gain, found.offset, found.explained
    (1.5, 2.0, 2.0, 1.0, 1.0)
    """
    if a.shape != b.shape or a.ndim != 3:
        raise ShapeError(f"two results of one image are compared; got shapes {a.shape}, {b.shape}.")
    a, b = a.astype(np.float64), b.astype(np.float64)
    away = np.abs(b - a)
    row, column, channel = (int(i) for i in np.unravel_index(away.argmax(), away.shape))
    centred_a, centred_b = a - a.mean(), b - b.mean()
    power_a, power_b = float((centred_a**2).sum()), float((centred_b**2).sum())
    shared = float((centred_a * centred_b).sum())
    gain = shared / power_a if power_a else 0.0
    explained = shared**2 / (power_a * power_b) if power_a and power_b else float(power_b == 0)
    return Difference(
        mean=float(away.mean()),
        largest=float(away.max()),
        row=row,
        column=column,
        channel=channel,
        gain=gain,
        offset=float(b.mean() - gain * a.mean()),
        explained=min(1.0, explained),
    )
