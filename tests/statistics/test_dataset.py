"""The statistics of a set: exact, whatever the order, and honest about what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normviz as nv
from normviz.errors import NotFittedError, ShapeError
from normviz.images import Image, image_of, resized
from normviz.read import Problem
from normviz.statistics import DatasetStatistics
from normviz.statistics import scan as scan_progress
from normviz.statistics import scanned as scan
from normviz.statistics.pixel_sums import PixelSums, PositionSums
from normviz.statistics.stored import to_text


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
    assert stats.value_range == (0, 1) and stats.exact
    assert stats.mean[0] == pytest.approx(0.4) and stats.std.pooled[0] == pytest.approx(0.2)
    assert (stats.low[0], stats.high[0]) == pytest.approx((0.2, 0.6))
    assert not scan([byte, image_of(np.full((2, 2), 0.5, np.float32))]).exact


def test_percentiles_and_histogram_of_mixed_depths_are_those_of_all_pixels():
    rng = np.random.default_rng(8)
    grey = rng.integers(0, 256, (9, 5), dtype=np.uint8)
    colour = rng.integers(0, 65536, (4, 6, 3), dtype=np.uint16)
    stats = scan([image_of(grey), image_of(colour)])
    levels = np.concatenate(
        [np.repeat(grey.reshape(-1, 1).astype(int) * 257, 3, 1), colour.reshape(-1, 3)]
    )
    np.testing.assert_allclose(stats.mean, levels.mean(axis=0) / 65535, rtol=1e-14)
    np.testing.assert_allclose(stats.std.pooled, levels.std(axis=0) / 65535, rtol=1e-13)
    for q, values in stats.percentiles.items():
        np.testing.assert_allclose(values, np.percentile(levels, q, axis=0) / 65535, rtol=1e-12)
    bins = [np.bincount(channel // 256, minlength=256) for channel in levels.T]
    np.testing.assert_array_equal(stats.histogram, bins)


def test_numbers_by_label_are_in_the_range_of_the_set_and_as_many():
    rng = np.random.default_rng(9)
    made = [
        image_of(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8), label="eight"),
        image_of(rng.integers(0, 65536, (3, 7, 3), dtype=np.uint16), label="sixteen"),
    ]
    record = json.loads(json.dumps(scan(made).to_dict()))
    assert record["value_range"] == [0, 1]
    for image in made:
        flat = image.pixels.reshape(-1, 3) / image.value_range.high
        part = record["by_label"][image.label]
        assert part.keys() == record.keys() & part.keys() and part["images"] == 1
        np.testing.assert_allclose(part["mean"], flat.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(part["std"]["pooled"], flat.std(axis=0), rtol=1e-12)
        np.testing.assert_allclose(part["min"], flat.min(axis=0), rtol=1e-12)
        np.testing.assert_allclose(part["max"], flat.max(axis=0), rtol=1e-12)
        np.testing.assert_allclose(part["variance"]["within"], flat.var(axis=0), rtol=1e-12)
        np.testing.assert_allclose(part["covariance"], np.cov(flat.T, ddof=0), rtol=1e-9)
        np.testing.assert_allclose(part["percentiles"]["25"], np.percentile(flat, 25, axis=0))
    # In one range, the numbers of the label are those of its own statistics to the bit.
    alone = scan(made[:1])
    assert alone.to_dict()["by_label"]["eight"]["mean"] == alone.mean.tolist()


def test_the_record_of_a_part_is_not_exact_for_the_whole():
    made = [image_of(np.full((2, 2), value, np.uint8)) for value in range(8)]
    partial = [one.to_dict() for one in scan_progress(made, every=0.0, seed=0, images_a_part=2)]
    assert [one["complete"] for one in partial] == [False] * (len(partial) - 1) + [True]
    assert [one["exact"] for one in partial] == [one["complete"] for one in partial]
    assert all(one["integers"] for one in partial)


def test_floats_agree_with_numpy():
    values = np.random.default_rng(3).uniform(0, 1, (4, 6, 5, 3)).astype(np.float32)
    stats = scan([image_of(one) for one in values])
    flat = values.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(stats.mean, flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats.std.pooled, flat.std(axis=0), rtol=1e-10)
    assert not stats.exact


def test_progress_ends_with_what_scan_returns_and_counts_the_unreadable():
    class Photos(list):
        problems = (Problem("a.jpg", "a broken one"), Problem("b.jpg", "another"))

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


NUMBERS = ("mean", "fraction_mean", "fraction_std", "low", "high", "fraction_mean_image")


def every_kind(seed: int) -> list[Image]:
    """Grey and colour images of 8 and 16 bits and of floats with two ranges, of several sizes."""
    rng = np.random.default_rng(seed)
    made = []
    for dtype, top in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0), (np.float32, 9.0)):
        for channels in (1, 3):
            shape = (*rng.integers(1, 9, 2), channels)
            values = (rng.uniform(0, 1, shape) * top).astype(dtype)
            span = (0.0, top) if dtype == np.float32 else None
            made.append(image_of(values, span, path=f"{len(made)}", label="x"))
    return made


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), cut=st.integers(0, 8), order=st.permutations(range(8)))
def test_any_split_in_any_order_of_any_mixture_gives_the_same_bits(seed, cut, order):
    made = every_kind(seed)
    whole = scan(made, mean_image=3)
    turned = [made[at] for at in order]
    for other in (
        scan(turned, mean_image=3),
        scan(turned[cut:], mean_image=3).merge(scan(turned[:cut], mean_image=3)),
        DatasetStatistics.empty(3).merge(whole).merge(DatasetStatistics.empty(3)),
    ):
        assert other.images == 8 and other.channels == 3 and other.value_range == (0, 1)
        for name in (*NUMBERS, "fraction_std_image"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name), name)
        for name in ("pooled", "rms_of_images", "mean_of_images"):
            np.testing.assert_array_equal(getattr(other.std, name), getattr(whole.std, name))
    flat = [
        np.broadcast_to(i.pixels.astype(float) / i.value_range.high, (i.height, i.width, 3))
        for i in made
    ]
    pixels = np.concatenate([one.reshape(-1, 3) for one in flat])
    np.testing.assert_allclose(whole.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(whole.std.pooled, pixels.std(axis=0), rtol=1e-10)
    np.testing.assert_allclose(whole.low, pixels.min(axis=0), atol=1e-15)
    np.testing.assert_allclose(whole.high, pixels.max(axis=0), rtol=1e-15)
    assert whole.percentiles is None and not whole.exact


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6), spread=st.floats(0, 60))
def test_total_variance_and_the_order_of_the_three_stds(seed, count, spread):
    rng = np.random.default_rng(seed)
    levels = rng.uniform(50, 200, count)
    made = [
        image_of(np.clip(rng.normal(level, spread, (6, 5, 3)), 0, 255).astype(np.uint8))
        for level in levels
    ]
    stats = scan(made)
    split, std = stats.variance, stats.std
    np.testing.assert_allclose(split.within + split.between, std.pooled**2, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(split.within, std.rms_of_images**2, rtol=1e-9, atol=1e-9)
    means = np.stack([one.pixels.mean(axis=(0, 1)) for one in made])
    np.testing.assert_allclose(split.between, means.var(axis=0), rtol=1e-9, atol=1e-9)
    assert (std.mean_of_images <= std.rms_of_images + 1e-9).all()
    assert (std.rms_of_images <= std.pooled + 1e-9).all()


def test_the_three_stds_of_circulation_by_hand():
    # As CIFAR-10's 0.2023 and 0.2470: the mean of per-image stds, and the pooled std.
    dark = np.array([[0, 20]], np.uint8)  # std 10
    light = np.array([[100, 160]], np.uint8)  # std 30
    std = scan([image_of(dark), image_of(light)]).std
    assert std.mean_of_images[0] == pytest.approx(20.0)
    assert std.rms_of_images[0] == pytest.approx(np.sqrt(500.0))
    # means 10 and 130: 60² between, 500 within
    assert std.pooled[0] == pytest.approx(np.sqrt(500.0 + 3600.0))


def test_larger_images_weigh_more():
    small, large = np.full((1, 1), 10, np.uint8), np.full((3, 3), 110, np.uint8)
    stats = scan([image_of(small), image_of(large)])
    assert stats.mean[0] == 100.0 and stats.std.pooled[0] == pytest.approx(30.0)
    assert (stats.std.rms_of_images[0], stats.std.mean_of_images[0]) == (0.0, 0.0)


def test_grey_and_colour_of_one_depth_stay_exact():
    grey, colour = image_of(np.array([[7, 250]], np.uint8)), images(count=1)[0]
    stats = scan([grey, colour])
    pixels = np.concatenate([np.repeat([[7], [250]], 3, axis=1), colour.pixels.reshape(-1, 3)])
    assert stats.exact
    np.testing.assert_array_equal(stats.low, pixels.min(axis=0))
    np.testing.assert_array_equal(stats.high, pixels.max(axis=0))
    for q, values in stats.percentiles.items():
        np.testing.assert_allclose(values, np.percentile(pixels, q, axis=0), rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_one_small_size_keep_it_for_the_mean_image(channels):
    stack = np.random.default_rng(4).integers(0, 256, (20, 9, 7, channels), dtype=np.uint8)
    made = [image_of(one) for one in stack]
    stats = scan(made, mean_image=8)
    assert not stats.mean_image_is_squeezed
    np.testing.assert_allclose(stats.fraction_mean_image, stack.mean(axis=0) / 255, atol=1e-12)
    np.testing.assert_allclose(stats.fraction_std_image, stack.std(axis=0) / 255, atol=1e-12)
    for order in (made[::-1], made[5:] + made[:5]):
        whole = scan(order[:3], mean_image=8).merge(scan(order[3:], mean_image=8))
        assert to_text(replace(whole, rows=())) == to_text(replace(stats, rows=()))
    # What the two methods are for: nothing is left of the mean, and each position has std 1.
    fitted = [
        nv.METHODS[key]().fit(stats) for key in ("dataset_mean_image", "dataset_pixel_zscore")
    ]
    centred, standard = (np.stack([one(x) for x in stack]) for one in fitted)
    np.testing.assert_allclose(centred.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std(axis=0), 1, atol=1e-5)
    # Positions that hardly vary, in float32 all the same.
    still = np.clip(stack // 128 + 200, 0, 255).astype(np.uint8)
    exact = nv.METHODS["dataset_pixel_zscore"]().fit(scan(map(image_of, still), mean_image=8))
    values = still / 255
    expected = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1 / 255)
    done = np.stack([exact(x) for x in still])
    np.testing.assert_allclose(done, expected, atol=1e-6 * np.abs(expected).max())


def test_images_of_many_sizes_or_large_ones_are_squeezed_for_the_mean_image():
    stack = np.random.default_rng(5).integers(0, 256, (4, 9, 7, 3), dtype=np.uint8)
    other = image_of(stack[0][:8])
    for made in ([image_of(one) for one in stack] + [other], [other, image_of(stack[0])]):
        stats = scan(made, mean_image=8)
        small = [resized(one.pixels.astype(np.float32), 8, 8) / 255 for one in made]
        assert stats.mean_image_is_squeezed
        np.testing.assert_allclose(stats.fraction_mean_image, np.mean(small, axis=0), atol=1e-5)
    assert scan([image_of(one) for one in stack], mean_image=7).mean_image_is_squeezed
    # Grey beside colour of the same size is no other size.
    both = scan([image_of(stack[0]), image_of(stack[1][:, :, :1])], mean_image=8)
    assert not both.mean_image_is_squeezed and both.fraction_mean_image.shape == (9, 7, 3)
    taller = scan([image_of(stack[0]), image_of(stack[1][:8, :, :1])], mean_image=8)
    assert taller.mean_image_is_squeezed


def test_std_image_of_very_many_images_needs_no_more_than_64_bits():
    one = PixelSums.of(image_of(np.full((1, 1), 255, np.uint8)), 1, 1)
    two = PixelSums.of(image_of(np.full((1, 1), 205, np.uint8)), 1, 1)
    for many in (39_998, 40_002, 1_000_000):
        half = many // 2
        sums = PixelSums(many, half * (one.sums + two.sums), half * (one.squares + two.squares))
        base = scan([image_of(np.full((1, 1), 255, np.uint8))], mean_image=1)
        stats = replace(base, pixel_sums={1: PositionSums(sums, None)})
        assert stats.fraction_mean_image.item() == pytest.approx(230 / 255, rel=1e-12)
        assert stats.fraction_std_image.item() == pytest.approx(25 / 255, rel=1e-9)


def test_scanning_can_stop_early_and_reads_no_further():
    taken = []

    def photos() -> Iterator[Image]:
        for at, image in enumerate(images()):
            taken.append(at)
            yield image

    running = scan_progress(photos(), every=0.0)
    assert next(running).images == 1
    running.close()
    assert taken == [0]


def test_rows_keep_what_each_image_was():
    image = image_of(np.array([[0, 51]], np.uint8), path="a/b.png", label="cat")
    row = scan([image]).rows[0]
    assert (row.path, row.label, row.height, row.width) == ("a/b.png", "cat", 1, 2)
    assert row.mean[0] == pytest.approx(0.1) and row.variance[0] == pytest.approx(0.01)


def test_the_record_for_json_holds_the_same_numbers():
    stats = scan(images())
    record = json.loads(json.dumps(stats.to_dict()))
    assert record["images"] == 6 and record["channels"] == 3 and record["exact"] is True
    assert record["mean"] == stats.mean.tolist()
    assert record["std"]["mean_of_images"] == stats.std.mean_of_images.tolist()
    assert record["percentiles"]["99.9"] == stats.percentiles[99.9].tolist()
    assert (record["min"], record["max"]) == (stats.low.tolist(), stats.high.tolist())
    assert record["variance"]["between"] == stats.variance.between.tolist()


@pytest.mark.parametrize("name", ["mean", "std", "variance", "low", "high", "percentiles"])
def test_an_empty_set_has_no_numbers_and_says_so(name):
    for empty in (scan([]), DatasetStatistics.empty()):
        assert empty.images == 0
        with pytest.raises(NotFittedError, match="no image could be read"):
            getattr(empty, name)
    with pytest.raises(NotFittedError, match="no image could be read"):
        scan([], mean_image=4).fraction_mean_image  # noqa: B018
