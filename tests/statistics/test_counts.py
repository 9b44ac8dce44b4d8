"""Exact level counts and centred moments against NumPy, and the laws of merging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

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


def test_moments_keep_a_small_spread_on_a_large_mean():
    values = np.array([[[30000.0], [30010.0]]], np.float32)
    found = Moments.of(np.repeat(values, 1000, axis=0), ValueRange(0, 65535))
    assert found.mean[0] == 30005.0 and found.variance[0] == 25.0


def test_image_statistics_say_whether_they_are_exact():
    assert image_statistics(image_of(np.zeros((2, 2), np.uint16))).exact
    floats = image_statistics(image_of(np.full((2, 2), 0.25)))
    assert not floats.exact and floats.mean[0] == 0.25 and floats.std[0] == 0.0
