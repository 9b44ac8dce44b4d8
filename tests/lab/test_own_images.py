"""A visitor's images: which are taken, how they are reduced, and what is said of the rest."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import PIL.Image
import pytest

from normviz import read
from normviz.errors import ParameterError
from normviz.images import image_of, resized
from normviz.lab import own_images
from normviz.lab.own_images import MOST_A_CLASS, MOST_CLASSES, OwnImages
from normviz.light import srgb_to_linear


def flat(levels, shape=(20, 30, 3)):
    return [image_of(np.full(shape, level % 250, np.uint8)) for level in levels]


def test_own_images_are_bounded_and_say_so():
    images = flat(range(250))
    labels = ["many"] * 210 + ["some"] * 30 + ["few"] * 9 + [None]
    own = OwnImages.of(images, labels)
    assert own.classes == ("many", "some")
    assert len(own.labels) == MOST_A_CLASS + 30
    assert own.notes == (
        "1 image without a label was left out.",
        "1 class with fewer than 10 images was left out.",
        "Of 210 images of 'many', 200 were taken.",
        FLAT.format(230),
        "Classes have from 30 to 200 images; the smaller ones are learned less, "
        "and equal numbers would tell more.",
    )
    split = own.draw(0, 500, 500)
    assert (len(split.train), len(split.test)) == (138, 92)
    # Every image is of one level of light, and it is the level of one that was given.
    assert np.ptp(own.linear, axis=(1, 2, 3)).max() < 1e-6
    taken = np.linspace(0, 209, 200).astype(int)
    expected = srgb_to_linear(np.array([*(taken % 250), *range(210, 240)]) / 255)
    assert own.linear[:, 0, 0, 0] == pytest.approx(expected.astype(np.float32))
    many = OwnImages.of(flat(range(300), (8, 8, 1)), [i % 30 for i in range(300)])
    assert len(many.classes) == MOST_CLASSES
    assert "Of 30 classes the 20 with most images were taken." in many.notes


@pytest.mark.parametrize(
    ("count", "labels", "said"),
    [
        (40, ["a"] * 40, "two classes of 10 images each; this set has 40 images in one class"),
        (5, list("abcde"), "this set has 5 images in 5 classes, the largest with 1"),
        (5, [None] * 5, "this set has 5 images without labels"),
        (15, ["a"] * 12 + ["", None, "b"], "this set has 13 images in 2 classes, the largest with"),
        (40, ["a", "b"] * 19, "40 images and 38 labels"),
    ],
)
def test_sets_that_cannot_be_used_are_refused_in_words(count, labels, said):
    with pytest.raises(ParameterError, match=said):
        OwnImages.of(flat(range(count)), labels)


FLAT = (
    "All {} images are flat, one colour all over: an image's own mean subtracted leaves nothing of "
    "such an image, whatever its class. Images with something in them would tell more."
)


def test_flat_images_are_named():
    textured = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    some = OwnImages.of([*flat(range(19)), image_of(textured)], ["a", "b"] * 10)
    assert some.notes[0].startswith("19 of the 20 images are flat, one colour all over")
    every = OwnImages.of(flat(range(20)), ["a", "b"] * 10)
    assert every.notes[0].startswith("All 20 images are flat")
    none = OwnImages.of([image_of(np.roll(textured, at)) for at in range(20)], ["a", "b"] * 10)
    assert none.notes == ()


def test_images_that_are_all_the_same_are_refused():
    with pytest.raises(ParameterError, match="All 20 images are the same"):
        OwnImages.of(flat([77] * 20), ["a", "b"] * 10)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_value_ranges_are_the_same_light(dtype):
    levels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3))
    eight = [image_of(one.astype(np.uint8)) for one in levels]
    scaled = levels * 257 if dtype == np.uint16 else levels / 255
    other = [image_of(one.astype(dtype)) for one in scaled]
    labels = ["a", "b"] * 10
    assert OwnImages.of(other, labels).linear == pytest.approx(
        OwnImages.of(eight, labels).linear, abs=1e-6
    )


def test_grey_among_colour_is_repeated():
    images = flat(range(10)) + flat(range(10, 20), (20, 30, 1))
    own = OwnImages.of(images, ["a", "b"] * 10)
    assert own.channels == 3
    assert np.array_equal(own.linear[..., 0], own.linear[..., 2])


@pytest.mark.parametrize("size", [(700, 1100), (513, 2048), (40, 3000), (256, 256)])
def test_large_images_are_averaged_in_linear_light(size, monkeypatch):
    monkeypatch.setattr(own_images, "_BAND", 20_000)
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    pixels[: size[0] // 3] //= 4
    step = max(1, min(size) // 256)
    whole = pixels[: size[0] // step * step, : size[1] // step * step]
    # Squares that lie across a border of two areas count for both in part: not to the last digit.
    expected = resized(srgb_to_linear(whole / 255).astype(np.float32), 16, 16)
    assert own_images._reduced(image_of(pixels)) == pytest.approx(expected, abs=4e-3)


def test_what_cannot_be_read_is_left_out_and_a_class_may_be_lost_by_it():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, count, broken in (("cat", 14, 0), ("dog", 12, 1), ("owl", 11, 2)):
            for at in range(count):
                data = io.BytesIO()
                PIL.Image.new("RGB", (9, 9), (at, 10 * at, 40)).save(data, "png")
                kept = data.getvalue()
                archive.writestr(f"set/{name}/{at}.png", kept[:40] if at < broken else kept)
    own = OwnImages.of(read(("set.zip", packed.getvalue())))
    assert own.classes == ("cat", "dog")
    assert own.notes == (
        "3 images could not be read.",
        "1 class with fewer than 10 images was left out.",
        FLAT.format(25),
    )
    assert np.bincount(own.labels).tolist() == [14, 11]


def test_a_class_only_counts_what_is_taken_of_it():
    # The label alone decides which images are decoded.
    class Counting(list):
        decoded = 0

        def __getitem__(self, at):
            Counting.decoded += 1
            return super().__getitem__(at)

    images = Counting(flat(range(60)))
    OwnImages.of(images, ["a", "b"] * 15 + [f"{i}" for i in range(30)])
    assert Counting.decoded == 30
