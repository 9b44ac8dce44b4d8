"""What stands in a model's graph: its image input, its layers and their batch normalizations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from normviz.errors import ReadError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

LAYOUTS = ("NCHW", "NHWC")
DTYPES = {1: "float32", 2: "uint8", 10: "float16", 11: "float64"}
"""ONNX's numbers of the input types that images can be fed as."""

MOST_PIXELS = 4096 * 4096
"""Of one fixed batch: images are scaled to what the input says, so a wrong size costs memory."""

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")

FOLDED = (
    *("Add", "Cast", "Concat", "Div", "Mul", "Reciprocal", "Reshape", "Sqrt", "Squeeze", "Sub"),
    *("Transpose", "Unsqueeze"),
)
MOST_NUMBERS, MOST_FOLDED = 4096, 256
"""Nodes of these operators whose inputs are all stored and hold so many numbers each at most make
what counts as stored too; of one graph so many are looked at."""
ACTIVATIONS = {
    "Relu": "ReLU",
    "Clip": "Clip",
    "LeakyRelu": "LeakyReLU",
    "PRelu": "PReLU",
    "Elu": "ELU",
    "Selu": "SELU",
    "Sigmoid": "Sigmoid",
    "HardSigmoid": "HardSigmoid",
    "HardSwish": "HardSwish",
    "Tanh": "Tanh",
    "Softplus": "Softplus",
    "Gelu": "GELU",
    "Mish": "Mish",
    "Softmax": "Softmax",
}
NORMALIZATIONS = {"InstanceNormalization": "InstanceNorm", "GroupNormalization": "GroupNorm"}
_ALIASES = ("Identity", "Dropout")


class HintError(ReadError):
    """The file leaves open how it takes images; ``asks`` is "size" or "layout"."""

    def __init__(self, path: str, reason: str, remedy: str, asks: str) -> None:
        super().__init__(path, reason, remedy)
        self.asks = asks

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.reason, self.remedy, self.asks)


@dataclass(frozen=True)
class ImageInput:
    """How a network takes images: ``batch`` is None where any number fits at once."""

    name: str
    layout: str
    channels: int
    height: int
    width: int
    dtype: str = "float32"
    batch: int | None = None

    def words(self) -> str:
        """Return it as text.

        >>> ImageInput("x", "NCHW", 3, 224, 224).words()
        'x: N×3×224×224 (NCHW), float32'
        """
        size = f"{self.height}×{self.width}"
        n = "N" if self.batch is None else str(self.batch)
        shape = (
            f"{n}×{self.channels}×{size}"
            if self.layout == "NCHW"
            else f"{n}×{size}×{self.channels}"
        )
        return f"{self.name}: {shape} ({self.layout}), {self.dtype}"


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """A batch normalization in use: y = γ (x − μ) / √(σ² + ε) + β, one number a channel (float64).

    ``before`` is the tensor that it receives, ``after`` what it gives.
    """

    before: str
    after: str
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution or matrix product, with its batch normalization and what follows.

    ``tap`` is the tensor of its pre-activations: what its activation receives, after the batch
    normalization. Channels lie on ``axis``. ``saturation`` is where the activation stops growing.
    ``weights`` begin with the outputs, (F, C / groups, k, k) or (F, C), but for a transposed
    convolution, whose are as stored. ``normalization`` names one without stored statistics that
    stands in the place of a batch normalization.
    """

    name: str
    operator: str
    tap: str
    axis: int
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    batch_norm: BatchNorm | None = None
    activation: str | None = None
    saturation: float | None = None
    normalization: str | None = None

    @property
    def kind(self) -> str:
        """Operators in order, for the screen: "Conv 3×3, BatchNorm, ReLU6"."""
        parts = []
        if self.operator == "Conv" and self.weights is not None and self.weights.ndim == 4:
            parts.append(f"Conv {self.weights.shape[2]}×{self.weights.shape[3]}")
        elif self.operator != "BatchNormalization":
            parts.append(self.operator)
        if self.batch_norm is not None:
            parts.append("BatchNorm")
        if self.normalization:
            parts.append(self.normalization)
        if self.activation:
            parts.append(self.activation)
        return ", ".join(parts)


class Graph:
    """Look-ups in a checked model: stored arrays, who makes a tensor and who takes it."""

    def __init__(self, model: ModelProto, name: str = "the model") -> None:
        self.model = model
        self.name = name
        self.nodes: list[NodeProto] = list(model.graph.node)
        self._alias: dict[str, str] = {}
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.made_by: dict[str, NodeProto] = {}
        self.taken_by: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for out in node.output:
                self.made_by[out] = node
            if node.op_type in _ALIASES:
                self._alias[node.output[0]] = node.input[0]
            else:
                for name_in in node.input:
                    self.taken_by[self.resolved(name_in)].append(node)
        self.outputs = [output.name for output in model.graph.output]

    def resolved(self, tensor: str) -> str:
        """The tensor itself, behind Identity and Dropout."""
        while tensor in self._alias:
            tensor = self._alias[tensor]
        return tensor

    def constant(self, tensor: str) -> np.ndarray | None:
        """Return the stored array of a tensor, or None when it is computed.

        What a few steps make of few stored numbers counts as stored: exporters leave constants so.

        Raises :class:`ReadError` for one whose bytes do not fill its shape.
        """
        found = self._kept(tensor)
        return self._folded.get(self.resolved(tensor)) if found is None else found

    def _kept(self, tensor: str) -> np.ndarray | None:
        tensor = self.resolved(tensor)
        if tensor in self._stored:
            return self._array(self._stored[tensor])
        node = self.made_by.get(tensor)
        if node is not None and node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    return self._array(attribute.t)
                if attribute.name in ("value_float", "value_int"):
                    return np.array(attribute.f if attribute.name == "value_float" else attribute.i)
                if attribute.name in ("value_floats", "value_ints"):
                    return np.array(attribute.floats or attribute.ints)
        if node is not None and node.op_type in ("Cast", "DequantizeLinear"):
            return self._converted(node)
        return None

    @cached_property
    def _folded(self) -> dict[str, np.ndarray]:
        """The outputs of nodes of :data:`FOLDED` whose inputs are known, by one pass in order."""
        found: dict[str, np.ndarray] = {}
        for node in self.nodes:
            if node.op_type not in FOLDED or len(found) == MOST_FOLDED:
                continue
            given: dict[str, np.ndarray] = {}
            for name in filter(None, node.input):
                array = found.get(self.resolved(name))
                array = self._kept(name) if array is None else array
                if array is None or array.size > MOST_NUMBERS:
                    break
                given[name] = array
            else:
                made = self._made(node, given)
                if made is not None:
                    found[node.output[0]] = made
        return found

    def _made(self, node: NodeProto, given: dict[str, np.ndarray]) -> np.ndarray | None:
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        entries = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in given.items()
        ]
        out = helper.make_empty_tensor_value_info(node.output[0])
        graph = helper.make_graph([node], "constant", entries, [out])
        model = helper.make_model(graph, opset_imports=self.model.opset_import)
        try:
            found: Any = ReferenceEvaluator(model).run(None, given)
            return np.asarray(found[0])
        except Exception:  # The evaluator's errors have no base of their own.
            return None

    def _array(self, tensor: TensorProto) -> np.ndarray:
        from onnx import numpy_helper

        try:
            return numpy_helper.to_array(tensor)
        except (ValueError, KeyError, TypeError):
            raise ReadError(
                self.name, f"its stored array {tensor.name} is damaged", "Export it again"
            ) from None

    def _converted(self, node: NodeProto) -> np.ndarray | None:
        """Weights that are stored smaller and widened in the graph: as float16, or as levels."""
        found = self._kept(node.input[0])
        if found is None:
            return None
        if node.op_type == "Cast":
            to = next(a.i for a in node.attribute if a.name == "to")
            return found.astype(DTYPES[to]) if to in DTYPES else None
        scale, axis = self._kept(node.input[1]), attribute(node, "axis", 1)
        zero = self._kept(node.input[2]) if len(node.input) > 2 else np.array(0)
        if scale is None or zero is None:
            return None
        if scale.ndim == 1 and scale.size > 1:
            shape = [1] * found.ndim
            shape[axis] = -1
            scale, zero = scale.reshape(shape), zero.reshape(shape) if zero.ndim else zero
        return (found.astype(np.float32) - zero.astype(np.float32)) * scale

    def only_taker(self, tensor: str) -> NodeProto | None:
        """The one node that takes a tensor, or None where several do or none."""
        takers = self.taken_by.get(self.resolved(tensor), [])
        return takers[0] if len(takers) == 1 else None

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every convolution and matrix product with stored weights, in the order of the graph."""
        found: list[Layer] = []
        absorbed: set[str] = set()
        for node in self.nodes:
            if node.op_type in PRODUCTS:
                layer = self._product(node)
                if layer is not None:
                    found.append(layer)
                    if layer.batch_norm:
                        absorbed.add(layer.batch_norm.after)
            elif node.op_type == "BatchNormalization" and node.output[0] not in absorbed:
                norm = self._batch_norm(node)
                if norm is not None:
                    title = _title(node.input[1], node)
                    activation, saturation = self._activation(norm.after)
                    found.append(
                        Layer(
                            title,
                            "BatchNormalization",
                            norm.after,
                            1,
                            batch_norm=norm,
                            activation=activation,
                            saturation=saturation,
                        )
                    )
        return tuple(found)

    @property
    def batch_norms(self) -> tuple[BatchNorm, ...]:
        return tuple(layer.batch_norm for layer in self.layers if layer.batch_norm is not None)

    def _product(self, node: NodeProto) -> Layer | None:
        weights = self.constant(node.input[1])
        if weights is None or weights.dtype.kind != "f":
            return None
        bias = self.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        tap = node.output[0]
        taker = self.only_taker(tap)
        if node.op_type == "MatMul" and taker is not None and taker.op_type == "Add":
            added = [self.constant(name) for name in taker.input]
            known = [array for array in added if array is not None]
            if len(known) == 1 and known[0].ndim <= 1:
                bias, tap = known[0], taker.output[0]
                taker = self.only_taker(tap)
        norm = normalization = None
        if taker is not None and taker.op_type == "BatchNormalization":
            norm = self._batch_norm(taker)
            tap = norm.after if norm else tap
        else:
            normalization, tap = self._other_norm(tap)
        activation, saturation = self._activation(tap)
        axis = -1 if node.op_type == "MatMul" else 1
        if node.op_type == "MatMul" or (
            node.op_type == "Gemm" and not attribute(node, "transB", 0)
        ):
            weights = np.moveaxis(weights, -1, 0)
        title = _title(node.input[1], node)
        return Layer(
            title,
            node.op_type,
            tap,
            axis,
            weights,
            bias,
            norm,
            activation,
            saturation,
            normalization,
        )

    def _other_norm(self, tensor: str) -> tuple[str | None, str]:
        """An instance, group or layer normalization of a tensor, and the tensor that it gives.

        It is one operator, or an InstanceNormalization of groups between two Reshapes, with γ and β
        behind them.
        """
        node = self.only_taker(tensor)
        if node is None or node.op_type != "Reshape":
            if node is not None and node.op_type in NORMALIZATIONS:
                return NORMALIZATIONS[node.op_type], node.output[0]
            return None, tensor
        node = self.only_taker(node.output[0])
        back = self.only_taker(node.output[0]) if node is not None else None
        if node is None or back is None:
            return None, tensor
        if (node.op_type, back.op_type) != ("InstanceNormalization", "Reshape"):
            return None, tensor
        scale, after = self.constant(node.input[1]), back.output[0]
        for operator in ("Mul", "Add"):
            taker = self.only_taker(after)
            if taker is not None and taker.op_type == operator:
                if all(self.constant(name) is None for name in taker.input):
                    break
                after = taker.output[0]
        alone = scale is not None and scale.size == 1
        return "LayerNorm" if alone else "GroupNorm", after

    def _batch_norm(self, node: NodeProto) -> BatchNorm | None:
        numbers = [self.constant(name) for name in node.input[1:5]]
        if any(array is None for array in numbers):
            return None
        gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in numbers)
        epsilon = attribute(node, "epsilon", 1e-5)
        before = self.resolved(node.input[0])
        return BatchNorm(before, node.output[0], gamma, beta, mean, variance, epsilon)

    def _activation(self, tap: str) -> tuple[str | None, float | None]:
        """What takes the pre-activations, and the value from which it stays the same."""
        takers = [n for n in self.taken_by.get(self.resolved(tap), []) if n.op_type in ACTIVATIONS]
        if not takers:
            return None, None
        node = takers[0]
        if node.op_type != "Clip":
            # x · sigmoid(x) is SiLU, exported as two operators.
            product = self.only_taker(node.output[0])
            if node.op_type == "Sigmoid" and product is not None and product.op_type == "Mul":
                return "SiLU", None
            return ACTIVATIONS[node.op_type], None
        low, high = clip_bounds(self, node)
        if low == 0:
            return ("ReLU", None) if high is None else (f"ReLU{high:g}", high)
        return "Clip", high


def clip_bounds(graph: Graph, node: NodeProto) -> tuple[float | None, float | None]:
    """The constant bounds of a Clip, which lie in attributes before opset 11, in inputs since."""
    bounds: list[float | None] = []
    for place, name in ((1, "min"), (2, "max")):
        value = attribute(node, name, None)
        if value is None and len(node.input) > place and node.input[place]:
            stored = graph.constant(node.input[place])
            value = stored.item() if stored is not None and stored.size == 1 else None
        # Left open before opset 11, a bound is the largest float32.
        bounds.append(None if value is None or abs(value) > 3e38 else float(value))
    return bounds[0], bounds[1]


def attribute(node: NodeProto, name: str, default):
    """The number, text or list of numbers that a node holds under a name."""
    from onnx import helper

    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def image_input(
    graph: Graph,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
) -> ImageInput:
    """Find how the network takes images.

    ``layout`` ("NCHW" or "NHWC") and ``size`` (height, width) are hints, for where the file leaves
    them open; a hint that the file contradicts is refused.

    Raises :class:`HintError` for what is open, :class:`ReadError` where no single image fits.
    """
    name = graph.name
    stored = {tensor.name for tensor in graph.model.graph.initializer}
    inputs = [entry for entry in graph.model.graph.input if entry.name not in stored]
    if len(inputs) != 1:
        listed = ", ".join(entry.name for entry in inputs[:6])
        raise ReadError(
            name,
            f"it has {len(inputs)} inputs ({listed})" if inputs else "it has no input",
            "Only networks that take one batch of images are measured here; export that part",
        )
    (entry,) = inputs
    tensor = entry.type.tensor_type
    if tensor.elem_type not in DTYPES:
        from onnx import TensorProto

        kinds = {number: kind.lower() for kind, number in TensorProto.DataType.items()}
        raise ReadError(
            name,
            f"its input {entry.name} holds {kinds.get(tensor.elem_type, 'unknown')} values",
            "Images are fed as float32, float16, float64 or uint8",
        )
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim]
    if tensor.HasField("shape") and len(dims) != 4:
        raise ReadError(
            name,
            f"its input {entry.name} has {len(dims)} axes",
            "A batch of images has 4: N, C, H, W or N, H, W, C",
        )
    dims = dims if len(dims) == 4 else [None] * 4
    found = _layout(graph, entry.name, dims, layout)
    order = [dims[1], dims[2], dims[3]] if found == "NCHW" else [dims[3], dims[1], dims[2]]
    channels, height, width = order
    if channels is None:
        channels = _channels(graph) or 3
    if channels not in (1, 3):
        raise ReadError(
            name,
            f"its input {entry.name} has {channels} channels ({found})",
            "Colour images have 3, grey ones 1"
            + ("" if layout else "; if the layout is another one, say which (NCHW or NHWC)"),
        )
    if size is not None:
        for given, fixed, side in zip(size, (height, width), ("height", "width"), strict=True):
            if fixed is not None and fixed != given:
                raise ReadError(
                    name, f"its input has a fixed {side} of {fixed} px, not {given}", "Leave it out"
                )
        height, width = size
    if height is None or width is None:
        raise HintError(
            name,
            "its input takes images of any size, and the file does not say which it was trained on",
            "Give the size, for example 224",
            "size",
        )
    if (dims[0] or 1) * height * width > MOST_PIXELS:
        raise ReadError(
            name,
            f"its input takes {dims[0] or 1} × {height} × {width} pixels at once, more than "
            f"{MOST_PIXELS / 1e6:.0f} million",
            "Export it for one image of fewer pixels",
        )
    return ImageInput(entry.name, found, channels, height, width, DTYPES[tensor.elem_type], dims[0])


def _layout(graph: Graph, tensor: str, dims: list[int | None], hint: str | None) -> str:
    possible = [
        layout
        for layout, channels in (("NCHW", dims[1]), ("NHWC", dims[3]))
        if channels in (None, 1, 3)
    ]
    first = graph.taken_by.get(tensor, [])
    if hint is not None and hint not in possible and possible:
        raise ReadError(
            graph.name, f"its input has the layout {possible[0]}, not {hint}", "Leave it out"
        )
    if hint is not None:
        return hint
    if len(possible) == 1:
        return possible[0]
    if (dims[1] is None) != (dims[3] is None):
        # A number of channels is stated, sides are left open.
        return "NHWC" if dims[1] is None else "NCHW"
    # A convolution takes channels first; TensorFlow's exports turn NHWC round at once.
    if any(node.op_type == "Conv" for node in first):
        return "NCHW"
    if any(
        node.op_type == "Transpose" and list(attribute(node, "perm", [])) == [0, 3, 1, 2]
        for node in first
    ):
        return "NHWC"
    if not possible:
        raise ReadError(
            graph.name,
            f"its input has the shape {'×'.join('?' if d is None else str(d) for d in dims)}",
            "An image has 1 or 3 channels, first or last",
        )
    raise HintError(
        graph.name,
        "the file does not say whether channels come first or last",
        "Give the layout, NCHW or NHWC",
        "layout",
    )


def _channels(graph: Graph) -> int | None:
    for node in graph.nodes:
        if node.op_type == "Conv":
            weights = graph.constant(node.input[1])
            if weights is None or weights.ndim < 2:
                return None
            return weights.shape[1] * attribute(node, "group", 1)
    return None


def _title(weights: str, node: NodeProto) -> str:
    """A short name: that of the weights without ".weight", else the node's."""
    for ending in (".weight", "/kernel:0", "/kernel", ".gamma"):
        if weights.endswith(ending):
            return weights.removesuffix(ending)
    return node.name or weights or node.op_type


def nodes_between(graph: Graph, tensor: str) -> Iterator[NodeProto]:
    """Follow a tensor while exactly one node takes it."""
    while (node := graph.only_taker(tensor)) is not None:
        yield node
        tensor = node.output[0]
