"""scikit-learn's preprocessing, with pixels as rows and channels as columns."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Given, Library

LIBRARY = Library("scikit-learn", "scikit-learn", "sklearn")


def on_rows(function, given: Given, **options) -> np.ndarray:
    from sklearn import preprocessing

    rows = given.x.reshape(-1, given.x.shape[-1]).astype(float)
    return getattr(preprocessing, function)(rows, **options).reshape(given.x.shape)


def on_one_row(function, given: Given, **options) -> np.ndarray:
    from sklearn import preprocessing

    row = given.x.reshape(1, -1).astype(float)
    return getattr(preprocessing, function)(row, **options).reshape(given.x.shape)


@LIBRARY.agrees("channel_min_max", 1e-12)
def minmax_scale(given: Given):
    """preprocessing.minmax_scale(pixels)"""
    return on_rows("minmax_scale", given)


@LIBRARY.agrees("image_channel_standardize", 1e-11)
def scale(given: Given):
    """preprocessing.scale(pixels)"""
    return on_rows("scale", given)


@LIBRARY.agrees("robust", 1e-12, over="channel")
def robust_scale(given: Given):
    """preprocessing.robust_scale(pixels)"""
    return on_rows("robust_scale", given)


@LIBRARY.differs(
    "robust",
    0.33,
    "divides the IQR by that of the normal distribution, 1.349",
    lambda given: given.ours * 1.3489795003921634,
    over="channel",
)
def robust_scale_unit_variance(given: Given):
    """preprocessing.robust_scale(pixels, unit_variance=True)"""
    return on_rows("robust_scale", given, unit_variance=True)


@LIBRARY.agrees("unit_l2", 1e-12)
def normalize_l2(given: Given):
    """preprocessing.normalize([x.ravel()], norm="l2")"""
    return on_one_row("normalize", given, norm="l2")


@LIBRARY.agrees("unit_max", 1e-12)
def normalize_max(given: Given):
    """preprocessing.normalize([x.ravel()], norm="max")"""
    return on_one_row("normalize", given, norm="max")


@LIBRARY.agrees("dataset_zscore", 1e-9)
def standard_scaler(given: Given):
    """preprocessing.StandardScaler().fit(pixels of the set)"""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.reshape(given.on, (-1, 3)))
    return scaler.transform(given.x.reshape(-1, 3)).reshape(given.x.shape)


@LIBRARY.agrees("dataset_mean_image", 1e-12)
def mean_of_features(given: Given):
    """preprocessing.StandardScaler(with_std=False).fit(flattened images of the set)"""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_std=False).fit(np.reshape(given.on, (len(given.on), -1)))
    return scaler.transform(given.x.reshape(1, -1)).reshape(given.x.shape)


@LIBRARY.agrees("dataset_pixel_zscore", 1e-9)
def standard_scaler_of_features(given: Given):
    """preprocessing.StandardScaler().fit(flattened images of the set)"""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.reshape(given.on, (len(given.on), -1)))
    return scaler.transform(given.x.reshape(1, -1)).reshape(given.x.shape)


@LIBRARY.agrees("colour_pca", 1e-5, epsilon=1e-9)
def colour_pca(given: Given):
    """decomposition.PCA(whiten=True).fit(pixels of the set)"""
    from sklearn.decomposition import PCA

    whiten = PCA(whiten=True).fit(np.reshape(given.on, (-1, 3)) / 255)
    return whiten.transform(given.u.reshape(-1, 3)).reshape(given.x.shape)


def ten_images(given: Given) -> np.ndarray:
    """The nine components that ten images have; the rest are left as they are here."""
    from sklearn.decomposition import PCA

    whiten = PCA(9, whiten=True).fit(np.reshape(given.on, (10, -1)) / 255)
    done = given.ours.ravel().copy()
    done[:9] = whiten.transform(given.u.reshape(1, -1))[0]
    return done.reshape(given.x.shape)


def with_ddof_1(given: Given) -> np.ndarray:
    done = given.ours.ravel().copy()
    done[:9] *= np.sqrt(9 / 10)
    return done.reshape(given.x.shape)


@LIBRARY.differs(
    "image_pca",
    0.038,
    "takes the variance with n − 1: of ten images its first nine components are √(9/10) of ours",
    with_ddof_1,
    within=1e-6,
    fitted_on=10,
    epsilon=1e-6,
)
def image_pca(given: Given):
    """decomposition.PCA(9, whiten=True).fit(ten flattened images)"""
    return ten_images(given)
