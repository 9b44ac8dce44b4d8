"""Measuring one image: its counts or moments, its terms in the sums between images, its row."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np

from normviz.images import Image, ValueRange
from normviz.statistics.across import PAIRS, STEP_BITS, Across, Terms, stepped
from normviz.statistics.counts import Counts
from normviz.statistics.covariance import ChannelProducts
from normviz.statistics.image import summary_of
from normviz.statistics.moments import Moments
from normviz.statistics.rows import ROW_PERCENTILES, Row

# Exact sums of float32 products need few pixels at a time.
_FLOATS_A_BLOCK = 1 << 16

_FINGERPRINT = (9, 8)
# The fingerprint is made from every k-th pixel, so that the shorter side has about this many.
_FINGERPRINT_SIDE = 64


class Key(NamedTuple):
    """What images must share for their counts or moments to be added; ``levels`` 0 for floats."""

    channels: int
    levels: int
    value_range: ValueRange


class Measured(NamedTuple):
    """One image's summary: what the set's statistics and its own row are made from."""

    key: Key
    summary: Counts | Moments
    across: Across
    row: Row


def measured(image: Image, position: int = 0) -> Measured:
    """Measure one image."""
    key = Key(image.channels, image.levels or 0, image.value_range)
    planes = tuple(
        map(
            np.asarray,
            cv2.split(image.pixels) if image.channels > 1 else image.pixels.transpose(2, 0, 1),
        )
    )
    summary = summary_of(image.pixels, image.value_range)
    if isinstance(summary, Counts):
        across, sums, squares, mean, variance = _of_counts(image, summary, planes)
        at_low, at_high = summary.table[:, 0], summary.table[:, -1]
    else:
        across, sums, squares, mean, variance = _of_moments(image, summary)
        low, high = image.value_range
        at_low = (image.pixels <= low).sum(axis=(0, 1))
        at_high = (image.pixels >= high).sum(axis=(0, 1))
    green = planes[len(planes) // 2]
    row = Row(
        position=position,
        path=image.path,
        label=image.label,
        height=image.height,
        width=image.width,
        mode=f"{'RGB' if image.channels == 3 else 'grey'} {_DEPTHS[image.levels]}",
        value_range=image.value_range,
        sums=sums,
        squares=squares,
        mean=mean,
        variance=variance,
        low=_fractions(summary.low, image.value_range),
        high=_fractions(summary.high, image.value_range),
        percentiles=tuple(
            _fractions(values, image.value_range) for values in summary.percentiles(ROW_PERCENTILES)
        ),
        sharpness=_sharpness(green) / image.value_range.span,
        clipped_low=tuple((at_low / summary.count).tolist()),
        clipped_high=tuple((at_high / summary.count).tolist()),
        fingerprint=_fingerprint(green),
    )
    return Measured(key, summary, across, row)


_DEPTHS = {256: "8 bit", 65536: "16 bit", None: "float"}


def _fractions(values: np.ndarray, value_range: ValueRange) -> tuple[float, ...]:
    return tuple(((values - value_range.low) / value_range.span).tolist())


def _of_counts(image: Image, counts: Counts, planes: tuple) -> tuple:
    n, top = counts.count, counts.levels - 1
    sums, squares = counts.sums, counts.square_sums
    terms = tuple(Terms.of_levels(n, s, q, top) for s, q in zip(sums, squares, strict=True))
    cross = tuple(
        (product << STEP_BITS) // top**2 for product in _products(image.pixels, planes, squares)
    )
    across = Across(1, n, n * n, terms, cross)
    mean = tuple(s / (n * top) for s in sums)
    variance = tuple((n * q - s * s) / (n * top) ** 2 for s, q in zip(sums, squares, strict=True))
    return across, sums, squares, mean, variance


def _products(pixels: np.ndarray, planes: tuple, squares: tuple[int, ...]) -> tuple[int, ...]:
    """Σ xᵢxⱼ of the channel pairs, exact."""
    if len(planes) == 1:
        return ()
    if pixels.dtype != np.uint8:
        products = ChannelProducts.of(pixels).products
        return tuple(products[i][j] for i, j in PAIRS)
    # 2 Σab = Σa² + Σb² − Σ(a − b)², of which OpenCV sums the last in whole numbers, vectorized.
    return tuple(
        (squares[i] + squares[j] - round(cv2.norm(planes[i], planes[j], cv2.NORM_L2SQR))) // 2
        for i, j in PAIRS
    )


def _of_moments(image: Image, moments: Moments) -> tuple:
    n, (low, high) = moments.count, image.value_range
    span = high - low
    mean = tuple(((moments.mean - low) / span).tolist())
    variance = tuple((moments.variance / span**2).tolist())
    terms = tuple(Terms.of_floats(n, m, v) for m, v in zip(mean, variance, strict=True))
    cross: tuple[int, ...] = ()
    if image.channels == 3:
        flat = image.pixels.reshape(-1, 3)
        total = np.zeros(len(PAIRS))
        for top in range(0, len(flat), _FLOATS_A_BLOCK):
            block = flat[top : top + _FLOATS_A_BLOCK].astype(np.float64)
            centred = (block - low) / span - mean
            # Not BLAS, whose rounding depends on how many threads it has.
            total += [(centred[:, i] * centred[:, j]).sum() for i, j in PAIRS]
        cross = tuple(
            stepped(Fraction(float(product)) + n * Fraction(mean[i]) * Fraction(mean[j]))
            for product, (i, j) in zip(total, PAIRS, strict=True)
        )
    sums = tuple((n * moments.mean).tolist())
    squares = tuple((n * (moments.variance + moments.mean**2)).tolist())
    return Across(1, n, n * n, terms, cross), sums, squares, mean, variance


def _sharpness(plane: np.ndarray) -> float:
    """The root mean square difference to the pixel two further, over rows and columns."""
    total, count = 0.0, 0
    for ahead, behind in ((plane[2:], plane[:-2]), (plane[:, 2:], plane[:, :-2])):
        if ahead.size:
            total += cv2.norm(ahead, behind, cv2.NORM_L2SQR)
            count += ahead.size
    return math.sqrt(total / count) if count else 0.0


def _fingerprint(plane: np.ndarray) -> int:
    step = max(1, min(plane.shape) // _FINGERPRINT_SIDE)
    few = np.ascontiguousarray(plane[::step, ::step])
    small = cv2.resize(few, _FINGERPRINT, interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(small[:, :-1] < small[:, 1:]).tobytes(), "big")
