"""Physical light: sRGB ↔ linear light, exposure in EV, colour temperature and shot noise.

A day and a night photo of one scene differ in linear light, before the camera's curve. So pixels
are decoded to linear light, scaled, counted as photo-electrons, clipped and encoded again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np

from normviz.errors import ParameterError
from normviz.images import Image, ValueRange, level_count

NEUTRAL_KELVIN = 6500.0
"""The colour temperature that the camera is balanced for; light of it leaves colours alone."""

QUANTILES = 1024
"""How many equally likely shot-noise outcomes each 8-bit level of a channel is given."""

# Rows: X, Y, Z (D65 white) to linear R, G, B; IEC 61966-2-1, four decimals as printed there.
XYZ_TO_RGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])

# White is then 10⁸ photo-electrons; far fewer percent would overflow the counts.
_LEAST_NOISE = 0.01
# Up to this mean the Poisson distribution is summed, above it a normal expansion is within half
# an electron of it.
_SUMMED_MEAN = 1000.0
# 65,536 pixels keep a block's random numbers and indices inside the cache; measured with 12 MP.
_PIXELS_A_BLOCK = 1 << 16
_THREADS = 2


def _setting(
    default: float, label: str, help: str, low: float, high: float, step: float, unit: str = ""
) -> Any:
    facts = {"label": label, "help": help, "low": low, "high": high, "step": step}
    return field(default=default, metadata={**facts, "choices": None, "unit": unit})


@dataclass(frozen=True)
class Light:
    """What light a scene is shown in, and how coarse the camera counts it.

    ``ev`` −8…8: exposure; one step doubles linear light. ``kelvin`` 2000…15000: colour of the
    light seen by a camera balanced for 6500 K (low is orange, high is blue). ``noise`` 0 or
    0.01…50: standard deviation of the shot noise at white, in percent of white; white is then
    (100/noise)² photo-electrons. ``seed`` 0…2³²−1: which noise.

    Raises :class:`ParameterError` for a value outside of its range.

    >>> Light(ev=-3).neutral, Light(seed=7).neutral
    (False, True)
    """

    ev: float = _setting(
        0.0, "Exposure", "One step doubles or halves linear light", -8.0, 8.0, 0.1, "EV"
    )
    kelvin: float = _setting(
        NEUTRAL_KELVIN,
        "Colour temperature",
        "Light below 6500 K is orange, above it blue; luminance is kept",
        2000.0,
        15000.0,
        100.0,
        "K",
    )
    noise: float = _setting(
        0.0,
        "Shot noise",
        "Standard deviation at white in percent of white; 10 % is 100 photo-electrons",
        0.0,
        50.0,
        0.5,
        "%",
    )
    seed: int = _setting(0, "Seed", "Which noise is drawn", 0, 2**32 - 1, 1)

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            facts = spec.metadata
            whole = isinstance(spec.default, int)
            kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
            fits = isinstance(value, kinds) and not isinstance(value, bool)
            if not fits or not facts["low"] <= value <= facts["high"]:
                unit = f" {facts['unit']}" if facts["unit"] else ""
                raise ParameterError(
                    f"Light: {facts['label']} ({spec.name}) is {'a whole number ' * whole}from "
                    f"{facts['low']:.10g} to {facts['high']:.10g}{unit}; got {value!r}."
                )
        if 0 < self.noise < _LEAST_NOISE:
            raise ParameterError(
                f"Light: Shot noise (noise) is 0 or at least {_LEAST_NOISE} %; got {self.noise!r}."
            )

    @property
    def neutral(self) -> bool:
        """Whether this light leaves every image as it is; the seed alone changes nothing."""
        return self.ev == 0 and self.kelvin == NEUTRAL_KELVIN and self.noise == 0

    @property
    def electrons_at_white(self) -> float:
        """Mean number of photo-electrons of a white pixel: (100/noise)², infinite without noise.

        >>> Light(noise=10).electrons_at_white
        100.0
        """
        return (100.0 / self.noise) ** 2 if self.noise else math.inf


def srgb_to_linear(encoded: np.ndarray) -> np.ndarray:
    """Decode sRGB fractions 0…1 to linear light 0…1 (float64).

    u/12.92 up to 0.04045, above it ((u + 0.055)/1.055)^2.4. Source: IEC 61966-2-1:1999.

    >>> srgb_to_linear(np.array([0.0, 0.5, 1.0])).round(4).tolist()
    [0.0, 0.214, 1.0]
    """
    encoded = np.asarray(encoded, np.float64)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Encode linear light 0…1 as sRGB fractions 0…1 (float64), the inverse of decoding.

    12.92 v up to 0.0031308, above it 1.055 v^(1/2.4) − 0.055. Source: IEC 61966-2-1:1999.

    >>> linear_to_srgb(np.array([0.0, 0.214041, 1.0])).round(4).tolist()
    [0.0, 0.5, 1.0]
    """
    linear = np.asarray(linear, np.float64)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def chromaticity(kelvin: float) -> tuple[float, float]:
    """Return CIE 1931 x, y of light of a colour temperature, 2000…15000 K.

    Up to 4000 K a black body (Krystek's rational fit), from 5000 K the CIE daylight locus, between
    them a mixture of the two at equal luminance in proportion to K, as CIE 224:2017 joins its
    reference lights.

    Sources: M. Krystek, Color Research & Application 10 (1985) 38; CIE 015:2018; CIE 224:2017.

    >>> x, y = chromaticity(6504)
    >>> round(x, 4), round(y, 4)
    (0.3127, 0.3291)
    """
    if kelvin <= 4000:
        return _black_body(kelvin)
    if kelvin >= 5000:
        return _daylight(kelvin)
    share = (kelvin - 4000) / 1000
    mixed = share * _xyz(*_daylight(kelvin)) + (1 - share) * _xyz(*_black_body(kelvin))
    x, y, _ = mixed / mixed.sum()
    return float(x), float(y)


def _black_body(kelvin: float) -> tuple[float, float]:
    t = kelvin
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t**2) / (
        1 + 8.42420235e-4 * t + 7.08145163e-7 * t**2
    )
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t**2) / (
        1 - 2.89741816e-5 * t + 1.61456053e-7 * t**2
    )
    # CIE 1960 u, v to 1931 x, y.
    return 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)


def _daylight(kelvin: float) -> tuple[float, float]:
    t = kelvin
    if t <= 7000:
        x = 0.244063 + 0.09911e3 / t + 2.9678e6 / t**2 - 4.6070e9 / t**3
    else:
        x = 0.237040 + 0.24748e3 / t + 1.9018e6 / t**2 - 2.0064e9 / t**3
    return x, -3.000 * x**2 + 2.870 * x - 0.275


def _xyz(x: float, y: float) -> np.ndarray:
    """Tristimulus values of a chromaticity at Y = 1."""
    return np.array([x / y, 1.0, (1 - x - y) / y])


def tint(kelvin: float) -> np.ndarray:
    """Return what light of ``kelvin`` multiplies linear R, G, B by, ``(3,)`` float64.

    tint = rgb(K) / rgb(6500 K), scaled so that grey keeps its luminance
    Y = 0.2126 R + 0.7152 G + 0.0722 B; exactly 1, 1, 1 at 6500 K. rgb(K) is :func:`chromaticity`
    at Y = 1 through the XYZ to sRGB matrix of IEC 61966-2-1.

    >>> tint(6500).tolist(), tint(3200).round(2).tolist()
    ([1.0, 1.0, 1.0], [1.68, 0.87, 0.33])
    """
    if kelvin == NEUTRAL_KELVIN:
        return np.ones(3)
    ratio = (XYZ_TO_RGB @ _xyz(*chromaticity(kelvin))) / (
        XYZ_TO_RGB @ _xyz(*chromaticity(NEUTRAL_KELVIN))
    )
    return ratio / (_LUMINANCE @ ratio)


def _gains(light: Light, channels: int) -> np.ndarray:
    """What linear light is multiplied by, ``(C,)``; one channel has no colour to tint."""
    colour = tint(light.kelvin) if channels == 3 else np.ones(channels)
    return 2.0**light.ev * colour


def level_table(light: Light, levels: int, channels: int) -> np.ndarray:
    """Return what each level of an integer image becomes, without noise: ``(levels, channels)``.

    out = round(encode(clip(2^ev · tint · decode(level))) · (levels − 1)), uint8 for 256 levels
    and uint16 for 65536. One channel is exposed but not tinted.

    Raises :class:`ParameterError` for another number of levels.

    >>> level_table(Light(ev=1), 256, 1)[[0, 100, 255], 0].tolist()
    [0, 138, 255]
    """
    if levels not in (256, 65536):
        raise ParameterError(f"A level table has 256 or 65536 levels; got {levels}.")
    linear = srgb_to_linear(np.arange(levels) / (levels - 1))[:, np.newaxis]
    return _as_levels(linear * _gains(light, channels), levels)


def _as_levels(linear: np.ndarray, levels: int) -> np.ndarray:
    encoded = linear_to_srgb(np.clip(linear, 0.0, 1.0))
    return np.rint(encoded * (levels - 1)).astype(np.uint8 if levels == 256 else np.uint16)


def relight(image: Image, light: Light) -> Image:
    """Return the image as the same camera would have taken it in another light.

    v = 2^ev · tint · decode(u); with shot noise v ~ Poisson(N v)/N where N is
    :attr:`Light.electrons_at_white`; then v is clipped to 0…1 (a full sensor stays white), encoded
    and, for integer images, rounded to their own levels. Floats are taken as sRGB over their
    declared range. Grey images are exposed but not tinted.

    The same image object comes back when nothing changes. Noise depends on the seed and on the
    pixels alone. For 8-bit images it is drawn from 1024 equally likely quantiles of each
    level's distribution (its variance is about 0.1 % short); otherwise from the Poisson
    distribution itself.

    >>> from normviz.images import image_of
    >>> grey = image_of(np.full((1, 2), 100, np.uint8))
    >>> relight(grey, Light(ev=1)).pixels.ravel().tolist()
    [138, 138]
    """
    if light.noise == 0 and np.all(_gains(light, image.channels) == 1):
        return image
    if image.levels is None:
        pixels = _developed(image, light, lambda linear: _as_floats(linear, image.value_range))
    elif light.noise == 0:
        pixels = _mapped(image.pixels, level_table(light, image.levels, image.channels))
    elif image.levels == 256:
        pixels = _drawn(image, light)
    else:
        levels = image.levels
        pixels = _developed(image, light, lambda linear: _as_levels(linear, levels))
    pixels = pixels.reshape(image.pixels.shape)
    pixels.flags.writeable = False
    return replace(image, pixels=pixels)


def _mapped(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    if level_count(pixels.dtype) == 256:
        return np.asarray(cv2.LUT(pixels, table[np.newaxis]))
    out = np.empty_like(pixels)
    for channel in range(pixels.shape[2]):
        out[..., channel] = np.take(table[:, channel], pixels[..., channel])
    return out


def _as_floats(linear: np.ndarray, value_range: ValueRange) -> np.ndarray:
    encoded = linear_to_srgb(np.clip(linear, 0.0, 1.0))
    return (value_range.low + value_range.span * encoded).astype(np.float32)


def _developed(
    image: Image, light: Light, encode: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Decode, scale, count and encode pixel by pixel; for images without a table of levels."""
    flat = image.pixels.reshape(-1, image.channels)
    out = np.empty_like(flat)
    gains = _gains(light, image.channels)
    electrons = light.electrons_at_white

    def develop(block: slice, bits: np.random.SFC64) -> None:
        fraction = (flat[block].astype(np.float64) - image.value_range.low) / image.value_range.span
        linear = gains * srgb_to_linear(np.clip(fraction, 0.0, 1.0))
        if light.noise:
            linear = np.random.Generator(bits).poisson(linear * electrons) / electrons
        out[block] = encode(linear)

    _each_block(image, light, develop)
    return out


def _drawn(image: Image, light: Light) -> np.ndarray:
    """Give each pixel one of its level's noisy outcomes, all equally likely."""
    flat = image.pixels.reshape(-1, image.channels)
    out = np.empty_like(flat)
    outcomes = noise_table(replace(light, seed=0), image.channels).reshape(-1)
    # An outcome's place is channel · 256 · 1024 + level · 1024 + its number; np.take is fastest
    # with its own index type.
    starts = np.arange(image.channels, dtype=np.intp) * (256 * QUANTILES)

    def draw(block: slice, bits: np.random.SFC64) -> None:
        levels = flat[block]
        raw = np.asarray(bits.random_raw(-(-levels.size // 4)))
        numbers = raw.view(np.uint16)[: levels.size].reshape(levels.shape)
        places = levels.astype(np.intp)
        places *= QUANTILES
        places += starts
        places += numbers % QUANTILES
        np.take(outcomes, places, out=out[block], mode="clip")

    _each_block(image, light, draw)
    return out


def _each_block(image: Image, light: Light, work: Callable[[slice, np.random.SFC64], None]) -> None:
    """Run ``work`` on blocks of pixels, each with its own random bits.

    The bits follow from the seed, the image and the block's number, so the number of threads does
    not matter.
    """
    pixels = image.height * image.width
    content = int(image.digest, 16) if light.noise else 0

    def run(start: int) -> None:
        entropy = np.random.SeedSequence([int(light.seed), content, start // _PIXELS_A_BLOCK])
        work(slice(start, start + _PIXELS_A_BLOCK), np.random.SFC64(entropy))

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(run, range(0, pixels, _PIXELS_A_BLOCK)))


# Building a table takes 20 ms, four times as long as using it on a bundled photo.
@lru_cache(maxsize=4)
def noise_table(light: Light, channels: int) -> np.ndarray:
    """Return the equally likely outcomes of each 8-bit level, ``(channels, 256, 1024)`` uint8.

    Read-only, since it is kept for the next image in the same light. Outcome k of a level is the
    quantile (k + ½)/1024 of its noisy output level, so it grows with k.

    Raises :class:`ParameterError` for light without noise.

    >>> table = noise_table(Light(noise=10), 1)
    >>> table[0, 255, [0, 512, 1023]].tolist()
    [216, 255, 255]
    """
    if light.noise == 0:
        raise ParameterError("A noise table needs light with noise above 0.")
    electrons = light.electrons_at_white
    linear = srgb_to_linear(np.arange(256) / 255)
    means = electrons * _gains(light, channels)[:, np.newaxis] * linear
    counts = poisson_quantiles(means.ravel(), QUANTILES)
    table = _as_levels(counts / electrons, 256).reshape(channels, 256, QUANTILES)
    table.flags.writeable = False
    return table


def poisson_quantiles(means: np.ndarray, number: int) -> np.ndarray:
    """Return the quantiles (k + ½)/number of Poisson distributions, ``(M, number)`` float64.

    Exact (the distribution is summed) up to a mean of 1000; above, the Cornish–Fisher expansion
    m + √m z + (z² − 1)/6 rounded to whole counts, at most one count off. Source: R. A. Fisher and
    E. A. Cornish, Technometrics 2 (1960) 209.

    >>> poisson_quantiles(np.array([1.0]), 4).tolist()
    [[0.0, 1.0, 1.0, 2.0]]
    """
    means = np.asarray(means, np.float64)
    out = np.empty((means.size, number))
    small = means <= _SUMMED_MEAN
    out[small] = _summed_quantiles(means[small], number)
    normal = NormalDist()
    z = np.array([normal.inv_cdf((k + 0.5) / number) for k in range(number)])
    large = means[~small, np.newaxis]
    out[~small] = np.rint(large + np.sqrt(large) * z + (z**2 - 1) / 6)
    return out


def _summed_quantiles(means: np.ndarray, number: int) -> np.ndarray:
    if means.size == 0:
        return np.empty((0, number))
    # Ten standard deviations and 20 counts to each side hold all but 1e-15 of every distribution.
    reach = np.ceil(10 * np.sqrt(means)) + 20
    first = np.maximum(0, np.floor(means) - reach)
    counts = first[:, np.newaxis] + np.arange(2 * int(reach.max()) + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, counts.max() + 1)))])
    # A mean of zero (black) would give log 0; the least positive number gives count 0 as well.
    m = np.maximum(means, np.finfo(np.float64).tiny)[:, np.newaxis]
    cumulative = np.exp(counts * np.log(m) - m - log_factorial[counts.astype(np.intp)]).cumsum(1)
    # The count n is the quantile of as many midpoints (k + ½)/number as lie in its step of the
    # cumulative distribution.
    passed = np.floor(cumulative * number + 0.5).clip(0, number)
    passed[:, -1] = number
    repeats = np.diff(passed, axis=1, prepend=0).astype(np.intp)
    return np.repeat(counts.ravel(), repeats.ravel()).reshape(means.size, number)
