"""A published preset, applied as its authors do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.methods.base import About, Method, Source, parameter
from normviz.methods.code import constants_code
from normviz.presets import PRESETS, Preset
from normviz.statistics.image import ImageStatistics

ORDERS = {"rgb": "As in the image (RGB)", "network": "The network's (BGR where it takes BGR)"}


@dataclass(frozen=True)
class Published(Method):
    """Constants from a model's own documentation: y = (x − mean) / std, as published.

    ``order`` is that of the result: "rgb" keeps the channels of the image, so that pictures keep
    their colours; "network" turns them to BGR for a network that takes BGR, which is exactly what
    it is fed.

    >>> y = Published("imagenet").fit()(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8))
    >>> y[0].round(3).tolist()[0]
    [-2.118000030517578, -2.0360000133514404, -1.8040000200271606]
    >>> vgg = Published("vgg", order="network").fit()(np.array([[[255, 0, 0]]], np.uint8))
    >>> vgg.ravel().round(3).tolist()
    [-103.93900299072266, -116.77899932861328, 131.32000732421875]
    """

    key = "published"
    about = About(
        title="Published preset",
        short="preset",
        scope="fixed",
        reduces=(),
        formula=r"y_c = \frac{x_c - m_c}{s_c}",
        summary="Applies the constants that a published model documents, whatever the images are.",
        sources=(
            Source(
                "timm/data/constants.py",
                "https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/constants.py",
            ),
            Source("Each preset names its own source."),
        ),
        invariances=frozenset(),
        loses="nothing: the same numbers bring the image back",
        flat="becomes its distance to the published mean",
        unit="published stds",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="Anyone who fine-tunes a published model",
        libraries=(
            (
                "torchvision, Keras, Albumentations and Transformers with the same constants",
                "The same, to 1e-6 in float32.",
            ),
            (
                "transformers' image processors without a model's file",
                "Most (ViT, ConvNeXt, DeiT, BEiT, EfficientNet) then hold 0.5 and 0.5 and not "
                "ImageNet's constants, which come with preprocessor_config.json.",
            ),
            (
                "albumentations.Normalize()",
                "ImageNet's by default; torchvision's Normalize has no default.",
            ),
        ),
    )
    preset: str = parameter(
        "imagenet",
        "Preset",
        "Whose constants.",
        choices={key: preset.title for key, preset in PRESETS.items()},
    )
    order: str = parameter(
        "rgb",
        "Channels of the result",
        "Networks trained with Caffe or OpenCV take B, G, R: with “the network's” the result is "
        "turned round for them. Presets for RGB and grey stay as they are.",
        choices=ORDERS,
    )

    @property
    def published(self) -> Preset:
        return PRESETS[self.preset]

    @property
    def turned(self) -> bool:
        """Whether the result has its channels in another order than the image."""
        return self.order == "network" and self.published.order == "BGR"

    def channel_names(self, channels: int) -> tuple[str, ...]:
        names = super().channel_names(channels)
        return names[::-1] if self.turned else names

    def constants(self, numbers: Any) -> Mapping[str, np.ndarray]:
        return {"mean": self.published.fraction_mean, "std": self.published.fraction_std}

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        y = (u - constants["mean"]) / constants["std"]
        return y[..., ::-1] if self.turned else y

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        # A turned result is no gain and bias of the same channel.
        return None if self.turned else _gain_and_bias(constants)

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        y = y[..., ::-1] if self.turned else y
        return y * constants["std"] + constants["mean"]

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if not self.turned:
            return None
        gain, bias = _gain_and_bias(constants)
        return constants_code(target, gain[::-1], bias[::-1], turned=True)

    def remark(self) -> str:
        if self.published.order != "BGR":
            return ""
        if self.turned:
            return "\n# The result is B, G, R, as the published network takes it.\n"
        return (
            "\n# The published network takes BGR: turn the channels of the result round,\n"
            "# normalize(image)[..., ::-1] (channels last) or .flip(0) (channels first).\n"
        )


def _gain_and_bias(constants: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    gain = 1 / constants["std"]
    return gain, -constants["mean"] * gain
