"""The words beside the block of axes, for every method there is."""

from __future__ import annotations

import pytest

import normviz as nv
from app.axes import words_of


@pytest.mark.parametrize(
    ("reduces", "batch", "words"),
    [
        ((), False, "No numbers are taken from the images: the same is done at every pixel."),
        (("H", "W"), False, "for each image and channel, taken over all positions."),
        (("N", "H", "W"), True, "for each channel, taken over the images of a batch and all pos"),
        (("N",), False, "for each channel and position, taken over all images."),
        (("h", "w", "C"), False, "for each image and position, taken over a window around it and"),
        (("H", "W", "c"), False, "for each image and group of channels, taken over all positions."),
        (("C",), False, "for each image and position, taken over all channels."),
        (("N", "H", "W", "C"), False, "One set of numbers, taken over all images, all positions"),
    ],
)
def test_words_name_what_is_shared(reduces, batch, words):
    assert words in words_of(reduces, batch)


def test_every_method_has_words():
    for kind in nv.METHODS.values():
        assert words_of(kind.about.reduces).endswith(".")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("colour_pca", "each of the channels and a covariance of all of them with one another"),
        ("colour_zca", "each of the channels and a covariance of all of them with one another"),
        ("patch_zca", "each of the values of a patch and a covariance of all of them"),
        ("image_zca", "each of the values of an image and a covariance of all of them"),
    ],
)
def test_a_covariance_is_not_one_set_for_each_channel(key, words):
    about = nv.METHODS[key].about
    said = words_of(about.reduces, joins=about.joins)
    assert words in said and "One set" not in said
    assert said.endswith("all images." if key == "image_zca" else "all images and all positions.")


def test_only_whitenings_join_values():
    joined = {key for key, kind in nv.METHODS.items() if kind.about.joins}
    assert joined == {"colour_pca", "colour_zca", "patch_zca", "image_pca", "image_zca"}
