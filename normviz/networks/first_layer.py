"""First convolution layers: one trained on ImageNet, and random ones to compare it with.

What a network's first neurons receive is where a normalization is felt first. A layer here is only
its filters; it is applied with NumPy, as networks do, without a network library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from normviz.errors import ParameterError, ShapeError
from normviz.images import resized
from normviz.methods.running import RunningAverages

VIEW_SIDE = 224
"""The shorter side that :func:`network_view` reduces to: what ImageNet networks are fed."""

_MOBILENET_FILE = Path(__file__).with_name("mobilenet_v2_first_layer.npz")


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """Filters ``weights`` (F, 3, k, k) and ``bias`` (F,), float32, k odd, moved by ``stride``.

    Outside of the image lie k // 2 pixels of zeros on each side. ``saturation`` is where the
    activation after it stops growing (6 for ReLU6), None where it never does.

    Raises :class:`ShapeError` for arrays of another shape.
    """

    name: str
    title: str
    weights: np.ndarray
    bias: np.ndarray
    stride: int
    source: str
    licence: str
    saturation: float | None = None

    def __post_init__(self) -> None:
        shape = self.weights.shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or shape[2] % 2 == 0:
            raise ShapeError(
                f"{self.name}: expected filters (F, 3, k, k) with odd k, got shape {shape}."
            )
        if self.bias.shape != shape[:1]:
            raise ShapeError(
                f"{self.name}: expected one bias for each of {shape[0]} filters, "
                f"got shape {self.bias.shape}."
            )
        for array in (self.weights, self.bias):
            array.flags.writeable = False

    @property
    def filters(self) -> int:
        return int(self.weights.shape[0])

    @property
    def kernel(self) -> int:
        return int(self.weights.shape[2])


@cache
def mobilenet_v2() -> FirstLayer:
    """Return the first layer of MobileNetV2 as trained on ImageNet: 32 filters 3×3, stride 2.

    The batch normalization that follows the convolution is folded in, so that pre-activations are
    what ReLU6 receives: w' = w·γ/√(σ² + ε), b' = β − μ·γ/√(σ² + ε) with the trained γ, β and the
    running mean μ and variance σ². It was trained on inputs under ImageNet's constants.

    >>> mobilenet_v2().weights.shape
    (32, 3, 3, 3)
    """
    part = _mobilenet_parts()
    scale = part["gamma"] / np.sqrt(part["variance"] + part["epsilon"])
    return FirstLayer(
        name="mobilenet_v2",
        title="MobileNetV2, trained on ImageNet",
        weights=(part["weights"] * scale[:, None, None, None]).astype(np.float32),
        bias=(part["beta"] - part["mean"] * scale).astype(np.float32),
        stride=2,
        source="torchvision mobilenet_v2-b0353104, batch normalization folded in",
        licence="BSD-3-Clause",
        saturation=6.0,
    )


@cache
def mobilenet_v2_convolution() -> tuple[FirstLayer, RunningAverages]:
    """Return the same first layer before its batch normalization, and what that remembers.

    The convolution alone (bias 0), and the running mean and variance of its 32 channels as they
    were after training on ImageNet under ImageNet's constants.

    >>> layer, averages = mobilenet_v2_convolution()
    >>> layer.weights.shape, averages.mean.shape
    ((32, 3, 3, 3), (32,))
    """
    part = _mobilenet_parts()
    layer = FirstLayer(
        name="mobilenet_v2_convolution",
        title="MobileNetV2's first convolution, trained on ImageNet",
        weights=part["weights"].astype(np.float32),
        bias=np.zeros(len(part["weights"]), np.float32),
        stride=2,
        source="torchvision mobilenet_v2-b0353104",
        licence="BSD-3-Clause",
    )
    return layer, RunningAverages(part["mean"], part["variance"])


def _mobilenet_parts() -> dict[str, np.ndarray]:
    with np.load(_MOBILENET_FILE, allow_pickle=False) as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}


def he_initialised(seed: int, filters: int = 32, kernel: int = 3, stride: int = 2) -> FirstLayer:
    """Return random filters as before training: w ~ N(0, 2/(3 k²)), bias 0.

    ``kernel`` k is odd. The same seed gives the same filters.
    Source: K. He et al., Delving Deep into Rectifiers, ICCV 2015, equation 10.

    Raises :class:`ParameterError` for a seed below 0, no filters, an even kernel or no stride.

    >>> he_initialised(seed=1, filters=4).weights.shape
    (4, 3, 3, 3)
    """
    if seed < 0 or filters < 1 or kernel < 1 or kernel % 2 == 0 or stride < 1:
        raise ParameterError(
            "He-initialised filters need a seed from 0, at least 1 filter, an odd kernel and a "
            f"stride from 1; got seed {seed}, {filters} filters, kernel {kernel}, stride {stride}."
        )
    std = np.sqrt(2.0 / (3 * kernel * kernel))
    weights = np.random.default_rng(seed).normal(0.0, std, (filters, 3, kernel, kernel))
    return FirstLayer(
        name=f"he_{seed}",
        title=f"He-initialised, seed {seed}",
        weights=weights.astype(np.float32),
        bias=np.zeros(filters, np.float32),
        stride=stride,
        source="He et al., ICCV 2015",
        licence="",
    )


def network_view(pixels: np.ndarray) -> np.ndarray:
    """Return pixels (H, W, C) reduced so that the shorter side is 224, the type kept.

    Area average, aspect ratio kept; smaller images stay as they are. Networks are fed images of
    about this size, reduced before they are normalized.

    >>> network_view(np.zeros((448, 600, 3), np.uint8)).shape
    (224, 300, 3)
    """
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    if shorter <= VIEW_SIDE:
        return pixels
    return resized(pixels, round(height * VIEW_SIDE / shorter), round(width * VIEW_SIDE / shorter))


def pre_activations(layer: FirstLayer, z: np.ndarray) -> np.ndarray:
    """Return what the layer's neurons receive before ReLU: ``(h, w, F)`` float32.

    a[i, j, f] = bias[f] + Σ weights[f, c, di, dj] · z[i·s + di − k//2, j·s + dj − k//2, c] with
    zeros outside of the image and s the stride: the cross-correlation that networks call
    convolution; h = ⌈H / s⌉, w = ⌈W / s⌉. ``z`` is a normalized image (H, W, C); one channel is
    repeated into three.

    Raises :class:`ShapeError` for another shape.

    >>> pre_activations(he_initialised(0), np.zeros((5, 8, 3), np.float32)).shape
    (3, 4, 32)
    """
    return pre_activations_of([layer], z)[0]


def pre_activations_of(layers: Sequence[FirstLayer], z: np.ndarray) -> list[np.ndarray]:
    """Return :func:`pre_activations` of several layers; those of one geometry share their work.

    >>> layers = [he_initialised(0), mobilenet_v2()]
    >>> [a.shape for a in pre_activations_of(layers, np.zeros((4, 4, 1), np.float32))]
    [(2, 2, 32), (2, 2, 32)]
    """
    if z.ndim != 3 or z.shape[2] not in (1, 3) or 0 in z.shape:
        raise ShapeError(
            f"A first layer takes a normalized image (H, W, 1 or 3); got shape {z.shape}."
        )
    patches: dict[tuple[int, int], np.ndarray] = {}
    results = []
    for layer in layers:
        geometry = (layer.kernel, layer.stride)
        if geometry not in patches:
            patches[geometry] = _patches(z, *geometry)
        matrix = patches[geometry]
        # (F, 3, k, k) to (k·k·3, F), the order in which a patch lies in a row of the matrix.
        weights = layer.weights.transpose(2, 3, 1, 0).reshape(-1, layer.filters)
        flat = matrix.reshape(-1, matrix.shape[2]) @ weights
        flat += layer.bias
        results.append(flat.reshape(*matrix.shape[:2], layer.filters))
    return results


def _patches(z: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """The k×k×3 neighbourhood of each output position as a row: ``(h, w, k·k·3)`` float32."""
    height, width, _ = z.shape
    margin = kernel // 2
    padded = np.zeros((height + 2 * margin, width + 2 * margin, 3), np.float32)
    padded[margin : margin + height, margin : margin + width] = z
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(0, 1))
    windows = windows[::stride, ::stride].transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(windows).reshape(*windows.shape[:2], kernel * kernel * 3)
