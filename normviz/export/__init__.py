"""What a visitor takes away: pictures, floats, statistics."""

from normviz.export.pictures import file_name, npz_of, png_bytes, write_npz, zip_of
from normviz.export.tables import Panel, statistics_csv, statistics_json

__all__ = [
    "Panel",
    "file_name",
    "npz_of",
    "png_bytes",
    "statistics_csv",
    "statistics_json",
    "write_npz",
    "zip_of",
]
