"""The activation-range comparison: what a first layer's neurons receive by day and by night."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st

from app import charts, keys
from app.cached import ahead, compared, lit_statistics
from app.controls import choice, switch, whole
from app.selection import Column, Row, Selection, night_of
from app.text import plain
from app.views import style
from app.views.panels import picked_row
from normviz.errors import NormvizError
from normviz.figures import ActivationRow, activation_ranges, firing_day_night
from normviz.figures.theme import METHOD_COLOURS
from normviz.images import Image
from normviz.light import Light
from normviz.networks import FirstLayer, he_initialised, mobilenet_v2
from normviz.observe.activations import DayNight
from normviz.observe.sentences import percent

LAYERS = {"trained": "Trained (MobileNetV2)", "he": "Random (He)"}
SORTS = {"difference": "Day–night difference", "firing": "Firing", "range": "Range", "menu": "Menu"}


def measure_ahead(chosen: Selection) -> None:
    """Begin what the section needs if its scene and layer stay what they were."""
    place, layer = st.session_state.get("activations_of", (None, None))
    for day in chosen.rows:
        if day.index == place:
            pair = _pair(chosen, day)
            ahead([partial(_compared, chosen, column, pair, layer) for column in chosen.shown])


def section(chosen: Selection) -> None:
    """Draw the controls, the computed sentence and both figures."""
    st.subheader("What the first layer's neurons receive", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="activation_controls"):
        day = _scene(chosen)
        layer = _layer()
        sort = choice(keys.SORT, "Sort by", SORTS, "Order of the methods in both figures.")
        relative = switch(
            keys.RELATIVE,
            "In day stds",
            "Divide each method's values by the std of its own pre-activations by day, so that "
            "methods on 0–255 and on 0–1 fit one axis.",
        )
    st.session_state["activations_of"] = (day.index, layer)
    if not lit_statistics(day.image, Light()).std.any():
        st.caption(
            plain(
                f"“{day.title}” is one colour everywhere: filters find nothing in it to compare. "
                "Choose another scene."
            )
        )
        return
    pair = _pair(chosen, day)
    results = [_row(chosen, column, pair, layer) for column in chosen.shown]
    for sentence in (found for found in results if isinstance(found, str)):
        st.caption(plain(sentence))
    rows = [found for found in results if isinstance(found, ActivationRow)]
    if not rows:
        return
    st.markdown(plain(_sentence(rows, pair.name)))
    st.caption(
        plain(
            f"Day: “{day.title}” as loaded. {pair.name.capitalize()}: {pair.words}. "
            f"Layer: {layer.title}. The normalized image is reduced to 224 px on its "
            "shorter side, as a network is fed; a unit is one output position of one "
            "filter and fires when its value exceeds 0 (ReLU)."
        )
    )
    dark = style.dark()
    left, right = st.columns(2)
    with left:
        figure = activation_ranges(
            rows, sort_by=sort, relative=relative, dark=dark, other=pair.name
        )
        charts.draw(figure, "activation_ranges", "Range of pre-activations for each method")
    with right:
        figure = firing_day_night(rows, sort_by=sort, dark=dark, other=pair.name)
        charts.draw(
            figure,
            "firing",
            f"Share of units that fire by day and in the {pair.name} for each method",
        )


def _row(chosen: Selection, column: Column, pair: _Pair, layer: FirstLayer) -> ActivationRow | str:
    about = column.method.about
    try:
        found = _compared(chosen, column, pair, layer)
    except NormvizError as error:
        return f"{about.short}: {error}"
    colour = METHOD_COLOURS[column.name]
    return ActivationRow(column.name, about.short, colour, found.day, found.night, found.difference)


def _compared(chosen: Selection, column: Column, pair: _Pair, layer: FirstLayer) -> DayNight:
    assert column.fitted is not None
    return compared(pair.day, pair.night, chosen.longest, column.fitted, layer)


def _scene(chosen: Selection) -> Row:
    days = [row for row in chosen.rows if row.index not in chosen.collection.nights.values()]
    return picked_row(
        keys.SCENE,
        "Scene",
        days or chosen.rows,
        "The image that is the day; its night version is described below.",
    )


def _layer() -> FirstLayer:
    kind = choice(
        keys.LAYER,
        "First layer",
        LAYERS,
        "Trained: MobileNetV2's 32 filters as learned on ImageNet, BatchNorm folded in. Random: "
        "He-initialised filters, as before any training.",
    )
    if kind == "trained":
        return mobilenet_v2()
    return he_initialised(whole(keys.HE_SEED, "Seed", 0, 9999, "Which random filters."))


@dataclass(frozen=True, eq=False)
class _Pair:
    """One scene by day and in another light, each an image and its light.

    ``name`` is "night", or "set light" when that is no darker; ``words`` say where it is from.
    """

    day: tuple[Image, Light]
    night: tuple[Image, Light]
    name: str
    words: str


def _pair(chosen: Selection, day: Row) -> _Pair:
    """The night is the light that is set, else a night photo of the scene, else simulated."""
    by_day, light = (day.image, Light()), chosen.light
    night, said = night_of(light)
    if not light.neutral:
        name = "night" if light.ev < 0 else "set light"
        return _Pair(by_day, (day.image, night), name, f"the same image {said}")
    for row in chosen.rows:
        same_size = row.image.pixels.shape == day.image.pixels.shape
        if chosen.collection.nights.get(day.index) == row.index and same_size:
            words = f"“{row.title}”, a darker photo of the same scene"
            return _Pair(by_day, (row.image, Light()), "night", words)
    words = f"the same image {said} (move the exposure slider)"
    return _Pair(by_day, (day.image, night), "night", words)


def _sentence(rows: list[ActivationRow], name: str) -> str:
    known = [row for row in rows if row.relative_difference is not None]
    if len(known) < 2:
        return "Choose two or more methods to compare what the neurons receive."
    least = min(known, key=lambda row: row.relative_difference)
    most = max(known, key=lambda row: row.relative_difference)
    who, when = ("Night", "by night") if name == "night" else (f"The {name}", f"in the {name}")
    return (
        f"{who} changes the neurons' input least under {least.title} "
        f"(mean change {least.relative_difference:.2f} of its std by day; "
        f"{percent(least.day.firing)} of units fire by day, {percent(least.night.firing)} "
        f"{when}) and most under {most.title} ({most.relative_difference:.2f}; "
        f"{percent(most.day.firing)}, {percent(most.night.firing)})."
    )
