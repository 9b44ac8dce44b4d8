"""Every normalization as data: parameters, metadata, one reference definition, fitted numbers."""

from normviz.methods.base import Affine, Fitted, Method
from normviz.methods.registry import METHODS

__all__ = ["METHODS", "Affine", "Fitted", "Method"]
