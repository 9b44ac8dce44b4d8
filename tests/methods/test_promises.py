"""Gains are promised exactly where no floor can show them: both ways, over the parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normviz as nv
from normviz.methods.image import _LEAST_STD

GAINS = {"gain", "channel_gain"}


def apart(method, u: np.ndarray, gain) -> float:
    """How far a gain of fractions moves the result, as a share of its size."""
    # The definition itself, since a gain leaves the value range.
    base, done = method.definition(u, {}), method.definition(gain * u, {})
    return float(np.abs(done - base).max() / np.abs(base).max())


def offset_unseen(method, u: np.ndarray) -> bool:
    base, done = method.definition(u, {}), method.definition(u + 0.25, {})
    return np.allclose(done, base, atol=1e-5 * np.abs(base).max())


def one_level_off(side: int, channels: int = 3) -> np.ndarray:
    """Fractions of bytes that are all the same, but for one pixel by one level."""
    levels = np.full((side, side, channels), 20.0)
    levels[side // 2, side // 2] += 1
    return levels / 255


def faint(std: float, gap: float = 0.0) -> np.ndarray:
    """Two values of this std in each channel, about a brightness that is ``gap`` apart."""
    signs = np.where(np.indices((8, 8)).sum(axis=0) % 2, std, -std)[..., np.newaxis]
    return 0.1 + signs + gap * np.arange(3)


@settings(max_examples=60, deadline=None)
@given(
    window=st.integers(1, 15).map(lambda half: 2 * half + 1),
    epsilon=st.floats(1e-6, 0.2),
    gain=st.floats(1.1, 4.0),
)
def test_local_standardization_promises_a_gain_where_no_byte_is_below_the_floor(
    window, epsilon, gain
):
    method = nv.METHODS["local_standardize"](window=window, epsilon=epsilon)
    promised = method.about.invariances >= GAINS
    assert promised == bool(GAINS & method.about.invariances)
    u = one_level_off(window)
    # The least contrast that a byte image can have: it is seen where, and only where, it must be.
    assert promised == (apart(method, u, gain) < 1e-6)
    assert promised == (apart(method, u, gain * np.array([1.0, 1.1, 1.2])) < 1e-6)
    assert {"offset", "channel_offset"} <= method.about.invariances
    assert offset_unseen(method, u)


@settings(max_examples=60, deadline=None)
@given(epsilon=st.floats(1e-8, 0.1), gain=st.floats(1.1, 4.0))
def test_channel_standardization_promises_a_gain_up_to_the_rounding_of_bytes(epsilon, gain):
    method = nv.METHODS["image_channel_standardize"](epsilon=epsilon)
    promised = method.about.invariances >= GAINS
    assert promised == bool(GAINS & method.about.invariances)
    u = faint(_LEAST_STD * (1 + 1e-9), gap=0.1)
    assert promised == (apart(method, u, gain) < 1e-6)
    assert promised == (apart(method, u, gain * np.array([1.0, 1.1, 1.2])) < 1e-6)
    assert {"offset", "channel_offset"} <= method.about.invariances
    assert offset_unseen(method, u)


def test_the_rounding_of_bytes_is_the_std_of_what_is_rounded_off():
    values = np.random.default_rng(0).uniform(20, 230, 200_000)
    rounding = (np.rint(values) - values).std() / 255
    assert pytest.approx(rounding / 4, rel=0.01) == _LEAST_STD


@settings(max_examples=40, deadline=None)
@given(side=st.integers(1, 8), scale=st.sampled_from([1, 255]), gain=st.floats(1.1, 4.0))
def test_image_standardization_promises_a_gain_on_levels_alone(side, scale, gain):
    method = nv.METHODS["image_standardize"](scale=scale)
    assert ("gain" in method.about.invariances) == (scale == 255)
    # Half of the pixels one level up: far from flat, and 0.5 levels of std.
    u = np.tile(faint(0.5 / 255), (side, side, 1))
    assert (apart(method, u, gain) < 1e-6) == (scale == 255)
    assert "offset" in method.about.invariances and offset_unseen(method, u)


@settings(max_examples=60, deadline=None)
@given(
    low=st.integers(0, 100).map(lambda half: half / 2),
    high=st.integers(100, 200).map(lambda half: half / 2),
    over=st.sampled_from(["image", "channel"]),
    beyond=st.sampled_from(["cut", "keep"]),
    gain=st.floats(0.3, 3.0).filter(lambda gain: abs(gain - 1) > 0.1),
)
def test_a_percentile_stretch_of_no_width_promises_no_gain(low, high, over, beyond, gain):
    method = nv.METHODS["percentile_stretch"](low=low, high=high, over=over, beyond=beyond)
    promised = "gain" in method.about.invariances
    assert promised == (low < high)
    assert ("channel_gain" in method.about.invariances) == (promised and over == "channel")
    u = np.random.default_rng(1).uniform(0, 1, (17, 11, 3))
    assert (apart(method, u, gain) < 1e-6) == promised
    assert "offset" in method.about.invariances and offset_unseen(method, u)


@pytest.mark.parametrize(
    ("key", "above"),
    [
        ("local_standardize", {"epsilon": 0.01}),
        ("image_channel_standardize", {"epsilon": 0.00128}),
        ("image_standardize", {"scale": 1}),
        ("percentile_stretch", {"low": 50.0, "high": 50.0, "beyond": "keep"}),
    ],
)
def test_what_is_lost_is_said_of_the_parameters(key, above):
    kind = nv.METHODS[key]
    withdrawn = kind(**above).about
    assert not GAINS & withdrawn.invariances and GAINS & kind.about.invariances
    assert withdrawn.loses != kind.about.loses
    assert nv.from_json(kind(**above).fit().to_json()).method.about == withdrawn
    assert kind().about is kind.about


def test_a_floor_is_named_where_there_is_one():
    named = {key for key, kind in nv.METHODS.items() if kind.about.floor}
    assert named == {"local_standardize", "image_standardize", "image_channel_standardize"}
    for key in named:
        assert "gain" in nv.METHODS[key].about.invariances
