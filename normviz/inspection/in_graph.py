"""Preprocessing that a model's graph does itself, between its input and its first layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.networks.graph import Graph, ImageInput, attribute

PASSED = ("Identity", "Cast", "Resize", "Reshape", "Dropout", "Pad")


@dataclass(frozen=True, eq=False)
class InGraph:
    """y = gain · x + bias on the model's input x, a channel each in the order that comes in.

    ``turned`` says whether the channels are then turned round; ``steps`` names the operators.
    """

    gain: np.ndarray
    bias: np.ndarray
    turned: bool
    steps: tuple[str, ...]

    @property
    def invertible(self) -> bool:
        """Whether each channel goes on in finite numbers that differ from 0."""
        return bool(
            np.isfinite(self.gain).all() and np.isfinite(self.bias).all() and (self.gain != 0).all()
        )

    @property
    def changes(self) -> bool:
        return self.turned or bool((self.gain != 1).any() or (self.bias != 0).any())

    def words(self) -> str:
        """Return one sentence.

        >>> InGraph(np.full(3, 1 / 127.5), np.full(3, -1.0), False, ("Mul", "Sub")).words()
        'The graph itself computes (x − 127.5) / 127.5 on its input (Mul, Sub).'
        """
        if not self.changes:
            return "The graph changes nothing before its first layer."
        if not self.invertible:
            return (
                "The graph itself multiplies a channel by 0 or by what is no number "
                f"({', '.join(self.steps)}): nothing of it arrives."
            )
        parts = []
        if (self.gain != 1).any() or (self.bias != 0).any():
            mean, std = 0.0 - self.bias / self.gain, 1 / self.gain
            parts.append(f"computes {_formula(mean, std)} on its input")
        if self.turned:
            parts.append("turns the order of the channels round")
        return f"The graph itself {' and '.join(parts)} ({', '.join(self.steps)})."


def in_graph(graph: Graph, entry: ImageInput) -> InGraph:
    """Follow the input through Cast, Add, Sub, Mul, Div, BatchNormalization, Transpose and turned
    channels until another operator or a branch; compose what they do to each channel.
    """
    channels = entry.channels
    gain, bias, order = np.ones(channels), np.zeros(channels), list(range(channels))
    axis = 1 if entry.layout == "NCHW" else 3
    steps: list[str] = []
    tensor = graph.resolved(entry.name)
    while True:
        split = _split(graph, tensor, axis)
        if split is not None:
            turned, tensor = split
            order = [order[index] for index in turned]
            steps.append("Split, Concat")
            continue
        node = graph.only_taker(tensor)
        if node is None:
            break
        kind = node.op_type
        if kind == "Transpose":
            moved = list(attribute(node, "perm", []))
            if len(moved) != 4:
                break
            axis = moved.index(axis)
        elif kind in ("Add", "Sub", "Mul", "Div"):
            first = graph.resolved(node.input[0]) == tensor
            numbers = _per_channel(graph.constant(node.input[1 if first else 0]), axis, channels)
            if numbers is None or (kind == "Div" and not first):
                break
            change_gain, change_bias = _arithmetic(kind, numbers, first)
            bias[order] = bias[order] * change_gain + change_bias
            gain[order] = gain[order] * change_gain
            steps.append(kind)
        elif kind == "BatchNormalization" and axis == 1:
            found = [graph.constant(name) for name in node.input[1:5]]
            if any(array is None for array in found):
                break
            gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in found)
            scale = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
            bias[order] = (bias[order] - mean) * scale + beta
            gain[order] = gain[order] * scale
            steps.append(kind)
        elif kind == "Gather" and attribute(node, "axis", 0) % 4 == axis:
            index = graph.constant(node.input[1])
            if index is None or sorted(index.ravel().tolist()) != list(range(channels)):
                break
            order = [order[i] for i in index.ravel().tolist()]
            steps.append("Gather")
        elif kind == "Slice" and _reverses(graph, node, axis):
            order = order[::-1]
            steps.append("Slice")
        elif kind not in PASSED:
            break
        tensor = graph.resolved(node.output[0])
    return InGraph(gain, bias, order != list(range(channels)), tuple(steps))


def _arithmetic(kind: str, numbers: np.ndarray, first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Gain and bias of one operator; ``first`` where the image is its first input."""
    one, zero = np.ones_like(numbers), np.zeros_like(numbers)
    if kind == "Add":
        return one, numbers
    if kind == "Sub":
        return (one, -numbers) if first else (-one, numbers)
    return (numbers if kind == "Mul" else 1 / numbers), zero


def _per_channel(numbers: np.ndarray | None, axis: int, channels: int) -> np.ndarray | None:
    """A stored array as one number a channel, or None where it is anything else."""
    if numbers is None:
        return None
    numbers = np.asarray(numbers, np.float64)
    if numbers.size == 1:
        return np.full(channels, numbers.ravel()[0])
    shape = (1,) * (4 - numbers.ndim) + numbers.shape
    if len(shape) != 4 or shape[axis] != channels or numbers.size != channels:
        return None
    return numbers.ravel()


def _split(graph: Graph, tensor: str, axis: int) -> tuple[list[int], str] | None:
    """Channels cut apart (Split, or a Slice or Gather each) and joined in another order."""
    takers = graph.taken_by.get(tensor, [])
    cut: dict[str, int] = {}
    if len(takers) == 1 and takers[0].op_type == "Split":
        if attribute(takers[0], "axis", 0) % 4 != axis:
            return None
        cut = {name: index for index, name in enumerate(takers[0].output)}
    elif len(takers) == 3 and all(node.op_type == "Slice" for node in takers):
        for node in takers:
            given = [graph.constant(name) for name in node.input[1:4]]
            if len(given) < 3 or any(g is None or g.size != 1 for g in given):
                return None
            start, stop, along = (int(g.ravel()[0]) for g in given if g is not None)
            if along % 4 != axis or stop != start + 1:
                return None
            cut[node.output[0]] = start
    if len(cut) != 3:
        return None
    joins = {id(graph.only_taker(name)): graph.only_taker(name) for name in cut}
    (join,) = joins.values() if len(joins) == 1 else (None,)
    if join is None or join.op_type != "Concat" or attribute(join, "axis", 1) % 4 != axis:
        return None
    if not all(name in cut for name in join.input):
        return None
    return [cut[name] for name in join.input], graph.resolved(join.output[0])


def _reverses(graph: Graph, node: object, axis: int) -> bool:
    """Whether a Slice takes the channels backwards, as x[..., ::-1] is exported."""
    given = [graph.constant(name) for name in node.input[1:5]]  # type: ignore[attr-defined]
    if len(given) != 4 or any(g is None or g.size != 1 for g in given):
        return False
    _, _, along, step = (int(g.ravel()[0]) for g in given if g is not None)
    return along % 4 == axis and step == -1


def _formula(mean: np.ndarray, std: np.ndarray) -> str:
    def text(values: np.ndarray) -> str:
        if np.allclose(values, values[0], rtol=1e-5, atol=1e-9):
            return f"{values[0]:.5g}".replace("-", "−")
        return f"[{', '.join(f'{value:.5g}' for value in values)}]".replace("-", "−")

    shifted = "x" if np.abs(mean).max() < 1e-9 else f"(x − {text(mean)})"
    if np.abs(mean).max() >= 1e-9 and text(mean).startswith("−"):
        shifted = f"(x + {text(mean)[1:]})"
    return shifted if np.allclose(std, 1) else f"{shifted} / {text(std)}"
