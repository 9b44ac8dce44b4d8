"""What the Methods page says a method sees: the promise of its metadata, measured."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import normviz as nv
from normviz.images import reduced
from normviz.methods import FEATURE_NORMS
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
        assert one.seen != one.promised or hidden, one


def test_a_flat_image_shows_nothing_that_was_not_promised():
    flat = nv.image_of(np.full((6, 9, 3), 90, np.uint8))
    fitted = nv.METHODS["image_standardize"]().fit()
    said = {one.name: one.said for one in tried_changes(fitted, flat)}
    assert said["gain"] == said["offset"] == "nothing, as promised"
    assert said["curve"] == said["colour_cast"] == "nothing here"


def test_a_large_epsilon_breaks_the_promise_and_is_said_to():
    fitted = nv.METHODS["image_channel_standardize"](epsilon=0.1).fit()
    tried = {one.name: one for one in tried_changes(fitted, PHOTOS[0])}
    assert tried["gain"].said == "27 %, against the promise" and not tried["gain"].kept
    assert tried["offset"].said == "nothing, as promised" and tried["offset"].kept


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
