"""Over the depth of a network: numbers of each layer under each method, and channels' shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from normviz.figures.theme import quiet_colour, template, text_colour
from normviz.observe.depth import Measure
from normviz.observe.network import NetworkRecord

MOST_SHIFT = 3.0
"""Shifts are drawn up to so many stds; the scale's ends say so."""


@dataclass(frozen=True, eq=False)
class DepthLine:
    """One feed's record over depth: ``dash`` and ``width`` tell day, night and the reference."""

    title: str
    colour: str
    record: NetworkRecord
    dash: str = "solid"
    width: float = 1.8


def by_depth(
    lines: Sequence[DepthLine],
    measure: Measure,
    reference: NetworkRecord,
    layers: Sequence[str],
    *,
    opened: int | None,
    dark: bool,
) -> go.Figure:
    """Draw a measure of every layer, one line a feed; ``opened`` is the layer shown below.

    ``reference`` is what shifts are counted from. ``layers`` are the layers' names for hovering.
    """
    traces: list[dict] = []
    numbers = list(range(1, len(layers) + 1))
    reach: list[float] = []
    for line in lines:
        found = [
            measure.of(record, held)
            for record, held in zip(line.record.layers, reference.layers, strict=True)
        ]
        for end in range(len(found[0])):
            values = [one[end] for one in found]
            reach.extend(v for v in values if v is not None and np.isfinite(v))
            traces.append(
                {
                    "type": "scatter",
                    "x": numbers,
                    "y": values,
                    "mode": "lines+markers",
                    "line": {"color": line.colour, "dash": line.dash, "width": line.width},
                    "marker": {"size": 4, "color": line.colour},
                    "name": line.title,
                    "legendgroup": line.title,
                    "showlegend": end == 0,
                    "customdata": list(layers),
                    "hovertemplate": f"{line.title}, layer %{{x}} (%{{customdata}}): "
                    "%{y:.3g}<extra></extra>",
                    "connectgaps": False,
                }
            )
    layout = {
        "template": template(dark),
        "height": 330,
        "margin": {"l": 58, "r": 10, "t": 10, "b": 46},
        "xaxis": {**_layer_axis(len(layers)), "range": [0, len(layers) + 1]},
        "yaxis": {"title": {"text": measure.unit}},
        "showlegend": False,
        "hovermode": "closest",
        "clickmode": "event+select",
        "dragmode": False,
        "shapes": _mark(opened, dark),
    }
    positive = [value for value in reach if value > 0]
    if measure.log and positive:
        layout["yaxis"] |= {"type": "log", "exponentformat": "power", "dtick": _decades(positive)}
        layout["yaxis"]["title"] = {"text": f"{measure.unit} (log scale)"}
    return go.Figure({"data": traces, "layout": layout})


def _layer_axis(count: int) -> dict:
    """Layers are whole: between few of them no ticks."""
    axis: dict = {"title": {"text": "layer, from the input on"}}
    return axis | ({"tick0": 0, "dtick": 1} if count <= 12 else {})


def _decades(values: Sequence[float]) -> object:
    """Ticks at 1, 2 and 5 for a few decades, at powers of ten for many."""
    span = np.log10(max(values)) - np.log10(min(values))
    return "D2" if span < 1.5 else 1 if span < 8 else round(span / 6)


def _mark(opened: int | None, dark: bool) -> list[dict]:
    if opened is None:
        return []
    return [
        {
            "type": "line",
            "x0": opened + 1,
            "x1": opened + 1,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": quiet_colour(dark), "width": 1, "dash": "dot"},
        }
    ]


def shift_map(
    values: np.ndarray,
    channels: np.ndarray,
    layers: Sequence[str],
    reference: str,
    *,
    opened: int | None,
    dark: bool,
) -> go.Figure:
    """Draw the ranked shifts ``(rows, layers)`` of channels: blue below, red above the reference.

    ``channels`` are the channels (from 0) that the values are of.
    """
    rows = values.shape[0]
    share = [100 * (at + 0.5) / rows for at in range(rows)]
    told = np.empty((*values.shape, 2), object)
    told[..., 0] = channels + 1
    told[..., 1] = np.array(list(layers), object)[np.newaxis, :]
    middle = "#2b2f33" if dark else "#f4f4f4"
    return go.Figure(
        {
            "data": [
                {
                    "type": "heatmap",
                    "z": values,
                    "x": list(range(1, values.shape[1] + 1)),
                    "y": share,
                    "customdata": told,
                    "zmin": -MOST_SHIFT,
                    "zmax": MOST_SHIFT,
                    "colorscale": [
                        [0.0, "#2166ac"],
                        [0.25, "#78aed6"],
                        [0.5, middle],
                        [0.75, "#ef9b7a"],
                        [1.0, "#b2182b"],
                    ],
                    "colorbar": {
                        "title": {"text": "stds", "side": "top"},
                        "thickness": 10,
                        "tickvals": [-3, -2, -1, 0, 1, 2, 3],
                        "ticktext": ["≤ −3", "−2", "−1", "0", "1", "2", "≥ 3"],
                        "outlinewidth": 0,
                        "tickfont": {"color": text_colour(dark)},
                    },
                    "hovertemplate": "layer %{x} (%{customdata[1]}), channel %{customdata[0]}: "
                    f"mean %{{z:.2f}} stds from that under {reference}<extra></extra>",
                    "hoverongaps": False,
                }
            ],
            "layout": {
                "template": template(dark),
                "height": 330,
                "margin": {"l": 58, "r": 10, "t": 10, "b": 46},
                "xaxis": {**_layer_axis(values.shape[1]), "showgrid": False},
                "yaxis": {
                    "title": {"text": "channels of the layer, by shift (%)"},
                    "showgrid": False,
                    "tickvals": [0, 25, 50, 75, 100],
                    "range": [0, 100],
                },
                "shapes": _mark(opened, dark),
            },
        }
    )


def channel_shifts(
    values: np.ndarray, colour: str, title: str, *, opened: int, dark: bool
) -> go.Figure:
    """Draw the shift of each channel of a layer, in stds of the reference; ``opened`` is marked."""
    numbers = list(range(1, len(values) + 1))
    mark = {"size": 12, "symbol": "circle-open", "color": text_colour(dark), "line": {"width": 2}}
    return go.Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "x": numbers,
                    "y": values,
                    "mode": "markers",
                    "marker": {"size": 6, "color": colour},
                    "hovertemplate": f"channel %{{x}}: {title} %{{y:.2f}} stds<extra></extra>",
                },
                {
                    "type": "scatter",
                    "x": [opened + 1],
                    "y": [values[opened]],
                    "mode": "markers",
                    "marker": mark,
                    "hoverinfo": "skip",
                },
            ],
            "layout": {
                "template": template(dark),
                "height": 210,
                "margin": {"l": 58, "r": 10, "t": 6, "b": 42},
                "xaxis": {"title": {"text": "channel"}, "range": [0, len(values) + 1]},
                "yaxis": {"title": {"text": "shift (stds)"}},
                "showlegend": False,
                "clickmode": "event+select",
                "dragmode": False,
            },
        }
    )


def filter_picture(weights: np.ndarray, inputs: str, *, dark: bool) -> go.Figure:
    """Draw one filter's weights ``(C, k, k)``: as a colour picture, a grid, or bars for 1 × 1.

    ``inputs`` says what its C inputs are.
    """
    channels, height, width = weights.shape
    layout: dict = {
        "template": template(dark),
        "height": 190,
        "margin": {"l": 46, "r": 10, "t": 4, "b": 40},
    }
    if height * width == 1:
        flat = weights[:, 0, 0]
        order = np.argsort(-np.abs(flat), kind="stable")[:20]
        data: dict = {
            "type": "bar",
            "x": [f"{at + 1}" for at in order],
            "y": flat[order],
            "marker": {"color": ["#b2182b" if v > 0 else "#2166ac" for v in flat[order]]},
            "hovertemplate": "input %{x}: weight %{y:.3g}<extra></extra>",
        }
        layout["xaxis"] = {"title": {"text": f"largest, by {inputs}"}, "type": "category"}
        layout["yaxis"] = {"title": {"text": "weight"}}
        return go.Figure({"data": [data], "layout": layout})
    reach = float(np.abs(weights).max()) or 1.0
    axes = {"showgrid": False, "showticklabels": False, "zeroline": False}
    layout["margin"] = {"l": 4, "r": 4, "t": 4, "b": 4}
    layout["xaxis"] = {**axes, "scaleanchor": "y", "constrain": "domain"}
    layout["yaxis"] = {**axes, "autorange": "reversed"}
    if channels == 3:
        # Zero is mid-grey, so that a filter that answers to no colour looks grey.
        picture = np.moveaxis(127.5 + 127.5 * weights / reach, 0, 2)
        data = {
            "type": "image",
            "z": picture.round().astype(np.uint8),
            "customdata": np.moveaxis(weights, 0, 2),
            "hovertemplate": "R %{customdata[0]:.3g}, G %{customdata[1]:.3g}, "
            "B %{customdata[2]:.3g}<extra></extra>",
        }
    else:
        side = int(np.ceil(np.sqrt(min(channels, 16))))
        grid = np.full((side * (height + 1) - 1, side * (width + 1) - 1), np.nan)
        for at, plane in enumerate(weights[: side * side]):
            row, column = divmod(at, side)
            top, left = row * (height + 1), column * (width + 1)
            grid[top : top + height, left : left + width] = plane
        data = {
            "type": "heatmap",
            "z": grid,
            "zmin": -reach,
            "zmax": reach,
            "colorscale": [
                [0, "#2166ac"],
                [0.5, "#2b2f33" if dark else "#f4f4f4"],
                [1, "#b2182b"],
            ],
            "colorbar": {"thickness": 8, "outlinewidth": 0},
            "hovertemplate": "weight %{z:.3g}<extra></extra>",
            "hoverongaps": False,
        }
    return go.Figure({"data": [data], "layout": layout})
