"""Every normalization as data: parameters, metadata, one reference definition, fitted numbers."""

from normviz.methods.base import Affine, Fitted, Method
from normviz.methods.features import FeatureNorm
from normviz.methods.registry import FAMILIES, FEATURE_NORMS, METHODS
from normviz.methods.running import RunningAverages, compare_train_eval

__all__ = [
    "FAMILIES",
    "FEATURE_NORMS",
    "METHODS",
    "Affine",
    "FeatureNorm",
    "Fitted",
    "Method",
    "RunningAverages",
    "compare_train_eval",
]
