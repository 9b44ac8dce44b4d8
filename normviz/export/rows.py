"""One row an image as a Parquet file, written as the images are measured."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from normviz.errors import NormvizError
from normviz.export.files import plain, replacing
from normviz.images import CHANNEL_NAMES
from normviz.statistics.rows import ROW_PERCENTILES, Row

ROWS_A_GROUP = 4096
"""Rows a row group: what is held in memory, about 4 MB."""

CHANNELS = ("r", "g", "b", "grey")
"""Endings of the columns of a channel. A grey image has ``_grey`` ones, a colour image the others.
"""

_FACTS = {
    "unit": "mean, std, min, max and p… are fractions of the value range value_low…value_high; "
    "sum and sum_of_squares are in its units (levels), empty for float images",
    "empty": "_grey columns of colour images and _r, _g, _b columns of grey ones",
}

_LARGEST = 2**63 - 1


@contextlib.contextmanager
def rows_file(path: Path) -> Iterator[Callable[[Sequence[Row]], None]]:
    """Open a Parquet file of rows and yield what writes some of them.

    The file takes its name when the block ends; at most :data:`ROWS_A_GROUP` rows and those of one
    call are in memory. Columns:

    ``position`` (place in the source, int64), ``path``, ``label`` (may be empty), ``height``,
    ``width``, ``pixels``, ``mode`` ("RGB 8 bit", "grey float" …), ``value_low``, ``value_high``,
    ``sharpness``, ``fingerprint`` (uint64); and for each channel of :data:`CHANNELS`, ``_r`` for
    example: ``sum_r`` and ``sum_of_squares_r`` (int64, Σ level and Σ level², exact), ``mean_r``,
    ``std_r`` (population), ``min_r``, ``max_r``, ``p1_r`` … ``p99_r``, ``clipped_low_r``,
    ``clipped_high_r``. All but the two sums are fractions of the value range, so that images of
    different depths compare. Columns of channels that an image lacks are empty; so are the sums of
    float images. The file's own metadata says the same under ``normviz``.

    Raises :class:`NormvizError` where pyarrow is missing.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise NormvizError("rows are written by pyarrow: pip install pyarrow.") from None
    schema = _schema(pyarrow)
    waiting: list[Row] = []

    with replacing(path) as stream, parquet.ParquetWriter(stream, schema) as writer:

        def flush(count: int) -> None:
            some = [_record(row) for row in waiting[:count]]
            writer.write_table(pyarrow.Table.from_pylist(some, schema))
            del waiting[:count]

        def take(rows: Sequence[Row]) -> None:
            waiting.extend(rows)
            while len(waiting) >= ROWS_A_GROUP:
                flush(ROWS_A_GROUP)

        yield take
        if waiting:
            flush(len(waiting))


def _schema(pyarrow: Any) -> Any:
    text, whole, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
    columns = [
        ("position", whole),
        ("path", text),
        ("label", text),
        ("height", pyarrow.int32()),
        ("width", pyarrow.int32()),
        ("pixels", whole),
        ("mode", text),
        ("value_low", real),
        ("value_high", real),
        ("sharpness", real),
        ("fingerprint", pyarrow.uint64()),
    ]
    for channel in CHANNELS:
        columns += [(f"sum_{channel}", whole), (f"sum_of_squares_{channel}", whole)]
        columns += [(f"{name}_{channel}", real) for name in _REALS]
    return pyarrow.schema(columns, {"normviz": json.dumps(_FACTS)})


_REALS = (
    "mean",
    "std",
    "min",
    "max",
    *(f"p{q:g}" for q in ROW_PERCENTILES),
    "clipped_low",
    "clipped_high",
)


def _record(row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {
        "position": row.position,
        "path": plain(row.path),
        "label": None if row.label is None else plain(row.label),
        "height": row.height,
        "width": row.width,
        "pixels": row.pixels,
        "mode": row.mode,
        "value_low": row.value_range.low,
        "value_high": row.value_range.high,
        "sharpness": row.sharpness,
        "fingerprint": row.fingerprint,
    }
    for at, name in enumerate(CHANNEL_NAMES[len(row.mean)]):
        channel = name.lower()
        record[f"sum_{channel}"] = _whole(row.sums[at])
        record[f"sum_of_squares_{channel}"] = _whole(row.squares[at])
        reals = (
            row.mean[at],
            math.sqrt(row.variance[at]),
            row.low[at],
            row.high[at],
            *(values[at] for values in row.percentiles),
            row.clipped_low[at],
            row.clipped_high[at],
        )
        record |= {f"{key}_{channel}": value for key, value in zip(_REALS, reals, strict=True)}
    return record


def _whole(value: float) -> int | None:
    return value if isinstance(value, int) and value <= _LARGEST else None
