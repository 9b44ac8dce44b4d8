"""Compare: one row an image, one column a method, and everything measured of them below."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import keys
from app.cached import lit_statistics
from app.controls import whole
from app.frame import Frame, say_source
from app.selection import (
    LONGEST_OF_MANY,
    LONGEST_OF_ONE,
    ROWS_A_PAGE,
    Row,
    Selection,
    columns_of,
    pick_display,
    pick_methods,
)
from app.sources import Collection, matched
from app.text import plain
from app.views import activations, grid, histograms, refine, takeaway
from app.views.panels import measure_ahead, pairs_of
from normviz.errors import ReadError
from normviz.methods import METHODS, Method
from normviz.observe.sentences import day_and_night

NONE_READABLE = "No image here could be read; the reasons stand above. Choose other files."


def page(shared: Frame) -> None:
    """Draw the page from the widgets' state."""
    if shared.controls:
        with shared.methods_place:
            methods = pick_methods(shared.numbers)
        with shared.last_place:
            display = pick_display()
    else:
        methods = {name: METHODS[name]() for name in keys.METHODS.default}
        display = (keys.MAPPING.default, keys.SCALE.default)
    say_source(shared)
    if not len(shared.collection):
        st.info(NONE_READABLE)
        return
    chosen = _chosen(shared, methods, display)
    if not chosen.rows:
        st.info(NONE_READABLE)
        return
    measure_ahead(chosen)
    activations.measure_ahead(chosen)
    st.markdown(f"#### {_headline(chosen)}")
    if not chosen.columns:
        return
    with st.container(key="grid"):
        if not grid.draw(chosen, "viewer"):
            # Controls and the charts' library take a browser a second to start, pictures or not:
            # pictures come first, and say when they are there, which runs the page again.
            return
        if not shared.controls:
            # A new session of a page that has its pictures, as after a long sleep: the browser
            # will not say again that they are there.
            st.rerun()
        _histograms(chosen)
    _activations(chosen)
    _takeaway(chosen)
    refine.section(chosen)


# Fragments: what is set in one leaves the pictures and the others as they are.
_histograms = st.fragment(histograms.section)
_activations = st.fragment(activations.section)
_takeaway = st.fragment(takeaway.section)


def _chosen(shared: Frame, methods: Mapping[str, Method], display: tuple[str, str]) -> Selection:
    """What is shown, on the page of images that is turned to."""
    collection, numbers = shared.collection, shared.numbers
    rows = _rows(collection)
    rows = tuple(Row(row.index, row.title, matched(row.image, numbers)) for row in rows)
    longest = LONGEST_OF_ONE if len(rows) == 1 else LONGEST_OF_MANY
    columns = columns_of(methods, numbers, shared.missing)
    words = numbers.words if numbers else shared.missing
    whose = numbers.words if numbers and numbers.collection is None else ""
    return Selection(collection, rows, columns, shared.light, longest, *display, words, whose)


def _rows(collection: Collection) -> tuple[Row, ...]:
    """The readable images of the page that is turned to."""
    pages = -(-len(collection) // ROWS_A_PAGE)
    turned = 1
    if pages > 1:
        with st.container(width=280):
            turned = whole(
                keys.PAGE,
                f"Page of images (1 to {pages:,}; {len(collection):,} images)",
                1,
                pages,
                f"{ROWS_A_PAGE} images a page.",
            )
    found = []
    first = (turned - 1) * ROWS_A_PAGE
    for index in range(first, min(first + ROWS_A_PAGE, len(collection))):
        try:
            found.append(Row(index, collection.titles[index], collection.image(index)))
        except ReadError:
            continue
    return tuple(found)


def _headline(chosen: Selection) -> str:
    """A sentence computed from the numbers of two rows: one scene in two lights, or two images."""
    day, night = _two_lights(chosen)
    if day is night:
        return plain(
            f"“{day.title}” under {len(chosen.shown)} normalizations. Move the exposure slider "
            "to see which of them notice the light."
        )
    pairs = pairs_of(chosen, day, night)
    return plain(day_and_night(day.title, night.title, pairs))


def _two_lights(chosen: Selection) -> tuple[Row, Row]:
    by_index = {row.index: row for row in chosen.rows}
    for day, night in chosen.collection.nights.items():
        if day in by_index and night in by_index:
            return by_index[day], by_index[night]

    def brightness(row: Row) -> float:
        statistics = lit_statistics(row.image, chosen.light)
        return statistics.pooled_mean / statistics.value_range.span

    ranked = sorted(chosen.rows, key=brightness)
    return ranked[-1], ranked[0]
