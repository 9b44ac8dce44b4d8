"""The statistics of one image, of integer or float pixels, behind one set of names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from normviz.images import Image, ValueRange
from normviz.statistics.counts import Counts
from normviz.statistics.moments import Moments


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """Per-channel and pooled numbers of one image, in units of its value range.

    Exact for integer pixels; float64 moments for floats (percentiles then to 1/65,536 of the
    declared range, ``exact`` is False).

    >>> from normviz.images import image_of
    >>> s = image_statistics(image_of(np.array([[0, 255]], np.uint8)))
    >>> float(s.mean[0]), float(s.std[0]), s.exact
    (127.5, 127.5, True)
    """

    height: int
    width: int
    summary: Counts | Moments

    @property
    def exact(self) -> bool:
        return isinstance(self.summary, Counts)

    @property
    def channels(self) -> int:
        return self.summary.channels

    @property
    def value_range(self) -> ValueRange:
        return self.summary.value_range

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean per channel."""
        return self.summary.mean

    @cached_property
    def std(self) -> np.ndarray:
        """Population standard deviation per channel."""
        return np.sqrt(self.summary.variance)

    @cached_property
    def low(self) -> np.ndarray:
        """Smallest value per channel."""
        return self.summary.low

    @cached_property
    def high(self) -> np.ndarray:
        """Largest value per channel."""
        return self.summary.high

    @cached_property
    def pooled_mean(self) -> float:
        """One mean over all pixels and channels."""
        return self.summary.pooled_mean

    @cached_property
    def pooled_std(self) -> float:
        """One population standard deviation over all pixels and channels."""
        return float(np.sqrt(self.summary.pooled_variance))

    def percentile(self, q: float) -> np.ndarray:
        """The ``q``-th percentile per channel."""
        return self.summary.percentile(q)

    def mapped(self, level_table: np.ndarray) -> ImageStatistics:
        """The exact statistics after each level is replaced (see :meth:`Counts.mapped`)."""
        if not isinstance(self.summary, Counts):
            raise TypeError("only the statistics of integer pixels can be mapped level by level")
        return ImageStatistics(self.height, self.width, self.summary.mapped(level_table))


def summary_of(pixels: np.ndarray, value_range: ValueRange) -> Counts | Moments:
    """Return the exact counts of integer pixels, the moments of float pixels."""
    if np.issubdtype(pixels.dtype, np.integer):
        return Counts.of(pixels)
    return Moments.of(pixels, value_range)


def image_statistics(image: Image) -> ImageStatistics:
    """Measure one image in one pass."""
    summary = summary_of(image.pixels, image.value_range)
    return ImageStatistics(image.height, image.width, summary)
