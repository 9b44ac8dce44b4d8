"""Colour normalization: undo the colour of the light, assuming what a neutral scene is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from normviz.methods.base import About, Method, Source, parameter
from normviz.methods.image import _fractions, _own
from normviz.statistics.image import ImageStatistics


def _ratio(target: float | np.ndarray, value: np.ndarray) -> np.ndarray:
    """target / value, and 1 for a channel that is black throughout."""
    return np.divide(target, value, out=np.ones_like(value), where=value > 0)


@dataclass(frozen=True)
class GreyWorld(Method):
    """Scale each channel so that the image's mean is grey: y_c = u_c · ū / ū_c.

    >>> x = np.array([[[40, 20, 60]]], np.uint8)
    >>> (255 * GreyWorld().fit()(x)).round(3).ravel()
    array([40., 40., 40.], dtype=float32)
    """

    key = "grey_world"
    about = About(
        title="Grey-world colour normalization",
        short="grey world",
        scope="image",
        reduces=("H", "W"),
        formula=r"y_c = x_c\, \frac{\overline{x}}{\overline{x}_c}",
        summary=(
            "Scales the channels so that the image is grey on average, as if any cast came from "
            "the light; brightness stays."
        ),
        sources=(
            Source(
                "Buchsbaum 1980, A spatial processor model for object colour perception",
                "https://doi.org/10.1016/0016-0032(80)90058-7",
            ),
        ),
        invariances=frozenset({"colour_cast"}),
        loses="the image's average colour, also where the scene really had one",
        flat="becomes grey of the same mean; a black channel stays black",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="White balance, colour constancy",
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean = u.mean(axis=(0, 1))
        return u * _ratio(mean.mean(), mean)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        mean, _, pooled, _ = _fractions(_own(image))
        return _ratio(pooled, mean), np.zeros_like(mean)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return """import numpy as np


def normalize(image):
    x = image / 255.0
    mean = x.mean(axis=(0, 1))
    gain = np.divide(mean.mean(), mean, out=np.ones_like(mean), where=mean > 0)
    return (x * gain).astype(np.float32)
"""
        if target == "torchvision":
            return """import torch


def normalize(image):
    x = image.to(torch.float64) / 255
    mean = x.mean(dim=(1, 2), keepdim=True)
    gain = torch.where(mean > 0, mean.mean() / mean, 1.0)
    return (x * gain).to(torch.float32)
"""
        if target == "keras":
            return """from keras import ops


def normalize(image):
    x = ops.cast(image, "float32") / 255
    mean = ops.mean(x, axis=(0, 1))
    gain = ops.where(mean > 0, ops.mean(mean) / mean, 1.0)
    return x * gain
"""
        return None


@dataclass(frozen=True)
class WhitePatch(Method):
    """Scale each channel so that its brightest value is white: y_c = u_c / percentile_p(u_c).

    Percentiles of integers are exact, those of floats known to 1/65,536 of the value range.

    >>> x = np.array([[[40, 20, 60], [80, 20, 30]]], np.uint8)
    >>> WhitePatch(percentile=100.0).fit()(x)[0].tolist()
    [[0.5, 1.0, 1.0], [1.0, 1.0, 0.5]]
    """

    key = "white_patch"
    about = About(
        title="White-patch colour normalization",
        short="white patch",
        scope="image",
        reduces=("H", "W"),
        formula=r"y_c = \frac{x_c}{P_p(x_c)}",
        summary=(
            "Scales each channel so that its brightest pixels become white, as if the brightest "
            "patch showed the colour of the light."
        ),
        sources=(
            Source(
                "Land and McCann 1971, Lightness and retinex theory",
                "https://doi.org/10.1364/JOSA.61.000001",
            ),
        ),
        invariances=frozenset({"gain", "channel_gain", "colour_cast"}),
        loses="the brightness and colour of the brightest patch",
        flat="becomes white; a black channel stays black",
        unit="0–1 and above",
        nominal=(0.0, 1.0),
        used_by="White balance, colour constancy",
    )
    percentile: float = parameter(
        99.0,
        "Percentile",
        "Which percentile counts as white; 100 is the maximum, which one hot pixel can set.",
        low=50.0,
        high=100.0,
        step=0.5,
        unit="%",
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return u * _ratio(1.0, np.percentile(u, self.percentile, axis=(0, 1)))

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        image = _own(image)
        span = image.value_range
        white = (image.percentile(self.percentile) - span.low) / span.span
        return _ratio(1.0, white), np.zeros_like(white)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import numpy as np


def normalize(image):
    x = image / 255.0
    white = np.percentile(x, {self.percentile!r}, axis=(0, 1))
    gain = np.divide(1.0, white, out=np.ones_like(white), where=white > 0)
    return (x * gain).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch


def normalize(image):
    x = image.to(torch.float64) / 255
    # Sorted by hand: torch.quantile refuses images of more than 16 million values.
    levels = image.flatten(1).sort(dim=1).values.to(torch.float64) / 255
    place = {self.percentile!r} / 100 * (levels.shape[1] - 1)
    below, above = levels[:, int(place)], levels[:, min(int(place) + 1, levels.shape[1] - 1)]
    white = (below + (place - int(place)) * (above - below)).view(-1, 1, 1)
    return (x * torch.where(white > 0, 1 / white, 1.0)).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops


def normalize(image):
    x = ops.cast(image, "float32") / 255
    levels = ops.sort(ops.reshape(x, (-1, image.shape[-1])), axis=0)
    place = {self.percentile!r} / 100 * (levels.shape[0] - 1)
    below, above = levels[int(place)], levels[min(int(place) + 1, levels.shape[0] - 1)]
    white = below + (place - int(place)) * (above - below)
    return x * ops.where(white > 0, 1 / white, 1.0)
"""
        return None
