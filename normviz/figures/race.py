"""A race of normalizations: its curves, its end, learning rates, and what the filters became."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from normviz.figures.theme import METHOD_COLOURS, quiet_colour, template, text_colour
from normviz.lab.course import Line
from normviz.lab.evidence import Effect

# What the lab's methods are called in the catalogue, whose colours they share. The lab's own
# "std only" takes the one of the same family that it has no method for.
_CATALOGUE = {
    "raw255": "none",
    "raw1": "scale_01",
    "ds_mean": "dataset_mean",
    "ds_scale": "dataset_pixel_zscore",
    "ds_z": "dataset_zscore",
    "px_mean": "dataset_mean_image",
    "img_mean": "image_mean",
    "img_z": "image_standardize",
    "imgch_z": "image_channel_standardize",
    "lcn": "lcn",
    "zca": "image_zca",
}

_HEADROOM = 1.04


def colour_of(key: str) -> str:
    """The colour of one of the lab's methods: that of the same method on other pages.

    >>> colour_of("img_z") == METHOD_COLOURS["image_standardize"]
    True
    """
    return METHOD_COLOURS[_CATALOGUE[key]]


@dataclass(frozen=True, eq=False)
class RaceLine:
    """One method's line, with what it is called, its colour and its dashes (Plotly's names)."""

    title: str
    colour: str
    line: Line
    dash: str = "solid"


def race_curves(
    lines: Sequence[RaceLine],
    *,
    unit: str,
    steps: int,
    dark: bool,
    level: tuple[float, str] | None = None,
    top: float | None = None,
    percent: bool = False,
    height: int = 330,
) -> go.Figure:
    """Draw a measure over the steps: a line a method, its band from lowest to highest seed.

    A line that ends with × is of a method that diverged there. ``level`` is a value that is drawn
    across, with its words; ``top`` is where the picture ends, however high a line goes. Without
    it, values more than a hundredfold apart are drawn on a log scale.
    """
    factor = 100.0 if percent else 1.0
    traces: list[dict] = []
    reach = [factor * v for one in lines for v in one.line.high if math.isfinite(v)]
    highest = max(reach, default=1.0) * _HEADROOM
    if top is not None:
        highest = min(highest, top) if reach else top
    for one in lines:
        line = one.line
        low, mean, high = (
            [factor * v for v in values] for values in (line.low, line.mean, line.high)
        )
        about = {"legendgroup": one.title, "showlegend": False, "type": "scatter"}
        if line.steps:
            traces.append(
                {
                    **about,
                    "x": [*line.steps, *reversed(line.steps)],
                    "y": [*high, *reversed(low)],
                    "fill": "toself",
                    "fillcolor": _faint(one.colour),
                    "line": {"width": 0},
                    "mode": "lines",
                    "hoverinfo": "skip",
                    "name": f"{one.title}, lowest to highest seed",
                }
            )
        traces.append(
            {
                **about,
                "x": list(line.steps),
                "y": mean,
                "mode": "lines" if len(line.steps) > 1 else "markers",
                "line": {"color": one.colour, "width": 2.2, "dash": one.dash},
                "marker": {"color": one.colour, "size": 7},
                "name": one.title,
                "hovertemplate": f"{one.title}, step %{{x}}: %{{y:.3g}}<extra></extra>",
            }
        )
        if line.ended is not None:
            at = line.steps[-1] if line.steps else line.ended
            last = mean[-1] if mean else highest
            traces.append(
                {
                    **about,
                    "x": [at],
                    "y": [min(last, highest)],
                    "mode": "markers",
                    "marker": {
                        "symbol": "x",
                        "size": 11,
                        "color": one.colour,
                        "line": {"width": 1, "color": text_colour(dark)},
                    },
                    "cliponaxis": False,
                    "name": f"{one.title} diverged",
                    "hovertemplate": f"{one.title}: {line.diverged} diverged by step "
                    f"{line.ended}<extra></extra>",
                }
            )
    layout: dict = {
        "template": template(dark),
        "height": height,
        "margin": {"l": 52, "r": 14, "t": 12, "b": 44},
        "xaxis": {"title": {"text": "training step"}, "range": [0, steps * 1.01]},
        "yaxis": {"title": {"text": unit}, "range": [0, highest]},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
    }
    positive = [v for one in lines for v in one.line.mean if math.isfinite(v) and v > 0]
    if top is None and positive and max(positive) > 100 * min(positive):
        layout["yaxis"] = {
            "title": {"text": f"{unit} (log scale)"},
            "type": "log",
            "exponentformat": "power",
        }
    if level is not None and level[0] <= highest:
        layout |= _across(level, dark)
    return go.Figure({"data": traces, "layout": layout})


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _across(level: tuple[float, str], dark: bool) -> dict:
    value, words = level
    quiet = quiet_colour(dark)
    return {
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": value,
                "y1": value,
                "line": {"color": quiet, "width": 1, "dash": "dot"},
            }
        ],
        "annotations": [
            {
                "xref": "paper",
                "x": 1,
                "xanchor": "right",
                "y": value,
                "yanchor": "bottom",
                "text": words,
                "showarrow": False,
                "font": {"size": 11, "color": quiet},
            }
        ],
    }


@dataclass(frozen=True, eq=False)
class Bar:
    """A method's accuracy in percent: its mean, its interval, and each seed's."""

    title: str
    colour: str
    mean: Effect
    seeds: Sequence[float]


def accuracy_bars(bars: Sequence[Bar], chance: float, *, dark: bool) -> go.Figure:
    """Draw test accuracy as lying bars with 95 % intervals, each seed a dot; chance is a line."""
    titles = [bar.title for bar in bars]
    means = [bar.mean for bar in bars]
    reached = [(m.low, m.high) if math.isfinite(m.half) else (m.mean, m.mean) for m in means]
    data: list[dict] = [
        {
            "type": "bar",
            "orientation": "h",
            "y": titles,
            "x": [mean.mean for mean in means],
            "marker": {"color": [bar.colour for bar in bars], "opacity": 0.75},
            "error_x": {
                "type": "data",
                "array": [high - m.mean for m, (_, high) in zip(means, reached, strict=True)],
                "arrayminus": [m.mean - low for m, (low, _) in zip(means, reached, strict=True)],
                "color": text_colour(dark),
                "thickness": 1.6,
                "width": 5,
            },
            "width": 0.62,
            "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
            "name": "mean over seeds",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": [float(v) for bar in bars for v in bar.seeds],
            "y": [bar.title for bar in bars for _ in bar.seeds],
            "marker": {
                "size": 7,
                "color": "#111315" if dark else "#ffffff",
                "line": {"width": 1.5, "color": text_colour(dark)},
            },
            "hovertemplate": "one seed, %{y}: %{x:.1f} %<extra></extra>",
            "name": "seeds",
        },
    ]
    line = {"color": quiet_colour(dark), "width": 1, "dash": "dot"}
    ends = [high for _, high in reached]
    ends += [float(v) for bar in bars for v in bar.seeds]
    reach = min(100.0, 10.0 * math.ceil(max(ends) / 10 + 0.2))
    return go.Figure(
        {
            "data": data,
            "layout": {
                "template": template(dark),
                "height": 90 + 40 * len(bars),
                "margin": {"l": 8, "r": 14, "t": 20, "b": 44},
                "xaxis": {"title": {"text": "test images named rightly (%)"}, "range": [0, reach]},
                "yaxis": {"autorange": "reversed", "automargin": True, "showgrid": False},
                "showlegend": False,
                "dragmode": False,
                "shapes": [
                    {
                        "type": "line",
                        "yref": "paper",
                        "x0": chance,
                        "x1": chance,
                        "y0": 0,
                        "y1": 1,
                        "line": line,
                    }
                ],
                "annotations": [
                    {
                        "yref": "paper",
                        "x": chance,
                        "y": 1,
                        "yanchor": "bottom",
                        "text": "guessing",
                        "showarrow": False,
                        "font": {"size": 11, "color": quiet_colour(dark)},
                    }
                ],
            },
        }
    )


def rate_map(
    losses: np.ndarray,
    accuracies: np.ndarray | None,
    titles: Sequence[str],
    rates: Sequence[float],
    guessing: float,
    *,
    dark: bool,
) -> go.Figure:
    """Draw final training loss ``(methods, rates)``, dark where low; what diverged is said so.

    ``accuracies`` in percent are told on hovering, where they are known; ``guessing`` is the loss
    of knowing nothing, where the scale ends.
    """
    known = np.isfinite(losses)
    words = np.full(losses.shape, "", object)
    for place in zip(*np.nonzero(known), strict=True):
        words[place] = f"{losses[place]:.2f}"
    return go.Figure(
        {
            "data": [
                {
                    "type": "heatmap",
                    "z": np.where(known, losses, np.nan),
                    "x": [f"{rate:g}" for rate in rates],
                    "y": list(titles),
                    "text": words,
                    "texttemplate": "%{text}",
                    "textfont": {"size": 12},
                    "customdata": accuracies,
                    "zmin": 0,
                    "zmax": guessing,
                    "colorscale": [[0, "#1f4e79"], [0.5, "#6f9fc8"], [1, "#e9eef3"]],
                    "colorbar": {
                        "title": {"text": "loss (nats)", "side": "top"},
                        "thickness": 10,
                        "outlinewidth": 0,
                        "tickfont": {"color": text_colour(dark)},
                    },
                    "xgap": 2,
                    "ygap": 2,
                    "hovertemplate": "%{y}, learning rate %{x}: training loss %{text}"
                    + ("" if accuracies is None else ", %{customdata:.0f} % right")
                    + "<extra></extra>",
                    "hoverongaps": False,
                }
            ],
            "layout": {
                "template": template(dark),
                "height": 110 + 40 * len(titles),
                "margin": {"l": 8, "r": 8, "t": 10, "b": 46},
                "xaxis": {
                    "title": {"text": "learning rate"},
                    "type": "category",
                    "showgrid": False,
                },
                "yaxis": {"autorange": "reversed", "automargin": True, "showgrid": False},
                "dragmode": False,
                "annotations": [
                    {
                        # By place: a text such as "1" would be taken for one.
                        "x": int(rate),
                        "y": int(method),
                        "text": "diverged",
                        "showarrow": False,
                        "font": {"size": 11, "color": quiet_colour(dark)},
                    }
                    for method, rate in np.argwhere(~known)
                ],
            },
        }
    )


def filter_sheet(weights: np.ndarray, gap: int = 1) -> np.ndarray:
    """Return filters ``(k, k, C, n)`` as one 8-bit picture in rows of four, zero as mid-grey.

    Black and white are ∓ the largest weight of them all. Weights that are not finite are grey.
    """
    side, _, channels, number = weights.shape
    known = np.where(np.isfinite(weights), weights, 0.0)
    reach = float(np.abs(known).max()) or 1.0
    shades = np.rint(127.5 + 127.5 * known / reach).astype(np.uint8)
    columns = min(4, number)
    rows = -(-number // columns)
    sheet = np.full(
        (rows * (side + gap) - gap, columns * (side + gap) - gap, channels), 127, np.uint8
    )
    for at in range(number):
        row, column = divmod(at, columns)
        top, left = row * (side + gap), column * (side + gap)
        sheet[top : top + side, left : left + side] = shades[..., at]
    return sheet
