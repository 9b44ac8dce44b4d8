"""Divide an image by one measure of its own size: contrast, length, or largest value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.methods.base import About, Method, Source, _promise, parameter
from normviz.methods.dataset import SCALES
from normviz.methods.image import _fractions, _own
from normviz.methods.kernels import affine, normalized, pooled_moments
from normviz.methods.stretch import _extremes
from normviz.statistics.image import ImageStatistics

# pylearn2's min_divisor: what is smaller divides nothing.
_SMALLEST = 1e-8

_NORMALIZE = Source(
    "scikit-learn normalize",
    "https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.normalize.html",
)


@dataclass(frozen=True)
class GlobalContrast(Method):
    """Global contrast normalization: y = k · (v − v̄) / √(b + contrast), v = s·u.

    The contrast is the variance of all H·W·C values with N − 1 in the denominator, or the sum of
    their squares ‖v − v̄‖². The bias b is in the square of the input's unit. A divisor (after
    k) below 1e-8 is replaced by 1.

    >>> x = np.array([[[10, 20, 30]]], np.uint8)  # variance 100 with N − 1, Σ of squares 200
    >>> (np.sqrt(110) * GlobalContrast().fit()(x)).round(4).ravel().tolist()
    [-10.0, 0.0, 10.0]
    >>> maxout = GlobalContrast(contrast="norm", bias=0.0, scale=55.0).fit()
    >>> (np.sqrt(200) / 55 * maxout(x)).round(4).ravel().tolist()
    [-10.0, 0.0, 10.0]
    """

    key = "gcn"
    about = About(
        title="Global contrast normalization",
        short="GCN",
        scope="image",
        reduces=("H", "W", "C"),
        formula=(
            r"y = k\, \frac{x - \overline{x}}{\sqrt{b + \operatorname{var}(x)}} \ \text{or}\ "
            r"k\, \frac{x - \overline{x}}{\sqrt{b + \lVert x - \overline{x} \rVert^2}}"
        ),
        summary=(
            "Subtracts the image's mean and divides by its std or length, with a bias that keeps "
            "the noise of nearly flat images small."
        ),
        sources=(
            Source(
                "Coates, Lee and Ng 2011, An analysis of single-layer networks in unsupervised "
                "feature learning (std, bias 10, on 0–255)",
                "https://proceedings.mlr.press/v15/coates11a.html",
            ),
            Source(
                "pylearn2 global_contrast_normalize",
                "https://github.com/lisa-lab/pylearn2/blob/master/pylearn2/expr/preprocessing.py",
            ),
            Source(
                "Goodfellow et al. 2013, Maxout networks (norm, scale 55 in pylearn2's CIFAR-10)",
                "https://arxiv.org/abs/1302.4389",
            ),
        ),
        invariances=frozenset({"offset"}),
        loses="the image's overall brightness, and its contrast where that is well above the bias",
        flat="becomes 0",
        unit="own stds (or lengths) × scale",
        nominal=(0.0, 1.0),
        used_by="Feature learning on CIFAR-10 and STL-10 before ZCA; maxout networks",
        libraries=(
            (
                "pylearn2.expr.preprocessing.global_contrast_normalize",
                "Same, to 1e-12, on rows of all values of an image; of a row of one value it makes "
                "NaN with use_std, 0 here.",
            ),
            (
                "Coates' MATLAB code (bsxfun, sqrt(var(patches, [], 2) + 10))",
                "Same with the defaults, on patches of 0–255.",
            ),
            (
                "tf.image.per_image_standardization",
                "Std with N instead of N − 1 (a factor √(1 − 1/N): 0.99984 on 32×32×3), no bias "
                "but a floor of 1/√N.",
            ),
        ),
    )
    contrast: str = parameter(
        "std",
        "Divide by",
        "std (N − 1) as Coates 2011; norm is pylearn2's default, smaller by about √N.",
        choices={"std": "std", "norm": "norm"},
    )
    bias: float = parameter(
        10.0,
        "Bias b",
        "Added under the root, in squared input units; pylearn2's sqrt_bias.",
        low=0.0,
        high=1000.0,
        step=1.0,
    )
    scale: float = parameter(
        1.0, "Scale k", "Factor of the result; 55 in pylearn2's CIFAR-10.", 0.1, 255.0, 0.1
    )
    input: int = parameter(
        255, "Input", "The scale that the bias is counted on: bytes 0–255, or 0–1.", choices=SCALES
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bias == 0:
            _promise(
                self,
                invariances=frozenset({"gain", "offset"}),
                loses="the image's overall brightness and contrast",
            )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        v = self.input * (u - u.mean())
        return v / self._divisor((v * v).sum(), v.size)

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
        gain = self.input / self._divisor(size * (self.input * std) ** 2, size)
        return np.array([gain]), np.array([-mean * gain])

    def _divisor(self, squares: float, size: int) -> float:
        """From Σ(v − v̄)²; one value alone has no variance."""
        contrast = squares / max(size - 1, 1) if self.contrast == "std" else squares
        divisor = float(np.sqrt(self.bias + contrast)) / self.scale
        return divisor if divisor >= _SMALLEST else 1.0

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        count = {
            "numpy": "max(x.size - 1, 1)",
            "torchvision": "max(x.numel() - 1, 1)",
            # On TensorFlow a size is a tensor of integers, which no float can be divided by.
            "keras": 'ops.maximum(ops.cast(ops.size(x), "float32") - 1, 1)',
        }.get(target)
        share = f" / {count}" if self.contrast == "std" else ""
        numbers = f"SCALE, BIAS = {self.scale!r}, {self.bias!r}"
        if target == "numpy":
            return f"""import numpy as np

{numbers}


def normalize(image):
    x = image * ({self.input} / 255)
    x -= x.mean()
    divisor = np.sqrt(BIAS + (x * x).sum(){share}) / SCALE
    return (x / (divisor if divisor >= 1e-8 else 1.0)).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch

{numbers}


def normalize(image):
    x = image.to(torch.float64) * ({self.input} / 255)
    x -= x.mean()
    divisor = torch.sqrt(BIAS + (x * x).sum(){share}) / SCALE
    return (x / (divisor if divisor >= 1e-8 else 1.0)).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops

{numbers}


def normalize(image):
    x = ops.cast(image, "float32") * ({self.input} / 255)
    x = x - ops.mean(x)
    contrast = ops.sum(x * x){share}
    divisor = ops.sqrt(BIAS + contrast) / SCALE
    return x / ops.where(divisor >= 1e-8, divisor, 1.0)
"""
        return None


@dataclass(frozen=True)
class UnitL2(Method):
    """Scale the image to length 1: y = u / ‖u‖₂ over all H·W·C values; black stays black.

    >>> UnitL2().fit()(np.array([[[30], [40]]], np.uint8)).ravel().round(6)
    array([0.6, 0.8], dtype=float32)
    """

    key = "unit_l2"
    about = About(
        title="Unit L2 norm",
        short="unit L2 norm",
        scope="image",
        reduces=("H", "W", "C"),
        formula=r"y = \frac{x}{\lVert x \rVert_2}, \quad \lVert x \rVert_2^2 = \sum x_{hwc}^2",
        summary=(
            "Divides the image by its length as one long vector, so that images are compared by "
            "direction: a dot product of two of them is the cosine of their angle."
        ),
        sources=(_NORMALIZE,),
        invariances=frozenset({"gain"}),
        loses="the image's exposure (its length is not kept)",
        flat="becomes 1/√N everywhere (N = H·W·C); black stays black",
        unit="shares of the length",
        nominal=(0.0, 1.0),
        used_by="Nearest neighbours and template matching by cosine; features rather than pixels",
        libraries=(
            (
                'sklearn.preprocessing.normalize(norm="l2"), cv2.normalize(NORM_L2, dtype=CV_32F)',
                "Same, to 1e-6, with the image as one row.",
            ),
            (
                "torch.nn.functional.normalize, keras.layers.UnitNormalization",
                "Divide each pixel by the length of its own channels by default (dim=1, axis=-1), "
                "so that every pixel has length 1; √(H·W) times larger on average. Same for "
                "axis=(1, 2, 3), up to their floors of 1e-12.",
            ),
            (
                "tf.math.l2_normalize",
                "The floor of 1e-12 is on the squared length.",
            ),
        ),
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        length = np.sqrt((u * u).sum())
        return u / length if length > 0 else u

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        image = _own(image)
        _, _, mean, std = _fractions(image)
        length = np.sqrt(image.height * image.width * image.channels * (mean**2 + std**2))
        return np.array([1 / length if length > 0 else 1.0]), np.zeros(1)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return normalized(pixels, 1, 0, cv2.NORM_L2)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return """import numpy as np


def normalize(image):
    x = image / 255.0
    length = np.sqrt((x * x).sum())
    return (x / (length if length > 0 else 1.0)).astype(np.float32)
"""
        if target == "torchvision":
            return """import torch


def normalize(image):
    x = image.to(torch.float64) / 255
    length = torch.sqrt((x * x).sum())
    return (x / (length if length > 0 else 1.0)).to(torch.float32)
"""
        if target == "keras":
            return """from keras import ops


def normalize(image):
    x = ops.cast(image, "float32") / 255
    length = ops.sqrt(ops.sum(x * x))
    return x / ops.where(length > 0, length, 1.0)
"""
        return None


@dataclass(frozen=True)
class UnitMax(Method):
    """Divide by the largest absolute value: y = u / max|u| over all channels; black stays black.

    >>> UnitMax().fit()(np.array([[[30, 60, 120]]], np.uint8)).ravel()
    array([0.25, 0.5 , 1.  ], dtype=float32)
    """

    key = "unit_max"
    about = About(
        title="Unit maximum norm",
        short="unit max norm",
        scope="image",
        reduces=("H", "W", "C"),
        formula=r"y = \frac{x}{\max \lvert x \rvert}",
        summary=(
            "Divides the image by its brightest value in any channel: black stays black, and the "
            "colours stay as they are."
        ),
        sources=(_NORMALIZE,),
        invariances=frozenset({"gain"}),
        loses="the image's exposure (its brightest value is not kept)",
        flat="becomes 1; black stays black",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="Raw and float images without a fixed white, audio-style peak normalization",
        libraries=(
            (
                'sklearn.preprocessing.normalize(norm="max"), cv2.normalize(NORM_INF, '
                "dtype=CV_32F)",
                "Same, to 1e-7, with the image as one row.",
            ),
            (
                "sklearn.preprocessing.maxabs_scale",
                "One maximum a column: one a channel on pixels as rows.",
            ),
        ),
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        largest = np.abs(u).max()
        return u / largest if largest > 0 else u

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        largest = float(np.abs(_extremes(_own(image))).max())
        return np.array([1 / largest if largest > 0 else 1.0]), np.zeros(1)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        low, high, _, _ = cv2.minMaxLoc(pixels.reshape(len(pixels), -1))
        return affine(pixels, np.array([1 / max(high, 1.0)]), np.zeros(1), (low, high))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return """import numpy as np


def normalize(image):
    return (image / max(float(image.max()), 1.0)).astype(np.float32)
"""
        if target == "torchvision":
            return """import torch


def normalize(image):
    return (image.to(torch.float64) / image.max().clamp(min=1)).to(torch.float32)
"""
        if target == "keras":
            return """from keras import ops


def normalize(image):
    x = ops.cast(image, "float32")
    return x / ops.maximum(ops.max(x), 1.0)
"""
        return None
