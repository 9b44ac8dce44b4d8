"""normviz: see, measure and choose image normalization."""

from normviz.errors import NormvizError
from normviz.images import Image, ValueRange, image_of
from normviz.methods import (
    FEATURE_NORMS,
    METHODS,
    FeatureNorm,
    Fitted,
    Method,
    RunningAverages,
    compare_train_eval,
)
from normviz.methods.stored import from_json
from normviz.pipeline import STEPS, Pipeline
from normviz.presets import PRESETS
from normviz.read import read
from normviz.statistics import DatasetStatistics, image_statistics
from normviz.statistics import scan as scan_progress
from normviz.statistics import scanned as scan
from normviz.version import VERSION

__version__ = VERSION

__all__ = [
    "FEATURE_NORMS",
    "METHODS",
    "PRESETS",
    "STEPS",
    "DatasetStatistics",
    "FeatureNorm",
    "Fitted",
    "Image",
    "Method",
    "NormvizError",
    "Pipeline",
    "RunningAverages",
    "ValueRange",
    "compare_train_eval",
    "from_json",
    "image_of",
    "image_statistics",
    "read",
    "scan",
    "scan_progress",
]
