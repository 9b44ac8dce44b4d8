"""What a visitor takes away: pictures, floats, statistics."""

from normviz.export.files import plain, replacing, write
from normviz.export.pictures import file_name, npz_of, png_bytes, small_webp, write_npz, zip_of
from normviz.export.rows import rows_file
from normviz.export.shards import LISTING, Normalized, write_npz_shards, write_zarr
from normviz.export.tables import Panel, statistics_csv, statistics_json

__all__ = [
    "LISTING",
    "Normalized",
    "Panel",
    "file_name",
    "npz_of",
    "plain",
    "png_bytes",
    "replacing",
    "rows_file",
    "small_webp",
    "statistics_csv",
    "statistics_json",
    "write",
    "write_npz",
    "write_npz_shards",
    "write_zarr",
    "zip_of",
]
