import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from normviz.errors import ParameterError
from normviz.images import image_of
from normviz.inspection import Step, Verdict, guesses_under, inspect_network, verdict_of
from normviz.inspection.candidates import Candidate, candidates, separation
from normviz.inspection.recovered import ASSUMED_STD
from normviz.inspection.verdict import CODE_TARGETS, ORDER_TRIALS
from normviz.networks import mobilenet_v2_network
from normviz.samples import SAMPLES, load_sample
from tests.inspection.re_expressed import Convention, re_expressed
from tests.inspection.small import convolution, network_of

ROOT = Path(__file__).resolve().parents[2]
CHANNELS_DIFFER = (np.array([0.4, 0.5, 0.6]), np.array([0.4, 0.36, 0.33]))


@pytest.fixture(scope="module")
def photos():
    return [load_sample(key) for key in list(SAMPLES)[:16]]


def known(key, order="RGB"):
    return next(one for one in candidates(3) if (one.key, one.order) == (key, order))


def as_rgb(candidate):
    return replace(candidate, order="RGB")


@pytest.fixture(scope="module")
def own(photos):
    records = list(inspect_network(mobilenet_v2_network(), photos))
    return records


def test_mobilenet_expects_rgb_under_imagenets_constants(own):
    verdict = own[-1]
    assert verdict.key == "imagenet" and verdict.layout == "NCHW"
    # These photos speak for RGB, with odds that may stay short of telling.
    assert verdict.candidate.order == "RGB" and verdict.order in (None, "RGB")
    assert verdict.evidence == "first layer" and verdict.published
    assert verdict.support > 0.95 and verdict.confidence == "high"
    assert verdict.row.distance < 0.01
    distances = {row.key: row.distance for row in verdict.rows}
    assert distances["clip"] > 0.02 and distances["half"] > 0.5 and distances["bytes"] > 1000
    recovered = verdict.recovered.candidate
    assert recovered.mean == pytest.approx([0.485, 0.456, 0.406], abs=0.03)
    assert recovered.std == pytest.approx([0.229, 0.224, 0.225], rel=0.12)
    for interval, truth in (
        (verdict.recovered.mean_interval, [0.485, 0.456, 0.406]),
        (verdict.recovered.std_interval, [0.229, 0.224, 0.225]),
    ):
        assert (interval[0] < truth).all() and (truth < interval[1]).all()


def test_what_the_wrong_one_costs(own):
    rows = {row.key: row for row in own[-1].rows}
    assert rows["imagenet"].agreement == 1.0 and rows["imagenet"].top5_change == 0.0
    assert rows["bytes"].agreement < 0.2 and rows["unit"].agreement < 0.5
    assert rows["unit"].deep > 3 * rows["imagenet"].deep
    assert len(rows["unit"].by_layer) == 52
    assert rows["imagenet"].entropy < rows["unit"].entropy
    words = " ".join(own[-1].words())
    assert "Feeding it fractions 0 to 1 without constants costs:" in words


def test_any_candidate_can_be_fed_one_photo(own, photos):
    verdict, network = own[-1], mobilenet_v2_network()
    fed = next(row for row in verdict.rows if row.top5)
    for at in (0, 5):
        again = guesses_under(network, photos, at, fed)
        assert [name for name, _ in again] == [name for name, _ in fed.top5[at]]
        shares = [share for _, share in again]
        assert shares == pytest.approx([share for _, share in fed.top5[at]], rel=1e-3)
    other = next(row for row in verdict.rows if not row.top5)
    shares = [share for _, share in guesses_under(network, photos, 0, other)]
    assert len(shares) == 5 and shares == sorted(shares, reverse=True) and sum(shares) < 1


def test_progress_comes_before_the_verdict_and_names_its_stage(own):
    steps = own[:-1]
    assert all(isinstance(step, Step) for step in steps)
    assert list(dict.fromkeys(step.stage for step in steps)) == ["first layer", "whole network"]
    first = [step for step in steps if step.stage == "first layer"]
    assert [step.done for step in first] == list(range(1, 17)) and first[0].total == 16


def test_the_record_is_json_with_the_verdict_and_code(own):
    record = json.loads(json.dumps(own[-1].to_dict(), allow_nan=False))
    assert record["verdict"]["key"] == "imagenet"
    assert record["verdict"]["assumed_order"] == "RGB"
    assert record["verdict"]["mean"] == pytest.approx([0.485, 0.456, 0.406])
    assert set(CODE_TARGETS) == set(record["code"])


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_the_code_feeds_what_the_verdict_says(own, order):
    pytest.importorskip("cv2")
    candidate = Candidate.of("x", "", *CHANNELS_DIFFER, order)
    verdict = replace(own[-1], candidate=candidate)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    right = candidate.fed(pixels / 255)
    for target, image in (("numpy", pixels), ("opencv", pixels[..., ::-1])):
        scope: dict = {}
        exec(verdict.code(target), scope)
        assert scope["normalize"](np.ascontiguousarray(image)) == pytest.approx(right, abs=1e-5)


@pytest.mark.parametrize(
    ("layout", "dtype"), [("NCHW", "float32"), ("NHWC", "float32"), ("NCHW", "uint8")]
)
@pytest.mark.parametrize("target", ["numpy", "opencv", "torchvision", "albumentations", "keras"])
def test_the_code_feeds_a_batch_of_one_in_the_network_s_layout(own, target, layout, dtype):
    pytest.importorskip({"opencv": "cv2"}.get(target, target))
    gain = (255.0, 0.0) if dtype == "uint8" else (4.0, -2.0)
    candidate = Candidate("x", "", *(np.full(3, value) for value in gain), "RGB")
    verdict = replace(own[-1], candidate=candidate, layout=layout, dtype=dtype, size=(4, 5))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    given = pixels[..., ::-1] if target == "opencv" else pixels
    given = np.ascontiguousarray(given)
    if target == "torchvision":
        import torch

        given = torch.from_numpy(given).permute(2, 0, 1)
    scope: dict = {}
    exec(verdict.code(target), scope)
    fed = np.asarray(scope["feed"](given))
    right = candidate.fed(pixels / 255)
    right = right.transpose(2, 0, 1) if layout == "NCHW" else right
    assert fed.shape == (1, *right.shape) and fed.dtype == dtype
    assert fed[0] == pytest.approx(right, abs=1e-4)


def test_what_is_usual_costs_something_under_bgr_too(photos):
    network = re_expressed(mobilenet_v2_network(), Convention(known("imagenet", "BGR")))
    verdict = verdict_of(network, photos)
    assert verdict.candidate.order == "BGR"
    for key in ("unit", "bytes", "half"):
        row = next(row for row in verdict.rows if row.key == f"{key}_bgr")
        assert row.agreement is not None and row.top5
    assert "another first class for" in " ".join(verdict.words())


@pytest.mark.parametrize(
    "way",
    [
        Convention(known("half")),
        Convention(known("vgg", "BGR"), layout="NHWC"),
        Convention(known("bytes"), inside="Sub, Div"),
        Convention(known("clip", "BGR"), inside="Mul, Add", layout="NHWC"),
    ],
    ids=["half", "vgg", "bytes inside", "clip inside"],
)
def test_a_network_under_another_convention(way, photos):
    made = re_expressed(mobilenet_v2_network(), way)
    verdict = verdict_of(made, photos, costs=False)
    assert verdict.published and verdict.layout == way.layout
    assert separation(as_rgb(verdict.candidate), as_rgb(way.candidate)) < 0.15
    reach = np.ptp(way.candidate.range)
    assert verdict.candidate.range == pytest.approx(way.candidate.range, abs=0.03 * reach)
    assert verdict.in_graph.changes == bool(way.inside)
    assert verdict.order in (None, way.candidate.order)


def test_constants_that_nobody_published_are_recovered(photos):
    truth = Candidate.of("x", "", *CHANNELS_DIFFER, "RGB")
    made = re_expressed(mobilenet_v2_network(), Convention(truth))
    verdict = verdict_of(made, photos, costs=False)
    assert not verdict.published and "constants that no preset has" in verdict.words()[0]
    assert verdict.recovered.candidate.mean == pytest.approx(truth.mean, abs=0.05)
    assert verdict.recovered.candidate.std == pytest.approx(truth.std, rel=0.12)


def test_the_same_function_has_the_same_distance_under_any_convention(own, photos):
    made = re_expressed(mobilenet_v2_network(), Convention(known("imagenet", "BGR")))
    verdict = verdict_of(made, photos, costs=False)
    assert verdict.candidate.order == "BGR"
    assert verdict.row.distance == pytest.approx(own[-1].row.distance, rel=1e-2)


def test_without_batch_normalization_only_answers_speak_and_it_is_said(photos):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 3, 3, 3)).astype(np.float32)
    nodes = [
        convolution(weights),
        helper.make_node("Relu", ["pre"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["y"]),
    ]
    network = network_of(nodes, {"w": weights}, ("n", 3, 32, 32))
    verdict = verdict_of(network, photos)
    assert verdict.evidence == "output" and verdict.recovered is None
    assert verdict.confidence in ("weak", "fair")
    assert "weaker evidence" in verdict.words()[1]
    measured = [row for row in verdict.rows if row.information is not None]
    assert measured[0].score == max(row.score for row in measured)


def test_no_images_are_refused():
    with pytest.raises(ParameterError, match="at least one image"):
        verdict_of(mobilenet_v2_network(), [])


def test_a_seed_gives_the_same_verdict_again(photos):
    first, again = (
        verdict_of(mobilenet_v2_network(), photos[:4], costs=False, seed=5) for _ in range(2)
    )
    assert isinstance(first, Verdict) and first.to_dict() == again.to_dict()


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_the_order_of_channels_is_told_by_natural_photos(order, photos):
    told = 0
    for key in ("clip", "half", "vgg_torchvision"):
        made = re_expressed(mobilenet_v2_network(), Convention(known(key, order)))
        verdict = verdict_of(made, photos, costs=False)
        assert verdict.candidate.order == order and verdict.order_support > 0.5
        told += verdict.order == order
        for one in ("RGB", "BGR"):
            first = [row.support for row in verdict.rows if row.order == one]
            assert sum(first) == pytest.approx(1)
    assert told >= 2


def test_photos_without_colour_do_not_tell_the_order(photos):
    grey = [
        image_of(np.repeat(one.pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8))
        for one in photos
    ]
    verdict = verdict_of(mobilenet_v2_network(), grey, costs=False)
    assert verdict.order is None and verdict.order_support < 0.9


def test_what_is_said_of_the_benchmark_is_what_it_found():
    record = json.loads((ROOT / "benchmarks" / "results" / "inspection.json").read_text("utf-8"))
    for evidence, names in (
        ("first layer", ("re_expressed", "lite0")),
        ("output", ("folded", "lite0_folded")),
    ):
        found = [record[name] for name in names]
        counts = [
            sum(one[key] for one in found) for key in ("count", "order_told", "order_told_right")
        ]
        assert tuple(counts) == ORDER_TRIALS[evidence]
    assert record["re_expressed"]["right"] >= 95
    off = [
        one["recovered_std_off"]
        for name in ("re_expressed", "lite0")
        for one in record["trials"][name]
        if "recovered_std_off" in one and one["assumed_order"] == one["order"]
    ]
    assert max(off) < ASSUMED_STD + 0.001
