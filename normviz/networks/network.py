"""Run a network on normalized images and read any tensor inside, through ONNX Runtime."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from normviz.errors import ParameterError, ReadError, ShapeError
from normviz.networks.graph import BatchNorm, Graph, ImageInput, Layer, image_input
from normviz.networks.onnx_file import MissingPackageError, open_onnx
from normviz.read.limits import Limits

if TYPE_CHECKING:
    from onnx import ModelProto

# Sessions of different taps that one network keeps; each holds the weights once more.
_SESSIONS_KEPT = 4


class Network:
    """A network that takes images, with its layers, and a run that reads tensors inside.

    Made from a checked model; :func:`load` does it from a file. ``labels`` name its outputs.
    Threads may run one network at the same time: each run uses one thread.
    """

    def __init__(
        self,
        model: ModelProto,
        name: str,
        layout: str | None = None,
        size: tuple[int, int] | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.graph = Graph(model, name)
        self.input: ImageInput = image_input(self.graph, layout, size)
        self.labels = tuple(labels)
        self._sessions: dict[tuple[str, ...], Any] = {}
        self._lock = threading.Lock()

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.graph.layers

    @property
    def batch_norms(self) -> tuple[BatchNorm, ...]:
        return self.graph.batch_norms

    @property
    def output(self) -> str:
        """The first output: logits or probabilities where the network classifies."""
        return self.graph.outputs[0]

    def fed(self, values: np.ndarray) -> np.ndarray:
        """Bring normalized images ``(N, H, W, C)`` into the layout and type of the input.

        Colour is reduced to grey by its mean for a network of one channel; grey is repeated.

        Raises :class:`ShapeError` for images of another size than the input's.
        """
        wanted = (self.input.height, self.input.width)
        shape = values.shape
        if len(shape) != 4 or not shape[0] or shape[1:3] != wanted or shape[3] not in (1, 3):
            raise ShapeError(
                f"{self.name} takes one or more images (N, {wanted[0]}, {wanted[1]}, 1 or 3); got "
                f"shape {shape}."
            )
        if values.shape[3] != self.input.channels:
            if self.input.channels == 3:
                values = np.repeat(values, 3, axis=3)
            else:
                values = values.mean(axis=3, keepdims=True, dtype=values.dtype)
        if self.input.layout == "NCHW":
            values = values.transpose(0, 3, 1, 2)
        if self.input.dtype == "uint8":
            values = np.clip(np.rint(values), 0, 255)
        return np.ascontiguousarray(values, self.input.dtype)

    def run(self, values: np.ndarray, taps: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the tensors named ``taps`` for normalized images ``(N, H, W, C)``.

        Only what the taps need is computed. Where the input's batch is fixed the images go
        through one after the other (the last repeated to fill it).

        Raises :class:`ReadError` when ONNX Runtime cannot run the network, with its words.
        """
        feed = self.fed(values)
        taps = tuple(dict.fromkeys(taps))
        session = self._session(taps)
        fixed = self.input.batch
        try:
            if fixed is None or fixed == len(feed):
                found = session.run(list(taps), {self.input.name: feed})
            else:
                found = _in_batches(session, list(taps), self.input.name, feed, fixed)
        except Exception as error:  # ONNX Runtime's errors have no base of their own.
            raise ReadError(self.name, f"it does not run: {_short(error)}", "") from None
        return dict(zip(taps, found, strict=True))

    def _session(self, taps: tuple[str, ...]) -> Any:
        with self._lock:
            if taps not in self._sessions:
                while len(self._sessions) >= _SESSIONS_KEPT:
                    del self._sessions[next(iter(self._sessions))]
                self._sessions[taps] = _session_of(self.graph, taps)
            return self._sessions[taps]


def load(
    source: bytes | str | Path,
    name: str = "",
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    limits: Limits | None = None,
) -> Network:
    """Open an ONNX file that takes one batch of images.

    Raises :class:`ReadError` as :func:`normviz.networks.onnx_file.open_onnx` and
    :func:`normviz.networks.graph.image_input` do.
    """
    if layout is not None and layout not in ("NCHW", "NHWC"):
        raise ParameterError(f"The layout is NCHW or NHWC, got {layout!r}.")
    model = open_onnx(source, name, limits)
    return Network(model, name or getattr(source, "name", str(source)), layout, size)


_MOST_WORDS = 300


def _session_of(graph: Graph, taps: Sequence[str]) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackageError(
            "Running networks needs the package onnxruntime: pip install onnxruntime."
        ) from None
    options = onnxruntime.SessionOptions()
    # The images are spread over threads instead.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Tensors in an arena that the session keeps: on the heap those of run after run leave gaps,
    # and the process grows with the number of images (from 140 to 280 MB over 1,000 of them).
    options.enable_cpu_mem_arena = True
    # What goes wrong comes as an exception; nothing is printed beside it.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            tapped(graph, taps).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ReadError(
            graph.name, f"ONNX Runtime cannot load it: {_short(error)}", "Export it again"
        ) from None


def tapped(graph: Graph, taps: Sequence[str]) -> ModelProto:
    """Return a copy of the model whose outputs are the taps, without what they do not need."""
    import onnx

    needed: set[str] = set()
    wanted = list(taps)
    kept: set[int] = set()
    while wanted:
        tensor = wanted.pop()
        if not tensor or tensor in needed:
            continue
        needed.add(tensor)
        node = graph.made_by.get(tensor)
        if node is not None and id(node) not in kept:
            kept.add(id(node))
            wanted.extend(node.input)
            wanted.extend(_captured(node))
    model = onnx.ModelProto()
    model.ir_version = graph.model.ir_version
    model.opset_import.extend(graph.model.opset_import)
    model.graph.name = graph.model.graph.name or "graph"
    stored = {tensor.name for tensor in graph.model.graph.initializer}
    # Old files list their stored arrays among the inputs; one that is left out would be asked for.
    model.graph.input.extend(entry for entry in graph.model.graph.input if entry.name not in stored)
    model.graph.node.extend(node for node in graph.nodes if id(node) in kept)
    model.graph.initializer.extend(
        tensor for tensor in graph.model.graph.initializer if tensor.name in needed
    )
    known = {output.name: output for output in graph.model.graph.output}
    for tensor in taps:
        model.graph.output.append(
            known.get(tensor) or onnx.helper.make_empty_tensor_value_info(tensor)
        )
    return model


def _captured(node: Any) -> list[str]:
    """Tensors from outside that the branches of an If use."""
    names = []
    for attribute in node.attribute:
        for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            for child in inner.node:
                names.extend(child.input)
                names.extend(_captured(child))
            names.extend(output.name for output in inner.output)
    return names


def _in_batches(
    session: Any, taps: list[str], name: str, feed: np.ndarray, size: int
) -> list[np.ndarray]:
    parts = []
    for start in range(0, len(feed), size):
        some = feed[start : start + size]
        missing = size - len(some)
        if missing:
            some = np.concatenate([some, np.repeat(some[-1:], missing, axis=0)])
        found = session.run(taps, {name: some})
        parts.append([array[: size - missing] for array in found])
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _short(error: Exception) -> str:
    """ONNX Runtime's words without its name, error number, and places and names in its source."""
    text = " ".join(str(error).split())
    text = text.partition(" : FAIL : ")[2] or text.partition(" : INVALID_ARGUMENT : ")[2] or text
    text = re.sub(r"\S*onnxruntime/\S+\.(?:h|cc):\d+ .*?\) (?=[A-Z])", "", text)
    # Whole sentences, as far as they fit.
    if len(text) > _MOST_WORDS:
        text = text[:_MOST_WORDS].rpartition(". ")[0] or f"{text[:_MOST_WORDS]}…"
    return text.rstrip(". ") or type(error).__name__
