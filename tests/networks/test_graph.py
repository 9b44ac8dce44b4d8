"""What is found in a graph: layers with their normalization and activation, and the input."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from normviz.errors import ReadError
from normviz.networks.graph import Graph, ImageInput, image_input
from tests.networks.making import filters, graph_of, model_of, node, norm_arrays, small

NORMS = norm_arrays()
W = {"w": filters()}


def only(graph: Graph):
    (layer,) = graph.layers
    return layer


def test_a_convolution_with_batch_norm_is_one_layer():
    conv, dense = Graph(small()).layers
    assert (conv.name, conv.operator, conv.tap, conv.axis) == ("conv", "Conv", "n", 1)
    assert conv.kind == "Conv 3×3, BatchNorm, ReLU"
    norm = conv.batch_norm
    assert (norm.before, norm.after, norm.epsilon) == ("a", "n", pytest.approx(1e-5))
    for found, name in zip((norm.gamma, norm.beta, norm.mean, norm.variance), "gbmv", strict=True):
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, NORMS[name])
    np.testing.assert_array_equal(conv.weights, filters())
    assert (dense.name, dense.tap, dense.kind, dense.batch_norm) == ("fc", "y", "Gemm", None)
    assert Graph(small()).batch_norms[0].after == "n"


def test_a_batch_norm_before_its_activation_and_convolution_stands_alone():
    nodes = [
        node("BatchNormalization", "x bn.weight b m v", "n", epsilon=0.001),
        node("Relu", "n", "r"),
        node("Conv", "r w", "y"),
    ]
    three = norm_arrays(3)
    graph = graph_of(nodes, {"bn.weight": three.pop("g"), **three, **W})
    first, second = graph.layers
    assert (first.name, first.operator, first.tap) == ("bn", "BatchNormalization", "n")
    assert first.kind == "BatchNorm, ReLU" and first.weights is None
    assert first.batch_norm.epsilon == pytest.approx(0.001)
    assert second.kind == "Conv 3×3" and second.batch_norm is None


def test_a_batch_norm_of_a_tensor_that_others_take_too_stands_alone():
    # A residual branch: what the convolution gives goes round the normalization as well.
    nodes = [
        node("Conv", "x w", "a"),
        node("BatchNormalization", "a g b m v", "n"),
        node("Add", "a n", "y"),
    ]
    conv, norm = graph_of(nodes, {**W, **NORMS}).layers
    assert (conv.tap, conv.batch_norm) == ("a", None)
    assert (norm.tap, norm.batch_norm.before) == ("n", "a")


@pytest.mark.parametrize("between", ["Identity", "Dropout"])
def test_operators_that_change_nothing_are_looked_through(between):
    nodes = [
        node("Identity", "w", "w2"),
        node("Conv", "x w2", "a"),
        node(between, "a", "a2"),
        node("BatchNormalization", "a2 g b m v", "n"),
        node(between, "n", "n2"),
        node(between, "n2", "n3"),
        node("Clip", "n3 low high", "y"),
    ]
    bounds = {"low": np.float32(0), "high": np.float32(6)}
    layer = only(graph_of(nodes, {**W, **NORMS, **{k: np.array(v) for k, v in bounds.items()}}))
    assert (layer.kind, layer.saturation) == ("Conv 3×3, BatchNorm, ReLU6", 6.0)
    assert (layer.batch_norm.before, layer.tap) == ("a", "n")


@pytest.mark.parametrize(
    ("low", "high", "name", "saturation"),
    [
        (0.0, 6.0, "ReLU6", 6.0),
        (0.0, 1.5, "ReLU1.5", 1.5),
        (0.0, None, "ReLU", None),
        (0.0, float(np.finfo(np.float32).max), "ReLU", None),
        (-1.0, 1.0, "Clip", 1.0),
        (None, 1.0, "Clip", 1.0),
    ],
)
@pytest.mark.parametrize("where", ["attributes", "inputs", "one-element inputs", "constants"])
def test_the_bounds_of_a_clip(low, high, name, saturation, where):
    given = {k: v for k, v in (("min", low), ("max", high)) if v is not None}
    nodes, arrays = [node("Conv", "x w", "a")], dict(W)
    if where == "attributes":
        nodes.append(node("Clip", "a", "y", **given))
    else:
        inputs = ["a", "min" if low is not None else "", "max" if high is not None else ""]
        for key, value in given.items():
            array = np.array([value] if "element" in where else value, np.float32)
            if where == "constants":
                constant = node("Constant", "", key, value=numpy_helper.from_array(array))
                del constant.input[:]
                nodes.insert(0, constant)
            else:
                arrays[key] = array
        nodes.append(helper.make_node("Clip", inputs, ["y"]))
    layer = only(graph_of(nodes, arrays, opset=6 if where == "attributes" else 17))
    assert (layer.activation, layer.saturation) == (name, saturation)


def test_silu_written_as_a_product_is_named():
    nodes = [node("Conv", "x w", "a"), node("Sigmoid", "a", "s"), node("Mul", "a s", "y")]
    assert only(graph_of(nodes, W)).kind == "Conv 3×3, SiLU"
    nodes[2] = node("Neg", "s", "y")
    assert only(graph_of(nodes, W)).kind == "Conv 3×3, Sigmoid"


@pytest.mark.parametrize(
    ("operator", "name"),
    [("LeakyRelu", "LeakyReLU"), ("Elu", "ELU"), ("Tanh", "Tanh"), ("HardSwish", "HardSwish")],
)
def test_activations_are_named(operator, name):
    layer = only(graph_of([node("Conv", "x w", "a"), node(operator, "a", "y")], W))
    assert (layer.activation, layer.saturation) == (name, None)


@pytest.mark.parametrize("order", ["p b", "b p"])
def test_a_matrix_product_takes_the_bias_that_is_added(order):
    nodes = [
        node("Flatten", "x", "f"),
        node("MatMul", "f w", "p"),
        node("Add", order, "s"),
        node("Relu", "s", "y"),
    ]
    arrays = {"w": np.ones((192, 5), np.float32), "b": np.arange(5, dtype=np.float32)}
    layer = only(graph_of(nodes, arrays))
    assert (layer.tap, layer.axis, layer.kind) == ("s", -1, "MatMul, ReLU")
    np.testing.assert_array_equal(layer.bias, [0, 1, 2, 3, 4])


def test_a_sum_of_two_products_is_no_bias():
    nodes = [
        node("Flatten", "x", "f"),
        node("MatMul", "f w", "p"),
        node("MatMul", "f w", "q"),
        node("Add", "p q", "y"),
    ]
    first, second = graph_of(nodes, {"w": np.ones((192, 5), np.float32)}).layers
    assert (first.tap, second.tap, first.bias) == ("p", "q", None)


def test_a_product_of_two_computed_tensors_is_no_layer():
    assert graph_of([node("MatMul", "x x", "y")]).layers == ()


GROUPED = [
    node("Conv", "x w", "a"),
    node("Reshape", "a rows", "s"),
    node("InstanceNormalization", "s one zero", "i"),
    node("Reshape", "i maps", "r"),
    node("Mul", "r g", "m"),
    node("Add", "m b", "n"),
    node("Relu", "n", "y"),
]


@pytest.mark.parametrize(("groups", "name"), [(2, "GroupNorm"), (1, "LayerNorm")])
def test_a_group_normalization_written_out_is_one(groups, name):
    arrays = {
        **W,
        "rows": np.array([0, groups, -1]),
        "maps": np.array([0, 4, 6, 6]),
        "one": np.ones(groups, np.float32),
        "zero": np.zeros(groups, np.float32),
        "g": np.ones((4, 1, 1), np.float32),
        "b": np.ones((4, 1, 1), np.float32),
    }
    layer = only(graph_of(GROUPED, arrays))
    assert (layer.tap, layer.kind) == ("n", f"Conv 3×3, {name}, ReLU")
    assert (layer.normalization, layer.batch_norm) == (name, None)
    # Without γ and β; with a sum that comes from elsewhere; with something else inside.
    plain = only(graph_of([*GROUPED[:4], node("Relu", "r", "y")], arrays))
    assert (plain.tap, plain.kind) == ("r", f"Conv 3×3, {name}, ReLU")
    skip = only(graph_of([*GROUPED[:4], node("Add", "r a2", "y")], arrays))
    assert (skip.tap, skip.normalization) == ("r", name)
    other = only(graph_of([*GROUPED[:2], node("Abs", "s", "i"), *GROUPED[3:]], arrays))
    assert (other.tap, other.normalization) == ("a", None)


@pytest.mark.parametrize(
    ("operator", "name"),
    [("InstanceNormalization", "InstanceNorm"), ("GroupNormalization", "GroupNorm")],
)
def test_normalizations_without_stored_statistics_are_part_of_their_layer(operator, name):
    layer = only(graph_of([node("Conv", "x w", "a"), node(operator, "a g b", "y")], {**W, **NORMS}))
    assert (layer.tap, layer.kind) == ("y", f"Conv 3×3, {name}")


def test_weights_stored_smaller_are_widened():
    half, levels = filters().astype(np.float16), np.arange(-54, 54, dtype=np.int8)
    nodes = [
        node("Cast", "half", "w1", to=TensorProto.FLOAT),
        node("Conv", "x w1", "a"),
        node("DequantizeLinear", "levels scale zero", "w2", axis=0),
        node("Conv", "x w2", "b"),
    ]
    scale, zero = np.array([1, 2, 3, 0.5], np.float32), np.array([0, 1, -2, 5], np.int8)
    arrays = {"half": half, "levels": levels.reshape(4, 3, 3, 3), "scale": scale, "zero": zero}
    first, second = graph_of(nodes, arrays).layers
    assert first.weights.dtype == second.weights.dtype == np.float32
    np.testing.assert_array_equal(first.weights, half.astype(np.float32))
    rows = second.weights.reshape(4, 27)
    expected = [(levels[27 * i : 27 * i + 27].astype(float) - zero[i]) * scale[i] for i in range(4)]
    np.testing.assert_array_equal(rows, expected)


def test_a_damaged_array_is_named():
    model = small()
    model.graph.initializer[0].raw_data = b"short"
    with pytest.raises(ReadError, match=r"tiny: its stored array conv.weight is damaged"):
        Graph(model, "tiny").layers  # noqa: B018


def found(shape, nodes=None, arrays=None, layout=None, size=None, **more) -> ImageInput:
    nodes = nodes or [node("Relu", "x", "y")]
    return image_input(graph_of(nodes, arrays, shape, **more), layout, size)


CONV = [node("Conv", "x w", "y")]
TURNED = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y")]


@pytest.mark.parametrize(
    ("shape", "nodes", "expected"),
    [
        (("N", 3, 8, 9), None, ImageInput("x", "NCHW", 3, 8, 9)),
        ((-1, 3, 8, 9), None, ImageInput("x", "NCHW", 3, 8, 9)),
        ((0, 3, 8, 9), None, ImageInput("x", "NCHW", 3, 8, 9)),
        ((4, 1, 8, 9), None, ImageInput("x", "NCHW", 1, 8, 9, batch=4)),
        ((1, 8, 9, 3), None, ImageInput("x", "NHWC", 3, 8, 9, batch=1)),
        (("N", 3, 9, 3), CONV, ImageInput("x", "NCHW", 3, 9, 3)),
        (("N", 3, 9, 3), TURNED, ImageInput("x", "NHWC", 3, 3, 9)),
        (("N", "C", 8, 9), CONV, ImageInput("x", "NCHW", 3, 8, 9)),
        (("N", 3, 3, "w"), None, ImageInput("x", "NCHW", 3, 3, 7)),
        (("N", "h", 7, 3), None, ImageInput("x", "NHWC", 3, 3, 7)),
    ],
)
def test_layout_and_size_are_read(shape, nodes, expected):
    sides = (expected.height, expected.width)
    assert found(shape, nodes, W, size=sides) == expected
    if not {"h", "w"} & set(shape):
        assert found(shape, nodes, W) == expected


def test_hints_fill_what_the_file_leaves_open():
    free = ("N", "a", "b", "c")
    assert found(free, layout="NHWC", size=(5, 7)) == ImageInput("x", "NHWC", 3, 5, 7)
    grey = {"w": filters(4, 1)}
    assert found(free, CONV, grey, size=(5, 7)) == ImageInput("x", "NCHW", 1, 5, 7)
    assert found(("N", 3, 8, 8), size=(8, 8)).height == 8


@pytest.mark.parametrize(
    ("shape", "more", "said"),
    [
        (("N", "a", "b", "c"), {}, "whether channels come first or last. Give the layout"),
        (("N", 3, "h", "w"), {}, "images of any size, and the file does not say .* example 224"),
        (("N", 3, 8, 8), {"size": (8, 9)}, "fixed width of 8 px, not 9. Leave it out"),
        (("N", 3, 8, 8), {"size": (9, 8)}, "fixed height of 8 px, not 9"),
        (("N", 3, 8, 8), {"layout": "NHWC"}, "the layout NCHW, not NHWC. Leave it out"),
        (("N", 5, 8, 8), {}, "its input has the shape ?×5×8×8"),
        (("N", 5, 8, 8), {"nodes": CONV}, "has 5 channels .NCHW.. Colour images have 3"),
        ((3, 8, 8), {}, "its input x has 3 axes. A batch of images has 4"),
        ((), {}, "its input x has 0 axes"),
        (("N", 3, 8, 8), {"dtype": TensorProto.INT64}, "holds int64 values. Images are fed as"),
        (("N", 3, 8, 8), {"dtype": TensorProto.STRING}, "holds string values"),
        (("N", 3, 8, 8), {"dtype": 93}, "holds unknown values"),
        ((1, 3, 99_999, 99_999), {}, "1 × 99999 × 99999 pixels at once, more than 17 million"),
        ((100_000, 3, 64, 64), {}, "100000 × 64 × 64 pixels at once"),
    ],
)
def test_what_is_open_or_wrong_is_said(shape, more, said):
    with pytest.raises(ReadError, match=said.replace("?", r"\?")) as caught:
        found(shape, **({"arrays": W} | more))
    assert caught.value.path == "tiny.onnx"


@pytest.mark.parametrize(
    ("dtype", "name"), [(1, "float32"), (2, "uint8"), (10, "float16"), (11, "float64")]
)
def test_the_type_is_read(dtype, name):
    assert found(("N", 3, 8, 8), dtype=dtype).dtype == name


def inputs(*names: str):
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, 8)) for name in names]


def test_five_inputs_or_none_are_refused():
    nodes = [node("Relu", "x", "y")]
    with pytest.raises(ReadError, match=r"has 5 inputs \(x, p, q, r, s\). Only networks that take"):
        found(None, nodes, inputs=inputs(*"xpqrs"))
    with pytest.raises(ReadError, match="it has no input"):
        found(None, nodes, inputs=[])


def test_stored_arrays_listed_as_inputs_are_none():
    # Files of before 2019 list them so.
    listed = [*inputs("x"), helper.make_tensor_value_info("w", 1, (4, 3, 3, 3))]
    assert found(None, CONV, W, inputs=listed) == ImageInput("x", "NCHW", 3, 8, 8, batch=1)


def test_the_model_is_what_the_graph_was_made_of():
    model = model_of(CONV, W)
    assert Graph(model).model is model


@pytest.mark.parametrize(
    ("operator", "more"), [("Gemm", {}), ("Gemm", {"transB": 1}), ("MatMul", {})]
)
def test_weights_begin_with_the_outputs(operator, more):
    stored = np.arange(12, dtype=np.float32).reshape(4, 3)
    weights = stored if more else stored.T
    (layer,) = graph_of(
        [
            node("GlobalAveragePool", "x", "p"),
            node("Flatten", "p", "f"),
            node(operator, "f w", "y", **more),
        ],
        {"w": np.ascontiguousarray(weights)},
        rank=2,
    ).layers
    np.testing.assert_array_equal(layer.weights, stored)


def test_a_long_chain_of_steps_costs_as_much_as_it_is_long():
    # Each tensor is asked for twice: followed backwards, 60 steps are 2**60 look-ups.
    chain = [node("Add", f"y{at} y{at}", f"y{at + 1}") for at in range(60)]
    graph = graph_of([node("Conv", "x w", "y0"), *chain], {"w": filters()})
    assert graph.constant("y60") is None
    doubled = [node("Add", f"c{at} c{at}", f"c{at + 1}") for at in range(20)]
    known = graph_of(
        [*doubled, node("Mul", "x c20", "y")], {"c0": np.ones((1, 3, 1, 1), np.float32)}
    )
    assert known.constant("c20").ravel().tolist() == [2.0**20] * 3
