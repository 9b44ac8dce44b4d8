"""The sums between images, and every number that follows from them, against plain NumPy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from normviz.images import Image, image_of
from normviz.statistics import scanned
from normviz.statistics.across import PAIRS, STEP_BITS, Across, Terms, fraction, stepped
from normviz.statistics.measure import measured
from tests.statistics.making import random_images

STEP = Fraction(1, 1 << STEP_BITS)


def in_colour(images: list[Image]) -> list[np.ndarray]:
    """The pixels of each image as float64 fractions ``(n, 3)``."""
    made = []
    for image in images:
        fractions = (image.pixels.astype(float) - image.value_range.low) / image.value_range.span
        made.append(np.broadcast_to(fractions, (image.height, image.width, 3)).reshape(-1, 3))
    return made


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_numbers_of_a_set_are_those_of_numpy(seed, floats):
    images = random_images(seed, count=30, floats=floats)
    stats = scanned(images)
    each = in_colour(images)
    pixels = np.concatenate(each)
    np.testing.assert_allclose(stats.fraction_mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats.fraction_std, pixels.std(axis=0), rtol=1e-11)
    span = stats.value_range.span
    stds = np.array([one.std(axis=0) for one in each])
    np.testing.assert_allclose(stats.std.mean_of_images, stds.mean(axis=0) * span, rtol=1e-10)
    rms = np.sqrt(np.square(stds).mean(axis=0))
    np.testing.assert_allclose(stats.std.rms_of_images, rms * span, rtol=1e-10)
    np.testing.assert_allclose(
        stats.fraction_covariance, np.cov(pixels.T, ddof=0), rtol=1e-9, atol=1e-13
    )
    counts = np.array([len(one) for one in each])[:, np.newaxis]
    means = np.array([one.mean(axis=0) for one in each])
    within = (counts * stds**2).sum(axis=0) / counts.sum()
    between = (counts * (means - pixels.mean(axis=0)) ** 2).sum(axis=0) / counts.sum()
    np.testing.assert_allclose(stats.variance.within, within * span**2, rtol=1e-10)
    np.testing.assert_allclose(stats.variance.between, between * span**2, rtol=1e-10)
    assert stats.pixels == len(pixels) and stats.images == 30


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_by_label_are_those_of_its_images(seed):
    images = random_images(seed, count=30, floats=True)
    stats = scanned(images)
    assert list(stats.by_label) == ["cat", "dog"]
    for label, found in stats.by_label.items():
        own = [image for image in images if image.label == label]
        pixels = np.concatenate(in_colour(own))
        assert found.images == len(own)
        np.testing.assert_allclose(found.fraction_mean, pixels.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.fraction_std, pixels.std(axis=0), rtol=1e-11)
        np.testing.assert_allclose(
            found.fraction_covariance, np.cov(pixels.T, ddof=0), rtol=1e-9, atol=1e-13
        )


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_histogram_and_percentiles_of_one_depth(kind):
    top = np.iinfo(kind).max
    rng = np.random.default_rng(4)
    images = [
        image_of(rng.integers(0, top + 1, (rng.integers(1, 9), 7, 3)).astype(kind))
        for _ in range(9)
    ]
    stats = scanned(images)
    pixels = np.concatenate([image.pixels.reshape(-1, 3) for image in images])
    for channel in range(3):
        wanted, _ = np.histogram(pixels[:, channel], bins=256, range=(0, top + 1))
        np.testing.assert_array_equal(stats.histogram[channel], wanted)
    for q, values in stats.percentiles.items():
        np.testing.assert_allclose(values, np.percentile(pixels, q, axis=0), rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_terms_of_an_image_are_exact_to_a_step(kind, channels):
    top = int(np.iinfo(kind).max)
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, top + 1, (5, 9, channels)).astype(kind)
    across = measured(image_of(pixels)).across
    assert (across.images, across.pixels, across.pixel_squares) == (1, 45, 45**2)
    levels = [[int(value) for value in plane.ravel()] for plane in pixels.transpose(2, 0, 1)]
    for term, values in zip(across.terms, levels, strict=True):
        s = Fraction(sum(values), top)
        q = Fraction(sum(value * value for value in values), top**2)
        variance = q / 45 - (s / 45) ** 2
        exact = {
            "s": s,
            "q": q,
            "mean_squares": s * s / 45,
            "variances": variance,
            "ns": 45 * s,
            "nq": 45 * q,
            "ss": s * s,
            "sq": s * q,
            "qq": q * q,
        }
        for name, value in exact.items():
            # Products of rounded sums are off by as many steps as the other factor is large.
            apart = value - fraction(getattr(term, name))
            assert 0 <= apart < 100 * STEP, name
        assert fraction(term.stds) == pytest.approx(math.sqrt(variance), rel=1e-15)
    for (i, j), cross in zip(PAIRS if channels == 3 else (), across.cross, strict=True):
        exact_cross = Fraction(sum(a * b for a, b in zip(levels[i], levels[j], strict=True)))
        assert 0 <= exact_cross / top**2 - fraction(cross) < STEP


def test_a_grey_image_stands_for_three_channels():
    pixels = np.random.default_rng(1).integers(0, 256, (3, 5, 1), dtype=np.uint8)
    grey = measured(image_of(pixels)).across.in_channels(3)
    colour = measured(image_of(np.repeat(pixels, 3, axis=2))).across
    assert grey == colour


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 9, 3), (9, 1, 1), (2, 2, 3)])
def test_extremes_of_one_level(kind, level, shape):
    value = level * int(np.iinfo(kind).max)
    stats = scanned([image_of(np.full(shape, value, kind))] * 3)
    row = stats.rows[0]
    channels = shape[2]
    assert stats.mean.tolist() == [value] * channels
    for numbers in (stats.std.pooled, stats.std.rms_of_images, stats.std.mean_of_images):
        assert numbers.tolist() == [0.0] * channels
    assert stats.variance.within.tolist() == stats.variance.between.tolist() == [0.0] * channels
    assert not stats.fraction_covariance.any()
    assert stats.low.tolist() == stats.high.tolist() == [value] * channels
    assert row.mean == (float(level),) * channels and row.variance == (0.0,) * channels
    assert row.sharpness == 0.0 and row.fingerprint == 0
    assert (row.clipped_low, row.clipped_high) == (
        (float(1 - level),) * channels,
        (float(level),) * channels,
    )


def test_a_checkerboard_of_30_megapixels_is_exact():
    # 30 million squares of 255²: beyond 32 bits and beyond float32.
    board = np.indices((5000, 6000), dtype=np.uint8).sum(axis=0, dtype=np.uint8) % 2 * np.uint8(255)
    pixels = np.stack([board, 255 - board, board], axis=2)
    one = measured(image_of(pixels))
    n, half = 30_000_000, 15_000_000
    assert one.row.sums == (half * 255,) * 3 and one.row.squares == (half * 255**2,) * 3
    assert [fraction(value) for value in one.across.cross] == [0, half, 0]
    assert one.across.pixels == n and one.row.variance == (0.25,) * 3
    # Every second pixel is the same, so that nothing is sharp two further on.
    assert one.row.sharpness == 0.0
    stripes = np.arange(6000) // 2 % 2 * 255
    wide = np.broadcast_to(stripes.astype(np.uint8), (5000, 6000))
    # Two further in a row all differ by 255, in a column none does.
    share = 5998 * 5000 / (5998 * 5000 + 6000 * 4998)
    assert measured(image_of(wide)).row.sharpness == pytest.approx(math.sqrt(share), rel=1e-15)


def test_16_bit_white_stays_whole():
    white = image_of(np.full((3000, 2000, 3), 65535, np.uint16))
    one = measured(white)
    assert one.row.squares == (6_000_000 * 65535**2,) * 3
    assert [fraction(value) for value in one.across.cross] == [6_000_000] * 3
    stats = scanned([white] * 2, mean_image=2)
    assert stats.mean.tolist() == [65535.0] * 3 and stats.std.pooled.tolist() == [0.0] * 3
    assert stats.fraction_mean_image.tolist() == np.ones((2, 2, 3)).tolist()


def test_merging_is_adding():
    one, two = (Across(1, 4, 16, (Terms(*range(base, base + 10)),), ()) for base in (100, 10**30))
    both = one.merge(two)
    assert (both.images, both.pixels, both.pixel_squares) == (2, 8, 32)
    assert both.terms[0] == Terms(*(10**30 + 100 + 2 * at for at in range(10)))
    assert stepped(fraction(10**40)) == 10**40


def test_mean_and_std_image_are_those_of_the_stack_at_its_size():
    stack = np.random.default_rng(0).integers(0, 65536, (11, 3, 3, 3)).astype(np.uint16)
    stats = scanned([image_of(one) for one in stack], mean_image=3)
    np.testing.assert_allclose(stats.fraction_mean_image, stack.mean(axis=0) / 65535, atol=1e-7)
    np.testing.assert_allclose(stats.fraction_std_image, stack.std(axis=0) / 65535, atol=1e-7)
