"""normviz in the browser: `python -m streamlit run app/main.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts app/ on the path; the packages app and normviz lie one folder up.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from app.frame import comes_first, first_frame, frame  # noqa: E402
from app.views import (  # noqa: E402
    advise,
    compare,
    dataset,
    inspection,
    layers,
    learn,
    methods,
    network,
    pipelines,
    style,
    train,
)

st.set_page_config(
    page_title="normviz: see what normalization does",
    layout="wide",
    initial_sidebar_state="auto",
    menu_items={"About": "normviz shows what image normalization does, on your own images."},
)
style.apply()
compare_page = st.Page(
    lambda: compare.page(shared), title="Compare", url_path="compare", default=True
)
chosen = st.navigation(
    [
        compare_page,
        st.Page(lambda: dataset.page(shared, compare_page), title="Dataset", url_path="dataset"),
        st.Page(lambda: methods.page(shared), title="Methods", url_path="methods"),
        st.Page(lambda: pipelines.page(shared), title="Pipelines", url_path="pipelines"),
        st.Page(lambda: network.page(shared), title="In-network", url_path="network"),
        st.Page(lambda: layers.page(shared), title="Activations", url_path="activations"),
        st.Page(lambda: inspection.page(shared), title="Inspect", url_path="inspect"),
        st.Page(lambda: advise.page(shared), title="Advise", url_path="advise"),
        st.Page(lambda: train.page(shared), title="Train", url_path="train"),
        st.Page(lambda: learn.page(shared), title="Learn", url_path="learn"),
    ],
    position="top",
)
# The images, their light and what methods are fitted on belong to all pages; a page adds its own.
shared = first_frame() if comes_first() and chosen is compare_page else frame()
if chosen.url_path != "train":
    train.left()
chosen.run()
