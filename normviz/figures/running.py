"""Batch normalization while it learns its running averages: train and eval mode side by side."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from normviz.figures.theme import quiet_colour, template
from normviz.methods.running import TrainEvalStep

_BATCH, _RUNNING = "#b98000", "#2a66c8"

# (row, column) → title of the plot and of its axis.
_PLOTS = {
    (0, 0): ("Mean that is subtracted", "mean"),
    (0, 1): ("Std that is divided by", "std"),
    (1, 0): ("Mean of the output", "mean"),
    (1, 1): ("Std of the output", "std"),
}


def train_and_eval(
    steps: Sequence[TrainEvalStep], channel: int, *, all_images: tuple[float, float], dark: bool
) -> go.Figure:
    """Draw one channel over the batches: what each mode normalizes with, and what comes out.

    ``all_images`` are the channel's mean and std over the whole set, which the running averages
    go towards.
    """
    batches = [step.batch for step in steps]
    drawn = {
        (0, 0): ("batch_mean", "running_mean"),
        (0, 1): ("batch_std", "running_std"),
        (1, 0): ("train_mean", "eval_mean"),
        (1, 1): ("train_std", "eval_std"),
    }
    traces, annotations, layout = [], [], {}
    for number, (place, names) in enumerate(drawn.items(), start=1):
        axis = "" if number == 1 else str(number)
        row, column = place
        title, unit = _PLOTS[place]
        for name, label, colour, mode in (
            (names[0], "train mode: this batch", _BATCH, "markers"),
            (names[1], "eval mode: running averages", _RUNNING, "lines"),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "x": batches,
                    "y": [float(getattr(step, name)[channel]) for step in steps],
                    "mode": mode,
                    "marker": {"size": 5, "color": colour},
                    "line": {"width": 2, "color": colour},
                    "name": label,
                    "legendgroup": label,
                    "showlegend": number == 1,
                    "xaxis": f"x{axis}",
                    "yaxis": f"y{axis}",
                    "hovertemplate": f"batch %{{x}}: {unit} %{{y:.3g}}<extra>{label}</extra>",
                }
            )
        aim = all_images[column] if row == 0 else float(column)
        traces.append(
            {
                "type": "scatter",
                "x": [batches[0], batches[-1]],
                "y": [aim, aim],
                "mode": "lines",
                "line": {"width": 1.2, "dash": "dash", "color": quiet_colour(dark)},
                "name": "all images; 0 and 1 below",
                "legendgroup": "aim",
                "showlegend": number == 1,
                "xaxis": f"x{axis}",
                "yaxis": f"y{axis}",
                "hoverinfo": "skip",
            }
        )
        across = [0.0, 0.46] if column == 0 else [0.54, 1.0]
        up = [0.58, 1.0] if row == 0 else [0.0, 0.42]
        layout[f"xaxis{axis}"] = {
            "domain": across,
            "anchor": f"y{axis}",
            "title": {"text": "batch"} if row else None,
            "rangemode": "tozero",
        }
        layout[f"yaxis{axis}"] = {"domain": up, "anchor": f"x{axis}"}
        annotations.append(
            {
                "text": title,
                "x": across[0],
                "y": up[1] + 0.02,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12.5},
            }
        )
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": template(dark),
                "height": 440,
                "margin": {"l": 46, "r": 10, "t": 66, "b": 44},
                "annotations": annotations,
                "legend": {
                    "orientation": "h",
                    "x": 0,
                    "y": 1,
                    "yref": "container",
                    "yanchor": "top",
                    "font": {"color": quiet_colour(dark)},
                },
                **layout,
            },
        }
    )
