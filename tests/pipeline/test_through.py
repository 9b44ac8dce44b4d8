"""A pipeline as the transform of a scan, on any engine."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import normviz as nv
from normviz.errors import ParameterError
from normviz.images import ValueRange, image_of
from normviz.pipeline import arriving, through
from normviz.pipeline.through import Through
from normviz.read import parts_of
from normviz.statistics.engines import Here, Processes

RNG = np.random.default_rng(2)
IMAGES = [
    image_of(RNG.integers(0, 256, (9, 12, 3), np.uint8), path=f"{at}.png", label="a")
    for at in range(6)
]
SIZE = nv.Pipeline((nv.STEPS["resize"](8), nv.STEPS["centre_crop"](6)))
ZSCORE = nv.Pipeline((nv.STEPS["normalize"](nv.METHODS["dataset_zscore"]()),))


def test_an_image_keeps_its_name_and_gets_its_range():
    call = Through(SIZE.fit())
    done = call(IMAGES[1])
    np.testing.assert_array_equal(done.pixels, SIZE.fit()(IMAGES[1]))
    assert (done.path, done.label, done.value_range) == ("1.png", "a", (0, 255))
    declared = Through(ZSCORE.fit(IMAGES), ValueRange(-9, 9))(IMAGES[1])
    assert (declared.path, declared.label, declared.value_range) == ("1.png", "a", (-9, 9))


@pytest.mark.parametrize("engine", [Here(), Processes(2)], ids=["here", "processes"])
def test_the_range_that_occurs_is_that_of_all_images(engine):
    fitted = ZSCORE.fit(IMAGES)
    call = through(fitted, parts_of(IMAGES, 2), engine)
    values = np.stack([fitted(image) for image in IMAGES])
    assert call.occurs == (values.min(), values.max())
    stats = nv.scan(IMAGES, transform=call)
    same = nv.scan(arriving(fitted, IMAGES))
    np.testing.assert_array_equal(stats.mean, same.mean)
    np.testing.assert_array_equal(stats.std.pooled, same.std.pooled)


def test_a_pipeline_that_ends_with_a_range_reads_nothing_before():
    def refused():
        raise AssertionError("read")
        yield

    assert through(SIZE.fit(), refused(), Here()).occurs is None


def test_equal_values_still_have_a_range():
    flat = [image_of(np.full((4, 4, 3), 7, np.uint8))]
    fitted = nv.Pipeline((nv.STEPS["normalize"](nv.METHODS["dataset_mean"]()),)).fit(flat)
    assert through(fitted, parts_of(flat, 1), Here()).occurs == (0, 1)


def test_it_travels_and_is_known_by_what_it_does():
    call = Through(SIZE.fit())
    there = pickle.loads(pickle.dumps(call))
    np.testing.assert_array_equal(there(IMAGES[0]).pixels, call(IMAGES[0]).pixels)
    assert repr(there) == repr(call) == repr(Through(SIZE.fit()))
    others = [
        Through(nv.Pipeline((nv.STEPS["resize"](9),)).fit()),
        Through(SIZE.fit(), ValueRange(0, 1)),
        Through(ZSCORE.fit(IMAGES)),
        Through(ZSCORE.fit(IMAGES[1:])),
    ]
    assert len({repr(one) for one in (call, *others)}) == 5


def test_a_step_that_needs_a_range_is_named():
    with pytest.raises(ParameterError, match="A scan needs values with a lowest"):
        Through(ZSCORE.fit(IMAGES))(IMAGES[0])


def test_a_pipeline_is_measured_by_who_is_asked():
    asked = []

    def measure(so_far, step, side):
        asked.append((so_far.pipeline.words(), step.method.key, side))
        return nv.scan(IMAGES, transform=Through(so_far, wants=step))

    steps = (*SIZE.steps, ZSCORE.steps[0])
    assert nv.Pipeline(steps).fit((), measure=measure) == nv.Pipeline(steps).fit(IMAGES)
    assert asked == [(SIZE.words(), "dataset_zscore", None)]
