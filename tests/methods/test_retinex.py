"""Retinex: a loop over pixels for narrow surrounds, the stated distance for wide ones."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.methods.retinex import surround
from normviz.samples import load_sample
from tests.methods.test_code_in_libraries import photo


def mirrored(at: int, size: int) -> int:
    """The place that stands for ``at`` beyond the border: cba|abc|cba."""
    at %= 2 * size
    return at if at < size else 2 * size - 1 - at


def blurred_by_loops(plane: np.ndarray, sigma: float) -> np.ndarray:
    reach = math.ceil(4 * sigma)
    weights = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(-reach, reach + 1)]
    weights = [weight / sum(weights) for weight in weights]

    def along_rows(table):
        return [
            [
                sum(w * row[mirrored(x + d - reach, len(row))] for d, w in enumerate(weights))
                for x in range(len(row))
            ]
            for row in table
        ]

    done = along_rows(plane.tolist())
    return np.array(along_rows(np.transpose(done).tolist())).T


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_single_scale_is_its_formula(sigma):
    pixels = photo(14, 11)
    u = pixels / 255
    expected = np.stack(
        [
            np.log(u[..., c] + 1 / 255) - np.log(blurred_by_loops(u[..., c], sigma) + 1 / 255)
            for c in range(3)
        ],
        axis=2,
    )
    fitted = nv.METHODS["retinex_ssr"](sigma=sigma).fit()
    np.testing.assert_allclose(fitted.reference(pixels), expected, atol=2e-7)


def test_three_scales_are_the_mean_of_single_ones():
    pixels = load_sample("forest_day").pixels
    single = [
        nv.METHODS["retinex_ssr"](sigma=sigma).fit().reference(pixels)
        for sigma in (15.0, 80.0, 250.0)
    ]
    done = nv.METHODS["retinex_msr"]().fit().reference(pixels)
    np.testing.assert_allclose(done, np.mean(single, axis=0), atol=3e-7)


@pytest.mark.parametrize("sigma", [17.0, 40.0, 80.0])
@pytest.mark.parametrize("name", ["retina", "astronaut", "field_night", "dandelions_dusk"])
def test_a_wide_surround_on_a_copy_is_near_the_one_at_full_size(name, sigma):
    u = load_sample(name).pixels / 255
    size = 2 * math.ceil(4 * sigma) + 1
    exact = cv2.GaussianBlur(u, (size, size), sigma, borderType=cv2.BORDER_REFLECT)
    gap = np.log(surround(u, sigma) + 1 / 255) - np.log(exact + 1 / 255)
    assert np.abs(gap).max() < 0.005
    text = " ".join(what for _, what in nv.METHODS["retinex_ssr"].about.libraries)
    assert "up to 0.005" in text


def test_slow_light_goes_and_edges_stay():
    height, width = 240, 320
    light = np.linspace(0.2, 1.0, width)[np.newaxis, :, np.newaxis]
    surfaces = np.where((np.arange(height) // 8 % 2)[:, np.newaxis, np.newaxis], 0.7, 0.5)
    lit = (surfaces * light * np.ones((1, 1, 3))).astype(np.float32)
    done = nv.METHODS["retinex_ssr"](sigma=20.0).fit().reference(lit)[60:-60, 80:-80]
    stripes, slope = done.mean(axis=(1, 2)), done.mean(axis=(0, 2))
    assert np.ptp(stripes) == pytest.approx(math.log(0.7 / 0.5), abs=0.02)
    assert np.ptp(slope) < 0.05 < np.ptp(np.log(light)[0, 80:-80])
