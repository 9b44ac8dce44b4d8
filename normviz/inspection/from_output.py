"""What speaks where no batch normalization is stored: answers and first filters, weaker evidence.

A network that gets what it expects is sure of each photo and says different things of different
photos. A wrong scale often makes it sure, but of the same class for all; a wrong contrast makes it
unsure. And in training its first filters got values about zero, so what they give on average says
nothing of how much each sees plain areas: a batch normalization that was folded away leaves that
behind, for it is then the bias that it had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.inspection.candidates import Candidate
from normviz.inspection.response import Pooled

WEIGHTS = {"variety": 12.0, "sureness": 9.0, "centring": 0.5, "spread": 0.2}
"""What each kind of evidence adds to a candidate's log-likelihood: nats for a bit of variety and of
sureness, and for a unit of the other two. Rounded, and of the size of what was fitted to networks
whose truth is known, MobileNetV2 and EfficientNet-Lite0 under 8 conventions each, so that one fits
the other too; both then have the truth among 95 % of the likelihood each time
(benchmarks/inspection_weights.py). Agreement between a photo and its mirror image got a large
weight from the one and none from the other, so it does not count."""

CENTRING_MOST, SPREAD_MOST = 40.0, 50.0
"""No single kind of evidence counts for more than this: no model of it is that good."""

USUAL_LOG_STD = -1.0
"""Natural logarithm of the median std of the first filters' answers: −2.1 in MobileNetV2, 0.0 in
EfficientNet-Lite0, so a factor of e either way says little."""

ALIVE = 1e-4
"""Filters with less than this share of the median variance are dead: their bias says nothing."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities ``(N, K)`` of the photos, and of their mirror images where they were asked."""

    shares: np.ndarray
    mirrored: np.ndarray | None = None

    def variety(self, weights: np.ndarray) -> np.ndarray:
        """Entropy in bits of the photos' mean answer: large where they get different classes."""
        share = weights / weights.sum(axis=1, keepdims=True)
        return entropy(share @ self.shares)

    def entropy(self, weights: np.ndarray) -> np.ndarray:
        """Mean entropy of the photos in bits, for each row of weights ``(D, N)``."""
        return _mean(entropy(self.shares), weights)

    def most_probable(self, weights: np.ndarray) -> np.ndarray:
        """Mean probability of the first class."""
        return _mean(self.shares.max(axis=1), weights)

    def information(self, weights: np.ndarray) -> np.ndarray:
        """I = H(mean of p) − mean of H(p) in bits: 0 where all photos get the same answer.

        >>> sure = Answers(np.eye(4))
        >>> sure.information(np.ones((1, 4)))
        array([2.])
        """
        return self.variety(weights) - self.entropy(weights)

    def agreement(self, weights: np.ndarray) -> np.ndarray | None:
        """1 − Jensen–Shannon divergence (bits) between a photo's answer and its mirror image's."""
        if self.mirrored is None:
            return None
        middle = entropy((self.shares + self.mirrored) / 2)
        apart = middle - (entropy(self.shares) + entropy(self.mirrored)) / 2
        return _mean(1 - apart, weights)


def likelihood(terms: dict[str, np.ndarray]) -> np.ndarray:
    """Return the log-likelihood in nats of a candidate's terms, each ``(D,)``.

    >>> likelihood({"variety": np.array([1.0]), "spread": np.array([-5.0])})
    array([11.])
    """
    return np.asarray(sum(WEIGHTS[name] * values for name, values in terms.items()))


def terms_of(
    answers: Answers | None, pooled: Pooled | None, candidate: Candidate, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the evidence for a candidate by kind, for each of ``weights (D, N)``, the larger the
    better; that of answers is missing where the output is none, and that of the first filters where
    they are not known (``pooled``)."""
    found = {}
    if answers is not None:
        found = {"variety": answers.variety(weights), "sureness": -answers.entropy(weights)}
    if pooled is not None:
        found |= first_filters(pooled, candidate)
    return found


def first_filters(pooled: Pooled, candidate: Candidate) -> dict[str, np.ndarray]:
    """Return what the first filters' answers under a candidate say for it, ``(D,)`` each.

    "centring": the log-likelihood −n/2 · ln(RSS₀ / RSS₁) that their means do not depend on their
    sums over each channel, against the best linear dependence (Gaussian scatter, n filters).
    "spread": −(median ln std − :data:`USUAL_LOG_STD`)².
    """
    mean, variance = pooled.moments(candidate.gain, candidate.bias)
    channels = len(candidate.gain)
    _, plain = pooled.moments(np.ones(channels), np.zeros(channels))
    alive = plain[0] > ALIVE * np.median(plain[0])
    log_std = np.log(np.maximum(variance[:, alive], 1e-30)) / 2
    spread = -np.minimum((np.median(log_std, axis=1) - USUAL_LOG_STD) ** 2, SPREAD_MOST)
    count, centring = int(alive.sum()), np.zeros(len(mean))
    if count >= 2 * (channels + 1):
        for row, (own, sums) in enumerate(zip(mean[:, alive], pooled.sums[:, alive], strict=True)):
            off = own - own.mean()
            sums = sums - sums.mean(axis=0)
            fitted = sums @ np.linalg.lstsq(sums, off, rcond=1e-6)[0]
            left = float(((off - fitted) ** 2).sum())
            ratio = float((off**2).sum()) / max(left, 1e-30)
            centring[row] = -min(count / 2 * float(np.log(max(ratio, 1.0))), CENTRING_MOST)
    return {"centring": centring, "spread": spread}


def posterior(scores: np.ndarray) -> np.ndarray:
    """Return each candidate's share of the likelihood, all being as likely before ``(K, D)``.

    >>> posterior(np.log(np.array([[3.0], [1.0], [0.0]]) + 1e-300)).ravel().round(2).tolist()
    [0.75, 0.25, 0.0]
    """
    most = scores.max(axis=0)
    raised = np.exp(scores - np.where(np.isfinite(most), most, 0.0))
    return np.asarray(raised / np.maximum(raised.sum(axis=0), 1e-300))


def entropy(shares: np.ndarray) -> np.ndarray:
    """Entropy in bits of probabilities ``(…, K)``."""
    logs = np.log2(np.where(shares > 0, shares, 1.0))
    return np.asarray(0.0 - (shares * logs).sum(axis=-1))


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights @ values / weights.sum(axis=1))
