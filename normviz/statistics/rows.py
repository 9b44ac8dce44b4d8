"""One row an image: what an image is among the others, to sort, plot and join by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from normviz.images import ValueRange

ROW_PERCENTILES = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)

KEPT = 4096
"""Statistics keep the rows of at most this many images: of more, a random sample."""


@dataclass(frozen=True)
class Row:
    """One image's numbers; per channel unless said. ``mean``, ``variance`` and what follows are
    fractions of the value range; ``sums`` and ``squares`` are in its units (whole numbers for
    integer pixels).

    ``position``: the place in the source, counted from 0. ``sharpness``: Brenner's focus measure
    (1976), the root mean square of the difference to the pixel two further, over rows and columns
    of the green (or only) channel. ``clipped_low``, ``clipped_high``: the share of pixels at the
    lowest and highest value of the range. ``fingerprint``: 64 bits, one for each of 8 × 8 places
    that is darker than the place to its right; nearly equal images differ in few.
    """

    position: int
    path: str
    label: str | None
    height: int
    width: int
    mode: str
    value_range: ValueRange
    sums: tuple[float, ...]
    squares: tuple[float, ...]
    mean: tuple[float, ...]
    variance: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    percentiles: tuple[tuple[float, ...], ...]
    """One tuple a percentile of :data:`ROW_PERCENTILES`."""
    sharpness: float
    clipped_low: tuple[float, ...]
    clipped_high: tuple[float, ...]
    fingerprint: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @cached_property
    def rank(self) -> bytes:
        """A number drawn for this image by its place and name: the lowest make the sample."""
        name = f"{self.position}:{self.path}".encode(errors="replace")
        return blake2b(name, digest_size=8).digest()

    def spread(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance in ``channels`` channels: a grey image stands for all of them."""
        repeat = channels // len(self.mean)
        return np.array(self.mean * repeat), np.array(self.variance * repeat)


def kept(rows: Iterable[Row], most: int = KEPT) -> tuple[Row, ...]:
    """Return the rows in the order of their places; of more than ``most``, those of lowest rank.

    Which ones stay does not depend on the order in which they came, or on the split.
    """
    found = list(rows)
    if len(found) > most:
        found = sorted(found, key=lambda row: (row.rank, _order(row)))[:most]
    return tuple(sorted(found, key=_order))


def _order(row: Row) -> tuple:
    return (row.position, row.path, row.height, row.width, row.sums, row.squares)
