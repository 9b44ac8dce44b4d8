"""normviz: see, measure and choose image normalization."""

from normviz.errors import NormvizError
from normviz.images import Image, ValueRange, image_of
from normviz.methods import METHODS, Fitted, Method
from normviz.methods.stored import from_json
from normviz.pipeline import STEPS, Pipeline
from normviz.presets import PRESETS
from normviz.read import read
from normviz.statistics import DatasetStatistics, image_statistics, scan, scan_progress
from normviz.version import VERSION

__version__ = VERSION

__all__ = [
    "METHODS",
    "PRESETS",
    "STEPS",
    "DatasetStatistics",
    "Fitted",
    "Image",
    "Method",
    "NormvizError",
    "Pipeline",
    "ValueRange",
    "from_json",
    "image_of",
    "image_statistics",
    "read",
    "scan",
    "scan_progress",
]
