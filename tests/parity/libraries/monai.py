"""MONAI's intensity transforms, on float32 with channels first."""

from __future__ import annotations

import numpy as np

import normviz as nv
from normviz.methods.transfer import AMOUNTS, STAINS
from tests.parity.case import Given, Library

LIBRARY = Library("MONAI", "monai", "monai")


def run(given: Given, name: str, *parameters, **options) -> np.ndarray:
    from monai import transforms

    done = getattr(transforms, name)(*parameters, **options)(given.planes.astype(np.float32))
    return np.asarray(done).transpose(1, 2, 0)


@LIBRARY.agrees("scale_01", 1e-6)
def scale_intensity_range(given: Given):
    """ScaleIntensityRange(0, 255, 0, 1)"""
    return run(given, "ScaleIntensityRange", 0, 255, 0.0, 1.0)


@LIBRARY.agrees("min_max", 1e-6)
def scale_intensity(given: Given):
    """ScaleIntensity()"""
    return run(given, "ScaleIntensity")


@LIBRARY.agrees("channel_min_max", 1e-6)
def scale_intensity_of_channels(given: Given):
    """ScaleIntensity(channel_wise=True)"""
    return run(given, "ScaleIntensity", channel_wise=True)


@LIBRARY.agrees("percentile_stretch", 1e-6)
def scale_intensity_range_percentiles(given: Given):
    """ScaleIntensityRangePercentiles(2, 98, 0, 1, clip=True)"""
    return run(given, "ScaleIntensityRangePercentiles", 2, 98, 0, 1, clip=True)


@LIBRARY.agrees("percentile_stretch", 1e-6, beyond="keep", over="channel")
def scale_intensity_range_percentiles_kept(given: Given):
    """ScaleIntensityRangePercentiles(2, 98, 0, 1, channel_wise=True)"""
    return run(given, "ScaleIntensityRangePercentiles", 2, 98, 0, 1, channel_wise=True)


@LIBRARY.agrees("image_standardize", 1e-6)
def normalize_intensity(given: Given):
    """NormalizeIntensity()"""
    return run(given, "NormalizeIntensity")


@LIBRARY.agrees("image_channel_standardize", 1e-6)
def normalize_intensity_of_channels(given: Given):
    """NormalizeIntensity(channel_wise=True)"""
    return run(given, "NormalizeIntensity", channel_wise=True)


@LIBRARY.agrees("dataset_zscore", 1e-6)
def normalize_intensity_by_constants(given: Given):
    """NormalizeIntensity(subtrahend=MEAN, divisor=STD, channel_wise=True)"""
    x = np.stack(given.on)
    mean, std = (found.tolist() for found in (x.mean((0, 1, 2)), x.std((0, 1, 2))))
    options = {"subtrahend": mean, "divisor": std, "channel_wise": True}
    return run(given, "NormalizeIntensity", **options)


def between_its_ends(given: Given) -> np.ndarray:
    """γ on the image stretched to 0…1, and stretched back."""
    low, span = given.u.min(), np.ptp(given.u)
    return ((given.u - low) / (span + 1e-7 / 255)) ** 0.45 * span + low


@LIBRARY.differs(
    "gamma",
    0.84,
    "applies γ between the image's own ends instead of 0 and 255",
    between_its_ends,
    view="photos of half the contrast",
    gamma=0.45,
)
def adjust_contrast(given: Given):
    """AdjustContrast(0.45)(x)"""
    return run(given, "AdjustContrast", 0.45) / 255


def one_histogram(given: Given) -> np.ndarray:
    counts, edges = np.histogram(given.x, 256)
    shares = counts.cumsum()
    shares = (shares - shares[0]) / (shares[-1] - shares[0])
    return np.interp(given.x, (edges[:-1] + edges[1:]) / 2, shares)


@LIBRARY.differs(
    "equalize",
    0.4,
    "takes one histogram of all channels, in bins 255/256 wide, interpolates between them, and "
    "takes off the first bin's share",
    one_histogram,
)
def histogram_normalize(given: Given):
    """HistogramNormalize(num_bins=256, min=0, max=1)"""
    return run(given, "HistogramNormalize", num_bins=256, min=0, max=1)


def stains_the_other_way_round(given: Given) -> np.ndarray:
    """Macenko's steps, with the stains told apart by the lower ratio of red to blue density."""
    density = -np.log((given.x.reshape(-1, 3) + 1.0) / 240)
    stains = nv.METHODS["macenko"]()._stains(density)[:, ::-1]
    assert stains[0, 0] / stains[2, 0] < stains[0, 1] / stains[2, 1]
    amounts = np.linalg.lstsq(stains, density.T, rcond=None)[0]
    amounts *= (AMOUNTS / np.percentile(amounts, 99, axis=1))[:, np.newaxis]
    done = 240 * np.exp(-STAINS @ amounts)
    return np.floor(np.where(done > 255, 254, done)).T.reshape(given.x.shape) / 255


@LIBRARY.differs(
    "macenko",
    1.1,
    "takes the stain that holds back less red than blue for haematoxylin, which is eosin in the "
    "reference it uses: the two change places; and it cuts off to bytes, after float32",
    stains_the_other_way_round,
    within=0.005,
    view="a slide made of the photo",
)
def normalize_he_stains(given: Given):
    """apps.pathology.transforms.NormalizeHEStains()(x)"""
    from monai.apps.pathology.transforms import NormalizeHEStains

    return NormalizeHEStains()(np.array(given.x)) / 255
