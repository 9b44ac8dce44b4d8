"""Pictures and charts by themselves: what Streamlit and Plotly take without anything of ours.

Four bundled photos, as they are, and three line charts of three channels. benchmarks/page.py opens
it beside the app.
"""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

FOLDER = Path(__file__).resolve().parent.parent / "sample_images"
NAMES = ("forest_day", "forest_underexposed", "city_day", "field_night")

st.set_page_config(layout="wide")
st.image([(FOLDER / f"{name}.jpg").read_bytes() for name in NAMES], width=240, output_format="JPEG")
levels = np.arange(64)
for number in range(3):
    lines = [np.abs(np.sin(levels / 5 + channel + number)) for channel in range(3)]
    figure = go.Figure([go.Scatter(x=levels, y=line, line_shape="hv") for line in lines])
    st.plotly_chart(figure, key=f"chart {number}")
