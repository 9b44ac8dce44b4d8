"""Numbers of the image itself: its own mean, its own std, pooled or per channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.methods.base import About, Invariance, Method, Source, _promise, parameter
from normviz.methods.dataset import QUESTION, SCALES
from normviz.methods.kernels import affine, channel_moments, pooled_moments
from normviz.statistics.image import ImageStatistics

# What a floor in the divisor undoes when it is larger than a std.
_GAINS: frozenset[Invariance] = frozenset({"gain", "channel_gain"})

# Rounding to bytes has a std of 1/√12 levels by itself: what has less is no contrast of a photo's.
# A quarter of the light leaves a quarter of that. A floor above it is seen where photos are faint.
_LEAST_STD = 1 / (4 * 255 * 12**0.5)


def _own(image: ImageStatistics | None) -> ImageStatistics:
    assert image is not None, "methods of scope image are given the image's statistics"
    return image


def _fractions(image: ImageStatistics) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Mean and std per channel, then pooled, as fractions of the value range."""
    low, span = image.value_range.low, image.value_range.span
    return (
        (image.mean - low) / span,
        image.std / span,
        (image.pooled_mean - low) / span,
        image.pooled_std / span,
    )


@dataclass(frozen=True)
class ImageMean(Method):
    """Subtract the image's own mean, one number for all channels: y = s·(u − mean(u)).

    >>> ImageMean().fit()(np.array([[[10], [30]]], np.uint8)).ravel()
    array([-10.,  10.], dtype=float32)
    """

    key = "image_mean"
    about = About(
        title="Per-image mean subtracted",
        short="own mean",
        scope="image",
        reduces=("H", "W", "C"),
        formula=r"y = x - \overline{x}, \quad \overline{x} = \tfrac{1}{HWC}\sum x_{hwc}",
        summary="Subtracts from each image its own mean: the question taken literally.",
        sources=(QUESTION,),
        invariances=frozenset({"offset"}),
        loses="the image's overall brightness (its mean is not kept)",
        flat="becomes 0",
        unit="centred 0–255",
        nominal=(0.0, 255.0),
        used_by="Rarely alone; the first half of per-image standardization",
        libraries=(
            (
                "tf.keras ImageDataGenerator(samplewise_center=True)",
                "The same.",
            ),
        ),
    )
    scale: int = parameter(255, "Scale", "Units the difference is given in.", choices=SCALES)

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.scale * (u - u.mean())

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        _, _, mean, _ = _fractions(_own(image))
        return np.array([float(self.scale)]), np.array([-self.scale * mean])

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # Without counting the levels: OpenCV adds bytes up exactly.
        mean = sum(cv2.sumElems(pixels)) / pixels.size
        gain = self.scale / 255
        return affine(pixels, np.array([gain]), np.array([-gain * mean]))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import numpy as np


def normalize(image):
    x = image * ({self.scale} / 255)
    return (x - x.mean()).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch


def normalize(image):
    x = image.to(torch.float64) * ({self.scale} / 255)
    return (x - x.mean()).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops


def normalize(image):
    x = ops.cast(image, "float32") * ({self.scale} / 255)
    return x - ops.mean(x)
"""
        return None


@dataclass(frozen=True)
class ImageStandardize(Method):
    """One mean and one std of the image: y = (v − v̄) / max(std(v), 1/√N), v = s·u, N = H·W·C.

    >>> x = np.arange(1, 13, dtype=np.uint8).reshape(2, 2, 3)
    >>> ImageStandardize().fit()(x)[0, 0].round(6)
    array([-1.593255, -1.303572, -1.01389 ], dtype=float32)
    """

    key = "image_standardize"
    difference = (
        'A.Normalize(normalization="image") differs: it divides levels by std + 1e-4 (no floor\n'
        "of 1/sqrt(N)) and clips the result to -20…20."
    )
    about = About(
        title="Per-image standardization",
        short="own mean, std",
        scope="image",
        reduces=("H", "W", "C"),
        formula=r"y = \frac{x - \overline{x}}{\max(\sigma_x,\; 1/\sqrt{N})}, \quad N = HWC",
        summary=(
            "Gives every image mean 0 and std 1, with one mean and one std over all channels, "
            "so the balance of its colours stays."
        ),
        sources=(
            Source(
                "tf.image.per_image_standardization",
                "https://www.tensorflow.org/api_docs/python/tf/image/per_image_standardization",
            ),
            QUESTION,
        ),
        invariances=frozenset({"gain", "offset"}),
        loses="the image's overall brightness and contrast (its mean and std are not kept)",
        flat="becomes 0; below the floor 1/√N of σ the contrast stays as small as it is",
        unit="image stds",
        nominal=(0.0, 1.0),
        floor="the floor 1/√N of the image's std",
        used_by="TensorFlow's CIFAR-10 tutorial, face recognition (FaceNet)",
        libraries=(
            (
                "tf.image.per_image_standardization",
                "The same, with the same floor of 1/√N, on levels and to 1e-6.",
            ),
            (
                'albumentations.Normalize(normalization="image")',
                "Adds 1e-4 to the std of levels and cuts at ±20: 2e-6 of the range away on photos.",
            ),
            (
                "monai.transforms.NormalizeIntensity()",
                "The same; without a floor, but a std of 0 counts as 1.",
            ),
            (
                "tf.keras ImageDataGenerator(samplewise_std_normalization=True)",
                "Adds 1e-6 to the std.",
            ),
        ),
    )
    scale: int = parameter(
        255,
        "Floor counted on",
        "TensorFlow's floor 1/√N depends on the scale of its input: bytes 0–255, or 0–1.",
        choices=SCALES,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        # On levels the floor is the std of one pixel that is one level off: no byte image that is
        # not flat has less. On fractions it is 255 times as much, 4.6 levels on 32×32×3.
        if self.scale == 1:
            _promise(
                self,
                invariances=self.about.invariances - _GAINS,
                loses="the image's overall brightness, and its contrast where that is above the "
                "floor 1/√N (4.6 levels on 32×32 px, 0.29 on 512×512)",
            )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        v = self.scale * u
        return (v - v.mean()) / max(v.std(), 1 / np.sqrt(v.size))

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        image = _own(image)
        _, _, mean, std = _fractions(image)
        return self._pair(mean, std, image.height * image.width * image.channels)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean, std = pooled_moments(pixels)
        gain, bias = self._pair(mean / 255, std / 255, pixels.size)
        return affine(pixels, gain / 255, bias)

    def _pair(self, mean: float, std: float, size: int) -> tuple[np.ndarray, np.ndarray]:
        gain = self.scale / max(self.scale * std, 1 / np.sqrt(size))
        return np.array([gain]), np.array([-mean * gain])

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import numpy as np


def normalize(image):
    x = image * ({self.scale} / 255)
    return ((x - x.mean()) / max(x.std(), x.size**-0.5)).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch


def normalize(image):
    x = image.to(torch.float64) * ({self.scale} / 255)
    std = x.std(correction=0).clamp(min=x.numel() ** -0.5)
    return ((x - x.mean()) / std).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops


# On TensorFlow, tf.image.per_image_standardization(x) does the second and third step.
def normalize(image):
    x = ops.cast(image, "float32") * ({self.scale} / 255)
    floor = (image.shape[0] * image.shape[1] * image.shape[2]) ** -0.5
    return (x - ops.mean(x)) / ops.maximum(ops.std(x), floor)
"""
        return None


@dataclass(frozen=True)
class ImageChannelStandardize(Method):
    """Each channel of the image by its own mean and std: y_c = (u_c − ū_c) / max(σ_c, ε).

    >>> x = np.stack([np.array([[0, 2]]), np.array([[9, 5]]), np.array([[7, 7]])], axis=2)
    >>> ImageChannelStandardize().fit()(x.astype(np.uint8))[0].tolist()
    [[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]
    """

    key = "image_channel_standardize"
    difference = (
        'A.Normalize(normalization="image_per_channel") differs: it divides levels by\n'
        "std + 1e-4 (no floor) and clips the result to -20…20."
    )
    about = About(
        title="Per-image per-channel standardization",
        short="own mean, std per channel",
        scope="image",
        reduces=("H", "W"),
        formula=r"y_c = \frac{x_c - \overline{x}_c}{\max(\sigma_{x,c},\; \varepsilon)}",
        summary=(
            "Gives each channel of every image mean 0 and std 1: light and the colour of the "
            "light go, and the picture's own colour balance with them."
        ),
        sources=(
            Source(
                'Albumentations Normalize(normalization="image_per_channel"), with a floor in '
                "place of its std + 1e-4 (of levels) and without its clipping to −20…20",
                "https://albumentations.ai/docs/api-reference/pixel/",
            ),
            Source(
                "Ulyanov, Vedaldi and Lempitsky 2016 (instance normalization of the input)",
                "https://arxiv.org/abs/1607.08022",
            ),
        ),
        invariances=frozenset({"gain", "offset", "channel_gain", "channel_offset"}),
        loses="the image's brightness, contrast and overall colour",
        flat="a flat channel becomes 0; below the floor ε of σ contrast stays as small as it is",
        unit="channel stds",
        nominal=(0.0, 1.0),
        floor="the floor ε of a channel's std",
        used_by="Medical and satellite imaging, style transfer",
        libraries=(
            (
                "sklearn.preprocessing.scale on pixels as rows, monai NormalizeIntensity"
                "(channel_wise=True)",
                "The same; without a floor, but a std of 0 counts as 1.",
            ),
            (
                "torch.nn.functional.instance_norm",
                "Adds 1e-5 to the variance: of fractions with std 0.29 the result is 6e-5 smaller.",
            ),
            (
                'albumentations.Normalize(normalization="image_per_channel")',
                "Adds 1e-4 to the std of levels and cuts at ±20: 2e-6 of the range away on photos.",
            ),
        ),
    )
    epsilon: float = parameter(
        1e-4,
        "Floor of σ",
        "As a share of the value range; 0.004 is one 8-bit level.",
        low=1e-8,
        high=0.1,
        step=0.0001,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon > _LEAST_STD:
            _promise(
                self,
                invariances=self.about.invariances - _GAINS,
                loses="the image's brightness and overall colour, and a channel's contrast where "
                "its std is above the floor ε",
            )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean, std = u.mean(axis=(0, 1)), u.std(axis=(0, 1))
        return (u - mean) / np.maximum(std, self.epsilon)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        mean, std, _, _ = _fractions(_own(image))
        return self._pair(mean, std)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean, std = channel_moments(pixels)
        gain, bias = self._pair(mean / 255, std / 255)
        return affine(pixels, gain / 255, bias)

    def _pair(self, mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gain = 1 / np.maximum(std, self.epsilon)
        return gain, -mean * gain

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import numpy as np


def normalize(image):
    x = image / 255.0
    mean, std = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    return ((x - mean) / np.maximum(std, {self.epsilon!r})).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch


def normalize(image):
    x = image.to(torch.float64) / 255
    mean = x.mean(dim=(1, 2), keepdim=True)
    std = x.std(dim=(1, 2), correction=0, keepdim=True).clamp(min={self.epsilon!r})
    return ((x - mean) / std).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops


def normalize(image):
    x = ops.cast(image, "float32")
    std = ops.maximum(ops.std(x, axis=(0, 1)), {self.epsilon!r} * 255)
    return (x - ops.mean(x, axis=(0, 1))) / std
"""
        return None
