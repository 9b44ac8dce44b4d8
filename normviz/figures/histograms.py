"""Per-channel histograms: one figure, one subplot a method, under that method's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from normviz.figures.theme import CHANNEL_COLOURS, CHANNEL_DASHES, quiet_colour, template
from normviz.observe.ranges import Histogram

# The page's grid has gaps of 16 px; at the width that most columns get this is its share.
_GAP = 0.085


@dataclass(frozen=True)
class HistogramColumn:
    """One method's histograms, a list of one per channel each; ``None`` where there are none."""

    title: str
    colour: str
    unit: str
    after: Sequence[Histogram]
    before: Sequence[Histogram] | None = None
    night: Sequence[Histogram] | None = None


def histogram_row(
    columns: Sequence[HistogramColumn],
    *,
    apart: bool = False,
    log_y: bool = False,
    shared_x: bool = False,
    dark: bool = False,
    before_unit: str = "0–255",
) -> go.Figure:
    """Draw share of pixels a bin (%) over value, one subplot a column.

    ``before`` is drawn faint on its own axis at the top, or, with ``apart``, in a row of its own
    above. ``night`` is drawn thin beside ``after``. ``shared_x`` gives all columns one range.
    """
    traces: list[dict] = []
    rows = 2 if apart and any(column.before for column in columns) else 1
    layout: dict = {
        "template": template(dark),
        "height": 260 if rows == 1 else 400,
        "margin": {"l": 0, "r": 0, "t": 52, "b": 46},
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "x": 0,
            "font": {"color": quiet_colour(dark)},
        },
        "showlegend": True,
    }
    domains = _domains(len(columns))
    bottom = (0.0, 1.0) if rows == 1 else (0.0, 0.42)
    top = (0.58, 1.0)
    whole = _extent([h for column in columns for h in (*column.after, *(column.night or ()))])
    highest = _highest([h for column in columns for h in (*column.after, *(column.night or ()))])
    for at, (column, domain) in enumerate(zip(columns, domains, strict=True)):
        x, y = _names(at + 1)
        first = at == 0
        layout[x] = {
            "domain": domain,
            "anchor": y[0] + y[5:],
            "range": whole if shared_x else _extent([*column.after, *(column.night or ())]),
            "title": {"text": f"{column.title}<br>({column.unit})"},
            "nticks": 5,
        }
        layout[y] = {
            "domain": bottom,
            "anchor": x[0] + x[5:],
            "type": "log" if log_y else "linear",
            "range": _y_range(highest, log_y),
            "showticklabels": first,
            "ticklabelposition": "inside top",
            "ticksuffix": " %",
            "nticks": 4,
        }
        _lines(traces, column.after, at, "after", first, 1.6, 1.0)
        if column.night:
            _lines(traces, column.night, at, "night", first, 1.0, 0.75, fill=True)
        if column.before:
            place = len(columns) + at
            bx, by = _names(place + 1)
            layout[bx] = {
                "domain": domain,
                "anchor": by[0] + by[5:],
                "range": _extent(column.before),
                "nticks": 4,
                **(
                    {"title": {"text": f"before ({before_unit})"}}
                    if rows == 2
                    else {"side": "top", "showgrid": False, "overlaying": x[0] + x[5:]}
                ),
            }
            layout[by] = {
                "domain": top if rows == 2 else bottom,
                "anchor": bx[0] + bx[5:],
                "type": "log" if log_y else "linear",
                "range": _y_range(_highest(column.before), log_y),
                "showticklabels": False,
                "showgrid": rows == 2,
                **({} if rows == 2 else {"overlaying": y[0] + y[5:]}),
            }
            _lines(
                traces,
                column.before,
                place,
                "before",
                first,
                1.2 if rows == 2 else 1.0,
                0.9 if rows == 2 else 0.4,
            )
    # One validated construction: adding trace by trace takes six times as long.
    return go.Figure({"data": traces, "layout": layout})


def _lines(
    traces: list[dict],
    histograms: Sequence[Histogram],
    place: int,
    what: str,
    legend: bool,
    width: float,
    opacity: float,
    fill: bool = False,
) -> None:
    names = ("grey",) if len(histograms) == 1 else ("R", "G", "B")
    x, y = _names(place + 1)
    for name, histogram in zip(names, histograms, strict=True):
        edges = histogram.edges.astype(np.float32)
        shares = np.append(histogram.shares, histogram.shares[-1]).astype(np.float32) * 100
        traces.append(
            {
                "type": "scatter",
                "x": edges,
                "y": shares,
                "mode": "lines",
                "line": {
                    "shape": "hv",
                    "width": width,
                    "color": CHANNEL_COLOURS[name],
                    "dash": CHANNEL_DASHES[name],
                },
                "fill": "tozeroy" if fill else None,
                "opacity": opacity,
                "xaxis": x[0] + x[5:],
                "yaxis": y[0] + y[5:],
                "name": name if what == "after" else f"{name}, {what}",
                "legendgroup": f"{name} {what}",
                "showlegend": legend,
                "hovertemplate": f"{name}, {what}: from %{{x:.4g}}: %{{y:.2f}} %<extra></extra>",
            }
        )


def _domains(count: int) -> list[tuple[float, float]]:
    """``count`` equal columns with the page's gap between them."""
    gap = _GAP / count if count > 1 else 0.0
    width = (1 - gap * (count - 1)) / count
    return [(at * (width + gap), min(1.0, at * (width + gap) + width)) for at in range(count)]


def _names(number: int) -> tuple[str, str]:
    suffix = "" if number == 1 else str(number)
    return f"xaxis{suffix}", f"yaxis{suffix}"


def _extent(histograms: Sequence[Histogram]) -> list[float]:
    low = min(float(h.edges[0]) for h in histograms)
    high = max(float(h.edges[-1]) for h in histograms)
    return [low, high]


def _highest(histograms: Sequence[Histogram]) -> float:
    """The tallest bin but for spikes at the ends (clipped pixels), which would hide the rest."""
    inner = [float(h.shares[1:-1].max(initial=0)) for h in histograms]
    return 100 * (max(inner) or max(float(h.shares.max()) for h in histograms))


def _y_range(highest: float, log_y: bool) -> list[float]:
    return [-3.0, 2.0] if log_y else [0.0, highest * 1.08]
