"""Running a network and reading its tensors: against NumPy, whatever the layout and type."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from onnx import TensorProto, helper

from normviz.errors import ParameterError, ReadError, ShapeError
from normviz.networks import Network, imagenet_labels, load, mobilenet_v2_network
from normviz.networks.first_layer import FirstLayer, pre_activations
from normviz.networks.network import _short, tapped
from tests.networks.making import filters, graph_of, model_of, node, norm_arrays, small, written

RNG = np.random.default_rng(5)
Z = RNG.normal(size=(3, 8, 8, 3)).astype(np.float32)


def network(*given, layout=None, size=None, **more) -> Network:
    return Network(model_of(*given, **more), "tiny.onnx", layout, size)


def test_tensors_inside_are_those_of_the_definition():
    layer = FirstLayer("t", "t", filters(), np.zeros(4, np.float32), 2, "", "")
    found = load(written(small()), "small.onnx").run(Z, ["a", "n", "r", "y"])
    a = np.stack([pre_activations(layer, z) for z in Z]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found["a"], a, atol=2e-5)
    g, b, m, v = (norm_arrays()[k][:, None, None] for k in "gbmv")
    n = (a - m) / np.sqrt(v + 1e-5) * g + b
    np.testing.assert_allclose(found["n"], n, atol=5e-5)
    np.testing.assert_allclose(found["r"], np.maximum(n, 0), atol=5e-5)
    y = np.maximum(n, 0).mean(axis=(2, 3)) @ filters(5, 4, 1)[:, :, 0, 0].T
    np.testing.assert_allclose(found["y"], y, atol=1e-4)


def test_only_what_the_taps_need_is_kept():
    model = tapped(load(written(small())).graph, ["n"])
    assert [n.op_type for n in model.graph.node] == ["Conv", "BatchNormalization"]
    assert {t.name for t in model.graph.initializer} == {"conv.weight", "g", "b", "m", "v"}
    assert [o.name for o in model.graph.output] == ["n"]


@pytest.mark.parametrize("shape", [("N", 3, 8, 8), ("N", 8, 8, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8"])
def test_images_are_fed_as_the_input_wants(shape, dtype):
    number = {"float32": 1, "float16": 10, "float64": 11, "uint8": 2}[dtype]
    net = network([node("Identity", "x", "y")], None, shape, number, output_dtype=number)
    values = np.float32(40) * Z + 100
    values[0, 0, 0] = (-3.2, 270.0, 12.5)
    fed = net.run(values, ["y"])["y"]
    assert fed.dtype == dtype
    images = fed.transpose(0, 2, 3, 1) if shape[1] == 3 else fed
    wanted = np.clip(np.rint(values), 0, 255) if dtype == "uint8" else values
    np.testing.assert_array_equal(images, wanted.astype(dtype))
    if dtype == "uint8":
        assert images[0, 0, 0].tolist() == [0, 255, 12]


def test_grey_is_repeated_and_colour_is_averaged():
    one = network([node("Identity", "x", "y")], None, ("N", 1, 8, 8))
    np.testing.assert_allclose(one.fed(Z)[:, 0], Z.mean(axis=3), rtol=1e-6)
    three = network([node("Identity", "x", "y")])
    fed = three.fed(Z[..., :1])
    assert fed.shape == (3, 3, 8, 8)
    for channel in range(3):
        np.testing.assert_array_equal(fed[:, channel], Z[..., 0])


def test_images_stay_untouched():
    before = Z.copy()
    for shape in (("N", 8, 8, 3), ("N", 3, 8, 8)):
        network([node("Relu", "x", "y")], None, shape).run(Z, ["y"])
        np.testing.assert_array_equal(Z, before)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_fixed_batch_gives_what_a_free_one_gives(count):
    nodes, arrays = [node("Conv", "x w", "y")], {"w": filters()}
    z = RNG.normal(size=(count, 8, 8, 3)).astype(np.float32)
    free = network(nodes, arrays).run(z, ["y"])["y"]
    fixed = network(nodes, arrays, (2, 3, 8, 8)).run(z, ["y"])["y"]
    assert fixed.shape == free.shape == (count, 4, 6, 6)
    np.testing.assert_allclose(fixed, free, atol=1e-6)


@pytest.mark.parametrize(
    "shape", [(8, 8, 3), (1, 8, 9, 3), (1, 9, 8, 3), (1, 8, 8, 4), (0, 8, 8, 3)]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"tiny.onnx takes one or more images \(N, 8, 8, 1 or 3\)"):
        network([node("Relu", "x", "y")]).run(np.zeros(shape, np.float32), ["y"])


def test_a_run_that_fails_is_said_with_the_runtime_s_words():
    nodes = [node("Reshape", "x s", "y")]
    net = network(nodes, {"s": np.array([7, 7, 1, 1])})
    with pytest.raises(ReadError, match=r"tiny.onnx: it does not run: .*[Rr]eshape"):
        net.run(Z[:1], ["y"])


def test_a_model_that_does_not_load_is_said():
    net = network([node("Conv", "x w", "y")], {"w": filters().astype(np.float64)})
    with pytest.raises(ReadError, match=r"tiny.onnx: ONNX Runtime cannot load it: "):
        net.run(Z[:1], ["y"])
    with pytest.raises(ReadError, match="cannot load it"):
        network([node("Relu", "x", "y")]).run(Z[:1], ["nobody"])


def test_nothing_is_printed_when_it_fails(capfd):
    net = network([node("Reshape", "x s", "y")], {"s": np.array([7, 7, 1, 1])})
    with pytest.raises(ReadError):
        net.run(Z[:1], ["y"])
    assert capfd.readouterr() == ("", "")


def test_a_tap_asked_for_twice_is_given_once():
    assert list(load(written(small())).run(Z, ["n", "y", "n"])) == ["n", "y"]


def test_old_files_with_stored_arrays_among_the_inputs_run():
    listed = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8)),
        helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 3, 3, 3)),
        helper.make_tensor_value_info("u", TensorProto.FLOAT, (2, 4, 1, 1)),
    ]
    nodes = [node("Conv", "x w", "a"), node("Conv", "a u", "y")]
    net = network(nodes, {"w": filters(), "u": filters(2, 4, 1)}, inputs=listed)
    found = net.run(Z[:1], ["a"])["a"]  # Without u, which the first layer does not need.
    np.testing.assert_allclose(found, net.run(Z[:1], ["a", "y"])["a"], atol=1e-6)


def test_tensors_that_only_a_branch_uses_are_kept():
    value = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    other = helper.make_tensor_value_info("e", TensorProto.FLOAT, None)
    then = helper.make_graph([helper.make_node("Add", ["h", "k"], ["t"])], "t", [], [value])
    els = helper.make_graph([helper.make_node("Neg", ["h"], ["e"])], "e", [], [other])
    nodes = [
        node("Relu", "x", "h"),
        node("If", "c", "i", then_branch=then, else_branch=els),
        node("Abs", "i", "y"),
    ]
    arrays = {"c": np.array(True), "k": np.array(2, np.float32)}
    found = network(nodes, arrays).run(Z, ["i"])["i"]
    np.testing.assert_allclose(found, np.maximum(Z, 0).transpose(0, 3, 1, 2) + 2)


def test_hints_reach_the_input():
    model = written(model_of([node("Conv", "x w", "y")], {"w": filters()}, ("N", 3, "h", "w")))
    assert load(model, "t.onnx", size=(12, 10)).run(np.zeros((1, 12, 10, 3), np.float32), ["y"])[
        "y"
    ].shape == (1, 4, 10, 8)
    with pytest.raises(ParameterError, match="NCHW or NHWC, got 'CHW'"):
        load(model, layout="CHW")


def test_few_sessions_are_kept():
    net = load(written(small()))
    for taps in (["a"], ["n"], ["r"], ["p"], ["f"], ["y"], ["a", "n"]):
        net.run(Z[:1], taps)
    assert len(net._sessions) == 4
    assert ("a", "n") in net._sessions


def test_threads_share_a_network():
    net, results = load(written(small())), {}

    def run(number: int) -> None:
        results[number] = net.run(Z, ["n", "y"])["y"]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(net._sessions) == 1
    for number in range(1, 8):
        np.testing.assert_array_equal(results[number], results[0])


def test_the_bundled_network_is_whole():
    net = mobilenet_v2_network()
    assert net.input.words() == "input: N×3×224×224 (NCHW), float32"
    assert len(net.batch_norms) == 52 and len(net.layers) == 53
    assert [layer.kind for layer in net.layers[:3]] == [
        "Conv 3×3, BatchNorm, ReLU6",
        "Conv 3×3, BatchNorm, ReLU6",
        "Conv 1×1, BatchNorm",
    ]
    assert len(net.labels) == len(set(net.labels)) + 2 == 1000
    assert net.labels == imagenet_labels()


def test_without_the_runtime_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Exception, match="pip install onnxruntime"):
        network([node("Relu", "x", "y")]).run(Z[:1], ["y"])
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(Exception, match="pip install onnx onnxruntime"):
        load(b"")


def test_a_graph_keeps_its_name():
    assert graph_of([node("Relu", "x", "y")]).name == "tiny.onnx"


def test_words_of_onnx_runtime_are_whole_and_without_its_source():
    said = _short(
        RuntimeError(
            "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/graph/x.h:46 void "
            "onnxruntime::model::Validate(const std::unordered_map<std::string, int>&, int) ONNX "
            "Runtime only supports some opsets. " + "More words that nobody needs. " * 20
        )
    )
    assert said.startswith("ONNX Runtime only supports some opsets. More") and len(said) <= 300
    assert said.endswith("nobody needs")
