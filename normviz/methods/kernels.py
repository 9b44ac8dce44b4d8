"""The hot loops: y = gain · x + bias per channel, a matrix on colours, and y by level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

# Rows are processed in blocks that stay in the second-level cache.
_VALUES_A_BLOCK = 1 << 16
_COLOURS_A_BLOCK = 1 << 17

_LEVELS = np.arange(256.0)

# How much larger than the largest result the numbers may be that float32 rounds on the way: with
# 4, all roundings together stay below 1e-6 of that result.
_ROUNDED = 4
_WHOLE = 1e-9
_NEAR = 2e-7

# Values that are converted, multiplied and added before the next ones: a multiple of the channels,
# small enough for the second-level cache.
_TILE = 3 << 14

# Fewer values than this are looked up.
_FEW = 1024

# From so many values on, a gain and bias a channel are computed faster than looked up.
_MANY = 1 << 18


def affine(
    pixels: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    ends: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return gain · x + bias as float32 for pixels ``(H, W, C)``, gain and bias ``(C,)``.

    Each value is the float64 result rounded once, computed in blocks. Bytes go a faster way in
    float32 where that stays within 1e-6 of the largest result and keeps whole numbers, such as 0
    and 1, which is tried on the 256 levels; else their results are looked up. ``ends`` are the
    lowest and highest of all values, where known.

    >>> affine(np.array([[[0], [255]]], np.uint8), np.array([2 / 255]), np.array([-1.0])).ravel()
    array([-1.,  1.], dtype=float32)
    """
    channels = pixels.shape[2]
    if pixels.dtype == np.uint8:
        done = _converted(pixels, np.ravel(gain).tolist(), np.ravel(bias).tolist(), ends)
        if done is not None:
            return done
        table = _LEVELS[:, np.newaxis] * gain + bias
        if table.shape[1] == 3 and pixels.size >= _MANY:
            gain, bias = np.broadcast_to(gain, 3), np.broadcast_to(bias, 3)
            done = _in_float32(pixels, gain, bias, ends)
        return looked_up(pixels, table) if done is None else done
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


def _converted(
    pixels: np.ndarray, gain: list[float], bias: list[float], ends: tuple[float, float] | None
) -> np.ndarray | None:
    """Return gain · x + bias of bytes by one call in float32; None where that would show."""
    (factor, *others), biases = set(gain), set(bias)
    if others or factor <= 0 or not (len(biases) == 1 or factor == 1):
        return None
    if factor == 1 and not any(biases):
        return pixels.astype(np.float32)
    if pixels.size < _FEW:
        return None
    low, high = ends or cv2.minMaxLoc(pixels.reshape(len(pixels), -1))[:2]
    if len(biases) == 1:
        cut = _cut(factor, bias[0], low, high)
        if cut is None:
            return None
        return _scaled(pixels, factor * low + bias[0], factor * high + bias[0], cut)
    if not _small_on_the_way(factor, bias, low, high):
        return None
    return cv2.subtract(pixels, np.array([*bias, 0.0]) * -1, dtype=cv2.CV_32F)


def _scaled(pixels: np.ndarray, first: float, last: float, cut: bool) -> np.ndarray:
    """Return bytes as float32 on the line that brings the lowest to ``first``, the highest to
    ``last``; ``cut`` takes off what rounds to more than ``last``."""
    # Given its own ends, this is OpenCV's conversion with a gain and bias (Mat::convertTo),
    # which Python is not given: 1.4 times as fast as cv2.addWeighted.
    out = normalized(pixels, first, last)
    if cut:
        flat = out.reshape(len(out), -1)
        cv2.threshold(flat, last, 0, cv2.THRESH_TRUNC, flat)
    return out


def _in_float32(
    pixels: np.ndarray, gain: np.ndarray, bias: np.ndarray, ends: tuple[float, float] | None
) -> np.ndarray | None:
    """Return gain · x + bias of bytes, a pair a channel, in float32; None where it would show."""
    low, high = ends or cv2.minMaxLoc(pixels.reshape(len(pixels), -1))[:2]
    tiles = _tiles(tuple(gain.tolist()), tuple(bias.tolist()), int(low), int(high))
    if tiles is None:
        return None
    centres, gains = tiles
    flat = np.ascontiguousarray(pixels).reshape(-1)
    out = np.empty(flat.shape, np.float32)
    for start in range(0, flat.size, _TILE):
        block = out[start : start + _TILE]
        np.copyto(block, flat[start : start + _TILE])
        block -= centres[: len(block)]
        block *= gains[: len(block)]
    return out.reshape(pixels.shape)


@lru_cache(16)
def _tiles(
    gain: tuple[float, ...], bias: tuple[float, ...], low: int, high: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return centres and gains for the values of a block, so that y = (x − centre) · gain.

    None where a result of the levels ``low`` to ``high`` would be further than rounding from the
    exact one, or a whole number would not stay whole.
    """
    if 0 in gain:
        return None
    levels = _LEVELS[low : high + 1, np.newaxis]
    exact = levels * gain + bias
    # x − centre is a small number: less is lost than in gain · x + bias.
    centre, factor = -np.divide(bias, gain).astype(np.float32), np.array(gain, np.float32)
    if not np.isfinite(centre).all():
        return None
    tried = (levels.astype(np.float32) - centre) * factor
    whole = np.abs(exact - np.rint(exact)) <= _WHOLE
    near = np.abs(tried - exact).max() <= _NEAR * np.abs(exact).max()
    if not near or (tried[whole] != np.rint(exact[whole])).any():
        return None
    times = _TILE // len(gain)
    return np.tile(centre, times), np.tile(factor, times)


@lru_cache(4096)
def _cut(gain: float, bias: float, low: float, high: float) -> bool | None:
    """Whether OpenCV's line goes past its last value by a rounding, as 1.0000001 for 1 does.

    None where rounding would show: where it is not small, or a whole number does not stay whole.
    """
    if not _small_on_the_way(gain, (bias,), low, high):
        return None
    levels = [low, min(max(round(-bias / gain), low), high), high]
    exact = [gain * level + bias for level in levels]
    # So many that OpenCV computes them as it does those of a large image.
    pixels = np.tile(np.array(levels, np.uint8), _FEW).reshape(-1, 3, 1)
    for cut in (False, True):
        tried = _scaled(pixels, exact[0], exact[2], cut)
        if all(
            abs(value - round(value)) > _WHOLE or (done == round(value)).all()
            for value, done in zip(exact, tried.T[0], strict=True)
        ):
            return cut
    return None


def _small_on_the_way(gain: float, biases: Sequence[float], low: float, high: float) -> bool:
    """Whether rounding gain and bias too, to float32, is small beside the largest result."""
    largest = max(min(abs(gain * end + bias) for bias in biases) for end in (low, high))
    return 255 * gain + max(map(abs, biases)) <= _ROUNDED * largest


def normalized(
    pixels: np.ndarray, alpha: float, beta: float, norm: int = cv2.NORM_MINMAX
) -> np.ndarray:
    """Return cv2.normalize of all values of bytes together, as float32.

    >>> normalized(np.array([[[3, 0, 4]]], np.uint8), 1, 0, cv2.NORM_L2).ravel()
    array([0.6, 0. , 0.8], dtype=float32)
    """
    flat = pixels.reshape(len(pixels), -1)
    # OpenCV's types want an output; OpenCV itself does not.
    new: Any = None
    out = cv2.normalize(flat, new, alpha, beta, norm, cv2.CV_32F)
    return np.asarray(out).reshape(pixels.shape)


def turned(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return ``matrix`` ``(3, 4)`` of (R, G, B, 1) as float32 for bytes ``(H, W, 3)``.

    >>> swap = np.eye(3, 4)[::-1]
    >>> turned(np.array([[[1, 2, 3]]], np.uint8), swap).ravel()
    array([3., 2., 1.], dtype=float32)
    """
    out = np.empty(pixels.shape, np.float32)
    matrix = matrix.astype(np.float32)
    rows = min(max(1, _COLOURS_A_BLOCK // (3 * pixels.shape[1])), len(pixels))
    levels = np.empty((rows, *pixels.shape[1:]), np.float32)
    for top in range(0, len(pixels), rows):
        block = levels[: len(pixels) - top]
        np.copyto(block, pixels[top : top + rows])
        cv2.transform(block, matrix, out[top : top + rows])
    return out


def pooled_moments(pixels: np.ndarray) -> tuple[float, float]:
    """Return mean and population std of all values of bytes, without counting the levels.

    >>> pooled_moments(np.array([[[1, 2, 3]], [[1, 2, 3]]], np.uint8))[0]
    2.0
    """
    total = round(sum(cv2.sumElems(pixels)))
    squares = round(cv2.norm(pixels.reshape(len(pixels), -1), cv2.NORM_L2SQR))
    return _exact(pixels.size, total, squares)


def channel_moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and population std of each channel of bytes, without counting the levels.

    >>> channel_moments(np.array([[[1, 5]], [[3, 5]]], np.uint8)[..., [0, 1, 1]])
    (array([2., 5., 5.]), array([1., 0., 0.]))
    """
    count = pixels.shape[0] * pixels.shape[1]
    means, stds = (v.ravel() for v in cv2.meanStdDev(pixels))
    # Sums of bytes are whole numbers, of which OpenCV keeps 15 digits: rounding restores them.
    sums = [
        (count, round(count * mean), round(count * (std * std + mean * mean)))
        for mean, std in zip(means.tolist(), stds.tolist(), strict=True)
    ]
    mean, std = zip(*(_exact(*one) for one in sums), strict=True)
    return np.array(mean), np.array(std)


def _exact(count: int, total: int, squares: int) -> tuple[float, float]:
    """Mean and std from whole sums, rounded once."""
    return total / count, float(np.sqrt((count * squares - total**2) / count**2))


def looked_up(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return float32 y of each level for uint8 or uint16 pixels ``(H, W, C)``.

    ``table`` is ``(256 or 65536, C)``, one curve a channel, or has one column for all of them.

    >>> looked_up(np.array([[[0], [2]]], np.uint8), np.arange(256.0)[:, None] ** 2).ravel()
    array([0., 4.], dtype=float32)
    """
    table = np.ascontiguousarray(table, np.float32)[np.newaxis]
    return cv2.LUT(pixels, table).reshape(pixels.shape)
