"""What the Methods page says a method sees: the promise of its metadata, measured."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import normviz as nv
from normviz.images import reduced, resized
from normviz.methods import FEATURE_NORMS
from normviz.networks.first_layer import mobilenet_v2_convolution, pre_activations
from normviz.observe.invariance import CHANGES, tried_changes, tried_on_maps
from normviz.samples import load_sample

PHOTOS = [reduced(load_sample(key), 64) for key in ("forest_day", "coffee", "city_day")]
STATS = nv.scan(PHOTOS, mean_image=32)


@pytest.mark.parametrize("key", nv.METHODS)
def test_a_photo_shows_what_is_promised_and_what_is_lost(key):
    method = nv.METHODS[key]()
    fitted = method.fit(PHOTOS if method.about.fits_on == "images" else STATS)
    tried = tried_changes(fitted, PHOTOS[0])
    assert [one.name for one in tried] == list(CHANGES)
    for one in tried:
        assert one.promised >= (one.name in method.about.invariances)
        assert one.seen != one.promised, one


def choices():
    """Every method at each choice of its parameters, but for the constants of presets."""
    for key, kind in nv.METHODS.items():
        for field in dataclasses.fields(kind):
            for value in field.metadata["choices"] or () if field.name != "preset" else ():
                yield pytest.param(key, {field.name: value}, id=f"{key}-{field.name}-{value}")


@pytest.mark.parametrize(("key", "parameters"), list(choices()))
def test_the_promise_is_that_of_the_parameters(key, parameters):
    method = nv.METHODS[key](**parameters)
    fitted = method.fit(PHOTOS if method.about.fits_on == "images" else STATS)
    for one in tried_changes(fitted, PHOTOS[1]):
        # Beside a sum of squares in the millions, GCN's bias of 10 does not show.
        hidden = parameters.get("contrast") == "norm" and one.name == "gain"
        # Only a fainter image is below the floor 1/√N of fractions.
        hidden |= parameters == {"scale": 1} and key == "image_standardize" and one.name == "gain"
        assert one.seen != one.promised or hidden, one


def test_a_flat_image_shows_nothing_that_was_not_promised():
    flat = nv.image_of(np.full((6, 9, 3), 90, np.uint8))
    fitted = nv.METHODS["image_standardize"]().fit()
    said = {one.name: one.said for one in tried_changes(fitted, flat)}
    assert said["gain"] == said["offset"] == "nothing, as promised"
    assert said["curve"] == said["colour_cast"] == "nothing here"


def tried_with(key, image, **parameters):
    fitted = nv.METHODS[key](**parameters).fit()
    return {one.name: one for one in tried_changes(fitted, image)}


@pytest.mark.parametrize(
    ("key", "parameters", "said"),
    [
        ("image_channel_standardize", {"epsilon": 0.1}, "27 %"),
        ("local_standardize", {"epsilon": 0.05}, "26 %"),
        ("local_standardize", {"epsilon": 0.01}, "8 %"),
        ("percentile_stretch", {"low": 50.0, "high": 50.0}, "50 %"),
    ],
)
def test_a_gain_that_the_parameters_show_is_not_promised(key, parameters, said):
    tried = tried_with(key, PHOTOS[0], **parameters)
    assert tried["gain"].said == said and not tried["gain"].promised
    assert not tried["channel_gain"].promised and not tried["colour_cast"].promised
    assert tried["offset"].said == "nothing, as promised"
    assert tried_with(key, PHOTOS[0])["gain"].said == "nothing, as promised"


def test_a_faint_crop_is_below_the_floor_of_fractions():
    crop = nv.image_of((100 + PHOTOS[0].pixels[:32, :32] // 32).astype(np.uint8))
    tried = tried_with("image_standardize", crop, scale=1)
    assert tried["gain"].seen and not tried["gain"].promised
    assert tried["offset"].said == "nothing, as promised"
    assert tried_with("image_standardize", crop)["gain"].said == "nothing, as promised"


def test_what_the_floor_alone_makes_is_not_against_the_promise():
    retina = reduced(load_sample("retina"), 128)
    tried = tried_with("local_standardize", retina)
    assert tried["gain"].said == "29 %, by the floor alone" and tried["gain"].kept
    assert tried["channel_gain"].kept and tried["colour_cast"].kept
    assert tried["offset"].said == "nothing, as promised" and not tried["offset"].limit


@pytest.mark.parametrize("key", ["robust", "percentile_stretch"])
def test_a_width_of_0_breaks_the_promise_and_is_no_floor(key):
    sparse = np.zeros((20, 20, 3), np.uint8)
    sparse[3, 4:7] = 200
    tried = tried_with(key, nv.image_of(sparse))
    assert tried["gain"].said.endswith("%, against the promise") and not tried["gain"].kept


class Leaking(nv.METHODS["local_standardize"]):
    """Promises what it does not keep: a hundredth of the brightness comes through."""

    def definition(self, u, constants):
        return super().definition(u, constants) + 0.01 * u


def test_a_method_that_breaks_its_promise_beside_the_floor_is_told_so():
    retina = reduced(load_sample("retina"), 128)
    tried = {one.name: one for one in tried_changes(Leaking().fit(), retina)}
    for name in ("gain", "offset"):
        assert tried[name].said.endswith("%, against the promise")
        assert not tried[name].kept and not tried[name].limit


def test_the_change_is_the_largest_as_a_share_of_the_range():
    image = nv.image_of(np.array([[0, 51, 255]], np.uint8))
    tried = {one.name: one for one in tried_changes(nv.METHODS["scale_01"]().fit(), image)}
    # Halved, the image is 0, 0.1, 0.5: a gain of 0.5 moves the last by 0.25 of 0.5.
    assert tried["gain"].change == pytest.approx(0.5)
    assert tried["offset"].change == pytest.approx(0.2 / 0.5)
    assert tried["curve"].change == pytest.approx((0.5**0.6 - 0.5) / 0.5, rel=0.01)
    assert set(tried) == {"gain", "offset", "curve"}


def test_no_change_leaves_the_range_that_methods_accept():
    white = np.full((2, 2, 3), 0.5)
    for _, change in CHANGES.values():
        done = change(white)
        assert done.min() >= 0 and done.max() <= 1 and np.abs(done - white).max() > 0.01


MAPS = np.random.default_rng(3).normal(0.3, 1.0, (3, 5, 4, 8)) * np.arange(1, 9)


def norms():
    for key, kind in FEATURE_NORMS.items():
        more = {"groups": 2} if kind.in_groups else {}
        yield pytest.param(kind(epsilon=1e-12, **more), id=key)
    for key in ("layer_norm", "rms_norm"):
        for over in ("hwc", "c"):
            yield pytest.param(FEATURE_NORMS[key](epsilon=1e-12, over=over), id=f"{key}-{over}")
    yield pytest.param(FEATURE_NORMS["batch_renorm"](epsilon=1e-12, r_max=1.0, d_max=0.0), id="r1")


@pytest.mark.parametrize("norm", list(norms()))
def test_a_norm_does_not_see_what_it_promises_and_sees_the_rest(norm):
    tried = tried_on_maps(norm, MAPS)
    assert [(t.name, t.seen) for t in tried] == [(t.name, not t.promised) for t in tried]
    assert {"group_gain", "group_offset"} <= {t.name for t in tried} or not norm.in_groups


@pytest.fixture(scope="module")
def first_maps() -> np.ndarray:
    """What the In-network page tries norms on: every fourth position of a first convolution."""
    imagenet = nv.METHODS["published"]().fit()
    layer, _ = mobilenet_v2_convolution()
    names = ("forest_day", "field_night", "coffee", "city_day")
    squares = [resized(load_sample(name).pixels, 224, 224) for name in names]
    maps = np.stack([pre_activations(layer, imagenet(square)) for square in squares])
    return maps[:, ::4, ::4].astype(np.float64)


@pytest.mark.parametrize("key", ["batch_norm", "layer_norm", "instance_norm", "group_norm"])
def test_with_the_default_epsilon_nothing_is_against_the_promise(key, first_maps):
    norm = FEATURE_NORMS[key]()
    tried = tried_on_maps(norm, first_maps)
    gains = [one for one in tried if one.promised and one.name.endswith("gain")]
    assert gains and all(one.kept for one in tried)
    assert any(one.said.endswith(" %, by ε alone") for one in gains) == (
        key in ("batch_norm", "instance_norm")
    )
    # ε is all of it: a thousandth of ε, a thousandth of the change.
    small = tried_on_maps(FEATURE_NORMS[key](epsilon=1e-8), first_maps)
    for one, less in zip(tried, small, strict=True):
        if one.promised and one.limit:
            assert less.change < 0.01 * one.change


class LeakingNorm(FEATURE_NORMS["batch_norm"]):
    """A little of the maps' own size comes through, beside what ε makes."""

    def definition(self, x):
        return super().definition(x) + 0.01 * x


def test_a_norm_that_breaks_its_promise_beside_epsilon_is_told_so(first_maps):
    tried = {one.name: one for one in tried_on_maps(LeakingNorm(), first_maps)}
    for name in ("common_gain", "channel_gain", "channel_offset"):
        assert tried[name].said.endswith("%, against the promise") and not tried[name].kept


def test_the_change_of_maps_is_the_largest_as_a_share_of_the_range():
    # Without its averages a new layer divides by 1: the output is the input.
    norm = FEATURE_NORMS["running_batch_norm"](epsilon=1e-12)
    maps = np.array([-1.0, 3.0]).reshape(2, 1, 1, 1)  # range 4, std 2
    tried = {t.name: t.change for t in tried_on_maps(norm, maps)}
    assert tried["common_gain"] == pytest.approx(1.5 / 4)
    assert tried["common_offset"] == pytest.approx(0.4 / 4)
    # The first image × 0.5, the second × 1; and + 0.2 and + 1 std.
    assert tried["image_gain"] == pytest.approx(0.5 / 4)
    assert tried["image_offset"] == pytest.approx(2 / 4)
