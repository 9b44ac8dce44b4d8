"""Second moments of square patches, drawn from each image by its name: what whitening needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.errors import LimitError, ParameterError
from normviz.images import Image
from normviz.statistics.covariance import SecondMoments

# Σ of products stays below 2**63 for 16-bit levels up to this many patches.
_MOST_WORDS = 2**31


@dataclass(frozen=True)
class PatchPlan:
    """Which patches to sum: squares of ``side`` pixels, ``per_image`` of them at random places.

    Images smaller than a patch have none.
    """

    side: int = 8
    per_image: int = 32

    def __post_init__(self) -> None:
        if not (1 <= self.side <= 32 and 1 <= self.per_image <= 4096):
            raise ParameterError(
                f"patches are 1 to 32 px a side and 1 to 4,096 an image, "
                f"got {self.side} px and {self.per_image}."
            )


@dataclass(frozen=True, eq=False)
class PatchSums:
    """Σx and Σxxᵀ of patches as vectors (row, column, channel), of images of one integer depth.

    Whole numbers: the same to the bit whatever the order and the split.
    """

    top: int
    count: int
    sums: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, image: Image, plan: PatchPlan, seed: bytes) -> PatchSums | None:
        """Sum the patches of an 8- or 16-bit image, at places drawn from ``seed``.

        None for a float image, and for one smaller than a patch.
        """
        rows, columns = image.height - plan.side + 1, image.width - plan.side + 1
        if image.levels is None or min(rows, columns) < 1:
            return None
        draw = np.random.default_rng(list(seed))
        windows = np.lib.stride_tricks.sliding_window_view(
            image.pixels, (plan.side, plan.side), axis=(0, 1)
        )
        top, left = (
            draw.integers(rows, size=plan.per_image),
            draw.integers(columns, size=plan.per_image),
        )
        vectors = windows[top, left].transpose(0, 2, 3, 1).reshape(plan.per_image, -1)
        # Whole numbers below 2^53: float64 multiplies and adds them without rounding.
        levels = vectors.astype(np.float64)
        products = (levels.T @ levels).astype(np.int64)
        return cls(image.levels - 1, plan.per_image, vectors.sum(axis=0, dtype=np.int64), products)

    def merge(self, other: PatchSums) -> PatchSums:
        """Return the sums of both sets of patches together (of one depth and size)."""
        count = self.count + other.count
        if self.top > 255 and count > _MOST_WORDS:
            raise LimitError(
                "", f"{count:,} patches of 16-bit images are too many to sum", "Draw fewer an image"
            )
        return PatchSums(self.top, count, self.sums + other.sums, self.products + other.products)

    @property
    def moments(self) -> SecondMoments:
        """The same in fractions of the value range, centred in whole numbers."""
        n, top = self.count, self.top
        sums = self.sums.astype(object)
        centred = n * self.products.astype(object) - np.outer(sums, sums)
        return SecondMoments(n, self.sums / (n * top), (centred / (n * top**2)).astype(np.float64))
