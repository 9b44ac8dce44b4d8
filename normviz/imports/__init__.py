"""Constants from other people's files and texts: read, converted, and said in words."""

from normviz.imports.found import Imported, MeanImage
from normviz.imports.reading import EXPECTED, MOST_BYTES, read_normalization

__all__ = ["EXPECTED", "MOST_BYTES", "Imported", "MeanImage", "read_normalization"]
