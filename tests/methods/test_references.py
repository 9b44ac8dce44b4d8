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
    assert nv.METHODS["white_patch"]().percentile == 99.0
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


# The last image is smaller than the window: its border is mirrored more than once.
@pytest.mark.parametrize(("window", "size"), [(3, (12, 15)), (9, (12, 15)), (9, (3, 2))])
@pytest.mark.parametrize("channels", [1, 3])
def test_lcn_is_the_formula_of_jarrett_2009(window, size, channels):
    pixels = photo(*size)[:, :, :channels]
    x = pixels / 255
    v = x - loop_mean(x, window)
    subtractive = nv.METHODS["lcn_subtractive"](window=window).fit().reference(pixels)
    np.testing.assert_allclose(subtractive, v, atol=1e-9)
    sigma = np.sqrt(loop_mean(v * v, window))
    full = nv.METHODS["lcn"](window=window).fit().reference(pixels)
    np.testing.assert_allclose(full, v / np.maximum(sigma.mean(), sigma), atol=1e-8)


def test_lcn_keeps_its_digits_at_the_lowest_contrast_of_16_bits():
    grain = np.random.default_rng(0).integers(0, 3, (40, 30, 1))
    method = nv.METHODS["lcn"]().fit()
    faint = method((30000 + grain).astype(np.uint16))
    np.testing.assert_allclose(faint, method.reference(grain.astype(np.uint8)), atol=2e-6)


def test_a_flat_colour_keeps_its_channels_distances_to_grey():
    colour = np.full((8, 9, 3), (20, 50, 200), np.uint8)
    away = (np.array([20, 50, 200]) - 90) / 255
    done = nv.METHODS["lcn_subtractive"]().fit()(colour)
    np.testing.assert_allclose(done, np.broadcast_to(away, done.shape), atol=1e-6)
    full = nv.METHODS["lcn"]().fit()(colour)
    expected = np.broadcast_to(away / np.sqrt((away**2).mean()), full.shape)
    np.testing.assert_allclose(full, expected, atol=1e-5)


def test_tensorflow_floor_is_of_the_scale_it_sees():
    # FACTS: on [0, 1] images of 32×32×3 the floor is 0.018, 4.6 grey levels.
    floor = 1 / np.sqrt(32 * 32 * 3)
    assert floor == pytest.approx(0.018, abs=5e-5) and floor * 255 == pytest.approx(4.6, abs=0.05)
    rng = np.random.default_rng(0)
    for std, bites in ((4.0, True), (5.5, False)):
        pixels = np.rint(rng.normal(128, std, (32, 32, 3))).astype(np.uint8)
        done = nv.METHODS["image_standardize"](scale=1).fit()(pixels)
        assert done.std() == pytest.approx(pixels.std() / 255 / floor if bites else 1.0, rel=1e-5)
        assert (done.std() < 0.999) == bites


@pytest.mark.parametrize("value", [0, 90, 255])
def test_flat_images_become_what_is_said_of_them(value):
    pixels = np.full((4, 6, 3), value, np.uint8)
    for key in ("image_mean", "image_standardize", "image_channel_standardize", "lcn"):
        assert not nv.METHODS[key]().fit()(pixels).round(9).any(), key
    white = nv.METHODS["white_patch"]().fit()(pixels)
    np.testing.assert_allclose(white, 1.0 if value else 0.0, rtol=1e-6)
    np.testing.assert_allclose(nv.METHODS["grey_world"]().fit()(pixels), value / 255, rtol=1e-6)


def test_floor_of_the_channel_std_is_a_share_of_the_range():
    pixels = np.zeros((2, 2, 1), np.uint16)
    pixels[0] = 8  # std 4 of 65535, below the floor of 1e-4
    done = nv.METHODS["image_channel_standardize"]().fit()(pixels)
    np.testing.assert_allclose(np.abs(done), 4 / 65535 / 1e-4, rtol=1e-6)
    finer = nv.METHODS["image_channel_standardize"](epsilon=1e-5).fit()(pixels)
    np.testing.assert_allclose(np.abs(finer), 1.0, rtol=1e-6)


def test_black_channels_stay_black():
    pixels = photo() * np.array([1, 0, 1], np.uint8)
    for key in ("grey_world", "white_patch"):
        done = nv.METHODS[key]().fit()(pixels)
        assert not done[..., 1].any() and done[..., ::2].all()


def test_grey_world_by_hand():
    pixels = np.array([[[10, 20, 30], [30, 60, 90]]], np.uint8)  # means 20, 40, 60; grey is 40
    done = nv.METHODS["grey_world"]().fit()(pixels) * 255
    np.testing.assert_allclose(done, [[[20, 20, 20], [60, 60, 60]]], rtol=1e-6)


def test_a_set_of_one_colour_divides_by_the_floor():
    stats = nv.scan([nv.image_of(np.full((2, 2, 3), 100, np.uint8))] * 3, mean_image=2)
    pixels = np.full((2, 2, 3), 151, np.uint8)  # 0.2 above
    score = nv.METHODS["dataset_zscore"](epsilon=0.01).fit(stats)
    np.testing.assert_allclose(score(pixels), 20.0, rtol=1e-6)
    each = nv.METHODS["dataset_pixel_zscore"](epsilon=0.1).fit(stats)
    np.testing.assert_allclose(each(pixels), 2.0, rtol=1e-4)
    batch = nv.METHODS["batch_zscore"](epsilon=0.0).fit(stats)
    assert np.isfinite(batch(pixels)).all()


def test_pixel_zscore_is_standardization_of_flattened_features():
    # scikit-learn's StandardScaler by hand: one mean and one std a column, ddof 0.
    stack = np.random.default_rng(3).integers(0, 256, (12, 5, 5, 3), dtype=np.uint8)
    table = stack.reshape(12, -1).astype(float)
    scaled = (table - table.mean(axis=0)) / table.std(axis=0)
    fitted = nv.METHODS["dataset_pixel_zscore"](epsilon=1e-6).fit(
        nv.scan([nv.image_of(one) for one in stack], mean_image=5)
    )
    for row, image in zip(scaled, stack, strict=True):
        np.testing.assert_allclose(fitted.reference(image).ravel(), row, rtol=1e-6, atol=1e-8)


def test_a_mean_image_is_resized_to_the_picture():
    ramp = np.array([[0, 100], [0, 100]], np.uint8)
    fitted = nv.METHODS["dataset_mean_image"]().fit(nv.scan([nv.image_of(ramp)], mean_image=2))
    done = fitted(np.full((4, 4, 1), 100, np.uint8))[0, :, 0]
    np.testing.assert_allclose(done, [100, 75, 25, 0], atol=0.01)  # linear between the centres


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (30, 50), (100, 64), (64, 33), (90, 130)])
@pytest.mark.parametrize("placement", ["resize", "crop"])
@pytest.mark.parametrize("key", ["dataset_mean_image", "dataset_pixel_zscore"])
@pytest.mark.parametrize("channels", [1, 3])
def test_mean_images_on_bytes_are_the_definition_and_stay_as_fitted(key, placement, size, channels):
    on = [nv.image_of(photo(80, 70, seed)[..., :channels]) for seed in range(4)]
    fitted = nv.METHODS[key](placement=placement).fit(nv.scan(on, mean_image=64))
    kept = {name: value.copy() for name, value in fitted.constants.items()}
    pixels = photo(*size)[..., :channels]
    expected = fitted.reference(pixels)
    for _ in range(2):
        done = fitted(pixels)
        assert done.shape == pixels.shape
        np.testing.assert_allclose(done, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())
    for name, value in kept.items():
        np.testing.assert_array_equal(fitted.constants[name], value)


@pytest.mark.parametrize("faint", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_grey_edge_on_bytes_is_the_definition_however_faint_the_edges(order, faint):
    pixels = photo(60, 80)
    if faint:
        pixels[:] = 90
        pixels[20, 30] = (91, 92, 93)
    fitted = nv.METHODS["grey_edge"](order=order).fit()
    assert (fitted.method.on_bytes(pixels, {}) is None) == faint
    np.testing.assert_allclose(fitted(pixels), fitted.reference(pixels), rtol=2e-6)


def test_floats_of_any_declared_range_are_fractions_of_it():
    u = np.random.default_rng(0).uniform(0, 1, (5, 7, 3)).astype(np.float32)
    shifted = (u.astype(float) * 20 - 10).astype(np.float32)
    for key in ("scale_01", "scale_11", "published", "lcn", "grey_world", "image_standardize"):
        method = nv.METHODS[key]().fit()
        np.testing.assert_allclose(
            method(shifted, (-10, 10)), method(u), rtol=1e-4, atol=2e-5, err_msg=key
        )
    low = nv.METHODS["scale_01"]().fit()(np.full((1, 1, 1), -10.0), (-10, 10))
    assert low.item() == 0.0


def test_a_preset_that_takes_bgr_is_the_caffe_subtraction_turned_round():
    pixels = photo()
    caffe = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68])
    done = nv.METHODS["published"](preset="vgg").fit()(pixels)
    np.testing.assert_allclose(done[..., ::-1], caffe, atol=2e-5)
