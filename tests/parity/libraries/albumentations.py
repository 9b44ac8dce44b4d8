"""Albumentations, on bytes in and float32 out."""

from __future__ import annotations

import os

import numpy as np

from tests.parity.case import Given, Library

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

LIBRARY = Library("Albumentations", "albumentations", "albumentations")


def run(given: Given, name: str, **options) -> np.ndarray:
    import albumentations as A

    return getattr(A, name)(p=1.0, **options)(image=np.array(given.x))["image"]


@LIBRARY.agrees("scale_01", 1e-6)
def to_float(given: Given):
    """ToFloat(max_value=255)"""
    return run(given, "ToFloat", max_value=255)


@LIBRARY.agrees("dataset_zscore", 1e-6)
def normalize(given: Given):
    """Normalize(MEAN, STD)"""
    u = np.stack(given.on) / 255
    mean, std = u.mean(axis=(0, 1, 2)).tolist(), u.std(axis=(0, 1, 2)).tolist()
    return run(given, "Normalize", mean=mean, std=std)


@LIBRARY.agrees("published", 1e-6)
def normalize_by_default(given: Given):
    """Normalize()"""
    return run(given, "Normalize")


def with_epsilon(given: Given, low, spread) -> np.ndarray:
    """(x − low) / (spread + 1e-4) on levels, cut at ±20."""
    return np.clip((given.x - low) / (spread + 1e-4), -20, 20)


ADDED = "adds 1e-4 to the divisor, in levels, and cuts at ±20"


@LIBRARY.differs(
    "image_standardize",
    1.9e-6,
    ADDED,
    lambda given: with_epsilon(given, given.x.mean(), given.x.std()),
    within=1e-7,
)
def normalize_image(given: Given):
    """Normalize(normalization="image")"""
    return run(given, "Normalize", normalization="image")


@LIBRARY.differs(
    "image_channel_standardize",
    2.2e-6,
    ADDED,
    lambda given: with_epsilon(given, given.x.mean((0, 1)), given.x.std((0, 1))),
    within=1e-7,
)
def normalize_image_per_channel(given: Given):
    """Normalize(normalization="image_per_channel")"""
    return run(given, "Normalize", normalization="image_per_channel")


@LIBRARY.differs(
    "min_max",
    3.9e-7,
    ADDED,
    lambda given: with_epsilon(given, given.x.min(), np.ptp(given.x).astype(float)),
    within=1e-7,
)
def normalize_min_max(given: Given):
    """Normalize(normalization="min_max")"""
    return run(given, "Normalize", normalization="min_max")


@LIBRARY.differs(
    "channel_min_max",
    4.1e-7,
    ADDED,
    lambda given: with_epsilon(given, given.x.min((0, 1)), np.ptp(given.x, (0, 1)).astype(float)),
    within=1e-7,
)
def normalize_min_max_per_channel(given: Given):
    """Normalize(normalization="min_max_per_channel")"""
    return run(given, "Normalize", normalization="min_max_per_channel")


@LIBRARY.differs(
    "gamma",
    0.0039,
    "cuts off to whole bytes",
    lambda given: np.floor(255 * given.ours + 1e-9) / 255,
    gamma=0.45,
)
def random_gamma(given: Given):
    """RandomGamma(gamma_limit=(45, 45))(x)"""
    return run(given, "RandomGamma", gamma_limit=(45, 45)) / 255


@LIBRARY.agrees("equalize", 1e-6, of="luma")
def equalize_luma(given: Given):
    """Equalize(mode="cv", by_channels=False)(x)"""
    return run(given, "Equalize", mode="cv", by_channels=False) / 255


@LIBRARY.differs(
    "equalize",
    0.002,
    "rounds to bytes",
    lambda given: np.rint(255 * given.ours) / 255,
)
def equalize(given: Given):
    """Equalize(mode="cv")(x)"""
    return run(given, "Equalize", mode="cv") / 255


@LIBRARY.agrees("clahe", 1e-6)
def clahe(given: Given):
    """CLAHE(clip_limit=(2, 2), tile_grid_size=(8, 8))(x)"""
    return run(given, "CLAHE", clip_limit=(2.0, 2.0), tile_grid_size=(8, 8)) / 255


@LIBRARY.differs(
    "match_histogram",
    0.0039,
    "cuts off to whole bytes; a reference of another size would be resized first",
    lambda given: np.floor(255 * given.ours + 1e-9) / 255,
    fitted_on=1,
)
def histogram_matching(given: Given):
    """HistogramMatching(metadata_key="refs", blend_ratio=(1, 1))(x)"""
    import albumentations as A

    step = A.HistogramMatching(metadata_key="refs", blend_ratio=(1.0, 1.0), p=1.0)
    return step(image=np.array(given.x), refs=[np.array(given.on[0])])["image"] / 255
