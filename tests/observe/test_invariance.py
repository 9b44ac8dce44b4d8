"""What the Methods page says a method sees: the promise of its metadata, measured."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.images import reduced
from normviz.observe.invariance import CHANGES, tried_changes
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
