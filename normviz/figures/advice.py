"""The advice's figures: where the variance of brightness lies, and accuracy by light."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from normviz.figures.lessons import curves
from normviz.figures.theme import template
from normviz.lab.advice import Advice
from normviz.lab.split import Brightness

# Blue for what carries labels, orange for what disturbs: apart for colour-blind eyes too.
_WITHIN, _NUISANCE, _SIGNAL = "#8a8f95", "#d55e00", "#2a66c8"


def split_bar(brightness: Brightness, *, dark: bool) -> go.Figure:
    """Draw one bar of 100 %: the variance within images, between images, between classes."""
    split, labelled = brightness.split, brightness.explained is not None
    parts = [
        ("within images", split.within, _WITHIN),
        (
            "between images of one class" if labelled else "between images",
            split.nuisance,
            _NUISANCE,
        ),
    ]
    if labelled:
        parts.append(("between classes", split.signal, _SIGNAL))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [100 * share],
            "y": [""],
            "name": f"{name}: {100 * share:.0f} %",
            "marker": {"color": colour},
            "hovertemplate": f"{name}: %{{x:.1f}} %<extra></extra>",
        }
        for name, share, colour in parts
    ]
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": template(dark),
                "barmode": "stack",
                "height": 190,
                "margin": {"l": 12, "r": 16, "t": 78, "b": 44},
                "xaxis": {
                    "title": {"text": "share of the variance of all values (%)"},
                    "range": [0, 100],
                },
                "yaxis": {"showticklabels": False},
                "legend": {
                    "orientation": "h",
                    "x": 0,
                    "y": 1.02,
                    "yanchor": "bottom",
                    "traceorder": "normal",
                },
            },
        }
    )


def accuracy_by_light(advice: Advice, *, dark: bool) -> go.Figure:
    """Draw each method's accuracy over the light of the test, with its spread over seeds."""
    assert advice.accuracy is not None
    lines = {
        key: [[float(np.mean(own)), float(np.std(own, ddof=1))] for own in advice.accuracy[key]]
        for key in advice.spec.methods
    }
    chance = [advice.chance] * len(advice.spec.shifts)
    return curves(
        advice.spec.shifts,
        lines,
        "light of the test (EV; 0: as the images are)",
        "right (%)",
        dark=dark,
        reference=("chance", chance),
    )
