"""Statistics as text and back, whole: what a checkpoint holds.

JSON: whole numbers of any size, floats to the last bit, arrays of whole numbers and floats packed.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import fields
from typing import Any

import numpy as np

from normviz.errors import ParameterError
from normviz.images import ValueRange
from normviz.read import Problem
from normviz.statistics.across import Across, Terms
from normviz.statistics.counts import Counts
from normviz.statistics.dataset import DatasetStatistics
from normviz.statistics.measure import Key
from normviz.statistics.moments import Moments
from normviz.statistics.patches import PatchPlan, PatchSums
from normviz.statistics.pixel_sums import PixelSums, PositionSums
from normviz.statistics.rows import Row

FORMAT = 2


def to_text(stats: DatasetStatistics) -> str:
    """Return everything but ``reading`` as JSON: equal statistics as equal text.

    >>> from normviz.images import image_of
    >>> stats = DatasetStatistics.of(image_of(np.array([[7]], np.uint8)))
    >>> from_text(to_text(stats)).mean.tolist()
    [7.0]
    """
    return json.dumps({"format": FORMAT, **_record(stats)}, allow_nan=False)


def from_text(text: str) -> DatasetStatistics:
    """Return what :func:`to_text` wrote; raises :class:`ParameterError` for anything else."""
    try:
        record = json.loads(text)
        if record["format"] != FORMAT:
            raise ParameterError(
                f"the statistics were stored in format {record['format']}, this version reads "
                f"{FORMAT}. Measure again."
            )
        return _statistics(record)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ParameterError(
            f"these are no stored statistics, or damaged ones ({type(error).__name__}). "
            "Measure again."
        ) from None


def row_record(row: Row) -> dict[str, Any]:
    """Return a row as plain values."""
    return {spec.name: getattr(row, spec.name) for spec in fields(Row)}


def row_of(record: dict[str, Any]) -> Row:
    """Return the row of :func:`row_record`."""
    values = {name: _tuples(value) for name, value in record.items()}
    values["value_range"] = ValueRange(*values["value_range"])
    return Row(**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _record(stats: DatasetStatistics) -> dict[str, Any]:
    return {
        "parts": [
            [*key[:2], *key.value_range, _part(part)] for key, part in sorted(stats.parts.items())
        ],
        "across": [_across(across) for _, across in sorted(stats.across.items())],
        "rows": [row_record(row) for row in stats.rows],
        "unreadable": stats.unreadable,
        "problems": stats.problems,
        "side": stats.side,
        "pixel_sums": [
            [channels, _sums(sums.squeezed), None if sums.own is None else _sums(sums.own)]
            for channels, sums in sorted(stats.pixel_sums.items())
        ],
        "plan": None if stats.plan is None else [stats.plan.side, stats.plan.per_image],
        "patch_sums": [
            [channels, sums.top, sums.count, _packed(sums.sums), _packed(sums.products)]
            for (channels, _), sums in sorted(stats.patch_sums.items())
        ],
        "labels": {label: _record(part) for label, part in sorted(stats.labels.items())},
        "too_many_labels": stats.too_many_labels,
        "units": None if stats.units is None else _across(stats.units),
    }


def _statistics(record: dict[str, Any]) -> DatasetStatistics:
    across = [_across_of(value) for value in record["across"]]
    return DatasetStatistics(
        parts={
            (key := Key(channels, levels, ValueRange(low, high))): _part_of(part, key)
            for channels, levels, low, high, part in record["parts"]
        },
        across={len(one.terms): one for one in across},
        rows=tuple(map(row_of, record["rows"])),
        unreadable=record["unreadable"],
        problems=tuple(Problem(*problem) for problem in record["problems"]),
        side=record["side"],
        pixel_sums={
            channels: PositionSums(_sums_of(squeezed), None if own is None else _sums_of(own))
            for channels, squeezed, own in record["pixel_sums"]
        },
        plan=None if record["plan"] is None else PatchPlan(*record["plan"]),
        patch_sums={
            (channels, top): PatchSums(top, count, _unpacked(sums), _unpacked(products))
            for channels, top, count, sums, products in record["patch_sums"]
        },
        labels={label: _statistics(part) for label, part in record["labels"].items()},
        too_many_labels=record["too_many_labels"],
        units=None if record["units"] is None else _across_of(record["units"]),
    )


def _part(part: Counts | Moments) -> dict[str, Any]:
    if isinstance(part, Counts):
        return {"table": _packed(part.table)}
    arrays = {
        name: _packed(getattr(part, name)) for name in ("mean", "squares", "low", "high", "table")
    }
    return {"count": part.count, **arrays}


def _part_of(record: dict[str, Any], key: Key) -> Counts | Moments:
    if key.levels:
        return Counts(_unpacked(record["table"]))
    arrays = {name: _unpacked(value) for name, value in record.items() if name != "count"}
    return Moments(value_range=key.value_range, count=record["count"], **arrays)


def _sums(sums: PixelSums) -> list[Any]:
    return [sums.count, _packed(sums.sums), _packed(sums.squares)]


def _sums_of(record: list[Any]) -> PixelSums:
    count, sums, squares = record
    return PixelSums(count, _unpacked(sums), _unpacked(squares))


def _across(across: Across) -> list[Any]:
    terms = [[getattr(term, spec.name) for spec in fields(Terms)] for term in across.terms]
    return [across.images, across.pixels, across.pixel_squares, terms, across.cross]


def _across_of(record: list[Any]) -> Across:
    images, pixels, pixel_squares, terms, cross = record
    return Across(
        images, pixels, pixel_squares, tuple(Terms(*term) for term in terms), tuple(cross)
    )


def _packed(array: np.ndarray) -> list[Any]:
    data = zlib.compress(np.ascontiguousarray(array).tobytes(), 1)
    return [array.dtype.str, array.shape, base64.b64encode(data).decode()]


def _unpacked(record: list[Any]) -> np.ndarray:
    kind, shape, data = record
    if kind not in ("<i8", "<f8"):
        raise ValueError(kind)
    values = np.frombuffer(zlib.decompress(base64.b64decode(data)), kind)
    return values.reshape(shape).copy()
