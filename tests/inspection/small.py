"""Small networks made for the tests."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from normviz.networks.network import Network


def network_of(
    nodes: list[onnx.NodeProto],
    stored: dict[str, np.ndarray],
    shape: tuple[object, ...] = ("n", 3, 12, 10),
    kind: int = TensorProto.FLOAT,
) -> Network:
    """A network from "x" to "y"."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Network(model, "small")


def convolution(
    weights: np.ndarray, before: str = "x", pads: tuple[int, ...] = (0, 0, 0, 0)
) -> onnx.NodeProto:
    return helper.make_node(
        "Conv", [before, "w"], ["pre"], kernel_shape=list(weights.shape[2:]), pads=list(pads)
    )


def normalized(
    weights: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    pads: tuple[int, ...] = (0, 0, 0, 0),
    shape: tuple[object, ...] = ("n", 3, 12, 10),
) -> Network:
    """A convolution and its batch normalization."""
    count = len(weights)
    stored = {
        "w": weights.astype(np.float32),
        "gamma": np.ones(count, np.float32),
        "beta": np.zeros(count, np.float32),
        "mean": mean.astype(np.float32),
        "variance": variance.astype(np.float32),
    }
    norm = helper.make_node(
        "BatchNormalization", ["pre", "gamma", "beta", "mean", "variance"], ["y"], epsilon=1e-8
    )
    return network_of([convolution(weights, pads=pads), norm], stored, shape)
