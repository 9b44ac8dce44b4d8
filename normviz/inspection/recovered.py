"""The constants that a network was trained under, from its first layer alone: no list needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.inspection.candidates import Candidate
from normviz.inspection.distance import counted
from normviz.inspection.photos import USUAL_STD
from normviz.inspection.response import Pooled
from normviz.networks.graph import BatchNorm

STEPS = 30
TOLD = 30.0
"""Up to this condition number of the filters' answers to colours they tell the colours apart."""

FELT = 0.2
"""The least that the filters must feel of plain areas: the largest singular value of their answers
to one std of each colour, in stds of what arrives. MobileNetV2's is 6.0, EfficientNet-Lite0's 6.4;
filters that sum to zero feel nothing, and no mean follows from them."""

SPREAD = 0.15
"""Gains of the colours differ about so much in published constants (std of their logarithms).

It pulls them together as far as the filters disagree; where they fit exactly it does nothing."""

ASSUMED_MEAN, ASSUMED_STD = 0.04, 0.12
"""That the training's photos were like photos at large is an assumption. Constants recovered from
networks whose own are known were off by up to so much: the mean in fractions of the range (0.015
MobileNetV2, 0.038 EfficientNet-Lite0), the std relatively (0.02 and 0.12), where the order of
channels was right; the intervals have it in."""


@dataclass(frozen=True, eq=False)
class Recovered:
    """Mean and std of fractions 0…1, a colour each, and their 95 % intervals ``(2, C)``.

    ``condition`` is that of the filters' answers to the colours: above :data:`TOLD` they hardly
    tell one colour from another, and only what is common to the colours is known. ``felt`` is how
    much they answer to plain areas at all, in the unit of :data:`FELT`.
    """

    candidate: Candidate
    mean_interval: np.ndarray
    std_interval: np.ndarray
    condition: float
    felt: float

    @property
    def told(self) -> bool:
        return self.condition <= TOLD and self.felt >= FELT

    def words(self) -> str:
        """Return one sentence with the constants and their intervals."""
        if not self.felt >= FELT:
            return (
                "The first filters hardly answer to plain areas (their sums are near zero), so no "
                "constants can be recovered from them."
            )
        if not self.told:
            return (
                "The first filters answer alike to all colours (condition number "
                f"{self.condition:.0f}), so constants of single colours cannot be recovered."
            )
        return (
            f"Recovered from the first layer alone: mean {_listed(self.candidate.mean)} "
            f"({_spans(self.mean_interval)}), std {_listed(self.candidate.std)} "
            f"({_spans(self.std_interval)}), of fractions 0 to 1."
        )


def recover(pooled: Pooled, norm: BatchNorm, seed: int = 0) -> Recovered:
    r"""Recover gain g and bias b of y = g · u + b from what the first normalization stores.

    What arrives there has the mean μ_f and variance σ_f² that were stored in training. Those of the
    photos depend on g and b as :meth:`Pooled.moments` says, so the g > 0 and b are sought that
    minimize Σ_f w_f [(m_f − μ_f)² / σ_f² + ½ q_f ln²(v_f / σ_f²)], with weights w_f that let
    outliers count less (Huber 1964; Gauss–Newton) and q_f, the share that plain areas
    explain (:class:`Pooled`). It begins with E[y] by least squares from the filters'
    sums, μ_f − k_f = Σ_c S_fc E[y_c], and one gain for all colours.

    The first set of ``pooled`` gives the constants; the others, each with filters drawn anew, and
    how far the assumption about photos has been off, the intervals.
    """
    rng = np.random.default_rng(seed)
    use = np.flatnonzero(counted(norm))
    found = []
    for row in range(len(pooled.centre)):
        filters = use if row == 0 else rng.choice(use, len(use))
        found.append(_fit(pooled, norm, row, filters))
    gains, biases = (np.stack(part) for part in zip(*found, strict=True))
    means, stds = 0.0 - biases / gains, 1 / gains
    channels = pooled.centre.shape[1]
    answers = pooled.sums[0, use]
    singular = np.linalg.svd(
        answers / np.sqrt(norm.variance[use] + norm.epsilon)[:, np.newaxis], compute_uv=False
    )
    condition = float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf")
    usual = USUAL_STD if channels == 3 else USUAL_STD.mean()
    felt = answers / np.sqrt(norm.variance[use] + norm.epsilon)[:, np.newaxis] * (gains[0] * usual)
    most = float(np.linalg.svd(felt, compute_uv=False)[0]) if np.isfinite(felt).all() else 0.0
    if len(use) < 2 * channels:
        condition = float("inf")
    candidate = Candidate("recovered", "Recovered constants", gains[0], biases[0], pooled.order)
    return Recovered(
        candidate,
        _interval(means, ASSUMED_MEAN),
        np.exp(_interval(np.log(stds), np.log1p(ASSUMED_STD))),
        condition,
        most,
    )


def _interval(draws: np.ndarray, assumed: float) -> np.ndarray:
    """95 % of the draws ``(D, C)`` about their first, and ``assumed`` besides, as independent."""
    centre = draws[0]
    ends = np.percentile(draws[1:] if len(draws) > 1 else draws, [2.5, 97.5], axis=0)
    return np.asarray(centre + np.array([[-1], [1]]) * np.hypot(ends - centre, assumed))


def _fit(
    pooled: Pooled, norm: BatchNorm, row: int, filters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    one = Pooled(
        pooled.order,
        pooled.products[row : row + 1],
        pooled.centre[row : row + 1],
        pooled.plain[row : row + 1],
    )
    channels = pooled.centre.shape[1]
    products = one.products[0]
    std = np.sqrt(norm.variance + norm.epsilon)
    sums = one.sums[0]
    offset = products[:, 2 * channels, -1]
    # E[y] of fed values; the mean of the photos after exposure is found with it below.
    shares = sums[filters] / std[filters, np.newaxis]
    wanted = (norm.mean - offset)[filters] / std[filters]
    fed_mean = np.linalg.lstsq(shares, wanted, rcond=1e-3)[0]
    centre = one.centre[0]
    gain = np.ones(channels)
    _, variance = one.moments(gain, -centre)
    scale = np.sqrt(np.median(((norm.variance + norm.epsilon) / (variance[0] + 1e-12))[filters]))
    x = np.concatenate([np.full(channels, np.log(scale)), fed_mean])

    def residuals(points: np.ndarray) -> np.ndarray:
        """For points ``(P, 2C)``: means and log variances off, in stds ``(P, 2F)``."""
        many = Pooled(
            one.order,
            np.broadcast_to(one.products, (len(points), *one.products.shape[1:])),
            np.broadcast_to(one.centre, (len(points), channels)),
            np.broadcast_to(one.plain, (len(points), len(std))),
        )
        gains = np.exp(points[:, :channels])
        mean, var = many.moments(gains, points[:, channels:] - gains * centre)
        off = (mean - norm.mean)[:, filters] / std[filters]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log((var + norm.epsilon) / (norm.variance + norm.epsilon))[:, filters]
        return np.concatenate([off, ratio * np.sqrt(one.plain[0, filters] / 2)], axis=1)

    steps = np.eye(len(x)) * 1e-5
    apart = np.zeros((channels, len(x)))
    apart[:, :channels] = (np.eye(channels) - 1 / channels) / SPREAD
    damping = 1e-3
    now = residuals(x[np.newaxis])[0]
    for _ in range(STEPS):
        weights = np.sqrt(_huber(now))
        # The noise of the residuals against the spread of gains, as a Gaussian prior has it.
        pull = apart * 1.48 * float(np.median(np.abs(now)))
        slopes = ((residuals(x + steps) - now) / 1e-5).T
        left = np.concatenate([slopes * weights[:, np.newaxis], pull])
        right = np.concatenate([now * weights, pull @ x])
        normal = left.T @ left
        step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), left.T @ right)
        step = np.clip(step, -1.0, 1.0) if np.isfinite(step).all() else np.zeros_like(step)
        trial = residuals((x + step)[np.newaxis])[0]
        if _loss(trial, pull @ (x + step)) <= _loss(now, pull @ x):
            x, now, damping = x + step, trial, max(damping / 5, 1e-9)
            if np.abs(step).max() < 1e-7:
                break
        else:
            damping = min(damping * 10, 1e6)
    gain = np.exp(x[:channels])
    return gain, x[channels:] - gain * centre


_BEND = 0.3
"""Residuals above this count less. In stds of what arrives; the photos' own scatter is smaller."""


def _huber(residuals: np.ndarray) -> np.ndarray:
    return np.minimum(1.0, _BEND / np.maximum(np.abs(residuals), 1e-12))


def _loss(residuals: np.ndarray, pulled: np.ndarray) -> float:
    size = np.abs(residuals)
    bent = np.where(size <= _BEND, size**2 / 2, _BEND * (size - _BEND / 2))
    return float(bent.sum() + (pulled**2).sum() / 2)


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3g}" for value in values).replace("-", "−")


def _spans(interval: np.ndarray) -> str:
    return ", ".join(f"{low:.3g} to {high:.3g}" for low, high in interval.T).replace("-", "−")
