"""The normalizations that the lab compares, each fitted on training images only.

Where :data:`normviz.METHODS` has the method, this is its definition for a whole batch at once;
the tests hold both against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from normviz.images import image_of
from normviz.methods.base import Method
from normviz.methods.dataset import DatasetMean, DatasetMeanImage, DatasetZScore
from normviz.methods.fixed import ScaleToUnit, Unchanged
from normviz.methods.image import ImageChannelStandardize, ImageMean, ImageStandardize
from normviz.methods.local import LCN
from normviz.methods.whitening import ImageZCA

Batch = Callable[[np.ndarray], np.ndarray]
"""8-bit images ``(N, S, S, C)`` to normalized ones, float32."""


@dataclass(frozen=True)
class Normalization:
    """One of the lab's: its key, what it does in words, and the method of the catalogue it is."""

    key: str
    title: str
    fit: Callable[[np.ndarray], Batch]
    method: Method | None = None
    """ZCA's side is that of the images: 16 but for digits."""
    scope: str = "dataset"


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(255)


def _moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of each channel over all images, as fractions; from exact sums of levels."""
    levels = pixels.reshape(-1, pixels.shape[-1]).astype(np.int64)
    mean = levels.sum(axis=0) / len(levels)
    squares = (levels**2).sum(axis=0) / len(levels)
    return mean / 255, np.sqrt(squares - mean**2) / 255


def _affine(gain: np.ndarray | float, offset: np.ndarray | float) -> Batch:
    """y = gain · u + offset on fractions u."""
    by, plus = np.float32(np.asarray(gain) / 255), np.asarray(offset, np.float32)
    return lambda pixels: pixels * by + plus


def _dataset_mean(pixels: np.ndarray) -> Batch:
    mean, _ = _moments(pixels)
    return _affine(1.0, -mean)


def _dataset_scale(pixels: np.ndarray) -> Batch:
    _, std = _moments(pixels)
    return _affine(1 / np.maximum(std, DatasetZScore().epsilon), 0.0)


def _dataset_zscore(pixels: np.ndarray) -> Batch:
    mean, std = _moments(pixels)
    gain = 1 / np.maximum(std, DatasetZScore().epsilon)
    return _affine(gain, -mean * gain)


def _mean_image(pixels: np.ndarray) -> Batch:
    return _affine(1.0, -pixels.mean(axis=0, dtype=np.float64) / 255)


def _own_mean(pixels: np.ndarray) -> np.ndarray:
    u = _unit(pixels)
    return u - u.mean(axis=(1, 2, 3), keepdims=True)


def _own_zscore(pixels: np.ndarray) -> np.ndarray:
    v = pixels.astype(np.float32)
    v -= v.mean(axis=(1, 2, 3), keepdims=True)
    floor = 1 / np.sqrt(v[0].size)
    return v / np.maximum(v.std(axis=(1, 2, 3), keepdims=True), np.float32(floor))


def _own_channel_zscore(pixels: np.ndarray) -> np.ndarray:
    u = _unit(pixels)
    u -= u.mean(axis=(1, 2), keepdims=True)
    floor = np.float32(ImageChannelStandardize().epsilon)
    return u / np.maximum(u.std(axis=(1, 2), keepdims=True), floor)


def _whitened(pixels: np.ndarray) -> Batch:
    method = ImageZCA(side=pixels.shape[1])
    constants = method.fitted_to([image_of(one) for one in pixels])
    components = constants["components"].reshape(len(constants["components"]), -1)
    others = float(method.gain(constants["rest"])[0])
    gain = method.gain(constants["eigenvalues"]) - others
    mean = constants["mean"].ravel()

    def batch(images: np.ndarray) -> np.ndarray:
        x = images.reshape(len(images), -1) / 255 - mean
        whitened = others * x + (x @ components.T * gain) @ components
        return whitened.astype(np.float32).reshape(images.shape)

    return batch


NORMALIZATIONS: dict[str, Normalization] = {
    one.key: one
    for one in (
        Normalization(
            "raw255",
            "None: levels 0–255",
            lambda _: _affine(255.0, 0.0),
            Unchanged(),
            "fixed",
        ),
        Normalization("raw1", "Levels ÷ 255", lambda _: _affine(1.0, 0.0), ScaleToUnit(), "fixed"),
        Normalization(
            "ds_mean", "Dataset's channel mean subtracted", _dataset_mean, DatasetMean(scale=1)
        ),
        Normalization("ds_scale", "Dataset's std divided by, not centred", _dataset_scale),
        Normalization("ds_z", "Dataset's mean and std", _dataset_zscore, DatasetZScore()),
        Normalization(
            "px_mean", "Dataset's mean image subtracted", _mean_image, DatasetMeanImage(scale=1)
        ),
        Normalization(
            "img_mean", "Own mean subtracted", lambda _: _own_mean, ImageMean(scale=1), "image"
        ),
        Normalization(
            "img_z", "Own mean and std", lambda _: _own_zscore, ImageStandardize(), "image"
        ),
        Normalization(
            "imgch_z",
            "Own mean and std of each channel",
            lambda _: _own_channel_zscore,
            ImageChannelStandardize(),
            "image",
        ),
        Normalization("lcn", "Local contrast", lambda _: LCN().fit(), LCN(), "local"),
        Normalization("zca", "ZCA whitening", _whitened, ImageZCA(side=16)),
    )
}


def fitted(key: str, train: np.ndarray) -> Batch:
    """Return a normalization fitted on 8-bit training images ``(N, S, S, C)``.

    >>> pixels = np.array([0, 100], np.uint8).reshape(2, 1, 1, 1)
    >>> fitted("ds_z", pixels)(pixels).ravel().tolist()
    [-1.0, 1.0]
    """
    return NORMALIZATIONS[key].fit(train)
