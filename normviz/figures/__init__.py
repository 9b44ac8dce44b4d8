"""Results in, Plotly figures out; nothing is computed here."""

from normviz.figures.activations import ActivationRow, activation_ranges, firing_day_night
from normviz.figures.histograms import HistogramColumn, histogram_row

__all__ = [
    "ActivationRow",
    "HistogramColumn",
    "activation_ranges",
    "firing_day_night",
    "histogram_row",
]
