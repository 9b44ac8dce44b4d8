"""Exact, mergeable summaries of images and of sets of images."""

from normviz.statistics.counts import Counts
from normviz.statistics.dataset import DatasetStatistics
from normviz.statistics.engines import Pool, Processes
from normviz.statistics.image import ImageStatistics, image_statistics
from normviz.statistics.moments import Moments
from normviz.statistics.on_dask import Dask
from normviz.statistics.patches import PatchPlan
from normviz.statistics.rows import Row
from normviz.statistics.scanning import scan, scanned

__all__ = [
    "Counts",
    "Dask",
    "DatasetStatistics",
    "ImageStatistics",
    "Moments",
    "PatchPlan",
    "Pool",
    "Processes",
    "Row",
    "image_statistics",
    "scan",
    "scanned",
]
