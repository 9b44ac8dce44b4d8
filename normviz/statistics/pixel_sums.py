"""Sums at each position of the images: the mean image and the std image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.images import Image, resized

# Summed in whole numbers, so that the order of the images does not matter; 16 bits keep the
# rounding (1/131,070 of the range) below what a picture can show.
PIXEL_STEPS = 65535


@dataclass(frozen=True, eq=False)
class PixelSums:
    """Σx and Σx² at each position of images brought to one size, in 65,535 steps."""

    count: int
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, image: Image, height: int, width: int) -> PixelSums:
        low, span = image.value_range.low, image.value_range.span
        small = resized(image.pixels.astype(np.float32, copy=False), height, width)
        # Resizing adds in float32: white of millions of pixels comes out above white.
        fraction = np.clip((small.astype(np.float64) - low) / span, 0, 1)
        steps = np.rint(fraction * PIXEL_STEPS).astype(np.int64)
        return cls(1, steps, steps**2)

    def merge(self, other: PixelSums) -> PixelSums:
        return PixelSums(
            self.count + other.count, self.sums + other.sums, self.squares + other.squares
        )

    def in_channels(self, channels: int) -> PixelSums:
        repeat = channels // self.sums.shape[2]
        if repeat == 1:
            return self
        return PixelSums(
            self.count, np.repeat(self.sums, repeat, 2), np.repeat(self.squares, repeat, 2)
        )

    @property
    def mean(self) -> np.ndarray:
        """Mean at each position ``(H, W, C)``, as fractions of the value range."""
        return self.sums / (self.count * PIXEL_STEPS)

    @property
    def std(self) -> np.ndarray:
        """Population std at each position ``(H, W, C)``, as fractions."""
        n, sums, squares = self.count, self.sums, self.squares
        # n·Σx² stays below 2**63 up to 46,000 images of full white; beyond, in Python's integers.
        if n >= 40_000:
            sums, squares = sums.astype(object), squares.astype(object)
        variance = ((n * squares - sums**2) / n**2).astype(np.float64)
        return np.sqrt(np.maximum(variance, 0)) / PIXEL_STEPS


@dataclass(frozen=True, eq=False)
class PositionSums:
    """The sums at each position of a set, whose images may have one size or many.

    ``own``: at the size that all images have, while they have one of at most ``side²`` pixels;
    nothing is resized then. ``squeezed``: of all images at ``side × side``, for any others.
    """

    squeezed: PixelSums
    own: PixelSums | None

    @classmethod
    def of(cls, image: Image, side: int) -> PositionSums:
        small = image.height * image.width <= side**2
        own = PixelSums.of(image, image.height, image.width) if small else None
        return cls(PixelSums.of(image, side, side), own)

    def merge(self, other: PositionSums) -> PositionSums:
        own = None
        if self.own and other.own and self.own.sums.shape == other.own.sums.shape:
            own = self.own.merge(other.own)
        return PositionSums(self.squeezed.merge(other.squeezed), own)

    def in_channels(self, channels: int) -> PositionSums:
        own = self.own.in_channels(channels) if self.own else None
        return PositionSums(self.squeezed.in_channels(channels), own)

    @property
    def best(self) -> PixelSums:
        """The sums at the images' own size where they share one, else the squeezed ones."""
        return self.own or self.squeezed
