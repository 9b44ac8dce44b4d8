"""Activation ranges against plain NumPy and against cases worked by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from normviz.errors import ShapeError
from normviz.observe.activations import activation_range, day_night

PERCENTILES = {"p0_1": 0.1, "p1": 1, "p25": 25, "p50": 50, "p75": 75, "p99": 99, "p99_9": 99.9}


def pre_of(shape=(17, 11, 6), seed=0, mean=0.3, std=2.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, std, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(17, 11, 6), (1, 1, 1), (1, 2, 1), (40, 50, 32)])
def test_everything_is_what_plain_numpy_says(shape):
    pre = pre_of(shape)
    wide = pre.astype(np.float64)
    found = activation_range(pre)
    for name, q in PERCENTILES.items():
        assert getattr(found, name) == pytest.approx(np.percentile(wide, q), rel=1e-9), name
    assert (found.min, found.max) == (wide.min(), wide.max())
    assert found.mean == pytest.approx(wide.mean(), rel=1e-9)
    assert found.std == pytest.approx(wide.std(), rel=1e-9, abs=1e-12)
    assert found.units == pre.size
    assert found.firing == pytest.approx((pre > 0).mean())
    np.testing.assert_allclose(found.filter_firing, (pre > 0).mean(axis=(0, 1)))
    assert found.dead == pytest.approx(np.mean((pre <= 0).all(axis=(0, 1))))


def test_a_case_by_hand():
    # Filters: one always on, one never, one on half of the time, one exactly at 0 (silent).
    pre = np.array([[[1, -1, 5, 0]], [[3, -2, -4, 0]]], np.float32)
    found = activation_range(pre)
    assert found.filter_firing == (1.0, 0.0, 0.5, 0.0)
    assert found.firing == 3 / 8
    assert found.dead == 0.5
    assert (found.min, found.p25, found.p50, found.p75, found.max) == (-4, -1.25, 0, 1.5, 5)
    assert found.mean == 0.25
    assert found.std == pytest.approx(np.sqrt(56 / 8 - 0.0625))
    assert found.saturated is None


def test_saturation_counts_units_above_the_bound():
    pre = np.array([[[5.9], [6.0], [6.1], [9.0]]], np.float32)
    assert activation_range(pre, saturation=6.0).saturated == 0.5
    assert activation_range(pre, saturation=10.0).saturated == 0.0


def test_large_offsets_do_not_spoil_the_std():
    pre = (np.arange(4, dtype=np.float32) + 30_000).reshape(2, 2, 1)
    assert activation_range(pre).std == pytest.approx(np.sqrt(1.25), rel=1e-9)


def test_constant_pre_activations():
    found = activation_range(np.full((3, 5, 2), -0.25, np.float32))
    assert (found.min, found.p99, found.max, found.std) == (-0.25, -0.25, -0.25, 0.0)
    assert (found.firing, found.dead) == (0.0, 1.0)


def test_ranges_are_plain_numbers_and_compare():
    first, again = activation_range(pre_of()), activation_range(pre_of())
    assert first == again and hash(first) == hash(again)
    values = dataclasses.asdict(first)
    assert all(type(v) in (int, float, tuple, type(None)) for v in values.values())
    assert all(type(v) is float for v in first.filter_firing)


def test_input_is_untouched_and_may_be_read_only():
    pre = pre_of()
    before = pre.copy()
    pre.flags.writeable = False
    activation_range(pre)
    np.testing.assert_array_equal(pre, before)


@pytest.mark.parametrize(
    ("bad", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "minus infinity")]
)
def test_non_finite_values_are_named_by_position(bad, name):
    pre = pre_of()
    pre[3, 2, 1] = bad
    with pytest.raises(ShapeError, match=f"pre-activations: {name} at row 3, column 2, channel 1"):
        activation_range(pre)


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 3), (4, 4, 0), (1, 4, 4, 3)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ShapeError, match=r"\(height, width, filters\)"):
        activation_range(np.zeros(shape, np.float32))


# Day against night


def test_day_and_night_are_what_plain_numpy_says():
    day, night = pre_of(seed=1), pre_of(seed=2, mean=-0.5)
    night = night + 0.7 * day
    found = day_night(day, night)
    assert found.day == activation_range(day) and found.night == activation_range(night)
    wide_day, wide_night = day.astype(float), night.astype(float)
    distance = np.abs(wide_night - wide_day).mean() / wide_day.std()
    assert found.difference == pytest.approx(distance, rel=1e-6)
    assert found.firing_difference == pytest.approx((night > 0).mean() - (day > 0).mean())


def test_a_dimmed_scene_loses_half():
    day = np.array([[[2.0], [-2.0]], [[4.0], [-4.0]]], np.float32)
    found = day_night(day, day / 2)
    assert found.difference == pytest.approx(1.5 / np.sqrt(10))
    assert found.firing_difference == 0.0


def test_fewer_firing_at_night_is_negative():
    day = np.array([[[1.0], [2.0]]], np.float32)
    assert day_night(day, day - 1.5).firing_difference == -0.5


def test_the_same_image_twice_does_not_differ():
    found = day_night(pre_of(), pre_of())
    assert (found.difference, found.firing_difference) == (0.0, 0.0)


def test_a_flat_day_has_no_difference():
    flat, lively = np.full((3, 4, 2), 0.1, np.float32), pre_of((3, 4, 2))
    dead_day, dead_night = day_night(flat, lively), day_night(lively, flat)
    assert dead_day.difference is None
    expected = np.abs(lively - 0.1).mean() / lively.std()
    assert dead_night.difference == pytest.approx(expected, rel=1e-5)


def test_two_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\(17, 11, 6\) and \(11, 17, 6\)"):
        day_night(pre_of(), pre_of((11, 17, 6)))


def test_saturation_reaches_both_sides():
    day = np.array([[[7.0], [1.0]]], np.float32)
    found = day_night(day, day / 2, saturation=6.0)
    assert (found.day.saturated, found.night.saturated) == (0.5, 0.0)
