"""Run a visitor's model once, apart, before it is run here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from normviz.networks.apart import apart
from normviz.networks.network import Network
from normviz.networks.onnx_file import open_onnx
from normviz.read.limits import Limits


def tried(
    source: bytes | Path,
    name: str,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    limits: Limits | None = None,
) -> None:
    """Open the model in a process of its own and run one image through it, every layer tapped.

    What a network without loops costs does not depend on what it sees: one that passes may be run
    in this process.

    Raises :class:`LimitError` for more memory or time than the limits allow, :class:`ReadError`
    where it cannot be opened or run.
    """
    for _ in apart(_once, source, name, layout, size, limits, name=name, limits=limits):
        pass


def _once(
    source: bytes | Path,
    name: str,
    layout: str | None,
    size: tuple[int, int] | None,
    limits: Limits | None,
) -> Iterator[int]:
    """Yield how many tensors one image gave."""
    network = Network(open_onnx(source, name, limits), name, layout, size)
    entry = network.input
    image = np.random.default_rng(0).random((1, entry.height, entry.width, 3), np.float32)
    found = network.run(image, [*(layer.tap for layer in network.layers), network.output])
    yield len(found)
