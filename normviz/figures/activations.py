"""What a first layer receives under each method: ranges, and firing by day and by night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from normviz.figures.theme import minus, quiet_colour, template, text_colour
from normviz.observe.activations import ActivationRange

# The widest of the theme's fonts at the size of tick labels, on average.
_LETTER_PX = 6.6

SORTS = ("difference", "firing", "range", "menu")


@dataclass(frozen=True)
class ActivationRow:
    """One method's activation ranges by day and by night."""

    key: str
    title: str
    colour: str
    day: ActivationRange
    night: ActivationRange
    relative_difference: float | None


def sorted_rows(rows: Sequence[ActivationRow], sort_by: str) -> list[ActivationRow]:
    """Return the rows from least to most of what they are sorted by."""
    values = {
        "difference": lambda row: row.relative_difference or 0.0,
        "firing": lambda row: row.day.firing,
        "range": lambda row: row.day.max - row.day.min,
    }
    return sorted(rows, key=values[sort_by]) if sort_by in values else list(rows)


def activation_ranges(
    rows: Sequence[ActivationRow],
    *,
    sort_by: str,
    relative: bool,
    dark: bool,
    other: str = "night",
) -> go.Figure:
    """Draw for each method day above night: extremes thin, 1–99 % wider, 25–75 % widest, median.

    ``relative`` divides by the std of the method's own pre-activations by day; ``other`` is what
    the night is called.
    """
    ordered = sorted_rows(rows, sort_by)
    scales = [row.day.std if relative and row.day.std else 1.0 for row in ordered]
    # All bars are one trace, since each trace costs the browser a millisecond or two an update.
    bars: dict[str, list] = {name: [] for name in ("base", "x", "y", "width", "colour", "opacity")}
    told: list[str] = []
    medians: list[dict] = []
    for label, offset, opacity in (("day", -0.17, 1.0), (other, 0.17, 0.55)):
        found = [row.day if label == "day" else row.night for row in ordered]
        at = [place + offset for place in range(len(ordered))]
        for low, high, width in (("min", "max", 0.04), ("p1", "p99", 0.13), ("p25", "p75", 0.26)):
            for row, one, scale, place in zip(ordered, found, scales, at, strict=True):
                start, end = getattr(one, low) / scale, getattr(one, high) / scale
                bars["base"].append(start)
                bars["x"].append(end - start)
                bars["y"].append(place)
                bars["width"].append(width)
                bars["colour"].append(row.colour)
                bars["opacity"].append(opacity)
                told.append(f"{row.title}, {label}: {_told(one, scale)}")
        medians.append(
            {
                "type": "scatter",
                "x": [one.p50 / s for one, s in zip(found, scales, strict=True)],
                "y": at,
                "mode": "markers",
                "marker": {
                    "symbol": "circle" if label == "day" else "diamond",
                    "size": 8,
                    "color": "#ffffff" if label == "day" else "#111315",
                    "line": {"color": text_colour(dark), "width": 1.5},
                },
                "hoverinfo": "skip",
                "name": f"{label}, median",
            }
        )
    ranges = {
        "type": "bar",
        "orientation": "h",
        **{name: bars[name] for name in ("base", "x", "y", "width")},
        "marker": {"color": bars["colour"], "opacity": bars["opacity"], "line": {"width": 0}},
        "hovertext": told,
        "hoverinfo": "text",
        "showlegend": False,
    }
    unit = "stds by day" if relative else "the method's own unit × filter weight"
    layout = _layout(ordered, dark, "Range of pre-activations", f"Pre-activation ({unit})", other)
    layout["barmode"] = "overlay"
    return go.Figure({"data": [ranges, *medians], "layout": layout})


def _told(found: ActivationRange, scale: float) -> str:
    names = (("min", "min"), ("1 %", "p1"), ("median", "p50"), ("99 %", "p99"), ("max", "max"))
    return ", ".join(
        f"{words} {minus(f'{getattr(found, name) / scale:.3g}')}" for words, name in names
    )


def firing_day_night(
    rows: Sequence[ActivationRow], *, sort_by: str, dark: bool, other: str = "night"
) -> go.Figure:
    """Draw for each method the share of units above 0, by day and by night, joined by a line.

    ``other`` is what the night is called.
    """
    ordered = sorted_rows(rows, sort_by)
    colours = [row.colour for row in ordered]
    at = list(range(len(ordered)))
    days = [100 * row.day.firing for row in ordered]
    nights = [100 * row.night.firing for row in ordered]
    traces: list[dict] = [
        {
            "type": "bar",
            "orientation": "h",
            "base": days,
            "x": [night - day for day, night in zip(days, nights, strict=True)],
            "y": at,
            "width": 0.09,
            "marker": {"color": colours, "line": {"width": 0}},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for label, shares, others in (("day", days, nights), (other, nights, days)):
        left = [
            share < other or (share == other and label == "day")
            for share, other in zip(shares, others, strict=True)
        ]
        traces.append(
            {
                "type": "scatter",
                "x": shares,
                "y": at,
                "mode": "markers+text",
                "marker": {
                    "symbol": "circle" if label == "day" else "diamond",
                    "size": 12,
                    "color": "#ffffff" if label == "day" else colours,
                    "line": {"color": colours, "width": 2.5},
                },
                "text": [f"{share:.1f} %" for share in shares],
                "textposition": ["middle left" if side else "middle right" for side in left],
                "textfont": {"size": 11},
                "hovertext": [
                    f"{row.title}, {label}: {share:.2f} % of units fire"
                    for row, share in zip(ordered, shares, strict=True)
                ],
                "hoverinfo": "text",
                "name": label,
            }
        )
    layout = _layout(ordered, dark, "Units that fire", "Share of units above 0 (%)", other)
    low, high = min(days + nights), max(days + nights)
    # A third of the plot on either side: on a phone that is a label's width.
    room = max(6.0, 0.75 * (high - low))
    layout["xaxis"]["range"] = [low - room, high + room]
    return go.Figure({"data": traces, "layout": layout})


def _layout(
    rows: Sequence[ActivationRow], dark: bool, title: str, x_title: str, other: str
) -> dict:
    def label(row: ActivationRow) -> str:
        if row.relative_difference is None:
            return row.title
        return f"{row.title}<br>|{other} − day| {row.relative_difference:.2f} stds"

    labels = [label(row) for row in rows]
    # Room by the letter: Plotly's own way costs the browser a second layout on every change.
    longest = max(len(line) for text in labels for line in text.split("<br>"))
    left = 14 + _LETTER_PX * longest
    return {
        "template": template(dark),
        "title": {"text": title},
        "height": 110 + 52 * len(rows),
        "margin": {"l": left, "r": 8, "t": 44, "b": 44, "autoexpand": False},
        "xaxis": {"title": {"text": x_title}, "nticks": 7},
        "yaxis": {
            "tickvals": list(range(len(rows))),
            "ticktext": labels,
            "range": [len(rows) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
        },
        "legend": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.0,
            "yref": "container",
            "yanchor": "top",
            "font": {"color": quiet_colour(dark)},
        },
    }
