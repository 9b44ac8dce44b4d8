"""Normalized images to take away: PNG as displayed, NPZ as floats."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable

import numpy as np
from PIL import Image as PillowImage

from normviz.display import to_bytes

# One date for all members, so that the same pictures give the same bytes.
_DATE = (2020, 1, 1, 0, 0, 0)


def file_name(index: int, title: str, method: str, suffix: str) -> str:
    """Return a plain file name: number, title and method, without anything a path could use.

    >>> file_name(3, "../etc/Täglich 1.jpg", "lcn", "png")
    '0003-etc-T-glich-1-jpg-lcn.png'
    """
    words = re.sub(r"[^A-Za-z0-9_]+", "-", title).strip("-")[:60] or "image"
    return f"{index:04d}-{words}-{method}.{suffix}"


def png_bytes(values: np.ndarray, window: tuple[float, float]) -> bytes:
    """Return a PNG of normalized pixels ``(H, W, C)``, ``window`` being (black, white)."""
    pixels = to_bytes(values, window)
    stream = io.BytesIO()
    PillowImage.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()


def zip_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip of named members, taken one by one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return stream.getvalue()


def npz_of(arrays: Iterable[tuple[str, np.ndarray]]) -> bytes:
    """Return named arrays as NPZ, written one by one; ``numpy.load`` reads it without pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays:
            info = zipfile.ZipInfo(f"{name}.npy", _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()
