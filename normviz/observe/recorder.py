"""Fold activations into statistics that merge: nothing of a batch is kept but its numbers.

Count, range, mean, std and the shares of units that fire or saturate are exact for each channel.
Percentiles of a whole layer come from counts of float32 values by their upper 16 bits: each is
known to within 1/128 of itself, whatever the order, split and number of the images; a second look
at the same values makes that 1/131,072 (:class:`Closer`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import cv2
import numpy as np

from normviz.errors import ShapeError

PERCENTILES = (0.1, 1.0, 25.0, 50.0, 75.0, 99.0, 99.9)

RELATIVE = 2.0**-7
"""Two float32 of the same upper 16 bits differ by at most this share of either."""

CLOSE = 2.0**-17
"""The same for the upper 26 bits, by which the second look counts."""


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """What a layer's activations were, over every image so far.

    Arrays have one entry a channel: ``low``, ``high``, ``mean``, ``m2`` = Σ(x − mean)² in float64,
    ``firing`` and ``saturated`` counts of units > 0 and ≥ the saturation bound (None where there is
    none). ``units`` counts the units of one channel. ``keys`` and ``counts`` are the layer's values
    by :func:`key_of`, in rising order. ``overflown`` counts NaN and infinities, of which the other
    numbers then speak too. ``close`` are the layer's :data:`PERCENTILES` after a second look.
    """

    units: int
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    firing: np.ndarray
    saturated: np.ndarray | None
    keys: np.ndarray
    counts: np.ndarray
    overflown: int = 0
    close: np.ndarray | None = None

    @classmethod
    def of(cls, values: np.ndarray, axis: int = 1, saturation: float | None = None) -> LayerRecord:
        """Record one batch ``(N, …)`` of float activations with channels on ``axis``.

        Raises :class:`ShapeError` for no values.

        >>> record = LayerRecord.of(np.array([[[-1.0, 1.0]], [[3.0, 5.0]]]), saturation=4.0)
        >>> record.units, record.mean, record.std, record.firing, record.saturated
        (4, array([2.]), array([2.23606798]), array([3]), array([1]))
        """
        recorder = Recorder(axis, saturation)
        recorder.add(values)
        return recorder.record()

    def merge(self, other: LayerRecord) -> LayerRecord:
        """Return the record of both batches (Chan, Golub, LeVeque 1983 for mean and m2)."""
        n = self.units + other.units
        with np.errstate(over="ignore", invalid="ignore"):
            mean, m2 = _chan(self.units, self.mean, self.m2, other.units, other.mean, other.m2)
        keys, counts = _merged(self.keys, self.counts, other.keys, other.counts)
        return LayerRecord(
            n,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            mean,
            m2,
            self.firing + other.firing,
            None
            if self.saturated is None or other.saturated is None
            else self.saturated + other.saturated,
            keys,
            counts,
            self.overflown + other.overflown,
        )

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def std(self) -> np.ndarray:
        """Population std of each channel."""
        return np.sqrt(self.m2 / self.units)

    @property
    def layer_mean(self) -> float:
        return float(self.mean.mean())

    @property
    def layer_std(self) -> float:
        """Population std of all units of the layer together."""
        between = float(((self.mean - self.layer_mean) ** 2).mean())
        return float(np.sqrt(self.m2.mean() / self.units + between))

    @property
    def layer_low(self) -> float:
        return float(self.low.min())

    @property
    def layer_high(self) -> float:
        return float(self.high.max())

    @property
    def firing_share(self) -> np.ndarray:
        """Share of units > 0, per channel."""
        return self.firing / self.units

    @property
    def layer_firing(self) -> float:
        return float(self.firing.sum()) / (self.units * self.channels)

    @property
    def layer_saturated(self) -> float | None:
        if self.saturated is None:
            return None
        return float(self.saturated.sum()) / (self.units * self.channels)

    @property
    def dead(self) -> np.ndarray:
        """Whether a channel has no unit above 0 in any image."""
        return self.firing == 0

    @property
    def layer_dead(self) -> float:
        """Share of channels without any unit above 0 in any image."""
        return float(self.dead.mean())

    def percentiles(self, qs: Sequence[float] = PERCENTILES) -> np.ndarray:
        """Percentiles of the whole layer, as ``numpy.percentile`` interpolates between units.

        Each of the two units between which it lies is known to within 1/128 of itself; after a
        second look to 1/131,072 for :data:`PERCENTILES`.
        """
        if self.close is not None and set(qs) <= set(PERCENTILES):
            return self.close[[PERCENTILES.index(q) for q in qs]]
        place = np.asarray(qs, np.float64) / 100 * (self.counts.sum() - 1)
        below, above = self._unit(np.floor(place)), self._unit(np.ceil(place))
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            return np.where(below == above, below, below + place % 1 * (above - below))

    def _unit(self, rank: np.ndarray) -> np.ndarray:
        """About the unit of a rank (from 0); the first and the last exactly."""
        reached = np.cumsum(self.counts)
        at = np.searchsorted(reached, rank, side="right")
        # Values of one key are taken as evenly spread between its ends.
        share = (rank - (reached[at] - self.counts[at]) + 0.5) / self.counts[at]
        first, last = value_of(self.keys[at], 0), value_of(self.keys[at], 0xFFFF)
        with np.errstate(invalid="ignore"):
            found = np.where(first == last, first, first + share * (last - first))
        found[rank == 0], found[rank == reached[-1] - 1] = self.layer_low, self.layer_high
        return np.clip(found, self.layer_low, self.layer_high)


class Recorder:
    """Fold batch after batch of one layer into a :class:`LayerRecord`.

    Channels lie on ``axis``; ``saturation`` is the value from which the activation stays the same.
    The same batches in the same order give the same bits.
    """

    def __init__(self, axis: int = 1, saturation: float | None = None) -> None:
        self._axis, self._saturation = axis, saturation
        self._units = 0
        self._low = self._high = self._mean = self._m2 = np.zeros(0)
        self._firing = self._saturated = np.zeros(0, np.int64)
        self._overflown = 0
        # Made when they are needed: most layers of a few images never do.
        self._counts: np.ndarray | None = None
        # OpenCV adds to counts in float32, which is exact up to 2**24.
        self._recent = np.zeros((256, 256), np.float32)
        self._recently = 0

    def add(self, values: np.ndarray) -> None:
        """Count one batch ``(N, …)`` of float activations in.

        Raises :class:`ShapeError` for no values, or another number of channels than before.
        """
        rows = _rows(values, self._axis)
        n, low, high = rows.shape[1], rows.min(axis=1), rows.max(axis=1)
        if self._units and len(low) != len(self._low):
            raise ShapeError(f"A layer of {len(self._low)} channels gave {len(low)}.")
        self._count(rows)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            self._overflown += int(np.count_nonzero(~np.isfinite(rows)))
        firing = _above(rows > 0)
        saturated = None if self._saturation is None else _above(rows >= self._saturation)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, m2 = _mean_and_m2(rows, low, high)
            if self._units == 0:
                self._low, self._high, self._mean, self._m2 = low, high, mean, m2
                self._firing = firing
                self._saturated = saturated if saturated is not None else np.zeros(0, np.int64)
            else:
                self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
                self._mean, self._m2 = _chan(self._units, self._mean, self._m2, n, mean, m2)
                self._firing = self._firing + firing
                if saturated is not None:
                    self._saturated = self._saturated + saturated
        self._units += n

    def record(self) -> LayerRecord:
        """Return what was counted so far.

        Raises :class:`ShapeError` when nothing was.
        """
        if not self._units:
            raise ShapeError("No activations were recorded.")
        total = self._all_counts()[_BY_ORDER]
        (keys,) = np.nonzero(total)
        return LayerRecord(
            self._units,
            self._low.astype(np.float64),
            self._high.astype(np.float64),
            self._mean,
            self._m2,
            self._firing,
            None if self._saturation is None else self._saturated,
            keys.astype(np.uint16),
            total[keys],
            self._overflown,
        )

    def _count(self, rows: np.ndarray) -> None:
        flat = rows.reshape(-1)
        for start in range(0, flat.size, 2**23):
            part = flat[start : start + 2**23]
            if part.size < _MANY:
                # A float32 is an image of one pixel and four channels, of which two are its key.
                bytes_of = part.view(np.uint8).reshape(1, -1, 4)
                sides, ends = [256, 256], [0, 256, 0, 256]
                cv2.calcHist(
                    [bytes_of], _KEY_BYTES, None, sides, ends, hist=self._recent, accumulate=True
                )
            else:
                whole = self._recent.reshape(-1)
                ends = [0, 65536]
                upper = _upper(part)[np.newaxis]
                cv2.calcHist([upper], [0], None, ends[1:], ends, hist=whole, accumulate=True)
            self._recently += part.size
            if self._recently >= 2**23:
                self._counts = self._all_counts()
                self._recent[:] = 0
                self._recently = 0

    def _all_counts(self) -> np.ndarray:
        recent = self._recent.reshape(-1).astype(np.int64)
        return recent if self._counts is None else self._counts + recent


class Closer:
    """The second look at a layer: its values around the percentiles, by their upper 26 bits.

    Counts 1,024 parts of each key in which a wanted unit lies, so it takes some 100 kB whatever the
    number of values. Of a record with NaN or infinities it counts nothing.
    """

    def __init__(self, record: LayerRecord) -> None:
        self._record = record
        reached = np.cumsum(record.counts)
        self._place = np.asarray(PERCENTILES) / 100 * (reached[-1] - 1)
        ranks = np.concatenate([np.floor(self._place), np.ceil(self._place)]).astype(np.int64)
        at = np.searchsorted(reached, ranks, side="right")
        # Which unit is wanted, counted from the first of its key.
        self._inside = ranks - (reached[at] - record.counts[at])
        raw = _raw_of(record.keys[at])
        self._wanted, self._slot = np.unique(raw, return_inverse=True)
        self._is_wanted = np.zeros(65536, bool)
        self._is_wanted[self._wanted] = True
        self._counts = np.zeros((len(self._wanted), _PARTS), np.int64)
        # Values that are wanted and not counted yet: they are counted many at a time.
        self._found: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """Count a batch of the same activations again."""
        if self._record.overflown:
            return
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        if flat.size < _FEW:
            chosen = self._is_wanted[flat.view(np.uint16)[_HIGH::2]]
        else:
            # Comparing whole numbers key by key is faster where they are many.
            bits = flat.view(np.int32)
            ends = [int(np.uint16(upper).view(np.int16)) << 16 for upper in self._wanted]
            masks = (cv2.inRange(bits, float(end), float(end | 0xFFFF)) for end in ends)
            chosen = reduce(lambda a, b: cv2.bitwise_or(a, b, dst=a), masks).reshape(-1).view(bool)
        self._found.append(flat[chosen])
        if sum(found.size for found in self._found) > _FEW:
            self._counted()

    def _counted(self) -> np.ndarray:
        if self._found:
            bits = np.concatenate(self._found).view(np.uint32)
            self._found = []
            slot = np.searchsorted(self._wanted, (bits >> 16).astype(np.uint16))
            part = (bits & 0xFFFF) // (65536 // _PARTS)
            counted = np.bincount(slot * _PARTS + part, minlength=self._counts.size)
            self._counts += counted.reshape(self._counts.shape)
        return self._counts

    def merge(self, other: Closer) -> None:
        """Count in what another look at the same record has counted."""
        self._counts += other._counted()

    def record(self) -> LayerRecord:
        """Return the record with its percentiles known closely."""
        if self._record.overflown:
            return self._record
        below, above = np.split(np.array([self._unit(n) for n in range(len(self._inside))]), 2)
        return replace(self._record, close=below + self._place % 1 * (above - below))

    def _unit(self, n: int) -> float:
        """About the n-th unit wanted: the end of its part that is nearer to 0."""
        slot = self._slot[n]
        upper, counts = int(self._wanted[slot]), self._counted()[slot]
        negative = bool(upper & 0x8000)
        reached = np.cumsum(counts[::-1] if negative else counts)
        part = min(int(np.searchsorted(reached, self._inside[n], side="right")), _PARTS - 1)
        if negative:
            part = _PARTS - 1 - part
        bits = (upper << 16) | (part * (65536 // _PARTS))
        return float(np.uint32(bits).view(np.float32))


def key_of(values: np.ndarray) -> np.ndarray:
    """The upper 16 bits of float32 values as whole numbers in the order of the values (uint16).

    >>> key_of(np.array([-2.0, -1.0, 0.0, 1.0, 1.001, 2.0], np.float32)).tolist()
    [16383, 16511, 32768, 49024, 49024, 49152]
    """
    return _ordered(_upper(np.ascontiguousarray(values, np.float32).reshape(-1)))


def value_of(keys: np.ndarray, lower: int) -> np.ndarray:
    """The float32 of a key, whose lower 16 bits are 0 (0xFFFF gives the other end of the key).

    Keys of infinity, and of NaN, give infinity with their sign.
    """
    raw = _raw_of(keys).astype(np.uint32)
    # Among negative values the lower bits count the other way.
    lower_bits = np.where(raw & 0x8000, 0xFFFF - lower, lower).astype(np.uint32)
    lower_bits[(raw & 0x7F80) == 0x7F80] = 0
    raw = np.where((raw & 0x7F80) == 0x7F80, raw & 0xFF80, raw)
    return ((raw << 16) | lower_bits).view(np.float32).astype(np.float64)


def _rows(values: np.ndarray, axis: int) -> np.ndarray:
    """``(C, n)`` float32, a copy where one is needed to change it."""
    if values.ndim < 2 or values.size == 0:
        raise ShapeError(
            f"Activations are (N, …) of at least one unit with a channel axis; got {values.shape}."
        )
    if values.shape[0] == 1 and axis == 1:
        # The usual case, one image: its channels lie one after the other already.
        rows = values.reshape(values.shape[1], -1)
    else:
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    return np.ascontiguousarray(rows, np.float32)


def _above(mask: np.ndarray) -> np.ndarray:
    # OpenCV adds bytes to whole numbers four times as fast as NumPy counts True along an axis.
    sums = cv2.reduce(mask.view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return sums.reshape(-1).astype(np.int64)


def _mean_and_m2(
    rows: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Σ(x − mean)² a row, by two passes in float32 whose rounding cancels."""
    n = rows.shape[1]
    ones = np.ones(n, np.float32)
    near = (rows @ ones) / np.float32(n)
    centred = rows - near[:, np.newaxis]
    # What the first mean was off by, then the squares without it.
    off = (centred @ ones).astype(np.float64) / n
    squares = np.vecdot(centred, centred).astype(np.float64)
    mean, m2 = near + off, np.maximum(squares - n * off**2, 0.0)
    # Squares of what is beyond 1e19 or below 1e-16 do not fit into float32.
    for row in np.flatnonzero(~np.isfinite(m2) | ((m2 < 1e-32 * n) & (low < high))):
        exact = rows[row].astype(np.float64)
        mean[row] = exact.mean()
        m2[row] = np.square(exact - mean[row]).sum()
    return mean, m2


def _upper(flat: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(flat.view(np.uint16)[_HIGH::2])


_HIGH = 1 if sys.byteorder == "little" else 0


def _ordered(upper: np.ndarray) -> np.ndarray:
    return np.where(upper & 0x8000, ~upper, upper | 0x8000).astype(np.uint16)


def _raw_of(keys: np.ndarray) -> np.ndarray:
    keys = np.asarray(keys, np.uint16)
    return np.where(keys & 0x8000, keys & 0x7FFF, ~keys).astype(np.uint16)


_ALL_KEYS = _ordered(np.arange(65536, dtype=np.uint16))
_BY_ORDER = np.argsort(_ALL_KEYS)

# From so many values on, counting two bytes as one is faster, in spite of its set-up.
_MANY = 450_000
_PARTS = 1024
_FEW = 150_000
_KEY_BYTES = [3, 2] if sys.byteorder == "little" else [0, 1]


def _chan(n: int, mean, m2, other_n: int, other_mean, other_m2) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Σ(x − mean)² of two batches together (Chan, Golub, LeVeque 1983)."""
    total = n + other_n
    delta = other_mean - mean
    return (
        mean + delta * (other_n / total),
        m2 + other_m2 + delta**2 * (n * other_n / total),
    )


def _merged(
    keys: np.ndarray, counts: np.ndarray, other_keys: np.ndarray, other_counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    every, place = np.unique(np.concatenate([keys, other_keys]), return_inverse=True)
    total = np.zeros(len(every), np.int64)
    np.add.at(total, place, np.concatenate([counts, other_counts]))
    return every, total
