"""Colour (colour-science), on float64."""

from __future__ import annotations

import numpy as np

from normviz.light import XYZ_TO_RGB, linear_to_srgb, srgb_to_linear
from normviz.methods.adaptation import RESPONSES, WHITES, white_xyz
from tests.parity.case import Given, Library

LIBRARY = Library("Colour", "colour-science", "colour")


def adapted(given: Given, light: str, transform: str) -> np.ndarray:
    """Linear light adapted from the light's white to sRGB's; the curve is odd about 0."""
    import colour

    srgb = colour.RGB_COLOURSPACES["sRGB"]
    xyz = colour.models.eotf_sRGB(given.u) @ srgb.matrix_RGB_to_XYZ.T
    whites = [colour.xy_to_XYZ(xy) for xy in (WHITES[light][1:], srgb.whitepoint)]
    done = colour.chromatic_adaptation(xyz, *whites, method="Von Kries", transform=transform)
    linear = done @ srgb.matrix_XYZ_to_RGB.T
    return np.sign(linear) * colour.models.eotf_inverse_sRGB(np.abs(linear))


# As the standard prints them; here the inverse of its other matrix is taken, and white from that.
RGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
D65 = (0.3127, 0.3290)


def by_printed_numbers(given: Given) -> np.ndarray:
    responses = np.array(RESPONSES["bradford"][1])
    white, light = (responses @ white_xyz(*xy) for xy in (D65, WHITES["A"][1:]))
    matrix = np.linalg.inv(responses) @ np.diag(white / light) @ responses
    linear = srgb_to_linear(given.u) @ (XYZ_TO_RGB @ matrix @ RGB_TO_XYZ).T
    return np.sign(linear) * linear_to_srgb(np.abs(linear))


@LIBRARY.differs(
    "von_kries",
    0.0011,
    "takes sRGB's matrices and white as they are printed, to four digits",
    by_printed_numbers,
)
def bradford(given: Given):
    """chromatic_adaptation(XYZ, A, D65, method="Von Kries", transform="Bradford")"""
    return adapted(given, "A", "Bradford")


@LIBRARY.agrees("von_kries", 3e-4, light="D50", response="cat02")
def cat02(given: Given):
    """chromatic_adaptation(XYZ, D50, D65, method="Von Kries", transform="CAT02")"""
    return adapted(given, "D50", "CAT02")


@LIBRARY.agrees("von_kries", 3e-4, light="F11", response="von_kries")
def von_kries(given: Given):
    """chromatic_adaptation(XYZ, F11, D65, method="Von Kries", transform="Von Kries")"""
    return adapted(given, "F11", "Von Kries")
