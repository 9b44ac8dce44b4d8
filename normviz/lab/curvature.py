"""How curved a loss is: the exact spectrum of softmax regression, and Lanczos for networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def second_moments(x: np.ndarray) -> np.ndarray:
    """Return the eigenvalues, largest first, of (1/N) Σ x̃ x̃ᵀ with x̃ = (x, 1), float64.

    ``x`` is ``(N, …)``. The one stands for the bias. Not centred: an offset that all samples share
    is one large eigenvalue.

    >>> second_moments(np.array([[1.0], [-1.0]])).tolist()
    [1.0, 1.0]
    """
    rows = np.asarray(x, np.float64).reshape(len(x), -1)
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    return np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1].clip(0)


def start_spectrum(moments: np.ndarray, classes: int) -> np.ndarray:
    """Return the Hessian's eigenvalues other than 0 where softmax regression starts (W = 0).

    There every class has the share 1/K, the Hessian is M ⊗ (I − 11ᵀ/K)/K, and so each eigenvalue
    of the second moments M, divided by K, comes K − 1 times; here it stands once.

    >>> start_spectrum(np.array([4.0, 2.0]), 2).tolist()
    [2.0, 1.0]
    """
    return moments / classes


def condition(eigenvalues: np.ndarray) -> float:
    """Return λ1/λmedian: the smallest eigenvalue of a finite sample is too much of an accident.

    >>> condition(np.array([100.0, 10.0, 0.0]))
    10.0
    """
    median, largest = float(np.median(eigenvalues)), float(eigenvalues[0])
    # Below this an eigenvalue is the rounding of 0: fewer samples than half the dimensions.
    rounding = largest * len(eigenvalues) * float(np.finfo(np.float64).eps)
    return largest / median if median > rounding else float("inf")


def lanczos(
    product: Callable[[np.ndarray], np.ndarray], size: int, steps: int, seed: int
) -> np.ndarray:
    """Return the Ritz values, largest first, of a symmetric matrix known by its products.

    The first converges to λmax from below. Each new direction is made orthogonal to all before
    it, twice, since rounding would bring the first ones back. Source: Golub and Van Loan, Matrix
    Computations, 4th edition, section 10.1.

    >>> matrix = np.diag([5.0, 1.0, -2.0])
    >>> lanczos(lambda v: matrix @ v, 3, 3, seed=0).round(6).tolist()
    [5.0, 1.0, -2.0]
    """
    steps = min(steps, size)
    basis = np.zeros((steps, size))
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    v = np.random.default_rng([seed, 3]).normal(size=size)
    v /= np.linalg.norm(v)
    done = steps
    for i in range(steps):
        basis[i] = v
        w = np.asarray(product(v), np.float64)
        diagonal[i] = v @ w
        for _ in range(2):
            w = w - basis[: i + 1].T @ (basis[: i + 1] @ w)
        beside[i] = np.linalg.norm(w)
        # Nothing is left to look at: the directions span all that the start reaches.
        if beside[i] <= 1e-12 * max(abs(diagonal[: i + 1]).max(), 1e-300):
            done = i + 1
            break
        v = w / beside[i]
    tri = (
        np.diag(diagonal[:done]) + np.diag(beside[: done - 1], 1) + np.diag(beside[: done - 1], -1)
    )
    return np.linalg.eigvalsh(tri)[::-1]
