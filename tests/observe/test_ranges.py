"""Ranges of a level-by-level curve: from counts, against every pixel measured and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.methods.kernels import looked_up
from normviz.observe.ranges import FINE_BINS, observe, ranges_of_pixels, ranges_of_table


def photo(dtype: type, channels: int, height=53, width=41, seed=0) -> nv.Image:
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    levels = rng.gamma(2, top / 12, (height, width, channels)).clip(top // 50, top)
    return nv.image_of(levels.astype(dtype))


def curves(levels: int, channels: int) -> np.ndarray:
    """A bend with a flat stretch, another one a channel, below and above zero."""
    u = np.linspace(0, 1, levels)[:, np.newaxis]
    return np.maximum(u, 0.1) ** np.array([0.4, 1.0, 2.5])[:channels] * 3 - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_table_is_measured_as_its_pixels_are(dtype, channels):
    image = photo(dtype, channels)
    table = curves(image.levels, channels)
    found = ranges_of_table(nv.image_statistics(image), table)
    y = np.stack([table[image.pixels[..., c], c] for c in range(channels)], axis=2)
    np.testing.assert_array_equal(found.low, y.min(axis=(0, 1)))
    np.testing.assert_array_equal(found.high, y.max(axis=(0, 1)))
    np.testing.assert_allclose(found.mean, y.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(found.std, y.std(axis=(0, 1)), rtol=1e-12)
    assert found.pooled_mean == pytest.approx(y.mean(), rel=1e-12)
    assert found.pooled_std == pytest.approx(y.std(), rel=1e-12)
    assert (found.height, found.width, found.exact) == (53, 41, True)
    for c in range(channels):
        counts, edges = np.histogram(y[..., c], FINE_BINS)
        np.testing.assert_allclose(found.edges[c], edges, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(found.counts[c], counts)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_table_agrees_with_ranges_of_pixels(dtype, channels):
    image = photo(dtype, channels)
    table = curves(image.levels, channels)
    found = ranges_of_table(nv.image_statistics(image), table)
    measured = ranges_of_pixels(looked_up(image.pixels, table), exact=True)
    for name in ("low", "high", "mean", "std", "edges"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(measured, name), rtol=1e-6, atol=1e-6, err_msg=name
        )
    assert found.counts.sum() == measured.counts.sum() == image.pixels.size
    # In float32 a value may fall to the other side of a bin's border, by one bin.
    away = np.cumsum(found.counts - measured.counts, axis=1)
    at_borders = np.abs(away).sum(axis=1) / image.pixels[..., 0].size
    assert (at_borders < 0.05).all()
    for ours, theirs in zip(found.histograms(16), measured.histograms(16), strict=True):
        assert ours.shares.sum() == pytest.approx(1)
        np.testing.assert_allclose(ours.shares, theirs.shares, atol=0.01)


def test_levels_that_no_pixel_has_do_not_widen_the_range():
    image = nv.image_of(np.array([[10, 20], [20, 30]], np.uint8))
    table = np.linspace(0, 255, 256)[:, np.newaxis] ** 2
    found = ranges_of_table(nv.image_statistics(image), table)
    assert (found.low.item(), found.high.item()) == (100, 900)
    assert found.mean.item() == (100 + 2 * 400 + 900) / 4
    assert found.counts.sum() == 4 and found.counts[0, 0] == 1 and found.counts[0, -1] == 1


def test_a_flat_result_has_a_histogram_of_one_unit():
    image = photo(np.uint8, 3)
    found = ranges_of_table(nv.image_statistics(image), np.full((256, 3), 0.25))
    np.testing.assert_array_equal(found.low, found.high)
    np.testing.assert_allclose(found.std, 0, atol=1e-12)
    np.testing.assert_allclose(found.edges[:, [0, -1]], [[0.25, 1.25]] * 3)
    np.testing.assert_array_equal(found.counts[:, 0], [53 * 41] * 3)


@pytest.mark.parametrize("key", ["gamma", "equalize", "percentile_stretch"])
def test_observing_a_curve_uses_the_counts(key):
    image = photo(np.uint8, 3)
    fitted = nv.METHODS[key]().fit()
    found = observe(image, nv.image_statistics(image), fitted)
    y = fitted.reference(image.pixels)
    assert found.exact
    np.testing.assert_allclose(found.mean, y.mean(axis=(0, 1)), rtol=1e-10)
    np.testing.assert_allclose(found.std, y.std(axis=(0, 1)), rtol=1e-10)
    np.testing.assert_allclose(found.high, y.max(axis=(0, 1)), rtol=1e-12)
