"""Exact, mergeable summaries of images and of sets of images."""

from normviz.statistics.counts import Counts
from normviz.statistics.dataset import DatasetStatistics, scan, scan_progress
from normviz.statistics.image import ImageStatistics, image_statistics
from normviz.statistics.moments import Moments

__all__ = [
    "Counts",
    "DatasetStatistics",
    "ImageStatistics",
    "Moments",
    "image_statistics",
    "scan",
    "scan_progress",
]
