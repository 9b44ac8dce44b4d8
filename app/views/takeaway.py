"""Take away: pictures, floats, statistics, fitted constants and code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import streamlit as st

from app import keys
from app.cached import lit, lit_statistics, normalized_copy, ranges
from app.controls import menu
from app.selection import Column, Row, Selection
from app.text import plain
from app.views.panels import windows_of
from normviz.display import describe
from normviz.errors import NormvizError
from normviz.export import (
    Panel,
    file_name,
    npz_of,
    png_bytes,
    statistics_csv,
    statistics_json,
    zip_of,
)
from normviz.methods.code import TARGETS
from normviz.version import VERSION


def section(chosen: Selection) -> None:
    """Draw the download buttons and the code; files are made when a button is pressed."""
    if not chosen.shown:
        return
    st.subheader("Take away", anchor=False)
    with st.container(horizontal=True, key="downloads"):
        _button("Pictures as shown (PNG)", lambda: _png(chosen), "normviz-pictures.zip")
        _button("Floats, full size (NPZ)", lambda: _npz(chosen), "normviz-floats.npz")
        facts = {**asdict(chosen.light), "fitted_on": chosen.fit_on, "normviz": VERSION}
        _button("Statistics (CSV)", lambda: statistics_csv(_panels(chosen), facts), "normviz.csv")
        _button(
            "Statistics (JSON)",
            lambda: statistics_json(_panels(chosen), _facts(chosen)),
            "normviz.json",
        )
    # Only when it is open: the browser takes a quarter of a second to start its highlighter.
    place = st.expander("Code that does the same", key="code", on_change="rerun")
    if place.open:
        with place:
            _code(chosen)


def _code(chosen: Selection) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="code_controls"):
        shown = {column.name: column for column in chosen.shown}
        with st.container(width=260):
            name = menu(
                keys.CODE_METHOD,
                "Code for",
                {key: column.method.about.short for key, column in shown.items()},
                "The method as fitted here, with its numbers.",
            )
        fitted = shown[name].fitted
        assert fitted is not None
        with st.container(width=260):
            target = menu(
                keys.CODE_TARGET,
                "In",
                {key: TARGETS[key] for key in fitted.code_targets()},
                "Libraries in which this method has the very same form.",
            )
        _button("Fitted constants (JSON)", fitted.to_json, "fitted.json")
    if shown[name].fitted_on:
        st.caption(plain(f"Fitted on {shown[name].fitted_on}."))
    st.code(fitted.code(target), language="python", wrap_lines=True)


def _button(label: str, data, name: str) -> None:
    st.download_button(label, data, file_name=name, on_click="ignore", key=f"take {name}")


def _panels_shown(chosen: Selection) -> Iterator[tuple[Row, Column]]:
    """Every panel that has a picture."""
    for row in chosen.rows:
        for column in chosen.shown:
            assert column.fitted is not None
            try:
                column.fitted.affine(lit_statistics(row.image, chosen.light))
            except NormvizError:
                continue
            yield row, column


def _png(chosen: Selection) -> bytes:
    found = windows_of(chosen)

    def members() -> Iterator[tuple[str, bytes]]:
        listed = []
        for row, column in _panels_shown(chosen):
            assert column.fitted is not None
            name = file_name(row.index, row.title, column.name, "png")
            window = found[row.index, column.name]
            values = normalized_copy(row.image, chosen.light, chosen.longest, column.fitted)
            listed.append({"file": name, "image": row.title, "black_white": window})
            yield name, png_bytes(values, window)
        facts = {**_facts(chosen), "pictures": listed}
        yield "manifest.json", json.dumps(facts, indent=1, ensure_ascii=False).encode()

    return zip_of(members())


def _npz(chosen: Selection) -> bytes:
    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        for row, column in _panels_shown(chosen):
            assert column.fitted is not None
            image = lit(row.image, chosen.light)
            name = file_name(row.index, row.title, column.name, "").rstrip(".")
            yield name, column.fitted(image.pixels, image.value_range)

    return npz_of(arrays())


def _panels(chosen: Selection) -> Iterator[Panel]:
    for row, column in _panels_shown(chosen):
        assert column.fitted is not None
        found = ranges(row.image, chosen.light, chosen.longest, column.fitted)
        names = column.method.channel_names(found.channels)
        unit = column.method.about.unit
        yield Panel(row.title, row.image.label, column.name, unit, names, found)


def _facts(chosen: Selection) -> dict:
    return {
        "normviz": VERSION,
        "images": chosen.collection.title,
        "fitted_on": chosen.fit_on,
        "light": asdict(chosen.light),
        "display": describe(chosen.mapping, chosen.scale),
        "methods": {column.name: asdict(column.method) for column in chosen.shown},
    }
