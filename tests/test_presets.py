"""Published constants: plausible, sourced, and in the order that methods use."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.presets import PRESETS


@pytest.mark.parametrize("key", PRESETS)
def test_presets_are_whole(key):
    preset = PRESETS[key]
    assert preset.key == key and preset.title and preset.source
    assert len(preset.mean) == len(preset.std) == preset.channels in (1, 3)
    assert preset.scale in (1, 255) and preset.order in ("RGB", "BGR", "grey")
    assert (preset.order == "grey") == (preset.channels == 1)
    assert ((preset.fraction_mean > 0.1) & (preset.fraction_mean < 0.6)).all()
    assert (preset.fraction_std > 0).all() and (preset.fraction_std <= 0.5).all()


def test_bgr_numbers_are_turned_round():
    np.testing.assert_allclose(PRESETS["vgg"].fraction_mean * 255, [123.68, 116.779, 103.939])
    np.testing.assert_allclose(
        PRESETS["vgg"].fraction_mean, PRESETS["vgg_torchvision"].fraction_mean, atol=0.003
    )


def test_folklore_is_called_so():
    assert "folklore" in PRESETS["cifar10_folklore"].title.lower()
    assert "mean of per-image stds" in PRESETS["cifar10_folklore"].note
    assert (PRESETS["cifar10_folklore"].fraction_std < PRESETS["cifar10"].fraction_std).all()
