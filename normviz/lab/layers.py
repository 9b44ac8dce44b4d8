"""The layers of the lab's networks: forward, backward, and how both answer to a nudge.

All arrays carry two leading axes, runs and samples: ``(R, B, H, W, C)`` or ``(R, B, D)``. Runs are
networks that train side by side on the same batches, for instance one a learning rate; an input
that they share has R = 1 and is broadcast. Parameters carry the axis of runs alone.

``forward`` returns what ``backward`` needs again, so a layer remembers nothing itself. The pair
``nudged_forward`` and ``nudged_backward`` is Pearlmutter's R-operator: R{f} is the derivative of f
when the parameters move along a direction v, and R of the gradient is the Hessian times v.
Source: B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Parameters = Mapping[str, np.ndarray]
Gradients = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layer:
    """A layer without parameters that passes on what it gets: the base of the others."""

    def shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter, without the axis of runs, for inputs of ``shape``."""
        return {}

    def out(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one sample's output."""
        return shape

    def start(self, name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        """Return the value that a parameter starts from."""
        raise NotImplementedError

    def forward(self, p: Parameters, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the output y and what backward needs."""
        return x, None

    def backward(
        self, p: Parameters, saved: Any, dy: np.ndarray, inputs: bool = True
    ) -> tuple[np.ndarray | None, Gradients]:
        """Return ∂L/∂x from dy = ∂L/∂y (None unless ``inputs``), and ∂L/∂p of each parameter."""
        return dy, {}

    def nudged_forward(
        self, p: Parameters, v: Parameters, saved: Any, rx: np.ndarray | None
    ) -> tuple[np.ndarray | None, Any]:
        """Return R{y} from R{x}, and what ``nudged_backward`` needs; None stands for zeros."""
        return rx, None

    def nudged_backward(
        self,
        p: Parameters,
        v: Parameters,
        saved: Any,
        nudged: Any,
        dy: np.ndarray,
        rdy: np.ndarray,
    ) -> tuple[np.ndarray, Gradients]:
        """Return R{∂L/∂x} and R{∂L/∂p} from dy and R{dy}."""
        return rdy, {}


@dataclass(frozen=True)
class Linear(Layer):
    """y = x W + b over the last axis; over patches it is a convolution.

    Weights start from N(0, gain²/fan in): gain √2 keeps the size of signals through ReLU.
    Source: He, Zhang, Ren and Sun 2015, https://arxiv.org/abs/1502.01852.

    >>> p = {"W": np.array([[[2.0], [3.0]]]), "b": np.array([[1.0]])}
    >>> Linear(1).forward(p, np.array([[[1.0, 1.0]]]))[0].item()
    6.0
    """

    units: int
    gain: float = 2**0.5

    def shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {"W": (shape[-1], self.units), "b": (self.units,)}

    def out(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], self.units)

    def start(self, name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        if name == "b":
            return np.zeros(shape)
        return random.normal(0.0, 1.0, shape) * self.gain / np.sqrt(shape[0])

    def forward(self, p: Parameters, x: np.ndarray) -> tuple[np.ndarray, Any]:
        y = _rows(x) @ p["W"]
        y += p["b"][:, np.newaxis]
        return y.reshape(len(y), *x.shape[1:-1], self.units), x

    def backward(
        self, p: Parameters, saved: Any, dy: np.ndarray, inputs: bool = True
    ) -> tuple[np.ndarray | None, Gradients]:
        x, rows = saved, _rows(dy)
        gradients = {"W": _rows(x).swapaxes(1, 2) @ rows, "b": _totals(rows)}
        dx = (rows @ p["W"].swapaxes(1, 2)).reshape(len(rows), *x.shape[1:]) if inputs else None
        return dx, gradients

    def nudged_forward(
        self, p: Parameters, v: Parameters, saved: Any, rx: np.ndarray | None
    ) -> tuple[np.ndarray, Any]:
        x = saved
        ry = _rows(x) @ v["W"] + v["b"][:, np.newaxis]
        if rx is not None:
            ry += _rows(rx) @ p["W"]
        return ry.reshape(len(ry), *x.shape[1:-1], self.units), rx

    def nudged_backward(
        self,
        p: Parameters,
        v: Parameters,
        saved: Any,
        nudged: Any,
        dy: np.ndarray,
        rdy: np.ndarray,
    ) -> tuple[np.ndarray, Gradients]:
        x, rx = saved, nudged
        rows, nudged_rows = _rows(dy), _rows(rdy)
        weights = _rows(x).swapaxes(1, 2) @ nudged_rows
        if rx is not None:
            weights += _rows(rx).swapaxes(1, 2) @ rows
        rdx = nudged_rows @ p["W"].swapaxes(1, 2) + rows @ v["W"].swapaxes(1, 2)
        return rdx.reshape(len(rows), *x.shape[1:]), {"W": weights, "b": _totals(nudged_rows)}


def _rows(x: np.ndarray) -> np.ndarray:
    """One row a sample and position: ``(R, B·H·W, D)``."""
    return x.reshape(len(x), -1, x.shape[-1])


def _totals(rows: np.ndarray) -> np.ndarray:
    """The sum of all rows, ``(R, D)``, as a product with ones: three times as fast as a sum."""
    return (np.ones((1, rows.shape[1]), rows.dtype) @ rows)[:, 0]


@dataclass(frozen=True)
class Patches(Layer):
    """Cut images into patches k × k, ``stride`` apart, with ``pad`` zeros around the image.

    ``(R, B, H, W, C)`` becomes ``(R, B, H', W', k·k·C)`` with H' = ⌊(H + 2 pad − k)/stride⌋ + 1.
    Where patches touch without overlap this only sorts the values anew.

    >>> x = np.arange(16.0).reshape(1, 1, 4, 4, 1)
    >>> Patches(2, 2).forward({}, x)[0][0, 0, 0].tolist()
    [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """

    kernel: int
    stride: int
    pad: int = 0

    def out(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        height, width, channels = shape
        rows, columns = (
            (side + 2 * self.pad - self.kernel) // self.stride + 1 for side in (height, width)
        )
        return rows, columns, self.kernel**2 * channels

    def forward(self, p: Parameters, x: np.ndarray) -> tuple[np.ndarray, Any]:
        k, s = self.kernel, self.stride
        if self.pad:
            edge = (self.pad, self.pad)
            x = np.pad(x, ((0, 0), (0, 0), edge, edge, (0, 0)))
        padded = x.shape
        rows, columns, values = self._grid(padded)
        if k == s:
            x = x[:, :, : rows * k, : columns * k]
            cut = x.reshape(*x.shape[:2], rows, k, columns, k, -1).swapaxes(3, 4)
        else:
            windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
            cut = np.moveaxis(windows[:, :, ::s, ::s], 4, 6)
        return cut.reshape(*x.shape[:2], rows, columns, values), padded

    def backward(
        self, p: Parameters, saved: Any, dy: np.ndarray, inputs: bool = True
    ) -> tuple[np.ndarray | None, Gradients]:
        k, s, pad = self.kernel, self.stride, self.pad
        shape = (len(dy), *saved[1:])
        rows, columns, _ = self._grid(shape)
        dy = dy.reshape(*shape[:2], rows, columns, k, k, shape[-1])
        if k == s and not pad and shape[2:4] == (rows * k, columns * k):
            return dy.swapaxes(3, 4).reshape(shape), {}
        dx = np.zeros(shape, dy.dtype)
        for i in range(k):
            for j in range(k):
                at = np.s_[:, :, i : i + rows * s : s, j : j + columns * s : s]
                dx[at] += dy[:, :, :, :, i, j]
        return dx[:, :, pad : shape[2] - pad, pad : shape[3] - pad], {}

    def nudged_forward(
        self, p: Parameters, v: Parameters, saved: Any, rx: np.ndarray | None
    ) -> tuple[np.ndarray | None, Any]:
        return None if rx is None else self.forward(p, rx)[0], None

    def nudged_backward(
        self,
        p: Parameters,
        v: Parameters,
        saved: Any,
        nudged: Any,
        dy: np.ndarray,
        rdy: np.ndarray,
    ) -> tuple[np.ndarray, Gradients]:
        rdx, nothing = self.backward(p, saved, rdy)
        assert rdx is not None
        return rdx, nothing

    def _grid(self, padded: tuple[int, ...]) -> tuple[int, int, int]:
        height, width, channels = padded[2:]
        k, s = self.kernel, self.stride
        return (height - k) // s + 1, (width - k) // s + 1, k * k * channels


@dataclass(frozen=True)
class ReLU(Layer):
    """y = max(x, 0). Its own second derivative is 0 wherever it has one.

    >>> ReLU().forward({}, np.array([[[-1.0, 2.0]]]))[0].ravel().tolist()
    [0.0, 2.0]
    """

    def forward(self, p: Parameters, x: np.ndarray) -> tuple[np.ndarray, Any]:
        y = np.maximum(x, 0)
        return y, y

    def backward(
        self, p: Parameters, saved: Any, dy: np.ndarray, inputs: bool = True
    ) -> tuple[np.ndarray | None, Gradients]:
        return dy * (saved > 0), {}

    def nudged_forward(
        self, p: Parameters, v: Parameters, saved: Any, rx: np.ndarray | None
    ) -> tuple[np.ndarray | None, Any]:
        return None if rx is None else rx * (saved > 0), None

    def nudged_backward(
        self,
        p: Parameters,
        v: Parameters,
        saved: Any,
        nudged: Any,
        dy: np.ndarray,
        rdy: np.ndarray,
    ) -> tuple[np.ndarray, Gradients]:
        return rdy * (saved > 0), {}


@dataclass(frozen=True)
class Softplus(Layer):
    """y = ln(1 + eˣ): a smooth stand-in for ReLU, for checks by finite differences.

    >>> Softplus().forward({}, np.zeros((1, 1, 1)))[0].item().__round__(4)
    0.6931
    """

    def forward(self, p: Parameters, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return np.logaddexp(x, 0), 1 / (1 + np.exp(-x))

    def backward(
        self, p: Parameters, saved: Any, dy: np.ndarray, inputs: bool = True
    ) -> tuple[np.ndarray | None, Gradients]:
        return dy * saved, {}

    def nudged_forward(
        self, p: Parameters, v: Parameters, saved: Any, rx: np.ndarray | None
    ) -> tuple[np.ndarray | None, Any]:
        return None if rx is None else rx * saved, rx

    def nudged_backward(
        self,
        p: Parameters,
        v: Parameters,
        saved: Any,
        nudged: Any,
        dy: np.ndarray,
        rdy: np.ndarray,
    ) -> tuple[np.ndarray, Gradients]:
        bent = 0 if nudged is None else dy * saved * (1 - saved) * nudged
        return rdy * saved + bent, {}


@dataclass(frozen=True)
class Join(Layer):
    """Lay a sample's values in one row: ``(R, B, H, W, C)`` becomes ``(R, B, H·W·C)``.

    >>> Join().out((3, 3, 32))
    (288,)
    """

    def out(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (int(np.prod(shape)),)

    def forward(self, p: Parameters, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return x.reshape(*x.shape[:2], -1), x.shape

    def backward(
        self, p: Parameters, saved: Any, dy: np.ndarray, inputs: bool = True
    ) -> tuple[np.ndarray | None, Gradients]:
        return dy.reshape(len(dy), *saved[1:]), {}

    def nudged_forward(
        self, p: Parameters, v: Parameters, saved: Any, rx: np.ndarray | None
    ) -> tuple[np.ndarray | None, Any]:
        return None if rx is None else rx.reshape(*rx.shape[:2], -1), None

    def nudged_backward(
        self,
        p: Parameters,
        v: Parameters,
        saved: Any,
        nudged: Any,
        dy: np.ndarray,
        rdy: np.ndarray,
    ) -> tuple[np.ndarray, Gradients]:
        return rdy.reshape(len(rdy), *saved[1:]), {}


NormKind = Literal["batch", "layer", "group", "instance"]

# Over which axes of (R, B, H, W, groups, channels a group) a mean and variance are taken.
_AXES: dict[str, tuple[int, ...]] = {
    "layer": (2, 3, 4, 5),
    "group": (2, 3, 5),
    "instance": (2, 3),
}


@dataclass(frozen=True)
class Norm(Layer):
    """Normalize maps and give each channel a learned gain and offset: y = γ (x − μ)/√(σ² + ε) + β.

    ``kind`` says what shares its μ and σ²: "batch" a channel of all samples, "layer" a sample,
    "group" a group of channels of a sample, "instance" a channel of a sample; σ² is divided by the
    count. The weight-free definitions are :data:`normviz.methods.FEATURE_NORMS`.

    >>> x = np.array([1.0, 3.0]).reshape(1, 2, 1, 1, 1)
    >>> p = {"gamma": np.ones((1, 1)), "beta": np.zeros((1, 1))}
    >>> Norm("batch").forward(p, x)[0].ravel().round(4).tolist()
    [-1.0, 1.0]
    """

    kind: NormKind = "batch"
    groups: int = 4
    epsilon: float = 1e-5

    def shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {"gamma": (shape[-1],), "beta": (shape[-1],)}

    def start(self, name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return np.ones(shape) if name == "gamma" else np.zeros(shape)

    def forward(self, p: Parameters, x: np.ndarray) -> tuple[np.ndarray, Any]:
        grouped = self._grouped(x)
        mean = self._mean(grouped)
        centred = grouped - mean
        variance = self._mean(np.square(centred))
        inverse = 1 / np.sqrt(variance + self.epsilon)
        h = (centred * inverse).reshape(x.shape)
        return _wide(p["gamma"]) * h + _wide(p["beta"]), (h, inverse, mean, variance)

    def by_averages(self, p: Parameters, x: np.ndarray, averages: np.ndarray) -> np.ndarray:
        """Return y with remembered mean and variance, ``(R, 2, C)``: batch norm in use."""
        mean, variance = averages[:, 0], averages[:, 1]
        gain = p["gamma"] / np.sqrt(variance + self.epsilon)
        return _wide(gain) * (x - _wide(mean)) + _wide(p["beta"])

    def moments(self, saved: Any) -> np.ndarray:
        """Return the batch's mean and unbiased variance of each channel, ``(R, 2, C)``.

        Unbiased (n/(n − 1) times the batch's), as PyTorch puts it into its running averages.
        """
        h, _, mean, variance = saved
        count = h[0, ..., 0].size
        channels = h.shape[-1]
        pair = (mean.reshape(-1, channels), variance.reshape(-1, channels) * count / (count - 1))
        return np.stack(pair, axis=1)

    def backward(
        self, p: Parameters, saved: Any, dy: np.ndarray, inputs: bool = True
    ) -> tuple[np.ndarray | None, Gradients]:
        h, inverse, _, _ = saved
        gradients = {"gamma": _channel_sums(dy * h), "beta": _channel_sums(dy)}
        dh, h = self._grouped(dy * _wide(p["gamma"])), self._grouped(h)
        return (inverse * self._pulled(dh, h)[0]).reshape(dy.shape), gradients

    def nudged_forward(
        self, p: Parameters, v: Parameters, saved: Any, rx: np.ndarray | None
    ) -> tuple[np.ndarray | None, Any]:
        h, inverse, _, _ = saved
        ry = _wide(v["gamma"]) * h + _wide(v["beta"])
        if rx is None:
            return ry, (np.zeros_like(h), np.zeros_like(inverse))
        grouped, centred = self._grouped(h), self._grouped(rx)
        centred = centred - self._mean(centred)
        # R{1/√(σ² + ε)} = −(1/√(σ² + ε))² · mean(h · R{x − μ}).
        r_inverse = -(inverse**2) * self._mean(grouped * centred)
        rh = (centred * inverse + grouped * (r_inverse / inverse)).reshape(h.shape)
        return ry + _wide(p["gamma"]) * rh, (rh, r_inverse)

    def nudged_backward(
        self,
        p: Parameters,
        v: Parameters,
        saved: Any,
        nudged: Any,
        dy: np.ndarray,
        rdy: np.ndarray,
    ) -> tuple[np.ndarray, Gradients]:
        (h, inverse, _, _), (rh, r_inverse) = saved, nudged
        gradients = {"gamma": _channel_sums(rdy * h + dy * rh), "beta": _channel_sums(rdy)}
        dh = self._grouped(dy * _wide(p["gamma"]))
        rdh = self._grouped(rdy * _wide(p["gamma"]) + dy * _wide(v["gamma"]))
        h, rh = self._grouped(h), self._grouped(rh)
        pulled, share = self._pulled(dh, h)
        r_share = self._mean(rdh * h + dh * rh)
        r_pulled = rdh - self._mean(rdh) - rh * share - h * r_share
        return (r_inverse * pulled + inverse * r_pulled).reshape(dy.shape), gradients

    def _pulled(self, dh: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dh − mean(dh) − h · mean(dh · h): what a shared mean and std leave of a gradient."""
        share = self._mean(dh * h)
        return dh - self._mean(dh) - h * share, share

    def _mean(self, grouped: np.ndarray) -> np.ndarray:
        if self.kind == "batch":
            rows = grouped.reshape(len(grouped), -1, grouped.shape[-1])
            return (_totals(rows) / rows.shape[1]).reshape(len(rows), 1, 1, 1, 1, -1)
        return grouped.mean(axis=_AXES[self.kind], keepdims=True)

    def _grouped(self, x: np.ndarray) -> np.ndarray:
        groups = self.groups if self.kind == "group" else 1
        return x.reshape(*x.shape[:4], groups, -1)


def _wide(parameter: np.ndarray) -> np.ndarray:
    """``(R, C)`` against maps ``(R, B, H, W, C)``."""
    return parameter[:, np.newaxis, np.newaxis, np.newaxis]


def _channel_sums(maps: np.ndarray) -> np.ndarray:
    return _totals(_rows(maps))
