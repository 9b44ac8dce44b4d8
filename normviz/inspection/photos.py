"""The photos that a network is tried on, brought to the brightness and contrast of photos at large.

Sixteen photos are, by chance, darker or flatter than the many that a network was trained on, by
more than what tells one published std from another. So the set as a whole, not each photo, is
brought to the mean and std of photos at large: one gain and offset a colour for all photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

USUAL_MEAN = np.array([0.485, 0.456, 0.406])
"""Mean of RGB fractions over ImageNet's photos (timm/data/constants.py)."""

USUAL_STD = np.array([0.2724, 0.2637, 0.2761])
"""Pooled std of the same after resize 256 and crop 224, as measured in pytorch/vision#1439."""


@dataclass(frozen=True, eq=False)
class Views:
    """Photos as fractions ``(N, H, W, C)`` float32 with each one's sums over its pixels.

    ``usual`` says whether the set is brought to the mean and std of photos at large.
    """

    fractions: np.ndarray
    usual: bool = True

    def __len__(self) -> int:
        return len(self.fractions)

    @property
    def channels(self) -> int:
        return int(self.fractions.shape[-1])

    @property
    def means(self) -> np.ndarray:
        """Mean fraction of each photo and colour ``(N, C)``."""
        return self.fractions.mean(axis=(1, 2), dtype=np.float64)

    @property
    def pairs(self) -> np.ndarray:
        """Mean product of each two colours' fractions in each photo ``(N, C, C)``."""
        rows = self.fractions.reshape(len(self), -1, self.channels).astype(np.float64)
        return rows.transpose(0, 2, 1) @ rows / rows.shape[1]

    def exposed(self) -> np.ndarray:
        """The fractions after :func:`exposure` of the whole set ``(N, H, W, C)`` float32."""
        squares = np.diagonal(self.pairs.mean(axis=0))
        gain, offset = exposure(self.means.mean(axis=0), squares, self.usual)
        return (self.fractions * gain + offset).astype(np.float32)


def exposure(
    means: np.ndarray, squares: np.ndarray, usual: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return gain a and offset o a colour: a · u + o has the mean and std of photos at large.

    ``means`` and ``squares`` are E[u] and E[u²] of the set ``(…, C)``. Without ``usual``, and for a
    set without contrast, a = 1 and o = 0.

    >>> a, o = exposure(USUAL_MEAN, USUAL_MEAN**2 + (USUAL_STD / 2) ** 2)
    >>> a.round(6), (o + a * USUAL_MEAN).round(3)
    (array([2., 2., 2.]), array([0.485, 0.456, 0.406]))
    """
    if not usual:
        return np.ones_like(means), np.zeros_like(means)
    variance = squares - means**2
    mean, std = (USUAL_MEAN, USUAL_STD) if means.shape[-1] == 3 else usual_grey()
    flat = variance < 1e-8
    gain = np.where(flat, 1.0, std / np.sqrt(np.where(flat, 1.0, variance)))
    return gain, np.where(flat, 0.0, mean - gain * means)


def usual_grey() -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of the colours' mean: the stds add as the colours' correlation is near 1."""
    return USUAL_MEAN.mean(keepdims=True), USUAL_STD.mean(keepdims=True)


def views_of(fractions: Sequence[np.ndarray], usual: bool = True) -> Views:
    return Views(np.stack(fractions).astype(np.float32), usual)
