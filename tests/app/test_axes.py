"""The words beside the block of axes, for every method there is."""

from __future__ import annotations

import pytest

import normviz as nv
from app.axes import words_of


@pytest.mark.parametrize(
    ("reduces", "batch", "words"),
    [
        ((), False, "Each value by itself: no numbers are taken from the images."),
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
