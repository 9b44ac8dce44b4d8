"""The part of an image that a network of a fixed input size is fed."""

from __future__ import annotations

import numpy as np

from normviz.images import resized

CROPPED = 0.875
"""The share of the shorter side that is kept, as in most evaluations on ImageNet (224 of 256)."""


def centre_view(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the middle of pixels (H, W, C) as ``(height, width, C)``, the type kept.

    The image is scaled (area average where it shrinks) until ``height`` and ``width`` are 7/8 of
    it or less, one of them exactly, and the middle is cut out.

    >>> centre_view(np.zeros((480, 640, 3), np.uint8), 224, 224).shape
    (224, 224, 3)
    """
    scale = max(height / pixels.shape[0], width / pixels.shape[1]) / CROPPED
    rows = max(height, round(pixels.shape[0] * scale))
    columns = max(width, round(pixels.shape[1] * scale))
    if (rows, columns) != pixels.shape[:2]:
        pixels = resized(pixels, rows, columns)
    top, left = (rows - height) // 2, (columns - width) // 2
    return pixels[top : top + height, left : left + width]
