"""Sights: what is measured on pictures alone, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.images import image_of
from normviz.lab.sights import SHADOW_METHODS, brightness_between, in_shadow, shadow_left
from normviz.light import Light, relight


def test_one_number_subtracted_everywhere_keeps_what_lies_between_images():
    found = brightness_between()
    values = {key: np.array(own) for key, own in found.values.items()}
    np.testing.assert_allclose(values["ds_mean"], values["raw1"], rtol=1e-6)
    assert (values["raw1"] > 0.5).all() and (values["img_mean"] < 1e-5).all()
    assert [effect.finding for effect in found.effects] == ["same", "less"]


def test_a_shadow_is_as_deep_as_it_says_and_on_the_right_alone():
    rng = np.random.default_rng(0)
    image = image_of(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    shaded = in_shadow(image)
    np.testing.assert_array_equal(shaded[:, :4], image.pixels[:, :4])
    dark = relight(image, Light(ev=-2.0)).pixels
    np.testing.assert_array_equal(shaded[:, 4:], dark[:, 4:])
    assert (shaded[:, 4:] < image.pixels[:, 4:]).any()


def test_what_is_left_of_a_shadow_is_its_root_mean_square_in_stds():
    rng = np.random.default_rng(1)
    photos = [image_of(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)) for _ in range(3)]
    found = shadow_left(photos)
    assert set(found.values) == set(SHADOW_METHODS)
    plain = photos[2].pixels / 255
    change = (in_shadow(photos[2]) / 255 - plain)[:, 15:]
    expected = np.sqrt((change**2).mean()) / plain.std()
    assert found.values["raw1"][2] == pytest.approx(expected, rel=1e-5)
    # One affine map for each channel of the set: nearly the same where channels are alike.
    assert found.values["ds_z"][2] == pytest.approx(expected, rel=0.05)
    assert found.values["img_z"][2] < found.values["ds_z"][2]
