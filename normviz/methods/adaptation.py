"""Chromatic adaptation: a known light's colour is taken out, in linear light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from normviz.light import XYZ_TO_RGB, linear_to_srgb, srgb_to_linear
from normviz.methods.base import About, Method, Source, parameter
from normviz.methods.colour_spaces import turned
from normviz.methods.kernels import looked_up

# Chromaticities x, y of the 2° observer, CIE 15.
WHITES: dict[str, tuple[str, float, float]] = {
    "A": ("A: incandescent lamp, 2856 K", 0.44757, 0.40745),
    "F11": ("F11: fluorescent, 4000 K", 0.38052, 0.37713),
    "F2": ("F2: fluorescent, 4230 K", 0.37208, 0.37529),
    "D50": ("D50: horizon light", 0.34567, 0.35850),
    "D55": ("D55: mid-morning", 0.33242, 0.34743),
    "D65": ("D65: noon, sRGB's own white", 0.31271, 0.32902),
    "D75": ("D75: north sky", 0.29902, 0.31485),
}

# XYZ to the three responses that are scaled.
RESPONSES: dict[str, tuple[str, tuple[tuple[float, ...], ...]]] = {
    "von_kries": (
        "von Kries (Hunt–Pointer–Estevez)",
        ((0.40024, 0.7076, -0.08081), (-0.2263, 1.16532, 0.0457), (0.0, 0.0, 0.91822)),
    ),
    "bradford": (
        "Bradford",
        ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)),
    ),
    "cat02": (
        "CAT02",
        ((0.7328, 0.4296, -0.1624), (-0.7036, 1.6975, 0.0061), (0.003, 0.0136, 0.9834)),
    ),
    "rgb": ("Plain R, G, B", tuple(map(tuple, XYZ_TO_RGB.tolist()))),
}


def white_xyz(x: float, y: float) -> np.ndarray:
    """Return XYZ of a white of luminance 1.

    >>> white_xyz(0.34567, 0.35850).round(3).tolist()
    [0.964, 1.0, 0.825]
    """
    return np.array([x / y, 1.0, (1 - x - y) / y])


@cache
def adaptation(light: str, response: str) -> np.ndarray:
    """Return the 3×3 matrix on linear sRGB that turns the light's white into sRGB's own.

    M = S A⁻¹ diag(A w / A w_light) A S⁻¹, S from XYZ to linear sRGB, A the responses, w the white
    of sRGB.
    """
    to_responses = np.array(RESPONSES[response][1])
    white = to_responses @ np.linalg.solve(XYZ_TO_RGB, np.ones(3))
    seen = to_responses @ white_xyz(*WHITES[light][1:])
    back = XYZ_TO_RGB @ np.linalg.inv(to_responses)
    matrix = back @ np.diag(white / seen) @ np.linalg.inv(back)
    matrix.flags.writeable = False
    return matrix


def _decoded(u: np.ndarray) -> np.ndarray:
    return np.copysign(srgb_to_linear(np.abs(u)), u)


def _encoded(v: np.ndarray) -> np.ndarray:
    return np.copysign(linear_to_srgb(np.abs(v)), v)


@dataclass(frozen=True)
class VonKries(Method):
    """Scale the eye's responses so that a known light becomes white: y = f(M f⁻¹(u)).

    f is sRGB's curve; M as in :func:`adaptation`. Colours that leave 0…1 stay there: the curve is
    continued beyond 1, and odd about 0 (f(−v) = −f(v)), so that the method can be undone.

    >>> method = VonKries(light="D65").fit()
    >>> (255 * method(np.array([[[200, 120, 40]]], np.uint8))).round(1).ravel().tolist()
    [200.0, 120.0, 40.0]
    """

    key = "von_kries"
    about = About(
        title="Von Kries adaptation",
        short="von Kries",
        scope="fixed",
        reduces=(),
        formula=(
            r"y = f\!\left(S A^{-1}\, \mathrm{diag}\!\left(\frac{A w}{A w_L}\right) A S^{-1}\,"
            r" f^{-1}(x)\right)"
        ),
        summary=(
            "Takes out the colour of a light that is known: in linear light the responses of the "
            "eye's cones are scaled so that this light's white becomes white."
        ),
        sources=(
            Source(
                "CIE 15, Colorimetry (illuminants)",
                "https://cie.co.at/publications/colorimetry-4th-edition",
            ),
            Source(
                "Lindbloom, Chromatic adaptation (the matrices)",
                "http://www.brucelindbloom.com/Eqn_ChromAdapt.html",
            ),
        ),
        invariances=frozenset(),
        loses="nothing: the inverse matrix brings the image back",
        flat="stays flat; a flat patch of the light's own colour becomes grey",
        unit="0–1, beyond it for colours outside of sRGB",
        nominal=(0.0, 1.0),
        invertible=True,
        channels=(3,),
        used_by="Cameras' white balance, ICC colour management (Bradford, to D50)",
        libraries=(
            (
                "Colour's chromatic_adaptation(method='Von Kries')",
                "The same; it takes sRGB's two matrices and its white as they are printed, to "
                "four digits, where one is the other's inverse here: 0.001 of the range away for "
                "light A.",
            ),
            (
                "Plain gains on encoded R, G, B (many white-balance scripts)",
                "Scale after the camera's curve: another result for all but white. Choose “Plain "
                "R, G, B” for gains in linear light.",
            ),
        ),
    )
    light: str = parameter(
        "A",
        "Light",
        "The illuminant of the photo, which becomes sRGB's white.",
        choices={key: words for key, (words, _, _) in WHITES.items()},
    )
    response: str = parameter(
        "bradford",
        "Responses",
        "What is scaled: cones as estimated by different authors, or the channels themselves.",
        choices={key: words for key, (words, _) in RESPONSES.items()},
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return _encoded(turned(_decoded(u), adaptation(self.light, self.response)))

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # Light of 256 levels is looked up; the curve back is sRGB's, in float32 throughout.
        light = looked_up(pixels, srgb_to_linear(np.arange(256.0)[:, np.newaxis] / 255))
        light = turned(light, adaptation(self.light, self.response).astype(np.float32))
        size = np.abs(light)
        y: np.ndarray = cv2.pow(size, 1 / 2.4)
        y *= np.float32(1.055)
        y -= np.float32(0.055)
        np.copyto(y, 12.92 * size, where=size <= 0.0031308)
        return np.copysign(y, light, out=y)

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        back = np.linalg.inv(adaptation(self.light, self.response))
        return _encoded(turned(_decoded(y), back))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        rows = ",\n    ".join(
            "[" + ", ".join(f"{value:.15g}" for value in row) + "]"
            for row in adaptation(self.light, self.response)
        )
        return f"""import numpy as np

# On linear sRGB
MATRIX = np.array([
    {rows},
])


def decoded(x):
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def encoded(v):
    size = np.abs(v)
    y = np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055)
    return np.copysign(y, v)


def normalize(image):
    return encoded(decoded(image / 255.0) @ MATRIX.T).astype(np.float32)
"""
