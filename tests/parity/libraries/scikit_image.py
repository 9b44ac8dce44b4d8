"""scikit-image's exposure."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Given, Library

LIBRARY = Library("scikit-image", "scikit-image", "skimage")


def a_plane_at_a_time(function, given: Given) -> np.ndarray:
    return np.stack([function(plane) for plane in given.planes], axis=2)


@LIBRARY.agrees("scale_01", 1e-12)
def img_as_float(given: Given):
    """util.img_as_float(x)"""
    from skimage import util

    return util.img_as_float(given.x)


@LIBRARY.agrees("min_max", 1e-12)
def rescale_intensity(given: Given):
    """exposure.rescale_intensity(x, out_range=(0.0, 1.0))"""
    from skimage import exposure

    return exposure.rescale_intensity(given.x, out_range=(0.0, 1.0))


@LIBRARY.agrees("percentile_stretch", 1e-12)
def rescale_percentiles(given: Given):
    """exposure.rescale_intensity(x, tuple(np.percentile(x, (2, 98))), (0.0, 1.0))"""
    from skimage import exposure

    ends = tuple(np.percentile(given.x, (2, 98)))
    return exposure.rescale_intensity(given.x, in_range=ends, out_range=(0.0, 1.0))


@LIBRARY.agrees("gamma", 1e-12, gamma=0.45)
def adjust_gamma(given: Given):
    """exposure.adjust_gamma(x / 255, 0.45)"""
    from skimage import exposure

    return exposure.adjust_gamma(given.u, 0.45)


@LIBRARY.differs(
    "gamma",
    0.002,
    "rounds to bytes",
    lambda given: np.rint(255 * given.ours) / 255,
    gamma=0.45,
)
def adjust_gamma_of_bytes(given: Given):
    """exposure.adjust_gamma(x, 0.45)"""
    from skimage import exposure

    return exposure.adjust_gamma(given.x, 0.45) / 255


@LIBRARY.agrees("logarithm", 1e-9, strength=1.0)
def adjust_log(given: Given):
    """exposure.adjust_log(x / 255)"""
    from skimage import exposure

    return exposure.adjust_log(given.u)


@LIBRARY.differs(
    "logarithm",
    0.0039,
    "cuts off to whole bytes",
    lambda given: np.floor(255 * given.ours + 1e-9) / 255,
    strength=1.0,
)
def adjust_log_of_bytes(given: Given):
    """exposure.adjust_log(x)"""
    from skimage import exposure

    return exposure.adjust_log(given.x) / 255


def share_kept(given: Given) -> np.ndarray:
    """F(x) itself: F(min) is not taken off."""
    first = (given.x == given.x.min(axis=(0, 1))).mean(axis=(0, 1))
    return first + (1 - first) * given.ours


@LIBRARY.differs(
    "equalize", 0.038, "does not take off F(min), the darkest value's share", share_kept
)
def equalize_hist(given: Given):
    """exposure.equalize_hist(plane), a channel at a time"""
    from skimage import exposure

    return a_plane_at_a_time(exposure.equalize_hist, given)


@LIBRARY.differs(
    "equalize",
    0.4,
    "takes one histogram of all channels, and does not take off F(min)",
    lambda given: np.searchsorted(np.sort(given.x, axis=None), given.x, "right") / given.x.size,
)
def equalize_hist_whole(given: Given):
    """exposure.equalize_hist(x)"""
    from skimage import exposure

    return exposure.equalize_hist(given.x)


@LIBRARY.agrees("match_histogram", 1e-9, fitted_on=1)
def match_histograms(given: Given):
    """exposure.match_histograms(plane, reference), a channel at a time"""
    from skimage import exposure

    reference = given.on[0]
    planes = [exposure.match_histograms(given.x[..., c], reference[..., c]) for c in range(3)]
    return np.stack(planes, axis=2) / 255


@LIBRARY.differs(
    "match_histogram",
    0.0039,
    "cuts off to whole bytes",
    lambda given: np.floor(255 * given.ours + 1e-9) / 255,
    fitted_on=1,
)
def match_histograms_of_bytes(given: Given):
    """exposure.match_histograms(x, reference, channel_axis=2)"""
    from skimage import exposure

    return exposure.match_histograms(given.x, given.on[0], channel_axis=2) / 255


@LIBRARY.differs(
    "clahe",
    0.12,
    "clips otherwise, has 253 bins, gives tiles by size, and stretches the whole image before "
    "and after; its limit of 0.01 is 2.56 here",
    None,
    view="grey photos",
    clip_limit=2.56,
)
def equalize_adapthist(given: Given):
    """exposure.equalize_adapthist(x, clip_limit=0.01)"""
    from skimage import exposure

    return exposure.equalize_adapthist(given.x[..., 0], clip_limit=0.01)[..., np.newaxis]
