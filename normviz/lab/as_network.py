"""A trained net of the lab as an ONNX network, so that its layers are measured like any other's."""

from __future__ import annotations

from typing import Any

import numpy as np

from normviz.lab.labelled import LabelledSet
from normviz.lab.layers import Join, Linear, Norm, Patches, ReLU
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import lit
from normviz.lab.training import Trained, trained
from normviz.networks.network import Network
from normviz.networks.onnx_file import onnx_package

STEPS, BATCH, RATES = 250, 32, (0.003, 0.01, 0.03)
PER_CLASS = 60


def trained_network(key: str, source: LabelledSet, norm: bool = False, seed: int = 0) -> Network:
    """Train the small net on a labelled set under one of the lab's normalizations.

    250 steps of SGD with momentum 0.9, batches of 32, the best of three learning rates by training
    loss; with ``norm`` batch normalization after both convolutions. The same seed gives the same
    network on one machine.
    """
    images = lit(source, seed, 1.0, PER_CLASS, 1)
    x, _ = images.normalized(key)
    net = small_net(images.train.shape[1:], images.classes, "batch" if norm else None)
    runs = trained(net, x, images.train_labels, seed, RATES, STEPS, BATCH, SGD(momentum=0.9))
    classes = source.draw(seed, PER_CLASS, 1).classes
    return as_network(runs, runs.best, f"the lab's net ({key})", classes)


def as_network(runs: Trained, run: int, name: str, labels: tuple[str, ...] = ()) -> Network:
    """Write one trained run as ONNX: the same numbers, with batch normalizations in use.

    >>> from normviz.lab.training import trained
    >>> x = np.random.default_rng(0).normal(size=(40, 16, 16, 3)).astype(np.float32)
    >>> net, labels = small_net((16, 16, 3), 2), np.arange(40) % 2
    >>> runs = trained(net, x, labels, 0, (0.01,), 5, 8, SGD())
    >>> [layer.kind for layer in as_network(runs, 0, "net").layers]
    ['Conv 5×5, ReLU', 'Conv 2×2, ReLU', 'Gemm']
    """
    onnx = onnx_package()
    helper, number = onnx.helper, onnx.numpy_helper
    net, nodes = runs.net, []
    arrays: dict[str, np.ndarray] = {}
    parameters = [
        {what: values[0] for what, values in own.items()}
        for own in net.views(runs.theta[run : run + 1])
    ]
    averages = iter(np.asarray(pair[run], np.float32) for pair in runs.averages)
    tensor, cut = "images", None
    for at, (layer, own, shape) in enumerate(
        zip(net.layers, parameters, net.shapes, strict=False), start=1
    ):
        out = f"t{at}"
        attributes: dict[str, Any] = {}
        if isinstance(layer, Patches):
            # The cutting and the product behind it are one convolution.
            cut = layer
            continue
        if isinstance(layer, Linear):
            weights, bias = np.asarray(own["W"], np.float32), np.asarray(own["b"], np.float32)
            arrays |= {f"layer{at}.weight": weights, f"layer{at}.bias": bias}
            inputs = [tensor, f"layer{at}.weight", f"layer{at}.bias"]
            if cut is None:
                operator = "Gemm"
            else:
                k = cut.kernel
                filters = weights.reshape(k, k, -1, layer.units).transpose(3, 2, 0, 1)
                arrays[f"layer{at}.weight"] = np.ascontiguousarray(filters)
                operator, attributes = "Conv", {"strides": [cut.stride] * 2, "pads": [cut.pad] * 4}
                cut = None
        elif isinstance(layer, Norm) and layer.kind == "batch":
            mean, variance = next(averages)
            names = [f"norm{at}.{what}" for what in ("weight", "bias", "mean", "variance")]
            values = (own["gamma"], own["beta"], mean, variance)
            arrays |= {n: np.asarray(v, np.float32) for n, v in zip(names, values, strict=True)}
            operator, inputs = "BatchNormalization", [tensor, *names]
            attributes = {"epsilon": layer.epsilon}
        elif isinstance(layer, ReLU):
            operator, inputs = "Relu", [tensor]
        elif isinstance(layer, Join):
            if len(shape) == 3:
                # The lab keeps channels last; the weights behind expect that order.
                nodes.append(
                    helper.make_node("Transpose", [tensor], [f"{out}.last"], perm=[0, 2, 3, 1])
                )
                tensor = f"{out}.last"
            operator, inputs = "Flatten", [tensor]
        else:
            raise TypeError(f"{type(layer).__name__} has no ONNX operator here.")
        nodes.append(helper.make_node(operator, inputs, [out], **attributes))
        tensor = out
    height, width, channels = net.input
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "lab",
        [helper.make_tensor_value_info("images", kind, ["N", channels, height, width])],
        [helper.make_tensor_value_info(tensor, kind, ["N", *net.output])],
        [number.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return Network(model, name, labels=labels)
