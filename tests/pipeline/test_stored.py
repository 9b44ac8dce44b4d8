"""Pipelines go to JSON and back, and nothing else is taken for one."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normviz as nv
from normviz.errors import ParameterError
from normviz.pipeline import KNOWN, FittedPipeline, Pipeline, from_json
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import ChannelOrder, Clip, MeanStd, Scale, ToBytes, ToRGB
from normviz.samples import load_sample

PHOTOS = [load_sample(name) for name in ("coffee", "rocket")]

number = st.floats(-1e6, 1e6, allow_nan=False)
steps = st.one_of(
    st.just(ToRGB()),
    st.just(ToBytes()),
    st.just(ChannelOrder()),
    st.builds(
        Resize,
        st.integers(1, 4096),
        st.sampled_from(["shorter", "longer", "both"]),
        st.sampled_from(["nearest", "bilinear", "bicubic", "area", "lanczos"]),
        st.sampled_from(["pillow", "opencv"]),
    ),
    st.builds(CentreCrop, st.integers(1, 4096), st.integers(0, 4096)),
    st.builds(Scale, number.filter(lambda v: abs(v) >= 1e-9), number),
    st.builds(MeanStd, st.tuples(number, number, number), st.tuples(st.floats(1e-6, 1e6))),
    st.builds(Clip, st.floats(-1e6, -1), st.floats(0, 1e6)),
    st.builds(
        lambda key: Normalize(nv.METHODS[key]()), st.sampled_from(["lcn", "scale_11", "published"])
    ),
)


@given(st.lists(steps, max_size=6))
@settings(max_examples=60, deadline=None)
def test_every_pipeline_comes_back_equal(made):
    pipeline = Pipeline(made)
    assert from_json(pipeline.to_json()) == pipeline
    fitted = pipeline.fit()
    back = from_json(fitted.to_json())
    assert back == fitted and isinstance(back, FittedPipeline) and back.pipeline == pipeline


@pytest.mark.parametrize("key", KNOWN)
def test_known_pipelines_come_back_equal(key):
    assert from_json(KNOWN[key].pipeline.to_json()) == KNOWN[key].pipeline


def test_fitted_numbers_come_back_to_the_bit():
    made = [Resize(32), Normalize(nv.METHODS["dataset_zscore"](epsilon=1e-3))]
    fitted = Pipeline(made).fit(PHOTOS)
    back = from_json(fitted.to_json())
    assert back == fitted and back.pipeline == fitted.pipeline
    np.testing.assert_array_equal(back(PHOTOS[0]), fitted(PHOTOS[0]))
    other = Pipeline(made).fit(PHOTOS[:1])
    assert other != fitted and hash(back) == hash(fitted)


def test_a_pipeline_can_be_written_by_hand():
    text = """{"format": "normviz-pipeline/1", "steps": [
        {"step": "resize", "size": 64},
        {"step": "scale"},
        {"step": "mean_std", "mean": [0.5], "std": [0.5]},
        {"step": "clip", "low": -1},
        {"step": "normalize", "method": "gamma_or_other"}]}"""
    with pytest.raises(ParameterError, match="step 5: there is no method 'gamma_or_other'"):
        from_json(text)
    read = from_json(text.replace("gamma_or_other", "scale_01"))
    assert isinstance(read, Pipeline)
    assert read.words().startswith("resize 64 (shorter side, bilinear, Pillow) → ÷ 255 → − (0.5)")


def record() -> dict:
    made = [Resize(8), Normalize(nv.METHODS["dataset_zscore"]()), Clip(-3, 3)]
    return json.loads(Pipeline(made).fit(PHOTOS).to_json())


def changed(*path, to):
    done = record()
    place = done
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return json.dumps(done)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "this is not JSON"),
        ("[" * 100000, "this is not JSON"),
        ("[]", "expected a pipeline"),
        ('{"format": "normviz-fitted/1"}', "expected a pipeline"),
        ('{"format": "normviz-pipeline/1"}', '"steps" must be a list'),
        (changed("steps", 0, to=5), "step 1 must be an object"),
        (changed("steps", 0, "step", to="blur"), "step 1: there is no step 'blur'; there are to_"),
        (changed("steps", 0, "step", to=[]), "step 1: there is no step"),
        (changed("steps", 0, "size", to="big"), "step 1: Resize: Size is a whole number"),
        (changed("steps", 0, "size", to=float("nan")), "step 1: Resize: Size is a whole number"),
        (changed("steps", 0, "sise", to=1), "step 1: Resize has no parameter 'sise'; there are"),
        (changed("steps", 1, "method", to=None), "step 2: there is no method None"),
        (changed("steps", 1, "parameters", to=[]), "step 2: the parameters of dataset_zscore are"),
        (changed("steps", 1, "parameters", to={"x": 1}), "step 2: the parameters of"),
        (changed("steps", 1, "more", to=1), "step 2: Normalize has no 'more'"),
        (changed("steps", 2, "low", to=1e999), "step 3: Clip: Low is from"),
        (changed("fitted", to={}), '"fitted" must be a list of 3'),
        (changed("fitted", to=[]), '"fitted" must be a list of 3'),
        (changed("fitted", 0, to={}), r"step 1 \(Resize\) holds nothing fitted"),
        (changed("fitted", 1, to=None), "step 2: expected a fitted method"),
        (changed("fitted", 1, "constants", to=5), "step 2: the record of .* is damaged"),
        (changed("fitted", 1, "constants", "mean", to=10**400), "step 2: "),
        (changed("fitted", 1, "parameters", "epsilon", to=0.05), "step 2 .* other parameters"),
    ],
)
def test_damaged_records_are_refused_in_a_sentence(text, sentence):
    with pytest.raises(ParameterError, match=sentence):
        from_json(text)


def places(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*path, key))


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
RECORD = record()
PLACES = [path for path in places(RECORD) if path]


@given(st.sampled_from(PLACES), junk)
@settings(max_examples=300, deadline=None)
def test_any_damage_is_read_or_refused_but_never_crashes(path, value):
    damaged = copy.deepcopy(RECORD)
    place = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    try:
        read = from_json(json.dumps(damaged))
    except ParameterError as error:
        assert str(error)
        return
    assert isinstance(read, (Pipeline, FittedPipeline))


@given(st.text(max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_text_is_refused(text):
    with pytest.raises(ParameterError):
        from_json(text)
