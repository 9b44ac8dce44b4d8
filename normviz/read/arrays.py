"""From an array of any layout and number type to a run of images: the rules, and saying them.

Layout: an axis of 1, 3 or 4 at the end is channels; else one right before the image axes is
(channels first); else, in four dimensions, (H, W, C, N). An array of three dimensions without a
channel axis is N grey images. A fourth channel is taken for alpha and dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from normviz.errors import ReadError, ShapeError
from normviz.images import BYTE_RANGE, UNIT_RANGE, WORD_RANGE, Image, ValueRange, image_of
from normviz.read.limits import Limits
from normviz.read.source import Origin, Run

CHANNEL_COUNTS = (1, 3, 4)
FLAT_LENGTHS = (64, 784, 1024, 3072)
BLOCK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Storage:
    """How the numbers of an array become pixels: the type, the declared range and what to say."""

    dtype: np.dtype
    value_range: ValueRange
    factor: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ArrayRun(Run):
    """N images in one array ``(N, H, W, C)``; a view, so that a memory-mapped file stays on disk.

    ``lone`` is true for an array that is one image; its path carries no index then.
    """

    name: str
    images: np.ndarray
    storage: Storage
    lone: bool = False
    labels: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    origin: Origin | None = None

    @property
    def held(self) -> int:  # type: ignore[override]
        base = self.images
        while isinstance(base, np.ndarray):
            if isinstance(base, np.memmap):
                return 0
            if base.base is None:
                break
            base = base.base
        kept = base.nbytes if isinstance(base, np.ndarray) else self.images.nbytes
        return int(min(kept, self.images.nbytes))

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def path(self, index: int) -> str:
        return self.name if self.lone else f"{self.name}[{index}]"

    def label(self, index: int) -> str | None:
        return None if self.labels is None else self.labels[index]

    def image(self, index: int) -> Image:
        path = self.path(index)
        stored = self.images[index]
        notes = self.storage.notes
        if stored.shape[2] == 4:
            notes = (*notes, "fourth channel taken for alpha and dropped")
            stored = stored[:, :, :3]
        # astype always copies, so that no image keeps a whole file alive or follows its changes.
        pixels = np.asarray(stored).astype(self.storage.dtype)
        if self.storage.factor != 1:
            pixels *= self.storage.dtype.type(self.storage.factor)
        return checked_image(pixels, self.storage.value_range, path, self.label(index), notes)


def checked_image(
    pixels: np.ndarray,
    value_range: ValueRange | None,
    path: str,
    label: str | None,
    notes: tuple[str, ...],
) -> Image:
    """Make an image under the shared contract; what it refuses becomes a :class:`ReadError`."""
    try:
        return image_of(pixels, value_range, path, label, notes)
    except ShapeError as error:
        text = str(error).removeprefix(f"{path}: ")
        reason, _, remedy = text.rstrip(".").rpartition(". ")
        raise ReadError(path, reason or remedy, remedy if reason else "") from None


def array_run(
    array: np.ndarray,
    name: str,
    limits: Limits,
    labels: Sequence[str] | None = None,
) -> tuple[ArrayRun, tuple[str, ...]]:
    """Return the images of an array, and notes about what its layout and numbers were taken for.

    Raises :class:`ReadError` for a shape or number type that images do not have.
    """
    refuse_dtype(array.dtype, name)
    refuse_empty(array.shape, name)
    images, layout = _laid_out(array, name)
    limits.refuse_pixels(name, images.shape[2], images.shape[1])
    limits.refuse_images(name, images.shape[0])
    storage = _storage(array, name)
    lone = images.shape[0] == 1 and array.ndim < 4
    run = ArrayRun(name, images, storage, lone)
    if labels is not None:
        run = with_labels(run, labels)
    said = tuple(f"{name}: {note}" for note in (*layout, *storage.notes))
    return run, said


def with_labels(run: ArrayRun, labels: Sequence[str]) -> ArrayRun:
    """Return the run with one label an image; the number must match."""
    if len(labels) != len(run):
        raise ReadError(
            run.name,
            f"there are {len(labels):,} labels for {len(run):,} images",
            "Give the labels that belong to these images",
        )
    return replace(run, labels=labels)


def refuse_dtype(dtype: np.dtype, name: str) -> None:
    """Raise :class:`ReadError` for a number type that pixels cannot have."""
    if dtype.hasobject:
        raise ReadError(
            name,
            "it holds Python objects (a pickle), which can run code when opened",
            "Save a plain number array: numpy.save(file, numpy.asarray(images, dtype='uint8'))",
        )
    if dtype.kind not in "buif" or dtype.itemsize == 0 or dtype.shape or dtype.names:
        raise ReadError(
            name,
            f"it holds {_kind_text(dtype)}, which are not pixels",
            "Save it as uint8, uint16 or float32",
        )


def refuse_empty(shape: tuple[int, ...], name: str) -> None:
    """Raise :class:`ReadError` when an array has no element."""
    if any(side < 1 for side in shape) or not shape:
        raise ReadError(
            name,
            f"its shape {shape} holds no image" if shape else "it is a single number, not an image",
            "Save an array (height, width), (height, width, 3) or (images, height, width, 3)",
        )


def refuse_promise(promised: int, present: int, name: str) -> None:
    """Raise :class:`ReadError` when a header promises more bytes than the file holds."""
    if promised > present:
        raise ReadError(
            name,
            f"its header promises {promised:,} bytes of numbers, the file holds {present:,}",
            "It was cut off or changed: copy or save it again",
        )


def _laid_out(array: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    shape = array.shape
    text = f"shape {shape}"
    if array.ndim == 2:
        note = f"{text} read as one grey image of {shape[1]} × {shape[0]} pixels"
        if shape[1] in FLAT_LENGTHS:
            note += "; if its rows are flattened images, save them as (images, height, width)"
        return array[None, :, :, None], (note,)
    if array.ndim == 3:
        if shape[2] in CHANNEL_COUNTS:
            note = f"{text} read as one image, channels last"
            if shape[0] in CHANNEL_COUNTS and shape[0] != 1:
                note += " (the last axis wins when both could be channels)"
            return array[None], (note,)
        if shape[0] in (1, 3):
            note = f"{text} read as one image, channels first"
            if shape[0] == 3:
                note += f" (save three grey images as (3, {shape[1]}, {shape[2]}, 1))"
            return array.transpose(1, 2, 0)[None], (note,)
        if shape[2] == 2:
            raise ReadError(
                name,
                f"{text} has two channels, which are neither grey nor RGB",
                "Save one or three channels",
            )
        return array[..., None], (
            f"{text} read as {shape[0]:,} grey images of {shape[2]} × {shape[1]} pixels",
        )
    if array.ndim == 4:
        if shape[3] in CHANNEL_COUNTS:
            note = f"{text} read as {shape[0]:,} images, channels last"
            if shape[1] in CHANNEL_COUNTS:
                note += " (the last axis wins when both could be channels)"
            return array, (note,)
        if shape[1] in CHANNEL_COUNTS:
            note = f"{text} read as {shape[0]:,} images, channels first"
            return array.transpose(0, 2, 3, 1), (note,)
        if shape[2] in CHANNEL_COUNTS:
            note = f"{text} read as {shape[3]:,} images in the order height, width, channel, image"
            return array.transpose(3, 0, 1, 2), (note,)
    raise ReadError(
        name,
        f"{text} is not a layout of images",
        "Save it as (height, width), (height, width, 3), (images, height, width) or "
        "(images, height, width, 3)",
    )


def _storage(array: np.ndarray, name: str) -> Storage:
    dtype = array.dtype
    byte, word, single = np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)
    if dtype.kind == "b":
        return Storage(byte, BYTE_RANGE, 255, ("false and true stored as 0 and 255",))
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return Storage(byte, BYTE_RANGE) if dtype.itemsize == 1 else Storage(word, WORD_RANGE)
    low, high = extent(array)
    if dtype.kind in "iu":
        if low >= 0 and high <= 255:
            return Storage(byte, BYTE_RANGE, 1, (f"{dtype.name} within 0–255 stored as uint8",))
        if low >= 0 and high <= 65535:
            note = f"{dtype.name} within 0–65535 stored as uint16"
            return Storage(word, WORD_RANGE, 1, (note,))
        raise ReadError(
            name,
            f"its whole numbers ({dtype.name}) run from {int(low)} to {int(high)}, outside of "
            "0–255 and 0–65535",
            "Save uint8 or uint16, or float32 if these are measurements",
        )
    low, high = float(low), float(high)
    if max(abs(low), abs(high)) > float(np.finfo(np.float32).max):
        raise ReadError(
            name,
            f"its values run from {low:g} to {high:g}, beyond what float32 holds",
            "Divide them by a constant and save it again",
        )
    value_range, said = float_range(low, high)
    stored = "" if dtype.itemsize == 4 else f"{dtype.name} stored as float32, "
    return Storage(single, value_range, 1, (stored + said,))


def extent(array: np.ndarray) -> tuple[float, float]:
    """Return the lowest and highest finite value, block by block; (0, 0) when there is none."""
    low, high = np.inf, -np.inf
    for block in _blocks(array):
        if block.dtype.kind == "f":
            block = block[np.isfinite(block)]
        if block.size:
            low, high = min(low, block.min().item()), max(high, block.max().item())
    return (low, high) if low <= high else (0.0, 0.0)


def float_range(low: float, high: float) -> tuple[ValueRange, str]:
    """Choose the value range to declare for floats from ``low`` to ``high``, and how to say it.

    0–1 and −1–1 by the usual conventions, 0–255 for floats that hold byte values, otherwise the
    values' own lowest and highest.

    >>> float_range(0.0, 201.5)
    (ValueRange(low=0.0, high=255.0), 'float values 0 to 201.5, value range taken as 0–255')
    """
    low, high = float(low), float(high)
    values = f"float values {low:g} to {high:g}"
    if low >= 0 and high <= 1:
        return UNIT_RANGE, f"{values}, value range taken as 0–1"
    if low >= 0 and high <= 255:
        return BYTE_RANGE, f"{values}, value range taken as 0–255"
    if low >= -1 and high <= 1:
        return ValueRange(-1.0, 1.0), f"{values}, value range taken as −1–1"
    if low == high:
        return ValueRange(low, low + max(1.0, abs(low))), f"{values}, all alike"
    return ValueRange(low, high), f"{values}, value range taken as its own lowest to highest"


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Cut an array along its slowest axis into blocks that stay small in memory."""
    flat = array.reshape(-1, order="A")
    for start in range(0, flat.size, BLOCK_ELEMENTS):
        yield np.asarray(flat[start : start + BLOCK_ELEMENTS])


def _kind_text(dtype: np.dtype) -> str:
    names = {"c": "complex numbers", "U": "text", "S": "bytes", "M": "dates", "m": "durations"}
    if dtype.names:
        return "records of several fields"
    return names.get(dtype.kind, f"values of type {dtype}")
