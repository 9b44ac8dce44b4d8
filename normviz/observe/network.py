"""What a whole network feels: every layer's activations on images, folded into statistics."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np

from normviz.errors import ParameterError
from normviz.networks.network import Network
from normviz.observe.recorder import PERCENTILES, Closer, LayerRecord, Recorder

CHUNK = 8
"""So many images go through a network in one piece of work, one after the other."""

TOP = 5

T = TypeVar("T")


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

    ``predictions`` holds one entry an image, none where the output is no row of classes. So many
    images were ``looked`` at again for closer percentiles; ``done`` once they all were.
    """

    name: str
    images: int
    layers: tuple[LayerRecord, ...]
    predictions: tuple[Prediction, ...]
    looked: int = 0
    done: bool = False

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
    """Run every feed through the network twice; yield each feed's record, whenever it grows.

    The first images of all feeds come before their next ones. Then each feed is looked at again,
    which makes the percentiles of its layers close; its record is ``done`` after that. Nothing but
    the statistics is kept; the result does not depend on ``workers`` (threads, by default one a
    core, at most 4). Closed before its end, it stops after the images under way.

    Raises :class:`ParameterError` for two feeds of one name, and what the feeds and
    :meth:`Network.run` raise.
    """
    taps = tuple(dict.fromkeys([*(layer.tap for layer in network.layers), network.output]))
    if len({feed.name for feed in feeds}) < len(feeds):
        raise ParameterError("Two feeds have one name; give each its own.")
    first = (
        partial(_chunk, network, taps, feed, start)
        for start in range(0, max((feed.count for feed in feeds), default=0), CHUNK)
        for feed in feeds
        if start < feed.count
    )
    so_far: dict[str, NetworkRecord] = {}
    workers = workers or min(4, os.cpu_count() or 1)
    stopped = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for found in _in_order(pool, first, 2 * workers, stopped):
                before = so_far.get(found.name)
                so_far[found.name] = found if before is None else before.merge(found)
                yield so_far[found.name]
            again = (
                partial(_look, network, taps, feed, start, so_far[feed.name])
                for feed in feeds
                for start in range(0, feed.count, CHUNK)
            )
            closer: list[Closer] = []
            for name, images, looks in _in_order(pool, again, 2 * workers, stopped):
                record = so_far[name]
                if not record.looked:
                    closer = looks
                else:
                    for one, other in zip(closer, looks, strict=True):
                        one.merge(other)
                looked = record.looked + images
                record = so_far[name] = replace(record, looked=looked)
                if looked == record.images:
                    layers = tuple(one.record() for one in closer)
                    record = so_far[name] = replace(record, layers=layers, done=True)
                yield record
        finally:
            stopped.set()


def _in_order(
    pool: ThreadPoolExecutor,
    work: Iterator[Callable[[threading.Event], T]],
    ahead: int,
    stopped: threading.Event,
) -> Iterator[T]:
    """Yield what each piece of work gives, in its order, with so many begun ``ahead``."""
    # What nobody has taken yet costs memory: no more are begun than these.
    waiting = deque(pool.submit(one, stopped) for one in islice(work, ahead))
    try:
        while waiting:
            found = waiting.popleft().result()
            waiting.extend(pool.submit(one, stopped) for one in islice(work, 1))
            yield found
    finally:
        for future in waiting:
            future.cancel()


def _outputs(
    network: Network, taps: Sequence[str], feed: Feed, start: int, stopped: threading.Event
) -> Iterator[dict[str, np.ndarray]]:
    """Yield what each image from ``start`` on gives, as far as one piece of work goes."""
    for index in range(start, min(start + CHUNK, feed.count)):
        if stopped.is_set():
            raise CancelledError
        yield network.run(feed.image(index)[np.newaxis], taps)


def _chunk(
    network: Network, taps: Sequence[str], feed: Feed, start: int, stopped: threading.Event
) -> NetworkRecord:
    recorders = [Recorder(layer.axis, layer.saturation) for layer in network.layers]
    predictions: list[Prediction] = []
    images = 0
    for found in _outputs(network, taps, feed, start, stopped):
        for layer, recorder in zip(network.layers, recorders, strict=True):
            recorder.add(found[layer.tap])
        predictions.extend(predictions_of(found[network.output]))
        images += 1
    layers = tuple(recorder.record() for recorder in recorders)
    return NetworkRecord(feed.name, images, layers, tuple(predictions))


def _look(
    network: Network,
    taps: Sequence[str],
    feed: Feed,
    start: int,
    record: NetworkRecord,
    stopped: threading.Event,
) -> tuple[str, int, list[Closer]]:
    looks = [Closer(layer) for layer in record.layers]
    images = 0
    for found in _outputs(network, taps, feed, start, stopped):
        for layer, look in zip(network.layers, looks, strict=True):
            look.add(found[layer.tap])
        images += 1
    return feed.name, images, looks


@dataclass(frozen=True, eq=False)
class ChannelRecord:
    """One channel's own record and its exact :data:`PERCENTILES`."""

    record: LayerRecord
    percentiles: np.ndarray


def record_channel(network: Network, at: int, channel: int, feed: Feed) -> ChannelRecord:
    """Run a feed up to layer ``at`` and record one channel of it, whose values are all kept."""
    layer = network.layers[at]
    kept = []
    for index in range(feed.count):
        values = network.run(feed.image(index)[np.newaxis], [layer.tap])[layer.tap]
        kept.append(np.moveaxis(values, layer.axis, 1)[:, channel].reshape(1, 1, -1).copy())
    one = np.concatenate(kept, axis=2)
    return ChannelRecord(
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
