"""Kornia's enhance and contrib, on float64."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Given, Library
from tests.parity.libraries.pillow import in_steps

LIBRARY = Library("Kornia", "kornia", "kornia")


def run(given: Given, function) -> np.ndarray:
    """``function`` of u as a tensor (1, 3, H, W)."""
    import torch

    tensor = torch.from_numpy(given.planes.astype(np.float64))[np.newaxis] / 255
    return function(tensor)[0].numpy().transpose(1, 2, 0)


def enhance():
    import kornia

    return kornia.enhance


@LIBRARY.agrees("dataset_zscore", 1e-9)
def normalize(given: Given):
    """enhance.normalize(u, MEAN, STD)"""
    import torch

    u = np.stack(given.on) / 255
    mean, std = (torch.from_numpy(found) for found in (u.mean((0, 1, 2)), u.std((0, 1, 2))))
    return run(given, lambda x: enhance().normalize(x, mean, std))


@LIBRARY.differs(
    "channel_min_max",
    1.0e-6,
    "adds 1e-6 to max − min of fractions",
    lambda given: (given.u - given.u.min((0, 1))) / (np.ptp(given.u, axis=(0, 1)) + 1e-6),
    within=1e-9,
)
def normalize_min_max(given: Given):
    """enhance.normalize_min_max(u)"""
    return run(given, enhance().normalize_min_max)


@LIBRARY.agrees("gamma", 1e-12, gamma=0.45)
def adjust_gamma(given: Given):
    """enhance.adjust_gamma(u, 0.45)"""
    return run(given, lambda x: enhance().adjust_gamma(x, 0.45))


@LIBRARY.agrees("logarithm", 1e-12, strength=1.0)
def adjust_log(given: Given):
    """enhance.adjust_log(u)"""
    return run(given, enhance().adjust_log)


@LIBRARY.differs("equalize", 0.23, "Pillow's definition, to the byte", in_steps)
def equalize(given: Given):
    """enhance.equalize(u)"""
    return run(given, enhance().equalize)


@LIBRARY.agrees("match_histogram", 1e-9, fitted_on=1)
def histogram_matching(given: Given):
    """contrib.histogram_matching(plane, reference), a channel at a time"""
    import kornia
    import torch

    pairs = [(given.x[..., c] / 255, given.on[0][..., c] / 255) for c in range(3)]
    done = [kornia.contrib.histogram_matching(*map(torch.from_numpy, pair)) for pair in pairs]
    return torch.stack(done, dim=2).numpy()


@LIBRARY.differs(
    "clahe",
    0.051,
    "has its tiles' centres half a pixel away, other tiles where they do not divide the sides, and "
    "does not round",
    None,
    view="grey photos",
)
def equalize_clahe(given: Given):
    """enhance.equalize_clahe(u, 2.0, (8, 8))"""
    return run(given, lambda x: enhance().equalize_clahe(x, 2.0, (8, 8)))


@LIBRARY.agrees("colour_zca", 1e-11)
def zca_whitening(given: Given):
    """enhance.ZCAWhitening(eps=1e-5, unbiased=False).fit(pixels of the set)"""
    import torch

    whiten = enhance().ZCAWhitening(eps=1e-5, unbiased=False)
    whiten.fit(torch.from_numpy(np.reshape(given.on, (-1, 3)) / 255))
    return whiten(torch.from_numpy(given.u.reshape(-1, 3))).numpy().reshape(given.x.shape)


def zca_with_ddof_1(given: Given) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.cov(given.on[0].reshape(-1, 3).T / 255))
    return vectors / np.sqrt(values + 1e-5) @ vectors.T


@LIBRARY.differs(
    "colour_zca",
    0.00039,
    "takes the variance with n − 1 by default, here of 1,024 pixels",
    lambda given: (given.u - given.on[0].mean((0, 1)) / 255) @ zca_with_ddof_1(given),
    fitted_on=1,
)
def zca_whitening_unbiased(given: Given):
    """enhance.ZCAWhitening(eps=1e-5).fit(pixels of one image)"""
    import torch

    whiten = enhance().ZCAWhitening(eps=1e-5)
    whiten.fit(torch.from_numpy(np.reshape(given.on, (-1, 3)) / 255))
    return whiten(torch.from_numpy(given.u.reshape(-1, 3))).numpy().reshape(given.x.shape)
