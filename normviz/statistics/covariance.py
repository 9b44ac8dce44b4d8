"""Covariance of channels, patches and whole images: mergeable second moments.

What whitening is fitted on. Pixels of 8 and 16 bit are summed exactly, in whole numbers; anything
else in centred float64 moments with Chan's merge. Vectors are fractions of the value range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.images import Image, ValueRange, as_rgb, resized

# Their float64 copy stays near the cache, and 16-bit sums stay exact: 2^14 · 65535² < 2^53.
PIXELS_A_BLOCK = 1 << 14

# Patches a block, at least: enough for the products to run at the speed of BLAS.
PATCHES_A_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class SecondMoments:
    """Count, mean and Σ(x−μ)(x−μ)ᵀ of vectors, in float64.

    Merged with the update of Chan, Golub and LeVeque (1983), which never subtracts two large
    sums. A commutative monoid up to rounding: ``empty(d)``, ``of(vectors)``, ``merge``.

    >>> part = SecondMoments.of(np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> both = part.merge(SecondMoments.of(np.array([[-1.0, 0.0], [0.0, -1.0]])))
    >>> both.covariance.tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """

    count: int
    mean: np.ndarray
    products: np.ndarray

    @classmethod
    def empty(cls, dimensions: int) -> SecondMoments:
        return cls(0, np.zeros(dimensions), np.zeros((dimensions, dimensions)))

    @classmethod
    def of(cls, vectors: np.ndarray) -> SecondMoments:
        """Summarize vectors, one a row."""
        if not len(vectors):
            return cls.empty(vectors.shape[1])
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors - mean
        # One array against its own transpose: BLAS does half the work and the result is symmetric.
        return cls(len(vectors), mean, centred.T @ centred)

    def merge(self, other: SecondMoments) -> SecondMoments:
        """Return the moments of both sets together; neither operand is changed."""
        if not self.count or not other.count:
            return other if not self.count else self
        n = self.count + other.count
        step = other.mean - self.mean
        products = np.outer(step * (self.count * other.count / n), step)
        products += self.products
        products += other.products
        return SecondMoments(n, self.mean + step * (other.count / n), products)

    @property
    def covariance(self) -> np.ndarray:
        """Population covariance (ddof 0)."""
        return self.products / max(self.count, 1)


@dataclass(frozen=True, eq=False)
class ChannelProducts:
    """Σx and Σxxᵀ over the pixels of 8- or 16-bit images, as whole numbers: exact.

    The same to the bit whatever the split and the order.

    >>> part = ChannelProducts.of(np.array([[[0, 0, 0], [255, 0, 255]]], np.uint8))
    >>> part.sums, part.products[0], part.moments.covariance[0].tolist()
    ((255, 0, 255), (65025, 0, 65025), [0.25, 0.0, 0.25])
    """

    top: int
    """The highest level: 255 or 65535."""
    count: int
    sums: tuple[int, ...]
    products: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, pixels: np.ndarray) -> ChannelProducts:
        """Sum uint8 or uint16 pixels ``(H, W, C)``."""
        flat = pixels.reshape(-1, pixels.shape[-1])
        channels = flat.shape[1]
        total = np.zeros((channels + 1, channels + 1), object)
        # One row a channel, and a row of ones, whose products are the sums: rows this long are
        # multiplied four times as fast as pixels of three values.
        planes = np.ones((channels + 1, min(PIXELS_A_BLOCK, len(flat))))
        for block in _blocks(flat, PIXELS_A_BLOCK):
            levels = planes[:, : len(block)]
            levels[:-1] = block.T
            # Whole numbers below 2^53: float64 adds them without rounding, in any order.
            total += (levels @ levels.T).astype(np.int64)
        return cls(
            top=int(np.iinfo(pixels.dtype).max),
            count=len(flat),
            sums=tuple(map(int, total[-1, :-1])),
            products=tuple(tuple(map(int, row)) for row in total[:-1, :-1]),
        )

    def merge(self, other: ChannelProducts) -> ChannelProducts:
        """Return the sums of both sets together (of one depth)."""
        return ChannelProducts(
            self.top,
            self.count + other.count,
            tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
            tuple(
                tuple(a + b for a, b in zip(left, right, strict=True))
                for left, right in zip(self.products, other.products, strict=True)
            ),
        )

    @property
    def moments(self) -> SecondMoments:
        """The same in fractions: each number rounded once, from whole ones."""
        n, sums = self.count, self.sums
        centred = [
            [(n * product - sums[i] * sums[j]) / (n * self.top**2) for j, product in enumerate(row)]
            for i, row in enumerate(self.products)
        ]
        return SecondMoments(n, np.array([s / (n * self.top) for s in sums]), np.array(centred))


def channel_moments(images: Sequence[Image]) -> SecondMoments:
    """Return the moments of the RGB vectors of all pixels, every pixel weighted alike.

    Exact for integer images of one depth, which makes the order of the images irrelevant. Grey
    images count as R = G = B.

    >>> from normviz.images import image_of
    >>> pair = [image_of(np.full((2, 2, 3), v, np.uint8)) for v in (0, 255)]
    >>> channel_moments(pair).covariance[0].tolist()
    [0.25, 0.25, 0.25]
    """
    exact: dict[int, ChannelProducts] = {}
    moments = SecondMoments.empty(3)
    for image in images:
        pixels = as_rgb(image).pixels
        if image.levels is not None:
            one = ChannelProducts.of(pixels)
            exact[one.top] = exact[one.top].merge(one) if one.top in exact else one
            continue
        for block in _blocks(pixels.reshape(-1, 3), PIXELS_A_BLOCK):
            moments = moments.merge(SecondMoments.of(fractions_of(block, image.value_range)))
    for top in sorted(exact):
        moments = moments.merge(exact[top].moments)
    return moments


def patches_of(
    images: Sequence[Image], side: int, count: int, seed: int, rows: int = PATCHES_A_BLOCK
) -> Iterator[np.ndarray]:
    """Yield patches ``(n ≤ rows, side, side, C)`` as float64 fractions, ``count`` of them in all.

    Every place of the set where a whole patch fits is equally likely, drawn with replacement by
    ``seed``; a set with no more places than ``count`` gives each of them once. An image narrower
    than the patch is mirrored at its border (without repeating the edge) until one fits. C = 3
    when any image is coloured, and grey ones are repeated.

    >>> from normviz.images import image_of
    >>> image = image_of(np.array([[0, 255, 0]], np.uint8))
    >>> [patches.ravel().tolist() for patches in patches_of([image], 1, 10, 0)]
    [[0.0, 1.0, 0.0]]
    """
    colour = any(image.channels == 3 for image in images)
    places = [max(image.height - side + 1, 1) * max(image.width - side + 1, 1) for image in images]
    starts = np.cumsum([0, *places])
    total = int(starts[-1])
    if total <= count:
        drawn = np.arange(total)
    else:
        drawn = np.sort(np.random.default_rng(seed).integers(total, size=count))
    parts: list[np.ndarray] = []
    held = 0
    for index, image in enumerate(images):
        first, last = np.searchsorted(drawn, starts[index : index + 2])
        own = drawn[first:last] - starts[index]
        windows = _windows(as_rgb(image) if colour else image, side)
        while len(own):
            taken, own = own[: rows - held], own[rows - held :]
            top, left = np.divmod(taken, windows.shape[1])
            # The window's axes come last, after the channel.
            patches = windows[top, left].transpose(0, 2, 3, 1)
            parts.append(fractions_of(patches, image.value_range))
            held += len(taken)
            if held == rows:
                yield np.concatenate(parts)
                parts, held = [], 0
    if parts:
        yield np.concatenate(parts)


def patch_moments(
    images: Sequence[Image],
    side: int,
    count: int,
    seed: int,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> SecondMoments:
    """Return the moments of patches as vectors in the order (row, column, channel).

    ``prepare`` is done to each block of vectors first. See :func:`patches_of`.
    """
    channels = 3 if any(image.channels == 3 for image in images) else 1
    dimensions = side * side * channels
    moments = SecondMoments.empty(dimensions)
    for patches in patches_of(images, side, count, seed, rows_a_block(dimensions)):
        vectors = patches.reshape(len(patches), -1)
        moments = moments.merge(SecondMoments.of(prepare(vectors) if prepare else vectors))
    return moments


def rows_a_block(dimensions: int) -> int:
    """Return how many vectors are multiplied at once: as many as make the merge a small part."""
    return max(PATCHES_A_BLOCK, dimensions)


def image_vectors(images: Sequence[Image], side: int) -> np.ndarray:
    """Return the images squeezed to ``side × side`` as rows ``(N, side·side·C)`` of fractions.

    Order (row, column, channel); area average when shrinking, linear when growing. C = 3 when any
    image is coloured, and grey ones are repeated.
    """
    colour = any(image.channels == 3 for image in images)
    out = np.empty((len(images), side * side * (3 if colour else 1)))
    for row, image in zip(out, images, strict=True):
        small = squeezed(image.pixels, side, image.value_range)
        row.reshape(side, side, -1)[:] = small
    return out


def squeezed(pixels: np.ndarray, side: int, value_range: ValueRange) -> np.ndarray:
    """Return fractions ``(side, side, C)`` in float64; one channel at a time, to save memory."""
    planes = [
        resized(fractions_of(pixels[:, :, c : c + 1], value_range), side, side)
        for c in range(pixels.shape[2])
    ]
    return np.concatenate(planes, axis=2)


def eigen(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, largest first and none below 0, and eigenvectors as rows.

    >>> values, rows = eigen(np.array([[2.0, -1.0], [-1.0, 2.0]]))
    >>> values.round(6).tolist(), rows.round(4).tolist()
    ([3.0, 1.0], [[0.7071, -0.7071], [0.7071, 0.7071]])
    """
    values, columns = np.linalg.eigh(covariance)
    return np.maximum(values[::-1], 0), signed(columns.T[::-1])


def signed(rows: np.ndarray) -> np.ndarray:
    """Return each row with the sign that makes its largest entry positive (the first of equals).

    An eigenvector's sign is arbitrary, and differs from one LAPACK to the next.
    """
    if not len(rows):
        return rows
    # Rounding must not decide between entries of one size.
    size = np.abs(rows)
    first = (size >= size.max(axis=1, keepdims=True) * (1 - 1e-9)).argmax(axis=1)
    return rows * np.sign(rows[np.arange(len(rows)), first])[:, np.newaxis]


def fractions_of(pixels: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Return (x − low) / span in float64."""
    return (pixels.astype(np.float64) - value_range.low) / value_range.span


def _blocks(flat: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    return (flat[top : top + rows] for top in range(0, len(flat), rows))


def _windows(image: Image, side: int) -> np.ndarray:
    """Every whole patch ``(rows, columns, C, side, side)``: a view, nothing is copied."""
    pixels = image.pixels
    lacks = [max(side - length, 0) for length in pixels.shape[:2]]
    if any(lacks):
        (top, bottom), (left, right) = ((lack // 2, lack - lack // 2) for lack in lacks)
        mirrored = cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_REFLECT_101)
        pixels = np.asarray(mirrored).reshape(*mirrored.shape[:2], -1)
    return np.lib.stride_tricks.sliding_window_view(pixels, (side, side), axis=(0, 1))
