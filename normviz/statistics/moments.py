"""Channel statistics of float pixels: centred float64 moments with Chan's merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from normviz.images import ValueRange

# Percentiles and histograms of floats are read off a table this fine over the declared range.
FLOAT_BINS = 65536

# Some tens of megabytes at a time, however large the image.
_VALUES_A_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations per channel, in float64.

    Merged with the update of Chan, Golub and LeVeque (1983), which never subtracts two large
    sums; ``table`` counts the values in 65,536 equal bins of the declared range, so percentiles
    are known to one bin (span / 65,536) and are *not* exact.

    >>> part = Moments.of(np.array([[[0.0], [0.5]]], np.float32), ValueRange(0, 1))
    >>> both = part.merge(Moments.of(np.array([[[1.0]]], np.float32), ValueRange(0, 1)))
    >>> float(both.mean[0]), round(float(both.variance[0]), 6)
    (0.5, 0.166667)
    """

    value_range: ValueRange
    count: int
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray
    table: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, value_range: ValueRange) -> Moments:
        """Summarize float pixels ``(H, W, C)``, block by block in float64."""
        height, width, channels = pixels.shape
        rows = max(1, _VALUES_A_BLOCK // (width * channels))
        blocks = (pixels[top : top + rows] for top in range(0, height, rows))
        return reduce(cls.merge, (cls._of_block(block, value_range) for block in blocks))

    @classmethod
    def _of_block(cls, pixels: np.ndarray, value_range: ValueRange) -> Moments:
        flat = pixels.reshape(-1, pixels.shape[-1]).astype(np.float64)
        mean = flat.mean(axis=0)
        fraction = (flat - value_range.low) / value_range.span
        bins = np.clip(fraction * FLOAT_BINS, 0, FLOAT_BINS - 1).astype(np.int64)
        table = np.stack([np.bincount(column, minlength=FLOAT_BINS) for column in bins.T])
        return cls(
            value_range=value_range,
            count=len(flat),
            mean=mean,
            squares=((flat - mean) ** 2).sum(axis=0),
            low=flat.min(axis=0),
            high=flat.max(axis=0),
            table=table,
        )

    def merge(self, other: Moments) -> Moments:
        n = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            value_range=self.value_range,
            count=n,
            mean=self.mean + step * (other.count / n),
            squares=self.squares + other.squares + step**2 * (self.count * other.count / n),
            low=np.minimum(self.low, other.low),
            high=np.maximum(self.high, other.high),
            table=self.table + other.table,
        )

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def variance(self) -> np.ndarray:
        """Population variance (ddof 0)."""
        return self.squares / self.count

    @property
    def pooled_mean(self) -> float:
        """One mean over all channels together."""
        return float(self.mean.mean())

    @property
    def pooled_variance(self) -> float:
        """One population variance over all channels together (law of total variance)."""
        return float(self.variance.mean() + self.mean.var())

    def percentiles(self, qs: Sequence[float]) -> np.ndarray:
        """Return several percentiles ``(len(qs), C)``, see :meth:`percentile`."""
        return np.array([self.percentile(q) for q in qs])

    def percentile(self, q: float) -> np.ndarray:
        """Return the ``q``-th percentile per channel, to within one bin; exact for 0 and 100."""
        position = q / 100 * (self.count - 1)
        below = int(np.floor(position))
        first = self._ranked(below)
        second = self._ranked(min(below + 1, self.count - 1))
        return first + (position - below) * (second - first)

    def _ranked(self, place: int) -> np.ndarray:
        """The value at ``place`` in sorted order: the middle of its bin, the ends as they are."""
        if place == 0:
            return self.low
        if place == self.count - 1:
            return self.high
        bins = np.array([np.searchsorted(row, place, side="right") for row in self._reached])
        middle = self.value_range.low + (bins + 0.5) / FLOAT_BINS * self.value_range.span
        return np.clip(middle, self.low, self.high)

    @cached_property
    def _reached(self) -> np.ndarray:
        return np.cumsum(self.table, axis=1)
