"""Published constants: plausible, sourced, and in the order that methods use."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
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


# As their sources print them, in their own order and scale.
PUBLISHED = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "vgg": ((103.939, 116.779, 123.68), (1, 1, 1)),
    "vgg_torchvision": ((0.48235, 0.45882, 0.40784), (1 / 255,) * 3),
    "googlenet": ((104, 117, 123), (1, 1, 1)),
    "half": ((0.5,) * 3, (0.5,) * 3),
    "dpn": ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar10_folklore": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "stl10": ((0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713)),
}


def test_numbers_are_those_published():
    assert {key: (p.mean, p.std) for key, p in PRESETS.items()} == PUBLISHED
    assert {key for key, p in PRESETS.items() if p.order == "BGR"} == {"vgg", "googlenet"}
    assert {key for key, p in PRESETS.items() if p.scale == 255} == {"vgg", "googlenet"}


@pytest.mark.parametrize("key", PRESETS)
def test_second_hand_numbers_are_called_reported(key):
    seen_at_the_source = {"imagenet", "vgg", "vgg_torchvision", "googlenet", "half", "dpn", "clip"}
    if key not in seen_at_the_source:
        assert "reported" in PRESETS[key].source or "copied" in PRESETS[key].source
    else:
        assert "reported" not in PRESETS[key].source


def test_titles_are_told_apart_in_a_menu():
    assert len({preset.title for preset in PRESETS.values()}) == len(PRESETS)


def test_presets_say_the_same_where_they_are_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    half = nv.METHODS["published"](preset="half").fit()(pixels)
    np.testing.assert_allclose(half, nv.METHODS["scale_11"]().fit()(pixels), atol=1e-6)
    caffe = nv.METHODS["published"](preset="vgg").fit()(pixels)
    ours = nv.METHODS["published"](preset="vgg_torchvision").fit()(pixels)
    np.testing.assert_allclose(caffe, ours, atol=0.75)  # rounded to whole levels by torchvision


def test_bgr_numbers_are_turned_round():
    np.testing.assert_allclose(PRESETS["vgg"].fraction_mean * 255, [123.68, 116.779, 103.939])
    np.testing.assert_allclose(
        PRESETS["vgg"].fraction_mean, PRESETS["vgg_torchvision"].fraction_mean, atol=0.003
    )


def test_folklore_is_called_so():
    assert "folklore" in PRESETS["cifar10_folklore"].title.lower()
    assert "mean of per-image stds" in PRESETS["cifar10_folklore"].note
    assert (PRESETS["cifar10_folklore"].fraction_std < PRESETS["cifar10"].fraction_std).all()
