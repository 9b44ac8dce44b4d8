"""Statistics to take away: CSV for a spreadsheet, JSON for a program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from normviz.observe.ranges import Ranges

_HEAD = ["image", "label", "method", "unit", "channel", "min", "mean", "std", "max"]
_HEAD += ["height", "width", "exact"]


@dataclass(frozen=True, eq=False)
class Panel:
    """What was measured of one image under one method, in the method's unit, channel by channel."""

    image: str
    label: str | None
    method: str
    unit: str
    channels: tuple[str, ...]
    ranges: Ranges


def statistics_csv(panels: Iterable[Panel], facts: Mapping[str, object] | None = None) -> str:
    """Return one line a panel and channel; numbers at full precision, ``facts`` on every line.

    Text that a spreadsheet would run as a formula gets a leading apostrophe: file names are not
    ours. ``exact`` is "no" where ``height × width`` is a reduced copy.

    >>> statistics_csv([]).strip()
    'image,label,method,unit,channel,min,mean,std,max,height,width,exact'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    facts = facts or {}
    # A negative number is no formula: only text can be.
    same = [_harmless(v) if isinstance(v, str) else repr(v) for v in facts.values()]
    writer.writerow([*_HEAD, *facts])
    for panel in panels:
        found = panel.ranges
        for at, channel in enumerate(panel.channels):
            numbers = [float(v[at]) for v in (found.low, found.mean, found.std, found.high)]
            text = [
                _harmless(t) for t in (panel.image, panel.label or "", panel.method, panel.unit)
            ]
            size = [found.height, found.width, "yes" if found.exact else "no"]
            writer.writerow([*text, channel, *map(repr, numbers), *size, *same])
    return stream.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def statistics_json(panels: Iterable[Panel], facts: Mapping[str, Any]) -> str:
    """Return the panels' numbers with ``facts`` (light, fit, display, version) as JSON text.

    >>> statistics_json([], {"normviz": "0.1.0"}).split()
    ['{', '"normviz":', '"0.1.0",', '"panels":', '[]', '}']
    """
    listed = []
    for panel in panels:
        found = panel.ranges
        listed.append(
            {
                "image": panel.image,
                "label": panel.label,
                "method": panel.method,
                "unit": panel.unit,
                "channels": list(panel.channels),
                "min": found.low.tolist(),
                "mean": found.mean.tolist(),
                "std": found.std.tolist(),
                "max": found.high.tolist(),
                "size": [found.height, found.width],
                "exact": found.exact,
            }
        )
    return json.dumps({**facts, "panels": listed}, indent=1, ensure_ascii=False, allow_nan=False)
