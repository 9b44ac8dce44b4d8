"""The hot loops: y = gain · x + bias per channel, and y by level, to float32."""

from __future__ import annotations

import cv2
import numpy as np

# Rows are processed in blocks that stay in the second-level cache.
_VALUES_A_BLOCK = 1 << 16


def affine(pixels: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return gain · x + bias as float32 for pixels ``(H, W, C)``, gain and bias ``(C,)``.

    Each value is the float64 result rounded once. A byte has 256 of them, so those are looked
    up; other types are computed in blocks.

    >>> affine(np.array([[[0], [255]]], np.uint8), np.array([2 / 255]), np.array([-1.0])).ravel()
    array([-1.,  1.], dtype=float32)
    """
    channels = pixels.shape[2]
    if pixels.dtype == np.uint8:
        return looked_up(pixels, np.arange(256.0)[:, np.newaxis] * gain + bias)
    gain = np.broadcast_to(np.asarray(gain, np.float64), channels)
    bias = np.broadcast_to(np.asarray(bias, np.float64), channels)
    out = np.empty(pixels.shape, np.float32)
    rows = max(1, _VALUES_A_BLOCK // (pixels.shape[1] * channels))
    for top in range(0, pixels.shape[0], rows):
        block = pixels[top : top + rows].astype(np.float64)
        block *= gain
        block += bias
        out[top : top + rows] = block
    return out


def looked_up(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return float32 y of each level for uint8 or uint16 pixels ``(H, W, C)``.

    ``table`` is ``(256 or 65536, C)``, one curve a channel, or has one column for all of them.

    >>> looked_up(np.array([[[0], [2]]], np.uint8), np.arange(256.0)[:, None] ** 2).ravel()
    array([0., 4.], dtype=float32)
    """
    table = np.ascontiguousarray(table, np.float32)[np.newaxis]
    return cv2.LUT(pixels, table).reshape(pixels.shape)
