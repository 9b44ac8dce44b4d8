"""Pillow's ImageOps, which is always installed; it works on bytes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from tests.parity.case import Given, Library

LIBRARY = Library("Pillow", "pillow", "PIL")


def bytes_of(function, given: Given, **options) -> np.ndarray:
    return np.asarray(function(Image.fromarray(given.x), **options)) / 255


@LIBRARY.differs(
    "channel_min_max",
    0.0039,
    "cuts off to whole bytes",
    lambda given: np.floor(255 * given.ours + 1e-9) / 255,
)
def autocontrast(given: Given):
    """ImageOps.autocontrast(image)"""
    return bytes_of(ImageOps.autocontrast, given)


def counted_off(given: Given) -> np.ndarray:
    """Bytes from the first to the last level that is left when 2 % are counted off both ends."""
    done = np.empty(given.x.shape)
    for c in range(3):
        left = np.bincount(given.x[..., c].ravel(), minlength=256)
        cut = left.sum() * 2 // 100
        low, high = (np.flatnonzero(end.cumsum() > cut)[0] for end in (left, left[::-1]))
        scale = 255 / (255 - high - low)
        done[..., c] = np.trunc(np.clip(given.x[..., c] * scale - low * scale, 0, 255))
    return done / 255


@LIBRARY.differs(
    "percentile_stretch",
    0.0039,
    "counts whole pixels off each channel instead of interpolating, and cuts off to bytes",
    counted_off,
    over="channel",
)
def autocontrast_cutoff(given: Given):
    """ImageOps.autocontrast(image, cutoff=(2, 2))"""
    return bytes_of(ImageOps.autocontrast, given, cutoff=(2, 2))


def in_steps(given: Given) -> np.ndarray:
    """Bytes by counting what is below a level in whole steps."""
    done = np.empty(given.x.shape)
    for c in range(3):
        counts = np.bincount(given.x[..., c].ravel(), minlength=256)
        step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
        below = np.concatenate([[0], counts.cumsum()[:-1]])
        done[..., c] = np.minimum((step // 2 + below) // step, 255)[given.x[..., c]]
    return done / 255


@LIBRARY.differs(
    "equalize",
    0.23,
    "counts the pixels below a value, not up to it, in whole steps of about N / 255 pixels",
    in_steps,
)
def equalize(given: Given):
    """ImageOps.equalize(image)"""
    return bytes_of(ImageOps.equalize, given)
