"""Files that the reading tests need, made in code."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import PIL.Image
import pytest

from normviz.images import Image
from normviz.read import Part, Problem

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (5, 9, 3), dtype=np.uint8)
GREY = RGB[:, :, 0].copy()


def encoded(picture: PIL.Image.Image | np.ndarray, form: str = "PNG", **options) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = PIL.Image.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png16(words: np.ndarray) -> bytes:
    """A 16-bit PNG of (H, W, C): grey, grey and alpha, RGB or RGBA by the number of channels."""
    height, width, channels = words.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in words)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npy_promising(shape: object, dtype: str = "|u1", body: bytes = b"") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + body


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as bundle:
        for name, data in members.items():
            bundle.writestr(name, data)
    return file.getvalue()


def tarred(members: Mapping[str, bytes], form: str = "", extra: tuple = ()) -> bytes:
    """A tar of files; ``extra`` are further TarInfo objects without content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{form}") as bundle:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
        for info in extra:
            bundle.addfile(info)
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    dims = b"".join(struct.pack(">I", side) for side in array.shape)
    big = array.astype(array.dtype.newbyteorder(">"))
    return bytes([0, 0, code, array.ndim]) + dims + big.tobytes()


def grey_photo(value: int) -> bytes:
    return encoded(np.full((2, 3), value, np.uint8))


BYTES_SET = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def shard(samples: Mapping[str, Mapping[str, bytes]], form: str = "") -> bytes:
    """A WebDataset shard: the members of each sample by key and ending, one after the other."""
    members = {f"{key}.{end}": data for key, of in samples.items() for end, data in of.items()}
    return tarred(members, form)


def table(
    values: list[int],
    labels: list | None = None,
    names: tuple[str, ...] = (),
    rows_a_group: int = 100,
    plain: bool = False,
) -> bytes:
    """A Parquet file of grey photos as Hugging Face writes it, or with plain bytes."""
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    photos = [grey_photo(value) for value in values]
    columns: dict = {"image": photos if plain else [{"bytes": p, "path": "a.png"} for p in photos]}
    features: dict = {"image": {"_type": "Image"}}
    if labels is not None:
        columns["label"] = labels
        features["label"] = {"_type": "ClassLabel", "names": list(names)} if names else {}
    made = pyarrow.table(columns)
    if not plain:
        said = json.dumps({"info": {"features": features}})
        made = made.replace_schema_metadata({"huggingface": said})
    file = io.BytesIO()
    parquet.write_table(made, file, row_group_size=rows_a_group)
    return file.getvalue()


def levels(images: Iterable) -> list[int]:
    """The value of each photo that :func:`grey_photo` made."""
    return [int(image.pixels[0, 0, 0]) for image in images]


def found_in(part: Part) -> list[Image | Problem]:
    """What a part holds, without the places."""
    return [found for _, found in part.images()]
