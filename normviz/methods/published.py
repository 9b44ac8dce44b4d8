"""A published preset, applied as its authors do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.methods.base import About, Method, Source, parameter
from normviz.presets import PRESETS, Preset
from normviz.statistics.image import ImageStatistics


@dataclass(frozen=True)
class Published(Method):
    """Constants from a model's own documentation: y = (x − mean) / std, as published.

    The result stays in RGB order here; for a BGR preset the exported code turns it round.

    >>> y = Published("imagenet").fit()(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8))
    >>> y[0].round(3).tolist()[0]
    [-2.118000030517578, -2.0360000133514404, -1.8040000200271606]
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
    )
    preset: str = parameter(
        "imagenet",
        "Preset",
        "Whose constants.",
        choices={key: preset.title for key, preset in PRESETS.items()},
    )

    @property
    def published(self) -> Preset:
        return PRESETS[self.preset]

    def constants(self, numbers: Any) -> Mapping[str, np.ndarray]:
        return {"mean": self.published.fraction_mean, "std": self.published.fraction_std}

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return (u - constants["mean"]) / constants["std"]

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        gain = 1 / constants["std"]
        return gain, -constants["mean"] * gain

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return y * constants["std"] + constants["mean"]

    def remark(self) -> str:
        if self.published.order != "BGR":
            return ""
        return (
            "\n# The published network takes BGR: turn the channels of the result round,\n"
            "# normalize(image)[..., ::-1] (channels last) or .flip(0) (channels first).\n"
        )
