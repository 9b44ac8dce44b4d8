"""What a method makes of one image: range, mean, std and histogram of every channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.images import Image
from normviz.methods.base import Affine, Fitted
from normviz.statistics.counts import Counts
from normviz.statistics.image import ImageStatistics

# Fine bins of a panel that is no level-by-level map; coarser ones are sums of these.
FINE_BINS = 1024

# calcHist counts in float32, which is exact up to 2**24; a block stays below that.
_PIXELS_A_BLOCK = 1 << 23


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of one channel's pixels between ``edges``; they sum to 1."""

    edges: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True, eq=False)
class Ranges:
    """Per channel: lowest, highest, mean and population std, and counts to draw histograms from.

    ``exact`` says whether the numbers hold for every pixel of the image at full size; otherwise
    they were measured on ``height × width`` of a reduced copy.
    """

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    height: int
    width: int
    exact: bool
    edges: np.ndarray
    """``(C, K + 1)``: bin borders a channel, increasing."""
    counts: np.ndarray
    """``(C, K)``."""

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def pooled_mean(self) -> float:
        """One mean over all channels."""
        return float(self.mean.mean())

    @property
    def pooled_std(self) -> float:
        """One population std over all channels."""
        return float(np.sqrt((self.std**2).mean() + self.mean.var()))

    def histograms(self, bins: int) -> list[Histogram]:
        """Return one histogram a channel in ``bins`` equal groups of the kept counts.

        For a level-by-level map the groups hold equal numbers of *levels*, so that no bin is
        empty only because no level falls into it.
        """
        kept = self.counts.shape[1]
        cuts = np.unique(np.linspace(0, kept, min(bins, kept) + 1).round().astype(int))
        shares = np.add.reduceat(self.counts, cuts[:-1], axis=1) / self.counts.sum(
            axis=1, keepdims=True
        )
        return [
            Histogram(edges[cuts], share) for edges, share in zip(self.edges, shares, strict=True)
        ]


def pooled_histograms(parts: Sequence[Ranges], bins: int) -> list[Histogram]:
    """Return one histogram a channel of several images together, in ``bins`` equal bins.

    The kept bins of each image are spread evenly over their own width, a level over the width of
    one level; every pixel weighs the same.

    >>> counts, edges = np.array([[1, 3]]), np.array([[0.0, 1.0, 2.0]])
    >>> one = Ranges(*(np.zeros(1),) * 4, height=2, width=2, exact=True, edges=edges, counts=counts)
    >>> pooled_histograms([one, one], 2)[0].shares
    array([0.25, 0.75])
    """
    histograms = []
    for channel in range(parts[0].channels):
        low = min(part.edges[channel, 0] for part in parts)
        high = max(part.edges[channel, -1] for part in parts)
        edges = np.linspace(low, high, bins + 1)
        reached = np.zeros(bins + 1)
        for part in parts:
            borders = part.edges[channel]
            steps = np.concatenate([[0], np.cumsum(part.counts[channel])])
            reached += np.interp(edges, borders, steps)
        histograms.append(Histogram(edges, np.diff(reached) / reached[-1]))
    return histograms


def ranges_before(image: ImageStatistics) -> Ranges:
    """Return the ranges of the image as it is, on its own levels."""
    ones = np.ones(image.channels)
    return ranges_of_map(image, Affine(ones, np.zeros(image.channels)))


def ranges_of_map(image: ImageStatistics, affine: Affine) -> Ranges:
    """Return the ranges after y = gain · level + bias, from the image's own statistics.

    Mean, std and extremes follow from those of the image, exactly and without touching a pixel.
    """
    ends = np.stack([affine.at(image.low), affine.at(image.high)])
    table = image.summary.table
    borders, counts = _level_borders(image, table)
    edges = affine.gain[:, np.newaxis] * borders + affine.bias[:, np.newaxis]
    return Ranges(
        low=ends.min(axis=0),
        high=ends.max(axis=0),
        mean=affine.at(image.mean),
        std=image.std * np.abs(affine.gain),
        height=image.height,
        width=image.width,
        exact=True,
        edges=edges,
        counts=counts,
    )


def _level_borders(image: ImageStatistics, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Borders half a level below and above each level; 16-bit and float tables by 256ths."""
    channels, entries = table.shape
    group = max(1, entries // 256)
    counts = table.reshape(channels, entries // group, group).sum(axis=2)
    if isinstance(image.summary, Counts):
        borders = np.arange(0, entries + 1, group) - 0.5
    else:
        low, span = image.value_range.low, image.value_range.span
        borders = low + np.arange(0, entries + 1, group) / entries * span
    return np.broadcast_to(borders, (channels, len(borders))), counts


def ranges_of_pixels(values: np.ndarray, exact: bool) -> Ranges:
    """Measure normalized float32 pixels ``(H, W, C)`` themselves; moments in float64."""
    height, width, channels = values.shape
    mean, std = (v.ravel() for v in cv2.meanStdDev(values))
    low, high = np.empty(channels), np.empty(channels)
    counts = np.zeros((channels, FINE_BINS), np.int64)
    edges = np.empty((channels, FINE_BINS + 1))
    rows = max(1, _PIXELS_A_BLOCK // width)
    for channel, plane in enumerate(cv2.split(values)):
        low[channel], high[channel] = plane.min(), plane.max()
        top = high[channel] if high[channel] > low[channel] else low[channel] + 1.0
        edges[channel] = np.linspace(low[channel], top, FINE_BINS + 1)
        # calcHist leaves out the upper end, which here is the highest value itself.
        ends = [float(np.float32(low[channel])), float(np.nextafter(np.float32(top), np.inf))]
        for start in range(0, height, rows):
            block = plane[start : start + rows]
            counted = cv2.calcHist([block], [0], None, [FINE_BINS], ends)
            counts[channel] += counted.ravel().astype(np.int64)
    return Ranges(
        low=low,
        high=high,
        mean=mean,
        std=std,
        height=height,
        width=width,
        exact=exact,
        edges=edges,
        counts=counts,
    )


def ranges_of_table(image: ImageStatistics, table: np.ndarray) -> Ranges:
    """Return the exact ranges after y = table[level], from the counts of an integer image."""
    counts = image.summary.table
    shares = counts / counts.sum(axis=1, keepdims=True)
    curves = table.T
    mean = (shares * curves).sum(axis=1)
    low = np.array([curve[there > 0].min() for curve, there in zip(curves, counts, strict=True)])
    high = np.array([curve[there > 0].max() for curve, there in zip(curves, counts, strict=True)])
    edges = np.linspace(low, np.where(high > low, high, low + 1), FINE_BINS + 1, axis=1)
    binned = [
        np.histogram(curve[there > 0], borders, weights=there[there > 0])[0]
        for curve, there, borders in zip(curves, counts, edges, strict=True)
    ]
    return Ranges(
        low=low,
        high=high,
        mean=mean,
        std=np.sqrt((shares * (curves - mean[:, np.newaxis]) ** 2).sum(axis=1)),
        height=image.height,
        width=image.width,
        exact=True,
        edges=edges,
        counts=np.array(binned, np.int64),
    )


def observe(image: Image, statistics: ImageStatistics, fitted: Fitted) -> Ranges:
    """Return the exact ranges of ``fitted`` on every pixel of ``image``.

    From the level counts when the method looks at one value at a time, else pixel by pixel.

    >>> from normviz.images import image_of
    >>> from normviz.methods import METHODS
    >>> from normviz.statistics import image_statistics
    >>> photo = image_of(np.array([[0, 255]], np.uint8))
    >>> seen = observe(photo, image_statistics(photo), METHODS["scale_11"]().fit())
    >>> seen.low.item(), seen.high.item(), seen.mean.item(), seen.std.item()
    (-1.0, 1.0, 0.0, 1.0)
    """
    affine = fitted.affine(statistics)
    if affine is not None:
        return ranges_of_map(statistics, affine)
    table = fitted.table(statistics)
    if table is not None:
        return ranges_of_table(statistics, table)
    return ranges_of_pixels(fitted(image.pixels, image.value_range), exact=True)
