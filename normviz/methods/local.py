"""Local contrast normalization: each pixel against a Gaussian window around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.errors import ParameterError
from normviz.methods.base import About, Method, Source, parameter

JARRETT = Source(
    "Jarrett, Kavukcuoglu, Ranzato and LeCun 2009, What is the best multi-stage architecture for "
    "object recognition?",
    "https://ieeexplore.ieee.org/document/5459469",
)

_BORDER = cv2.BORDER_REFLECT_101

# Differences below this are rounding, not contrast: a flat image stays 0.
_FLAT = 1e-12


def _window_mean(x: np.ndarray, size: int) -> np.ndarray:
    """Σ w∗x with w a size×size Gaussian whose weights sum to 1 over space AND channels."""
    share = 1 / x.shape[2]
    across = cv2.transform(x, np.full((1, x.shape[2]), share, x.dtype))
    blurred = cv2.GaussianBlur(across, (size, size), size / 4, borderType=_BORDER)
    return blurred[:, :, np.newaxis]


@dataclass(frozen=True)
class _Local(Method):
    """What both forms share: the window, and the subtraction v = u − Σ w∗u."""

    window: int = parameter(
        9, "Window", "Side of the Gaussian window, odd; σ is a quarter of it.", 3, 63, 2, unit="px"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0:
            raise ParameterError(
                f"{self.about.title}: Window is an odd number of pixels; got {self.window}."
            )

    def centred(self, u: np.ndarray) -> np.ndarray:
        v = u - _window_mean(u, self.window)
        v[np.abs(v) < _FLAT] = 0
        return v

    def written(self, target: str, last_lines: str) -> str | None:
        """The code that both forms begin with: NumPy and OpenCV, or PyTorch; else None."""
        if target == "torchvision":
            return self._written_in_torch(last_lines)
        if target != "numpy":
            return None
        return f"""import cv2
import numpy as np

WINDOW = {self.window}


def window_mean(x):
    across = x.mean(axis=2)
    return cv2.GaussianBlur(
        across, (WINDOW, WINDOW), WINDOW / 4, borderType=cv2.BORDER_REFLECT_101
    )[:, :, np.newaxis]


def normalize(image):
    x = image / 255.0
    v = x - window_mean(x)
    v[np.abs(v) < 1e-12] = 0  # rounding, not contrast
{last_lines}"""

    def _written_in_torch(self, last_lines: str) -> str:
        return f"""import torch
import torch.nn.functional as F

WINDOW = {self.window}
OFFSETS = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
WEIGHTS = torch.exp(-0.5 * (OFFSETS / (WINDOW / 4)) ** 2)
WEIGHTS /= WEIGHTS.sum()


def mirrored(length):
    # Positions beyond a border, reflected without repeating the edge, however small the image.
    period = max(2 * (length - 1), 1)
    place = torch.arange(-(WINDOW // 2), length + WINDOW // 2) % period
    return torch.minimum(place, period - place)


def window_mean(x):
    across = x.mean(dim=0)[mirrored(x.shape[1])][:, mirrored(x.shape[2])]
    columns = F.conv2d(across[None, None], WEIGHTS.view(1, 1, -1, 1))
    return F.conv2d(columns, WEIGHTS.view(1, 1, 1, -1))[0]


def normalize(image):
    x = image.to(torch.float64) / 255
    v = x - window_mean(x)
    v[v.abs() < 1e-12] = 0  # rounding, not contrast
{last_lines}"""


@dataclass(frozen=True)
class SubtractiveLCN(_Local):
    """Subtract the local mean over a window and all channels: v = u − Σ w∗u.

    Borders are mirrored without repeating the edge pixel (reflect 101).

    >>> SubtractiveLCN().fit()(np.full((5, 7, 3), 90, np.uint8)).any().item()
    False
    """

    key = "lcn_subtractive"
    about = About(
        title="Local contrast normalization, subtractive only",
        short="LCN, subtractive",
        scope="local",
        reduces=("h", "w", "C"),
        formula=(
            r"v_{hwc} = x_{hwc} - \sum_{p,q,k} w_{pq}\, x_{h+p,\,w+q,\,k}, \quad"
            r" \sum_{p,q,k} w_{pq} = 1"
        ),
        summary=(
            "Subtracts from each pixel a Gaussian mean of its neighbourhood, taken over all "
            "channels together: edges stay, slow shading goes, and hue stays as a difference."
        ),
        sources=(JARRETT,),
        invariances=frozenset({"offset"}),
        loses="slow changes of brightness across the image",
        flat="becomes 0 (a flat colour keeps its channels' distances to grey)",
        unit="0–1 differences",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Convolutional networks around 2009–2012",
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.centred(u)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "torchvision":
            return self.written(target, "    return v.to(torch.float32)\n")
        return self.written(target, "    return v.astype(np.float32)\n")


@dataclass(frozen=True)
class LCN(_Local):
    """Subtract the local mean, divide by the local std: y = v / max(mean(σ), σ), σ² = Σ w∗v².

    Borders are mirrored without repeating the edge pixel (reflect 101); 0/0 is 0.

    >>> LCN().fit()(np.full((5, 7, 3), 90, np.uint8)).any().item()
    False
    """

    key = "lcn"
    about = About(
        title="Local contrast normalization",
        short="LCN",
        scope="local",
        reduces=("h", "w", "C"),
        formula=(
            r"y = \frac{v}{\max(\overline{\sigma},\, \sigma_{hw})}, \quad"
            r" \sigma_{hw}^2 = \sum_{p,q,k} w_{pq}\, v_{h+p,\,w+q,\,k}^2"
        ),
        summary=(
            "Subtracts a local mean and divides by a local standard deviation, both over a "
            "Gaussian window and all channels: shade and sun end up with the same contrast."
        ),
        sources=(JARRETT,),
        invariances=frozenset({"gain", "offset"}),
        loses="brightness and contrast, locally as well as overall",
        flat="becomes 0 (a flat colour keeps its channels' distances to grey, divided by their "
        "own size)",
        unit="local stds",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Convolutional networks around 2009–2012, before batch normalization",
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        v = self.centred(u)
        sigma = np.sqrt(_window_mean(v * v, self.window))
        divisor = np.maximum(sigma.mean(), sigma)
        return np.divide(v, divisor, out=np.zeros_like(v), where=divisor > 0)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        last = """    sigma = np.sqrt(window_mean(v * v))
    divisor = np.maximum(sigma.mean(), sigma)
    y = np.divide(v, divisor, out=np.zeros_like(v), where=divisor > 0)
    return y.astype(np.float32)
"""
        if target == "torchvision":
            last = """    sigma = window_mean(v * v).sqrt()
    divisor = torch.maximum(sigma.mean(), sigma)
    return torch.where(divisor > 0, v / divisor, 0.0).to(torch.float32)
"""
        return self.written(target, last)
