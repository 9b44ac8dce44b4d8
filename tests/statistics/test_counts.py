"""Exact level counts and centred moments against NumPy, and the laws of merging."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from normviz.errors import ShapeError
from normviz.images import ValueRange, image_of
from normviz.statistics import Counts, Moments, image_statistics

PIXELS = st.sampled_from([np.uint8, np.uint16]).flatmap(
    lambda dtype: arrays.arrays(dtype, st.tuples(*[st.integers(1, 7)] * 2, st.sampled_from([1, 3])))
)


@settings(max_examples=60, deadline=None)
@given(pixels=PIXELS)
def test_numbers_are_those_of_numpy(pixels):
    counts = Counts.of(pixels)
    flat = pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
    np.testing.assert_allclose(counts.mean, flat.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(np.sqrt(counts.variance), flat.std(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(counts.low, flat.min(axis=0))
    np.testing.assert_array_equal(counts.high, flat.max(axis=0))
    assert counts.pooled_mean == pytest.approx(flat.mean(), rel=1e-13)
    assert np.sqrt(counts.pooled_variance) == pytest.approx(flat.std(), rel=1e-9, abs=1e-9)
    for q in (0, 0.1, 25, 50, 77.7, 99, 100):
        np.testing.assert_allclose(
            counts.percentile(q), np.percentile(flat, q, axis=0), rtol=1e-12, atol=1e-9
        )


@settings(max_examples=40, deadline=None)
@given(pixels=PIXELS, cut=st.integers(0, 7), data=st.randoms())
def test_any_split_in_any_order_gives_the_same_bits(pixels, cut, data):
    whole = Counts.of(pixels)
    parts = [Counts.of(part) for part in (pixels[:cut], pixels[cut:]) if len(part)]
    parts.append(Counts.empty(pixels.shape[2], whole.levels))
    data.shuffle(parts)
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    np.testing.assert_array_equal(merged.table, whole.table)
    assert (merged.mean == whole.mean).all() and (merged.variance == whole.variance).all()


def test_blocks_do_not_change_the_counts(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (33, 10, 3), dtype=np.uint8)
    whole = Counts.of(pixels).table
    monkeypatch.setattr("normviz.statistics.counts._PIXELS_A_BLOCK", 70)
    np.testing.assert_array_equal(Counts.of(pixels).table, whole)
    for channel in range(3):
        expected = np.bincount(pixels[:, :, channel].ravel(), minlength=256)
        np.testing.assert_array_equal(whole[channel], expected)


def test_sums_beyond_64_bits_stay_exact():
    table = np.zeros((1, 65536), np.int64)
    table[0, 65535] = table[0, 65533] = 2**40
    counts = Counts(table)
    assert counts.square_sums[0] == 2**40 * (65535**2 + 65533**2) > 2**63 / 2
    assert counts.mean[0] == 65534.0 and counts.variance[0] == 1.0


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_merging_is_a_commutative_monoid(data):
    tables = arrays.arrays(np.int64, (2, 256), elements=st.integers(0, 2**50))
    a, b, c = (Counts(data.draw(tables)) for _ in range(3))
    np.testing.assert_array_equal(a.merge(b).table, b.merge(a).table)
    np.testing.assert_array_equal(a.merge(b).merge(c).table, a.merge(b.merge(c)).table)
    np.testing.assert_array_equal(a.merge(Counts.empty(2, 256)).table, a.table)


@settings(max_examples=20, deadline=None)
@given(scale=st.integers(1, 2**42))
def test_sums_of_any_size_are_those_of_python_integers(scale):
    row = np.random.default_rng(7).integers(0, 9, 65536)
    counts = Counts((row * scale)[np.newaxis])
    weighted = list(zip(row.tolist(), range(65536), strict=True))
    assert counts.sums[0] == scale * sum(n * level for n, level in weighted)
    assert counts.square_sums[0] == scale * sum(n * level * level for n, level in weighted)
    # Many copies of the same pixels have the same mean and variance, to the last bit.
    assert counts.mean[0] == Counts(row[np.newaxis]).mean[0]
    assert counts.variance[0] == Counts(row[np.newaxis]).variance[0]


def test_tables_are_read_only_and_the_callers_is_left_alone():
    table = np.ones((1, 256), np.int64)
    counts = Counts(table)
    with pytest.raises(ValueError, match="read-only"):
        counts.table[0, 0] = 5
    table[0, 0] = 1  # still writeable for its owner
    one, two = Counts.of(np.zeros((2, 2, 1), np.uint8)), Counts.of(np.ones((2, 2, 1), np.uint8))
    before = one.table.copy(), two.table.copy()
    one.merge(two)
    np.testing.assert_array_equal(one.table, before[0])
    np.testing.assert_array_equal(two.table, before[1])


def test_only_integers_are_counted():
    with pytest.raises(ShapeError, match="float32"):
        Counts.of(np.zeros((2, 2, 1), np.float32))


def test_sixteen_bit_levels_are_mapped_too():
    pixels = np.random.default_rng(1).integers(0, 65536, (9, 8, 1), dtype=np.uint16)
    table = np.random.default_rng(2).integers(0, 65536, (65536, 1), dtype=np.uint16)
    mapped = Counts.of(pixels).mapped(table)
    np.testing.assert_array_equal(mapped.table, Counts.of(table[pixels[..., 0]]).table)
    found = image_statistics(image_of(pixels)).mapped(table)
    assert found.mean[0] == pytest.approx(table[pixels[..., 0]].mean(), rel=1e-14)
    with pytest.raises(TypeError, match="integer pixels"):
        image_statistics(image_of(np.zeros((2, 2)))).mapped(table)


def test_mapped_counts_are_the_counts_of_the_mapped_image():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    table = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    mapped = np.stack([table[pixels[:, :, c], c] for c in range(3)], axis=2)
    np.testing.assert_array_equal(Counts.of(pixels).mapped(table).table, Counts.of(mapped).table)


@settings(max_examples=40, deadline=None)
@given(
    values=arrays.arrays(
        np.float32,
        st.tuples(st.integers(2, 9), st.just(4), st.just(3)),
        elements=st.floats(0, 1, width=32),
    ),
    cut=st.integers(1, 8),
)
def test_moments_merge_as_numpy_counts(values, cut):
    cut = min(cut, len(values) - 1)
    span = ValueRange(0.0, 1.0)
    merged = Moments.of(values[:cut], span).merge(Moments.of(values[cut:], span))
    flat = values.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(merged.mean, flat.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(merged.variance, flat.var(axis=0), rtol=1e-9, atol=1e-15)
    assert merged.pooled_variance == pytest.approx(flat.var(), rel=1e-9, abs=1e-15)
    for q in (1, 50, 99):
        np.testing.assert_allclose(
            merged.percentile(q), np.percentile(flat, q, axis=0), atol=1.01 / 65536
        )


def test_moments_of_blocks_are_those_of_the_whole(monkeypatch):
    values = np.random.default_rng(4).normal(0.5, 0.1, (23, 7, 3)).clip(0, 1).astype(np.float32)
    span = ValueRange(0.0, 1.0)
    whole = Moments.of(values, span)
    monkeypatch.setattr("normviz.statistics.moments._VALUES_A_BLOCK", 50)
    parts = Moments.of(values, span)
    assert parts.count == whole.count == 23 * 7
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(parts.variance, whole.variance, rtol=1e-12)
    np.testing.assert_array_equal(parts.table, whole.table)
    np.testing.assert_array_equal(parts.low, values.min(axis=(0, 1)))
    np.testing.assert_array_equal(parts.high, values.max(axis=(0, 1)))


def test_percentiles_of_floats_end_at_the_extremes_themselves():
    # Ends below and above the middle of their bins.
    for low, high in ((0.2 / 65536, 1 - 0.2 / 65536), (0.8 / 65536, 1 - 0.8 / 65536)):
        values = np.array([[[low], [0.3], [high]]], np.float32)
        found = Moments.of(values, ValueRange(0.0, 1.0))
        assert found.percentile(0)[0] == values.min() and found.percentile(100)[0] == values.max()
    assert found.percentile(50)[0] == pytest.approx(0.3, abs=1 / 65536)
    alone = Moments.of(values[:, :1], ValueRange(0.0, 1.0))
    assert [alone.percentile(q)[0] for q in (0, 37, 100)] == [values[0, 0, 0]] * 3


@settings(max_examples=20, deadline=None)
@given(mean=st.floats(-1e4, 1e4), spread=st.floats(1e-2, 1e2), cuts=st.lists(st.integers(1, 199)))
def test_merging_many_parts_keeps_what_float64_knows(mean, spread, cuts):
    values = np.random.default_rng(0).normal(mean, spread, (200, 1, 1)).astype(np.float32)
    span = ValueRange(-1e5, 1e5)
    borders = [0, *sorted(set(cuts)), 200]
    parts = [Moments.of(values[a:b], span) for a, b in itertools.pairwise(borders)]
    merged = functools.reduce(Moments.merge, parts)
    flat = values.astype(np.float64)
    assert merged.count == 200
    assert merged.mean[0] == pytest.approx(flat.mean(), rel=1e-13, abs=1e-13)
    assert merged.variance[0] == pytest.approx(flat.var(), rel=1e-11)


def test_moments_keep_a_small_spread_on_a_large_mean():
    values = np.array([[[30000.0], [30010.0]]], np.float32)
    found = Moments.of(np.repeat(values, 1000, axis=0), ValueRange(0, 65535))
    assert found.mean[0] == 30005.0 and found.variance[0] == 25.0


def test_image_statistics_say_whether_they_are_exact():
    assert image_statistics(image_of(np.zeros((2, 2), np.uint16))).exact
    floats = image_statistics(image_of(np.full((2, 2), 0.25)))
    assert not floats.exact and floats.mean[0] == 0.25 and floats.std[0] == 0.0
