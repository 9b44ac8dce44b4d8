"""Exposure, colour temperature and shot noise against physics and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normviz.errors import ParameterError
from normviz.images import image_of
from normviz.light import (
    QUANTILES,
    Light,
    _black_body,
    _daylight,
    chromaticity,
    level_table,
    linear_to_srgb,
    noise_table,
    poisson_quantiles,
    relight,
    srgb_to_linear,
    tint,
)

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def byte_image(channels: int = 3, seed: int = 0, height: int = 17, width: int = 11):
    shape = (height, width, channels)
    return image_of(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


# Curve


@pytest.mark.parametrize(
    ("encoded", "linear"),
    [(0, 0.0), (10, 0.003035269835), (11, 0.003346535764), (128, 0.2158605001), (255, 1.0)],
)
def test_srgb_curve_has_the_values_of_the_standard(encoded, linear):
    assert srgb_to_linear(np.array(encoded / 255)) == pytest.approx(linear, abs=1e-10)


def test_srgb_toe_is_linear_and_the_two_pieces_meet():
    assert srgb_to_linear(np.array(0.04)) == pytest.approx(0.04 / 12.92, rel=1e-12)
    assert srgb_to_linear(np.array(0.04045)) == pytest.approx(0.0031308, abs=1e-7)
    assert linear_to_srgb(np.array(0.003)) == pytest.approx(0.03876, rel=1e-12)


def test_encoding_undoes_decoding():
    u = np.linspace(0, 1, 5001)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(u)), u, atol=1e-7)


# Colour temperature


@pytest.mark.parametrize(
    ("kelvin", "x", "y", "tolerance"),
    [
        (2000, 0.5267, 0.4133, 1e-4),  # black body, Wyszecki and Stiles
        (2856, 0.4476, 0.4074, 5e-4),  # illuminant A; Krystek's fit is that close
        (5003, 0.3457, 0.3585, 2e-4),  # D50
        (5503, 0.3324, 0.3474, 2e-4),  # D55
        (6504, 0.3127, 0.3290, 2e-4),  # D65
        (7504, 0.2990, 0.3149, 2e-4),  # D75
    ],
)
def test_chromaticity_of_the_standard_illuminants(kelvin, x, y, tolerance):
    assert chromaticity(kelvin) == pytest.approx((x, y), abs=tolerance)


@pytest.mark.parametrize("seam", [4000, 5000, 7000])
def test_the_pieces_of_the_locus_meet(seam):
    below, above = chromaticity(seam - 1e-6), chromaticity(seam + 1e-6)
    # The daylight polynomials of the CIE themselves miss each other by 1e-5 at 7000 K.
    assert below == pytest.approx(above, abs=3e-5)


def test_the_locus_has_no_jump_anywhere():
    x, y = np.array([chromaticity(kelvin) for kelvin in range(2000, 15001)]).T
    # It bends slowly, so each step of 1 K is close to the one before.
    for coordinate in (x, y):
        assert np.abs(np.diff(coordinate, n=2)).max() < 4e-5


@pytest.mark.parametrize("kelvin", [2000, 3000, 4000])
def test_black_body_is_plancks_law_seen_by_the_standard_observer(kelvin):
    # The observer as the sums of Gaussians of Wyman, Sloan and Shirley (JCGT 2, 2013), which are
    # good to about 0.002 in chromaticity.
    wave = np.arange(360.0, 831.0)

    def bump(height, peak, left, right):
        return height * np.exp(-0.5 * ((wave - peak) / np.where(wave < peak, left, right)) ** 2)

    observer = [
        bump(1.056, 599.8, 37.9, 31.0)
        + bump(0.362, 442.0, 16.0, 26.7)
        + bump(-0.065, 501.1, 20.4, 26.2),
        bump(0.821, 568.8, 46.9, 40.5) + bump(0.286, 530.9, 16.3, 31.1),
        bump(1.217, 437.0, 11.8, 36.0) + bump(0.681, 459.0, 26.0, 13.8),
    ]
    radiance = wave**-5 / np.expm1(1.438777e7 / (wave * kelvin))
    xyz = np.array([(response * radiance).sum() for response in observer])
    assert chromaticity(kelvin) == pytest.approx(tuple(xyz[:2] / xyz.sum()), abs=4e-3)


def test_between_the_loci_light_is_mixed_at_equal_luminance():
    def at_luminance_one(x, y):
        return np.array([x / y, 1.0, (1 - x - y) / y])

    black, day = at_luminance_one(*_black_body(4250)), at_luminance_one(*_daylight(4250))
    assert np.abs(black - day).max() > 0.005
    mixed = at_luminance_one(*chromaticity(4250))
    np.testing.assert_allclose(mixed, 0.75 * black + 0.25 * day, rtol=1e-12)


def test_tint_is_exactly_one_at_6500():
    assert tint(6500.0).tolist() == [1.0, 1.0, 1.0]


@given(st.floats(2000, 15000))
def test_tint_keeps_the_luminance_of_grey_and_stays_positive(kelvin):
    factors = tint(kelvin)
    assert factors @ LUMINANCE == pytest.approx(1, abs=1e-12)
    assert factors.min() > 0


def test_tint_goes_from_orange_to_blue():
    ratio = [tint(k)[0] / tint(k)[2] for k in np.linspace(2000, 15000, 200)]
    assert np.all(np.diff(ratio) < 0)
    assert tint(2000)[0] > 2 and tint(15000)[2] > 1.5


# Level tables


@pytest.mark.parametrize("levels", [256, 65536])
def test_neutral_table_is_the_identity(levels):
    table = level_table(Light(), levels, 3)
    assert table.dtype == (np.uint8 if levels == 256 else np.uint16)
    np.testing.assert_array_equal(table, np.arange(levels)[:, None].repeat(3, 1))


@settings(deadline=None)
@given(st.floats(-8, 8), st.floats(2000, 15000), st.sampled_from([1, 3]))
def test_tables_are_monotone(ev, kelvin, channels):
    table = level_table(Light(ev, kelvin), 256, channels).astype(int)
    assert table.shape == (256, channels)
    assert np.all(np.diff(table, axis=0) >= 0)
    assert np.all(table[0] == 0)


def test_one_ev_doubles_linear_light_below_clipping():
    for levels in (256, 65536):
        linear = srgb_to_linear(np.arange(levels) / (levels - 1))
        table = level_table(Light(ev=1), levels, 1)[:, 0]
        out = srgb_to_linear(table / (levels - 1))
        free = linear < 0.5
        # Half a level, times the steepest slope of the decoding curve (2.275 at white).
        np.testing.assert_allclose(out[free], 2 * linear[free], atol=0.5 / (levels - 1) * 2.28)
        assert np.all(table[linear > 0.5] == levels - 1)


def test_a_table_needs_256_or_65536_levels():
    with pytest.raises(ParameterError, match="256 or 65536 levels; got 100"):
        level_table(Light(), 100, 3)


# Relighting without noise


@pytest.mark.parametrize("seed", [0, 9])
def test_neutral_light_returns_the_same_object(seed):
    image = byte_image()
    assert relight(image, Light(seed=seed)) is image


def test_grey_is_exposed_but_not_tinted():
    image = byte_image(channels=1)
    assert relight(image, Light(kelvin=3000)) is image
    brighter = relight(image, Light(ev=1, kelvin=3000)).pixels
    np.testing.assert_array_equal(brighter, relight(image, Light(ev=1)).pixels)
    assert brighter.shape == (17, 11, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_pixel_goes_through_its_channels_table(dtype, channels):
    top = np.iinfo(dtype).max
    shape = (17, 11, channels)
    pixels = np.random.default_rng(1).integers(0, top + 1, shape, dtype=dtype)
    light = Light(ev=-1.5, kelvin=3200)
    out = relight(image_of(pixels), light).pixels
    table = level_table(light, top + 1, channels)
    assert out.dtype == dtype
    for channel in range(channels):
        np.testing.assert_array_equal(out[..., channel], table[pixels[..., channel], channel])


def test_floats_follow_the_definition_over_their_declared_range():
    u = np.random.default_rng(2).random((5, 7, 3))
    image = image_of((u * 4 - 1).astype(np.float32), value_range=(-1, 3))
    out = relight(image, Light(ev=-2, kelvin=8000))
    linear = np.where(u <= 0.04045, u / 12.92, ((u + 0.055) / 1.055) ** 2.4) * 0.25 * tint(8000)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert out.pixels.dtype == np.float32 and out.value_range == (-1, 3)
    np.testing.assert_allclose(out.pixels, expected * 4 - 1, atol=2e-6)


@settings(deadline=None, max_examples=30)
@given(st.floats(-3, 0), st.floats(-3, 0))
def test_exposures_of_floats_add_up(first, second):
    image = image_of(np.random.default_rng(3).random((4, 6, 3)).astype(np.float32))
    twice = relight(relight(image, Light(ev=first)), Light(ev=second)).pixels
    once = relight(image, Light(ev=first + second)).pixels
    np.testing.assert_allclose(twice, once, atol=1e-5)


def test_blocks_join_without_a_seam():
    ramp = np.linspace(0, 1, 70_000 * 3, dtype=np.float32).reshape(700, 100, 3)
    out = relight(image_of(ramp), Light(ev=-1)).pixels
    expected = linear_to_srgb(srgb_to_linear(ramp) / 2)
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_path_label_and_input_survive():
    pixels = byte_image().pixels.copy()
    image = image_of(pixels, path="a.png", label="cat", notes=("turned",))
    before = pixels.copy()
    out = relight(image, Light(ev=1, noise=10))
    assert (out.path, out.label, out.notes) == ("a.png", "cat", ("turned",))
    assert not out.pixels.flags.writeable
    np.testing.assert_array_equal(pixels, before)
    assert out.digest != image.digest


# Noise


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 37.5, 1000.0])
def test_summed_quantiles_are_the_definition(mean):
    number = 64
    found = poisson_quantiles(np.array([mean, 5.0]), number)[0]
    counts = np.arange(int(mean + 12 * math.sqrt(mean) + 30))
    log_p = [c * math.log(mean) - mean - math.lgamma(c + 1) if mean else 0.0 for c in counts]
    cumulative = np.cumsum(np.exp(log_p)) if mean else np.ones(1)
    midpoints = (np.arange(number) + 0.5) / number
    np.testing.assert_array_equal(found, np.searchsorted(cumulative, midpoints))


def test_the_normal_expansion_is_within_one_count():
    mean = 1500.0
    counts = np.arange(3000)
    log_p = counts * math.log(mean) - mean - np.array([math.lgamma(c + 1) for c in counts])
    midpoints = (np.arange(QUANTILES) + 0.5) / QUANTILES
    exact = np.searchsorted(np.cumsum(np.exp(log_p)), midpoints)
    off = np.abs(poisson_quantiles(np.array([mean]), QUANTILES)[0] - exact)
    assert off.max() <= 1 and off.mean() < 0.01


def test_outcomes_grow_and_average_to_the_level():
    table = noise_table(Light(noise=1), 1)
    assert table.shape == (1, 256, QUANTILES) and table.dtype == np.uint8
    assert np.all(np.diff(table.astype(int), axis=2) >= 0)
    # Below the bend of the curve and away from clipping the mean level stays within rounding.
    np.testing.assert_allclose(table[0, 60:240].mean(axis=1), np.arange(60, 240), atol=0.3)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_noise_has_the_mean_and_variance_of_photon_counting(kind):
    noise, level = 3.0, 180
    pixels = np.full((300, 200, 3), level, np.uint8)
    if kind == "uint16":
        pixels = pixels.astype(np.uint16) * 257
    elif kind == "float32":
        pixels = (pixels / 255).astype(np.float32)
    image = image_of(pixels)
    out = relight(image, Light(ev=-1, noise=noise))
    linear = srgb_to_linear((out.pixels - image.value_range.low) / image.value_range.span)
    electrons = (100 / noise) ** 2
    expected = srgb_to_linear(np.array(level / 255)) / 2
    variance = expected / electrons
    standard_error = math.sqrt(variance / linear.size)
    # An 8-bit output adds its rounding, at most half a level, that averages out to below 0.02 %.
    assert abs(linear.mean() - expected) < 5 * standard_error + 2e-4 * expected
    assert linear.var() == pytest.approx(variance, rel=0.03)


def test_noise_at_white_has_the_stated_std():
    grey = noise_table(Light(ev=-1, noise=5), 1)[0, 255]
    linear = srgb_to_linear(grey / 255)
    # Half the light, so the std is 5 % of white times the root of one half.
    assert linear.std() == pytest.approx(0.05 * math.sqrt(0.5), rel=0.01)


def test_darker_is_relatively_noisier():
    image = image_of(np.full((200, 200, 1), 200, np.uint8))
    share = []
    for ev in (0, -4):
        linear = srgb_to_linear(relight(image, Light(ev=ev, noise=2)).pixels / 255)
        share.append(linear.std() / linear.mean())
    assert share[1] / share[0] == pytest.approx(4, rel=0.05)


def test_black_stays_black_and_a_full_sensor_stays_white():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[2:] = 255
    for image in (image_of(pixels), image_of(pixels / 255)):
        out = relight(image, Light(ev=4, noise=5)).pixels
        assert np.all(out[:2] == 0) and np.all(out[2:] == image.value_range.high)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_same_seed_same_bits_other_seed_other_bits(dtype):
    pixels = byte_image(height=300, width=301).pixels
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    image = image_of((pixels.astype(np.float64) * scale).astype(dtype))
    again = image_of(image.pixels.copy(), path="elsewhere.png")
    first = relight(image, Light(noise=10, seed=1)).pixels
    np.testing.assert_array_equal(first, relight(again, Light(noise=10, seed=1)).pixels)
    assert np.mean(first != relight(image, Light(noise=10, seed=2)).pixels) > 0.5


def test_another_image_gets_another_noise_from_the_same_seed():
    pixels = np.full((50, 60, 3), 128, np.uint8)
    first = relight(image_of(pixels), Light(noise=10)).pixels
    pixels = pixels.copy()
    pixels[0, 0] = 0
    second = relight(image_of(pixels), Light(noise=10)).pixels
    assert np.mean(first != second) > 0.9


def test_noise_is_independent_between_pixels_channels_and_blocks():
    side = 300  # 90,000 pixels: more than one block of 65,536
    image = image_of(np.full((side, side, 3), 150, np.uint8))
    out = relight(image, Light(noise=10)).pixels.astype(float).reshape(-1, 3)
    limit = 4.5 / math.sqrt(24_000)
    for a, b in (
        (out[:-1, 0], out[1:, 0]),
        (out[:, 0], out[:, 1]),
        (out[:, 1], out[:, 2]),
        (out[:24_000, 0], out[65_536 : 65_536 + 24_000, 0]),
    ):
        assert abs(np.corrcoef(a, b)[0, 1]) < limit


def test_channels_use_their_own_outcomes():
    light = Light(kelvin=2500, noise=8)
    table = noise_table(light, 3)
    pixels = np.random.default_rng(5).integers(0, 256, (256, 300, 3), dtype=np.uint8)
    out = relight(image_of(pixels), light).pixels
    for channel in range(3):
        for level in (20, 120, 250):
            hit = out[..., channel][pixels[..., channel] == level]
            assert np.isin(hit, table[channel, level]).all()
            expected = table[channel, level].mean()
            spread = table[channel, level].std() / math.sqrt(hit.size)
            assert abs(hit.mean() - expected) < 4.5 * spread + 1e-9


# Settings


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"ev": 9}, r"Exposure \(ev\) is from -8 to 8 EV; got 9"),
        ({"ev": math.nan}, "Exposure .* got nan"),
        ({"kelvin": 1999}, r"from 2000 to 15000 K; got 1999"),
        ({"noise": -1}, r"from 0 to 50 %; got -1"),
        ({"noise": 0.001}, "Shot noise .* is 0 or at least 0.01 %; got 0.001"),
        ({"noise": "3"}, "got '3'"),
        ({"seed": -1}, r"Seed \(seed\) is a whole number from 0 to 4294967295; got -1"),
        ({"seed": 1.5}, "whole number"),
        ({"ev": True}, "got True"),
    ],
)
def test_settings_out_of_range_are_refused(settings_, message):
    with pytest.raises(ParameterError, match=message):
        Light(**settings_)


@pytest.mark.parametrize("change", [{"ev": 0.1}, {"kelvin": 6400}, {"noise": 1}])
def test_any_change_but_the_seed_is_not_neutral(change):
    assert Light().neutral and Light(seed=3).neutral
    assert not Light(**change).neutral


def test_electrons_at_white():
    assert Light(noise=10).electrons_at_white == pytest.approx(100)
    assert Light().electrons_at_white == math.inf


def test_noise_table_without_noise_is_refused():
    with pytest.raises(ParameterError, match="noise above 0"):
        noise_table(Light(), 3)
