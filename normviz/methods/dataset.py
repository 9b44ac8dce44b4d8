"""Numbers of a whole dataset: per channel, or at each position of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from normviz.errors import NotFittedError
from normviz.images import resized
from normviz.methods.base import (
    About,
    ChannelNumbers,
    Method,
    PositionNumbers,
    Source,
    parameter,
)
from normviz.methods.code import stored_constants
from normviz.statistics.image import ImageStatistics

SCALES = {255: "0–255", 1: "0–1"}
PLACEMENTS = {"resize": "Resized to the image", "crop": "Its centre cut out"}
_PLACEMENT_HELP = (
    "How a mean image of another size meets the image: resized to it, as pycaffe does, or cut out "
    "of its centre, as Caffe's C++ does; where the image is larger, the mean image is first "
    "enlarged, in proportion, until it covers it."
)
_PLACEMENT_LIBRARIES = (
    (
        "pycaffe Transformer.set_mean",
        "Resizes the mean image to the network's input, bilinear and without averaging over what "
        "it skips; here shrinking averages areas: from 256 to 227 pixels, on the mean image of "
        "18 photos, that differs by 0.1 levels on average and 1.6 at most.",
    ),
    (
        "Caffe DataTransformer (C++)",
        "Cuts image and mean image at the same place, and refuses an image whose size before "
        "the crop is not the mean image's; here the centre that the image covers is taken, and a "
        "mean image that is too small is enlarged first.",
    ),
)

QUESTION = Source(
    "Why do we normalize images by subtracting the dataset's image mean and not the current "
    "image mean in deep learning? (Cross Validated)",
    "https://stats.stackexchange.com/questions/211436",
)


@dataclass(frozen=True)
class DatasetMean(Method):
    """Subtract the dataset's mean colour: y = s·(u − μ_c), s = 255 or 1.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned as scan
    >>> stats = scan([image_of(np.full((2, 2), v, np.uint8)) for v in (10, 30)])
    >>> DatasetMean().fit(stats)(np.array([[[50]]], np.uint8)).item()
    30.0
    """

    key = "dataset_mean"
    about = About(
        title="Dataset mean per channel subtracted",
        short="dataset mean",
        scope="dataset",
        reduces=("N", "H", "W"),
        formula=r"y_c = x_c - \mu_c",
        summary="Subtracts one colour, the mean of all training images, from every image.",
        sources=(
            Source(
                "Simonyan and Zisserman 2014 (VGG)",
                "https://arxiv.org/abs/1409.1556",
            ),
            QUESTION,
        ),
        invariances=frozenset(),
        loses="nothing: adding the same numbers brings the image back",
        flat="becomes its distance to the dataset's mean",
        unit="centred 0–255",
        nominal=(0.0, 255.0),
        invertible=True,
        used_by="VGG, SSD300, Caffe GoogLeNet",
        libraries=(
            (
                'keras preprocess_input(mode="caffe")',
                "The same on levels with VGG's constants, and the channels are put in B, G, R.",
            ),
            (
                "cv2.dnn.blobFromImage(x, scale, mean=…)",
                "The same: subtracts the mean of levels first and multiplies by scale afterwards.",
            ),
            (
                "torchvision VGG16_Weights",
                "IMAGENET1K_V1 divides by the std too; IMAGENET1K_FEATURES holds Caffe's mean, as "
                "fractions and in R, G, B, and a std of 1/255.",
            ),
        ),
    )
    scale: int = parameter(255, "Scale", "Units the difference is given in.", choices=SCALES)

    def constants(self, numbers: ChannelNumbers | None) -> Mapping[str, np.ndarray]:
        return {"mean": self.need(numbers).fraction_mean}

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.scale * (u - constants["mean"])

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.array([float(self.scale)]), -self.scale * constants["mean"]

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return y / self.scale + constants["mean"]


@dataclass(frozen=True)
class DatasetZScore(Method):
    """Subtract the dataset's mean and divide by its std, per channel: y = (u − μ_c) / σ_c.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned as scan
    >>> stats = scan([image_of(np.full((2, 2), v, np.uint8)) for v in (10, 30)])
    >>> round(DatasetZScore().fit(stats)(np.array([[[50]]], np.uint8)).item(), 6)
    3.0
    """

    key = "dataset_zscore"
    about = About(
        title="Dataset mean and std per channel",
        short="dataset mean, std",
        scope="dataset",
        reduces=("N", "H", "W"),
        formula=r"y_c = \frac{x_c - \mu_c}{\sigma_c}",
        summary=(
            "Subtracts the dataset's mean and divides by its pooled standard deviation, "
            "channel by channel; the same numbers for every image."
        ),
        sources=(
            Source(
                "torchvision Normalize",
                "https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Normalize.html",
            ),
            QUESTION,
        ),
        invariances=frozenset(),
        loses="nothing: the same numbers bring the image back",
        flat="becomes its distance to the dataset's mean, in dataset stds",
        unit="dataset stds",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="torchvision, timm, most of today's vision networks",
        libraries=(
            (
                "torchvision and Albumentations Normalize, kornia.enhance.normalize",
                "The same, to 1e-6 in float32. Where a std is 0, torchvision refuses and "
                "Albumentations gives infinity.",
            ),
            (
                "sklearn.preprocessing.StandardScaler, monai.transforms.NormalizeIntensity",
                "The same, on pixels as rows or channels first; a std of 0 counts as 1.",
            ),
            (
                "keras.layers.Normalization",
                "The same, with a floor of 1e-7 under the std, as here; its adapt() takes mean and "
                "variance in float32, 1e-4 of the range away on small photos.",
            ),
        ),
    )
    epsilon: float = parameter(
        1e-7,
        "Floor of σ",
        "A smaller σ is replaced by this: images that are all one colour have σ = 0.",
        low=1e-12,
        high=0.1,
        step=1e-7,
    )

    def constants(self, numbers: ChannelNumbers | None) -> Mapping[str, np.ndarray]:
        numbers = self.need(numbers)
        return {"mean": numbers.fraction_mean, "std": numbers.fraction_std}

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return (u - constants["mean"]) / self._divisor(constants)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        gain = 1 / self._divisor(constants)
        return gain, -constants["mean"] * gain

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return y * self._divisor(constants) + constants["mean"]

    def _divisor(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.maximum(constants["std"], self.epsilon)


@dataclass(frozen=True)
class DatasetMeanImage(Method):
    """Subtract the dataset's mean *image*: y = s·(u − M), M resized to the image.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned as scan
    >>> pair = [image_of(np.array([[0, 200]], np.uint8)), image_of(np.array([[0, 100]], np.uint8))]
    >>> DatasetMeanImage().fit(scan(pair, mean_image=2))(pair[0].pixels).ravel().round(2)
    array([ 0., 50.], dtype=float32)
    """

    key = "dataset_mean_image"
    about = About(
        title="Dataset mean image subtracted",
        short="mean image",
        scope="dataset",
        reduces=("N",),
        formula=r"y_{hwc} = x_{hwc} - M_{hwc}",
        summary=(
            "Subtracts at each position the mean over all training images there; the mean image "
            "is resized to the picture, or its centre cut out."
        ),
        sources=(
            Source(
                "Krizhevsky, Sutskever and Hinton 2012 (AlexNet)",
                "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
            ),
            Source("Chatfield et al. 2014 (CNN_S)", "https://arxiv.org/abs/1405.3531"),
            QUESTION,
        ),
        invariances=frozenset(),
        loses="nothing: adding the mean image brings the image back",
        flat="becomes the mean image's negative around a constant",
        unit="centred 0–255",
        nominal=(0.0, 255.0),
        shuffles=False,
        invertible=True,
        used_by="AlexNet, CaffeNet, CNN_S, the MSRA ResNet",
        libraries=_PLACEMENT_LIBRARIES,
    )
    scale: int = parameter(255, "Scale", "Units the difference is given in.", choices=SCALES)
    placement: str = parameter("resize", "Mean image", _PLACEMENT_HELP, choices=PLACEMENTS)

    def constants(self, numbers: PositionNumbers | None) -> Mapping[str, np.ndarray]:
        return {"mean_image": _position_numbers(self, numbers).fraction_mean_image}

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.scale * (u - _fitted_to(u, constants["mean_image"], self.placement))

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return _differences(pixels, constants["mean_image"], self.placement, self.scale)

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return y / self.scale + _fitted_to(y, constants["mean_image"], self.placement)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        y = f"    y = {self.scale} * (image / 255.0 - at_size(MEAN_IMAGE, image))\n"
        return _position_code(target, ["mean_image"], self.placement, y)


@dataclass(frozen=True)
class DatasetPixelZScore(Method):
    """z-score of each feature: y = (u − M) / max(S, ε) at every position and channel.

    M and S are taken at the side that the set was scanned at, and resized to the image, or their
    centre is cut out.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned as scan
    >>> pair = [image_of(np.array([[0, 200]], np.uint8)), image_of(np.array([[0, 100]], np.uint8))]
    >>> DatasetPixelZScore().fit(scan(pair, mean_image=2))(pair[0].pixels).ravel().round(2)
    array([0., 1.], dtype=float32)
    """

    key = "dataset_pixel_zscore"
    about = About(
        title="Dataset mean and std per pixel",
        short="pixel z-score",
        scope="dataset",
        reduces=("N",),
        formula=r"y_{hwc} = \frac{x_{hwc} - M_{hwc}}{\max(S_{hwc}, \varepsilon)}",
        summary=(
            "Treats each position of each channel as a feature and standardizes it over the "
            "dataset, as tabular data are; mean and std image are resized to the picture, or their "
            "centre cut out."
        ),
        sources=(
            Source(
                "scikit-learn StandardScaler on flattened images, with a floor where it puts 1 for "
                "S = 0",
                "https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.StandardScaler.html",
            ),
            QUESTION,
        ),
        invariances=frozenset(),
        loses="nothing: the same two images bring the picture back",
        flat="becomes the mean image's negative around a constant, divided by the std image",
        unit="stds of that pixel",
        nominal=(0.0, 1.0),
        shuffles=False,
        invertible=True,
        used_by="Classical pipelines on aligned images (digits, faces)",
        libraries=(
            (
                "sklearn.preprocessing.StandardScaler on flattened images",
                "The same where no std is below the floor; a std of 0 counts as 1 there.",
            ),
            (
                "tf.keras ImageDataGenerator(featurewise_std_normalization=True)",
                "One mean and std a channel instead of one a pixel, and 1e-6 is added to the std.",
            ),
            *_PLACEMENT_LIBRARIES,
        ),
    )
    epsilon: float = parameter(
        1 / 255,
        "Floor of S",
        "A smaller S is replaced by this: a position that never changes has S = 0. 1/255 is one "
        "8-bit level.",
        low=1e-6,
        high=0.2,
        step=0.001,
    )
    placement: str = parameter("resize", "Mean and std image", _PLACEMENT_HELP, choices=PLACEMENTS)

    def constants(self, numbers: PositionNumbers | None) -> Mapping[str, np.ndarray]:
        numbers = _position_numbers(self, numbers)
        return {
            "mean_image": numbers.fraction_mean_image,
            "std_image": numbers.fraction_std_image,
        }

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean = _fitted_to(u, constants["mean_image"], self.placement)
        return (u - mean) / self._divisor(u, constants)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        if constants["mean_image"].shape[:2] == pixels.shape[:2]:
            # The images' own positions, whose S may be a level and less: float32 would round M by
            # 1e-5 of that.
            return self.definition(pixels / 255.0, constants).astype(np.float32)
        y = _differences(pixels, constants["mean_image"], self.placement, 1)
        std = _placed_alone(pixels, constants["std_image"], self.placement)
        if constants["std_image"].min() < self.epsilon:
            np.maximum(std, np.float32(self.epsilon), out=std)
        y /= std
        return y

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean = _fitted_to(y, constants["mean_image"], self.placement)
        return y * self._divisor(y, constants) + mean

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        lines = """    centred = image / 255.0 - at_size(MEAN_IMAGE, image)
    y = centred / np.maximum(at_size(STD_IMAGE, image), FLOOR)
"""
        more = f"FLOOR = {self.epsilon!r}\n"
        return _position_code(target, ["mean_image", "std_image"], self.placement, lines, more)

    def _divisor(self, like: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        std = _fitted_to(like, constants["std_image"], self.placement)
        return np.maximum(std, self.epsilon)


def _position_numbers(method: Method, numbers: Any) -> PositionNumbers:
    # Of the class, since asking the object would compute the image, and may refuse.
    if not hasattr(type(method.need(numbers)), "fraction_mean_image"):
        raise NotFittedError(
            f"{method.about.title} needs a mean image, and a preset holds only one number a "
            "channel. Fit it on images, or on a mean image that is imported."
        )
    return numbers


def _fitted_to(image: np.ndarray, template: np.ndarray, placement: str) -> np.ndarray:
    """Give a mean or std image the size of ``image``, in its float type (float32 for bytes).

    "resize" averages areas or interpolates; "crop" takes the centre, and enlarges first what
    would not cover the image.
    """
    kind = np.float32 if image.dtype == np.uint8 else image.dtype
    template = template.astype(kind, copy=False)
    height, width = image.shape[-3:-1]
    if template.shape[:2] == (1, 1):
        return np.broadcast_to(template, (*image.shape[:-1], template.shape[-1]))
    if placement == "resize":
        return resized(template, height, width)
    larger = max(height / template.shape[0], width / template.shape[1], 1.0)
    rows = max(height, round(larger * template.shape[0]))
    columns = max(width, round(larger * template.shape[1]))
    template = resized(template, rows, columns)
    top, left = (rows - height) // 2, (columns - width) // 2
    return template[top : top + height, left : left + width]


def _differences(
    pixels: np.ndarray, template: np.ndarray, placement: str, scale: float
) -> np.ndarray:
    """Return scale · (u − M) of bytes in one pass, by OpenCV's sum of bytes and floats."""
    placed = _placed_alone(pixels, template, placement)
    # Over the mean image, which saves going through as much memory again.
    return cv2.addWeighted(pixels, scale / 255, placed, -scale, 0, placed, cv2.CV_32F)


def _placed_alone(pixels: np.ndarray, template: np.ndarray, placement: str) -> np.ndarray:
    """Return a mean or std image of the very shape of ``pixels``, a copy that may be changed."""
    placed = _fitted_to(pixels, template, placement)
    if placed.shape != pixels.shape:
        placed = np.broadcast_to(placed, pixels.shape)
    return np.require(placed, requirements=["C", "W"])


_AT_SIZE = {
    "resize": """def at_size(template, image):
    height, width = image.shape[:2]
    shrinks = height <= template.shape[0] and width <= template.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(template, (width, height), interpolation=method).reshape(height, width, -1)
""",
    "crop": """def at_size(template, image):
    height, width = image.shape[:2]
    larger = max(height / template.shape[0], width / template.shape[1], 1.0)
    rows = max(height, round(larger * template.shape[0]))
    columns = max(width, round(larger * template.shape[1]))
    if larger > 1:
        template = cv2.resize(template, (columns, rows), interpolation=cv2.INTER_LINEAR)
    template = template.reshape(rows, columns, -1)
    top, left = (rows - height) // 2, (columns - width) // 2
    return template[top : top + height, left : left + width]
""",
}


def _position_code(
    target: str, names: list[str], placement: str, lines: str, more: str = ""
) -> str | None:
    """Code that reads mean and std images from the fitted method's JSON, saved beside it.

    ``lines`` compute the result y, ``more`` are further constants.
    """
    if target != "numpy":
        return None
    return f"""import json

import cv2
import numpy as np

{stored_constants(names)}{more}

{_AT_SIZE[placement]}

def normalize(image):
{lines}    return y.astype(np.float32)
"""
