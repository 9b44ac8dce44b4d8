"""Batches of linear light as a camera would take them: exposure, shot noise, clipping, 8 bit.

The steps are those of :func:`normviz.light.relight`, with an exposure of its own for each image.
"""

from __future__ import annotations

import numpy as np

from normviz.light import linear_to_srgb

NOISE = 2.0
"""Standard deviation of the shot noise at white in percent of white: 2,500 photo-electrons."""


def exposed(
    linear: np.ndarray, ev: np.ndarray | float, seed: int, noise: float = NOISE
) -> np.ndarray:
    """Return 8-bit sRGB of linear light ``(N, S, S, C)`` under 2^ev, uint8.

    ``ev`` is one number, one an image ``(N,)``, or one an image and channel ``(N, C)``:
    v ~ Poisson(n · 2^ev · linear)/n with n = (100/noise)², clipped, encoded and rounded.

    >>> exposed(np.full((1, 1, 1, 1), 0.25, np.float32), 0.0, seed=0, noise=0).item()
    137
    """
    ev = np.asarray(ev, np.float64)
    gains = 2.0 ** (ev.reshape(len(linear), 1, 1, -1) if ev.ndim else ev)
    light = linear * gains
    if noise:
        electrons = (100.0 / noise) ** 2
        light = np.random.default_rng([seed, 5]).poisson(light * electrons) / electrons
    encoded = linear_to_srgb(np.clip(light, 0.0, 1.0))
    return np.rint(encoded * 255).astype(np.uint8)


def spread(count: int, sigma: float, seed: int, part: int) -> np.ndarray:
    """Return an exposure an image, in EV from N(0, σ); ``part`` tells training and test apart.

    The draws of two σ are the same but for their size, so that settings are paired.

    >>> (spread(3, 2.0, 0, 0) / spread(3, 1.0, 0, 0)).tolist()
    [2.0, 2.0, 2.0]
    """
    return sigma * np.random.default_rng([seed, 6, part]).normal(size=count)
