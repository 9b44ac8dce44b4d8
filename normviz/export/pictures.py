"""Normalized images to take away: PNG as displayed, NPZ as floats."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from typing import IO, BinaryIO

import numpy as np
from PIL import Image as PillowImage

from normviz.display import to_bytes

# One date for all members, so that the same pictures give the same bytes.
_DATE = (2020, 1, 1, 0, 0, 0)


def file_name(index: int, title: str, method: str, suffix: str) -> str:
    """Return a plain file name: number, title and method, without anything a path could use.

    ASCII letters, digits, ``-`` and ``_`` only, of bounded length. The number keeps names apart
    that differ in nothing else.

    >>> file_name(3, "../etc/Täglich 1.jpg", "lcn", "png")
    '0003-etc-T-glich-1-jpg-lcn.png'
    """
    ending = f".{_plain(suffix, 8)}" if suffix else ""
    return f"{index:04d}-{_plain(title, 60) or 'image'}-{_plain(method, 40)}{ending}"


def _plain(text: str, longest: int) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:longest]


def png_bytes(values: np.ndarray, window: tuple[float, float]) -> bytes:
    """Return a PNG of normalized pixels ``(H, W, C)``, ``window`` being (black, white)."""
    stream = io.BytesIO()
    _picture(to_bytes(values, window)).save(stream, "PNG")
    return stream.getvalue()


def small_webp(pixels: np.ndarray) -> bytes:
    """Return 8-bit pixels ``(H, W, C)`` as a lossy WebP: small, to recognise an image by."""
    stream = io.BytesIO()
    _picture(pixels).save(stream, "WEBP", quality=85, method=2)
    return stream.getvalue()


def _picture(pixels: np.ndarray) -> PillowImage.Image:
    return PillowImage.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def zip_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip of named members, taken one by one; stored as they are, as PNG is packed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return stream.getvalue()


def npz_of(arrays: Iterable[tuple[str, np.ndarray]]) -> bytes:
    """Return named arrays as NPZ; ``numpy.load`` reads it without pickle.

    >>> packed = npz_of([("a", np.array([1.0, 2.0]))])
    >>> np.load(io.BytesIO(packed), allow_pickle=False)["a"]
    array([1., 2.])
    """
    stream = io.BytesIO()
    write_npz(stream, arrays)
    return stream.getvalue()


def write_npz(
    stream: BinaryIO, arrays: Iterable[tuple[str, np.ndarray]], packed: bool = True
) -> None:
    """Write named arrays as NPZ into ``stream`` one by one, so that one is in memory at a time."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays:
            with npz_member(archive, name, packed) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def npz_member(archive: zipfile.ZipFile, name: str, packed: bool = True) -> IO[bytes]:
    """Open the array ``name`` of an NPZ to be written, as it is unless it is to be packed."""
    info = zipfile.ZipInfo(f"{name}.npy", _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    return archive.open(info, "w", force_zip64=True)
