"""Every normalization as data: parameters, metadata, one reference definition, fitted numbers."""

from normviz.methods.base import Affine, Fitted, Method
from normviz.methods.features import (
    FEATURE_NORMS,
    FeatureNorm,
    RunningAverages,
    compare_train_eval,
)
from normviz.methods.registry import FAMILIES, METHODS

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
