"""Statistics along a pipeline are those of all pixels at each step, and the order shows in them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import normviz as nv
from normviz.errors import NotFittedError, ParameterError
from normviz.pipeline import (
    MEASURED_AFTER_RESIZE,
    MEASURED_AT_FULL_SIZE,
    Pipeline,
    arriving,
    order_effect,
    statistics_along,
)
from normviz.pipeline.effect import Spread
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import Clip, MeanStd, Scale
from normviz.samples import SAMPLES, load_sample

PHOTOS = [load_sample(name) for name in ("coffee", "forest_day", "rocket")]
STEPS = [Resize(48), CentreCrop(40), Scale(), MeanStd()]


def test_each_step_has_the_statistics_of_all_its_pixels():
    fitted = Pipeline(STEPS).fit()
    stages = [list(fitted.stages(image)) for image in PHOTOS]
    along = statistics_along(fitted, PHOTOS)
    assert [one.after for one in along] == ["as read", *(step.words() for step in STEPS)]
    for number, one in enumerate(along):
        pixels = np.concatenate([s[number].pixels.reshape(-1, 3) for s in stages])
        pixels = pixels.astype(np.float64)
        assert one.images == 3 and one.pixels == len(pixels) and one.exact == (number < 3)
        np.testing.assert_allclose(one.mean, pixels.mean(axis=0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(one.std, pixels.std(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(one.low, pixels.min(axis=0))
        np.testing.assert_array_equal(one.high, pixels.max(axis=0))
    assert along[0].value_range == (0, 255) and along[4].value_range is None
    np.testing.assert_allclose(along[2].fraction_std, along[3].std, rtol=1e-6)
    np.testing.assert_allclose(along[2].fraction_mean, along[3].fraction_mean, rtol=1e-6)
    with pytest.raises(ParameterError, match=r"after “− .* have no range to be fractions of"):
        _ = along[4].fraction_mean


def test_the_last_digit_does_not_depend_on_the_order_of_the_images():
    there, back = (statistics_along(Pipeline(STEPS[:2]), ims) for ims in (PHOTOS, PHOTOS[::-1]))
    for one, other in zip(there, back, strict=True):
        np.testing.assert_array_equal(one.mean, other.mean)
        np.testing.assert_array_equal(one.std, other.std)


def test_large_float_images_are_taken_in_blocks():
    rng = np.random.default_rng(0)
    pixels = 1000 + rng.random((1100, 700, 3), np.float32)
    whole = Spread.of(pixels)
    flat = pixels.reshape(-1, 3).astype(np.float64)
    assert whole.count == len(flat)
    np.testing.assert_allclose(whole.squares / whole.count, flat.var(axis=0), rtol=1e-10)


def test_grey_stands_for_three_channels_and_mixed_ranges_become_fractions():
    colour = nv.image_of(np.full((4, 4, 3), (10, 20, 30), np.uint8))
    grey = nv.image_of(np.full((4, 4), 50, np.uint8))
    (one,) = statistics_along(Pipeline(), [colour, grey])
    assert one.mean.tolist() == [30, 35, 40] and one.std.tolist() == [20, 15, 10]
    assert one.value_range == (0, 255) and not one.exact
    unit = nv.image_of(np.full((4, 4, 3), 0.5, np.float32))
    (one,) = statistics_along(Pipeline(), [colour, unit])
    np.testing.assert_allclose(one.mean, [(v / 255 + 0.5) / 2 for v in (10, 20, 30)])
    np.testing.assert_allclose(one.std, [(0.5 - v / 255) / 2 for v in (10, 20, 30)])
    assert one.value_range == (0, 1) and one.high.tolist() == [0.5] * 3


def test_no_images_no_statistics():
    with pytest.raises(NotFittedError, match="no image could be read"):
        statistics_along(Pipeline(STEPS), [])


def test_a_pipeline_that_is_not_fitted_is_fitted_on_these_images():
    along = statistics_along(
        Pipeline([Resize(32), Normalize(nv.METHODS["dataset_zscore"]())]), PHOTOS
    )
    np.testing.assert_allclose(along[-1].mean, 0, atol=1e-6)
    np.testing.assert_allclose(along[-1].std, 1, rtol=1e-6)


def test_the_documented_numbers_are_those_of_the_bundled_photos():
    photos = [load_sample(name) for name in SAMPLES]
    effect = order_effect(photos, MEASURED_AT_FULL_SIZE, MEASURED_AFTER_RESIZE)
    full, resized, cropped = statistics_along(Pipeline([Resize(256), CentreCrop(224)]), photos)
    small = statistics_along(Pipeline([Resize(32)]), photos)[-1]
    sampled = statistics_along(Pipeline([Resize(32, library="opencv")]), photos)[-1]
    said = [float(n) for n in re.findall(r"\d+\.\d\d", order_effect.__doc__)]
    shown = [one.std for one in (full, resized, cropped)]
    shown += [effect.std_ratio[:1], effect.first[-1].mean[1:2], small.std, sampled.std]
    # Pillow's and OpenCV's bytes may move by a level from one release to the next.
    np.testing.assert_allclose(np.concatenate(shown), said, atol=0.02)
    np.testing.assert_allclose(effect.second[-1].std, 1, atol=1e-5)
    np.testing.assert_allclose(effect.second[-1].mean, 0, atol=1e-5)
    # Measured too early, the numbers leave what the constants explain: (m' − m) / s and s' / s.
    mean, std = full.mean, full.std
    np.testing.assert_allclose(effect.first[-1].std, cropped.std / std, rtol=2e-3)
    np.testing.assert_allclose(effect.first[-1].mean, (cropped.mean - mean) / std, atol=2e-3)


def test_the_sentence_is_read_from_the_numbers():
    image = nv.image_of(np.array([[0, 100, 200, 255]], np.uint8))
    clipped = [Clip(0, 150), Scale(0.1)], [Scale(0.1), Clip(0, 150)]
    effect = order_effect([image], *map(Pipeline, clipped))
    assert (effect.largest, effect.average) == (10.5, pytest.approx(15.5 / 4))
    assert effect.sentence == (
        "The first order ends with mean (10) and std (6.124), the second with mean (13.88) and std "
        "(9.749); their results differ by 3.88 on average and 10.5 at most."
    )
    same = order_effect([image], Pipeline(clipped[0]), Pipeline(clipped[0]))
    assert same.sentence.endswith("; their results are the same.")
    other = order_effect([image], Pipeline([CentreCrop(1)]), Pipeline())
    assert other.largest is None and other.sentence.endswith("; their results have other sizes.")


# Normalized values have no range: the one that occurs is declared.
@pytest.mark.parametrize(
    ("last", "expected"), [([], (0, 255)), ([Scale()], (0, 1)), ([MeanStd(100, 50)], None)]
)
def test_what_arrives_can_be_scanned(last, expected):
    fitted = Pipeline([Resize(32), *last]).fit()
    stats = nv.scan(arriving(fitted, PHOTOS))
    pixels = np.concatenate([fitted(image).reshape(-1, 3) for image in PHOTOS]).astype(float)
    np.testing.assert_allclose(stats.mean, pixels.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(stats.std.pooled, pixels.std(axis=0), rtol=1e-7)
    assert stats.value_range == (expected or (pixels.min(), pixels.max()))


def test_bicubic_floats_are_scanned_over_what_occurs():
    floats = [nv.image_of(image.pixels / np.float32(255)) for image in PHOTOS]
    fitted = Pipeline([Resize(64, interpolation="bicubic")]).fit()
    stats = nv.scan(arriving(fitted, floats))
    assert stats.value_range.high > 1 and stats.high.max() == stats.value_range.high
    flat = [nv.image_of(np.full((4, 4, 3), 7, np.uint8))]
    assert nv.scan(arriving(Pipeline([MeanStd(7, 1)]).fit(), flat)).std.pooled.max() == 0
