"""Second moments: exact for integers, stable for floats, mergeable; patches drawn as stated."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import normviz as nv
from normviz.images import resized
from normviz.statistics.covariance import (
    ChannelProducts,
    SecondMoments,
    channel_moments,
    eigen,
    image_vectors,
    patch_moments,
    patches_of,
    signed,
)


def noise(height, width, channels=3, seed=0, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    return (rng.random((height, width, channels)) * top).astype(dtype)


@settings(max_examples=50, deadline=None)
@given(
    vectors=arrays.arrays(float, (12, 3), elements=st.floats(-1, 1)),
    cuts=st.tuples(st.integers(0, 12), st.integers(0, 12)),
)
def test_moments_merge_to_those_of_everything(vectors, cuts):
    first, second = sorted(cuts)
    parts = [SecondMoments.of(part) for part in np.split(vectors, [first, second])]
    left = parts[0].merge(parts[1]).merge(parts[2])
    right = parts[0].merge(parts[1].merge(parts[2]))
    for done in (left, right, SecondMoments.empty(3).merge(left)):
        assert done.count == 12
        np.testing.assert_allclose(done.mean, vectors.mean(axis=0), atol=1e-14)
        np.testing.assert_allclose(done.covariance, np.cov(vectors.T, bias=True), atol=1e-14)


def test_a_large_offset_costs_no_digits():
    spread = np.random.default_rng(1).normal(size=(6000, 4))
    parts = [SecondMoments.of(part + 1e8) for part in np.split(spread, 6)]
    whole = SecondMoments.empty(4)
    for part in parts:
        whole = whole.merge(part)
    # 1e8 + x keeps x to 1.5e-8; a sum of squares would keep nothing of it.
    np.testing.assert_allclose(whole.covariance, np.cov(spread.T, bias=True), atol=1e-7)


def test_moments_of_nothing_are_zero():
    nothing = SecondMoments.of(np.empty((0, 2)))
    assert nothing.count == 0 and not nothing.covariance.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_summed_exactly_whatever_the_split(dtype):
    pixels = noise(150, 200, dtype=dtype)
    pixels[:140] |= 0xF0  # high levels, and more pixels than one block holds
    whole = ChannelProducts.of(pixels)
    flat = [[int(value) for value in pixel] for pixel in pixels.reshape(-1, 3)]
    assert whole.sums == tuple(sum(pixel[c] for pixel in flat) for c in range(3))
    for i in range(3):
        for j in range(3):
            assert whole.products[i][j] == sum(pixel[i] * pixel[j] for pixel in flat)
    parts = [ChannelProducts.of(pixels[at : at + 37]) for at in range(0, 150, 37)]
    merged = parts[3].merge(parts[0]).merge(parts[4]).merge(parts[2]).merge(parts[1])
    assert (merged.count, merged.sums, merged.products) == (
        whole.count,
        whole.sums,
        whole.products,
    )


def test_moments_of_whole_numbers_are_rounded_once():
    pixels = np.array([[[65535, 0, 1], [65534, 3, 1], [65535, 65535, 2]]], np.uint16)
    moments = ChannelProducts.of(pixels).moments
    flat = [[Fraction(int(value), 65535) for value in pixel] for pixel in pixels.reshape(-1, 3)]
    mean = [sum(column) / 3 for column in zip(*flat, strict=True)]
    for i in range(3):
        assert moments.mean[i] == float(mean[i])
        for j in range(3):
            exact = sum((pixel[i] - mean[i]) * (pixel[j] - mean[j]) for pixel in flat)
            assert moments.products[i, j] == float(exact)


def test_channels_of_a_set_are_numpy_over_all_its_pixels():
    floats = noise(9, 7, dtype=np.float32)
    images = [
        nv.image_of(noise(150, 120, seed=1)),
        nv.image_of(noise(5, 8, seed=2, dtype=np.uint16)),
        nv.image_of(floats * 30 - 10, (-10, 20)),
        nv.image_of(noise(6, 6, channels=1, seed=3)),
    ]
    flat = [
        images[0].pixels / 255,
        images[1].pixels / 65535,
        (images[2].pixels.astype(float) + 10) / 30,
        np.repeat(images[3].pixels / 255, 3, axis=2),
    ]
    values = np.concatenate([one.reshape(-1, 3) for one in flat])
    for order in (images, images[::-1]):
        moments = channel_moments(order)
        assert moments.count == len(values)
        np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.covariance, np.cov(values.T, bias=True), atol=1e-14)


def test_the_order_of_integer_images_does_not_matter_to_the_bit():
    images = [nv.image_of(noise(31, 17 + seed, seed=seed)) for seed in range(5)]
    one, other = channel_moments(images), channel_moments(images[::-1])
    np.testing.assert_array_equal(one.products, other.products)
    np.testing.assert_array_equal(one.mean, other.mean)


def test_all_patches_are_those_of_a_loop():
    images = [nv.image_of(noise(5, 4, channels=1)), nv.image_of(noise(4, 6, seed=1))]
    wanted = []
    for image in images:
        rgb = np.repeat(image.pixels, 3 // image.channels, axis=2) / 255
        for top in range(image.height - 2):
            for left in range(image.width - 2):
                wanted.append(rgb[top : top + 3, left : left + 3])
    for rows in (1000, 4):
        blocks = list(patches_of(images, 3, 100, seed=0, rows=rows))
        assert max(map(len, blocks)) <= rows and len(blocks) == -(-len(wanted) // rows)
        np.testing.assert_allclose(np.concatenate(blocks), wanted, rtol=1e-15)
    moments = patch_moments(images, 3, 100, seed=0)
    vectors = np.array(wanted).reshape(len(wanted), -1)
    np.testing.assert_allclose(moments.covariance, np.cov(vectors.T, bias=True), atol=1e-14)
    doubled = patch_moments(images, 3, 100, seed=0, prepare=lambda rows: 2 * rows)
    np.testing.assert_allclose(doubled.covariance, 4 * moments.covariance, rtol=1e-12)


def test_drawn_patches_follow_the_seed_and_weigh_every_place_alike():
    # Each pixel says where it is: the image in its first digit, then the place.
    images = [
        nv.image_of(np.arange(100, dtype=np.uint16).reshape(10, 10)),
        nv.image_of(1000 + np.arange(900, dtype=np.uint16).reshape(30, 30)),
    ]

    def drawn(seed, count=800, rows=1000):
        blocks = patches_of(images, 1, count, seed, rows)
        return np.rint(np.concatenate(list(blocks)).ravel() * 65535).astype(int)

    first = drawn(0)
    assert len(first) == 800
    np.testing.assert_array_equal(first, drawn(0))
    np.testing.assert_array_equal(first, drawn(0, rows=7))
    assert not np.array_equal(first, drawn(1))
    # 900 of the 1000 places are the second image's: 720 ± 8.5 of 800.
    assert abs((first >= 1000).sum() - 720) < 45
    assert len(set(first.tolist())) > 450  # of 800 with replacement among 1000: 551 expected
    np.testing.assert_array_equal(drawn(5, count=1000), np.r_[0:100, 1000:1900])


def test_an_image_smaller_than_the_patch_is_mirrored():
    image = nv.image_of(np.array([[10, 20, 30]], np.uint8))
    (patches,) = patches_of([image], 3, 10, seed=0)
    np.testing.assert_allclose(patches[0, :, :, 0] * 255, [[10, 20, 30]] * 3)
    (patches,) = patches_of([nv.image_of(np.array([[10, 20]], np.uint8))], 5, 10, seed=0)
    np.testing.assert_allclose(patches[0, 0, :, 0] * 255, [20, 10, 20, 10, 20])


def test_whole_images_are_squeezed_and_laid_out_row_column_channel():
    images = [nv.image_of(noise(20, 30)), nv.image_of(noise(6, 40, channels=1, seed=1))]
    rows = image_vectors(images, 10)
    assert rows.shape == (2, 300)
    np.testing.assert_allclose(
        rows[0].reshape(10, 10, 3), resized(images[0].pixels / 255, 10, 10), atol=1e-12
    )
    grey = resized(images[1].pixels / 255, 10, 10)
    np.testing.assert_allclose(rows[1].reshape(10, 10, 3), np.repeat(grey, 3, axis=2), atol=1e-12)
    assert image_vectors(images[1:], 10).shape == (1, 100)


def test_eigenvectors_are_sorted_and_have_one_sign():
    spread = np.random.default_rng(3).normal(size=(50, 6)) * [1, 5, 2, 9, 1, 3]
    covariance = np.cov(spread.T)
    values, rows = eigen(covariance)
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(rows @ covariance @ rows.T, np.diag(values), atol=1e-12)
    assert (rows[np.arange(6), np.abs(rows).argmax(axis=1)] > 0).all()
    # Rounding gives a matrix of rank 1 eigenvalues below 0.
    values, _ = eigen(np.outer(spread[0], spread[0]))
    assert values.min() == 0 and values[0] == pytest.approx(spread[0] @ spread[0])


def test_of_equal_entries_the_first_decides_the_sign_not_rounding():
    row = np.array([-0.5, 0.5 + 1e-15, 0.5, -0.5])
    np.testing.assert_array_equal(signed(row[np.newaxis]), [-row])
    assert signed(np.empty((0, 4))).shape == (0, 4)
