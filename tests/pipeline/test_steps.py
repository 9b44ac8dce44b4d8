"""Each step against loops and tables written from its definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from normviz.errors import NormvizError, ParameterError, ShapeError
from normviz.images import BYTE_RANGE, UNIT_RANGE, WORD_RANGE, ValueRange
from normviz.methods import METHODS
from normviz.pipeline import BYTES, STEPS, Kind, Pipeline
from normviz.pipeline.base import FLOAT
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import ChannelOrder, Clip, MeanStd, Scale, ToBytes, ToRGB

UINT16 = Kind(np.dtype(np.uint16), WORD_RANGE)
UNIT = Kind(FLOAT, UNIT_RANGE)


def pixels_of(kind: Kind, height=17, width=11, channels=3, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind.whole:
        high = np.iinfo(kind.dtype).max + 1
        return rng.integers(0, high, (height, width, channels), dtype=kind.dtype)
    return rng.random((height, width, channels), np.float32)


VARIANTS = [
    *(kind() for kind in STEPS.values()),
    *(
        Resize(size, side, interpolation, library)
        for size, side in ((5, "shorter"), (23, "longer"), (9, "both"))
        for interpolation in ("nearest", "bilinear", "bicubic", "area", "lanczos")
        for library in ("pillow", "opencv")
    ),
    CentreCrop(6),
    CentreCrop(14, 30),
    Clip(-3, 20),
    Clip(0.25, 0.5),
    Scale(-2.0, 7.0),
    MeanStd((3.0,), (2.0, 1.0, 4.0)),
    Normalize(METHODS["scale_11"]()),
]


def named(step) -> str:
    return step.words()


@pytest.mark.parametrize("kind", [BYTES, UINT16, UNIT], ids=["uint8", "uint16", "float32"])
@pytest.mark.parametrize("step", VARIANTS, ids=named)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_step_does_what_it_says_of_itself(step, kind, channels):
    pixels = pixels_of(kind, channels=channels)
    before = pixels.copy()
    pixels.flags.writeable = False
    fitted = step.method.fit() if isinstance(step, Normalize) else None
    if step.channels == 3 and channels == 1:
        with pytest.raises(ShapeError, match=r"is for 3 channels.*“to RGB” before it"):
            step.run(pixels, kind.value_range, fitted)
        return
    done = step.run(pixels, kind.value_range, fitted)
    after = step.after(kind)
    np.testing.assert_array_equal(pixels, before)
    assert done.dtype == after.dtype and done.ndim == 3 and np.isfinite(done).all()
    assert done.shape[2] == (3 if isinstance(step, ToRGB) else channels)
    if after.value_range is not None:
        slack = 1e-6 * max(map(abs, after.value_range))
        assert after.value_range.low - slack <= done.min()
        assert done.max() <= after.value_range.high + slack


@pytest.mark.parametrize("kind", STEPS.values(), ids=list(STEPS))
def test_every_step_has_words_for_pages(kind):
    about = kind.about
    assert about.title and about.formula and about.summary.endswith(".") and about.sources
    assert 0 < len(about.short) <= 24
    for spec in dataclasses.fields(kind):
        if spec.name != "method":
            assert spec.metadata["label"] and spec.metadata["help"].endswith(".")
    for library, words in about.libraries:
        assert library and words.endswith(".")


def test_titles_and_keys_are_unique():
    assert len({kind.about.title for kind in STEPS.values()}) == len(STEPS)
    assert all(kind.key == key for key, kind in STEPS.items())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Resize(0), "Resize: Size is a whole number from 1 to 4096; got 0"),
        (lambda: Resize(8, "smaller"), "Side is one of shorter, longer, both"),
        (lambda: Resize(8, width=4), "a width is for both sides"),
        (lambda: CentreCrop(2.5), "a whole number from 1 to 4096; got 2.5"),
        (lambda: Scale(0.0), "a factor of 0 makes all pixels the same"),
        (lambda: Scale(float("nan")), "Factor is from -1e.06 to 1e.06; got nan"),
        (lambda: MeanStd((1.0, 2.0)), "Mean is a list of 1 or 3 numbers; got"),
        (lambda: MeanStd("abc"), "Mean is from .*; got 'a'"),
        (lambda: MeanStd((1.0,), (0.0,)), "Std is from 1e-06 to 1e.06; got 0.0"),
        (lambda: MeanStd((1.0,), (True,)), "Std is from .*; got True"),
        (lambda: Clip(1, 1), "low .1. must lie below high .1."),
        (lambda: Normalize("scale_11"), "Normalize takes a method, such as"),
    ],
)
def test_wrong_parameters_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(ParameterError, match=sentence):
        make()


def test_numbers_become_tuples_so_that_steps_are_values():
    step = MeanStd([1, 2, 3], np.array([4.0]))
    assert step == MeanStd((1.0, 2.0, 3.0), (4.0,)) and hash(step) == hash(MeanStd((1, 2, 3), 4))
    assert MeanStd(5, 2).mean == (5.0,)


# The other side is cut off, not rounded: 256 · 500 / 333 is 384.38, 256 · 502 / 333 is 385.92.
@pytest.mark.parametrize(
    ("step", "size", "expected"),
    [
        (Resize(256), (333, 500), (256, 384)),
        (Resize(256), (333, 502), (256, 385)),
        (Resize(256), (502, 333), (385, 256)),
        (Resize(256, "longer"), (333, 502), (169, 256)),
        (Resize(100), (7, 7), (100, 100)),
        (Resize(4, "longer"), (1, 1000), (1, 4)),
        (Resize(32, "both"), (5, 9), (32, 32)),
        (Resize(32, "both", width=128), (5, 9), (32, 128)),
    ],
)
def test_sizes(step, size, expected):
    assert step.sizes(*size) == expected
    assert step.run(np.zeros((*size, 1), np.uint8), None).shape[:2] == expected


def test_a_sliver_is_not_blown_up_beyond_memory():
    with pytest.raises(ShapeError, match="1×40000 would become 4,096×163,840,000, more than"):
        Resize(4096).run(np.zeros((1, 40000, 1), np.uint8), None)


def triangle(t):
    return max(0.0, 1 - abs(t))


def cubic(t):
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def widened(values: list[float], size: int, curve) -> list[float]:
    """Resampling by a curve that is as wide as the step between outputs: what Pillow does."""
    scale = len(values) / size
    wide = max(scale, 1.0)
    out = []
    for i in range(size):
        weights = [curve((k + 0.5 - (i + 0.5) * scale) / wide) for k in range(len(values))]
        out.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
    return out


def two_taps(values: list[float], size: int) -> list[float]:
    """Linear interpolation between the two nearest, whatever lies between outputs."""
    scale = len(values) / size
    out = []
    for i in range(size):
        at = min(max((i + 0.5) * scale - 0.5, 0.0), len(values) - 1.0)
        left = min(int(at), len(values) - 2)
        out.append(values[left] + (at - left) * (values[left + 1] - values[left]))
    return out


@pytest.mark.parametrize("size", [3, 5, 12, 29])
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_is_the_formula(size, channels):
    pixels = pixels_of(UNIT, 1, 12, channels)
    for step, loop in (
        (Resize(1, "both", "bilinear", "pillow", size), lambda v: widened(v, size, triangle)),
        (Resize(1, "both", "bicubic", "pillow", size), lambda v: widened(v, size, cubic)),
        (Resize(1, "both", "bilinear", "opencv", size), lambda v: two_taps(v, size)),
    ):
        expected = np.stack([loop(pixels[0, :, c].tolist()) for c in range(channels)], axis=1)
        done = step.run(pixels, None)[0]
        np.testing.assert_allclose(done, expected, atol=2e-6, err_msg=step.words())


@pytest.mark.parametrize("kind", [BYTES, UINT16], ids=["uint8", "uint16"])
def test_resize_of_integers_is_that_of_floats_rounded(kind):
    pixels = pixels_of(kind, 31, 23)
    for interpolation in ("bilinear", "area"):
        step = Resize(9, "both", interpolation)
        floats = step.run(pixels.astype(np.float32), None)
        # Pillow rounds after each of its two passes, so a byte may be one level off.
        atol = 1.01 if kind is BYTES else 0.51
        np.testing.assert_allclose(step.run(pixels, None), floats, atol=atol)


def test_bicubic_overshoots_on_floats_only_and_takes_their_range_away():
    edge = np.repeat(np.array([0, 255], np.uint8), 8)[None, :, None].repeat(16, 0)
    for library in ("pillow", "opencv"):
        step = Resize(24, "both", "bicubic", library)
        floats = step.run(edge.astype(np.float32), None)
        assert floats.min() < -5 and floats.max() > 260
        whole = step.run(edge, None)
        assert whole.dtype == np.uint8 and (whole.min(), whole.max()) == (0, 255)
    assert step.after(BYTES) == BYTES and step.after(UNIT) == Kind(FLOAT, None)
    assert Resize(24).after(UNIT) == UNIT


def test_not_antialiased_resizing_takes_few_pixels_for_all():
    stripes = np.tile(np.array([0, 200], np.uint8), 64)[None, :, None].repeat(128, 0)
    averaged = Resize(16).run(stripes, None)
    # Of eight stripes OpenCV looks at the two in the middle, or at the first.
    between = Resize(16, library="opencv").run(stripes, None)
    sampled = Resize(16, interpolation="nearest", library="opencv").run(stripes, None)
    assert np.ptp(averaged[:, 1:-1]) == 0 and averaged[0, 1, 0] == 100
    assert set(np.unique(between)) == {100} and set(np.unique(sampled)) == {0}


@pytest.mark.parametrize(
    ("length", "crop", "expected"),
    [
        (8, 4, [2, 3, 4, 5]),
        (7, 4, [2, 3, 4, 5]),  # 1.5 to 2
        (9, 4, [2, 3, 4, 5]),  # 2.5 to 2
        (5, 4, [0, 1, 2, 3]),  # 0.5 to 0
        (4, 4, [0, 1, 2, 3]),
        (3, 4, [0, 1, 2, None]),
        (2, 5, [None, 0, 1, None, None]),
    ],
)
def test_crop_offsets(length, crop, expected):
    line = np.arange(1, length + 1, dtype=np.uint8)
    expected = [0 if at is None else at + 1 for at in expected]
    for grid, step in (
        (line[:, None, None], CentreCrop(crop, 1)),
        (line[None, :, None], CentreCrop(1, crop)),
    ):
        assert step.run(grid, None).ravel().tolist() == expected


def test_padding_belongs_to_the_range():
    kind = Kind(FLOAT, ValueRange(0.25, 0.5))
    assert CentreCrop(3).after(kind).value_range == (0.0, 0.5)
    assert CentreCrop(3).after(Kind(FLOAT, None)).value_range is None


def test_scale_moves_the_range_with_the_values():
    assert Scale(1 / 127.5, -1).after(BYTES) == Kind(FLOAT, ValueRange(-1, 1))
    assert Scale(-1.0).after(BYTES).value_range == (-255, 0)
    assert Scale().after(Kind(FLOAT, None)).value_range is None
    done = Scale(1 / 255).run(pixels_of(UINT16), WORD_RANGE)
    assert done.max() > 250  # the numbers as they stand: 16 bits are not seen


def test_clip_gives_a_range_back():
    assert Clip(-1, 0.5).after(UNIT).value_range == (0, 0.5)
    assert Clip(-1, 2).after(Kind(FLOAT, None)).value_range == (-1, 2)
    assert Clip(300, 400).after(BYTES).value_range == (300, 400)
    assert (Clip(300, 400).run(pixels_of(BYTES), BYTE_RANGE) == 300).all()


def test_mean_and_std_are_taken_as_they_stand():
    done = MeanStd((1, 2, 3), (2, 4, 8)).run(np.array([[[3, 4, 5]]], np.uint8), BYTE_RANGE)
    assert done.tolist() == [[[1.0, 0.5, 0.25]]]


def test_rounding_to_bytes_and_back_again():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    floats = Scale().run(levels, BYTE_RANGE)
    np.testing.assert_array_equal(ToBytes().run(floats, UNIT_RANGE), levels)
    words = np.array([[[0], [128], [129], [65535]]], np.uint16)  # 257 steps a level
    assert ToBytes().run(words, WORD_RANGE).ravel().tolist() == [0, 0, 1, 255]


def test_channels():
    grey, colour = pixels_of(BYTES, channels=1), pixels_of(BYTES)
    np.testing.assert_array_equal(ToRGB().run(grey, None), np.concatenate([grey] * 3, axis=2))
    np.testing.assert_array_equal(ToRGB().run(colour, None), colour)
    twice = ChannelOrder().run(ChannelOrder().run(colour, None), None)
    np.testing.assert_array_equal(twice, colour)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Resize(), "resize 256 (shorter side, bilinear, Pillow)"),
        (Resize(32, "both", "area", "opencv", 128), "resize 32×128 (area average, OpenCV)"),
        (CentreCrop(), "centre crop 224"),
        (CentreCrop(8, 9), "centre crop 8×9"),
        (Scale(), "÷ 255"),
        (Scale(1 / 127.5, -1), "÷ 127.5 − 1"),
        (Scale(0.017, 2), "× 0.017 + 2"),
        (Scale(1 / 3), "÷ 3"),
        (MeanStd(103.939, 1), "− (103.9)"),
        (MeanStd(0.5, 0.25), "− (0.5) ÷ (0.25)"),
        (Clip(-1, 1), "clip -1…1"),
        (Normalize(METHODS["lcn"](window=5)), "normalize: LCN (window 5)"),
    ],
)
def test_words(step, words):
    assert step.words() == words


def test_normalize_knows_the_range_of_fixed_methods_only():
    ranges = {
        key: Normalize(METHODS[key]()).after(BYTES).value_range
        for key in ("scale_01", "scale_11", "none", "published", "image_standardize")
    }
    assert ranges == {
        "scale_01": (0, 1),
        "scale_11": (-1, 1),
        "none": (0, 255),
        "published": None,
        "image_standardize": None,
    }


def test_many_scalings_end_in_a_refusal_not_in_infinity():
    from normviz.images import image_of

    image = image_of(pixels_of(BYTES))
    with pytest.raises(NormvizError, match="infinity at row"):
        Pipeline([Scale(1e6)] * 8).fit()(image)
    assert (Pipeline([Scale(1e-9)] * 40).fit()(image) == 0).all()
