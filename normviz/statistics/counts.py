"""Exact channel statistics of integer pixels, from a table of how often each level occurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from normviz.errors import ShapeError
from normviz.images import BYTE_RANGE, WORD_RANGE, ValueRange

# calcHist counts in float32, which is exact up to 2**24; a block stays below that.
_PIXELS_A_BLOCK = 1 << 23


@dataclass(frozen=True, eq=False)
class Counts:
    """How many pixels have each level, per channel: ``table`` is int64 ``(C, levels)``.

    Count, mean, variance, extremes and percentiles follow exactly; two tables merge by addition,
    so the result is the same to the bit whatever the order or split of the pixels.

    >>> counts = Counts.of(np.array([[[0], [2]], [[2], [4]]], np.uint8))
    >>> float(counts.mean[0]), float(counts.variance[0]), float(counts.percentile(50)[0])
    (2.0, 2.0, 2.0)
    """

    table: np.ndarray

    def __post_init__(self) -> None:
        # A view, so that the caller's own array keeps its flags.
        table = self.table.view()
        table.flags.writeable = False
        object.__setattr__(self, "table", table)

    @classmethod
    def empty(cls, channels: int, levels: int) -> Counts:
        return cls(np.zeros((channels, levels), np.int64))

    @classmethod
    def of(cls, pixels: np.ndarray) -> Counts:
        """Count the levels of uint8 or uint16 pixels ``(H, W, C)``."""
        if pixels.dtype not in (np.uint8, np.uint16):
            raise ShapeError(f"expected uint8 or uint16 pixels to count, got {pixels.dtype}.")
        levels = 256**pixels.dtype.itemsize
        height, width, channels = pixels.shape
        table = np.zeros((channels, levels), np.int64)
        rows = max(1, _PIXELS_A_BLOCK // max(1, width))
        for top in range(0, height, rows):
            block = pixels[top : top + rows]
            for channel in range(channels):
                counted = cv2.calcHist([block], [channel], None, [levels], [0, levels])
                table[channel] += counted.ravel().astype(np.int64)
        return cls(table)

    def merge(self, other: Counts) -> Counts:
        return Counts(self.table + other.table)

    def mapped(self, level_table: np.ndarray) -> Counts:
        """Return the counts after each level is replaced by ``level_table[level, channel]``.

        This is the exact table of an image whose light was changed level by level.
        """
        levels = 256**level_table.dtype.itemsize
        table = np.zeros((self.channels, levels), np.int64)
        for channel in range(self.channels):
            np.add.at(table[channel], level_table[:, channel], self.table[channel])
        return Counts(table)

    @property
    def channels(self) -> int:
        return int(self.table.shape[0])

    @property
    def levels(self) -> int:
        return int(self.table.shape[1])

    @property
    def value_range(self) -> ValueRange:
        return BYTE_RANGE if self.levels == 256 else WORD_RANGE

    @cached_property
    def count(self) -> int:
        """Pixels per channel."""
        return int(self.table[0].sum())

    @cached_property
    def sums(self) -> tuple[int, ...]:
        """Σ level per channel, exact."""
        return _weighted(self.table, 1)

    @cached_property
    def square_sums(self) -> tuple[int, ...]:
        """Σ level² per channel, exact."""
        return _weighted(self.table, 2)

    @property
    def mean(self) -> np.ndarray:
        return np.array([s / self.count for s in self.sums])

    @property
    def variance(self) -> np.ndarray:
        """Population variance (ddof 0): (n Σx² − (Σx)²) / n², rounded once."""
        n = self.count
        pairs = zip(self.sums, self.square_sums, strict=True)
        return np.array([(n * q - s * s) / (n * n) for s, q in pairs])

    @property
    def pooled_mean(self) -> float:
        """One mean over all channels together."""
        return sum(self.sums) / (self.count * self.channels)

    @property
    def pooled_variance(self) -> float:
        """One population variance over all channels together."""
        n, s, q = self.count * self.channels, sum(self.sums), sum(self.square_sums)
        return (n * q - s * s) / (n * n)

    @property
    def low(self) -> np.ndarray:
        """Smallest level that occurs, per channel."""
        return (self.table > 0).argmax(axis=1).astype(float)

    @property
    def high(self) -> np.ndarray:
        """Largest level that occurs, per channel."""
        return (self.levels - 1 - (self.table[:, ::-1] > 0).argmax(axis=1)).astype(float)

    def percentile(self, q: float) -> np.ndarray:
        """Return the ``q``-th percentile per channel, interpolated as ``numpy.percentile`` does."""
        return self.percentiles((q,))[0]

    def percentiles(self, qs: Sequence[float]) -> np.ndarray:
        """Return several percentiles ``(len(qs), C)`` at once."""
        position = np.asarray(qs, np.float64) / 100 * (self.count - 1)
        below = np.floor(position).astype(np.int64)
        above = np.minimum(below + 1, self.count - 1)
        reached = np.cumsum(self.table, axis=1)
        ends = np.concatenate([below, above])
        levels = np.array([np.searchsorted(row, ends, side="right") for row in reached]).T
        first, second = levels[: len(below)], levels[len(below) :]
        return first + (position - below)[:, np.newaxis] * (second - first)


def _weighted(table: np.ndarray, power: int) -> tuple[int, ...]:
    """Return Σ count · level**power for each row as exact Python integers."""
    levels = np.arange(table.shape[1], dtype=np.int64) ** power
    ceiling = int(table.sum(axis=1).max(initial=0)) * int(levels[-1])
    if ceiling < 2**63:
        return tuple(int(row @ levels) for row in table)
    return tuple(sum(map(int.__mul__, row.tolist(), levels.tolist())) for row in table)
