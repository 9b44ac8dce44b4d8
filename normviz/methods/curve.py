"""One rising curve for all values: a power, a logarithm, or the image's own order of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.errors import NotFittedError
from normviz.methods.base import About, Method, Source, _promise, parameter
from normviz.methods.code import stored_constants
from normviz.methods.kernels import looked_up
from normviz.statistics.counts import Counts
from normviz.statistics.dataset import DatasetStatistics
from normviz.statistics.image import ImageStatistics


def _level_fractions(top: float) -> np.ndarray:
    """Every level up to ``top`` as a fraction, in one column."""
    return np.arange(top + 1)[:, np.newaxis] / top


@dataclass(frozen=True)
class _FixedCurve(Method):
    """A curve with numbers that are part of the method; values just below black count as black."""

    def curve(self, u: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.curve(np.maximum(u, 0))

    def table(self, constants: Mapping[str, np.ndarray], image: ImageStatistics) -> np.ndarray:
        levels = self.curve(_level_fractions(image.value_range.span))
        return np.broadcast_to(levels, (len(levels), image.channels))

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # As the table does, but without the image's statistics, which a fixed curve ignores.
        return looked_up(pixels, self.curve(_level_fractions(255)))


@dataclass(frozen=True)
class Gamma(_FixedCurve):
    """A power of the fraction: y = u^γ; below 1 it brightens, above 1 it darkens.

    >>> Gamma(gamma=2.0).fit()(np.array([[[0], [51], [255]]], np.uint8)).ravel()
    array([0.  , 0.04, 1.  ], dtype=float32)
    """

    key = "gamma"
    about = About(
        title="Gamma",
        short="gamma",
        scope="fixed",
        reduces=(),
        formula=r"y = u^{\gamma}",
        summary=(
            "Raises each value to a power: an exponent below 1 opens the shadows, one above 1 "
            "deepens them; black and white stay."
        ),
        sources=(
            Source(
                "Poynton 1998, The rehabilitation of gamma", "https://doi.org/10.1117/12.320126"
            ),
            Source(
                "torchvision adjust_gamma",
                "https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_gamma.html",
            ),
        ),
        invariances=frozenset(),
        loses="nothing: the power 1/γ brings the image back",
        flat="stays flat",
        unit="0–1",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="Camera and display encoding, low-light enhancement, augmentation",
        libraries=(
            (
                "torchvision.transforms.v2.functional.adjust_gamma, kornia.enhance.adjust_gamma, "
                "tf.image.adjust_gamma on floats",
                "Same, to 1e-6 (their further gain is 1).",
            ),
            (
                "skimage.exposure.adjust_gamma on uint8",
                "Rounds to bytes: half a level (0.002) at the most.",
            ),
            (
                "torchvision adjust_gamma on uint8, albumentations.RandomGamma",
                "Up to 1 level (0.004) away: torchvision multiplies by 255.999 and cuts off, "
                "Albumentations by 255. Albumentations gives γ in per cent: 45 is 0.45 here.",
            ),
            (
                "monai.transforms.AdjustContrast",
                "Applies γ between the image's own darkest and brightest values: the same on an "
                "image that uses its whole range, up to 0.84 of the range away on photos of half "
                "the contrast.",
            ),
        ),
    )
    gamma: float = parameter(
        0.45,
        "γ",
        "The exponent; 0.45 about encodes linear light for a display, 2.2 decodes it.",
        low=0.1,
        high=10.0,
        step=0.05,
    )

    def curve(self, u: np.ndarray) -> np.ndarray:
        return u**self.gamma

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.maximum(y, 0) ** (1 / self.gamma)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import numpy as np


def normalize(image):
    return ((image / 255.0) ** {self.gamma!r}).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch


# On floats in 0…1, v2.functional.adjust_gamma(x, {self.gamma!r}) does the second step.
def normalize(image):
    x = image.to(torch.float64) / 255
    return (x**{self.gamma!r}).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops


def normalize(image):
    return ops.power(ops.cast(image, "float32") / 255, {self.gamma!r})
"""
        return None


@dataclass(frozen=True)
class Logarithm(_FixedCurve):
    """A logarithm from 0 to 1: y = log(1 + a·u) / log(1 + a).

    >>> y = Logarithm(strength=255.0).fit()(np.array([[[0], [15], [255]]], np.uint8))
    >>> y.ravel().tolist()
    [0.0, 0.5, 1.0]
    """

    key = "logarithm"
    about = About(
        title="Logarithm",
        short="logarithm",
        scope="fixed",
        reduces=(),
        formula=r"y = \frac{\log(1 + a\,u)}{\log(1 + a)}",
        summary=(
            "Takes the logarithm of each value, scaled so that black and white stay: equal ratios "
            "of light become nearly equal steps, and shadows open."
        ),
        sources=(
            Source("Gonzalez and Woods, Digital Image Processing (log transformations)"),
            Source(
                "scikit-image adjust_log",
                "https://scikit-image.org/docs/stable/api/skimage.exposure.html",
            ),
        ),
        invariances=frozenset(),
        loses="nothing: the exponential brings the image back",
        flat="stays flat",
        unit="0–1",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="Spectra, radar and astronomical images, display of wide ranges of light",
        libraries=(
            (
                "skimage.exposure.adjust_log, kornia.enhance.adjust_log",
                "log₂(1 + u), which is a = 1 here, to 1e-6; on uint8 scikit-image cuts off to "
                "bytes, up to 1 level (0.004) darker.",
            ),
            (
                "np.log1p on bytes",
                "log(1 + x), which is a = 255 here times 5.545 = log 256.",
            ),
        ),
    )
    strength: float = parameter(
        255.0,
        "Strength a",
        "How strongly shadows open; 255 is log(1 + x) of bytes, near 0 nothing changes.",
        low=0.01,
        high=10_000.0,
        step=1.0,
    )

    def curve(self, u: np.ndarray) -> np.ndarray:
        return np.log1p(self.strength * u) / self._largest

    @property
    def _largest(self) -> float:
        return float(np.log1p(self.strength))

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.expm1(y * self._largest) / self.strength

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import numpy as np

STRENGTH = {self.strength!r}


def normalize(image):
    return (np.log1p(STRENGTH * (image / 255.0)) / np.log1p(STRENGTH)).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import math

import torch

STRENGTH = {self.strength!r}


def normalize(image):
    x = image.to(torch.float64) / 255
    return (torch.log1p(STRENGTH * x) / math.log1p(STRENGTH)).to(torch.float32)
"""
        if target == "keras":
            return f"""import math

from keras import ops

STRENGTH = {self.strength!r}


def normalize(image):
    return ops.log1p(STRENGTH * (ops.cast(image, "float32") / 255)) / math.log1p(STRENGTH)
"""
        return None


def _by_rank(u: np.ndarray, curve: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """y of each channel from how many of its pixels are no larger: ``curve(reached, channel)``."""
    y = np.empty(u.shape)
    for channel in range(u.shape[2]):
        plane = u[:, :, channel].ravel()
        _, place, counts = np.unique(plane, return_inverse=True, return_counts=True)
        y[:, :, channel] = curve(counts.cumsum(), channel)[place].reshape(u.shape[:2])
    return y


def _equalized(reached: np.ndarray) -> np.ndarray:
    """(F − F(min)) / (1 − F(min)) from numbers of pixels; 0 below the lowest, and when flat."""
    first = reached[np.argmax(reached > 0)]
    return np.maximum(reached - first, 0) / max(reached[-1] - first, 1)


_OPENCV = Source(
    "OpenCV, Histogram equalization",
    "https://docs.opencv.org/4.x/d5/daf/tutorial_py_histogram_equalization.html",
)


@dataclass(frozen=True)
class Equalize(Method):
    """Histogram equalization: y = (F(u) − F(min u)) / (1 − F(min u)), F = share of pixels ≤ u.

    Per channel F is exact at every depth: ranks of the pixels themselves, no bins, so nothing is
    rounded to 256 levels. On luma the image goes to 8 bits, Y of YCrCb (BT.601) is equalized by
    OpenCV, and Cr and Cb stay; a grey image is its own luma.

    >>> Equalize().fit()(np.array([[[7], [7], [9], [200], [200]]], np.uint8)).ravel().round(3)
    array([0.   , 0.   , 0.333, 1.   , 1.   ], dtype=float32)
    """

    key = "equalize"
    about = About(
        title="Histogram equalization",
        short="equalized",
        scope="image",
        reduces=("H", "W"),
        formula=(
            r"y_c = \frac{F_c(x_c) - F_c(\min x_c)}{1 - F_c(\min x_c)}, \quad"
            r" F_c(t) = \tfrac{1}{HW}\,\#\{x_c \le t\}"
        ),
        summary=(
            "Replaces each value by the share of the image's pixels that are darker, so that all "
            "shades are used about equally often."
        ),
        sources=(
            Source(
                "Hummel 1977, Image enhancement by histogram transformation",
                "https://doi.org/10.1016/S0146-664X(77)80011-7",
            ),
            _OPENCV,
        ),
        invariances=frozenset({"gain", "offset", "channel_gain", "channel_offset", "curve"}),
        loses="all that is not the order of the values: brightness, contrast, the light's curve "
        "and, per channel, overall colour",
        flat="a flat channel becomes 0",
        unit="shares of pixels",
        nominal=(0.0, 1.0),
        used_by="Picture editors, radiographs and thermal images, AutoAugment's Equalize",
        libraries=(
            (
                "cv2.equalizeHist per channel, albumentations.Equalize(mode='cv'), "
                "keras.layers.Equalization",
                "Rounds the result to bytes: half a level (0.002) at the most. A flat channel "
                "stays as it is. On luma: same bytes.",
            ),
            (
                "skimage.exposure.equalize_hist per channel",
                "Does not subtract F(min): F itself, higher by F(min) at the darkest value (0.038 "
                "on the coffee photo, where 3.8 % of blue are black), alike at the brightest. A "
                "colour image given whole is equalized by one histogram of all channels (0.40 "
                "away); floats are counted in 256 bins.",
            ),
            (
                "PIL.ImageOps.equalize, torchvision.transforms.v2.RandomEqualize, "
                "kornia.enhance.equalize",
                "Agree with one another to the byte. They count the pixels below a value instead "
                "of up to it, in whole steps of about N/255 pixels: up to 6 levels (0.022) away on "
                "the coffee photo, 59 levels (0.23) on the dark field_night.",
            ),
            (
                "monai.transforms.HistogramNormalize",
                "One histogram of all channels; its bins are 255/256 of a level wide and values "
                "between them are interpolated (0.4 away from each channel's own).",
            ),
        ),
    )
    of: str = parameter(
        "channel",
        "Equalize",
        "Each channel alone, or only luma: Y of YCrCb (BT.601) in 8 bits, hue kept.",
        choices={"channel": "Each channel", "luma": "Luma"},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of == "luma":
            _promise(
                self,
                reduces=("H", "W", "C"),
                formula=r"y = \operatorname{RGB}(Y', C_r, C_b), \quad Y' = \frac{F(Y) - F(\min Y)}"
                r"{1 - F(\min Y)}, \quad Y = 0.299 R + 0.587 G + 0.114 B",
                invariances=frozenset(),
                loses="brightness and contrast of luma, and what 8 bits do not hold",
                flat="stays as it is, to within the rounding of YCrCb (1 level)",
                unit="0–1",
            )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        if self.of == "luma":
            return _luma_equalized(_bytes(u)) / 255
        return _by_rank(u, lambda reached, channel: _equalized(reached))

    def table(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics
    ) -> np.ndarray | None:
        if self.of == "luma":
            return None
        reached = np.cumsum(image.summary.table, axis=1)
        return np.stack([_equalized(row) for row in reached], axis=1)

    def on_bytes(
        self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]
    ) -> np.ndarray | None:
        return _as_fractions(_luma_equalized(pixels)) if self.of == "luma" else None

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if self.of == "luma":
            return self._luma_code(target)
        if target == "numpy":
            return """import numpy as np


def equalized(plane):
    reached = np.bincount(plane.ravel(), minlength=256).cumsum()
    first = reached[plane.min()]
    curve = np.maximum(reached - first, 0) / max(reached[-1] - first, 1)
    return curve[plane]


def normalize(image):
    y = np.empty(image.shape, np.float32)
    for channel in range(image.shape[2]):
        y[..., channel] = equalized(image[..., channel])
    return y
"""
        if target == "torchvision":
            return """import torch


def equalized(plane):
    reached = torch.bincount(plane, minlength=256).cumsum(0)
    first = reached[plane.min().long()]
    curve = (reached - first).clamp(min=0).to(torch.float64) / (reached[-1] - first).clamp(min=1)
    return curve[plane.long()].to(torch.float32)


def normalize(image):
    return torch.stack([equalized(plane) for plane in image.flatten(1)]).view(image.shape)
"""
        return None

    def _luma_code(self, target: str) -> str | None:
        if target == "albumentations":
            return """import albumentations as A
import numpy as np

TRANSFORM = A.Equalize(mode="cv", by_channels=False, p=1.0)


def normalize(image):
    return TRANSFORM(image=image)["image"] / np.float32(255)
"""
        if target != "numpy":
            return None
        return """import cv2
import numpy as np


def normalize(image):
    if image.shape[2] == 1:
        return (cv2.equalizeHist(image) / np.float32(255))[..., np.newaxis]
    ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    ycc[..., 0] = cv2.equalizeHist(ycc[..., 0])
    return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB) / np.float32(255)
"""


def _bytes(u: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(u, 0, 1) * 255).astype(np.uint8)


_BYTE_FRACTIONS = (np.arange(256) / 255).astype(np.float32)


def _as_fractions(pixels: np.ndarray) -> np.ndarray:
    return cv2.LUT(pixels, _BYTE_FRACTIONS).reshape(pixels.shape)


def _luma_equalized(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[2] == 1:
        return cv2.equalizeHist(pixels)[:, :, np.newaxis]
    ycc = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    cv2.insertChannel(cv2.equalizeHist(cv2.extractChannel(ycc, 0)), ycc, 0)
    return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)


# An 8-bit set has at most 256 values a channel, all kept. A 16-bit one has 65,536: of those the
# first and last of each 1/1024 of the pixels are kept, so the JSON stays below 300 kB and no share
# is off by more than 0.1 %.
_BANDS = 1024


@dataclass(frozen=True)
class MatchHistogram(Method):
    """Exact histogram specification: y = G⁻¹(F(u)), F and G shares of pixels ≤ a value.

    F is the image's own, G that of the set it was fitted on (one reference image is a set of
    one), per channel; G⁻¹ is linear between the values that occur. G is kept exactly for sets of
    up to 2,048 values a channel, so for all 8-bit ones; beyond, at 2,048 of its values or fewer,
    so that no share is off by more than 1/1,024. Floats in the set count by 65,536 bins of their
    range.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned as scan
    >>> reference = image_of(np.array([[10, 20, 30, 40]], np.uint8))
    >>> matched = MatchHistogram().fit(scan([reference]))
    >>> y = matched(np.array([[[0], [0], [9], [3]]], np.uint8))
    >>> (255 * y).ravel().round(3).tolist()
    [20.0, 20.0, 40.0, 30.0]
    """

    key = "match_histogram"
    about = About(
        title="Histogram matching",
        short="matched histogram",
        scope="dataset",
        reduces=("N", "H", "W"),
        formula=r"y_c = G_c^{-1}\!\left(F_c(x_c)\right)",
        summary=(
            "Gives each channel the histogram of the set, or of a single reference image: the "
            "value that has the same share of pixels below it there."
        ),
        sources=(
            Source(
                "scikit-image match_histograms",
                "https://scikit-image.org/docs/stable/auto_examples/color_exposure/"
                "plot_histogram_matching.html",
            ),
            Source("Gonzalez and Woods, Digital Image Processing (histogram specification)"),
        ),
        invariances=frozenset({"gain", "offset", "channel_gain", "channel_offset", "curve"}),
        loses="all that is not the order of the values: brightness, contrast, overall colour and "
        "the light's curve become the set's",
        flat="a flat channel becomes the highest value of the set",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="Satellite mosaics, stain and scanner differences, domain adaptation by colour",
        libraries=(
            (
                "skimage.exposure.match_histograms",
                "Same when the set is one image, to 1e-12. With channel_axis on uint8 it cuts off "
                "to bytes: up to 1 level (0.004) darker.",
            ),
            (
                "albumentations.HistogramMatching",
                "Resizes the reference to the image first, which changes its histogram, cuts off "
                "to bytes and blends by blend_ratio.",
            ),
        ),
    )

    def constants(self, numbers: DatasetStatistics | None) -> Mapping[str, np.ndarray]:
        if not isinstance(self.need(numbers), DatasetStatistics):
            raise NotFittedError(
                f"{self.about.title} needs a histogram, and a preset holds only a mean and a std "
                "a channel. Fit it on images."
            )
        assert numbers is not None
        curves = [_distribution(numbers, c) for c in range(numbers.channels)]
        longest = max(len(values) for values, _ in curves)
        return {
            name: np.stack([np.pad(row, (0, longest - len(row)), "edge") for row in rows], axis=1)
            for name, rows in zip(("value", "share"), zip(*curves, strict=True), strict=True)
        }

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        pixels = u.shape[0] * u.shape[1]
        return _by_rank(u, lambda reached, c: self._curve(reached / pixels, c, constants))

    def table(self, constants: Mapping[str, np.ndarray], image: ImageStatistics) -> np.ndarray:
        shares = np.cumsum(image.summary.table, axis=1) / (image.height * image.width)
        return np.stack([self._curve(row, c, constants) for c, row in enumerate(shares)], axis=1)

    @staticmethod
    def _curve(shares: np.ndarray, channel: int, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        """G⁻¹ of shares; a set of grey images serves every channel."""
        value, share = constants["value"], constants["share"]
        at = channel % value.shape[1]
        return np.interp(shares, share[:, at], value[:, at])

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        return f"""import json

import numpy as np

{stored_constants(["value", "share"])}

def normalize(image):
    y = np.empty(image.shape, np.float32)
    for channel in range(image.shape[2]):
        plane = image[..., channel]
        shares = np.bincount(plane.ravel(), minlength=256).cumsum() / plane.size
        at = channel % VALUE.shape[1]
        y[..., channel] = np.interp(shares, SHARE[:, at], VALUE[:, at])[plane]
    return y
"""


def _distribution(numbers: DatasetStatistics, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of the set (fractions, rising) and the share of its pixels up to each of them."""
    values, counts = [], []
    for (channels, _, value_range), part in numbers.parts.items():
        own = channel % channels  # a grey image stands for every channel
        bins = np.flatnonzero(part.table[own])
        counts.append(part.table[own, bins])
        if isinstance(part, Counts):
            values.append(bins / value_range.span)
        else:
            ends = (np.array([part.low[own], part.high[own]]) - value_range.low) / value_range.span
            values.append(np.clip((bins + 0.5) / part.table.shape[1], *ends))
    value, place = np.unique(np.concatenate(values), return_inverse=True)
    reached = np.bincount(place, weights=np.concatenate(counts)).cumsum()
    share = reached / reached[-1]
    if len(value) > 2 * _BANDS:
        crosses = np.diff(np.ceil(share * _BANDS)) > 0
        kept = np.append(True, crosses) | np.append(crosses, True)
        value, share = value[kept], share[kept]
    return value, share
