"""The photos that a network is tried on, brought to the brightness and contrast of photos at large.

Sixteen photos are, by chance, darker or flatter than the many that a network was trained on, by
more than what tells one published std from another. So the set as a whole, not each photo, is
brought to the mean, stds and correlations of colours that photos at large have: one matrix and
offset for all photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

USUAL_MEAN = np.array([0.485, 0.456, 0.406])
"""Mean of RGB fractions over ImageNet's photos (timm/data/constants.py)."""

USUAL_STD = np.array([0.2724, 0.2637, 0.2761])
"""Pooled std of the same after resize 256 and crop 224, as measured in pytorch/vision#1439."""

_AXES = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
_SPREADS = np.array([0.2175, 0.0188, 0.0045])
"""Principal axes and variances of ImageNet's colours, as published for colour jitter (Krizhevsky
et al. 2012; the numbers of facebookarchive/fb.resnet.torch datasets/imagenet.lua)."""

LEAST_COLOUR = 1e-4
"""Below this least share of variance along a colour axis, correlations are left as they are."""


def usual_covariance() -> np.ndarray:
    """Covariance of colours of photos at large: the published correlations and USUAL_STD.

    >>> np.sqrt(np.diag(usual_covariance())).round(4)
    array([0.2724, 0.2637, 0.2761])
    """
    published = _AXES * _SPREADS @ _AXES.T
    scale = USUAL_STD / np.sqrt(np.diag(published))
    return np.asarray(published * np.outer(scale, scale))


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

    @property
    def coloured(self) -> bool:
        """Whether the set has colours enough to bring their correlations to the usual ones."""
        mean = self.means.mean(axis=0)
        return has_colour(self.pairs.mean(axis=0) - np.outer(mean, mean))

    def exposed(self) -> np.ndarray:
        """The fractions after :func:`exposure` of the whole set ``(N, H, W, C)`` float32."""
        matrix, offset = exposure(
            self.means.mean(axis=0)[np.newaxis], self.pairs.mean(axis=0)[np.newaxis], self.usual
        )
        return np.asarray(self.fractions @ matrix[0].T + offset[0], np.float32)


def exposure(
    means: np.ndarray, pairs: np.ndarray, usual: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices A ``(D, C, C)`` and offsets o: A · u + o is distributed as photos at large.

    ``means (D, C)`` and ``pairs (D, C, C)`` are E[u] and E[u uᵀ] of D sets. Mean and covariance
    become the usual ones by the symmetric A that moves values least (the optimal transport of
    Gaussians); only mean and stds do where a set has hardly any colour. Without ``usual``, and for
    a set without contrast, A = 1 and o = 0.

    >>> matrix, offset = exposure(np.array([[0.3]]), np.array([[0.3**2 + 0.1**2]]))
    >>> (matrix[0, 0, 0] * 0.1).round(4), (matrix[0, 0] * 0.3 + offset[0]).round(3)
    (np.float64(0.2707), array([0.449]))
    """
    count, channels = means.shape
    matrices = np.tile(np.eye(channels), (count, 1, 1))
    offsets = np.zeros((count, channels))
    if not usual:
        return matrices, offsets
    mean, std = (USUAL_MEAN, USUAL_STD) if channels == 3 else usual_grey()
    for row in range(count):
        covariance = pairs[row] - np.outer(means[row], means[row])
        variance = np.diag(covariance)
        if (variance < 1e-8).any():
            continue
        if has_colour(covariance):
            root = _power(covariance, 0.5)
            back = np.linalg.inv(root)
            matrices[row] = back @ _power(root @ usual_covariance() @ root, 0.5) @ back
        else:
            matrices[row] = np.diag(std / np.sqrt(variance))
        offsets[row] = mean - matrices[row] @ means[row]
    return matrices, offsets


def has_colour(covariance: np.ndarray) -> bool:
    """Whether each axis of colour has :data:`LEAST_COLOUR` of the largest one's variance.

    >>> has_colour(np.eye(3)), has_colour(np.ones((3, 3)))
    (True, False)
    """
    spread = np.linalg.eigvalsh(covariance)
    return len(covariance) == 3 and bool(spread[0] > LEAST_COLOUR * spread[-1])


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, axes = np.linalg.eigh(matrix)
    return np.asarray(axes * np.maximum(values, 0.0) ** exponent @ axes.T)


def usual_grey() -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of the colours' mean: the stds add as the colours' correlation is near 1."""
    return USUAL_MEAN.mean(keepdims=True), USUAL_STD.mean(keepdims=True)


def views_of(fractions: Sequence[np.ndarray], usual: bool = True) -> Views:
    return Views(np.stack(fractions).astype(np.float32), usual)


def class_of(label: str | None, names: Sequence[str]) -> int | None:
    """Return the class that a folder's name says: by its number, or its name among ``names``.

    >>> class_of("281", ()), class_of("tabby_cat", ["tench", "tabby cat"]), class_of("x", ["y"])
    (281, 1, None)
    """
    if label is None:
        return None
    if label.isascii() and label.isdigit():
        return int(label)
    sought = label.lower().replace("_", " ")
    return next((at for at, name in enumerate(names) if name.lower() == sought), None)
