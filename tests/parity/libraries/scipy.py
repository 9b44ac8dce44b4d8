"""SciPy: its filters and statistics."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Given, Library

LIBRARY = Library("SciPy", "scipy", "scipy")


@LIBRARY.agrees("image_standardize", 1e-12)
def zscore(given: Given):
    """stats.zscore(x, axis=None)"""
    from scipy import stats

    return stats.zscore(given.x.astype(float), axis=None)


@LIBRARY.agrees("image_channel_standardize", 1e-11)
def zscore_of_channels(given: Given):
    """stats.zscore(x, axis=(0, 1))"""
    from scipy import stats

    return stats.zscore(given.x.reshape(-1, 3).astype(float), axis=0).reshape(given.x.shape)


@LIBRARY.agrees("gcn", 1e-12, bias=0.0)
def zscore_ddof_1(given: Given):
    """stats.zscore(x, axis=None, ddof=1)"""
    from scipy import stats

    return stats.zscore(given.x.astype(float), axis=None, ddof=1)


@LIBRARY.agrees("robust", 1e-12, scale="mad")
def median_abs_deviation(given: Given):
    """(x − median) / stats.median_abs_deviation(x, axis=None)"""
    from scipy import stats

    return (given.x - np.median(given.x)) / stats.median_abs_deviation(given.x, axis=None)


@LIBRARY.differs(
    "robust",
    1.4e-6,
    "multiplies the MAD by 1.482602…, where the customary 1.4826 stands here",
    lambda given: given.ours * 1.4826 * 0.6744897501960817,
    within=1e-12,
    scale="mad_normal",
)
def median_abs_deviation_normal(given: Given):
    """(x − median) / stats.median_abs_deviation(x, axis=None, scale="normal")"""
    from scipy import stats

    mad = stats.median_abs_deviation(given.x, axis=None, scale="normal")
    return (given.x - np.median(given.x)) / mad


@LIBRARY.agrees("robust", 1e-12)
def iqr(given: Given):
    """(x − median) / stats.iqr(x)"""
    from scipy import stats

    return (given.x - np.median(given.x)) / stats.iqr(given.x)


@LIBRARY.agrees("lcn_subtractive", 1e-9)
def gaussian_subtracted(given: Given):
    """u − ndimage.gaussian_filter(mean of channels, 9 / 4, radius=4, mode="mirror")"""
    return given.u - pooled(given.u.mean(axis=2, keepdims=True))


@LIBRARY.agrees("lcn", 1e-9)
def gaussian_contrast(given: Given):
    """the same, divided by max(mean σ, σ), σ² = gaussian_filter(mean of v²)"""
    v = given.u - pooled(given.u.mean(axis=2, keepdims=True))
    sigma = np.sqrt(pooled((v * v).mean(axis=2, keepdims=True)))
    return v / np.maximum(sigma.mean(), sigma)


def pooled(values: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return ndimage.gaussian_filter(values, 9 / 4, mode="mirror", radius=4, axes=(0, 1))


@LIBRARY.agrees("local_standardize", 1e-7)
def uniform_standardized(given: Given):
    """ndimage.uniform_filter(u, (15, 15, 1), mode="mirror") of u and u²"""
    from scipy import ndimage

    mean = ndimage.uniform_filter(given.u, (15, 15, 1), mode="mirror")
    square = ndimage.uniform_filter(given.u**2, (15, 15, 1), mode="mirror")
    return (given.u - mean) / np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), 1e-4)


def retinex(given: Given, sigma: float) -> np.ndarray:
    from scipy import ndimage

    wide = ndimage.gaussian_filter(given.u, sigma, mode="reflect", axes=(0, 1))
    return np.log(given.u + 1 / 255) - np.log(wide + 1 / 255)


@LIBRARY.agrees("retinex_ssr", 1e-7, sigma=5.0)
def narrow_surround(given: Given):
    """log(u + 1/255) − log(ndimage.gaussian_filter(u, 5) + 1/255)"""
    return retinex(given, 5.0)


@LIBRARY.differs(
    "retinex_ssr",
    2.7e-4,
    "filters at full size; from σ = 16 px on the surround is taken on a reduced copy here",
    lambda given: retinex(given, 80.0),
)
def wide_surround(given: Given):
    """log(u + 1/255) − log(ndimage.gaussian_filter(u, 80) + 1/255)"""
    return retinex(given, 80.0)


@LIBRARY.agrees("grey_edge", 1e-9)
def edges_of_a_smooth_image(given: Given):
    """central differences of ndimage.gaussian_filter(u, 1), their Minkowski mean"""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(given.u, 1.0, mode="mirror", axes=(0, 1))
    across = ndimage.correlate1d(smooth, [-1, 0, 1], axis=1, mode="mirror")
    down = ndimage.correlate1d(smooth, [-1, 0, 1], axis=0, mode="mirror")
    light = np.mean(np.hypot(across, down) ** 6, axis=(0, 1)) ** (1 / 6)
    return given.u * light.mean() / light
