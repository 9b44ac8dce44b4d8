"""Tiny ONNX models, built in the tests: nodes in a row and the arrays that they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from normviz.networks.graph import Graph

IMAGES = ("N", 3, 8, 8)


def node(operator: str, inputs: str, output: str, **attributes):
    """One operator: ``inputs`` are names with spaces between them."""
    return helper.make_node(operator, inputs.split(" "), [output], **attributes)


def model_of(
    nodes: Sequence,
    arrays: Mapping[str, np.ndarray] | None = None,
    shape: Sequence | None = IMAGES,
    dtype: int = TensorProto.FLOAT,
    opset: int = 17,
    inputs: Sequence | None = None,
    output: str | None = None,
    output_dtype: int = TensorProto.FLOAT,
    rank: int = 4,
    domains: Mapping[str, int] | None = None,
    functions: Sequence = (),
) -> onnx.ModelProto:
    """A model of the nodes, whose input is x and whose output is what the last node gives.

    ``rank`` is the output's number of axes.
    """
    output = output or nodes[-1].output[0]
    if inputs is None:
        inputs = [helper.make_tensor_value_info("x", dtype, shape)]
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        list(inputs),
        [helper.make_tensor_value_info(output, output_dtype, [f"d{i}" for i in range(rank)])],
        [numpy_helper.from_array(array, name) for name, array in (arrays or {}).items()],
    )
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(name, version) for name, version in (domains or {}).items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=functions)


def graph_of(*given, **more) -> Graph:
    return Graph(model_of(*given, **more), "tiny.onnx")


def filters(count: int = 4, channels: int = 3, kernel: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, channels, kernel, kernel)).astype(np.float32)


def norm_arrays(channels: int = 4, prefix: str = "", seed: int = 1) -> dict[str, np.ndarray]:
    """γ, β, μ and σ² of a batch normalization under the names g b m v."""
    rng = np.random.default_rng(seed)
    return {
        f"{prefix}g": rng.uniform(0.5, 2, channels).astype(np.float32),
        f"{prefix}b": rng.normal(size=channels).astype(np.float32),
        f"{prefix}m": rng.normal(size=channels).astype(np.float32),
        f"{prefix}v": rng.uniform(0.5, 2, channels).astype(np.float32),
    }


def small() -> onnx.ModelProto:
    """Conv 3×3, BatchNorm, ReLU, mean of each map, Gemm to 5 classes."""
    arrays = {"conv.weight": filters(), **norm_arrays(), "fc.weight": filters(5, 4, 1)[:, :, 0, 0]}
    return model_of(
        [
            node("Conv", "x conv.weight", "a", pads=[1, 1, 1, 1], strides=[2, 2]),
            node("BatchNormalization", "a g b m v", "n"),
            node("Relu", "n", "r"),
            node("GlobalAveragePool", "r", "p"),
            node("Flatten", "p", "f"),
            node("Gemm", "f fc.weight", "y", transB=1),
        ],
        arrays,
        rank=2,
    )


def written(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString()
