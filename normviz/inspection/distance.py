"""How far what arrives at a batch normalization lies from what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.networks.graph import BatchNorm


def divergence(
    mean: np.ndarray, variance: np.ndarray, stored_mean: np.ndarray, stored_variance: np.ndarray
) -> np.ndarray:
    r"""Return the symmetric Kullback–Leibler divergence of two Gaussians, both directions added.

    J = KL(p‖q) + KL(q‖p) = ½ (v/v' + v'/v + (m − m')² (1/v + 1/v')) − 1, in nats (Jeffreys 1946):
    0 for the same Gaussian, about (Δm/σ)² for a small shift.

    >>> divergence(np.array([0.0, 1.0]), np.ones(2), np.zeros(2), np.ones(2))
    array([0., 1.])
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = variance / stored_variance
        shift = (mean - stored_mean) ** 2 * (1 / variance + 1 / stored_variance)
        return np.asarray(0.5 * (ratio + 1 / ratio + shift) - 1)


def counted(norm: BatchNorm) -> np.ndarray:
    """Which channels count: those of finite numbers whose stored variance exceeds the ε added to
    it."""
    finite = np.isfinite(norm.mean) & np.isfinite(norm.variance)
    return np.asarray(finite & (norm.variance > norm.epsilon))


def layer_distance(
    norm: BatchNorm, mean: np.ndarray, variance: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the median :func:`divergence` over the channels that count, for moments ``(D, F)``.

    With ``weights (D, F)`` it is the weighted median. Both variances get the normalization's own ε,
    so that a channel that is dead on these photos has a large, finite distance. NaN where no
    channel counts.
    """
    use = counted(norm)
    if not use.any():
        return np.full(len(mean), np.nan)
    found = divergence(
        mean[:, use],
        np.maximum(variance[:, use], 0.0) + norm.epsilon,
        norm.mean[use],
        norm.variance[use] + norm.epsilon,
    )
    found = np.nan_to_num(found, nan=np.inf)
    if weights is None:
        return np.asarray(np.median(found, axis=1))
    return weighted_median(found, weights[:, use])


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the least value of each row up to which half of its weights lie.

    >>> weighted_median(np.array([[3.0, 1.0, 2.0]]), np.array([[5.0, 1.0, 1.0]]))
    array([3.])
    """
    order = np.argsort(values, axis=1)
    reached = np.cumsum(np.take_along_axis(weights, order, 1), axis=1)
    at = (reached < reached[:, -1:] / 2).sum(axis=1, keepdims=True)
    return np.asarray(np.take_along_axis(np.take_along_axis(values, order, 1), at, 1)[:, 0])


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums of one tensor's channels, one row a photo: n values, Σx and Σx² (float64)."""

    n: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """Of a tensor ``(N, F, …)``.

        >>> found = Moments.of(np.array([[[1.0, 3.0]]], np.float32))
        >>> found.n, found.total, found.squares
        (array([2]), array([[4.]]), array([[10.]]))
        """
        rows = values.reshape(*values.shape[:2], -1).astype(np.float64)
        n = np.full(len(rows), rows.shape[2])
        with np.errstate(over="ignore", invalid="ignore"):
            return cls(n, rows.sum(axis=2), np.einsum("nfp,nfp->nf", rows, rows))

    def pooled(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and population variance for ``weights (D, N)``, how often each photo counts."""
        with np.errstate(over="ignore", invalid="ignore"):
            n = (weights @ self.n)[:, np.newaxis]
            mean = weights @ self.total / n
            return mean, weights @ self.squares / n - mean**2


def joined(parts: list[Moments]) -> Moments:
    """The photos of all parts, in order."""
    return Moments(
        np.concatenate([part.n for part in parts]),
        np.concatenate([part.total for part in parts]),
        np.concatenate([part.squares for part in parts]),
    )


def draws(images: int, count: int, seed: int) -> np.ndarray:
    """Weights ``(1 + count, images)``: all photos once, then ``count`` bootstrap draws of them."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(images, np.full(images, 1 / images), size=count)
    return np.concatenate([np.ones((1, images)), drawn.astype(np.float64)])
