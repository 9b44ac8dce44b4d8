"""What a whole network feels: every layer's activations on images, folded into statistics."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from normviz.errors import ParameterError
from normviz.networks.network import Network
from normviz.observe.recorder import PERCENTILES, LayerRecord, Narrowed, Recorder

CHUNK = 8
"""So many images go through a network in one piece of work, one after the other."""

TOP = 5


@dataclass(frozen=True)
class Feed:
    """Images as a network is fed them: ``image(i)`` is the i-th, normalized ``(H, W, C)``."""

    name: str
    count: int
    image: Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one image: ``classes`` by falling ``probabilities``, at most 5.

    ``entropy`` is that of all its probabilities, in bits.
    """

    classes: tuple[int, ...]
    probabilities: tuple[float, ...]
    entropy: float


@dataclass(frozen=True, eq=False)
class NetworkRecord:
    """The activations of one feed's first ``images`` images, one record a layer.

    ``predictions`` holds one entry an image, none where the output is no row of classes.
    """

    name: str
    images: int
    layers: tuple[LayerRecord, ...]
    predictions: tuple[Prediction, ...]

    def merge(self, other: NetworkRecord) -> NetworkRecord:
        """Return the record of both, ``other``'s images after these."""
        return NetworkRecord(
            self.name,
            self.images + other.images,
            tuple(a.merge(b) for a, b in zip(self.layers, other.layers, strict=True)),
            self.predictions + other.predictions,
        )


def record_network(
    network: Network, feeds: Sequence[Feed], workers: int | None = None
) -> Iterator[NetworkRecord]:
    """Run every feed through the network; yield each feed's record so far, whenever it grows.

    The first images of all feeds come before their next ones. Nothing but the statistics is kept;
    the result does not depend on ``workers`` (threads, by default one a core, at most 4).
    Closed before its end, it stops after the images under way.

    Raises :class:`ParameterError` for two feeds of one name, and what the feeds and
    :meth:`Network.run` raise.
    """
    taps = tuple(dict.fromkeys([*(layer.tap for layer in network.layers), network.output]))
    if len({feed.name for feed in feeds}) < len(feeds):
        raise ParameterError("Two feeds have one name; give each its own.")
    work = (
        (feed, start)
        for start in range(0, max((feed.count for feed in feeds), default=0), CHUNK)
        for feed in feeds
        if start < feed.count
    )
    so_far: dict[str, NetworkRecord] = {}
    workers = workers or min(4, os.cpu_count() or 1)
    stopped = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        # Records that nobody has taken yet cost memory: no more are begun than these.
        ahead = islice(work, 2 * workers)
        waiting = deque(
            pool.submit(_chunk, network, taps, feed, start, stopped) for feed, start in ahead
        )
        try:
            while waiting:
                found = waiting.popleft().result()
                for feed, start in islice(work, 1):
                    waiting.append(pool.submit(_chunk, network, taps, feed, start, stopped))
                before = so_far.get(found.name)
                so_far[found.name] = found if before is None else before.merge(found)
                yield so_far[found.name]
        finally:
            stopped.set()
            for future in waiting:
                future.cancel()


def _chunk(
    network: Network, taps: Sequence[str], feed: Feed, start: int, stopped: threading.Event
) -> NetworkRecord:
    recorders = [Recorder(layer.axis, layer.saturation) for layer in network.layers]
    predictions: list[Prediction] = []
    stop = min(start + CHUNK, feed.count)
    for index in range(start, stop):
        if stopped.is_set():
            raise CancelledError
        found = network.run(feed.image(index)[np.newaxis], taps)
        for layer, recorder in zip(network.layers, recorders, strict=True):
            recorder.add(found[layer.tap])
        predictions.extend(predictions_of(found[network.output]))
    layers = tuple(recorder.record() for recorder in recorders)
    return NetworkRecord(feed.name, stop - start, layers, tuple(predictions))


@dataclass(frozen=True, eq=False)
class SecondLook:
    """What a second look at one layer tells: exact percentiles, and one channel's own record.

    ``percentiles`` are those of the layer, ``channel_percentiles`` of the channel, both at
    :data:`PERCENTILES`; ``channel`` records the channel alone.
    """

    percentiles: np.ndarray
    channel: LayerRecord
    channel_percentiles: np.ndarray


def look_again(
    network: Network, at: int, channel: int, feed: Feed, record: NetworkRecord
) -> SecondLook:
    """Run a feed once more, up to layer ``at``: exact percentiles of it and of ``channel``.

    ``record`` is the finished one of the same feed. The values of one channel are kept until the
    end, so that their percentiles are exact; of the others only those around the percentiles.
    """
    layer, known = network.layers[at], record.layers[at]
    narrowed = Narrowed.around(known)
    kept = []
    for index in range(feed.count):
        values = network.run(feed.image(index)[np.newaxis], [layer.tap])[layer.tap]
        narrowed = narrowed.look(values)
        kept.append(np.moveaxis(values, layer.axis, 1)[:, channel].reshape(1, 1, -1).copy())
    one = np.concatenate(kept, axis=2)
    return SecondLook(
        narrowed.percentiles(known.units * known.channels),
        LayerRecord.of(one, saturation=layer.saturation),
        np.percentile(one.astype(np.float64), PERCENTILES),
    )


def predictions_of(output: object) -> list[Prediction]:
    """Read predictions from a classifier's output ``(N, classes)``: logits or probabilities.

    Rows that are no shares of 1 are taken for logits, of which softmax makes them. Axes of length 1
    behind the classes are left out; any other shape or type gives no predictions. Where a number is
    NaN or infinite there are no shares: probabilities and entropy are NaN.

    >>> found = predictions_of(np.array([[0.0, np.log(3.0)]], np.float32))
    >>> found[0].classes, [round(p, 2) for p in found[0].probabilities], round(found[0].entropy, 3)
    ((1, 0), [0.75, 0.25], 0.811)
    """
    if not isinstance(output, np.ndarray) or output.dtype.kind not in "fiu":
        return []  # Classifiers of ai.onnx.ml may give words, or a table for each image.
    if output.ndim > 2 and all(side == 1 for side in output.shape[2:]):
        output = output.reshape(output.shape[:2])
    if output.ndim != 2 or output.shape[1] < 2:
        return []
    found = []
    for row in probabilities(output):
        order = np.argsort(-row, kind="stable")[:TOP]
        some = row[row != 0]
        found.append(
            Prediction(
                tuple(order.tolist()),
                tuple(row[order].tolist()),
                float(-(some * np.log2(some)).sum()),
            )
        )
    return found


def probabilities(output: np.ndarray) -> np.ndarray:
    """The output as shares of 1 ``(N, classes)`` float64: itself, or its softmax."""
    values = output.astype(np.float64)
    if (values >= 0).all() and np.allclose(values.sum(axis=1), 1.0, atol=1e-3):
        return values
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        values = values - values.max(axis=1, keepdims=True)
    raised = np.exp(values)
    return raised / raised.sum(axis=1, keepdims=True)
