"""What a first layer receives under each method: ranges, and firing by day and by night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from normviz.figures.theme import minus, quiet_colour, template, text_colour
from normviz.observe.activations import ActivationRange

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
    rows: Sequence[ActivationRow], *, sort_by: str, relative: bool, dark: bool
) -> go.Figure:
    """Draw for each method day above night: extremes thin, 1–99 % wider, 25–75 % widest, median.

    ``relative`` divides by the std of the method's own pre-activations by day.
    """
    traces: list[dict] = []
    ordered = sorted_rows(rows, sort_by)
    for place, row in enumerate(ordered):
        scale = row.day.std if relative and row.day.std else 1.0
        for label, found, offset, opacity in (
            ("day", row.day, -0.17, 1.0),
            ("night", row.night, 0.17, 0.6),
        ):
            at = place + offset
            spans = (
                (found.min, found.max, 1.5),
                (found.p1, found.p99, 5),
                (found.p25, found.p75, 10),
            )
            told = ", ".join(
                f"{name} {minus(f'{value / scale:.3g}')}"
                for name, value in (
                    ("min", found.min),
                    ("1 %", found.p1),
                    ("median", found.p50),
                    ("99 %", found.p99),
                    ("max", found.max),
                )
            )
            for low, high, width in spans:
                _scatter(
                    traces,
                    x=[low / scale, high / scale],
                    y=[at, at],
                    mode="lines",
                    line={"color": row.colour, "width": width},
                    opacity=opacity,
                    hovertemplate=f"{row.title}, {label}: {told}<extra></extra>",
                    showlegend=False,
                )
            _scatter(
                traces,
                x=[found.p50 / scale],
                y=[at],
                mode="markers",
                marker={
                    "symbol": "circle" if label == "day" else "diamond",
                    "size": 8,
                    "color": "#ffffff" if label == "day" else "#111315",
                    "line": {"color": text_colour(dark), "width": 1.5},
                },
                hoverinfo="skip",
                name=label,
                legendgroup=label,
                showlegend=place == 0,
            )
    unit = "stds by day" if relative else "the method's own unit × filter weight"
    layout = _layout(ordered, dark, "Range of pre-activations", f"Pre-activation ({unit})")
    return go.Figure({"data": traces, "layout": layout})


def firing_day_night(rows: Sequence[ActivationRow], *, sort_by: str, dark: bool) -> go.Figure:
    """Draw for each method the share of units above 0, by day and by night, joined by a line."""
    traces: list[dict] = []
    ordered = sorted_rows(rows, sort_by)
    for place, row in enumerate(ordered):
        day, night = 100 * row.day.firing, 100 * row.night.firing
        _scatter(
            traces,
            x=[day, night],
            y=[place, place],
            mode="lines",
            line={"color": row.colour, "width": 4},
            hoverinfo="skip",
            showlegend=False,
        )
        left_is_day = day <= night
        for label, share, symbol in (("day", day, "circle"), ("night", night, "diamond")):
            on_left = left_is_day == (label == "day")
            _scatter(
                traces,
                x=[share],
                y=[place],
                mode="markers+text",
                marker={
                    "symbol": symbol,
                    "size": 12,
                    "color": "#ffffff" if label == "day" else row.colour,
                    "line": {"color": row.colour, "width": 2.5},
                },
                text=[f"{share:.1f} %"],
                textposition="middle left" if on_left else "middle right",
                textfont={"size": 11},
                hovertemplate=f"{row.title}, {label}: %{{x:.2f}} % of units fire<extra></extra>",
                name=label,
                legendgroup=label,
                showlegend=place == 0,
            )
    layout = _layout(ordered, dark, "Units that fire", "Share of units above 0 (%)")
    shares = [100 * value for row in ordered for value in (row.day.firing, row.night.firing)]
    low, high = min(shares), max(shares)
    room = max(6.0, 0.35 * (high - low))
    layout["xaxis"]["range"] = [low - room, high + room]
    return go.Figure({"data": traces, "layout": layout})


def _scatter(traces: list[dict], **trace: Any) -> None:
    traces.append({"type": "scatter", **trace})


def _layout(rows: Sequence[ActivationRow], dark: bool, title: str, x_title: str) -> dict:
    def label(row: ActivationRow) -> str:
        if row.relative_difference is None:
            return row.title
        return f"{row.title}<br>night − day: {row.relative_difference:.2f}"

    return {
        "template": template(dark),
        "title": {"text": title},
        "height": 110 + 52 * len(rows),
        "margin": {"l": 8, "r": 8, "t": 44, "b": 44},
        "xaxis": {"title": {"text": x_title}, "nticks": 7},
        "yaxis": {
            "tickvals": list(range(len(rows))),
            "ticktext": [label(row) for row in rows],
            "range": [len(rows) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
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
