"""IDX, the format of MNIST and its kin (``train-images-idx3-ubyte``, also gzipped).

Two zero bytes, a type, the number of dimensions, each dimension in four bytes, then the numbers,
all big-endian. One dimension is a list of labels. Source: Y. LeCun's MNIST page.
"""

from __future__ import annotations

import math

import numpy as np

from normviz.errors import ReadError
from normviz.read.arrays import array_run, refuse_empty, refuse_promise
from normviz.read.inflate import Inflated, form_of
from normviz.read.limits import Limits
from normviz.read.source import Kind, LabelList, Listing, Source

TYPES: dict[int, np.dtype] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
STEP = 2**20


def is_idx(head: bytes) -> bool:
    """Tell an IDX file by its first four bytes.

    >>> is_idx(bytes([0, 0, 8, 3]) + bytes(12))
    True
    """
    return len(head) >= 8 and head[:2] == b"\0\0" and head[2] in TYPES and 1 <= head[3] <= 4


def read_idx(source: Source, limits: Limits) -> np.ndarray:
    """Return the array of an IDX file, read-only; mapped when it lies on disk uncompressed.

    Raises :class:`ReadError` for a wrong magic number or fewer numbers than promised.
    """
    source = source.in_memory(limits)
    head = source.head()
    form = form_of(head)
    data = source.data
    size = source.size
    if form:
        data = _inflated(source, form, limits)
        size = len(data)
        head = data[:1024]
    if not is_idx(head):
        raise ReadError(
            source.name,
            f"it does not start with the magic number of IDX (it starts with {head[:4].hex(' ')})",
            "Give the files as they are published, such as train-images-idx3-ubyte.gz",
        )
    dtype, ndim = TYPES[head[2]], head[3]
    offset = 4 + 4 * ndim
    if len(head) < offset:
        raise ReadError(source.name, "its header is cut off", "Copy or download it again")
    shape = tuple(int(side) for side in np.frombuffer(head, ">u4", ndim, 4))
    refuse_empty(shape, source.name)
    refuse_promise(math.prod(shape) * dtype.itemsize, size - offset, source.name)
    if data is not None:
        return np.frombuffer(data, dtype, math.prod(shape), offset).reshape(shape)
    assert source.path is not None
    try:
        return np.memmap(source.path, dtype, "r", offset, shape)
    except (OSError, ValueError) as error:
        raise ReadError(
            source.name, f"it cannot be mapped into memory ({error})", "Check that you may read it"
        ) from None


def _inflated(source: Source, form: str, limits: Limits) -> bytes:
    data = bytearray()
    with Inflated(source.open(), form, source.name, limits) as stream:
        while block := stream.read(STEP):
            data += block
            limits.refuse_memory(source.name, len(data))
    return bytes(data)


def inner_head(source: Source, limits: Limits) -> bytes:
    """Return the first bytes of what a compressed file holds, empty when it cannot be unpacked."""
    form = form_of(source.head())
    if form is None:
        return b""
    try:
        with Inflated(source.open(), form, source.name, limits) as stream:
            return stream.read(1024)
    except ReadError:
        return b""


def _recognises(source: Source, head: bytes) -> bool:
    return is_idx(head) or is_idx(inner_head(source, Limits()))


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    array = read_idx(source, limits)
    if array.ndim > 1:
        run, notes = array_run(array, source.name, limits)
        return Listing(runs=[run], notes=list(notes))
    if array.dtype.kind == "f":
        raise ReadError(
            source.name, "it is a list of fractions, not of labels", "Give a file of images"
        )
    limits.refuse_images(source.name, array.size)
    return Listing(label_lists=[LabelList(source, [str(v) for v in array.tolist()])])


KIND = Kind(
    "idx",
    "IDX files as of MNIST (images and labels, also .gz)",
    ("-ubyte", "-ubyte.gz", ".idx", ".idx.gz"),
    _recognises,
    _list_images,
)
