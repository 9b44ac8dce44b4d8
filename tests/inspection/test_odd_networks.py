"""Networks and photos that an inspection can say little or nothing of: it says so, in numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import TensorProto, helper

from normviz.errors import ParameterError
from normviz.images import image_of
from normviz.inspection import verdict_of, views_for
from normviz.inspection.from_output import Answers
from normviz.inspection.through import class_shares
from normviz.networks import mobilenet_v2_network
from normviz.samples import SAMPLE_SETS, SAMPLES, load_sample
from tests.inspection.small import convolution, network_of, normalized

SHAPE = ("n", 3, 32, 32)


@pytest.fixture(scope="module")
def photos():
    return [load_sample(key) for key in list(SAMPLES)[:16]]


def filters(count=16, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3, 3, 3)).astype(np.float32)


def said(verdict):
    json.dumps(verdict.to_dict(), allow_nan=False)
    return " ".join(verdict.words())


def head(weights, outputs, stored=None, kind="Relu"):
    """A convolution, a bend and so many outputs, without normalization."""
    last = np.random.default_rng(9).normal(size=(len(weights), outputs)).astype(np.float32)
    nodes = [
        convolution(weights),
        helper.make_node(kind, ["pre"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "last"], ["y"]),
    ]
    return network_of(nodes, {"w": weights, "last": last, **(stored or {})}, SHAPE)


@pytest.mark.parametrize("where", ["tiny", "mean", "variance"])
def test_statistics_that_are_no_numbers_or_nothing_are_left_out(photos, where):
    mean, variance = np.full(16, 0.1), np.ones(16)
    if where == "tiny":
        variance[:] = 1e-12
    else:
        {"mean": mean, "variance": variance}[where][3] = np.nan if where == "mean" else np.inf
    verdict = verdict_of(normalized(filters(), mean, variance, shape=SHAPE), photos)
    assert said(verdict)
    if where == "tiny":
        assert verdict.evidence == "output" and verdict.spoke == ("first filters",)
    else:
        assert verdict.evidence == "first layer" and verdict.left_out == 1


def test_normalizations_that_were_never_trained_give_no_sure_verdict(photos):
    verdict = verdict_of(normalized(filters(), np.zeros(16), np.ones(16), shape=SHAPE), photos)
    assert verdict.confidence != "high"
    poor = verdict_of(normalized(filters(), np.full(16, 90.0), np.ones(16), shape=SHAPE), photos)
    assert poor.confidence == "low" and "no candidate fits" in said(poor)


def test_filters_without_sums_tell_no_constants(photos):
    weights = filters()
    weights -= weights.mean(axis=(2, 3), keepdims=True)
    first = normalized(weights, np.zeros(16), np.ones(16), shape=SHAPE)
    verdict = verdict_of(first, photos)
    assert not verdict.recovered.told
    assert "hardly answer to plain areas" in said(verdict)


def test_an_output_that_is_no_class_leaves_the_first_filters(photos):
    verdict = verdict_of(head(filters(), 1), photos)
    assert verdict.spoke == ("first filters",) and verdict.confidence == "weak"
    assert "from its first filters alone" in said(verdict)
    best = max(verdict.rows, key=lambda row: row.support)
    assert best.key == verdict.key and verdict.support == best.support > 0


def test_where_nothing_speaks_it_is_refused(photos):
    weights = filters()
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["z"]),
        convolution(weights, "z"),
        helper.make_node("GlobalAveragePool", ["pre"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "last"], ["y"]),
    ]
    last = np.ones((16, 1), np.float32)
    network = network_of(nodes, {"w": weights, "last": last}, SHAPE)
    with pytest.raises(ParameterError, match="nothing tells what it expects"):
        verdict_of(network, photos)


def test_answers_alone_are_named_so_and_rgb_is_assumed_when_even(photos):
    scale = {"s": np.ones(16, np.float32), "o": np.zeros(16, np.float32)}
    weights = filters()
    nodes = [
        helper.make_node("Relu", ["x"], ["z"]),
        convolution(weights, "z"),
        helper.make_node("InstanceNormalization", ["pre", "s", "o"], ["n"]),
        helper.make_node("GlobalAveragePool", ["n"], ["b"]),
        helper.make_node("Flatten", ["b"], ["y"]),
    ]
    verdict = verdict_of(network_of(nodes, {"w": weights, **scale}, SHAPE), photos)
    assert verdict.spoke == ("answers",) and "from its answers alone" in said(verdict)
    if verdict.order_support < 0.55:
        assert verdict.candidate.order == "RGB"


def test_the_leader_is_the_one_with_the_largest_share(photos):
    verdict = verdict_of(head(filters(), 10), photos, costs=False)
    shares = {row.key: row.support for row in verdict.rows}
    assert verdict.support == shares[verdict.key] == max(shares.values())
    assert sum(shares.values()) == pytest.approx(1)


def test_a_whole_number_input_leaves_one_family(photos):
    nodes = [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)]
    nodes += [convolution(filters(), "f"), helper.make_node("GlobalAveragePool", ["pre"], ["b"])]
    nodes += [helper.make_node("Flatten", ["b"], ["y"])]
    network = network_of(nodes, {"w": filters()}, SHAPE, TensorProto.UINT8)
    verdict = verdict_of(network, photos)
    assert verdict.only_one and "whole numbers 0 to 255 and nothing else" in said(verdict)


def test_photos_without_contrast_are_refused_and_one_photo_is_not_sure(photos):
    flat = [image_of(np.full((60, 60, 3), 128, np.uint8))] * 3
    with pytest.raises(ParameterError, match="of one brightness each"):
        verdict_of(mobilenet_v2_network(), flat)
    one = verdict_of(mobilenet_v2_network(), photos[:1], costs=False)
    assert one.confidence != "high" and "the 1 photo." in said(one).replace("photo;", "photo.")


def test_a_graph_that_multiplies_by_nothing_says_so(photos):
    weights = filters()
    nodes = [
        helper.make_node("Mul", ["x", "zero"], ["z"]),
        convolution(weights, "z"),
        helper.make_node("BatchNormalization", ["pre", "v", "v", "v", "v"], ["y"]),
    ]
    stored = {
        "w": weights,
        "zero": np.zeros((1, 3, 1, 1), np.float32),
        "v": np.ones(16, np.float32),
    }
    with pytest.raises(ParameterError, match="nothing of it arrives"):
        verdict_of(network_of(nodes, stored, SHAPE), photos)


def test_mirror_images_are_asked_beside_the_photos(photos):
    network = head(filters(), 10)
    verdict = verdict_of(network, photos)
    views = views_for(network, photos)
    fed = verdict.candidate.fed(views.exposed()).astype(np.float32)
    shares, mirrored = (
        np.concatenate([class_shares(network.run(one[None], ["y"])["y"])[None] for one in batch])
        for batch in (fed, fed[:, :, ::-1])
    )
    agreed = Answers(shares, mirrored).agreement(np.ones((1, 16)))[0]
    assert verdict.row.mirror_agreement == pytest.approx(agreed, rel=1e-5)
    assert agreed < 1


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_first_filters_that_are_nothing_are_said(photos, value):
    weights = np.full((16, 3, 3, 3), value, np.float32)
    with pytest.raises(ParameterError, match="weights of its first layer are all 0, or no finite"):
        verdict_of(normalized(weights, np.full(16, 0.1), np.ones(16), shape=SHAPE), photos)


def test_impossible_statistics_are_said(photos):
    weights = filters()
    stored = {name: np.ones(16, np.float32) for name in "gbm"} | {"v": np.full(16, -1, np.float32)}
    nodes = [
        convolution(weights),
        helper.make_node("BatchNormalization", ["pre", "g", "b", "m", "v"], ["n"]),
        helper.make_node("GlobalAveragePool", ["n"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    with pytest.raises(ParameterError, match="store are no possible ones"):
        verdict_of(network_of(nodes, {"w": weights, **stored}, SHAPE), photos)


def test_a_network_without_layers_was_never_trained(photos):
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    with pytest.raises(ParameterError, match="no layer with stored weights"):
        verdict_of(network_of(nodes, {}, SHAPE), photos)


def test_a_large_input_is_refused_and_a_middling_one_gets_fewer_photos(photos):
    weights = filters(2)
    stored = (np.full(2, 0.1), np.ones(2))
    large = normalized(weights, *stored, shape=("n", 3, 1500, 1501))
    with pytest.raises(ParameterError, match="1,501 × 1,500 px is larger than an inspection keeps"):
        verdict_of(large, photos)
    middling = normalized(weights, *stored, shape=("n", 3, 1024, 1024))
    assert len(views_for(middling, photos[:3] * 6)) == (128 << 20) // (12 * 1024 * 1024)


def test_few_photos_and_constants_that_no_preset_has_are_no_fair_verdict():
    few = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
    verdict = verdict_of(mobilenet_v2_network(), few, usual=False, costs=False)
    assert not verdict.published and verdict.support < 0.95
    assert verdict.confidence == "low"
