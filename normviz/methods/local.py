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

# Differences below this are rounding of the float type, not contrast: a flat image stays 0.
_FLAT = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}


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
        if all(np.array_equal(u[:, :, 0], u[:, :, c]) for c in range(1, u.shape[2])):
            # A grey picture has no differences between channels that could mask the rounding.
            v[np.abs(v) < _FLAT[v.dtype]] = 0
        return v

    def written(self, last_lines: str) -> str:
        """The NumPy and OpenCV code that both forms begin with."""
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

    def snippet(self, target: str) -> str | None:
        return self.written("    return v.astype(np.float32)\n") if target == "numpy" else None


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

    def snippet(self, target: str) -> str | None:
        last = """    sigma = np.sqrt(window_mean(v * v))
    divisor = np.maximum(sigma.mean(), sigma)
    y = np.divide(v, divisor, out=np.zeros_like(v), where=divisor > 0)
    return y.astype(np.float32)
"""
        return self.written(last) if target == "numpy" else None
