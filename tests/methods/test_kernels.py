"""The fast paths on bytes, against float64 and against counting every level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from normviz.methods import kernels
from normviz.statistics.counts import Counts

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.sampled_from([1, 3]))
BYTES = arrays.arrays(np.uint8, SHAPES)
NEAR = arrays.arrays(np.uint8, SHAPES, elements=st.integers(250, 253))


def tiled(pixels: np.ndarray) -> np.ndarray:
    """So large that it is not looked up for its size alone."""
    return np.tile(pixels, (40, 30, 1))


@settings(max_examples=300, deadline=None)
@given(
    pixels=BYTES | NEAR,
    gain=st.sampled_from([1.0, 1 / 255, 2 / 255, 1 / 3, 0.01, 1e-6, 40.0]) | st.floats(1e-4, 5),
    bias=st.lists(st.sampled_from([0.0, -1.0, 0.5]) | st.floats(-300, 300), min_size=1, max_size=3),
)
def test_one_gain_for_all_channels_is_float64_to_a_millionth(pixels, gain, bias):
    offsets = np.array((bias * 3)[: pixels.shape[2]])
    for image in (pixels, tiled(pixels)):
        exact = image * gain + offsets
        done = kernels.affine(image, np.array([gain]), offsets)
        assert done.dtype == np.float32 and done.shape == image.shape
        assert np.abs(done - exact).max() <= 1e-6 * np.abs(exact).max() + 1e-30


@pytest.mark.parametrize("low", [0, 3, 80])
@pytest.mark.parametrize("high", range(100, 256))
def test_the_ends_of_a_stretch_are_0_and_1_to_the_bit(low, high):
    pixels = tiled(np.arange(low, high + 1, dtype=np.uint8).reshape(1, -1, 1))
    gain = 1 / (high - low)
    done = kernels.affine(pixels, np.array([gain]), np.array([-low * gain]))
    assert (done[pixels == low] == 0).all() and (done[pixels == high] == 1).all()
    np.testing.assert_allclose(done, (pixels - float(low)) * gain, rtol=1e-6, atol=1e-7)


def test_one_call_in_float32_is_taken_only_where_it_does_as_well():
    photo = tiled(np.arange(256, dtype=np.uint8).reshape(16, 16, 1))
    assert kernels._converted(photo, [1 / 255], [0.0], None) is not None
    assert kernels._converted(photo, [1.0], [-120.3, -110.2, -90.1], None) is not None
    np.testing.assert_array_equal(
        kernels.affine(photo, np.array([1 / 255]), np.zeros(1)),
        kernels.affine(photo, np.array([1 / 255]), np.zeros(1), ends=(0.0, 255.0)),
    )
    # In float32, 2/255 · 255 − 1 is 1.0000001, which is cut off.
    assert kernels.normalized(photo, -1, 1).max() > 1
    done = kernels._converted(photo, [2 / 255], [-1.0], None)
    assert done is not None and done.min() == -1 and done.max() == 1
    np.testing.assert_array_equal(
        done, kernels.affine(photo, np.array([2 / 255]), np.array([-1.0]))
    )
    assert np.abs(done - (photo * (2 / 255) - 1)).max() <= 1.5e-7
    # Few levels of contrast far from black: the bias is rounded by more than shows of them.
    close = np.where(photo % 2, np.uint8(250), np.uint8(253))
    assert kernels._converted(close, [0.5], [-125.25], None) is None


@settings(max_examples=100, deadline=None)
@given(pixels=BYTES | NEAR)
def test_moments_are_those_of_the_counts_to_the_bit(pixels):
    counts = Counts.of(pixels)
    mean, std = kernels.channel_moments(pixels)
    np.testing.assert_array_equal(mean, counts.mean)
    np.testing.assert_array_equal(std, np.sqrt(counts.variance))
    assert kernels.pooled_moments(pixels) == (counts.pooled_mean, np.sqrt(counts.pooled_variance))


def test_moments_of_a_nearly_flat_large_image_are_exact():
    pixels = np.full((3000, 4000, 3), 254, np.uint8)
    pixels[5, 7] = (255, 254, 0)
    counts = Counts.of(pixels)
    mean, std = kernels.channel_moments(pixels)
    np.testing.assert_array_equal(mean, counts.mean)
    np.testing.assert_array_equal(std, np.sqrt(counts.variance))
    assert std[1] == 0
    assert kernels.pooled_moments(pixels)[1] == np.sqrt(counts.pooled_variance)


def test_turned_is_the_matrix_at_each_pixel_across_blocks():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (70, 200, 3), dtype=np.uint8)
    matrix = rng.normal(size=(3, 4))
    expected = pixels @ matrix[:, :3].T + matrix[:, 3]
    np.testing.assert_allclose(kernels.turned(pixels, matrix), expected, rtol=1e-5, atol=1e-4)


def test_a_pair_a_channel_in_float32_is_taken_only_where_it_does_as_well():
    photo = np.random.default_rng(5).integers(0, 256, (300, 301, 3), np.uint8)
    assert photo.size >= kernels._MANY
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    gain, bias = 1 / (255 * std), -mean / std
    done = kernels._in_float32(photo, gain, bias, None)
    exact = photo * gain + bias
    assert done.shape == photo.shape and done.dtype == np.float32
    assert np.abs(done - exact).max() <= 2e-7 * np.abs(exact).max()
    np.testing.assert_array_equal(kernels.affine(photo, gain, bias), done)
    # In float32, 41 · 1/41 is 0.99999994: what must be 1 is looked up.
    stretch = 1 / np.array([41.0, 83.0, 255.0])
    assert kernels._in_float32(photo, stretch, np.zeros(3), None) is None
    stretched = kernels.affine(photo, stretch, np.zeros(3))
    assert (stretched[photo[..., 0] == 41, 0] == 1).all()
    # A channel that is made flat, and a bias far outside, are looked up.
    assert kernels._in_float32(photo, np.array([1.0, 0, 1]), np.zeros(3), None) is None
    far = kernels.affine(photo, np.array([1e-9, 2e-9, 3e-9]), np.full(3, 0.3))
    np.testing.assert_allclose(far, 0.3, rtol=3e-6)
