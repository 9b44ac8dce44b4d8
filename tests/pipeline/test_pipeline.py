"""Pipelines: fitted on what arrives, applied in order, refused where a value range is missing."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import normviz as nv
from normviz.errors import NotFittedError, ParameterError, ShapeError
from normviz.images import UNIT_RANGE
from normviz.imports.found import MeanImage
from normviz.pipeline import BYTES, KNOWN, STEPS, Arriving, Kind, Pipeline
from normviz.pipeline.base import FLOAT
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import ChannelOrder, Clip, MeanStd, Scale, ToBytes, ToRGB
from normviz.samples import load_sample

PHOTOS = [load_sample(name) for name in ("coffee", "forest_day", "rocket")]


def method(key, **parameters):
    return Normalize(nv.METHODS[key](**parameters))


def test_steps_are_done_in_their_order():
    image = PHOTOS[0]
    pipeline = Pipeline([Resize(64), CentreCrop(56), Scale(), MeanStd(0.5, 0.25)])
    expected = CentreCrop(56).run(Resize(64).run(image.pixels, None), None)
    expected = (expected.astype(np.float64) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(pipeline.fit()(image), expected, atol=1e-6)


def test_the_order_matters():
    image = nv.image_of(np.array([[0, 100, 200, 255]], np.uint8))

    def run(*steps):
        return Pipeline(steps).fit()(image)[..., 0].tolist()

    assert run(Clip(0, 150), Scale(0.1)) == [[0, 10, 15, 15]]
    assert run(Scale(0.1), Clip(0, 150)) == [[0, 10, pytest.approx(20), 25.5]]
    # Cut first: the mean of 100 and 200; resized first: two means, of which none is left over.
    small = Resize(1, "both", "area", width=2)
    assert run(CentreCrop(1, 2), small) == [[100, 200]]
    assert run(small, CentreCrop(1, 2)) == [[50, 228]]


def test_a_mean_is_the_one_of_what_arrives():
    resized = [nv.image_of(Resize(40).run(image.pixels, None)) for image in PHOTOS]
    fitted = Pipeline([Resize(40), method("dataset_zscore")]).fit(PHOTOS)
    alone = nv.METHODS["dataset_zscore"]().fit(nv.scan(resized))
    for name in ("mean", "std"):
        np.testing.assert_array_equal(fitted.fits[1].constants[name], alone.constants[name])
    other = Pipeline([method("dataset_zscore"), Resize(40)]).fit(PHOTOS)
    assert np.abs(other.fits[0].constants["std"] - alone.constants["std"]).min() > 1e-3


def test_two_fitted_steps_are_fitted_one_after_the_other():
    steps = [method("dataset_mean", scale=1), Clip(-1, 1), method("dataset_zscore")]
    fitted = Pipeline(steps).fit(PHOTOS)
    done = np.concatenate([fitted(image).reshape(-1, 3) for image in PHOTOS]).astype(float)
    np.testing.assert_allclose(done.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(done.std(axis=0), 1, atol=1e-6)


def test_mean_images_have_the_side_that_is_asked_for():
    fitted = Pipeline([CentreCrop(64), method("dataset_mean_image")]).fit(PHOTOS, mean_image=16)
    assert fitted.fits[1].constants["mean_image"].shape == (16, 16, 3)


class Watched:
    """Images that are made anew each time, with a count of how many are alive."""

    def __init__(self, count):
        self.count, self.most, self.passes, self.alive = count, 0, 0, weakref.WeakSet()

    def __len__(self):
        return self.count

    def __iter__(self):
        self.passes += 1
        for index in range(self.count):
            image = nv.image_of(np.full((8, 8, 3), index, np.uint8))
            # Images have no hash of their own, but their identity will do.
            self.alive.add(image)
            gc.collect()
            self.most = max(self.most, len(self.alive))
            yield image


def test_fitting_goes_through_the_images_and_holds_none():
    images = Watched(12)
    fitted = Pipeline([Resize(4), method("dataset_mean")]).fit(images)
    assert images.passes == 1 and images.most <= 2
    np.testing.assert_allclose(fitted.fits[1].constants["mean"], 5.5 / 255)


def test_a_generator_is_refused_since_it_ends_once():
    with pytest.raises(ParameterError, match=r"give a list or normviz.read\(…\), not a generator"):
        Pipeline([method("dataset_mean")]).fit(iter(PHOTOS))


def test_a_method_of_a_set_asks_for_images():
    pipeline = Pipeline([Resize(8), method("dataset_mean")])
    assert pipeline.fits_on and not Pipeline([Resize(8), method("lcn")]).fits_on
    with pytest.raises(NotFittedError, match=r"step 2 .Dataset mean per channel subtracted. takes"):
        pipeline.fit()


NAMES = ("dataset_mean", "dataset_zscore")


@pytest.mark.parametrize("name", [*NAMES, "dataset_mean_image", "match_histogram"])
def test_constants_are_taken_as_they_are_however_the_steps_change_the_picture(name):
    stats = nv.scan(PHOTOS, mean_image=20)
    alone = nv.METHODS[name]().fit(stats)
    for before in ([], [Resize(40)], [CentreCrop(50), Scale(1 / 255)], [ChannelOrder()] * 2):
        fitted = Pipeline([*before, method(name)]).fit(stats)
        assert alone.constants.keys() == fitted.fits[-1].constants.keys()
        for key, value in alone.constants.items():
            np.testing.assert_array_equal(fitted.fits[-1].constants[key], value)
    # One way round or the other is the same, but for the channels' order in the end.
    first, last = (
        Pipeline(steps).fit(stats)(PHOTOS[0])
        for steps in ([ChannelOrder(), method(name)], [method(name), ChannelOrder()])
    )
    np.testing.assert_allclose(first, last, atol=3e-5)


def test_a_presets_constants_turn_with_the_channels():
    preset = nv.PRESETS["clip"]
    fitted = Pipeline([ChannelOrder(), method("dataset_zscore")]).fit(preset)
    red = nv.image_of(np.full((1, 1, 3), (255, 0, 0), np.uint8))
    mean, std = np.array(preset.mean), np.array(preset.std)
    np.testing.assert_allclose(fitted(red)[0, 0], (([1, 0, 0] - mean) / std)[::-1], rtol=1e-6)
    grey = nv.METHODS["dataset_mean"]().fit(nv.scan([nv.image_of(PHOTOS[0].pixels[..., 0])]))
    turned = Pipeline([ChannelOrder(), method("dataset_mean")]).fit(
        nv.scan([nv.image_of(PHOTOS[0].pixels[..., 0])])
    )
    np.testing.assert_array_equal(turned.fits[1].constants["mean"], grey.constants["mean"])


def test_constants_that_a_method_cannot_use_are_refused_in_its_own_words():
    preset = nv.PRESETS["clip"]
    with pytest.raises(NotFittedError, match="needs a mean image, and a preset holds only one"):
        Pipeline([method("dataset_mean_image")]).fit(preset)
    whitening = Pipeline([Resize(8), method("colour_zca")])
    with pytest.raises(NotFittedError, match=r"step 2: .* is fitted on images, and constants hold"):
        whitening.fit(preset)
    # What takes no numbers of a set is left alone.
    assert (
        Pipeline([Resize(8), method("lcn")]).fit(preset)
        == Pipeline([Resize(8), method("lcn")]).fit()
    )


def test_a_step_that_needs_a_range_says_where_it_was_lost():
    image = PHOTOS[0]
    pipeline = Pipeline([Resize(32), MeanStd(), method("scale_11")])
    sentence = (
        "Step 3 “normalize: .*” needs values with a lowest and a highest possible value, and after "
        "step 2 “− .0.485, 0.456, 0.406. ÷ .0.229, 0.224, 0.225.” there is none. Move it before"
    )
    with pytest.raises(ParameterError, match=sentence):
        pipeline.fit()(image)
    with pytest.raises(ParameterError, match=sentence):
        pipeline.kinds()
    set_scoped = Pipeline([Resize(32), MeanStd(), method("dataset_mean")])
    with pytest.raises(ParameterError, match=sentence):
        set_scoped.fit(PHOTOS)
    saved = Pipeline([Resize(32), MeanStd(), Clip(-3, 3), method("scale_01")])
    assert saved.fit()(image).max() <= 1
    with pytest.raises(ParameterError, match="Step 2 “round to 8 bits” needs"):
        Pipeline([method("lcn"), ToBytes()]).fit()(image)


def test_bicubic_floats_lose_their_range_and_bytes_do_not():
    steps = [Resize(32, interpolation="bicubic"), method("scale_11")]
    assert Pipeline(steps).fit()(PHOTOS[0]).shape[0] == 32
    floats = nv.image_of(PHOTOS[0].pixels / np.float32(255))
    with pytest.raises(ParameterError, match=r"Step 2 .* and after step 1 .* there is none"):
        Pipeline(steps).fit()(floats)


def test_stages_show_every_step():
    pipeline = Pipeline([Resize(32), Scale(), MeanStd()])
    stages = list(pipeline.fit().stages(PHOTOS[1]))
    assert [stage.step for stage in stages] == [None, *pipeline.steps]
    assert [stage.pixels.shape[0] for stage in stages] == [320, 32, 32, 32]
    assert [stage.value_range for stage in stages] == [(0, 255), (0, 255), (0, 1), None]
    assert [kind.value_range for kind in pipeline.kinds()] == [s.value_range for s in stages]
    assert [kind.dtype for kind in pipeline.kinds()] == [s.pixels.dtype for s in stages]


@pytest.mark.parametrize("steps", [[], [ToRGB()], [CentreCrop(8)], [Clip(0, 255)], [ToBytes()]])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_result_is_float32_of_its_own(steps, dtype):
    pixels = np.ones((8, 8, 3), dtype)
    image = nv.image_of(pixels)
    done = Pipeline(steps).fit()(image)
    assert done.dtype == np.float32 and done.flags.c_contiguous and done.flags.writeable
    assert not np.may_share_memory(done, image.pixels)


def test_grey_images_need_three_channels_only_where_colour_does():
    grey = nv.image_of(PHOTOS[0].pixels[..., 0])
    with pytest.raises(ShapeError, match="Mean and std is for 3 channels, and this image has 1"):
        Pipeline([Scale(), MeanStd()]).fit()(grey)
    assert Pipeline([ToRGB(), Scale(), MeanStd()]).fit()(grey).shape[2] == 3
    assert Pipeline([Scale(), MeanStd(0.5, 0.5)]).fit()(grey).shape[2] == 1
    with pytest.raises(ShapeError, match="Turn RGB to BGR is for 3 channels"):
        Pipeline([ChannelOrder()]).fit()(grey)


def test_double_rescaling_is_done_as_told():
    # transformers#25688: fractions that are divided by 255 once more.
    once, twice = (Pipeline([Scale()] * n + [MeanStd(0.5, 0.5)]).fit() for n in (1, 2))
    white = nv.image_of(np.full((2, 2), 255, np.uint8))
    assert once(white).max() == 1.0
    assert twice(white).max() == pytest.approx((1 / 255 - 0.5) / 0.5)
    assert list(twice.stages(white))[2].value_range == (0, pytest.approx(1 / 255))


def test_arriving_images_can_be_scanned_and_indexed():
    fitted = Pipeline([Resize(16), CentreCrop(8)]).fit()
    images = Arriving(PHOTOS, fitted)
    assert len(images) == 3 and images[1].pixels.shape == (8, 8, 3) and images.problems == ()
    assert images[1].path == PHOTOS[1].path
    stats = nv.scan(images)
    pixels = np.concatenate([fitted(image).reshape(-1, 3) for image in PHOTOS])
    np.testing.assert_allclose(stats.mean, pixels.mean(axis=0, dtype=np.float64), rtol=1e-12)
    assert stats.exact


def test_kinds_of_float_images():
    kinds = Pipeline([Resize(8), Scale(255.0), ToBytes()]).kinds(Kind(FLOAT, UNIT_RANGE))
    assert [kind.value_range for kind in kinds] == [(0, 1), (0, 1), (0, 255), (0, 255)]
    assert kinds[-1] == BYTES


def test_a_pipeline_is_made_of_steps():
    with pytest.raises(ParameterError, match="made of steps; got 'resize'"):
        Pipeline(["resize"])
    steps = [STEPS["resize"](8)]
    pipeline = Pipeline(steps)
    steps.append("later")
    assert pipeline == Pipeline((Resize(8),)) and hash(pipeline) == hash(Pipeline((Resize(8),)))


@pytest.mark.parametrize("key", KNOWN)
def test_known_pipelines_run_on_grey_and_colour(key):
    known = KNOWN[key]
    assert known.title and known.source.text and known.source.url.startswith("https://")
    fitted = known.pipeline.fit(MeanImage(np.full((9, 9, 3), 99.0), "BGR", 255))
    side = {"inception_v3_timm": 299, "caffenet": 227}.get(key, 224)
    for image in (PHOTOS[0], nv.image_of(PHOTOS[0].pixels[..., :1])):
        done = fitted(image)
        assert done.shape == (side, side, 3)
        assert np.isfinite(done).all()
    assert known.pipeline.fits_on == (key in ("caffenet", "resnet50_msra"))
