"""The recorder's laws: of values, of splits, of percentiles; against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from normviz.errors import ShapeError
from normviz.observe.recorder import (
    CLOSE,
    PERCENTILES,
    RELATIVE,
    Closer,
    LayerRecord,
    Recorder,
    key_of,
    value_of,
)

FINITE = st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False)
MAPS = arrays(np.float32, array_shapes(min_dims=4, max_dims=4, max_side=5), elements=FINITE)
EXACT = ("low", "high", "firing", "saturated", "keys", "counts")


def maps(*shape: int, seed: int = 0) -> np.ndarray:
    """Activations of channels that differ in mean and std, as layers give them."""
    rng = np.random.default_rng(seed)
    side = (1, shape[1], *[1] * (len(shape) - 2))
    mean, std = 3 * rng.normal(size=side), rng.uniform(0.1, 4, side)
    return (mean + std * rng.normal(size=shape)).astype(np.float32)


def assert_same_bits(a: LayerRecord, b: LayerRecord) -> None:
    assert (a.units, a.overflown) == (b.units, b.overflown)
    for name in (*EXACT, "mean", "m2"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def assert_agrees(
    record: LayerRecord, values: np.ndarray, axis: int, saturation: float | None
) -> None:
    """The record is that of the values ``(N, …)`` with channels on ``axis``."""
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    assert (record.units, record.channels) == (rows.shape[1], rows.shape[0])
    np.testing.assert_array_equal(record.low, rows.min(axis=1))
    np.testing.assert_array_equal(record.high, rows.max(axis=1))
    assert (np.abs(record.mean - rows.mean(axis=1)) <= 1e-6 * largest).all()
    assert (np.abs(record.std - rows.std(axis=1)) <= 1e-6 * largest).all()
    np.testing.assert_array_equal(record.firing, (rows > 0).sum(axis=1))
    if saturation is not None:
        np.testing.assert_array_equal(record.saturated, (rows >= saturation).sum(axis=1))
    assert record.counts.sum() == values.size
    np.testing.assert_array_equal(
        np.repeat(record.keys, record.counts), np.sort(key_of(values.reshape(-1)))
    )


@settings(max_examples=150, deadline=None)
@given(MAPS, st.sampled_from([1, -1, 2]), st.sampled_from([None, 6.0, 0.0]))
def test_a_record_is_what_numpy_says(values, axis, saturation):
    assert_agrees(LayerRecord.of(values, axis, saturation), values, axis, saturation)


@settings(max_examples=150, deadline=None)
@given(MAPS, st.data())
def test_merging_any_split_gives_the_whole(values, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(values) - 1)), max_size=3)))
    parts = [part for part in np.split(values, cuts) if len(part)]
    merged = LayerRecord.of(parts[0], 1, 6.0)
    recorder = Recorder(1, 6.0)
    recorder.add(parts[0])
    for part in parts[1:]:
        merged = merged.merge(LayerRecord.of(part, 1, 6.0))
        recorder.add(part)
    assert_agrees(merged, values, 1, 6.0)
    assert_agrees(recorder.record(), values, 1, 6.0)
    assert_same_bits(recorder.record(), merged)


@pytest.mark.parametrize("shape", [(7, 5, 31, 17), (2, 3, 300, 500), (9, 64), (4, 2, 3)])
def test_layers_of_every_size_are_counted(shape):
    # Below and above the size from which OpenCV counts instead of NumPy.
    values = maps(*shape)
    assert_agrees(LayerRecord.of(values, 1, 2.0), values, 1, 2.0)
    parts = [LayerRecord.of(values[i : i + 1], 1, 2.0) for i in range(len(values))]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    assert_agrees(merged, values, 1, 2.0)


def test_counts_are_exact_beyond_what_float32_can_count():
    # Counts above 2**24 of one value, where adding 1 in float32 stands still.
    values = np.ones((1, 1, 2**23 + 5, 1), np.float32)
    recorder = Recorder()
    for _ in range(3):
        recorder.add(values)
    record = recorder.record()
    assert record.counts.tolist() == [3 * (2**23 + 5)] == record.firing.tolist()
    for _ in range(300):
        recorder.add(values[:, :, :70_001])
    assert recorder.record().counts.tolist() == [3 * (2**23 + 5) + 300 * 70_001]


@settings(max_examples=150, deadline=None)
@given(MAPS, st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_percentiles_are_near_those_of_numpy(values, qs):
    found = LayerRecord.of(values).percentiles(qs)
    every = values.astype(np.float64)
    lower, upper = (np.percentile(every, qs, method=method) for method in ("lower", "higher"))
    off = RELATIVE * np.maximum(np.abs(lower), np.abs(upper)) + 1e-37
    assert (np.abs(found - np.percentile(every, qs)) <= off).all()


def test_percentiles_of_many_values_are_near():
    values = maps(6, 8, 40, 30)
    found = LayerRecord.of(values).percentiles()
    exact = np.percentile(values.astype(np.float64), PERCENTILES)
    assert (np.abs(found - exact) <= RELATIVE * np.abs(exact)).all()
    for seed in range(9):
        few = maps(1, 2, 3, 4, seed=seed)
        assert LayerRecord.of(few).percentiles([0, 100]).tolist() == [few.min(), few.max()]


def looked(record, *batches):
    look = Closer(record)
    for batch in batches:
        look.add(batch)
    return look


def units_of(values):
    """The two units between which each percentile lies."""
    every = np.sort(values.astype(np.float64), axis=None)
    place = np.array(PERCENTILES) / 100 * (every.size - 1)
    return every[np.floor(place).astype(int)], every[np.ceil(place).astype(int)]


@settings(max_examples=200, deadline=None)
@given(MAPS, st.data())
def test_a_second_look_is_close(values, data):
    cut = data.draw(st.integers(0, len(values)))
    record = LayerRecord.of(values)
    whole = looked(record, values).record()
    exact = np.percentile(values.astype(np.float64), PERCENTILES)
    off = CLOSE * np.abs(units_of(values)).max(axis=0) + 1e-42
    assert (np.abs(whole.percentiles() - exact) <= off).all()
    # The order and the split of the images change no bit.
    parts = looked(record, values[cut:])
    parts.merge(looked(record, values[:cut]))
    for other in (looked(record, values[cut:], values[:cut]), parts):
        assert other.record().close.tobytes() == whole.close.tobytes()
    assert whole.percentiles([50.0, 1.0]).tolist() == whole.close[[3, 1]].tolist()


@pytest.mark.parametrize("count", [40, 900])
def test_a_second_look_finds_its_place_among_many_values_of_one_key(count):
    values = maps(4, 8, 50, count)
    found = looked(LayerRecord.of(values), values[:1], values[1:]).record()
    exact = np.percentile(values.astype(np.float64), PERCENTILES)
    np.testing.assert_allclose(found.percentiles(), exact, rtol=1e-5)
    coarse = LayerRecord.of(values).percentiles()
    assert np.abs(coarse / exact - 1).max() > 5 * np.abs(found.percentiles() / exact - 1).max()


def test_a_second_look_at_whole_numbers_and_at_zeros_is_exact():
    values = np.maximum(np.rint(maps(3, 4, 60, 60) * 5), 0).astype(np.float32)
    found = looked(LayerRecord.of(values), values).record().percentiles()
    assert found.tolist() == np.percentile(values, PERCENTILES).tolist()
    assert found[2] == 0.0 and found[-1] > 5


def test_a_second_look_keeps_little():
    values = maps(4, 16, 100, 100)
    look = looked(LayerRecord.of(values), *[values] * 3)
    assert look._counted().nbytes < 150_000 and sum(one.size for one in look._found) == 0


def test_a_second_look_leaves_a_record_with_nan_as_it_is():
    values = maps(2, 2, 5, 5)
    values[0, 0, 0, 0] = np.nan
    record = LayerRecord.of(values)
    assert looked(record, values).record() is record


def test_other_percentiles_stay_as_near_as_they_were():
    values = maps(2, 3, 20, 20)
    record = LayerRecord.of(values)
    close = looked(record, values).record()
    assert close.percentiles([10.0, 50.0]).tolist() == record.percentiles([10.0, 50.0]).tolist()
    # What is merged is no longer what was looked at.
    assert close.merge(record).close is None


@pytest.mark.parametrize("axis", [1, -1])
def test_nan_and_infinities_are_counted(axis):
    values = np.moveaxis(maps(5, 4, 6, 6), 1, axis).copy()
    values[0, 0, 0, 0], values[1, 1, 1, 1], values[2, 0, 0, 0] = np.nan, np.inf, -np.inf
    record = LayerRecord.of(values[:2], axis).merge(LayerRecord.of(values[2:], axis))
    assert record.overflown == 3
    assert LayerRecord.of(values[3:], axis).overflown == 0
    assert record.counts.sum() == values.size
    rows = np.moveaxis(values, axis, 0).reshape(4, -1)
    np.testing.assert_array_equal(record.firing, (rows > 0).sum(axis=1))
    np.testing.assert_array_equal(record.low, rows.min(axis=1))
    np.testing.assert_array_equal(record.high, rows.max(axis=1))


def test_infinities_leave_the_middle_percentiles_alone():
    values = maps(1, 2, 50, 50)
    values[0, 0, 0, :2] = np.inf, -np.inf
    found = LayerRecord.of(values).percentiles([25, 50, 75])
    exact = np.percentile(values.astype(np.float64), [25, 50, 75])
    assert (np.abs(found - exact) <= RELATIVE * np.abs(exact)).all()


@pytest.mark.parametrize("mean", [1.0, 3e4, -7e5, 1e30, 0.1])
def test_a_constant_channel_has_no_std(mean):
    values = np.full((3, 2, 57, 61), mean, np.float32)
    values[:, 1] += 0 if mean > 1e20 else np.float32(abs(mean) / 2)
    record = LayerRecord.of(values)
    assert (record.std <= 1e-8 * abs(mean)).all()
    np.testing.assert_allclose(record.mean[0], np.float32(mean), rtol=1e-12)


def test_a_small_std_on_a_large_mean_is_kept():
    # Sums of squares in float32 made 0 of it.
    rng = np.random.default_rng(0)
    values = (30_000 + 5 * rng.normal(size=(8, 2, 50, 50))).astype(np.float32)
    rows = values.astype(np.float64).transpose(1, 0, 2, 3).reshape(2, -1)
    np.testing.assert_allclose(LayerRecord.of(values).std, rows.std(axis=1), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-22, 1e-17, 1e-3, 1e17, 1e30])
def test_vanishing_and_exploding_activations_keep_their_std(scale):
    values = (np.float32(scale) * maps(2, 3, 20, 20)).astype(np.float32)
    rows = values.astype(np.float64).transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(LayerRecord.of(values).std, rows.std(axis=1), rtol=1e-5)


def test_numbers_of_the_layer_are_those_of_all_units():
    values = np.maximum(maps(3, 6, 9, 7), 0)
    values[:, 2] = 0
    record = LayerRecord.of(values, saturation=4.0)
    every = values.astype(np.float64)
    assert record.layer_mean == pytest.approx(every.mean(), rel=1e-6)
    assert record.layer_std == pytest.approx(every.std(), rel=1e-6)
    assert (record.layer_low, record.layer_high) == (0.0, every.max())
    assert record.layer_firing == (every > 0).mean()
    assert record.layer_saturated == (every >= 4).mean()
    assert record.dead.tolist() == [i == 2 for i in range(6)]
    assert record.layer_dead == 1 / 6
    np.testing.assert_array_equal(record.firing_share, (every > 0).mean(axis=(0, 2, 3)))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_are_counted_as_float32(dtype):
    values = maps(2, 3, 5, 5).astype(dtype)
    assert_same_bits(LayerRecord.of(values), LayerRecord.of(values.astype(np.float32)))


def test_values_stay_untouched():
    values = maps(1, 3, 9, 9)
    values.flags.writeable = False
    before = values.copy()
    LayerRecord.of(values)
    np.testing.assert_array_equal(values, before)


def test_what_cannot_be_recorded_is_said():
    for shape in [(3,), (0, 3, 2, 2), (2, 0, 2, 2)]:
        with pytest.raises(ShapeError, match=r"Activations are \(N, …\) of at least one unit"):
            LayerRecord.of(np.zeros(shape, np.float32))
    recorder = Recorder()
    with pytest.raises(ShapeError, match="No activations were recorded"):
        recorder.record()
    recorder.add(maps(1, 3, 2, 2))
    with pytest.raises(ShapeError, match="A layer of 3 channels gave 4"):
        recorder.add(maps(1, 4, 2, 2))
    assert recorder.record().units == 4


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50))
def test_keys_are_in_the_order_of_the_values(numbers):
    values = np.sort(np.array(numbers, np.float32)) + np.float32(0)  # One zero: −0 lies below 0.
    keys = key_of(values)
    assert (np.diff(keys.astype(int)) >= 0).all()
    assert (value_of(keys, 0) <= values).all()
    assert (value_of(keys, 0xFFFF) >= values).all()
    assert (key_of(value_of(keys, 0).astype(np.float32)) == keys).all()
