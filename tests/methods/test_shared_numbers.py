"""What ``reduces`` says of channels, measured: who moves with a change of another channel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import normviz as nv
from tests.methods.test_contract import numbers_for, photo

# Each channel's number is its own, but the gain is the mean of all channels' numbers over it: the
# others move by one factor, which is the same for all of them.
AGAINST_ALL = ("grey_world", "shades_of_grey", "grey_edge")


def choices():
    """Every method that takes numbers from images, at each choice of its parameters."""
    for key, kind in nv.METHODS.items():
        if kind.about.scope == "fixed" or kind.about.joins:
            continue
        yield pytest.param(key, {}, id=key)
        for field in dataclasses.fields(kind):
            for value in field.metadata["choices"] or ():
                if value != field.default:
                    yield pytest.param(key, {field.name: value}, id=f"{key}-{field.name}-{value}")


def moved(key: str, parameters: dict) -> tuple[nv.Method, np.ndarray, list[np.ndarray]]:
    """The method, its result, and its results with each channel of the image changed alone."""
    method = nv.METHODS[key](**parameters)
    images = [nv.image_of(photo(seed=seed)) for seed in range(3)]
    fitted = method.fit(numbers_for(method, images))
    pixels, results = photo(), []
    for channel in range(3):
        changed = pixels.copy()
        changed[..., channel] = 255 - changed[..., channel] // 2
        changed[3:9, 2:7, channel] //= 3
        results.append(fitted.reference(changed))
    return method, fitted.reference(pixels), results


@pytest.mark.parametrize(("key", "parameters"), list(choices()))
def test_a_channel_moves_with_another_where_they_share_numbers_and_only_there(key, parameters):
    method, base, results = moved(key, parameters)
    if key in AGAINST_ALL:
        for channel, done in enumerate(results):
            rest = [other for other in range(3) if other != channel]
            factors = done[..., rest] / base[..., rest]
            assert np.ptp(factors) < 1e-9 < abs(factors.mean() - 1)
        return
    share = "C" in method.about.reduces
    size = 1e-6 * np.abs(base).max()
    for channel, done in enumerate(results):
        seen = np.abs(done - base).max(axis=(0, 1)) > size
        assert seen[channel]
        rest = np.delete(seen, channel)
        assert rest.all() if share else not rest.any(), (channel, method.about.reduces)


@pytest.mark.parametrize(
    ("key", "parameters", "words"),
    [
        ("clahe", {}, "for each image and position, taken over a window around it and all chan"),
        ("clahe", {"plane": "hsv"}, "taken over a window around it and all channels."),
        ("equalize", {"of": "luma"}, "for each image, taken over all positions and all channels."),
        ("equalize", {}, "for each image and channel, taken over all positions."),
        ("reinhard", {}, "One set of numbers, taken over all images, all positions and all chan"),
    ],
)
def test_the_sentence_says_so(key, parameters, words):
    axes = pytest.importorskip("app.axes", reason="Streamlit is not installed")
    assert words in axes.words_of(nv.METHODS[key](**parameters).about.reduces)
