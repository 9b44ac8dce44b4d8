import numpy as np
import pytest
from onnx import TensorProto, helper

from normviz.inspection.in_graph import in_graph
from tests.inspection.small import convolution, network_of

WEIGHTS = np.ones((4, 3, 3, 3), np.float32)


def found_in(nodes, stored, **options):
    network = network_of(nodes, {"w": WEIGHTS, **stored}, **options)
    return in_graph(network.graph, network.input)


def node(kind, given, **attributes):
    return helper.make_node(kind, given, ["z"], **attributes)


def test_nothing_before_the_first_layer():
    found = found_in([convolution(WEIGHTS)], {})
    assert not found.changes and found.words() == (
        "The graph changes nothing before its first layer."
    )


def test_a_mean_and_std_on_pixels_channels_last():
    mean, std = np.float32([120, 110, 100]), np.float32([60, 50, 40])
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["a", "m"], ["b"]),
        helper.make_node("Div", ["b", "s"], ["c"]),
        helper.make_node("Transpose", ["c"], ["z"], perm=[0, 3, 1, 2]),
        convolution(WEIGHTS, "z"),
    ]
    found = found_in(nodes, {"m": mean, "s": std}, shape=("n", 12, 10, 3))
    assert found.gain == pytest.approx(1 / std) and found.bias == pytest.approx(-mean / std)
    assert found.steps == ("Sub", "Div") and not found.turned
    assert "(x − [120, 110, 100]) / [60, 50, 40]" in found.words()


def test_constants_that_the_graph_brings_into_shape():
    mean, std = np.float32([0.5, 0.25, 0.125]), np.float32([4.0, 1.0, 0.25])
    nodes = [
        helper.make_node("Unsqueeze", ["m", "axes"], ["m3"]),
        helper.make_node("Sqrt", ["s"], ["root"]),
        helper.make_node("Reshape", ["root", "shape"], ["s3"]),
        helper.make_node("Sub", ["x", "m3"], ["a"]),
        helper.make_node("Div", ["a", "s3"], ["z"]),
        convolution(WEIGHTS, "z"),
    ]
    stored = {"m": mean, "s": std, "axes": np.int64([1, 2]), "shape": np.int64([1, 3, 1, 1])}
    found = found_in(nodes, stored)
    assert found.steps == ("Sub", "Div")
    assert found.gain == pytest.approx(1 / np.sqrt(std))
    assert found.bias == pytest.approx(-mean / np.sqrt(std))


def test_a_constant_minus_the_image_turns_its_sign():
    found = found_in([node("Sub", ["one", "x"]), convolution(WEIGHTS, "z")], {"one": np.float32(1)})
    assert found.gain.tolist() == [-1, -1, -1] and found.bias.tolist() == [1, 1, 1]


def test_a_batch_normalization_of_the_input():
    stored = {
        "g": np.float32([2, 2, 2]),
        "b": np.float32([1, 1, 1]),
        "m": np.float32([10, 20, 30]),
        "v": np.float32([4, 4, 4]),
    }
    norm = node("BatchNormalization", ["x", "g", "b", "m", "v"], epsilon=0.0)
    found = found_in([norm, convolution(WEIGHTS, "z")], stored)
    assert found.gain == pytest.approx([1, 1, 1])
    assert found.bias == pytest.approx([-9, -19, -29])


TURN = np.array([2, 1, 0], np.int64)


@pytest.mark.parametrize(
    ("nodes", "stored"),
    [
        ([node("Gather", ["x", "i"], axis=1)], {"i": TURN}),
        (
            [
                helper.make_node("Split", ["x"], ["r", "g", "b"], axis=1),
                node("Concat", ["b", "g", "r"], axis=1),
            ],
            {},
        ),
        (
            [node("Slice", ["x", "from", "to", "axes", "step"])],
            {
                "from": np.array([-1]),
                "to": np.array([-(2**31)]),
                "axes": np.array([1]),
                "step": np.array([-1]),
            },
        ),
    ],
    ids=["Gather", "Split", "Slice"],
)
def test_channels_turned_round_and_constants_in_the_order_that_comes_in(nodes, stored):
    add = helper.make_node("Add", ["z", "m"], ["t"])
    mean = np.float32([1, 2, 3]).reshape(1, 3, 1, 1)
    found = found_in([*nodes, add, convolution(WEIGHTS, "t")], {**stored, "m": mean})
    assert found.turned and found.bias.tolist() == [3, 2, 1]
    assert "turns the order of the channels round" in found.words()


def test_it_ends_at_a_branch():
    nodes = [
        node("Mul", ["x", "k"]),
        helper.make_node("Add", ["z", "x"], ["t"]),
        convolution(WEIGHTS, "t"),
    ]
    assert not found_in(nodes, {"k": np.float32(2)}).changes


def test_constants_behind_a_transpose_are_those_of_the_channels():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Mul", ["t", "k"]),
        convolution(WEIGHTS, "z"),
    ]
    gains = np.float32([2, 3, 4]).reshape(3, 1, 1)
    found = found_in(nodes, {"k": gains}, shape=("n", 12, 10, 3))
    assert found.gain.tolist() == [2, 3, 4]


def test_it_ends_at_an_operator_that_is_not_affine():
    nodes = [
        helper.make_node("Relu", ["x"], ["t"]),
        node("Mul", ["t", "k"]),
        convolution(WEIGHTS, "z"),
    ]
    assert not found_in(nodes, {"k": np.float32(2)}).changes
