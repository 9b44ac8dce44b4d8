"""The statistics of a set: exact, whatever the order, and honest about what they are."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.errors import NotFittedError, ShapeError
from normviz.images import image_of, resized
from normviz.statistics import DatasetStatistics, scan, scan_progress


def images(dtype=np.uint8, count=6, channels=3):
    rng = np.random.default_rng(2)
    top = np.iinfo(dtype).max
    return [
        image_of(
            np.clip(
                rng.normal(top * (0.2 + 0.1 * at), top * 0.1, (5 + at, 7, channels)), 0, top
            ).astype(dtype)
        )
        for at in range(count)
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pooled_numbers_are_those_of_all_pixels(dtype):
    stats = scan(images(dtype))
    pixels = np.concatenate([i.pixels.reshape(-1, 3) for i in images(dtype)]).astype(float)
    np.testing.assert_allclose(stats.mean, pixels.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(stats.std.pooled, pixels.std(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(stats.low, pixels.min(axis=0))
    np.testing.assert_array_equal(stats.high, pixels.max(axis=0))
    np.testing.assert_allclose(stats.percentiles[25], np.percentile(pixels, 25, axis=0))
    assert stats.exact and stats.value_range.high == np.iinfo(dtype).max


def test_the_three_stds_and_the_split_of_variance():
    stats = scan(images())
    each = [i.pixels.reshape(-1, 3).std(axis=0) for i in images()]
    np.testing.assert_allclose(stats.std.mean_of_images, np.mean(each, axis=0), rtol=1e-10)
    rms = np.sqrt(np.mean(np.square(each), axis=0))
    np.testing.assert_allclose(stats.std.rms_of_images, rms, rtol=1e-10)
    same_size = scan([image_of(i.pixels[:5]) for i in images()])
    assert (same_size.std.mean_of_images <= same_size.std.rms_of_images).all()
    assert (same_size.std.rms_of_images <= same_size.std.pooled).all()
    split = stats.variance
    np.testing.assert_allclose(split.within + split.between, stats.std.pooled**2, rtol=1e-12)
    assert (split.between > 0.1 * split.within).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_order_and_grouping_change_no_bit(dtype):
    loaded = images(dtype)
    whole = scan(loaded, mean_image=4)
    backwards = scan(loaded[::-1], mean_image=4)
    left = scan(loaded[:2], mean_image=4).merge(scan(loaded[2:], mean_image=4))
    right = DatasetStatistics.empty(4).merge(whole)
    for other in (backwards, left, right):
        for name in ("mean", "fraction_mean", "fraction_std", "low", "fraction_mean_image"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
        np.testing.assert_array_equal(other.fraction_std_image, whole.fraction_std_image)
        np.testing.assert_array_equal(other.std.mean_of_images, whole.std.mean_of_images)


def test_mean_and_std_image_are_those_of_the_stack():
    stack = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)
    stats = scan([image_of(one) for one in stack], mean_image=4)
    np.testing.assert_allclose(stats.fraction_mean_image, stack.mean(axis=0) / 255, atol=1e-12)
    np.testing.assert_allclose(stats.fraction_std_image, stack.std(axis=0) / 255, atol=1e-9)
    small = scan([image_of(stack[0])], mean_image=2).fraction_mean_image
    expected = resized(stack[0].astype(np.float32), 2, 2) / 255
    np.testing.assert_allclose(small, expected, atol=1 / 65535)


def test_grey_images_count_for_every_channel_of_a_colour_set():
    grey, colour = image_of(np.full((2, 2), 40, np.uint8)), images(count=1)[0]
    stats = scan([grey, colour], mean_image=2)
    pixels = np.concatenate([np.full((4, 3), 40), colour.pixels.reshape(-1, 3)])
    np.testing.assert_allclose(stats.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats.std.pooled, pixels.std(axis=0), rtol=1e-12)
    assert stats.channels == 3 and stats.fraction_mean_image.shape == (2, 2, 3)


def test_mixed_depths_are_given_as_fractions():
    byte, word = (
        image_of(np.full((2, 2), 51, np.uint8)),
        image_of(np.full((2, 2), 39321, np.uint16)),
    )
    stats = scan([byte, word])
    assert stats.value_range == (0, 1) and not stats.exact
    assert stats.mean[0] == pytest.approx(0.4) and stats.std.pooled[0] == pytest.approx(0.2)
    assert (stats.low[0], stats.high[0]) == pytest.approx((0.2, 0.6))
    assert stats.percentiles is None


def test_floats_agree_with_numpy():
    values = np.random.default_rng(3).uniform(0, 1, (4, 6, 5, 3)).astype(np.float32)
    stats = scan([image_of(one) for one in values])
    flat = values.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(stats.mean, flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats.std.pooled, flat.std(axis=0), rtol=1e-10)
    assert not stats.exact


def test_progress_ends_with_what_scan_returns_and_counts_the_unreadable():
    class Photos(list):
        problems = ("a broken one", "another")

    partial = list(scan_progress(Photos(images()), every=0.0))
    assert [stats.images for stats in partial] == [1, 2, 3, 4, 5, 6, 6]
    np.testing.assert_array_equal(partial[-1].mean, scan(images()).mean)
    assert partial[-1].unreadable == 2 and partial[-1].to_dict()["unreadable"] == 2


def test_what_is_missing_is_said():
    with pytest.raises(NotFittedError, match="no image could be read"):
        scan([]).channels  # noqa: B018
    with pytest.raises(NotFittedError, match="mean_image=SIDE"):
        scan(images()).fraction_mean_image  # noqa: B018
    with pytest.raises(ShapeError, match="mean images of side"):
        scan(images(), mean_image=2).merge(scan(images()))
