"""The image contract: one array layout, a declared value range, and a digest.

Every reader ends here and everything later relies on it: pixels are ``(H, W, C)`` with C = 1
(grey) or 3 (RGB), read-only, uint8, uint16 or float32, and the range of possible values is stated.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

import cv2
import numpy as np

from normviz.errors import ShapeError


class ValueRange(NamedTuple):
    """The lowest and highest value that a pixel can take (not the ones that occur)."""

    low: float
    high: float

    @property
    def span(self) -> float:
        return self.high - self.low


BYTE_RANGE = ValueRange(0.0, 255.0)
WORD_RANGE = ValueRange(0.0, 65535.0)
UNIT_RANGE = ValueRange(0.0, 1.0)

CHANNEL_NAMES: dict[int, tuple[str, ...]] = {1: ("grey",), 3: ("R", "G", "B")}
"""By the number of channels."""

_INTEGER_RANGES = {np.dtype(np.uint8): BYTE_RANGE, np.dtype(np.uint16): WORD_RANGE}


def default_range(dtype: np.dtype | type) -> ValueRange:
    """Return the value range that a pixel type implies: all of an integer type, 0…1 for floats.

    >>> default_range(np.uint8)
    ValueRange(low=0.0, high=255.0)
    """
    return _INTEGER_RANGES.get(np.dtype(dtype), UNIT_RANGE)


@dataclass(frozen=True, eq=False)
class Image:
    """One image: read-only pixels ``(H, W, C)``, their value range, and where they come from.

    Build it with :func:`image_of`, which checks what this class only states.

    ``notes`` says in plain clauses what reading did to the file ("turned as its EXIF tag asks").
    """

    pixels: np.ndarray
    value_range: ValueRange
    path: str = ""
    label: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        return int(self.pixels.shape[2])

    @property
    def levels(self) -> int | None:
        """How many values a pixel can take: 256, 65536, or None for floats."""
        return level_count(self.pixels.dtype)

    @cached_property
    def digest(self) -> str:
        """A name for these pixels by content (BLAKE2b over shape, type, range and every byte)."""
        head = f"{self.pixels.shape}{self.pixels.dtype.str}{tuple(self.value_range)}"
        state = blake2b(head.encode(), digest_size=16)
        state.update(np.ascontiguousarray(self.pixels).data)
        return state.hexdigest()


def level_count(dtype: np.dtype | type) -> int | None:
    """Return the number of levels of an integer pixel type, None for floats.

    >>> level_count(np.uint16)
    65536
    """
    dtype = np.dtype(dtype)
    return 256**dtype.itemsize if dtype in _INTEGER_RANGES else None


def image_of(
    pixels: np.ndarray,
    value_range: tuple[float, float] | None = None,
    path: str = "",
    label: str | None = None,
    notes: tuple[str, ...] = (),
) -> Image:
    """Check an array and make an :class:`Image` of it.

    ``pixels`` is ``(H, W)`` or ``(H, W, C)`` with C = 1 or 3, of uint8, uint16 or any float type
    (stored as float32). ``value_range`` is implied for integers and must hold every value of a
    float image (default 0…1).

    Raises :class:`ShapeError` for another shape or type, an empty image, NaN or infinity (named
    with its position), or values outside of the range.

    >>> image_of(np.zeros((2, 3), np.uint8)).pixels.shape
    (2, 3, 1)
    """
    name = path or "the image"
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ShapeError(
            f"{name}: expected an array (height, width) or (height, width, 1 or 3 channels), "
            f"got shape {pixels.shape}. Reorder or choose channels first."
        )
    if 0 in pixels.shape:
        raise ShapeError(f"{name}: the image is empty (shape {pixels.shape}).")
    if pixels.dtype in _INTEGER_RANGES:
        implied = _INTEGER_RANGES[pixels.dtype]
        if value_range is not None and tuple(value_range) != tuple(implied):
            raise ShapeError(
                f"{name}: {pixels.dtype} pixels have the value range {_text(implied)}, "
                f"not {_text(ValueRange(*value_range))}. Convert to float to declare another one."
            )
        value_range = implied
    elif np.issubdtype(pixels.dtype, np.floating):
        pixels = pixels.astype(np.float32)
        refuse_non_finite(pixels, name)
        value_range = ValueRange(*map(float, value_range or UNIT_RANGE))
        low, high = float(pixels.min()), float(pixels.max())
        if not (value_range.low < value_range.high and np.isfinite(value_range.span)):
            raise ShapeError(
                f"{name}: the value range {_text(value_range)} is empty or not finite. "
                "Give the lowest and the highest value that a pixel can take."
            )
        # A float32 pixel may round just past a bound that was given as float64.
        slack = 1e-6 * max(abs(value_range.low), abs(value_range.high))
        if low < value_range.low - slack or high > value_range.high + slack:
            raise ShapeError(
                f"{name}: values {low:g} to {high:g} leave the declared range "
                f"{_text(value_range)}. Declare the range that these floats have."
            )
    else:
        raise ShapeError(
            f"{name}: expected uint8, uint16 or float pixels, got {pixels.dtype}. Convert first."
        )
    # A view, so that the caller's own array keeps its flags; copied only when it is not compact.
    pixels = np.ascontiguousarray(pixels).view()
    pixels.flags.writeable = False
    return Image(pixels, ValueRange(*value_range), path, label, tuple(notes))


def refuse_non_finite(pixels: np.ndarray, name: str) -> None:
    """Raise :class:`ShapeError` that names the first NaN or infinity of ``pixels`` by position.

    >>> refuse_non_finite(np.array([[[0.0], [np.nan]]]), "a.npy")
    Traceback (most recent call last):
    ...
    normviz.errors.ShapeError: a.npy: NaN at row 0, column 1, channel 0 (1 of 2 values is not \
finite). Replace it before loading.
    """
    finite = np.isfinite(pixels)
    if finite.all():
        return
    where = tuple(int(i) for i in np.argwhere(~finite)[0])
    value = pixels[where]
    kind = "NaN" if np.isnan(value) else ("infinity" if value > 0 else "minus infinity")
    bad = int(pixels.size - np.count_nonzero(finite))
    place = ", ".join(
        f"{axis} {i}" for axis, i in zip(("row", "column", "channel"), where, strict=False)
    )
    share = f"{bad} of {pixels.size} values {'is' if bad == 1 else 'are'} not finite"
    raise ShapeError(f"{name}: {kind} at {place} ({share}). Replace it before loading.")


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return ``pixels`` at another size: area average when shrinking, linear when growing.

    Shape ``(H, W, C)`` to ``(height, width, C)``; the type is kept (integers are rounded).

    >>> resized(np.array([[[0], [10]]], np.uint8), 1, 1).ravel()
    array([5], dtype=uint8)
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    out = cv2.resize(np.ascontiguousarray(pixels), (width, height), interpolation=method)
    return np.asarray(out).reshape(height, width, pixels.shape[2])


def reduced(image: Image, longest: int) -> Image:
    """Return a copy whose longer side is at most ``longest`` pixels; the same image if it fits."""
    side = max(image.height, image.width)
    if side <= longest:
        return image
    height = max(1, round(image.height * longest / side))
    width = max(1, round(image.width * longest / side))
    pixels = resized(image.pixels, height, width)
    pixels.flags.writeable = False
    return replace(image, pixels=pixels)


def as_rgb(image: Image) -> Image:
    """Return the image with three channels; grey is repeated and the note says so."""
    if image.channels == 3:
        return image
    pixels = np.repeat(image.pixels, 3, axis=2)
    pixels.flags.writeable = False
    return replace(image, pixels=pixels, notes=(*image.notes, "grey repeated into R, G and B"))


def _text(value_range: ValueRange) -> str:
    return f"{value_range.low:g}…{value_range.high:g}"
