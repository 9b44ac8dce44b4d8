"""Min–max, percentile stretch and robust scaling against NumPy, hand sums and other libraries."""

from __future__ import annotations

import statistics

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PillowImage
from PIL import ImageOps

import normviz as nv
from normviz.samples import load_sample

AXES = {"image": None, "channel": (0, 1)}


def photo(height=17, width=11, seed=0) -> np.ndarray:
    shade = np.linspace(30, 200, width)[:, np.newaxis] * np.array([0.6, 0.9, 1.2])
    grain = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    return np.clip(shade + grain, 0, 255).astype(np.uint8)


def at_depth(pixels: np.ndarray, dtype: type) -> np.ndarray:
    if dtype == np.uint8:
        return pixels
    return (pixels * 257.0).astype(dtype) if dtype == np.uint16 else (pixels / 255).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("key", "axes"), [("min_max", None), ("channel_min_max", (0, 1))])
def test_min_max_is_numpy_at_every_depth(key, axes, dtype):
    pixels = photo()
    x = pixels.astype(float)
    low, high = x.min(axis=axes), x.max(axis=axes)
    fitted, given = nv.METHODS[key]().fit(), at_depth(pixels, dtype)
    done = fitted(given)
    np.testing.assert_allclose(done, (x - low) / (high - low), atol=2e-7)
    np.testing.assert_allclose(fitted.reference(given), (x - low) / (high - low), atol=2e-7)
    assert done.min() == 0 and done.max() == 1


def test_one_hot_pixel_sets_the_scale_of_min_max_but_not_of_percentiles():
    pixels = np.full((20, 20, 3), 50, np.uint8)
    pixels[::2] = 100
    pixels[3, 4, 1] = 250
    assert nv.METHODS["min_max"]().fit()(pixels)[0, 0, 0] == np.float32(50 / 200)
    assert nv.METHODS["percentile_stretch"]().fit()(pixels)[0, 0, 0] == 1
    others = nv.METHODS["channel_min_max"]().fit()(pixels)[0, 0]
    np.testing.assert_allclose(others, [1, 0.25, 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("over", AXES)
@pytest.mark.parametrize("beyond", ["cut", "keep"])
@pytest.mark.parametrize(("low", "high"), [(2.0, 98.0), (0.0, 100.0), (12.5, 61.0), (50.0, 99.9)])
def test_percentile_stretch_is_numpy(low, high, beyond, over, dtype):
    pixels = photo()
    x = pixels.astype(float)
    ends = np.percentile(x, [low, high], axis=AXES[over])
    expected = (x - ends[0]) / (ends[1] - ends[0])
    if beyond == "cut":
        expected = np.clip(expected, 0, 1)
    method = nv.METHODS["percentile_stretch"](low=low, high=high, over=over, beyond=beyond)
    done = method.fit()(at_depth(pixels, dtype))
    np.testing.assert_allclose(done, expected, rtol=1e-5, atol=2e-6)


def test_percentiles_by_hand():
    # Eleven values: P10 is the second, P25 lies half way between the third and the fourth.
    pixels = np.array([0, 10, 20, 40, 50, 60, 70, 80, 90, 100, 200], np.uint8).reshape(1, 11, 1)
    done = nv.METHODS["percentile_stretch"](low=25.0, high=90.0, beyond="keep").fit()(pixels)
    np.testing.assert_allclose(done.ravel(), (pixels.ravel() - 30.0) / 70, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    pixels=arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 5), st.sampled_from([1, 3]))
    ),
    low=st.floats(0, 50),
    high=st.floats(50, 100),
    over=st.sampled_from(list(AXES)),
    scale=st.sampled_from(["iqr", "mad", "mad_normal"]),
)
def test_numbers_from_counts_are_those_of_the_sorted_pixels(pixels, low, high, over, scale):
    for method in (
        nv.METHODS["percentile_stretch"](low=low, high=high, over=over),
        nv.METHODS["percentile_stretch"](low=low, high=high, over=over, beyond="keep"),
        nv.METHODS["robust"](over=over, scale=scale),
    ):
        reference = method.fit().reference(pixels)
        # A divisor may be as small as rounding where both percentiles are nearly one.
        # With one gain for all channels, float32 may round it and the bias as well as the result.
        slack = 1e-6 * max(1.0, np.abs(reference).max())
        if np.abs(reference).max() < 1e6:
            np.testing.assert_allclose(method.fit()(pixels), reference, rtol=1e-5, atol=slack)


@pytest.mark.parametrize(
    "values", [[3, 9, 40, 41, 200], [3, 9, 40, 41], [0, 0, 7, 250, 251, 252], [9, 10]]
)
def test_robust_is_the_median_and_spread_of_the_textbook(values):
    pixels = np.array(values, np.uint8).reshape(1, -1, 1)
    middle = statistics.median(values)
    mad = statistics.median([abs(value - middle) for value in values])
    quarters = statistics.quantiles(values, n=4, method="inclusive")
    for scale, spread in (
        ("mad", mad),
        ("mad_normal", 1.4826 * mad),
        ("iqr", quarters[2] - quarters[0]),
    ):
        expected = [(value - middle) / spread for value in values]
        method = nv.METHODS["robust"](scale=scale).fit()
        np.testing.assert_allclose(method(pixels).ravel(), expected, rtol=1e-6, err_msg=scale)
        np.testing.assert_allclose(method.reference(pixels).ravel(), expected, rtol=1e-12)


def test_mad_times_1_4826_is_the_std_of_a_normal_distribution():
    grain = np.random.default_rng(0).normal(0.5, 0.05, (300, 300, 3)).astype(np.float32)
    done = nv.METHODS["robust"](scale="mad_normal").fit()(grain)
    assert done.std() == pytest.approx(1, abs=0.01)
    assert nv.METHODS["robust"](scale="iqr").fit()(grain).std() == pytest.approx(
        1 / 1.349, abs=0.01
    )


@pytest.mark.parametrize("over", AXES)
def test_a_spread_of_zero_is_replaced_by_the_value_range(over):
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[0, 0] = 51  # more than half are black: median, IQR and MAD are 0
    for scale in ("iqr", "mad", "mad_normal"):
        done = nv.METHODS["robust"](scale=scale, over=over).fit()
        np.testing.assert_allclose(done(pixels)[0, 0], 0.2, rtol=1e-6)
        np.testing.assert_allclose(done(pixels.astype(np.uint16) * 257)[0, 0], 0.2, rtol=1e-6)
    stretch = nv.METHODS["percentile_stretch"](low=10.0, high=60.0, over=over).fit()
    np.testing.assert_allclose(stretch(pixels)[0, 0], 0.2, rtol=1e-6)


def test_each_channel_takes_away_gains_and_offsets_of_each_channel():
    u = photo().astype(float) / 255
    changed = u * np.array([0.4, 1.3, 2.2]) + np.array([0.3, 0.0, 0.5])
    for key in ("robust", "percentile_stretch"):
        common, each = nv.METHODS[key](), nv.METHODS[key](over="channel")
        assert common.about.invariances == {"gain", "offset"}
        assert each.about.invariances == {"gain", "offset", "channel_gain", "channel_offset"}
        assert common.about.reduces == ("H", "W", "C") and each.about.reduces == ("H", "W")
        assert nv.METHODS[key].about is common.about
        base = each.fit().reference(u, (0, 4))
        np.testing.assert_allclose(each.fit().reference(changed, (0, 4)), base, atol=1e-9)
        seen = common.fit().reference(changed, (0, 4)) - common.fit().reference(u, (0, 4))
        assert np.abs(seen).max() > 0.1
        again = nv.from_json(each.fit().to_json())
        assert again.method.about == each.about


def test_ranks_of_floats_do_not_suffer_from_a_range_declared_too_wide():
    values = np.random.default_rng(2).uniform(0.2, 0.8, (30, 20, 3)).astype(np.float32)
    for key in ("robust", "percentile_stretch"):
        for parameters in ({}, {"over": "channel"}):
            method = nv.METHODS[key](**parameters).fit()
            wide, own = method(values, (0.0, 65535.0)), method(values, (0.0, 1.0))
            np.testing.assert_allclose(wide, own, rtol=1e-5, atol=1e-5)
    kept = nv.METHODS["percentile_stretch"](beyond="keep").fit()
    np.testing.assert_allclose(kept(values, (0.0, 65535.0)), kept(values), rtol=1e-5, atol=1e-5)


COFFEE = load_sample("coffee").pixels
# Ten levels from 100 up: where an epsilon in the divisor is seen best.
LOW_CONTRAST = (100 + photo() // 26).astype(np.uint8)


@pytest.mark.parametrize("pixels", [COFFEE, LOW_CONTRAST], ids=["coffee", "low contrast"])
def test_opencv_normalize_is_min_max_over_all_channels(pixels):
    theirs = cv2.normalize(pixels, None, 0, 1, cv2.NORM_MINMAX, dtype=cv2.CV_32F)
    np.testing.assert_allclose(nv.METHODS["min_max"]().fit()(pixels), theirs, atol=3e-6)


def test_pillow_autocontrast_is_channel_min_max_cut_off_to_bytes():
    theirs = np.asarray(ImageOps.autocontrast(PillowImage.fromarray(COFFEE)))
    ours = 255 * nv.METHODS["channel_min_max"]().fit().reference(COFFEE)
    assert np.all(ours - theirs > -1e-9) and 0.5 < (ours - theirs).max() < 1 + 1e-9
    flat = np.full((5, 5, 3), 90, np.uint8)
    assert (np.asarray(ImageOps.autocontrast(PillowImage.fromarray(flat))) == 90).all()
    np.testing.assert_allclose(nv.METHODS["channel_min_max"]().fit()(flat), 0, atol=1e-9)


def test_scikit_image_rescale_intensity():
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    theirs = exposure.rescale_intensity(COFFEE, out_range=(0.0, 1.0))
    np.testing.assert_allclose(nv.METHODS["min_max"]().fit()(COFFEE), theirs, atol=1e-7)
    ends = tuple(np.percentile(COFFEE, (2, 98)))
    theirs = exposure.rescale_intensity(COFFEE, in_range=ends, out_range=(0.0, 1.0))
    ours = nv.METHODS["percentile_stretch"]().fit()(COFFEE)
    np.testing.assert_allclose(ours, theirs, atol=1e-7)
    sparse = np.zeros((9, 9, 1), np.uint8)
    sparse[4, 4] = 51  # both percentiles are 0
    assert not exposure.rescale_intensity(sparse, in_range=(0, 0), out_range=(0.0, 1.0)).any()
    assert nv.METHODS["percentile_stretch"]().fit()(sparse)[4, 4] == np.float32(0.2)


def test_scikit_learn_scalers_on_pixels_as_rows():
    preprocessing = pytest.importorskip(
        "sklearn.preprocessing", reason="scikit-learn is not installed"
    )
    pixels = COFFEE * np.array([1, 0, 1], np.uint8)  # a channel whose spread is 0
    rows = pixels.reshape(-1, 3).astype(float)
    for key, parameters, scaled in (
        ("channel_min_max", {}, preprocessing.minmax_scale(rows)),
        ("robust", {"over": "channel"}, preprocessing.robust_scale(rows)),
    ):
        ours = nv.METHODS[key](**parameters).fit().reference(pixels)
        np.testing.assert_allclose(ours.reshape(-1, 3), scaled, atol=1e-12, err_msg=key)


def test_scipy_mad_of_a_normal_distribution_has_more_digits():
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    mad = stats.median_abs_deviation(COFFEE, axis=None)
    ratio = stats.median_abs_deviation(COFFEE, axis=None, scale="normal") / (1.4826 * mad)
    assert ratio - 1 == pytest.approx(1.5e-6, abs=1e-7)
    ours = nv.METHODS["robust"](scale="mad").fit().reference(COFFEE)
    np.testing.assert_allclose(ours, (COFFEE - np.median(COFFEE)) / mad, rtol=1e-12, atol=1e-12)


def test_monai_scale_intensity():
    transforms = pytest.importorskip("monai.transforms", reason="MONAI is not installed")
    planes = COFFEE.transpose(2, 0, 1).astype(np.float32)
    theirs = np.asarray(transforms.ScaleIntensity()(planes)).transpose(1, 2, 0)
    np.testing.assert_allclose(nv.METHODS["min_max"]().fit()(COFFEE), theirs, atol=1e-6)
    cut = transforms.ScaleIntensityRangePercentiles(2, 98, 0, 1, clip=True)
    theirs = np.asarray(cut(planes)).transpose(1, 2, 0)
    ours = nv.METHODS["percentile_stretch"]().fit()(COFFEE)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_kornia_adds_a_millionth_to_the_range():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    enhance = pytest.importorskip("kornia.enhance", reason="Kornia is not installed")
    tensor = torch.from_numpy(COFFEE.transpose(2, 0, 1).copy()).double()[None] / 255
    theirs = enhance.normalize_min_max(tensor)[0].numpy().transpose(1, 2, 0)
    u = COFFEE / 255
    low, high = u.min(axis=(0, 1)), u.max(axis=(0, 1))
    np.testing.assert_allclose(theirs, (u - low) / (high - low + 1e-6), atol=1e-12)
    ours = nv.METHODS["channel_min_max"]().fit().reference(COFFEE)
    assert np.abs(ours - theirs).max() == pytest.approx(1e-6, rel=0.05)


def test_albumentations_adds_a_ten_thousandth_of_a_level():
    A = pytest.importorskip("albumentations", reason="Albumentations is not installed")
    for key, mode, axes in (
        ("min_max", "min_max", None),
        ("channel_min_max", "min_max_per_channel", (0, 1)),
    ):
        for pixels, away in ((COFFEE, 4e-7), (LOW_CONTRAST, 1e-5)):
            theirs = A.Normalize(normalization=mode)(image=pixels)["image"]
            x = pixels.astype(float)
            low, high = x.min(axis=axes), x.max(axis=axes)
            np.testing.assert_allclose(theirs, (x - low) / (high - low + 1e-4), atol=2e-7)
            ours = nv.METHODS[key]().fit().reference(pixels)
            gap = np.abs(ours - theirs).max()
            assert 0.5 * away < gap < 2.5 * away, (key, gap)
        code = nv.METHODS[key]().fit().code("albumentations")
        assert f'normalization="{mode}") differs' in code and "1e-4" in code


@pytest.mark.parametrize(
    ("key", "parameters"),
    [
        ("min_max", {}),
        ("channel_min_max", {}),
        *(("percentile_stretch", {"over": o, "beyond": b}) for o in AXES for b in ("cut", "keep")),
        *(("robust", {"over": o, "scale": s}) for o in AXES for s in ("iqr", "mad", "mad_normal")),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_numpy_code_of_every_choice(key, parameters, channels):
    fitted = nv.METHODS[key](**parameters).fit()
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    sparse = np.zeros((6, 7, 3), np.uint8)
    sparse[0, :2] = 200
    for pixels in (photo(), sparse, np.full((2, 2, 3), 9, np.uint8)):
        pixels = pixels[:, :, :channels]
        done = scope["normalize"](pixels)
        assert done.dtype == np.float32
        np.testing.assert_allclose(done, fitted(pixels), rtol=1e-5, atol=1e-6)
