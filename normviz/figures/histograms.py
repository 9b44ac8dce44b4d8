"""Per-channel histograms: one figure, one subplot a method, under that method's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from normviz.figures.theme import CHANNEL_COLOURS, channel_line, quiet_colour, template
from normviz.images import CHANNEL_NAMES
from normviz.observe.ranges import Histogram

# The page's grid has gaps of 16 px; at the width that most columns get this is its share.
_GAP = 0.085
_PLACES = ("1st", "2nd", "3rd")


@dataclass(frozen=True)
class HistogramColumn:
    """One method's histograms, a list of one per channel each; ``None`` where there are none.

    ``channels`` are the names of the result's channels.
    """

    title: str
    colour: str
    unit: str
    channels: Sequence[str]
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
    before_range: tuple[float, float] = (0.0, 255.0),
) -> go.Figure:
    """Draw share of pixels a bin (%) over value, one subplot a column.

    ``before`` is drawn faint behind, its value range stretched over the plot's width as the legend
    says, or, with ``apart``, in a row of its own above. ``night`` is drawn
    filled beside ``after``. ``shared_x`` gives all columns one range.
    """
    traces: list[dict] = []
    apart = apart and any(column.before for column in columns)
    layout: dict = {
        "template": template(dark),
        "height": 400 if apart else 260,
        "margin": {"l": 10, "r": 10, "t": 46, "b": 46, "autoexpand": False},
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
    drawn = [h for column in columns for h in (*column.after, *(column.night or ()))]
    whole, highest = _extent(drawn), _highest(drawn)
    bottom = (0.0, 0.42) if apart else (0.0, 1.0)
    # One share axis for the whole row: an axis a subplot would cost the browser 5 ms each.
    layout["yaxis"] = _share_axis("x", bottom, highest, log_y)
    befores = [h for column in columns for h in column.before or ()]
    if apart:
        layout["yaxis2"] = _share_axis(f"x{len(columns) + 1}", (0.6, 1.0), _highest(befores), log_y)
    for at, (column, domain) in enumerate(zip(columns, _domains(len(columns)), strict=True)):
        x = f"xaxis{at + 1}" if at else "xaxis"
        own = whole if shared_x else _extent([*column.after, *(column.night or ())])
        layout[x] = {
            "domain": domain,
            "anchor": "y",
            "range": own,
            "title": {"text": f"{column.title}<br>({column.unit})"},
            "nticks": 5,
        }
        axes = (_short(x), "y")
        if column.before and apart:
            above = f"xaxis{len(columns) + at + 1}"
            layout[above] = {
                "domain": domain,
                "anchor": "y2",
                "range": _extent(column.before),
                "title": {"text": f"before ({before_range[0]:g}–{before_range[1]:g})"},
                "nticks": 4,
            }
            names = CHANNEL_NAMES[len(column.before)]
            _lines(traces, column.before, (_short(above), "y2"), names, "before", 1.2, 0.9)
        elif column.before:
            _silhouette(
                traces,
                [_onto(h, before_range, own) for h in column.before],
                axes,
                f"before ({before_range[0]:g}–{before_range[1]:g} from edge to edge)",
                at == 0,
                dark,
            )
        what = "day" if column.night else "after"
        _lines(traces, column.after, axes, column.channels, what, 1.6, 1.0)
        if column.night:
            _lines(traces, column.night, axes, column.channels, "night", 1.0, 0.75, fill=True)
    # One validated construction: adding trace by trace takes six times as long.
    return go.Figure({"data": traces, "layout": layout})


def _share_axis(anchor: str, domain: tuple[float, float], highest: float, log_y: bool) -> dict:
    return {
        "domain": domain,
        "anchor": anchor,
        "type": "log" if log_y else "linear",
        "range": _y_range(highest, log_y),
        "ticklabelposition": "inside top",
        "ticksuffix": " %",
        "nticks": 4,
    }


def _onto(histogram: Histogram, span: tuple[float, float], target: list[float]) -> Histogram:
    """The same bins with ``span`` laid over the plot's value range."""
    share = (histogram.edges - span[0]) / (span[1] - span[0])
    return Histogram(target[0] + share * (target[1] - target[0]), histogram.shares)


def _lines(
    traces: list[dict],
    histograms: Sequence[Histogram],
    axes: tuple[str, str],
    names: Sequence[str],
    what: str,
    width: float,
    opacity: float,
    fill: bool = False,
) -> None:
    listed = {trace["legendgroup"] for trace in traces}
    for at, (name, histogram) in enumerate(zip(names, histograms, strict=True)):
        # Names that one method alone has would fill the legend: the pointer tells them.
        known = name if name in CHANNEL_COLOURS else f"{_PLACES[at]} channel"
        edges = histogram.edges.astype(np.float32)
        shares = np.append(histogram.shares, histogram.shares[-1]).astype(np.float32) * 100
        traces.append(
            {
                "type": "scatter",
                "x": edges,
                "y": shares,
                "mode": "lines",
                "line": {"shape": "hv", "width": width, **channel_line(name, at)},
                "fill": "tozeroy" if fill else None,
                "opacity": opacity,
                "xaxis": axes[0],
                "yaxis": axes[1],
                "name": known if what == "after" else f"{known}, {what}",
                "legendgroup": f"{known} {what}",
                "showlegend": f"{known} {what}" not in listed,
                "hovertemplate": f"{name}, {what}: from %{{x:.4g}}: %{{y:.2f}} %<extra></extra>",
            }
        )


def _silhouette(
    traces: list[dict],
    histograms: Sequence[Histogram],
    axes: tuple[str, str],
    name: str,
    legend: bool,
    dark: bool,
) -> None:
    """All channels as one quiet line with gaps: a trace each would cost the page 0.1 s a change."""
    gap = np.array([np.nan], np.float32)
    edges = [np.append(h.edges.astype(np.float32), gap) for h in histograms]
    shares = [
        np.concatenate([h.shares, h.shares[-1:], gap]).astype(np.float32) * 100 for h in histograms
    ]
    traces.append(
        {
            "type": "scatter",
            "x": np.concatenate(edges),
            "y": np.concatenate(shares),
            "mode": "lines",
            "line": {"shape": "hv", "width": 1, "color": "#5b6269" if dark else "#c3c8ce"},
            "connectgaps": False,
            "xaxis": axes[0],
            "yaxis": axes[1],
            "name": name,
            "legendgroup": "before",
            "showlegend": legend,
            "hoverinfo": "skip",
        }
    )


def _domains(count: int) -> list[tuple[float, float]]:
    """``count`` equal columns with the page's gap between them."""
    gap = _GAP / count if count > 1 else 0.0
    width = (1 - gap * (count - 1)) / count
    return [(at * (width + gap), min(1.0, at * (width + gap) + width)) for at in range(count)]


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


def _short(axis: str) -> str:
    """ "xaxis2" → "x2", as traces and anchors name an axis."""
    return axis[0] + axis[5:]
