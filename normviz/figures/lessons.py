"""Figures of the lab's experiments, from the tables of their results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import plotly.graph_objects as go

from normviz.figures.race import colour_of
from normviz.figures.theme import (
    CHANNEL_COLOURS,
    quiet_colour,
    template,
    text_colour,
)
from normviz.lab import NORMALIZATIONS

LAB_COLOURS = {key: colour_of(key) for key in NORMALIZATIONS}
"""The lab's normalizations have the colours of the catalogue's methods that they are."""

_DASHES = ("solid", "dash", "dot", "dashdot")
_GREY = "#8a8f95"

Pairs = Sequence[Sequence[float | None]]
"""Mean and standard deviation over seeds, one pair a place; on a log scale geometric ones."""


def title_of(key: str) -> str:
    return NORMALIZATIONS[key].title if key in NORMALIZATIONS else key


def curves(
    x: Sequence[float],
    lines: Mapping[str, Pairs],
    x_title: str,
    y_title: str,
    *,
    dark: bool,
    reference: tuple[str, Sequence[float]] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> go.Figure:
    """Draw means over seeds as lines, their standard deviations as bands.

    With ``log_y`` both are geometric: a band reaches from mean ÷ deviation to mean × deviation.
    ``reference`` is a line without a band, such as what could be reached at best.
    """
    traces: list[dict] = []
    for at, (key, pairs) in enumerate(lines.items()):
        colour = LAB_COLOURS.get(key, ("#2a66c8", "#d55e00", "#00936b", _GREY)[at % 4])
        mean = [pair[0] for pair in pairs]
        known = []
        for place, pair in zip(x, pairs, strict=True):
            if pair[0] is not None:
                below, above = _reach(pair, log_y)
                known.append((place, pair[0] - below, pair[0] + above))
        if known:
            places = [one[0] for one in known]
            traces.append(
                {
                    "type": "scatter",
                    "x": [*places, *reversed(places)],
                    "y": [*(high for _, _, high in known), *(low for _, low, _ in reversed(known))],
                    "fill": "toself",
                    "fillcolor": _faint(colour),
                    "line": {"width": 0},
                    "mode": "lines",
                    "hoverinfo": "skip",
                    "showlegend": False,
                    "name": f"{title_of(key)}, spread",
                }
            )
        traces.append(
            {
                "type": "scatter",
                "x": list(x),
                "y": mean,
                "mode": "lines+markers",
                "line": {"color": colour, "width": 2.2, "dash": _DASHES[at % 4]},
                "marker": {"size": 6},
                "name": title_of(key),
                "customdata": [pair[1] for pair in pairs],
                "hovertemplate": f"{title_of(key)}: %{{y:.3g}} {'×÷' if log_y else '±'} "
                "%{customdata:.3g}<extra></extra>",
            }
        )
    if reference is not None:
        name, values = reference
        traces.append(
            {
                "type": "scatter",
                "x": list(x),
                "y": list(values),
                "mode": "lines",
                "line": {"color": quiet_colour(dark), "width": 1.5, "dash": "dash"},
                "name": name,
            }
        )
    layout = _layout(dark, x_title, y_title)
    if log_x:
        layout["xaxis"] |= {"type": "log", "tickvals": list(x), "ticktext": [f"{v:.3g}" for v in x]}
    if log_y:
        layout["yaxis"] |= {"type": "log", **_log_ticks(chain.from_iterable(lines.values()))}
    return go.Figure({"data": traces, "layout": layout})


def _reach(pair: Sequence[float | None], log: bool) -> tuple[float, float]:
    """Return how far below and above its mean a band or bar reaches, 0 where nothing is known.

    On a log scale the deviation is a factor.
    """
    mean, deviation = pair
    if mean is None or deviation is None:
        return 0.0, 0.0
    if log:
        return mean - mean / deviation, mean * deviation - mean
    return deviation, deviation


def _log_ticks(pairs: Iterable[Sequence[float | None]]) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 of each decade, or at whole decades where there are many."""
    seen = [pair[0] for pair in pairs if pair[0]]
    low, high = min(seen, default=1.0), max(seen, default=1.0)
    if high / low > 1000:
        return {"dtick": 1, "exponentformat": "power"}
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return {"tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}


def bars(
    groups: Mapping[str, Mapping[str, Sequence[float | None]]],
    y_title: str,
    *,
    dark: bool,
    log: bool = False,
    start: float = 0.0,
    colours: Mapping[str, str] = LAB_COLOURS,
) -> go.Figure:
    """Draw a mean with its standard deviation over seeds for each group and each key in it.

    With ``log`` both are geometric, as in :func:`curves`.
    ``start`` is where the axis begins: chance, where that is not 0.
    """
    keys = list(dict.fromkeys(key for group in groups.values() for key in group))
    traces = []
    for at, key in enumerate(keys):
        pairs = [group.get(key, (None, None)) for group in groups.values()]
        reach = [_reach(pair, log) for pair in pairs]
        traces.append(
            {
                "type": "bar",
                "x": list(groups),
                "y": [pair[0] for pair in pairs],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [above for _, above in reach],
                    "arrayminus": [below for below, _ in reach],
                    "color": text_colour(dark),
                    "thickness": 1.3,
                    "width": 4,
                },
                "marker": {
                    "color": colours.get(key, ("#2a66c8", "#b98000", "#00936b", _GREY)[at % 4])
                },
                "name": title_of(key),
                "hovertemplate": f"{title_of(key)}, %{{x}}: %{{y:.3g}}<extra></extra>",
            }
        )
    layout = _layout(dark, "", y_title)
    layout["barmode"] = "group"
    if log:
        layout["yaxis"] |= {
            "type": "log",
            **_log_ticks(pair for group in groups.values() for pair in group.values()),
        }
    elif start:
        layout["yaxis"]["range"] = [start, None]
    return go.Figure({"data": traces, "layout": layout})


def nuisance_points(points: Sequence[Mapping[str, Any]], by: str, *, dark: bool) -> go.Figure:
    """Draw what per-image standardization gains against a share of the variance, a point a set."""
    traces = []
    symbols = ("circle", "diamond", "square")
    colours = ("#2a66c8", "#d55e00", "#00936b")
    for at, name in enumerate(dict.fromkeys(point["set"] for point in points)):
        own = [point for point in points if point["set"] == name]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [100 * point[by][0] for point in own],
                "y": [point["gap"][0] for point in own],
                "error_y": {
                    "type": "data",
                    "array": [point["gap"][1] for point in own],
                    "thickness": 1.2,
                    "color": quiet_colour(dark),
                },
                "marker": {"size": 11, "symbol": symbols[at % 3], "color": colours[at % 3]},
                "name": name,
                "customdata": [point["sigma"] for point in own],
                "hovertemplate": f"{name}, light spread by %{{customdata}} EV: share %{{x:.0f}} %, "
                "gain %{y:.1f} points<extra></extra>",
            }
        )
    layout = _layout(
        dark,
        "nuisance in brightness (% of its variance)"
        if by == "share"
        else "intra-class correlation (%)",
        "own less dataset's mean and std (points)",
    )
    return go.Figure({"data": traces, "layout": layout})


def loss_surface(offset: float, rate: float, steps: int, *, dark: bool) -> go.Figure:
    """Draw the loss of two weights, inputs with mean ``offset``, and gradient descent over it.

    Inputs are N(offset, 1) twice, the loss is ½ E[(w − w*)ᵀ x]², so its Hessian is
    H = I + offset² · 11ᵀ: eigenvalues 1 and 1 + 2 · offset², all exact. ``rate`` is in units of
    1 / λmax; the path has so many ``steps``.
    """
    hessian, best = surface_of(offset)
    reach = np.linspace(-2.2, 2.2, 61)
    across, up = np.meshgrid(reach, reach)
    off = np.stack([across - best[0], up - best[1]], axis=-1)
    loss = 0.5 * np.einsum("...i,ij,...j", off, hessian, off)
    path = descent(offset, rate, steps)
    inside = np.abs(path).max(axis=1) < 2.2
    end = int(np.argmin(inside)) if not inside.all() else len(path)
    path = path[: max(end + 1, 2)]
    data = [
        {
            "type": "contour",
            "x": reach,
            "y": reach,
            "z": np.sqrt(loss),
            "contours": {"coloring": "lines"},
            "ncontours": 18,
            "colorscale": [[0, "#2a66c8"], [1, quiet_colour(dark)]],
            "showscale": False,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": path[:, 0],
            "y": path[:, 1],
            "mode": "lines+markers",
            "line": {"color": "#d55e00", "width": 2},
            "marker": {"size": 6},
            "name": "gradient descent",
            "hovertemplate": "step %{pointNumber}<extra></extra>",
        },
        {
            "type": "scatter",
            "x": [best[0]],
            "y": [best[1]],
            "mode": "markers",
            "marker": {"symbol": "cross", "size": 13, "color": text_colour(dark)},
            "name": "best weights",
            "hoverinfo": "name",
        },
    ]
    layout = _layout(dark, "weight 1", "weight 2")
    layout |= {"height": 420}
    layout["xaxis"] |= {"range": [-2.2, 2.2], "constrain": "domain"}
    layout["yaxis"] |= {"range": [-2.2, 2.2], "scaleanchor": "x"}
    return go.Figure({"data": data, "layout": layout})


def surface_of(offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the Hessian I + offset² · 11ᵀ and the best weights of :func:`loss_surface`."""
    return np.eye(2) + offset**2 * np.ones((2, 2)), np.array([1.0, -0.4])


def descent(offset: float, rate: float, steps: int) -> np.ndarray:
    """Return the path ``(steps + 1, 2)`` of gradient descent at ``rate`` / λmax.

    >>> bool(abs(descent(0.0, 1.0, 1)[-1] - surface_of(0.0)[1]).max() < 1e-12)  # round: one step
    True
    """
    hessian, best = surface_of(offset)
    largest = float(np.linalg.eigvalsh(hessian)[-1])
    w = np.array([-1.6, -1.2])
    path = [w]
    for _ in range(steps):
        w = w - rate / largest * hessian @ (w - best)
        path.append(w)
    return np.array(path)


def histogram(
    values: np.ndarray,
    mark: tuple[str, float],
    x_title: str,
    span: tuple[float, float],
    *,
    dark: bool,
) -> go.Figure:
    """Draw how often values fall where; ``mark`` is a name and a place drawn as a line."""
    name, place = mark
    counts, edges = np.histogram(np.clip(values, *span), 60, span)
    layout = _layout(dark, x_title, "share (%)")
    layout |= {
        "height": 300,
        "bargap": 0.04,
        "showlegend": False,
        "margin": {"l": 62, "r": 12, "t": 24, "b": 46},
        "shapes": [
            {
                "type": "line",
                "x0": place,
                "x1": place,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": "#d55e00", "width": 2},
            }
        ],
        "annotations": [
            {
                "x": place,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "text": name,
                "showarrow": False,
            }
        ],
    }
    layout["xaxis"] |= {"range": list(span)}
    return go.Figure(
        {
            "data": [
                {
                    "type": "bar",
                    "x": (edges[1:] + edges[:-1]) / 2,
                    "y": 100 * counts / max(1, len(values)),
                    "marker": {"color": "#3f8fdc"},
                    "hovertemplate": "%{x:.3g}: %{y:.1f} %<extra></extra>",
                }
            ],
            "layout": layout,
        }
    )


def split_bars(splits: Mapping[str, tuple[float, float]], *, dark: bool) -> go.Figure:
    """Draw the nuisance and the signal in the brightness of images, in % of all variance."""
    traces = []
    for at, (name, colour, pattern) in enumerate(
        (("nuisance: within a class", "#d55e00", "/"), ("signal: between classes", "#2a66c8", ""))
    ):
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "y": list(splits),
                "x": [100 * parts[at] for parts in splits.values()],
                "name": name,
                "marker": {"color": colour, "pattern": {"shape": pattern}},
                "hovertemplate": f"%{{y}}: {name} %{{x:.1f}} %<extra></extra>",
            }
        )
    layout = _layout(dark, "of the variance of all values (%)", "")
    layout |= {"height": 240, "barmode": "stack"}
    layout["yaxis"] = {"automargin": True, "type": "category", "autorange": "reversed"}
    layout["xaxis"] |= {"range": [0, 100]}
    layout["legend"]["y"] = -0.3
    return go.Figure({"data": traces, "layout": layout})


def channel_shares(methods: Mapping[str, Mapping[str, Any]], *, dark: bool) -> go.Figure:
    """Draw each colour channel's share of the first layer's gradient under each method."""
    groups = {
        title_of(key): dict(zip(("R", "G", "B"), numbers["shares"], strict=True))
        for key, numbers in methods.items()
    }
    return bars(groups, "share of the gradient's norm", dark=dark, colours=CHANNEL_COLOURS)


def _layout(dark: bool, x_title: str, y_title: str) -> dict:
    return {
        "template": template(dark),
        "height": 380,
        "margin": {"l": 62, "r": 12, "t": 10, "b": 92},
        "xaxis": {"title": {"text": x_title}},
        "yaxis": {"title": {"text": y_title}},
        "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
    }


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"
