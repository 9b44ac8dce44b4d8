"""What a classifier's answers alone say about its input: weaker evidence, but always there.

A network that gets what it expects is sure of each photo and says different things of different
photos. A wrong scale often makes it sure, but of the same class for all; a wrong contrast makes it
unsure. Their difference is the information between photo and class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities ``(N, K)`` of the photos, and of their mirror images where they were asked."""

    shares: np.ndarray
    mirrored: np.ndarray | None = None

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
        share = weights / weights.sum(axis=1, keepdims=True)
        return np.asarray(entropy(share @ self.shares) - share @ entropy(self.shares))

    def agreement(self, weights: np.ndarray) -> np.ndarray | None:
        """1 − Jensen–Shannon divergence (bits) between a photo's answer and its mirror image's."""
        if self.mirrored is None:
            return None
        middle = entropy((self.shares + self.mirrored) / 2)
        apart = middle - (entropy(self.shares) + entropy(self.mirrored)) / 2
        return _mean(1 - apart, weights)


def entropy(shares: np.ndarray) -> np.ndarray:
    """Entropy in bits of probabilities ``(…, K)``."""
    logs = np.log2(np.where(shares > 0, shares, 1.0))
    return np.asarray(0.0 - (shares * logs).sum(axis=-1))


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights @ values / weights.sum(axis=1))
