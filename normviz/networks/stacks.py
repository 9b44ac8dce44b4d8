"""Stacks of random convolutions, as before training: what depth does to the scale of an input.

They are ONNX models built in memory, so that the recorder of whole networks measures them too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from normviz.errors import ParameterError
from normviz.methods.base import check_parameter, parameter
from normviz.networks.network import Network
from normviz.networks.onnx_file import onnx_package

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

KERNEL = 3
LEAK = 0.01
"""The slope of leaky ReLU below 0."""

EPSILON = 1e-5
"""Of every normalization, added to the variance."""

OPSET = 19
"""The first in which Pad goes round the image."""

_SLOPES = {"none": 1.0, "relu": 0.0, "leaky_relu": LEAK}
"""Of activations that are straight on either side of 0: the slope below it."""

ACTIVATIONS = {
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "elu": "ELU",
    "selu": "SELU",
    "silu": "SiLU",
    "none": "none",
}
INITIALISATIONS = {"he": "He", "glorot": "Glorot"}
NORMALIZATIONS = {
    "none": "none",
    "batch": "batch",
    "layer": "layer",
    "instance": "instance",
    "group": "group",
}
_OPERATORS = {
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "elu": "Elu",
    "selu": "Selu",
}


@dataclass(frozen=True)
class Stack:
    """``depth`` convolutions 3×3 of ``width`` filters, each with normalization and activation.

    Weights are w ~ N(0, v · gain²), biases 0, with fan_in = 9 · channels in, fan_out = 9 · width:

    - he: v = 2 / ((1 + a²) fan_in), a the slope of leaky ReLU below 0, else a = 0
      (K. He et al., Delving Deep into Rectifiers, ICCV 2015, equations 10 and 15);
    - glorot: v = 2 / (fan_in + fan_out) (X. Glorot, Y. Bengio, Understanding the difficulty of
      training deep feedforward neural networks, AISTATS 2010, equation 12).

    The normalization has γ = 1, β = 0, ε = 1e-5 and stands before the activation: over the batch
    and both sides of a map (batch), over all of an image (layer), each map of an image (instance)
    or ``groups`` groups of its maps (group). Convolutions go round the border (the left neighbour
    of the first column is the last one), so that no unit has fewer inputs than another. The first
    has stride 2, from depth 6 also those after a third and two thirds of the depth. The same seed
    gives the same weights, whatever the normalization.

    Raises :class:`ParameterError` for a parameter outside of its bounds.

    >>> [layer.kind for layer in Stack(depth=2, normalization="layer").network().layers]
    ['Conv 3×3, LayerNorm, ReLU', 'Conv 3×3, LayerNorm, ReLU']
    """

    depth: int = parameter(20, "Depth", "Convolutions one after the other", 1, 50, 1)
    width: int = parameter(32, "Width", "Filters of each convolution", 2, 128, 1)
    activation: str = parameter(
        "relu", "Activation", "What follows each convolution", choices=ACTIVATIONS
    )
    initialisation: str = parameter(
        "he", "Initialisation", "How large random weights are drawn", choices=INITIALISATIONS
    )
    gain: float = parameter(
        1.0, "Gain", "The weights' std is this many times as large", 0.1, 10.0, 0.1
    )
    normalization: str = parameter(
        "none", "Normalization", "Before each activation", choices=NORMALIZATIONS
    )
    groups: int = parameter(8, "Groups", "Of channels, in group normalization", 1, 128, 1)
    seed: int = parameter(0, "Seed", "Which random weights", 0, 2**31 - 1, 1)
    side: int = parameter(96, "Side", "Height and width of the images", 32, 224, 1, unit="px")

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            value = check_parameter("Stack", spec, getattr(self, spec.name))
            object.__setattr__(self, spec.name, value)
        if self.normalization == "group" and self.width % self.groups:
            raise ParameterError(
                f"Stack: {self.width} filters do not fall into {self.groups} groups of one size."
            )

    @property
    def title(self) -> str:
        """A short name for the screen.

        >>> Stack(depth=3, gain=2.0, normalization="batch").title
        '3 layers, He × 2, ReLU, batch norm'
        """
        drawn = INITIALISATIONS[self.initialisation]
        parts = [f"{self.depth} layer{'s' if self.depth > 1 else ''}"]
        parts.append(drawn if self.gain == 1 else f"{drawn} × {self.gain:g}")
        if self.activation != "none":
            parts.append(ACTIVATIONS[self.activation])
        if self.normalization != "none":
            parts.append(f"{self.normalization} norm")
        return ", ".join(parts)

    @property
    def growth(self) -> float | None:
        """By how much the second moment of pre-activations is multiplied from layer to layer.

        E[a′²] = fan_in · Var(w) · E[f(a)²], and E[f(a)²] = (1 + s²)/2 · E[a²] where f has the slope
        1 above and s below 0: the mean over random weights, exactly. None with a normalization, or
        where f is not straight.

        >>> Stack().growth, Stack(activation="none").growth, Stack(initialisation="glorot").growth
        (1.0, 2.0, 0.5)
        """
        slope = _SLOPES.get(self.activation)
        if slope is None or self.normalization != "none":
            return None
        fan_in = KERNEL**2 * self.width
        return fan_in * self._variance(self.width) * (1 + slope**2) / 2

    def network(self, images: np.ndarray | None = None) -> Network:
        """Build it, for images of ``side`` × ``side`` pixels.

        Batch normalization uses the statistics of a batch, as in training: ``images``, normalized
        ``(N, side, side, 1 or 3)``, go through once, and each layer's mean and variance over them
        are stored in its BatchNormalization. Fed the same images, all at once or one by one, the
        stack is normalized exactly. Other stacks need no ``images``.

        Raises :class:`ParameterError` where the batch is missing, :class:`ShapeError` for images of
        another size.
        """
        stored: dict[str, np.ndarray] = {}
        if self.normalization == "batch":
            if images is None:
                raise ParameterError(
                    "A stack with batch normalization needs the batch whose statistics it uses."
                )
            measuring = self._built(None)
            names = [
                f"layer{number + 1}.{what}"
                for number in range(self.depth)
                for what in ("mean", "variance")
            ]
            found = measuring.run(images, names)
            stored = {name: found[name].reshape(-1) for name in names}
        return self._built(stored)

    def _variance(self, channels: int) -> float:
        """Of the weights that see so many channels."""
        fan_in, fan_out = KERNEL**2 * channels, KERNEL**2 * self.width
        if self.initialisation == "glorot":
            return self.gain**2 * 2 / (fan_in + fan_out)
        slope = LEAK if self.activation == "leaky_relu" else 0.0
        return self.gain**2 * 2 / ((1 + slope**2) * fan_in)

    def _built(self, stored: dict[str, np.ndarray] | None) -> Network:
        """The network with stored means and variances; without any, it takes those of its batch."""
        rng = np.random.default_rng(self.seed)
        halved = {0}
        if self.depth >= 6:
            halved |= {round(self.depth / 3), round(self.depth * 2 / 3)}
        model = _Model()
        model.arrays["border"] = np.array([0, 0, 1, 1, 0, 0, 1, 1])
        tensor, channels, side = "images", 3, self.side
        for number in range(self.depth):
            name = f"layer{number + 1}"
            std = np.sqrt(self._variance(channels))
            shape = (self.width, channels, KERNEL, KERNEL)
            model.arrays[f"{name}.weight"] = rng.normal(0.0, std, shape).astype(np.float32)
            stride = 2 if number in halved else 1
            side, channels = -(-side // stride), self.width
            tensor = model.add("Pad", [tensor, "border"], f"{name}.padded", mode="wrap")
            tensor = model.add(
                "Conv", [tensor, f"{name}.weight"], f"{name}.sums", strides=[stride, stride]
            )
            if self.normalization == "batch":
                tensor = self._batch_norm(model, tensor, name, stored)
            elif self.normalization != "none":
                tensor = self._group_norm(model, tensor, name, side)
            tensor = self._activation(model, tensor, name)
        return Network(model.finished(tensor, self.side), self.title)

    def _batch_norm(
        self, model: _Model, tensor: str, name: str, stored: dict[str, np.ndarray] | None
    ) -> str:
        mean, variance, normed = f"{name}.mean", f"{name}.variance", f"{name}.normed"
        if stored is not None:
            model.arrays[f"{name}.gamma"] = np.ones(self.width, np.float32)
            model.arrays[f"{name}.beta"] = np.zeros(self.width, np.float32)
            model.arrays |= {mean: stored[mean], variance: stored[variance]}
            inputs = [tensor, f"{name}.gamma", f"{name}.beta", mean, variance]
            return model.add("BatchNormalization", inputs, normed, epsilon=EPSILON)
        model.arrays |= {"batch": np.array([0, 2, 3]), "epsilon": np.array(EPSILON, np.float32)}
        model.add("ReduceMean", [tensor, "batch"], mean)
        centred = model.add("Sub", [tensor, mean], f"{name}.centred")
        squares = model.add("Mul", [centred, centred], f"{name}.squares")
        model.add("ReduceMean", [squares, "batch"], variance)
        lifted = model.add("Add", [variance, "epsilon"], f"{name}.lifted")
        return model.add("Div", [centred, model.add("Sqrt", [lifted], f"{name}.std")], normed)

    def _group_norm(self, model: _Model, tensor: str, name: str, side: int) -> str:
        """Instance normalization of a group's maps laid end to end, as PyTorch exports it too."""
        groups = {"layer": 1, "instance": self.width, "group": self.groups}[self.normalization]
        model.arrays[f"{name}.gamma"] = np.ones(groups, np.float32)
        model.arrays[f"{name}.beta"] = np.zeros(groups, np.float32)
        if groups < self.width:
            model.arrays[f"{name}.rows"] = np.array([0, groups, -1])
            tensor = model.add("Reshape", [tensor, f"{name}.rows"], f"{name}.grouped")
        inputs = [tensor, f"{name}.gamma", f"{name}.beta"]
        tensor = model.add("InstanceNormalization", inputs, f"{name}.normed", epsilon=EPSILON)
        if groups < self.width:
            model.arrays[f"{name}.maps"] = np.array([0, self.width, side, side])
            tensor = model.add("Reshape", [tensor, f"{name}.maps"], f"{name}.ungrouped")
        return tensor

    def _activation(self, model: _Model, tensor: str, name: str) -> str:
        if self.activation == "none":
            return tensor
        if self.activation == "silu":
            share = model.add("Sigmoid", [tensor], f"{name}.share")
            return model.add("Mul", [tensor, share], name)
        slope = {"alpha": LEAK} if self.activation == "leaky_relu" else {}
        return model.add(_OPERATORS[self.activation], [tensor], name, **slope)


class _Model:
    """An ONNX model while it is built: operators in order, and stored arrays by name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, operator: str, inputs: list[str], gives: str, **attributes) -> str:
        helper = onnx_package().helper
        self.nodes.append(helper.make_node(operator, inputs, [gives], name=gives, **attributes))
        return gives

    def finished(self, output: str, side: int) -> ModelProto:
        onnx = onnx_package()
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "stack",
            [helper.make_tensor_value_info("images", kind, ["N", 3, side, side])],
            [helper.make_tensor_value_info(output, kind, ["N", "channels", "height", "width"])],
            [onnx.numpy_helper.from_array(array, name) for name, array in self.arrays.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9
        )
