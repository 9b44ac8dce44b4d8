"""A whole network's record: every layer counted, whatever the number of workers and the split."""

from __future__ import annotations

import threading
import time
import tracemalloc

import numpy as np
import pytest

from normviz.errors import ParameterError
from normviz.networks import load
from normviz.observe.network import CHUNK, Feed, predictions_of, record_channel, record_network
from normviz.observe.recorder import PERCENTILES, LayerRecord
from tests.networks.making import filters, model_of, node, small, written
from tests.observe.test_recorder import assert_same_bits

NET = load(written(small()), "small.onnx")
IMAGES = np.random.default_rng(3).normal(size=(21, 8, 8, 3)).astype(np.float32)


def feed(name: str = "a", count: int = 21, gain: float = 1.0) -> Feed:
    return Feed(name, count, lambda i: np.float32(gain) * IMAGES[i % len(IMAGES)])


def last(records) -> dict:
    return {record.name: record for record in records}


def assert_same(a, b) -> None:
    assert (a.name, a.images, a.predictions) == (b.name, b.images, b.predictions)
    for one, other in zip(a.layers, b.layers, strict=True):
        assert_same_bits(one, other)


def test_each_layer_is_what_a_run_of_all_images_gives():
    (record,) = last(record_network(NET, [feed()])).values()
    found = NET.run(IMAGES, [*(layer.tap for layer in NET.layers), NET.output])
    assert record.images == 21
    for layer, got in zip(NET.layers, record.layers, strict=True):
        whole = LayerRecord.of(found[layer.tap], layer.axis)
        assert got.units == whole.units
        for name in ("low", "high", "mean", "std"):
            np.testing.assert_allclose(getattr(got, name), getattr(whole, name), atol=1e-5)
    assert [p.classes for p in record.predictions] == [
        tuple(np.argsort(-row)) for row in found[NET.output]
    ]


def test_percentiles_are_close_once_a_record_is_done():
    (record,) = last(record_network(NET, [feed()])).values()
    found = NET.run(IMAGES, [layer.tap for layer in NET.layers])
    for layer, got in zip(NET.layers, record.layers, strict=True):
        exact = np.percentile(found[layer.tap].astype(np.float64), PERCENTILES)
        np.testing.assert_allclose(got.percentiles(), exact, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_the_number_of_workers_changes_no_bit(workers):
    feeds = [feed("a"), feed("b", 5, 3.0), feed("c", CHUNK)]
    one = last(record_network(NET, feeds, 1))
    many = last(record_network(NET, feeds, workers))
    assert list(one) == list(many) == ["a", "b", "c"]
    for name in one:
        assert_same(one[name], many[name])


def test_merged_parts_are_the_whole():
    whole = last(record_network(NET, [feed()]))["a"]
    first = last(record_network(NET, [Feed("a", 2 * CHUNK, lambda i: IMAGES[i])]))["a"]
    rest = Feed("a", 21 - 2 * CHUNK, lambda i: IMAGES[2 * CHUNK + i])
    assert_same(first.merge(last(record_network(NET, [rest]))["a"]), whole)


def test_the_first_images_of_all_feeds_come_before_their_next_ones():
    feeds = [feed("a", 2 * CHUNK + 1), feed("b", 1), feed("c", CHUNK + 2), feed("none", 0)]
    seen = [(r.name, r.images) for r in record_network(NET, feeds, 2) if not r.looked]
    assert seen == [
        ("a", CHUNK),
        ("b", 1),
        ("c", CHUNK),
        ("a", 2 * CHUNK),
        ("c", CHUNK + 2),
        ("a", 2 * CHUNK + 1),
    ]
    again = [(r.name, r.looked, r.done) for r in record_network(NET, feeds, 2) if r.looked]
    assert again == [
        ("a", CHUNK, False),
        ("a", 2 * CHUNK, False),
        ("a", 2 * CHUNK + 1, True),
        ("b", 1, True),
        ("c", CHUNK, False),
        ("c", CHUNK + 2, True),
    ]
    assert list(record_network(NET, [])) == []


def test_nobody_runs_far_ahead_of_who_takes_the_records():
    asked: list[int] = []

    def image(index: int) -> np.ndarray:
        asked.append(index)
        return IMAGES[0]

    records = record_network(NET, [Feed("a", 100_000, image)], 2)
    next(records)
    time.sleep(0.5)
    assert max(asked) < 7 * CHUNK
    records.close()
    number = len(asked)
    time.sleep(0.2)
    assert len(asked) == number
    assert threading.active_count() < 10


def test_closed_it_stops_after_the_images_under_way():
    asked: list[int] = []

    def image(index: int) -> np.ndarray:
        asked.append(index)
        time.sleep(0.02)
        return IMAGES[0]

    records = record_network(NET, [Feed("a", 1000, image)], 2)
    next(records)
    before = len(asked)
    records.close()
    assert len(asked) <= before + 2


def test_memory_does_not_grow_with_the_number_of_images():
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in record_network(NET, [Feed("a", count, lambda i: IMAGES[i % 21])], 1):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(CHUNK)
    few, many = peak(8 * CHUNK), peak(320 * CHUNK)
    # A prediction is kept of each image, some 400 bytes.
    assert many < few + 312 * CHUNK * 700


def test_an_error_of_a_feed_arrives_and_ends_the_work():
    def image(index: int) -> np.ndarray:
        if index == CHUNK + 1:
            raise OSError("gone")
        return IMAGES[index]

    records = record_network(NET, [Feed("a", 20, image)], 2)
    assert next(records).images == CHUNK
    with pytest.raises(OSError, match="gone"):
        next(records)


def test_two_feeds_of_one_name_are_refused():
    with pytest.raises(ParameterError, match="Two feeds have one name"):
        next(record_network(NET, [feed(), feed()]))


def test_channels_on_the_last_axis_are_found():
    nodes = [
        node("Reshape", "x s", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1]),
        node("MatMul", "t w", "y"),
    ]
    arrays = {"s": np.array([0, 3, 64]), "w": filters(3, 5, 1)[:, :, 0, 0]}
    net = load(written(model_of(nodes, arrays, rank=3)))
    *_, record = record_network(net, [feed("a", 4)])
    expected = IMAGES[:4].reshape(-1, 3) @ arrays["w"]
    np.testing.assert_allclose(record.layers[0].mean, expected.mean(axis=0), atol=1e-6)
    assert record.predictions == ()


@pytest.mark.parametrize("operator", ["ArgMax", "ZipMap"])
def test_outputs_that_are_no_row_of_classes_give_no_predictions(operator):
    nodes = [
        node("Conv", "x w", "a"),
        node("GlobalAveragePool", "a", "p"),
        node("Flatten", "p", "f"),
    ]
    if operator == "ArgMax":
        nodes.append(node("ArgMax", "f", "y", axis=1, keepdims=0))
        more = {"output_dtype": 7, "rank": 1}
    else:
        nodes.append(node("ZipMap", "f", "y", domain="ai.onnx.ml", classlabels_int64s=[4, 5, 6, 7]))
        more = {"domains": {"ai.onnx.ml": 1}, "rank": 2}
    model = model_of(nodes, {"w": filters()}, **more)
    if operator == "ZipMap":
        kind = model.graph.output[0].type
        kind.Clear()
        kind.sequence_type.elem_type.map_type.key_type = 7
        kind.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = 1
    *_, record = record_network(load(written(model)), [feed("a", 3)])
    assert record.images == 3 and record.predictions == ()
    assert record.layers[0].units == 3 * 36


def test_predictions_are_read_from_logits_and_from_shares():
    logits = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32) * 4
    shares = np.exp(logits.astype(float))
    shares /= shares.sum(axis=1, keepdims=True)
    for output in (logits, shares.astype(np.float32), logits[:, :, None, None]):
        for prediction, row in zip(predictions_of(output), shares, strict=True):
            order = np.argsort(-row)[:5]
            assert prediction.classes == tuple(order)
            np.testing.assert_allclose(prediction.probabilities, row[order], rtol=1e-5)
            assert prediction.entropy == pytest.approx(-(row * np.log2(row)).sum(), rel=1e-5)


def test_certainty_has_no_entropy_and_large_logits_do_not_overflow():
    (one,) = predictions_of(np.array([[1e30, 0.0, -1e30]], np.float32))
    assert (one.classes[0], one.probabilities[0], one.entropy) == (0, 1.0, 0.0)
    (two,) = predictions_of(np.array([[0.0, 1.0]], np.float32))
    assert (two.classes, two.probabilities, two.entropy) == ((1, 0), (1.0, 0.0), 0.0)


def test_outputs_that_overflowed_have_no_probabilities():
    for wrong in (np.nan, np.inf):
        (found,) = predictions_of(np.array([[0.0, wrong, 1.0]], np.float32))
        assert np.isnan(found.probabilities).any() and np.isnan(found.entropy)


@pytest.mark.parametrize("shape", [(2, 1), (2, 5, 4, 4), (4,), (2, 1, 5)])
def test_other_shapes_give_no_predictions(shape):
    assert predictions_of(np.zeros(shape, np.float32)) == []


def test_words_give_no_predictions():
    assert predictions_of(np.array([["cat", "dog"]], object)) == []


def test_a_channel_is_recorded_by_itself():
    layer = NET.layers[0]
    found = NET.run(IMAGES, [layer.tap])[layer.tap]
    own = np.moveaxis(found, layer.axis, 1)[:, 1].astype(np.float64)
    got = record_channel(NET, 0, 1, feed())
    np.testing.assert_allclose(got.percentiles, np.percentile(own, PERCENTILES), atol=1e-6)
    assert (got.record.channels, got.record.units) == (1, own.size)
    assert got.record.layer_mean == pytest.approx(own.mean(), abs=1e-6)
