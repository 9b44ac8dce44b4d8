"""Other axes for colour: opponent colours, and the decorrelated lαβ of natural images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.methods import kernels
from normviz.methods.base import About, Method, Source

_OPPONENT = np.array(
    [
        [1 / np.sqrt(2), -1 / np.sqrt(2), 0],
        [1 / np.sqrt(6), 1 / np.sqrt(6), -2 / np.sqrt(6)],
        [1 / np.sqrt(3), 1 / np.sqrt(3), 1 / np.sqrt(3)],
    ]
)

# Linear R, G, B to the responses of the long, middle and short cones, as Reinhard et al. print it.
RGB_TO_LMS = np.array(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]]
)
LMS_TO_LAB = np.diag([1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(2)]) @ np.array(
    [[1.0, 1.0, 1.0], [1.0, 1.0, -2.0], [1.0, -1.0, 0.0]]
)

FLOOR = 1 / 510
"""Added before the logarithm: half a level of 8 bits, so that black has one."""

# Responses that come back are at most ten times white: a logarithm further out may overflow.
MOST = 1.0

RUDERMAN = Source(
    "Ruderman, Cronin and Chiao 1998, Statistics of cone responses to natural images",
    "https://doi.org/10.1364/JOSAA.15.002036",
)
REINHARD = Source(
    "Reinhard, Ashikhmin, Gooch and Shirley 2001, Color transfer between images",
    "https://doi.org/10.1109/38.946629",
)


def turned(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return ``matrix`` applied to the colour of each pixel, ``(…, W, 3)``."""
    return cv2.transform(x.reshape(-1, x.shape[-2], 3), matrix).reshape(x.shape)


def to_lab(u: np.ndarray) -> np.ndarray:
    """Return lαβ of fractions ``(H, W, 3)``: three axes of log₁₀(LMS + 1/510).

    >>> to_lab(np.zeros((1, 1, 3)))[0, 0, 0].round(4).item()
    -4.6896
    """
    lms = np.maximum(turned(u, RGB_TO_LMS), 0)
    return turned(np.log10(lms + FLOOR), LMS_TO_LAB)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """Return the fractions that :func:`to_lab` made ``lab`` from; LMS is cut at ten times white."""
    logs = np.minimum(turned(lab, np.linalg.inv(LMS_TO_LAB)), MOST)
    return turned(10**logs - FLOOR, np.linalg.inv(RGB_TO_LMS))


def on_bytes_to_lab(pixels: np.ndarray) -> np.ndarray:
    """Return :func:`to_lab` of bytes ``(H, W, 3)``, in float32."""
    responses = np.column_stack([RGB_TO_LMS / 255, np.full(3, FLOOR)])
    logs = cv2.log(kernels.turned(pixels, responses))
    return np.asarray(cv2.transform(logs, (LMS_TO_LAB / np.log(10)).astype(np.float32)))


def _matrix_code(name: str, matrix: np.ndarray) -> str:
    rows = ",\n    ".join("[" + ", ".join(f"{value:.15g}" for value in row) + "]" for row in matrix)
    return f"{name} = np.array([\n    {rows},\n])\n"


@dataclass(frozen=True)
class Opponent(Method):
    """Red–green, yellow–blue and brightness: O = ((R−G)/√2, (R+G−2B)/√6, (R+G+B)/√3).

    >>> Opponent().fit().reference(np.array([[[255, 0, 0]]], np.uint8)).round(4).ravel().tolist()
    [0.7071, 0.4082, 0.5774]
    """

    key = "opponent"
    about = About(
        title="Opponent colours",
        short="opponent colours",
        scope="fixed",
        reduces=(),
        formula=(
            r"O_1 = \frac{R - G}{\sqrt 2}, \quad O_2 = \frac{R + G - 2B}{\sqrt 6}, \quad"
            r" O_3 = \frac{R + G + B}{\sqrt 3}"
        ),
        summary=(
            "Turns R, G, B into red against green, yellow against blue, and brightness: a rotation "
            "of colour space whose first two axes do not see a common offset."
        ),
        sources=(
            Source(
                "van de Sande, Gevers and Snoek 2010, Evaluating color descriptors for object and "
                "scene recognition",
                "https://doi.org/10.1109/TPAMI.2009.154",
            ),
        ),
        invariances=frozenset(),
        loses="nothing: the matrix is orthogonal, its transpose brings the image back",
        flat="stays flat; grey becomes 0, 0 and √3 times its level",
        unit="rotated fractions",
        nominal=(-1.0, 1.0),
        invertible=True,
        channels=(3,),
        used_by="Colour descriptors (OpponentSIFT), saliency, first stages modelled on vision",
        libraries=(
            (
                "OpenCV's and scikit-image's YCrCb, YUV and YPbPr",
                "Separate brightness from two differences as well, with other weights and no "
                "orthogonal matrix.",
            ),
        ),
    )

    def channel_names(self, channels: int) -> tuple[str, ...]:
        return ("O₁", "O₂", "O₃")

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return turned(u, _OPPONENT)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return kernels.turned(pixels, np.column_stack([_OPPONENT / 255, np.zeros(3)]))

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return turned(y, _OPPONENT.T)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "torchvision":
            return """import math

import torch


def normalize(image):
    r, g, b = image.to(torch.float64) / 255
    planes = (r - g) / math.sqrt(2), (r + g - 2 * b) / math.sqrt(6), (r + g + b) / math.sqrt(3)
    return torch.stack(planes).to(torch.float32)
"""
        if target != "numpy":
            return None
        return """import numpy as np


def normalize(image):
    r, g, b = np.moveaxis(image / 255.0, 2, 0)
    planes = (r - g) / np.sqrt(2), (r + g - 2 * b) / np.sqrt(6), (r + g + b) / np.sqrt(3)
    return np.stack(planes, axis=2).astype(np.float32)
"""


@dataclass(frozen=True)
class Decorrelated(Method):
    """lαβ: y = B log₁₀(A u + 1/510), A from RGB to cone responses, B their main axes.

    The axes are those in which the cones' logarithms are uncorrelated over natural images. A is
    made for linear light; as Reinhard et al. do, it is applied to the values as they are.

    >>> grey = Decorrelated().fit()(np.full((1, 1, 3), 128, np.uint8))
    >>> bool(np.abs(grey[0, 0, 1:]).max() < 0.003)
    True
    """

    key = "decorrelated"
    about = About(
        title="Decorrelated colours (lαβ)",
        short="lαβ",
        scope="fixed",
        reduces=(),
        formula=(
            r"y = B\, \log_{10}\!\left(A x + \tfrac{1}{510}\right), \quad"
            r" B = \mathrm{diag}\!\left(\tfrac{1}{\sqrt 3}, \tfrac{1}{\sqrt 6},"
            r" \tfrac{1}{\sqrt 2}\right)"
            r" \begin{pmatrix} 1&1&1\\ 1&1&-2\\ 1&-1&0 \end{pmatrix}"
        ),
        summary=(
            "Takes the logarithm of the cones' responses and turns it to brightness, "
            "yellow–blue and red–green, which are nearly uncorrelated over natural scenes."
        ),
        sources=(RUDERMAN, REINHARD),
        invariances=frozenset(),
        loses="nothing: the inverse matrices and the power of ten bring the image back",
        flat="stays flat; a gain shifts brightness and leaves the other two but for the floor",
        unit="log₁₀ of cone responses",
        nominal=(-4.7, 0.1),
        invertible=True,
        channels=(3,),
        used_by="Colour transfer, models of early vision",
        libraries=(
            (
                "Reinhard et al. 2001",
                "Take log₁₀ of the responses themselves, which black does not have; 1/510 is added "
                "here (brightness moves by 0.0015 at white, and black is at −4.69).",
            ),
        ),
    )

    def channel_names(self, channels: int) -> tuple[str, ...]:
        return ("l", "α", "β")

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return to_lab(u)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return on_bytes_to_lab(pixels)

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return from_lab(y)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        return f"""import numpy as np

{_matrix_code("RGB_TO_LMS", RGB_TO_LMS)}{_matrix_code("LMS_TO_LAB", LMS_TO_LAB)}

def normalize(image):
    logs = np.log10(image / 255.0 @ RGB_TO_LMS.T + 1 / 510)
    return (logs @ LMS_TO_LAB.T).astype(np.float32)
"""
