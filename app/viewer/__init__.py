"""The grid of Compare: one row an image, one column a method, drawn in the browser.

A message is a table of numbers (JSON) and names binary parts by digest. Parts that change together
(the pictures; the values of one method) travel in an element of their own: Streamlit does not send
an element again that the browser already holds, so a change of method, light or display costs some
kilobytes and no pictures.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
# Bytes a level of a raw source; the encoded formats say their own length.
_ITEM_BYTES = {"webp": None, "png": None, "raw8": 1, "raw16": 2}
_DIGEST_LENGTH = 32


@dataclass(frozen=True)
class Column:
    """One method: its head, and the colour that it has in every chart.

    ``colour`` is ``#rrggbb``; ``subtitle`` a few quiet words, such as "dataset · 0 to 1".
    """

    key: str
    title: str
    colour: str
    subtitle: str = ""


@dataclass(frozen=True)
class Row:
    """One image: the source that every panel of its row is drawn from.

    ``source_format`` is "webp" or "png" (8-bit levels, losslessly encoded), "raw8" or "raw16"
    (levels in C order (H, W, C), 16 bit little-endian). ``levels`` is an optional (256, C) uint8
    table, C order, that 8-bit levels go through first: what a light makes of them. A pixel reads
    ``before_low + before_step * level`` under "before", with ``before_digits`` decimals, measured
    in ``unit``.
    """

    key: str
    title: str
    caption: str
    height: int
    width: int
    channels: int
    source: bytes
    source_format: str
    levels: bytes | None = None
    unit: str = ""
    before_low: float = 0.0
    before_step: float = 1.0
    before_digits: int = 0


@dataclass(frozen=True)
class Numbers:
    """What stands under a panel for one channel: "R", "G", "B" or "grey"."""

    channel: str
    low: float
    mean: float
    std: float
    high: float


@dataclass(frozen=True)
class AffineCell:
    """A panel whose values are gain[c] · level + bias[c].

    ``window`` is (value shown black, value shown white); ``digits`` the decimals printed.
    """

    gain: tuple[float, ...]
    bias: tuple[float, ...]
    window: tuple[float, float]
    numbers: tuple[Numbers, ...]
    note: str
    digits: int


@dataclass(frozen=True)
class ValuesCell:
    """A panel whose values are low + step · q, ``values`` being q: (H, W, C) uint16 little-endian.

    ``window``, ``numbers``, ``note`` and ``digits`` are those of ``AffineCell``.
    """

    values: bytes
    low: float
    step: float
    window: tuple[float, float]
    numbers: tuple[Numbers, ...]
    note: str
    digits: int


@dataclass(frozen=True)
class MessageCell:
    """A plain sentence where a method has no picture."""

    text: str


Cell = AffineCell | ValuesCell | MessageCell


def packed(
    columns: Sequence[Column],
    rows: Sequence[Row],
    cells: Mapping[tuple[str, str], Cell],
    display_label: str,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the numbers of the grid (JSON), and its binary parts by digest.

    Raises ValueError that names the picture or cell whose bytes or numbers do not fit its row.
    """
    parts: dict[str, bytes] = {}

    def stored(data: bytes) -> str:
        digest = blake2b(data, digest_size=_DIGEST_LENGTH // 2).hexdigest()
        parts[digest] = data
        return digest

    _check_keys("row", [row.key for row in rows])
    _check_keys("column", [column.key for column in columns])
    for row in rows:
        _check_row(row)
    message = {
        "label": display_label,
        "columns": [
            {"key": c.key, "title": c.title, "colour": c.colour, "subtitle": c.subtitle}
            for c in columns
        ],
        "rows": [
            {
                "key": row.key,
                "title": row.title,
                "caption": row.caption,
                "height": row.height,
                "width": row.width,
                "channels": row.channels,
                "source": stored(row.source),
                "format": row.source_format,
                "levels": None if row.levels is None else b64encode(row.levels).decode(),
                "unit": row.unit,
                "before": [float(row.before_low), float(row.before_step), row.before_digits],
            }
            for row in rows
        ],
        "cells": [[_cell(row, column, cells, stored) for column in columns] for row in rows],
    }
    return message, parts


def show(
    columns: Sequence[Column],
    rows: Sequence[Row],
    cells: Mapping[tuple[str, str], Cell],
    *,
    display_label: str,
    key: str,
) -> bool:
    """Draw the grid and return whether the browser has drawn it once.

    Raises ValueError for what does not fit together (see ``packed``). Zoom, centre and the kept
    pixel live in the browser under ``key`` and survive new data. A new theme there runs the page
    again, for its charts.
    """
    message, parts = packed(columns, rows, cells, display_label)
    # Without a gap the elements that only carry bytes take no room.
    with st.container(gap=None):
        for name, digests in _together(message).items():
            # Copied once: the values of a method are megabytes.
            framed = (_framed(digest, parts[digest]) for digest in digests)
            bundle = b"".join(chain.from_iterable(framed))
            # Not keyed by content: new bytes then reach an element that is mounted already.
            _COMPONENT(data=bundle, key=f"{key}-{name}")
        shown = _COMPONENT(
            data={"key": key, **message},
            key=key,
            default={"drawn": False},
            on_drawn_change=lambda: None,
            on_themed_change=lambda: None,
        )
    return bool(shown.drawn)


def _together(message: dict[str, Any]) -> dict[str, list[str]]:
    """The digests of the parts that travel in one element: the pictures, each method's values.

    An element for every part would cost a page some 10 ms each.
    """
    groups = {"pictures": [row["source"] for row in message["rows"]]}
    for at, column in enumerate(message["columns"]):
        cells = (row[at] for row in message["cells"])
        groups[f"values-{column['key']}"] = [cell["values"] for cell in cells if "values" in cell]
    known: set[str] = set()
    together = {}
    for name, digests in groups.items():
        new = [digest for digest in dict.fromkeys(digests) if digest not in known]
        known.update(new)
        if new:
            together[name] = new
    return together


def _framed(digest: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """A part as the browser cuts it out again: digest, length, content."""
    return digest.encode(), len(data).to_bytes(4, "little"), data


def _cell(
    row: Row,
    column: Column,
    cells: Mapping[tuple[str, str], Cell],
    stored: Callable[[bytes], str],
) -> dict[str, Any]:
    name = f"“{row.title}” under {column.title}"
    if (row.key, column.key) not in cells:
        raise ValueError(f"{name}: there is no cell for ({row.key!r}, {column.key!r}).")
    cell = cells[row.key, column.key]
    if isinstance(cell, MessageCell):
        return {"kind": "message", "text": cell.text}
    facts: dict[str, Any] = {
        "window": _finite(name, "window", cell.window, 2),
        "numbers": [
            [n.channel, *_finite(name, "numbers", (n.low, n.mean, n.std, n.high), 4)]
            for n in cell.numbers
        ],
        "note": cell.note,
        "digits": cell.digits,
    }
    if cell.window[0] >= cell.window[1]:
        raise ValueError(f"{name}: the value shown black is not below the one shown white.")
    if len(cell.numbers) != row.channels:
        raise ValueError(f"{name}: {len(cell.numbers)} numbers for {row.channels} channels.")
    if isinstance(cell, AffineCell):
        gain = _finite(name, "gain", cell.gain, row.channels)
        bias = _finite(name, "bias", cell.bias, row.channels)
        return {"kind": "affine", "gain": gain, "bias": bias, **facts}
    _check_length(name, cell.values, row, 2)
    low, step = _finite(name, "low and step", (cell.low, cell.step), 2)
    return {"kind": "values", "values": stored(cell.values), "low": low, "step": step, **facts}


def _finite(name: str, what: str, values: Iterable[float], expected: int) -> list[float]:
    found = [float(value) for value in values]
    if len(found) != expected:
        raise ValueError(f"{name}: {what} holds {len(found)} values, expected {expected}.")
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{name}: {what} holds a value that is not finite: {found}.")
    return found


def _check_keys(what: str, found: list[str]) -> None:
    twice = sorted({key for key in found if found.count(key) > 1})
    if twice:
        raise ValueError(f"each {what} needs its own key; given twice: {', '.join(twice)}.")


def _check_row(row: Row) -> None:
    name = f"the source of “{row.title}”"
    if row.source_format not in _ITEM_BYTES:
        formats = ", ".join(_ITEM_BYTES)
        raise ValueError(f"{name}: format {row.source_format!r} is none of {formats}.")
    if row.channels not in (1, 3):
        raise ValueError(f"{name}: {row.channels} channels, expected 1 or 3.")
    if not row.source:
        raise ValueError(f"{name} is empty.")
    _check_length(name, row.source, row, _ITEM_BYTES[row.source_format])
    if row.levels is None:
        return
    if row.source_format == "raw16":
        raise ValueError(f"{name}: a light table is for 8-bit levels, the source has 16 bits.")
    if len(row.levels) != 256 * row.channels:
        raise ValueError(
            f"the light table of “{row.title}” has {len(row.levels)} bytes, expected "
            f"256 × {row.channels} channels."
        )


def _check_length(name: str, data: bytes, row: Row, item_bytes: int | None) -> None:
    if item_bytes is None:
        return
    expected = row.height * row.width * row.channels * item_bytes
    if len(data) != expected:
        raise ValueError(
            f"{name}: {len(data)} bytes, expected {expected} for {row.height} × {row.width} "
            f"pixels of {row.channels} channels with {item_bytes} bytes each."
        )


_COMPONENT = st.components.v2.component(
    "normviz_viewer",
    html='<div class="viewer">\n</div>',
    css=(_HERE / "viewer.css").read_text(encoding="utf-8"),
    js=(_HERE / "viewer.js").read_text(encoding="utf-8"),
)
