"""A chart on the page, drawn in the project's own theme."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.views import style
from normviz.figures.theme import enlarged

STOPS = "“Stop” at the top right ends it"
"""How long work in a part of a page is cancelled: widgets of the same part wait for its end."""


def draw(figure: go.Figure, key: str, alt: str, **more: Any) -> Any:
    """Draw a figure without Plotly's tool bar; ``alt`` is what a screen reader says of it."""
    if style.classroom():
        figure = enlarged(figure, style.ENLARGED)
    return st.plotly_chart(
        figure, theme=None, key=key, alt=alt, config={"displayModeBar": False}, **more
    )
