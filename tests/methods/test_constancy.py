"""Shades of grey, grey edge and von Kries: loops over pixels, closed forms, printed matrices."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.light import XYZ_TO_RGB, linear_to_srgb, srgb_to_linear
from normviz.methods.adaptation import RESPONSES, WHITES, adaptation, white_xyz
from normviz.samples import load_sample
from tests.methods.test_code_in_libraries import photo

COFFEE = load_sample("coffee").pixels


def mirrored(at: int, size: int) -> int:
    """The place that stands for ``at`` beyond the border: dcb|abcd|cba."""
    at = abs(at)
    return at if at < size else 2 * (size - 1) - at


def minkowski(values: list[float], p: float) -> float:
    return (sum(value**p for value in values) / len(values)) ** (1 / p)


def scaled(u: np.ndarray, light: list[float]) -> np.ndarray:
    return np.stack([u[..., c] * (sum(light) / 3) / light[c] for c in range(3)], axis=2)


@pytest.mark.parametrize("p", [1.0, 2.5, 6.0, 20.0])
def test_shades_of_grey_is_its_formula(p):
    pixels = photo(9, 7)
    u = pixels / 255
    expected = scaled(u, [minkowski(u[..., c].ravel().tolist(), p) for c in range(3)])
    fitted = nv.METHODS["shades_of_grey"](p=p).fit()
    np.testing.assert_allclose(fitted.reference(pixels), expected, rtol=1e-12)
    # By look-up from the counts of levels, and on floats pixel by pixel.
    np.testing.assert_allclose(fitted(pixels), expected, rtol=1e-6)
    floats = nv.image_of(u.astype(np.float32))
    np.testing.assert_allclose(fitted(floats.pixels), expected, rtol=1e-5)


def test_shades_of_grey_lie_between_grey_world_and_the_brightest_pixel():
    world = nv.METHODS["grey_world"]().fit().reference(COFFEE)
    first = nv.METHODS["shades_of_grey"](p=1.0).fit().reference(COFFEE)
    np.testing.assert_allclose(first, world, rtol=1e-12)
    # One pixel of four is bright: at p = 20 the mean keeps (1/4)^(1/20) of its maximum.
    x = np.array([[[200, 100, 50], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]], np.uint8)
    done = nv.METHODS["shades_of_grey"](p=20.0).fit().reference(x)[0, 0]
    np.testing.assert_allclose(done, np.mean([200, 100, 50]) / 255, rtol=1e-12)
    x[1, 1] = (20, 20, 20)
    light = (np.array([200.0, 100, 50]) ** 20 + 20.0**20) ** (1 / 20)
    done = nv.METHODS["shades_of_grey"](p=20.0).fit().reference(x)
    np.testing.assert_allclose(done[1, 1], 20 / 255 * light.mean() / light, rtol=1e-12)


@pytest.mark.parametrize(("order", "p", "sigma"), [(1, 6.0, 1.0), (1, 1.0, 2.0), (2, 5.0, 1.5)])
def test_grey_edge_is_its_formula(order, p, sigma):
    pixels = photo(11, 9)
    u = pixels / 255
    smooth = cv2.GaussianBlur(u, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    height, width = u.shape[:2]
    light = []
    for c in range(3):

        def at(y, x, c=c):
            return smooth[mirrored(y, height), mirrored(x, width), c]

        sizes = []
        for y in range(height):
            for x in range(width):
                if order == 1:
                    parts = [at(y, x + 1) - at(y, x - 1), at(y + 1, x) - at(y - 1, x)]
                    sizes.append(math.hypot(*parts))
                    continue
                across = at(y, x + 1) - 2 * at(y, x) + at(y, x - 1)
                down = at(y + 1, x) - 2 * at(y, x) + at(y - 1, x)
                mixed = (
                    at(y + 1, x + 1) - at(y + 1, x - 1) - at(y - 1, x + 1) + at(y - 1, x - 1)
                ) / 4
                sizes.append(math.sqrt(across**2 + 4 * mixed**2 + down**2))
        light.append(minkowski(sizes, p))
    fitted = nv.METHODS["grey_edge"](order=order, p=p, sigma=sigma).fit()
    np.testing.assert_allclose(fitted.reference(pixels), scaled(u, light), rtol=1e-9)


@pytest.mark.parametrize("key", ["shades_of_grey", "grey_edge"])
def test_a_cast_is_taken_out_and_a_black_channel_stays(key):
    fitted = nv.METHODS[key]().fit()
    u = (photo(20, 30) + 1) / 400
    plain, cast = fitted.reference(u), fitted.reference(u * [1.5, 1.0, 0.6])
    ratio = cast / plain
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-9)
    black = fitted.reference(u * [1, 0, 1])
    assert not black[..., 1].any() and np.isfinite(black).all()


# --- von Kries ------------------------------------------------------------------------------------

# Lindbloom, chromatic adaptation from D50 to D65 by Bradford, as he prints it for XYZ.
LINDBLOOM = np.array(
    [
        [0.9555766, -0.0230393, 0.0631636],
        [-0.0282895, 1.0099416, 0.0210077],
        [0.0122982, -0.0204830, 1.3299098],
    ]
)


def test_bradford_is_lindblooms_matrix():
    in_xyz = np.linalg.inv(XYZ_TO_RGB) @ adaptation("D50", "bradford") @ XYZ_TO_RGB
    # His whites are ASTM's (D65: 0.95047, 1, 1.08883), ours follow the chromaticities.
    np.testing.assert_allclose(in_xyz, LINDBLOOM, atol=5e-4)
    swapped = np.linalg.inv(XYZ_TO_RGB) @ adaptation("D50", "cat02") @ XYZ_TO_RGB
    assert np.abs(swapped - LINDBLOOM).max() > 5e-3


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("light", WHITES)
def test_a_patch_of_the_lights_colour_becomes_grey(light, response):
    linear = XYZ_TO_RGB @ white_xyz(*WHITES[light][1:])
    patch = np.sign(linear) * linear_to_srgb(np.abs(0.4 * linear / linear.max()))
    fitted = nv.METHODS["von_kries"](light=light, response=response).fit()
    done = fitted.reference(patch[np.newaxis, np.newaxis])[0, 0]
    assert np.ptp(done) < 1e-9 < 0.05 < done.mean()
    if light == "A":
        assert np.ptp(patch) > 0.3  # it was orange


def test_noon_changes_next_to_nothing_and_the_inverse_brings_back():
    same = nv.METHODS["von_kries"](light="D65").fit().reference(COFFEE)
    assert np.abs(255 * same - COFFEE).max() < 0.1
    for response in RESPONSES:
        fitted = nv.METHODS["von_kries"](light="F11", response=response).fit()
        back = fitted.inverse(fitted.reference(COFFEE))
        # Where the curve's two printed pieces meet they are 3e-8 apart.
        np.testing.assert_allclose(back, COFFEE, atol=1e-5)


def test_plain_responses_are_gains_in_linear_light():
    gains = adaptation("A", "rgb")
    np.testing.assert_allclose(gains, np.diag(np.diag(gains)), atol=1e-12)
    expected = linear_to_srgb(np.clip(srgb_to_linear(COFFEE / 255) * np.diag(gains), 0, None))
    done = nv.METHODS["von_kries"](light="A", response="rgb").fit().reference(COFFEE)
    np.testing.assert_allclose(done, expected, atol=1e-9)
