"""Constants that look at no image: leave as is, scale to [0, 1], scale to [−1, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from normviz.methods.base import About, Method, Source
from normviz.statistics.image import ImageStatistics


@dataclass(frozen=True)
class _Fixed(Method):
    """y = gain · u + bias with numbers that are part of the method."""

    gain: ClassVar[float]
    bias: ClassVar[float]

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.gain * u + self.bias

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.array([self.gain]), np.array([self.bias])

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return (y - self.bias) / self.gain


@dataclass(frozen=True)
class Unchanged(_Fixed):
    """The pixel values as they are, on the 8-bit scale: y = 255 u.

    >>> Unchanged().fit()(np.array([[[7]]], np.uint8)).item()
    7.0
    """

    key = "none"
    gain = 255.0
    bias = 0.0
    about = About(
        title="None (0–255)",
        short="0–255",
        scope="fixed",
        reduces=(),
        formula=r"y = x",
        summary="The pixel values as the file holds them, 0 to 255 (other depths rescaled to it).",
        sources=(Source("Baseline of every comparison"),),
        invariances=frozenset(),
        loses="nothing",
        flat="stays what it is",
        unit="0–255",
        nominal=(0.0, 255.0),
        invertible=True,
        used_by="Networks that rescale inside the graph (EfficientNet in Keras)",
        libraries=(
            (
                "torchvision ToDtype(torch.float32), PILToTensor",
                "The same. ToTensor and ToDtype(scale=True) divide by 255 as well.",
            ),
        ),
    )


@dataclass(frozen=True)
class ScaleToUnit(_Fixed):
    """Divide by the largest possible value: y = x / 255.

    >>> ScaleToUnit().fit()(np.array([[[51]]], np.uint8)).item()
    0.20000000298023224
    """

    key = "scale_01"
    gain = 1.0
    bias = 0.0
    about = About(
        title="Scale to [0, 1]",
        short="[0, 1]",
        scope="fixed",
        reduces=(),
        formula=r"y = \frac{x}{255}",
        summary="Divides by the largest value a pixel can take.",
        sources=(
            Source(
                "torchvision ToDtype(scale=True)",
                "https://docs.pytorch.org/vision/stable/transforms.html",
            ),
        ),
        invariances=frozenset(),
        loses="nothing",
        flat="stays flat",
        unit="0–1",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="The step before most other normalizations",
        libraries=(
            (
                "torchvision ToDtype(scale=True), skimage.util.img_as_float, "
                "keras.layers.Rescaling, albumentations.ToFloat",
                "The same, to 1e-7; without scale=True torchvision leaves 0–255.",
            ),
            (
                "tf.image.convert_image_dtype",
                "The same for integers; floats are left as they are: 200.0 stays 200.0.",
            ),
            (
                "keras.layers.Rescaling(1/255), albumentations.ToFloat(255)",
                "Divide by the number given, whatever the depth: 16 bits then end at 257. "
                "torchvision, scikit-image and TensorFlow divide by the type's maximum, as here.",
            ),
        ),
    )


@dataclass(frozen=True)
class ScaleToSymmetric(_Fixed):
    """Map black to −1 and white to 1: y = x / 127.5 − 1.

    >>> ScaleToSymmetric().fit()(np.array([[[255]]], np.uint8)).item()
    1.0
    """

    key = "scale_11"
    gain = 2.0
    bias = -1.0
    about = About(
        title="Scale to [−1, 1]",
        short="[−1, 1]",
        scope="fixed",
        reduces=(),
        formula=r"y = \frac{x}{127.5} - 1",
        summary="Maps black to −1 and white to +1, whatever the images are.",
        sources=(
            Source(
                'Keras preprocess_input, mode "tf"',
                "https://keras.io/api/applications/mobilenet/",
            ),
        ),
        invariances=frozenset(),
        loses="nothing",
        flat="stays flat",
        unit="−1…1",
        nominal=(-1.0, 1.0),
        invertible=True,
        used_by="Inception, MobileNet in Keras, many GANs",
        libraries=(
            (
                'keras preprocess_input(mode="tf"), torchvision Normalize([0.5] * 3, [0.5] * 3), '
                "transformers.ViTImageProcessor",
                "The same, to 1e-7.",
            ),
            (
                "EfficientNet-Lite's (x − 127) / 128",
                "0.008 higher at black, the same at white: −0.992 to 1.",
            ),
        ),
    )
