"""Opponent and decorrelated colours: values by hand, printed matrices, photos."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.methods.colour_spaces import LMS_TO_LAB, RGB_TO_LMS, from_lab, to_lab
from normviz.samples import SAMPLES, load_sample

# Reinhard et al. 2001, equation 9: cone responses back to R, G, B.
PRINTED_BACK = np.array(
    [[4.4679, -3.5873, 0.1193], [-1.2186, 2.3809, -0.1624], [0.0497, -0.2439, 1.2045]]
)


def test_opponent_by_hand():
    fitted = nv.METHODS["opponent"]().fit()
    x = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [51, 51, 51], [102, 51, 0]]], np.uint8)
    r2, r3, r6 = np.sqrt([2, 3, 6])
    expected = [
        [1 / r2, 1 / r6, 1 / r3],
        [-1 / r2, 1 / r6, 1 / r3],
        [0, -2 / r6, 1 / r3],
        [0, 0, 0.2 * r3],
        [0.2 / r2, 0.6 / r6, 0.6 / r3],
    ]
    np.testing.assert_allclose(fitted.reference(x)[0], expected, atol=1e-12)
    np.testing.assert_allclose(fitted(x)[0], expected, atol=1e-6)


def test_opponent_is_a_rotation():
    matrix = nv.METHODS["opponent"]().fit().reference(np.eye(3)[np.newaxis])[0]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    photo = load_sample("coffee").pixels
    fitted = nv.METHODS["opponent"]().fit()
    lengths = np.linalg.norm(fitted.reference(photo), axis=2)
    np.testing.assert_allclose(lengths, np.linalg.norm(photo / 255, axis=2), rtol=1e-12)


def test_cone_responses_invert_as_printed():
    # The two printed matrices are no exact inverses, in the row of blue by 0.017.
    gap = np.abs(np.linalg.inv(RGB_TO_LMS) - PRINTED_BACK)
    assert gap[:2].max() < 2.5e-3 and gap[2].max() < 0.018
    # A grey has equal responses up to the rows' sums, which are 1 to within a thousandth or three.
    np.testing.assert_allclose(RGB_TO_LMS.sum(axis=1), 1, atol=3e-3)


def test_decorrelated_by_hand():
    np.testing.assert_allclose(LMS_TO_LAB @ LMS_TO_LAB.T, np.eye(3), atol=1e-12)
    x = np.array([[[204, 102, 51]]], np.uint8)
    long, middle, short = RGB_TO_LMS @ [0.8, 0.4, 0.2]
    logs = np.log10(np.array([long, middle, short]) + 1 / 510)
    expected = [
        logs.sum() / np.sqrt(3),
        (logs[0] + logs[1] - 2 * logs[2]) / np.sqrt(6),
        (logs[0] - logs[1]) / np.sqrt(2),
    ]
    done = nv.METHODS["decorrelated"]().fit().reference(x)[0, 0]
    np.testing.assert_allclose(done, expected, rtol=1e-12)


def correlation(values: np.ndarray) -> float:
    """The mean size of the three correlations between channels."""
    table = np.corrcoef(values.reshape(-1, 3).T)
    return float(np.abs(table[np.triu_indices(3, 1)]).mean())


def test_photos_are_less_correlated_than_in_rgb():
    fitted = nv.METHODS["decorrelated"]().fit()
    pairs = [
        (correlation(photo), correlation(fitted.reference(photo)))
        for photo in (load_sample(name).pixels for name in SAMPLES)
    ]
    before, after = np.array(pairs).T
    assert before.mean() > 0.85 and after.mean() < 0.6
    assert (after < before).mean() > 0.9


def test_a_gain_moves_brightness_and_hardly_the_other_two():
    u = load_sample("coffee").pixels / 255
    before, after = to_lab(u), to_lab(u / 2)
    bright = u.min(axis=2) > 0.2
    moved = (after - before)[bright]
    np.testing.assert_allclose(moved[:, 0], -np.log10(2) * np.sqrt(3), atol=0.02)
    assert np.abs(moved[:, 1:]).max() < 0.01


@pytest.mark.parametrize("key", ["opponent", "decorrelated"])
def test_the_inverse_brings_back(key):
    photo = load_sample("astronaut").pixels
    fitted = nv.METHODS[key]().fit()
    np.testing.assert_allclose(fitted.inverse(fitted.reference(photo)), photo, atol=1e-8)


def test_responses_far_beyond_white_are_cut_and_not_infinite():
    far = from_lab(np.full((1, 1, 3), 1e6))
    assert np.isfinite(far).all()
