"""The grid of panels: one component, drawn in the browser from levels, gains and windows.

A message is one block of bytes: its header's length (uint32, little-endian), the header (JSON), and
the binary parts that the header points to. Numbers travel, pictures only where they must: a panel
of a gain-and-bias method is the source picture, a gain and a bias.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
_FORMATS = {"webp": None, "png": None, "raw8": 1, "raw16": 2}


@dataclass(frozen=True)
class Column:
    """One method: its head and its colour."""

    key: str
    title: str
    colour: str
    subtitle: str = ""


@dataclass(frozen=True)
class Row:
    """One image: the source that every panel of its row is drawn from.

    ``key`` changes with the source's pixels. Raw sources are (H, W, C) levels in C order, 16 bit
    little-endian. ``levels`` is an optional (256, C) uint8 table that an 8-bit source goes through
    first (the light). What stands under "before" is ``before_low + before_step · level``.
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
    before_low: float = 0.0
    before_step: float = 1.0
    before_digits: int = 0


@dataclass(frozen=True)
class Numbers:
    """What is printed under a panel for one channel."""

    channel: str
    low: float
    mean: float
    std: float
    high: float


@dataclass(frozen=True)
class AffineCell:
    """after = gain[c] · level + bias[c]; ``window`` is (value shown black, value shown white)."""

    gain: tuple[float, ...]
    bias: tuple[float, ...]
    window: tuple[float, float]
    numbers: tuple[Numbers, ...]
    note: str
    digits: int


@dataclass(frozen=True)
class ValuesCell:
    """after = low + step · value, values being (H, W, C) uint16 little-endian."""

    values: bytes
    low: float
    step: float
    window: tuple[float, float]
    numbers: tuple[Numbers, ...]
    note: str
    digits: int


@dataclass(frozen=True)
class MessageCell:
    """A sentence in place of a picture."""

    text: str


Cell = AffineCell | ValuesCell | MessageCell


def packed(
    columns: Sequence[Column],
    rows: Sequence[Row],
    cells: Mapping[tuple[str, str], Cell],
    display_label: str,
) -> bytes:
    """Return the message for the browser; raises ValueError for parts of the wrong length."""
    parts: list[bytes] = []

    def stored(data: bytes) -> list[int]:
        # Parts start at multiples of 2, so that 16-bit views need no copy.
        start = sum(map(len, parts))
        parts.append(data + b"\0" * (len(data) % 2))
        return [start, len(data)]

    header: dict[str, Any] = {"label": display_label, "rows": [], "cells": []}
    header["columns"] = [asdict(column) for column in columns]
    for row in rows:
        _check(f"source of “{row.title}”", row.source, row, _FORMATS[row.source_format])
        if row.levels is not None and len(row.levels) != 256 * row.channels:
            raise ValueError(f"light table of “{row.title}”: {len(row.levels)} bytes")
        facts = asdict(row)
        facts["source"] = stored(row.source)
        facts["levels"] = stored(row.levels) if row.levels is not None else None
        header["rows"].append(facts)
        line = []
        for column in columns:
            cell = cells[row.key, column.key]
            if isinstance(cell, MessageCell):
                line.append({"kind": "message", "text": cell.text})
                continue
            facts = {**asdict(cell), "kind": "affine"}
            if isinstance(cell, ValuesCell):
                _check(f"“{row.title}” under {column.title}", cell.values, row, 2)
                facts |= {"kind": "values", "values": stored(cell.values)}
            line.append(facts)
        header["cells"].append(line)
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (len(text) % 2)
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def _check(what: str, data: bytes, row: Row, itemsize: int | None) -> None:
    expected = row.height * row.width * row.channels * itemsize if itemsize else len(data)
    if len(data) != expected or not data:
        raise ValueError(f"{what}: expected {expected} bytes, got {len(data)}")


@cache
def _component() -> Any:
    return st.components.v2.component(
        "normviz_viewer",
        html='<div class="viewer"></div>\n',
        css=(_HERE / "viewer.css").read_text(encoding="utf-8"),
        js=(_HERE / "viewer.js").read_text(encoding="utf-8"),
    )


def show(
    columns: Sequence[Column],
    rows: Sequence[Row],
    cells: Mapping[tuple[str, str], Cell],
    *,
    display_label: str,
    key: str,
) -> None:
    """Draw the grid. Zoom, position and pointer live in the browser and survive new data."""
    _component()(data=packed(columns, rows, cells, display_label), key=key)
