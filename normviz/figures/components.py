"""Whitened principal components of one image, as bars."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from normviz.figures.theme import channel_line, quiet_colour, template

_CHANNELS = ("R", "G", "B")


def component_bars(values: np.ndarray, colour: str, *, dark: bool) -> go.Figure:
    """Draw components ``(K, P)``, largest variance first; P is 1, or 3 for one set a channel."""
    alone = values.shape[1] == 1
    numbers = list(range(1, len(values) + 1))
    traces = []
    for at, column in enumerate(values.T):
        name = "component" if alone else _CHANNELS[at]
        traces.append(
            {
                "type": "bar",
                "x": numbers,
                "y": [float(value) for value in column],
                "name": name,
                "showlegend": not alone,
                "marker": {"color": colour if alone else channel_line(name, at)["color"]},
                "hovertemplate": "component %{x}: %{y:.3g} stds<extra></extra>",
            }
        )
    few = len(values) <= 20
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": template(dark),
                "height": 300,
                "margin": {"l": 60, "r": 10, "t": 20, "b": 48},
                "bargap": 0.6 if few else 0.1,
                "xaxis": {
                    "title": {"text": "principal component, largest variance first"},
                    "range": [0.4, len(values) + 0.6],
                    **({"dtick": 1} if few else {}),
                },
                "yaxis": {
                    "title": {"text": "value (dataset stds)"},
                    "zeroline": True,
                    "zerolinecolor": quiet_colour(dark),
                },
            },
        }
    )
