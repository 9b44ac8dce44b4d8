"""Per-channel histograms under the pictures: one image, all of them, or day against night."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from app import keys
from app.cached import lit_statistics, ranges
from app.controls import choice, slider, switch
from app.selection import Column, Row, Selection, night_of
from app.text import plain
from app.views import style
from app.views.panels import picked_row
from normviz.errors import NormvizError
from normviz.figures import HistogramColumn, histogram_row
from normviz.figures.theme import METHOD_COLOURS
from normviz.light import Light
from normviz.observe.ranges import Histogram, Ranges, pooled_histograms, ranges_before

SCOPES = {"image": "One image", "all": "All shown", "pair": "Day against night"}
BEFORE = {"overlaid": "Overlaid", "apart": "Apart", "none": "Hidden"}


def section(chosen: Selection) -> None:
    """Draw the controls and one figure with a subplot a method."""
    st.subheader("Histograms", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="histogram_controls"):
        scope = choice(keys.HISTOGRAM_OF, "Histogram of", SCOPES, "Which images' pixels to count.")
        days, nights = _counted(chosen, scope)
        before = choice(
            keys.HISTOGRAM_BEFORE,
            "Before normalization",
            BEFORE,
            "The pixels before: faint behind (own axis at the top), in a row of their own, or not.",
        )
        with st.container(width=180):
            bins = slider(keys.BINS, "Bins", 16, 256, 16, "Bins a channel; at most 256 levels.")
        log_y = switch(keys.LOG_Y, "Log scale", "Logarithmic share of pixels: shows rare values.")
        shared = switch(keys.SHARED_X, "Same x for all", "One value axis for all methods.")
    drawn, failed = [], []
    for column in chosen.shown:
        try:
            drawn.append(_column(chosen, column, days, nights, bins, before != "none"))
        except NormvizError as error:
            failed.append(f"{column.method.about.short}: {error}")
    for sentence in failed:
        st.caption(plain(sentence))
    if not drawn:
        return
    figure = histogram_row(
        drawn,
        apart=before == "apart",
        log_y=log_y,
        shared_x=shared,
        dark=style.dark(),
        before_range=tuple(days[0].row.image.value_range),
    )
    # On a phone the pictures are swiped, but for two, which fit; the plots go along.
    least = len(drawn) * (style.LEAST_ON_PHONE + style.COLUMN_GAP) - style.COLUMN_GAP
    least = least if len(chosen.columns) > 2 else 0
    st.html(
        "<style>@media (max-width: 700px) { .st-key-histograms { "
        f"min-width: {least}px; }} }}</style>"
    )
    st.plotly_chart(
        figure,
        theme=None,
        key="histograms",
        config={"displayModeBar": False},
        alt="Share of pixels over value, per channel, one plot a method",
    )
    st.caption(plain(_words(days, nights)))


class Lit(NamedTuple):
    """An image in a light, and what it is called."""

    row: Row
    light: Light
    title: str

    @classmethod
    def of(cls, row: Row, light: Light) -> Lit:
        return cls(row, light, f"“{row.title}”")


def _counted(chosen: Selection, scope: str) -> tuple[list[Lit], list[Lit]]:
    """What to count, and the night where it is set against the day.

    The night is a darker photo of the same scene where there is one; else the same photo in the
    light that is set, or simulated, as for the neurons below.
    """
    light = chosen.light
    if scope == "all":
        return [Lit.of(row, light) for row in chosen.rows], []
    by_index = {row.index: row for row in chosen.rows}
    if scope == "pair":
        nights = chosen.collection.nights.items()
        pairs = [(by_index[d], by_index[n]) for d, n in nights if {d, n} <= set(by_index)]
        if pairs:
            days, others = zip(*pairs, strict=True)
            return [Lit.of(day, light) for day in days], [Lit.of(row, light) for row in others]
    with st.container(width=220):
        row = picked_row(keys.HISTOGRAM_ROW, "Image", chosen.rows)
    if scope == "image":
        return [Lit.of(row, light)], []
    night, said = night_of(light)
    return [Lit.of(row, Light())], [Lit(row, night, f"the same image {said}")]


def _column(
    chosen: Selection,
    column: Column,
    days: list[Lit],
    nights: list[Lit],
    bins: int,
    with_before: bool,
) -> HistogramColumn:
    assert column.fitted is not None

    def after(counted: list[Lit]) -> list[Histogram]:
        return _together(
            [ranges(one.row.image, one.light, chosen.longest, column.fitted) for one in counted],
            bins,
        )

    before = None
    if with_before:
        parts = [ranges_before(lit_statistics(one.row.image, one.light)) for one in days]
        before = _together(parts, bins)
    about = column.method.about
    of_days = after(days)
    return HistogramColumn(
        title=about.short,
        colour=METHOD_COLOURS[column.name],
        unit=about.unit,
        channels=column.method.channel_names(len(of_days)),
        after=of_days,
        before=before,
        night=after(nights) if nights else None,
    )


def _together(parts: list[Ranges], bins: int) -> list[Histogram]:
    return parts[0].histograms(bins) if len(parts) == 1 else pooled_histograms(parts, bins)


def _words(days: list[Lit], nights: list[Lit]) -> str:
    def listed(counted: list[Lit]) -> str:
        return ", ".join(one.title for one in counted)

    counted = (
        f"{listed(days)} (lines) against {listed(nights)} (filled)" if nights else listed(days)
    )
    return (
        f"Share of pixels a bin of {counted}. Bins hold equal numbers of levels for one image, "
        "equal widths for several; values at the very ends may reach above the plot."
    )
