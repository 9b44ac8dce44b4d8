"""What the first batch normalization gets for *any* gain and bias of the input, from a few runs.

Up to it a network is usually affine: what arrives is r = Σ_c gain_c · r_c + bias_c · s_c + k, where
r_c is the answer to colour c of the image alone, s_c that to ones in its channel and k that to
zeros. Means of the products of these parts give mean and variance for every candidate, for other
exposures of the photos, and for constants that nobody published, exactly (padding included).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from normviz.inspection.candidates import Candidate
from normviz.inspection.distance import layer_distance
from normviz.inspection.photos import Views, exposure
from normviz.networks.graph import BatchNorm
from normviz.networks.network import Network

AFFINE = 1e-3
"""Largest error, in stds of what arrives, at which the way there is taken for affine."""


@dataclass(frozen=True, eq=False)
class Response:
    """Mean products ``(N, F, B, B)`` of the parts (r_1…r_C, s_1…s_C, k, 1) for photos and filters.

    ``means`` and ``pairs`` are the photos' own E[u] and E[u uᵀ]. ``order`` is that in which
    colours meet channels.
    """

    norm: BatchNorm
    order: str
    products: np.ndarray
    means: np.ndarray
    pairs: np.ndarray
    usual: bool

    @property
    def channels(self) -> int:
        return int(self.means.shape[1])

    def pooled(self, weights: np.ndarray) -> Pooled:
        """Pool the photos, for each row of ``weights (D, N)``: how often each counts."""
        share = weights / weights.sum(axis=1, keepdims=True)
        means = share @ self.means
        pairs = np.tensordot(share, self.pairs, 1)
        a, o = exposure(means, np.diagonal(pairs, axis1=1, axis2=2), self.usual)
        products = np.tensordot(share, self.products, 1)
        covariance = pairs - means[:, :, np.newaxis] * means[:, np.newaxis, :]
        plain = _plain_share(products, a, covariance)
        return Pooled(self.norm, self.order, products, a, o, a * means + o, plain)


@dataclass(frozen=True, eq=False)
class Pooled:
    """A response over D sets of photos, each with its exposure: u becomes ``a · u + o (D, C)``.

    ``centre`` is E[u] after it. ``plain (D, F)`` is the share of a filter's variance that its
    answer to plain areas explains: near 1 for one that sees colour and brightness, near 0 for one
    that sees edges, whose variance depends on how sharp the photos are more than on any constants.
    """

    norm: BatchNorm
    order: str
    products: np.ndarray
    a: np.ndarray
    o: np.ndarray
    centre: np.ndarray
    plain: np.ndarray

    def moments(self, gain: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance ``(D, F)`` that arrive for a gain and bias, ``(C,)`` or ``(D, C)``."""
        parts = np.concatenate(
            [gain * self.a, bias + gain * self.o, np.ones((len(self.a), 1))], axis=1
        )
        mean = np.matmul(self.products[..., :-1, -1], parts[:, :, np.newaxis])[..., 0]
        through = np.matmul(self.products[..., :-1, :-1], parts[:, np.newaxis, :, np.newaxis])
        second = np.einsum("dfa,da->df", through[..., 0], parts)
        return mean, np.maximum(second - mean**2, 0.0)

    def distances(self, candidate: Candidate) -> np.ndarray:
        """The distance at the normalization for each set, filters weighted by ``plain``."""
        return layer_distance(
            self.norm, *self.moments(candidate.gain, candidate.bias), weights=self.plain
        )


def _plain_share(products: np.ndarray, a: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    channels = a.shape[1]
    sums = products[..., channels : 2 * channels, -1] * a[:, np.newaxis, :]
    seen = np.einsum("dfc,dce,dfe->df", sums, covariance, sums)
    parts = np.zeros((len(a), products.shape[-1]))
    parts[:, :channels] = a
    mean = np.einsum("da,dfa->df", parts, products[..., -1])
    total = np.einsum("da,dfab,db->df", parts, products, parts, optimize=True) - mean**2
    return np.clip(seen / np.maximum(total, 1e-30), 1e-6, 1.0)


def measure_response(network: Network, views: Views, order: str) -> Iterator[Response | None]:
    """Yield None after each photo, and at the end the response at the first normalization.

    Nothing follows the Nones where the network is not affine up to there.
    """
    norm = network.batch_norms[0]
    tap, channels = norm.before, views.channels
    shape = views.fractions.shape[1:]
    inputs = list(range(channels))[:: -1 if order == "BGR" else 1]

    def run(values: np.ndarray) -> np.ndarray:
        found = network.run(values.astype(np.float32), [tap])[tap].astype(np.float64)
        return found.reshape(*found.shape[:2], -1)

    zero = run(np.zeros((1, *shape)))[0]
    ones = [run(_only(np.ones((1, *shape[:2])), c, channels))[0] - zero for c in inputs]
    products = []
    for index in range(len(views)):
        image = views.fractions[index : index + 1]
        alone = [run(_only(image[..., c], inputs[c], channels))[0] - zero for c in range(channels)]
        parts = np.stack([*alone, *ones, zero, np.ones_like(zero)], axis=1)
        if index == 0:
            together = run(image[..., ::-1] if order == "BGR" else image)[0]
            error = np.abs(together - sum(alone) - zero).max()
            if not error <= AFFINE * max(float(together.std()), 1e-12):
                return
        products.append(parts @ parts.transpose(0, 2, 1) / parts.shape[2])
        yield None
    yield Response(norm, order, np.stack(products), views.means, views.pairs, views.usual)


def _only(values: np.ndarray, channel: int, channels: int) -> np.ndarray:
    """Images ``(N, H, W, C)`` with ``values (N, H, W)`` in one channel and zeros in the others."""
    found = np.zeros((*values.shape, channels), np.float32)
    found[..., channel] = values
    return found
