"""What an inspection found: distances of candidates, recovered constants, distances by layer."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from normviz.figures.theme import CHANNEL_COLOURS, minus, quiet_colour, template
from normviz.inspection import Row, Verdict

CHOSEN = "#2a66c8"
OTHER = "#8a8f95"

_LONGEST = 44


def candidate_bars(verdict: Verdict, most: int, *, dark: bool) -> go.Figure:
    """Draw the nearest candidates' distances, or their shares of the likelihood where there is no
    batch normalization, with 95 % intervals.

    The verdict is blue; the others, the nearest on top, are grey.
    """
    by_share = verdict.evidence == "output"
    known = [row for row in verdict.rows if _value(row, by_share) is not None]
    # Those that were run through the whole network, such as 0 to 255, stand below the nearest.
    rows = [row for at, row in enumerate(known) if at < most or row.top5]
    values = [_value(row, by_share) for row in rows]
    titles = [_short(row) for row in rows]
    at = list(range(len(rows)))
    more = "{value:.1f} % of the likelihood"
    if not by_share:
        more = "{value:.3g}, first in {support:.0f} % of redrawn sets"
    ended = [(at, _interval(row, by_share)) for at, row in enumerate(rows)]
    traces: list[dict] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x for _, ends in ended if ends for x in (*ends, None)],
            "y": [y for place, ends in ended if ends for y in (place, place, None)],
            "line": {"color": quiet_colour(dark), "width": 2},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": values,
            "y": at,
            "marker": {
                "size": 11,
                "color": [CHOSEN if row.key == verdict.key else OTHER for row in rows],
                "symbol": ["diamond" if row.key == verdict.key else "circle" for row in rows],
            },
            "hovertext": [
                minus(f"{row.title}: " + more.format(value=value, support=100 * row.support))
                for row, value in zip(rows, values, strict=True)
            ],
            "hoverinfo": "text",
        },
    ]
    if by_share:
        axis: dict = {"title": {"text": "share of the likelihood (%)"}, "rangemode": "tozero"}
    else:
        axis = {
            "title": {"text": "distance, nats (log scale)"},
            "type": "log",
            "exponentformat": "power",
            "dtick": 2,
        }
    # Titles stand above their lines: beside them they would leave a phone no room for the plot.
    named = [
        {
            "text": title,
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": place - 0.1,
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 11, "color": quiet_colour(dark)},
        }
        for place, title in zip(at, titles, strict=True)
    ]
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": template(dark),
                "height": 70 + 36 * len(rows),
                "margin": {"l": 12, "r": 12, "t": 6, "b": 44},
                "xaxis": axis,
                "yaxis": {
                    "tickvals": at,
                    "showticklabels": False,
                    "range": [len(rows) - 0.6, -0.8],
                    "zeroline": False,
                },
                "annotations": named,
                "showlegend": False,
            },
        }
    )


def _value(row: Row, by_share: bool) -> float | None:
    if not by_share:
        return row.distance
    return None if row.score is None else 100 * row.support


def _interval(row: Row, by_share: bool) -> tuple[float, float] | None:
    if row.interval is None:
        return None
    low, high = row.interval
    return (100 * low, 100 * high) if by_share else (low, high)


def _short(row: Row) -> str:
    """Its title, shortened in the middle: the order of channels tells two rows apart."""
    name, order = row.titles[0], f", {row.order}"
    room = _LONGEST - len(order)
    return (name if len(name) <= room else f"{name[: room - 1]}…") + order


def recovered_constants(verdict: Verdict, *, dark: bool) -> go.Figure:
    """Draw the recovered mean and std of each channel with intervals, beside the verdict's own."""
    found = verdict.recovered
    assert found is not None
    names = ("grey",) if len(found.candidate.mean) == 1 else ("R", "G", "B")
    traces: list[dict] = []
    layout: dict = {
        "template": template(dark),
        "height": 250,
        "margin": {"l": 40, "r": 10, "t": 30, "b": 42},
        "legend": {"orientation": "h", "x": 0, "y": 1.16, "font": {"color": quiet_colour(dark)}},
    }
    for number, (what, values, ends, own) in enumerate(
        (
            ("mean", found.candidate.mean, found.mean_interval, verdict.candidate.mean),
            ("std", found.candidate.std, found.std_interval, verdict.candidate.std),
        ),
        start=1,
    ):
        axis = "" if number == 1 else "2"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": list(values),
                "y": list(names),
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [
                        float(high - value) for value, high in zip(values, ends[1], strict=True)
                    ],
                    "arrayminus": [
                        float(value - low) for value, low in zip(values, ends[0], strict=True)
                    ],
                    "color": quiet_colour(dark),
                    "thickness": 2,
                },
                "marker": {"size": 10, "color": [CHANNEL_COLOURS[name] for name in names]},
                "xaxis": f"x{axis}",
                "yaxis": f"y{axis}",
                "name": "recovered, 95 % interval",
                "showlegend": number == 1,
                "hovertemplate": f"%{{y}}: {what} %{{x:.3f}}<extra></extra>",
            }
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [float(value) for value in own],
                "y": list(names),
                "marker": {
                    "size": 13,
                    "symbol": "diamond-open",
                    "color": CHOSEN,
                    "line": {"width": 2},
                },
                "xaxis": f"x{axis}",
                "yaxis": f"y{axis}",
                "name": "the verdict's",
                "showlegend": number == 1,
                "hovertemplate": f"%{{y}}: {what} %{{x:.3f}}<extra>the verdict's</extra>",
            }
        )
        across = [0.0, 0.46] if number == 1 else [0.54, 1.0]
        layout[f"xaxis{axis}"] = {
            "domain": across,
            "anchor": f"y{axis}",
            "title": {"text": f"{what} (fractions 0 to 1)"},
            "nticks": 5,
        }
        layout[f"yaxis{axis}"] = {
            "anchor": f"x{axis}",
            "type": "category",
            "autorange": "reversed",
            "categoryarray": list(names),
        }
    return go.Figure({"data": traces, "layout": layout})


_LINES = ("#2a66c8", "#d55e00", "#00936b", "#9467bd", "#7a7a7a", "#b98000", "#1c8f97")
_DASHES = ("solid", "dash", "dot", "dashdot", "solid", "dash", "dot")


def distance_by_layer(rows: Sequence[Row], verdict: str, *, dark: bool) -> go.Figure:
    """Draw the distance at every batch normalization, one line a candidate that was run through."""
    traces = []
    for at, row in enumerate(rows):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": list(range(1, len(row.by_layer) + 1)),
                "y": list(row.by_layer),
                "line": {
                    "color": _LINES[at % len(_LINES)],
                    "dash": _DASHES[at % len(_DASHES)],
                    "width": 3 if row.key == verdict else 1.8,
                },
                "name": _short(row),
                "hovertemplate": f"{row.title}, normalization %{{x}}: %{{y:.3g}}<extra></extra>",
            }
        )
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": template(dark),
                "height": 330 + 18 * len(rows),
                "margin": {"l": 58, "r": 10, "t": 10, "b": 46},
                "xaxis": {"title": {"text": "batch normalization, from the input on"}},
                "yaxis": {
                    "title": {"text": "distance, nats (log scale)"},
                    "type": "log",
                    "exponentformat": "power",
                    "dtick": 1,
                },
                "legend": {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0},
            },
        }
    )
