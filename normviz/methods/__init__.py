"""Every normalization as data: parameters, metadata, one reference definition, fitted numbers."""

from normviz.methods.base import Affine, Fitted, Method
from normviz.methods.registry import FAMILIES, METHODS

__all__ = ["FAMILIES", "METHODS", "Affine", "Fitted", "Method"]
