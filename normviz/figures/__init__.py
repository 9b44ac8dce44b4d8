"""Results in, Plotly figures out; nothing is computed here."""

from normviz.figures.activations import ActivationRow, activation_ranges, firing_day_night
from normviz.figures.components import component_bars
from normviz.figures.histograms import HistogramColumn, histogram_row
from normviz.figures.running import train_and_eval

__all__ = [
    "ActivationRow",
    "HistogramColumn",
    "activation_ranges",
    "component_bars",
    "firing_day_night",
    "histogram_row",
    "train_and_eval",
]
