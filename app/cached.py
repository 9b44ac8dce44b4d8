"""The only place that caches: one store bounded in bytes, keyed by content and specification.

Streamlit's own cache hashes a sample of large arrays and copies what it returns, so keys here are
our digests and values are read-only arrays that nobody copies.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from cachetools import LRUCache
from PIL import Image as PillowImage
from threadpoolctl import threadpool_limits

from normviz.display import to_bytes
from normviz.export import small_webp
from normviz.images import Image, image_of, reduced
from normviz.light import Light, level_table, relight
from normviz.methods import Fitted, Method
from normviz.methods.kernels import affine, looked_up
from normviz.networks import FirstLayer, Network, centre_view, network_view, pre_activations
from normviz.observe.activations import ActivationRange, DayNight, activation_range, day_night
from normviz.observe.network import (
    ChannelRecord,
    Feed,
    NetworkRecord,
    record_channel,
    record_network,
)
from normviz.observe.ranges import Ranges, observe, ranges_of_pixels
from normviz.read.limits import Limits
from normviz.statistics import ImageStatistics, image_statistics

T = TypeVar("T")

# The matrices here are small: a second BLAS thread made a busy server three times slower.
threadpool_limits(1, "blas")

# The side of the square on which mean images are kept: the input size of CaffeNet and VGG.
MEAN_IMAGE_SIDE = 224

# The longer side, in px, of the copies that networks' inputs are cut from.
NETWORK_COPY = 512

# Beyond this many pixels, methods that are no gain and bias a channel are first measured on the
# shown copy; every pixel is measured in the background.
PIXELS_AT_ONCE = 1_500_000

# Up to this many pixels the background measures them all; local methods hold several float copies.
PIXELS_IN_FULL = 16_000_000


def bytes_of(value: Any) -> int:
    """Return roughly how many bytes a cached value holds."""
    if isinstance(value, np.ndarray):
        return value.nbytes + 200
    if isinstance(value, bytes):
        return len(value) + 100
    if isinstance(value, Image):
        return value.pixels.nbytes + 1000
    if isinstance(value, (list, tuple)):
        return sum(map(bytes_of, value)) + 100
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values())) + 200
    if hasattr(value, "__dict__"):
        return bytes_of(dict(vars(value))) + 200
    return 100


_STORE: LRUCache = LRUCache(Limits.from_environment().max_memory_bytes, getsizeof=bytes_of)
_LOCK = threading.RLock()
_BUILDING: dict[tuple, Future] = {}
_POOL = ThreadPoolExecutor(2)
_BACKGROUND = ThreadPoolExecutor(1)


def together(tasks: Sequence[Callable[[], Any]]) -> None:
    """Run tasks whose results :func:`remembered` keeps, two at a time; errors stay unseen here.

    Whoever asks for such a result afterwards gets it, or the error.
    """
    wait([_POOL.submit(task) for task in tasks])


def ahead(tasks: Sequence[Callable[[], Any]]) -> None:
    """Begin tasks whose results :func:`remembered` keeps, while the caller goes on."""
    for task in tasks:
        _POOL.submit(task)


def remembered(key: tuple, build: Callable[[], T]) -> T:
    """Return what is stored under ``key``, else build and store it (unless it is too large).

    Whoever asks while it is being built waits for that result.
    """
    with _LOCK:
        if key in _STORE:
            return _STORE[key]
        pending = _BUILDING.get(key)
        mine = pending is None
        if mine:
            pending = _BUILDING[key] = Future()
    if not mine:
        return pending.result()
    try:
        value = build()
    except BaseException as error:
        with _LOCK:
            del _BUILDING[key]
        pending.set_exception(error)
        raise
    with _LOCK:
        # A single value over the whole budget is used once and not kept.
        if bytes_of(value) <= _STORE.maxsize:
            _STORE[key] = value
        del _BUILDING[key]
    pending.set_result(value)
    return value


def later(task: Callable[..., Any], *arguments: Any) -> Future:
    """Run a task in the background, one at a time; a task that has not begun can be cancelled."""
    return _BACKGROUND.submit(task, *arguments)


def known(key: tuple) -> Any | None:
    """Return what is stored under ``key``, or None."""
    with _LOCK:
        return _STORE.get(key)


def name_of(fitted: Fitted) -> str:
    """A digest of a fitted method: its parameters and every constant."""
    state = blake2b(repr(fitted.method).encode(), digest_size=16)
    for name, value in sorted(fitted.constants.items()):
        state.update(name.encode())
        state.update(np.ascontiguousarray(value).data)
    return state.hexdigest()


def fit(method: Method, numbers_key: str, numbers: Callable[[], Any]) -> Fitted:
    return remembered(("fit", method, numbers_key), lambda: method.fit(numbers()))


def shown_copy(image: Image, longest: int) -> Image:
    return remembered(("copy", image.digest, longest), lambda: reduced(image, longest))


def encoded(image: Image) -> bytes:
    """The 8-bit image as lossless WebP (colour) or PNG (grey), for the viewer."""
    return remembered(("encoded", image.digest), lambda: _encode(image))


def _encode(image: Image) -> bytes:
    stream = io.BytesIO()
    if image.channels == 1:
        picture = PillowImage.fromarray(image.pixels[:, :, 0])
        picture.save(stream, "PNG", compress_level=6)
    else:
        picture = PillowImage.fromarray(image.pixels)
        picture.save(stream, "WEBP", lossless=True, quality=50, method=2, exact=True)
    return stream.getvalue()


def thumbnail(image: Image, longest: int) -> bytes:
    """A small WebP of the image as it is: black and white are the ends of its value range."""
    return remembered(("small", image.digest, longest), lambda: _small(image, longest))


def _small(image: Image, longest: int) -> bytes:
    copy = reduced(image, longest)
    return small_webp(
        copy.pixels if copy.levels == 256 else to_bytes(copy.pixels, copy.value_range)
    )


def statistics_of(image: Image) -> ImageStatistics:
    return remembered(("statistics", image.digest), lambda: image_statistics(image))


def lit(image: Image, light: Light) -> Image:
    """The image under another light, every pixel."""
    if light.neutral:
        return image
    return remembered(("lit", image.digest, light), lambda: relight(image, light))


def lit_statistics(image: Image, light: Light) -> ImageStatistics:
    """The statistics of every pixel under a light; without noise they follow from the counts."""
    if light.neutral:
        return statistics_of(image)
    if light.noise or image.levels is None:
        return statistics_of(lit(image, light))
    levels, channels = image.levels, image.channels
    return remembered(
        ("lit statistics", image.digest, light),
        lambda: statistics_of(image).mapped(level_table(light, levels, channels)),
    )


def lit_copy(image: Image, light: Light, longest: int) -> Image:
    """The shown copy under a light; noise is drawn at full size, before reducing."""
    if light.noise:
        return shown_copy(lit(image, light), longest)
    return lit(shown_copy(image, longest), light)


def normalized_copy(image: Image, light: Light, longest: int, fitted: Fitted) -> np.ndarray:
    """The normalized shown copy (float32), with the numbers of the image at full size."""
    key = ("values", image.digest, light, longest, name_of(fitted))
    return remembered(key, lambda: _normalize_copy(image, light, longest, fitted))


def _normalize_copy(image: Image, light: Light, longest: int, fitted: Fitted) -> np.ndarray:
    return _normalized(lit_copy(image, light, longest), image, light, fitted)


def _normalized(copy: Image, image: Image, light: Light, fitted: Fitted) -> np.ndarray:
    """A lit copy of the image, normalized with the numbers of the image at full size."""
    numbers = lit_statistics(image, light)
    pair = fitted.affine(numbers)
    if pair is not None:
        return affine(copy.pixels, pair.gain, pair.bias)
    table = fitted.table(numbers)
    if table is not None:
        return looked_up(copy.pixels, table)
    return fitted(copy.pixels, copy.value_range)


def _ranges_key(image: Image, light: Light, fitted: Fitted) -> tuple:
    return ("ranges", image.digest, light, name_of(fitted))


def ranges(image: Image, light: Light, longest: int, fitted: Fitted) -> Ranges:
    """Ranges of every pixel; of the shown copy where every pixel would take too long for now."""
    exact = known(_ranges_key(image, light, fitted))
    if exact is not None:
        return exact
    numbers = lit_statistics(image, light)
    large = image.height * image.width > PIXELS_AT_ONCE
    if large and fitted.affine(numbers) is None and fitted.table(numbers) is None:
        key = ("copy ranges", image.digest, light, longest, name_of(fitted))
        values = normalized_copy(image, light, longest, fitted)
        return remembered(key, lambda: ranges_of_pixels(values, exact=False))
    return exact_ranges(image, light, longest, fitted)


def exact_ranges(image: Image, light: Light, longest: int, fitted: Fitted) -> Ranges:
    """Ranges of every pixel, however long it takes."""

    def build() -> Ranges:
        numbers = lit_statistics(image, light)
        if fitted.affine(numbers) is not None or fitted.table(numbers) is not None:
            return observe(image, numbers, fitted)
        if max(image.height, image.width) <= longest:
            return ranges_of_pixels(normalized_copy(image, light, longest, fitted), exact=True)
        return observe(lit(image, light), numbers, fitted)

    return remembered(_ranges_key(image, light, fitted), build)


def _pre_activations(
    image: Image, light: Light, longest: int, fitted: Fitted, layer: FirstLayer
) -> np.ndarray:
    copy = lit_copy(image, light, longest)
    small = image_of(network_view(copy.pixels), copy.value_range)
    return pre_activations(layer, _normalized(small, image, light, fitted))


def fed(image: Image, light: Light, fitted: Fitted, height: int, width: int) -> np.ndarray:
    """The middle of the image as a network is fed it, ``(height, width, C)`` float32.

    Reduced before it is normalized, with the numbers of the image at full size.
    """
    copy = lit_copy(image, light, max(NETWORK_COPY, height, width))
    return _normalized(
        image_of(centre_view(copy.pixels, height, width), copy.value_range), image, light, fitted
    )


def activations(
    image: Image, light: Light, longest: int, fitted: Fitted, layer: FirstLayer
) -> tuple[np.ndarray, ActivationRange]:
    """Pre-activations of the first layer on the image's network copy, and their range."""

    def build() -> tuple[np.ndarray, ActivationRange]:
        values = _pre_activations(image, light, longest, fitted, layer)
        return values, activation_range(values)

    key = ("activations", image.digest, light, longest, name_of(fitted), layer.name)
    return remembered(key, build)


def compared(
    day: tuple[Image, Light],
    night: tuple[Image, Light],
    longest: int,
    fitted: Fitted,
    layer: FirstLayer,
) -> DayNight:
    """How the first layer's pre-activations differ between two pictures of one scene."""
    key = ("day and night", day[0].digest, day[1], night[0].digest, night[1], longest)

    def build() -> DayNight:
        pre_day, day_range = activations(*day, longest, fitted, layer)
        pre_night = _pre_activations(*night, longest, fitted, layer)
        return day_night(pre_day, pre_night, day=day_range)

    return remembered((*key, name_of(fitted), layer.name), build)


def network_record(key: tuple, feed: Feed) -> NetworkRecord | None:
    """The finished record of a feed, where it is known."""
    return known(("network", key, feed.name, feed.count))


def recorded(
    network: Network, key: tuple, feeds: Sequence[Feed]
) -> Iterator[dict[str, NetworkRecord]]:
    """Yield what is known of every feed, by its name, whenever more is; ends with all of it.

    Finished records are kept under ``key`` and the feed's name.
    """
    found = {feed.name: network_record(key, feed) for feed in feeds}
    so_far = {name: record for name, record in found.items() if record is not None}
    missing = [feed for feed in feeds if found[feed.name] is None]
    if not missing:
        yield so_far
    for record in record_network(network, missing):
        if record.done:
            remembered(("network", key, record.name, record.images), lambda done=record: done)
        so_far[record.name] = record
        yield so_far


def channel_record(
    network: Network, key: tuple, at: int, channel: int, feed: Feed
) -> ChannelRecord:
    """One channel's own record under a feed, with exact percentiles."""
    return remembered(
        ("channel", key, feed.name, feed.count, at, channel),
        lambda: record_channel(network, at, channel, feed),
    )
