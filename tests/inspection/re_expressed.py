"""One network under another convention: the same function of the photo, another input.

Used by the tests and by benchmarks/inspection.py.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from normviz.inspection.candidates import Candidate
from normviz.networks.graph import Graph
from normviz.networks.network import Network
from normviz.presets import PRESETS

IMAGENET = Candidate.of(
    "imagenet", "", PRESETS["imagenet"].fraction_mean, PRESETS["imagenet"].fraction_std, "RGB"
)


@dataclass(frozen=True, eq=False)
class Convention:
    """What the new model takes, and how it is written."""

    candidate: Candidate
    layout: str = "NCHW"
    inside: str = ""
    """Operators that compute the constants in the graph: "Sub, Div", "Mul, Add" or none; the
    candidate is then what the graph is given."""
    folded: bool = False


def re_expressed(
    network: Network, convention: Convention, own: Candidate = IMAGENET, name: str = "re-expressed"
) -> Network:
    """Return ``network``, which expects ``own``, so that it expects ``convention``.

    With x = A · y + B between the two inputs, the first convolution's weights are multiplied by A,
    and what B adds is taken from the mean of its batch normalization (of its bias where it is
    folded). Zeros of the padding mean another colour then: so it would be in training.
    """
    model = copy.deepcopy(network.graph.model)
    wanted = convention.candidate
    turned = wanted.order != own.order
    a = own.gain / wanted.gain
    b = own.bias - a * wanted.bias
    if convention.inside:
        if turned:
            a, b = a[::-1], b[::-1]
        _inside(model, a, b, turned, convention.inside)
    else:
        _into_first(model, a, b, turned)
    if convention.folded:
        _fold(model)
    if convention.layout == "NHWC":
        _channels_last(model)
    onnx.checker.check_model(model)
    return Network(model, name, labels=network.labels)


def _store(model: onnx.ModelProto, name: str, values: np.ndarray) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def _into_first(model: onnx.ModelProto, a: np.ndarray, b: np.ndarray, turned: bool) -> None:
    graph = Graph(model)
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    weights = graph.constant(node.input[1]).astype(np.float64)
    offset = np.einsum("fcij,c->f", weights, b)
    weights = weights * a[:, np.newaxis, np.newaxis]
    weights = weights[:, ::-1] if turned else weights
    node.input[1] = _store(model, "first.weight", weights.astype(np.float32))
    norm = graph.only_taker(node.output[0])
    mean = graph.constant(norm.input[3]).astype(np.float64)
    norm.input[3] = _store(model, "first.mean", (mean - offset).astype(np.float32))


def _fold(model: onnx.ModelProto) -> None:
    graph = Graph(model)
    gone = []
    for node in model.graph.node:
        norm = graph.only_taker(node.output[0]) if node.op_type == "Conv" else None
        if norm is None or norm.op_type != "BatchNormalization":
            continue
        gamma, beta, mean, variance = (
            graph.constant(name).astype(np.float64) for name in norm.input[1:5]
        )
        epsilon = next((x.f for x in norm.attribute if x.name == "epsilon"), 1e-5)
        scale = gamma / np.sqrt(variance + epsilon)
        weights = graph.constant(node.input[1]).astype(np.float64)
        bias = graph.constant(node.input[2]) if len(node.input) > 2 else 0.0
        folded = weights * scale[:, np.newaxis, np.newaxis, np.newaxis]
        first = _store(model, f"{norm.output[0]}.folded", folded.astype(np.float32))
        second = _store(
            model, f"{norm.output[0]}.bias", (beta + (bias - mean) * scale).astype(np.float32)
        )
        del node.input[1:]
        node.input.extend([first, second])
        node.output[0] = norm.output[0]
        gone.append(norm)
    for norm in gone:
        model.graph.node.remove(norm)


def _before(model: onnx.ModelProto, nodes: list[onnx.NodeProto], last: str) -> None:
    name = model.graph.input[0].name
    for node in model.graph.node:
        for index, given in enumerate(node.input):
            if given == name:
                node.input[index] = last
    for index, node in enumerate(nodes):
        model.graph.node.insert(index, node)


def _inside(model: onnx.ModelProto, a: np.ndarray, b: np.ndarray, turned: bool, how: str) -> None:
    """x = A · y + B of the channels as they come in, then turned round where asked."""
    name = model.graph.input[0].name
    shape = (1, len(a), 1, 1)
    numbers = (0.0 - b / a, 1 / a) if how == "Sub, Div" else (a, b)
    nodes, last = [], name
    for kind, values in zip(how.split(", "), numbers, strict=True):
        stored = _store(model, f"inside.{kind}", values.reshape(shape).astype(np.float32))
        nodes.append(helper.make_node(kind, [last, stored], [f"inside.{kind}.y"]))
        last = f"inside.{kind}.y"
    if turned:
        index = _store(model, "inside.turn", np.array([2, 1, 0], np.int64))
        nodes.append(helper.make_node("Gather", [last, index], ["inside.turned"], axis=1))
        last = "inside.turned"
    _before(model, nodes, last)


def _channels_last(model: onnx.ModelProto) -> None:
    entry = model.graph.input[0]
    dims = entry.type.tensor_type.shape.dim
    kept = [copy.deepcopy(dim) for dim in dims]
    for index, source in enumerate((0, 2, 3, 1)):
        dims[index].CopyFrom(kept[source])
    node = helper.make_node("Transpose", [entry.name], ["channels.first"], perm=[0, 3, 1, 2])
    _before(model, [node], "channels.first")


def random_convention(rng: np.random.Generator, ways: list[Candidate]) -> Convention:
    """Draw constants (a third of them published by nobody), order, layout and form."""
    if rng.random() < 1 / 3:
        mean = rng.uniform(0.3, 0.6) + rng.uniform(-0.05, 0.05, 3)
        std = rng.uniform(0.15, 0.5) * rng.uniform(0.9, 1.1, 3)
        pixels = rng.random() < 0.5
        candidate = Candidate.of("random", "random", mean, std, "RGB")
        if pixels:
            # As with mean-only constants: values in the hundreds.
            candidate = Candidate.of("random", "random", mean, std / rng.uniform(40, 100), "RGB")
        if rng.random() < 0.5:
            candidate = candidate.turned()
    else:
        candidate = ways[int(rng.integers(len(ways)))]
    return Convention(
        candidate,
        layout=str(rng.choice(["NCHW", "NHWC"])),
        inside=str(rng.choice(["", "", "", "Sub, Div", "Mul, Add"])),
    )
