"""Rebuild ``mobilenet_v2_first_layer.npz`` from an ONNX export of torchvision's MobileNetV2.

The export must keep BatchNormalization apart from the convolution. Needs the ``onnx`` package,
which normviz itself does not::

    python -m normviz.networks.extract mobilenet_v2.onnx mobilenet_v2_first_layer.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np


def first_layer_parts(path: Path) -> dict[str, np.ndarray]:
    """Read filters and batch normalization of the first convolution as they are stored."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolution = next(node for node in graph.node if node.op_type == "Conv")
    normalization = next(node for node in graph.node if convolution.output[0] in node.input)
    if normalization.op_type != "BatchNormalization":
        raise SystemExit(
            f"{path}: {normalization.op_type} follows the first convolution, expected "
            "BatchNormalization. Export without folding constants."
        )
    _, gamma, beta, mean, variance = normalization.input
    (epsilon,) = (a.f for a in normalization.attribute if a.name == "epsilon")
    return {
        "weights": stored[convolution.input[1]],
        "gamma": stored[gamma],
        "beta": stored[beta],
        "mean": stored[mean],
        "variance": stored[variance],
        "epsilon": np.array(epsilon),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("onnx", type=Path, help="the exported network")
    parser.add_argument("out", type=Path, help="the .npz file to write")
    arguments = parser.parse_args()
    parts: dict[str, Any] = {**first_layer_parts(arguments.onnx)}
    np.savez_compressed(arguments.out, **parts)


if __name__ == "__main__":
    main()
