"""Meaning: each definition against an outside truth or a slow loop written from its formula."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.presets import PRESETS


def photo(height=7, width=11, seed=0):
    return np.random.default_rng(seed).integers(20, 230, (height, width, 3), dtype=np.uint8)


def test_tensorflow_fixture():
    # tf.image.per_image_standardization(arange(1, 13).reshape(2, 2, 3))
    done = nv.METHODS["image_standardize"]().fit()(
        np.arange(1, 13, dtype=np.uint8).reshape(2, 2, 3)
    )
    np.testing.assert_allclose(done[0, 0], [-1.593255, -1.303572, -1.013890], atol=1e-6)


def test_tensorflow_floor_bites_at_low_contrast():
    pixels = np.full((32, 32, 3), 100, np.uint8)
    pixels[0, 0, 0] = 120
    floor = 1 / np.sqrt(pixels.size)
    assert pixels.std() > floor  # on 0–255 the floor does not bite …
    on_bytes = nv.METHODS["image_standardize"]().fit()(pixels)
    assert on_bytes.std() == pytest.approx(1.0, rel=1e-5)
    on_unit = nv.METHODS["image_standardize"](scale=1).fit()(pixels)  # … on 0–1 it does
    assert on_unit.max() == pytest.approx((120 - pixels.mean()) / 255 / floor, rel=1e-5)


def test_imagenet_range_is_the_published_one():
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    low, high = nv.METHODS["published"]().fit()(ends)[0]
    np.testing.assert_allclose(low, [-2.118, -2.036, -1.804], atol=5e-4)
    np.testing.assert_allclose(high, [2.249, 2.429, 2.640], atol=5e-4)


def test_vgg_is_subtracted_in_rgb_order_on_bytes():
    pixels = photo()
    done = nv.METHODS["published"](preset="vgg").fit()(pixels)
    np.testing.assert_allclose(done, pixels - np.array([123.68, 116.779, 103.939]), atol=2e-5)
    fitted = nv.METHODS["dataset_mean"]().fit(PRESETS["vgg"])
    np.testing.assert_allclose(fitted(pixels), done, atol=2e-5)


def test_dataset_methods_are_numpy_on_all_pixels():
    stack = np.stack([photo(seed=seed) for seed in range(5)])
    stats = nv.scan([nv.image_of(one) for one in stack], mean_image=11)
    flat = stack.reshape(-1, 3).astype(float)
    mean, std = flat.mean(axis=0), flat.std(axis=0)
    zscore = nv.METHODS["dataset_zscore"]().fit(stats)
    np.testing.assert_allclose(zscore.reference(stack[1]), (stack[1] - mean) / std, rtol=1e-9)
    centred = nv.METHODS["dataset_mean"]().fit(stats)
    np.testing.assert_allclose(centred.reference(stack[1]), stack[1] - mean, atol=1e-9)
    unit = nv.METHODS["dataset_mean"](scale=1).fit(stats)
    np.testing.assert_allclose(unit.reference(stack[1]), (stack[1] - mean) / 255, atol=1e-12)


def test_position_methods_are_numpy_at_each_position():
    stack = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    stack[:, 0, 0] = 77  # a position that never changes
    stats = nv.scan([nv.image_of(one) for one in stack], mean_image=8)
    image = nv.METHODS["dataset_mean_image"]().fit(stats)
    np.testing.assert_allclose(image.reference(stack[2]), stack[2] - stack.mean(axis=0), atol=1e-9)
    score = nv.METHODS["dataset_pixel_zscore"]().fit(stats)
    std = np.maximum(stack.std(axis=0), 1.0)
    expected = (stack[2] - stack.mean(axis=0)) / std
    np.testing.assert_allclose(score.reference(stack[2]), expected, atol=1e-7)
    assert not score.reference(stack[2])[0, 0].any()


def test_batch_numbers_are_those_of_the_drawn_images():
    images = [nv.image_of(photo(height=4 + seed, seed=seed)) for seed in range(6)]
    stats = nv.scan(images)
    fitted = nv.METHODS["batch_zscore"](batch_size=3, seed=5, epsilon=0.0).fit(stats)
    drawn = np.random.default_rng(5).choice(6, size=3, replace=False)
    flat = np.concatenate([images[at].pixels.reshape(-1, 3) for at in drawn]) / 255
    np.testing.assert_allclose(fitted.constants["mean"], flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.constants["std"], flat.std(axis=0), rtol=1e-10)
    everything = nv.METHODS["batch_zscore"](batch_size=200).fit(stats)
    np.testing.assert_allclose(everything.constants["mean"], stats.fraction_mean, rtol=1e-12)
    other = nv.METHODS["batch_zscore"](batch_size=3, seed=6).fit(stats)
    assert np.abs(other.constants["mean"] - fitted.constants["mean"]).max() > 1e-4
    # ε is added to the variance
    loose = nv.METHODS["batch_zscore"](batch_size=3, seed=5, epsilon=0.1).fit(stats)
    expected = (0.5 - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 0.1)
    np.testing.assert_allclose(
        loose.reference(np.full((1, 1, 3), 0.5, np.float32))[0, 0], expected, rtol=1e-9
    )


def test_per_image_methods_are_numpy():
    pixels = photo()
    x = pixels.astype(float)
    own = nv.METHODS["image_mean"]().fit().reference(pixels)
    np.testing.assert_allclose(own, x - x.mean(), atol=1e-10)
    each = nv.METHODS["image_channel_standardize"]().fit().reference(pixels)
    np.testing.assert_allclose(each, (x - x.mean((0, 1))) / x.std((0, 1)), rtol=1e-10, atol=1e-12)


def test_grey_world_and_white_patch_by_hand():
    pixels = photo()
    u = pixels / 255
    world = nv.METHODS["grey_world"]().fit().reference(pixels)
    np.testing.assert_allclose(world, u * u.mean() / u.mean((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(world.mean((0, 1)), u.mean(), rtol=1e-12)
    patch = nv.METHODS["white_patch"](percentile=90.0).fit()
    white = np.percentile(u, 90, axis=(0, 1))
    np.testing.assert_allclose(patch.reference(pixels), u / white, rtol=1e-12)
    np.testing.assert_allclose(patch(pixels), u / white, rtol=1e-6)


def loop_mean(x: np.ndarray, size: int) -> np.ndarray:
    """Σ w∗x by four nested loops: Gaussian over space and channels, borders mirrored."""
    half, sigma = size // 2, size / 4
    height, width, channels = x.shape
    offsets = range(-half, half + 1)
    w = {(p, q): np.exp(-(p * p + q * q) / (2 * sigma**2)) for p in offsets for q in offsets}
    total = sum(w.values()) * channels

    def mirrored(i: int, n: int) -> int:
        while not 0 <= i < n:
            i = -i if i < 0 else 2 * (n - 1) - i
        return i

    out = np.zeros((height, width, 1))
    for h in range(height):
        for v in range(width):
            for (p, q), weight in w.items():
                out[h, v, 0] += (
                    weight / total * x[mirrored(h + p, height), mirrored(v + q, width)].sum()
                )
    return out


@pytest.mark.parametrize("window", [3, 9])
def test_lcn_is_the_formula_of_jarrett_2009(window):
    pixels = photo(12, 15)
    x = pixels / 255
    v = x - loop_mean(x, window)
    subtractive = nv.METHODS["lcn_subtractive"](window=window).fit().reference(pixels)
    np.testing.assert_allclose(subtractive, v, atol=1e-9)
    sigma = np.sqrt(loop_mean(v * v, window))
    full = nv.METHODS["lcn"](window=window).fit().reference(pixels)
    np.testing.assert_allclose(full, v / np.maximum(sigma.mean(), sigma), atol=1e-8)
