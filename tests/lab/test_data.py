"""Labelled sets, their light, and the lab's normalizations beside the catalogue's."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.lab.exposure import exposed, spread
from normviz.lab.labelled import (
    DIGITS,
    PHOTO_PATCHES,
    PHOTOS,
    PhotoPatches,
    _tiles,
    tile_split,
)
from normviz.lab.layers import Norm
from normviz.lab.normalizations import NORMALIZATIONS, fitted
from normviz.light import Light, noise_table, relight, srgb_to_linear
from normviz.samples import load_sample


def images(count=12, height=16, width=16, channels=3, seed=0) -> np.ndarray:
    """Images that differ in brightness, contrast and colour, with a pattern over positions."""
    random = np.random.default_rng(seed)
    base = random.uniform(20, 120, (count, 1, 1, channels))
    pattern = np.linspace(0, 60, height)[:, None, None]
    noise = random.normal(0, random.uniform(3, 25, (count, 1, 1, 1)), (count, height, width, 1))
    return np.clip(base + pattern + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 7])
def test_no_tile_is_both_for_training_and_for_test(seed):
    random = np.random.default_rng(seed)
    for photo in range(len(PHOTOS)):
        train, test = tile_split(photo, random)
        both = np.concatenate([train, test])
        assert np.array_equal(np.sort(both), np.arange(len(_tiles(photo))))
        assert len(train) / len(both) == pytest.approx(0.6, abs=0.02)


def test_a_patch_is_a_crop_of_a_tile_of_its_own_photo_and_side():
    split = PHOTO_PATCHES.draw(3, 4, 2)
    random = np.random.default_rng([3, 4])
    for photo in range(len(PHOTOS)):
        sides = tile_split(photo, random)
        for own, labels, tiles, count in (
            (split.train, split.train_labels, sides[0], 4),
            (split.test, split.test_labels, sides[1], 2),
        ):
            random.integers(len(tiles), size=count), random.integers(17, size=(count, 2))
            for patch in own[labels == photo]:
                assert any(_holds(_tiles(photo)[tile], patch) for tile in tiles), PHOTOS[photo]


def _holds(tile: np.ndarray, patch: np.ndarray) -> bool:
    """Whether one of a tile's 32 px crops, halved, is the patch."""
    windows = np.lib.stride_tricks.sliding_window_view(tile, (2, 2), axis=(0, 1)).mean(axis=(3, 4))
    corners = np.abs(windows[:17, :17] - patch[0, 0]).max(axis=2) < 1e-6
    return any(
        np.abs(windows[top : top + 32 : 2, left : left + 32 : 2] - patch).max() < 1e-6
        for top, left in np.argwhere(corners)
    )


def test_tiles_are_the_photos_in_linear_light():
    pixels = load_sample(PHOTOS[2]).pixels
    columns = pixels.shape[1] // 48
    tile = _tiles(2)[columns + 1]
    assert tile == pytest.approx(srgb_to_linear(pixels[48:96, 48:96] / 255), abs=1e-6)


def test_draws_follow_from_the_seed():
    first, again, other = (PhotoPatches().draw(seed, 3, 3) for seed in (1, 1, 2))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    assert DIGITS.draw(1, 5, 5).train_labels.tolist() == np.repeat(range(10), 5).tolist()


def test_digits_are_the_known_ones():
    split = DIGITS.draw(0, 1000, 1000)
    count = len(split.train) + len(split.test)
    assert count == 1797
    whole = np.concatenate([split.train, split.test])
    assert len(np.unique(whole.reshape(count, -1), axis=0)) == count
    # The sum of all counted pixels of the set.
    levels = np.rint(16 * nv_encoded(whole)).sum()
    assert levels == 561718


def nv_encoded(linear):
    from normviz.light import linear_to_srgb

    return linear_to_srgb(linear)


@pytest.mark.parametrize("ev", [-3.0, 0.0, 1.3])
def test_light_without_noise_is_relights(ev):
    pixels = load_sample("coffee").pixels[:16, :24]
    linear = srgb_to_linear(pixels / 255).astype(np.float32)[np.newaxis]
    expected = relight(nv.image_of(pixels), Light(ev=ev)).pixels
    assert np.array_equal(exposed(linear, ev, 0, noise=0)[0], expected)
    each = exposed(np.repeat(linear, 2, axis=0), np.array([ev, 1.0]), 0, noise=0)
    assert np.array_equal(each[0], expected)
    assert each[1].mean() > expected.mean() or ev > 1
    channels = exposed(linear, np.array([[ev, 0.0, -1.0]]), 0, noise=0)[0]
    assert np.array_equal(channels[..., 0], expected[..., 0])
    assert np.array_equal(channels[..., 1], pixels[..., 1])


@pytest.mark.parametrize("level", [20, 120, 250])
def test_shot_noise_is_relights(level):
    linear = np.full((1, 200, 200, 1), srgb_to_linear(np.array(level / 255)), np.float32)
    own = exposed(linear, -1.0, seed=3, noise=5.0)
    table = noise_table(Light(ev=-1.0, noise=5.0), 1)[0, level]
    assert own.mean() == pytest.approx(table.mean(), abs=5 * table.std() / 200)
    assert own.std() == pytest.approx(table.std(), rel=0.03)


def test_spreads_of_light_are_paired():
    one, three = (spread(50, sigma, 4, 0) for sigma in (1.0, 3.0))
    assert three == pytest.approx(3 * one)
    assert not np.array_equal(one, spread(50, 1.0, 4, 1))
    assert spread(20_000, 2.0, 0, 0).std() == pytest.approx(2.0, rel=0.02)


WITH_METHOD = [key for key, one in NORMALIZATIONS.items() if one.method is not None]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("key", WITH_METHOD)
def test_a_normalization_is_the_catalogues_method(key, channels):
    train, test = images(20, channels=channels), images(5, channels=channels, seed=1)
    method = NORMALIZATIONS[key].method
    on = [nv.image_of(one) for one in train]
    numbers = on if method.about.fits_on == "images" else nv.scan(on, mean_image=16)
    reference = method.fit(numbers).reference(test)
    own = fitted(key, train)(test)
    assert own.dtype == np.float32
    assert np.abs(own - reference).max() < 3e-6 * max(1, np.ptp(reference))


def test_scale_alone_is_the_zscore_without_its_mean():
    train, test = images(), images(3, seed=1)
    both = [fitted(key, train)(test) for key in ("ds_scale", "ds_z")]
    offset = (both[0] - both[1]).mean(axis=(0, 1, 2))
    assert np.ptp(both[0] - both[1], axis=(0, 1, 2)).max() < 1e-5
    mean, std = train.mean(axis=(0, 1, 2)), train.std(axis=(0, 1, 2))
    assert offset == pytest.approx(mean / std, rel=1e-4)


@pytest.mark.parametrize("key", list(NORMALIZATIONS))
def test_the_test_images_decide_nothing(key):
    train, test = images(), images(6, seed=1)
    method = fitted(key, train)
    assert np.allclose(method(test)[:2], method(test[:2]), atol=1e-6)
    untouched = test.copy()
    method(test)
    assert np.array_equal(test, untouched)


@pytest.mark.parametrize(
    ("kind", "key", "parameters"),
    [
        ("batch", "batch_norm", {}),
        ("layer", "layer_norm", {}),
        ("group", "group_norm", {"groups": 4}),
        ("instance", "instance_norm", {}),
    ],
)
def test_norm_layers_are_the_catalogues_feature_norms(kind, key, parameters):
    x = np.random.default_rng(0).normal(1.0, 2.0, (5, 4, 3, 8))
    ones = {"gamma": np.ones((1, 8)), "beta": np.zeros((1, 8))}
    y, _ = Norm(kind, groups=4).forward(ones, x[np.newaxis])
    assert y[0] == pytest.approx(nv.FEATURE_NORMS[key](**parameters)(x))


def test_constant_images_normalize_to_finite_numbers():
    flat = np.full((12, 16, 16, 3), 77, np.uint8)
    for key in NORMALIZATIONS:
        assert np.isfinite(fitted(key, flat)(flat)).all(), key
