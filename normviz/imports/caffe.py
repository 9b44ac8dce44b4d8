"""Caffe's mean images: ``mean.binaryproto`` (a BlobProto) and ``ilsvrc_2012_mean.npy``."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from normviz.errors import ReadError
from normviz.imports.found import Imported, MeanImage, pipeline_of
from normviz.methods.dataset import DatasetMeanImage
from normviz.pipeline.base import Step
from normviz.pipeline.geometry import Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.pipeline import Pipeline
from normviz.pipeline.values import ChannelOrder, ToRGB
from normviz.presets import ChannelConstants
from normviz.read.limits import Limits
from normviz.read.numpy_file import read_npy
from normviz.read.source import Source

LARGEST_SIDE = 4096
_MOST_FIELDS = 400_000
_MOST_SHAPE_BYTES = 100
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5


def read_binaryproto(name: str, data: bytes, order: str = "") -> Imported:
    """Return the mean image of a serialized BlobProto (src/caffe/proto/caffe.proto).

    Raises :class:`ReadError` for anything else, before more is allocated than the file holds.
    """
    sides: dict[int, int] = {}
    shape: list[int] = []
    chunks: list[bytes] = []
    width = 4
    try:
        for number, (field, wire, value) in enumerate(_fields(data)):
            if number > _MOST_FIELDS:
                raise ValueError(f"it has more than {_MOST_FIELDS:,} fields")
            if field in (1, 2, 3, 4) and wire == _VARINT:
                sides[field] = int(value)
            elif field == 7 and wire == _LENGTH:
                message = bytes(value)
                if shape or len(message) > _MOST_SHAPE_BYTES:
                    raise ValueError("its shape is longer than that of an image")
                shape = _dimensions(message)
            elif (field, wire) in ((5, _LENGTH), (5, _FOUR), (8, _LENGTH), (8, _EIGHT)):
                width = 4 if field == 5 else 8
                chunks.append(bytes(value))
    except ValueError as error:
        raise ReadError(
            name,
            f"it is no BlobProto, the form of Caffe's mean.binaryproto ({error})",
            "Choose the file that compute_image_mean wrote",
        ) from None
    if not shape and sides:
        shape = [sides.get(field, 0) for field in (1, 2, 3, 4)]
    raw = b"".join(chunks)
    if len(raw) % width:
        raise ReadError(name, "its numbers end in the middle of one", "Copy it again")
    values = np.frombuffer(raw, "<f4" if width == 4 else "<f8")
    if not shape or math.prod(shape) != values.size or not values.size:
        raise ReadError(
            name,
            f"it says {'×'.join(map(str, shape)) or 'no shape'} and holds {values.size:,} numbers",
            "A mean.binaryproto holds one image, such as 1×3×256×256",
        )
    while len(shape) > 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ReadError(
            name,
            f"its shape {'×'.join(map(str, shape))} is not that of one image of 1 or 3 channels",
            "A mean.binaryproto holds one image, such as 1×3×256×256",
        )
    return _mean_image(
        name, "Caffe mean.binaryproto", values.reshape(shape).transpose(1, 2, 0), order or "BGR",
        "as Caffe stores it" if not order else "as you say",
    )  # fmt: skip


def read_mean_npy(name: str, data: bytes, order: str = "") -> Imported:
    """Return the mean image, or the one mean colour, of an ``.npy`` file.

    Channels first are taken as BGR, which is how Caffe's ilsvrc_2012_mean.npy is; channels last
    as RGB. ``order`` decides where it is given.
    """
    array = read_npy(Source(name, len(data), data=data), Limits())
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.dtype.kind == "b":
        raise ReadError(name, "it holds true and false, not a mean image")
    said = "as Caffe stores it: channels come first"
    if array.ndim == 1 and array.shape[0] == 3:
        array, said = array.reshape(1, 1, 3), "as Caffe's mean values are"
    elif array.ndim == 2:
        array, said = array[..., np.newaxis], ""
    elif array.ndim == 3 and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)
    elif array.ndim == 3 and array.shape[2] in (1, 3):
        said = "since channels come last"
        return _mean_image(name, "mean image (.npy)", array, order or "RGB", said)
    else:
        raise ReadError(
            name,
            f"its shape {array.shape} is not that of a mean image",
            "Save it as (3, height, width), which is taken as BGR, or (height, width, 3), as RGB",
        )
    return _mean_image(name, "mean image (.npy)", array, order or "BGR", said)


def _mean_image(name: str, kind: str, values: np.ndarray, order: str, said: str) -> Imported:
    """``values`` are ``(H, W, C)`` in the file's own unit and channel order."""
    height, width, channels = values.shape
    if max(height, width) > LARGEST_SIDE:
        raise ReadError(
            name,
            f"its mean image of {height}×{width} is larger than {LARGEST_SIDE} pixels a side",
            "Reduce it",
        )
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ReadError(name, "it holds numbers that are not finite", "Compute it again")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255:
        raise ReadError(
            name,
            f"its values run from {low:g} to {high:g}, and a mean image lies in 0–255 or 0–1",
            "Save the mean of the pixels before anything was subtracted from them",
        )
    scale = 1 if high <= 1 else 255
    order = order if channels == 3 else "grey"
    found = MeanImage(values, order, scale)
    mean = found.fraction_mean
    own = ", ".join(f"{v:.6g}" for v in (mean[::-1] if order == "BGR" else mean) * scale)
    here = ", ".join(f"{v:.4f}" for v in mean)
    what = f"A mean image of {height}×{width}" if height * width > 1 else "One mean colour"
    why = f" ({said})" if said and channels == 3 else ""
    words = (
        f"{what}, taken as {order}{why} on 0–{scale}: {own} on average. "
        f"Here it is {'RGB' if channels == 3 else order} on 0–1: {here} on average."
    )
    if height * width > 1:
        words += (
            " It meets an image of another size as “Mean image” says: resized, or cut out. As a "
            f"pipeline both sides become {_size(height, width)}, as Caffe's convert_imageset "
            f"makes them; then{' RGB turns to BGR and' * (order == 'BGR')} the mean image is "
            "subtracted. A crop after that, such as CaffeNet's 227, is not in the file."
        )
    problems = []
    if scale == 1 and high == 0:
        problems.append("It is black everywhere: nothing is subtracted.")
    if channels == 3 and order == "BGR" and mean[2] > mean[0] + 0.02:
        problems.append(
            "Taken as BGR its blue is stronger than its red, which is rare for photos: it may be "
            "RGB."
        )
    elif channels == 3 and order == "RGB" and mean[2] > mean[0] + 0.02:
        problems.append(
            "Taken as RGB its blue is stronger than its red, which is rare for photos: it may be "
            "BGR."
        )
    return Imported(kind, found, words, tuple(problems), _pipeline(name, found, values))


def _pipeline(name: str, found: MeanImage, values: np.ndarray) -> Pipeline | None:
    """Caffe's steps before the crop; to be fitted with ``found``, unless it is one colour."""
    if values.shape[:2] == (1, 1):
        mean, std = tuple(values[0, 0].tolist()), (1.0,) * found.channels
        return pipeline_of(name, ChannelConstants(mean, std, found.scale, found.order))
    width = found.width if found.width != found.height else 0
    steps: list[Step] = [Resize(found.height, "both", library="opencv", width=width)]
    if found.channels == 3:
        steps.insert(0, ToRGB())
    if found.order == "BGR":
        steps.append(ChannelOrder())
    return Pipeline((*steps, Normalize(DatasetMeanImage(scale=int(found.scale)))))


def _size(height: int, width: int) -> str:
    return f"{height} px" if height == width else f"{height}×{width} px"


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (field, wire type, value) of a protocol buffer's message; ValueError where it ends."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        field, wire = key >> 3, key & 7
        if field < 1:
            raise ValueError("a field has the number 0")
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield field, wire, value
            continue
        if wire == _LENGTH:
            size, position = _varint(data, position)
        elif wire in (_FOUR, _EIGHT):
            size = 4 if wire == _FOUR else 8
        else:
            raise ValueError(f"a field has the unknown type {wire}")
        if size > len(data) - position:
            raise ValueError("a field is longer than the file")
        yield field, wire, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("it ends within a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is longer than 64 bits")


def _dimensions(message: bytes) -> list[int]:
    """The ``dim`` of a BlobShape: packed, or one field each."""
    found: list[int] = []
    for field, wire, value in _fields(message):
        if field != 1:
            continue
        if wire == _VARINT:
            found.append(int(value))
        elif wire == _LENGTH:
            packed, position = bytes(value), 0
            while position < len(packed) and len(found) < 9:
                side, position = _varint(packed, position)
                found.append(side)
        if len(found) > 8:
            raise ValueError("its shape has more than eight sides")
    return found
