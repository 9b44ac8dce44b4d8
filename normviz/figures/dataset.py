"""A set of images in figures: its variance split, its images as points, its labels, its mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from normviz.figures.theme import CHANNEL_COLOURS, channel_line, quiet_colour, template
from normviz.observe.dataset import Convergence, LabelNumbers

# The colours of dataset and of per-image standardization, which keeps or removes what lies between.
_WITHIN, _BETWEEN = "#2a66c8", "#b3472e"

# Told apart by hue and by shape; each hue keeps 3 : 1 against both page backgrounds.
_LABELS = (
    ("#2a66c8", "circle"),
    ("#d55e00", "square"),
    ("#00936b", "diamond"),
    ("#b8659a", "triangle-up"),
    ("#b98000", "triangle-down"),
    ("#3f8fdc", "x"),
    ("#7a7a7a", "cross"),
    ("#7c4eae", "star"),
    ("#b3472e", "pentagon"),
    ("#1c8f97", "hexagon"),
)

MOST_COLOURED = len(_LABELS)
"""With more labels than this all points are alike; pointing at one tells its label."""

MOST_LABELS_DRAWN = 40


def variance_split(
    names: Sequence[str], within: np.ndarray, between: np.ndarray, *, dark: bool
) -> go.Figure:
    """Draw one bar a channel: the shares of its variance within and between images, in %."""
    total = np.asarray(within) + np.asarray(between)
    traces = []
    for title, part, colour, pattern in (
        ("within images", within, _WITHIN, ""),
        ("between images", between, _BETWEEN, "/"),
    ):
        share = 100 * np.divide(part, total, out=np.zeros_like(total), where=total > 0)
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "y": list(names),
                "x": share,
                "name": title,
                "marker": {
                    "color": colour,
                    "pattern": {
                        "shape": pattern,
                        "fillmode": "overlay",
                        "fgcolor": "#ffffff",
                        "fgopacity": 0.3,
                    },
                },
                "text": [f"{value:.1f} %" if value >= 8 else "" for value in share],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "textfont": {"color": "#ffffff", "size": 12},
                "hovertemplate": "%{y}: %{x:.2f} % " + title + "<extra></extra>",
            }
        )
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": template(dark),
                "height": 74 + 34 * len(names),
                "barmode": "stack",
                "bargap": 0.3,
                "margin": {"l": 34, "r": 28, "t": 30, "b": 34},
                "xaxis": {"range": [0, 100], "ticksuffix": " %", "nticks": 6},
                "yaxis": {"autorange": "reversed", "showgrid": False},
                "legend": _legend(dark),
            },
        }
    )


@dataclass(frozen=True)
class Points:
    """Images as points: their places, titles, labels, and what is measured across and up."""

    places: Sequence[int]
    titles: Sequence[str]
    labels: Sequence[str | None]
    x: np.ndarray
    y: np.ndarray
    x_title: str
    y_title: str


def image_scatter(points: Points, *, dark: bool) -> go.Figure:
    """Draw a point an image, coloured and shaped by label while labels are few.

    A point's ``customdata`` starts with the image's place.
    """
    labels = sorted({label for label in points.labels if label is not None})
    few = 1 < len(labels) <= MOST_COLOURED
    groups: dict[str | None, list[int]] = {}
    for at, label in enumerate(points.labels):
        groups.setdefault(label if few else None, []).append(at)
    looks = dict(zip(labels, _LABELS, strict=False)) if few else {}
    traces = []
    for label in sorted(groups, key=lambda one: (one is None, one)):
        members = groups[label]
        colour, shape = looks.get(label or "", ("#3f8fdc" if not few else "#7a7a7a", "circle"))
        said = [f" ({points.labels[i]})" if points.labels[i] is not None else "" for i in members]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": points.x[members],
                "y": points.y[members],
                "customdata": [
                    [int(points.places[i]), f"{points.titles[i]}{s}"]
                    for i, s in zip(members, said, strict=True)
                ],
                "name": label if label is not None else "no label",
                "marker": {"size": 9, "color": colour, "symbol": shape, "opacity": 0.85},
                "selected": {"marker": {"opacity": 1.0}},
                "unselected": {"marker": {"opacity": 0.2}},
                "hovertemplate": "%{customdata[1]}<br>%{x:.4g} across, %{y:.4g} up<extra></extra>",
            }
        )
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": template(dark),
                "height": 460,
                "margin": {"l": 56, "r": 10, "t": 34 if not few else 58, "b": 50},
                "dragmode": "lasso",
                "hovermode": "closest",
                "showlegend": few,
                "legend": _legend(dark),
                "xaxis": {"title": {"text": points.x_title}, "zeroline": False},
                "yaxis": {"title": {"text": points.y_title}, "zeroline": False},
            },
        }
    )


def label_dots(labels: Sequence[LabelNumbers], unit: str, *, dark: bool) -> go.Figure:
    """Draw mean ± std of each label, the brightest on top; of many, the darkest and brightest."""
    half = MOST_LABELS_DRAWN // 2
    shown = list(labels) if len(labels) <= MOST_LABELS_DRAWN else [*labels[:half], *labels[-half:]]
    return go.Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [one.mean for one in shown],
                    "y": [one.label for one in shown],
                    "error_x": {
                        "type": "data",
                        "array": [one.std for one in shown],
                        "thickness": 1.5,
                        "width": 4,
                        "color": quiet_colour(dark),
                    },
                    "marker": {"size": 11, "color": "#3f8fdc"},
                    "customdata": [[one.std, one.images] for one in shown],
                    "hovertemplate": "%{y}: mean %{x:.4g}, std %{customdata[0]:.4g}, "
                    "%{customdata[1]} images<extra></extra>",
                }
            ],
            "layout": {
                "template": template(dark),
                "height": 76 + 26 * len(shown),
                "margin": {"l": 10, "r": 10, "t": 8, "b": 46},
                "xaxis": {"title": {"text": f"mean ± std of all values ({unit})"}},
                "yaxis": {"automargin": True, "type": "category"},
                "showlegend": False,
            },
        }
    )


def running_mean(found: Convergence, names: Sequence[str], unit: str, *, dark: bool) -> go.Figure:
    """Draw the mean of each channel over the images read so far, its 95 % band and its end.

    The end of a pass that was stopped is named an estimate.
    """
    end = "final value" if found.complete else f"estimate from all {found.read:,} images read"
    traces: list[dict] = []
    finals: list[dict] = []
    for at, name in enumerate(names):
        line = channel_line(name, at)
        mean, half = found.mean[:, at], found.half_width[:, at]
        known = np.isfinite(half)
        if known.any():
            x = found.images[known]
            low, high = (mean - half)[known], (mean + half)[known]
            traces.append(
                {
                    "type": "scatter",
                    "x": np.concatenate([x, x[::-1]]),
                    "y": np.concatenate([high, low[::-1]]),
                    "mode": "lines",
                    "line": {"width": 0},
                    "fill": "toself",
                    "fillcolor": _faint(CHANNEL_COLOURS.get(name, "#808080")),
                    "hoverinfo": "skip",
                    "name": f"{name}, 95 % band",
                    "legendgroup": name,
                    "showlegend": False,
                }
            )
        traces.append(
            {
                "type": "scatter",
                "x": found.images,
                "y": mean,
                "mode": "lines",
                "line": {"width": 1.8, **line},
                "name": name,
                "legendgroup": name,
                "hovertemplate": f"{name}: %{{y:.4g}} after %{{x}} images<extra></extra>",
            }
        )
        finals.append(
            {
                "type": "scatter",
                "x": [int(found.images[0]), int(found.images[-1])],
                "y": [float(found.final[at])] * 2,
                "mode": "lines",
                "line": {"width": 1, "color": quiet_colour(dark)},
                "name": end,
                "legendgroup": "final",
                "showlegend": at == 0,
                "hoverinfo": "skip",
            }
        )
    known_mean = np.isfinite(found.half_width).all(axis=1)
    lows, highs = found.mean - found.half_width, found.mean + found.half_width
    layout: dict = {
        "template": template(dark),
        "height": 340,
        "margin": {"l": 56, "r": 10, "t": 34, "b": 46},
        "legend": _legend(dark),
        "xaxis": {
            "title": {"text": "images read, in random order (log scale)"},
            "type": "log",
            "tickvals": _ticks(int(found.images[-1])),
        },
        "yaxis": {"title": {"text": f"mean so far ({unit})"}},
    }
    if known_mean.any():
        # The first wide bands would flatten the rest: the plot holds the lines and later bands.
        late = np.flatnonzero(known_mean)[0]
        low = min(float(found.mean.min()), float(lows[late:].min()))
        high = max(float(found.mean.max()), float(highs[late:].max()))
        pad = 0.04 * (high - low) or 1.0
        layout["yaxis"]["range"] = [low - pad, high + pad]
    return go.Figure({"data": traces + finals, "layout": layout})


def _ticks(most: int) -> list[int]:
    """
    >>> _ticks(60)
    [1, 2, 5, 10, 20, 50]
    """
    return [d * 10**p for p in range(9) for d in (1, 2, 5) if d * 10**p <= most]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _legend(dark: bool) -> Mapping:
    return {
        "orientation": "h",
        "x": 0,
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "traceorder": "normal",
        "font": {"color": quiet_colour(dark)},
    }
