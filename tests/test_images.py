"""The image contract: what is accepted, what is refused, and how."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.errors import ShapeError
from normviz.images import as_rgb, default_range, image_of, level_count, reduced, resized


def test_pixels_are_read_only_and_the_callers_array_is_left_alone():
    pixels = np.zeros((3, 5, 3), np.uint8)
    image = image_of(pixels, path="a.png", label="cat", notes=("turned",))
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0] = 1
    pixels[0, 0, 0] = 9  # still writeable for its owner
    assert (image.height, image.width, image.channels, image.levels) == (3, 5, 3, 256)
    assert (image.path, image.label, image.notes) == ("a.png", "cat", ("turned",))


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.zeros((2, 3, 4), np.uint8), "1 or 3 channels"),
        (np.zeros(7, np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), complex), "complex"),
        (np.array([[0.0, np.inf]]), "infinity at row 0, column 1, channel 0"),
        (np.array([[0.0], [-np.inf]]), "minus infinity at row 1"),
        (np.array([[0.5, 1.5]]), "leave the declared range"),
    ],
)
def test_what_is_refused_is_named(pixels, sentence):
    with pytest.raises(ShapeError, match=sentence):
        image_of(pixels, path="bad.npy")


def test_integers_keep_their_range_and_floats_declare_theirs():
    with pytest.raises(ShapeError, match="Convert to float"):
        image_of(np.zeros((2, 2), np.uint8), (0, 1))
    image = image_of(np.array([[-3.0, 7.0]]), (-10, 10))
    assert image.value_range == (-10, 10) and image.pixels.dtype == np.float32
    assert image.levels is None


def test_the_implied_ranges_and_levels():
    assert default_range(np.uint8) == (0, 255) and default_range(np.uint16) == (0, 65535)
    assert default_range(np.float32) == default_range(np.float64) == (0, 1)
    assert (level_count(np.uint8), level_count(np.uint16)) == (256, 65536)
    assert level_count(np.float32) is None and level_count(np.int32) is None
    assert image_of(np.zeros((2, 3), np.uint16)).value_range.span == 65535
    assert image_of(np.zeros((2, 3), np.uint8), (0, 255)).value_range == (0, 255)


@pytest.mark.parametrize("empty", [(1.0, 1.0), (2.0, -2.0), (float("nan"), 1.0)])
def test_a_range_that_holds_nothing_is_refused(empty):
    with pytest.raises(ShapeError, match="is empty"):
        image_of(np.ones((2, 2)), empty)


def test_a_float_that_rounds_past_its_bound_is_taken():
    bound = 0.1  # float32 of it is 0.100000001…
    image = image_of(np.full((1, 1), bound, np.float32), (0, bound))
    assert float(image.pixels[0, 0, 0]) > bound


def test_strides_and_wide_floats_become_compact_float32():
    wide = np.random.default_rng(0).uniform(0, 1, (6, 8, 3))
    image = image_of(wide[::2, ::-1])
    assert image.pixels.dtype == np.float32 and image.pixels.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image.pixels, wide[::2, ::-1].astype(np.float32))
    assert image_of(wide.astype(np.float16)).pixels.dtype == np.float32


def test_reducing_keeps_the_shape_type_range_and_story():
    image = image_of(np.zeros((300, 7, 3), np.uint16), path="a", label="b", notes=("c",))
    small = reduced(image, 10)
    assert small.pixels.shape == (10, 1, 3) and small.pixels.dtype == np.uint16
    assert not small.pixels.flags.writeable
    assert (small.path, small.label, small.notes) == ("a", "b", ("c",))
    assert small.value_range == image.value_range


def test_digest_sees_one_pixel_the_shape_and_the_range():
    base = np.zeros((40, 30, 3), np.uint8)
    other = base.copy()
    other[39, 29, 2] = 1
    digests = {image_of(pixels).digest for pixels in (base, other, base.reshape(30, 40, 3))}
    floats = np.zeros((2, 2))
    digests |= {image_of(floats, (0, 1)).digest, image_of(floats, (0, 2)).digest}
    assert len(digests) == 5
    assert image_of(base).digest == image_of(base.copy()).digest


def test_reducing_averages_areas_and_leaves_small_images_alone():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 12, 1)
    image = image_of(pixels)
    assert reduced(image, 12) is image
    small = reduced(image, 6)
    assert small.pixels.shape == (2, 6, 1)
    np.testing.assert_allclose(
        small.pixels[..., 0], pixels[..., 0].reshape(2, 2, 6, 2).mean((1, 3)), atol=0.51
    )
    assert resized(pixels, 8, 24).shape == (8, 24, 1)


def test_grey_becomes_three_equal_channels_with_a_note():
    image = as_rgb(image_of(np.array([[1, 2]], np.uint8)))
    np.testing.assert_array_equal(image.pixels, [[[1, 1, 1], [2, 2, 2]]])
    assert "grey repeated" in image.notes[-1]
    assert as_rgb(image) is image
