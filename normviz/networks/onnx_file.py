"""Open an ONNX file: bounded, checked, standard operators only, and in words when it cannot be.

Nothing of the file is run here; its graph becomes a checked ``onnx.ModelProto``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from normviz.errors import NormvizError, ReadError
from normviz.read.limits import Limits, size_text

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

RECURRENT = frozenset({"LSTM", "GRU", "RNN", "Loop", "Scan"})
"""Operators with a memory or a loop: their cost is not bounded by the graph."""

KEEP_BATCH_NORM = (
    "torch.onnx.export(model.eval(), image, 'model.onnx', dynamo=False, "
    "training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False), which keeps "
    "BatchNorm apart from the convolutions"
)
_KERAS = (
    "In Keras 3: model.export('model.onnx', format='onnx'); else python -m tf2onnx.convert. Both "
    "may fold BatchNorm into the convolutions; the evidence is weaker then"
)


class MissingPackageError(NormvizError):
    """An optional package is needed that is not installed."""


def onnx_package():
    """Return the ``onnx`` module, or say what to install."""
    try:
        import onnx
    except ImportError:
        raise MissingPackageError(
            "Reading ONNX files needs the packages onnx and onnxruntime: "
            "pip install onnx onnxruntime."
        ) from None
    return onnx


def open_onnx(source: bytes | str | Path, name: str = "", limits: Limits | None = None):
    """Return the checked ``onnx.ModelProto`` of a file or its bytes, local functions inlined.

    ``name`` is what the file is called in errors. Weights beside the file (external data) are
    read when it is given by its path and they lie in its folder.

    Raises :class:`ReadError` (or its :class:`LimitError`) that says in words why it cannot be
    used: another format and how to export it, cut off, too large, custom operators, recurrent.

    >>> open_onnx(b"TFL3", "net.tflite")
    Traceback (most recent call last):
    normviz.errors.ReadError: net.tflite: this is no ONNX model. Export the network as ONNX first.
    """
    onnx = onnx_package()
    from google.protobuf.message import DecodeError

    limits = limits or Limits.from_environment()
    path = None if isinstance(source, bytes) else Path(source)
    name = name or (path.name if path else "the model")
    data = _bytes_of(source, path, name, limits)
    _refuse_other_formats(data, name)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        model = None
    if model is None or not model.HasField("graph") or not model.opset_import:
        raise _no_onnx(data, name)
    if not model.graph.node or not model.graph.output:
        missing = "output" if model.graph.node else "operators"
        raise ReadError(name, f"the graph has no {missing}", "Export the network again")
    _load_external(model, path, name, limits)
    if model.functions:
        model = _inlined(model, name)
    _refuse_operators(model.graph, name)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ReadError(
            name,
            f"the model is not valid ONNX: {_first_line(error)}",
            "Export the network again",
        ) from None
    return model


def _bytes_of(source: bytes | str | Path, path: Path | None, name: str, limits: Limits) -> bytes:
    if path is None:
        assert isinstance(source, bytes)
        limits.refuse_model_bytes(name, len(source))
        return source
    try:
        limits.refuse_model_bytes(name, path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(name, error.strerror or str(error), "Look at the path") from None
    return data


def _refuse_other_formats(data: bytes, name: str) -> None:
    """Say how to export what is recognised by its first bytes as another format."""
    suffix = name.lower().rpartition(".")[2]
    if not data:
        raise ReadError(name, "the file is empty", "Upload it again")
    if data.startswith(b"version https://git-lfs"):
        raise ReadError(
            name,
            "this is a pointer of Git LFS, not the file itself",
            "Fetch it: git lfs pull, or the download button of the repository",
        )
    if data[:4] == b"PK\x03\x04":
        if suffix == "keras":
            raise ReadError(name, "this is a Keras model, not ONNX", _KERAS)
        raise ReadError(
            name,
            "this is a zip, as PyTorch saves models, not ONNX",
            f"In PyTorch: {KEEP_BATCH_NORM}",
        )
    if data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise ReadError(
            name,
            "this is a pickle, as PyTorch saved models before 1.6, and is not opened because it "
            "could run code",
            f"In PyTorch: {KEEP_BATCH_NORM}",
        )
    if data[:4] == b"\x89HDF":
        raise ReadError(name, "this is HDF5, as Keras saves models, not ONNX", _KERAS)
    if data[4:8] == b"TFL3":
        raise ReadError(
            name,
            "this is a TensorFlow Lite model, not ONNX",
            "Convert it: python -m tf2onnx.convert --tflite model.tflite --output model.onnx",
        )
    if data[4:8] == b"ORTM":
        raise ReadError(
            name,
            "this is ONNX Runtime's own format, whose graph cannot be changed to look inside",
            "Use the .onnx file that it was made from",
        )
    if suffix == "safetensors" or (data[8:9] == b"{" and b'"dtype"' in data[:4096]):
        raise ReadError(
            name,
            "this holds weights alone (safetensors), without the network",
            f"Load them in their model, then {KEEP_BATCH_NORM}",
        )


def _no_onnx(data: bytes, name: str) -> ReadError:
    if name.lower().endswith(".onnx") and len(data) > 16 and data[0] == 0x08:
        # Field 1 of an ONNX model is its version of the format: the beginning looks right.
        return ReadError(
            name,
            f"the file is cut off or damaged: its {size_text(len(data))} are no whole ONNX model",
            "Copy or export it again",
        )
    return ReadError(name, "this is no ONNX model", "Export the network as ONNX first")


def _load_external(model: ModelProto, path: Path | None, name: str, limits: Limits) -> None:
    onnx = onnx_package()
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    outside = [tensor for tensor in _get_all_tensors(model) if uses_external_data(tensor)]
    if not outside:
        return
    files = sorted(
        {item.value for t in outside for item in t.external_data if item.key == "location"}
    )
    remedy = (
        "Save it as one file: onnx.save(onnx.load('model.onnx'), 'one.onnx', "
        "save_as_external_data=False)"
    )
    listed = ", ".join(files[:3]) or "a file that it does not name"
    if path is None:
        raise ReadError(name, f"its weights lie in another file ({listed})", remedy)
    folder = path.resolve().parent
    for location in files:
        beside = (folder / location).resolve()
        if folder not in beside.parents or not beside.is_file():
            raise ReadError(
                name,
                f"its weights lie in another file ({location}), which is not beside it",
                f"Put it there. {remedy}",
            )
    # Tensors may name the same bytes again and again: what counts is what they become in memory.
    limits.refuse_model_bytes(name, sum(_external_bytes(tensor, folder) for tensor in outside))
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ReadError(
            name, f"its weights in {listed} cannot be read: {_first_line(error)}", remedy
        ) from None


def _external_bytes(tensor: TensorProto, folder: Path) -> int:
    stated = {item.key: item.value for item in tensor.external_data}
    size = (folder / stated.get("location", "")).stat().st_size
    length = stated.get("length", "")
    return min(int(length), size) if length.isdecimal() else size


MOST_NODES = 100_000
"""Of a graph after its functions are written out; functions of functions can grow beyond bounds."""


def _inlined(model: ModelProto, name: str) -> ModelProto:
    from onnx import inliner

    try:
        nodes = _nodes_written_out(model)
    except RecursionError:
        nodes = float("inf")
    if nodes > MOST_NODES:
        raise ReadError(
            name,
            f"its functions call each other without end, or to more than {MOST_NODES:,} operators",
            "Export it without functions",
        )
    try:
        return inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise ReadError(
            name,
            f"the model's own functions cannot be written out: {_first_line(error)}",
            "Export it without functions",
        ) from None


def _nodes_written_out(model: ModelProto) -> float:
    """How many nodes the graph has without functions; infinite where one contains itself."""
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], float] = {}

    def size(key: tuple[str, str]) -> float:
        if key not in sizes:
            sizes[key] = float("inf")  # What is met again before it is known contains itself.
            sizes[key] = total(bodies[key])
        return sizes[key]

    def total(nodes) -> float:
        keys = [(node.domain, node.op_type) for node in _all_nodes(nodes)]
        return sum(size(key) if key in bodies else 1 for key in keys)

    return total(model.graph.node)


def _refuse_operators(graph: GraphProto, name: str) -> None:
    custom: set[str] = set()
    looped: set[str] = set()
    for node in _all_nodes(graph.node):
        if node.domain not in STANDARD_DOMAINS:
            custom.add(f"{node.domain}.{node.op_type}")
        elif node.op_type in RECURRENT:
            looped.add(node.op_type)
    if custom:
        raise ReadError(
            name,
            f"it uses operators that are not of the ONNX standard: {', '.join(sorted(custom)[:5])}",
            "Export it with the standard operators only, before any optimizer of a runtime",
        )
    if looped:
        raise ReadError(
            name,
            f"it is recurrent or has a loop ({', '.join(sorted(looped))})",
            "Only networks that see an image once are measured here; export the part that sees "
            "the image",
        )


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g.node)
            for inner in attribute.graphs:
                yield from _all_nodes(inner.node)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
