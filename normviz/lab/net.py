"""A network as a list of layers: its loss, gradient, and Hessian times a vector.

Parameters are one flat row a run, ``theta`` ``(R, P)``: an optimizer sees only that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from normviz.lab.layers import Join, Layer, Linear, Norm, NormKind, Patches, ReLU


@dataclass(frozen=True)
class Net:
    """Layers and the shape of one input sample, without the axes of runs and samples.

    >>> net = softmax_regression((4,), 3)
    >>> net.size, net.output
    (15, (3,))
    """

    layers: tuple[Layer, ...]
    input: tuple[int, ...]

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one sample before each layer, and after the last."""
        shapes = [self.input]
        for layer in self.layers:
            shapes.append(layer.out(shapes[-1]))
        return tuple(shapes)

    @property
    def output(self) -> tuple[int, ...]:
        return self.shapes[-1]

    @cached_property
    def places(self) -> tuple[dict[str, tuple[slice, tuple[int, ...]]], ...]:
        """Of each layer, where in theta a parameter lies, and its shape."""
        places: list[dict[str, tuple[slice, tuple[int, ...]]]] = []
        end = 0
        for layer, shape in zip(self.layers, self.shapes, strict=False):
            own = {}
            for name, parameter in layer.shapes(shape).items():
                first, end = end, end + int(np.prod(parameter))
                own[name] = (slice(first, end), parameter)
            places.append(own)
        return tuple(places)

    @cached_property
    def size(self) -> int:
        """How many parameters one run has."""
        return max((at.stop for own in self.places for at, _ in own.values()), default=0)

    @cached_property
    def first(self) -> int:
        """The first layer with parameters: no gradient is asked for before it."""
        return next(i for i, own in enumerate(self.places) if own)

    def start(self, seed: int, runs: int = 1, kind: type = np.float32) -> np.ndarray:
        """Return theta to train from: drawn with the seed, the same in each run."""
        random = np.random.default_rng([seed, 1])
        theta = np.empty(self.size)
        for layer, own in zip(self.layers, self.places, strict=True):
            for name, (at, shape) in own.items():
                theta[at] = layer.start(name, shape, random).ravel()
        return np.repeat(theta[np.newaxis].astype(kind), runs, axis=0)

    def views(self, theta: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Return each layer's parameters as views into theta, with the axis of runs in front."""
        return [
            {name: theta[:, at].reshape(len(theta), *shape) for name, (at, shape) in own.items()}
            for own in self.places
        ]

    def prepared(self, x: np.ndarray) -> np.ndarray:
        """Return what the first layer with parameters is fed, for samples ``(N, …)``.

        Cutting a set into patches once saves doing so in every step.
        """
        for layer in self.layers[: self.first]:
            x = layer.forward({}, x[np.newaxis])[0][0]
        return np.ascontiguousarray(x)

    def forward(
        self, theta: np.ndarray, prepared: np.ndarray, averages: Sequence[np.ndarray] | None = None
    ) -> tuple[np.ndarray, list[Any]]:
        """Return the logits ``(R, B, K)`` and what each layer saved.

        ``prepared`` is ``(B, …)``, shared by the runs, or ``(R, B, …)``. ``averages`` are those of
        the batch normalizations in use (one array a layer of them), else they take the batch's.
        """
        x = self._with_runs(prepared)
        saved: list[Any] = [None] * self.first
        remembered = iter(averages or ())
        for layer, p in zip(
            self.layers[self.first :], self.views(theta)[self.first :], strict=True
        ):
            if averages is not None and isinstance(layer, Norm) and layer.kind == "batch":
                x, kept = layer.by_averages(p, x, next(remembered)), None
            else:
                x, kept = layer.forward(p, x)
            saved.append(kept)
        return x, saved

    def gradient(
        self, theta: np.ndarray, prepared: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, list[Any]]:
        """Return the mean loss ``(R,)``, its gradient ``(R, P)`` and what the layers saved."""
        logits, saved = self.forward(theta, prepared)
        loss, dy, _ = cross_entropy(logits, labels)
        gradient = np.empty_like(theta)
        views = self.views(theta)
        for i in range(len(self.layers) - 1, self.first - 1, -1):
            dx, own = self.layers[i].backward(views[i], saved[i], dy, inputs=i > self.first)
            for name, (at, _) in self.places[i].items():
                gradient[:, at] = own[name].reshape(len(theta), -1)
            if dx is not None:
                dy = dx
        return loss, gradient, saved

    def hessian_vector(
        self, theta: np.ndarray, prepared: np.ndarray, labels: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        """Return the Hessian of the mean loss times v, ``(R, P)``, by the R-operator.

        Exact also with ReLU, where differences of gradients are not: a step crosses kinks.
        """
        logits, saved = self.forward(theta, prepared)
        _, dy, shares = cross_entropy(logits, labels)
        p, along = self.views(theta), self.views(v)
        nudged: list[Any] = [None] * len(self.layers)
        rx: np.ndarray | None = None
        for i in range(self.first, len(self.layers)):
            rx, nudged[i] = self.layers[i].nudged_forward(p[i], along[i], saved[i], rx)
        assert rx is not None
        # R{softmax} = s (R{z} − Σ s R{z}).
        rdy = shares * (rx - (shares * rx).sum(axis=-1, keepdims=True)) / logits.shape[1]
        product = np.empty_like(theta)
        for i in range(len(self.layers) - 1, self.first - 1, -1):
            layer = self.layers[i]
            rdx, own = layer.nudged_backward(p[i], along[i], saved[i], nudged[i], dy, rdy)
            for name, (at, _) in self.places[i].items():
                product[:, at] = own[name].reshape(len(theta), -1)
            if i > self.first:
                dx, _ = layer.backward(p[i], saved[i], dy)
                assert dx is not None
                dy, rdy = dx, rdx
        return product

    def start_averages(self, runs: int = 1) -> list[np.ndarray]:
        """Return what new batch normalizations remember: mean 0 and variance 1."""
        fresh = []
        for layer, shape in zip(self.layers, self.shapes, strict=False):
            if isinstance(layer, Norm) and layer.kind == "batch":
                pair = np.zeros((runs, 2, shape[-1]))
                pair[:, 1] = 1
                fresh.append(pair)
        return fresh

    def remembered(
        self, averages: Sequence[np.ndarray], saved: Sequence[Any], share: float = 0.1
    ) -> list[np.ndarray]:
        """Return the averages after a batch: a ← (1 − share)·a + share·batch, as PyTorch does."""
        norms = [
            layer.moments(kept)
            for layer, kept in zip(self.layers, saved, strict=True)
            if isinstance(layer, Norm) and layer.kind == "batch"
        ]
        return [
            (1 - share) * old + share * new.astype(np.float64)
            for old, new in zip(averages, norms, strict=True)
        ]

    def _with_runs(self, prepared: np.ndarray) -> np.ndarray:
        shared = prepared.ndim == len(self.shapes[self.first]) + 1
        return prepared[np.newaxis] if shared else prepared


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of −ln softmax(z)_label ``(R,)``, its gradient by z, and the softmax.

    ``labels`` are ``(B,)``, shared by the runs, or ``(R, B)``.

    >>> loss, _, _ = cross_entropy(np.zeros((1, 2, 4)), np.array([0, 3]))
    >>> round(loss.item(), 4)  # ln 4
    1.3863
    """
    runs, count, _ = logits.shape
    shifted = logits - logits.max(axis=-1, keepdims=True)
    raised = np.exp(shifted)
    total = raised.sum(axis=-1, keepdims=True)
    shares = raised / total
    at = (np.arange(runs)[:, np.newaxis], np.arange(count), np.broadcast_to(labels, (runs, count)))
    loss = (np.log(total[..., 0]) - shifted[at]).mean(axis=1)
    gradient = shares.copy()
    gradient[at] -= 1
    gradient /= count
    return loss, gradient, shares


def softmax_regression(shape: tuple[int, ...], classes: int) -> Net:
    """One linear layer to the classes, starting from zeros: the loss is convex."""
    return Net((Join(), Linear(classes, gain=0.0)), shape)


def small_net(
    shape: tuple[int, int, int],
    classes: int,
    norm: NormKind | None = None,
    norms: int = 2,
    pad: int = 0,
    filters: tuple[int, int] = (16, 32),
    activation: Layer | None = None,
) -> Net:
    """The lab's network: conv 5×5/2 – ReLU – conv 2×2/2 – ReLU – linear.

    ``norm`` follows the first convolution (``norms`` 1) or both (2); ``pad`` zeros stand around
    the image. The second convolution does not overlap, so that its patches are a reshape.

    >>> small_net((16, 16, 3), 10).size
    6186
    """
    bend = activation or ReLU()
    first = (Norm(norm),) if norm and norms >= 1 else ()
    second = (Norm(norm),) if norm and norms >= 2 else ()
    layers = (
        *(Patches(5, 2, pad), Linear(filters[0]), *first, bend),
        *(Patches(2, 2), Linear(filters[1]), *second, bend),
        *(Join(), Linear(classes, gain=1.0)),
    )
    return Net(layers, shape)
