"""What the first layer gives for *any* gain and bias of the input, from a few runs.

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
    """Mean products ``(N, F, B, B)`` of the parts, for photos and filters.

    Parts are the answers to each colour in each channel (channel by channel, C² of them), s_1…s_C,
    k and 1. ``means`` and ``pairs`` are the photos' own E[u] and E[u uᵀ].
    """

    products: np.ndarray
    means: np.ndarray
    pairs: np.ndarray
    usual: bool

    def pooled(self, weights: np.ndarray, order: str = "RGB") -> Pooled:
        """Pool the photos, for each row of ``weights (D, N)``: how often each counts.

        ``order`` is that in which colours meet the network's channels.
        """
        share = weights / weights.sum(axis=1, keepdims=True)
        means, pairs = share @ self.means, np.tensordot(share, self.pairs, 1)
        matrix, offset = exposure(means, pairs, self.usual)
        channels = means.shape[1]
        squared = channels * channels
        # Each row makes a part of the exposed photos: r_c, s_c, k, 1.
        made = np.zeros((len(share), 2 * channels + 2, squared + channels + 2))
        for colour in range(channels):
            channel = channels - 1 - colour if order == "BGR" else colour
            first = channel * channels
            made[:, colour, first : first + channels] = matrix[:, colour]
            made[:, colour, squared + channel] = offset[:, colour]
            made[:, channels + colour, squared + channel] = 1.0
        made[:, -2, -2] = made[:, -1, -1] = 1.0
        products = np.tensordot(share, self.products, 1)
        products = made[:, np.newaxis] @ products @ made.transpose(0, 2, 1)[:, np.newaxis]
        covariance = pairs - means[:, :, np.newaxis] * means[:, np.newaxis, :]
        plain = _plain_share(products, matrix @ covariance @ matrix.transpose(0, 2, 1))
        centre = np.einsum("dij,dj->di", matrix, means) + offset
        return Pooled(order, products, centre, plain)


@dataclass(frozen=True, eq=False)
class Pooled:
    """A response over D sets of photos as exposed: products of r_1…r_C, s_1…s_C, k, 1.

    ``centre (D, C)`` is their E[u]. ``plain (D, F)`` is the share of a filter's variance that its
    answer to plain areas explains: near 1 for one that sees colour and brightness, near 0 for one
    that sees edges, whose variance depends on how sharp the photos are more than on any constants.
    """

    order: str
    products: np.ndarray
    centre: np.ndarray
    plain: np.ndarray

    def moments(self, gain: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance ``(D, F)`` that arrive for a gain and bias, ``(C,)`` or ``(D, C)``."""
        count = (len(self.products), self.centre.shape[1])
        parts = np.concatenate(
            [np.broadcast_to(gain, count), np.broadcast_to(bias, count), np.ones((count[0], 1))],
            axis=1,
        )
        mean = np.matmul(self.products[..., :-1, -1], parts[:, :, np.newaxis])[..., 0]
        through = np.matmul(self.products[..., :-1, :-1], parts[:, np.newaxis, :, np.newaxis])
        second = np.einsum("dfa,da->df", through[..., 0], parts)
        return mean, np.maximum(second - mean**2, 0.0)

    @property
    def sums(self) -> np.ndarray:
        """The filters' mean answers to ones in each channel ``(D, F, C)``, in order of colours."""
        channels = self.centre.shape[1]
        return self.products[..., channels : 2 * channels, -1]

    def distances(self, candidate: Candidate, norm: BatchNorm) -> np.ndarray:
        """The distance at the normalization for each set, filters weighted by ``plain``."""
        return layer_distance(
            norm, *self.moments(candidate.gain, candidate.bias), weights=self.plain
        )


def _plain_share(products: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    channels = covariance.shape[1]
    sums = products[..., channels : 2 * channels, -1]
    seen = np.einsum("dfc,dce,dfe->df", sums, covariance, sums)
    mean = products[..., :channels, -1].sum(axis=-1)
    total = products[..., :channels, :channels].sum(axis=(-1, -2)) - mean**2
    return np.clip(seen / np.maximum(total, 1e-30), 1e-6, 1.0)


_VALUES = 1 << 22
"""So many float64 values of filters' answers are held at a time."""


def measure_response(network: Network, views: Views, tap: str) -> Iterator[Response | None]:
    """Yield None after each photo, and at the end the response of the tensor ``tap``.

    Nothing follows the Nones where the network is not affine up to there.
    """
    channels = views.channels
    shape = views.fractions.shape[1:]

    def run(values: np.ndarray) -> np.ndarray:
        found = network.run(values.astype(np.float32), [tap])[tap][0]
        return found.reshape(len(found), -1)

    zero = run(np.zeros((1, *shape)))
    ones = [run(_only(np.ones((1, *shape[:2])), c, channels)) for c in range(channels)]
    filters, places = zero.shape
    count = channels * channels + channels + 2
    # In float64 all of a large first layer would fill gigabytes; some filters at a time do not.
    block = max(1, _VALUES // (count * places))
    blocks = [slice(start, start + block) for start in range(0, filters, block)]
    products = []
    for index in range(len(views)):
        image = views.fractions[index : index + 1]
        alone = [
            run(_only(image[..., colour], channel, channels))
            for channel in range(channels)
            for colour in range(channels)
        ]
        if index == 0:
            together, error = run(image), 0.0
            # What bends each channel by itself still adds up, but not under another factor.
            turned = run(-0.5 * image)
            for rows in blocks:
                base = zero[rows].astype(np.float64)
                whole = together[rows] - base
                added = sum(one[rows] - base for one in alone[:: channels + 1])
                half = turned[rows] - base + 0.5 * whole
                error = max(error, np.abs(whole - added).max(), np.abs(half).max())
                # NaN is no larger than anything.
                error = error if np.isfinite(whole).all() else np.inf
            if not error <= AFFINE * max(float(together.std(dtype=np.float64)), 1e-12):
                return
        found = []
        for rows in blocks:
            base = zero[rows].astype(np.float64)
            parts = np.stack(
                [*(one[rows] - base for one in (*alone, *ones)), base, np.ones_like(base)], axis=1
            )
            found.append(parts @ parts.transpose(0, 2, 1) / places)
        products.append(np.concatenate(found))
        yield None
    yield Response(np.stack(products), views.means, views.pairs, views.usual)


def _only(values: np.ndarray, channel: int, channels: int) -> np.ndarray:
    """Images ``(N, H, W, C)`` with ``values (N, H, W)`` in one channel and zeros in the others."""
    found = np.zeros((*values.shape, channels), np.float32)
    found[..., channel] = values
    return found
