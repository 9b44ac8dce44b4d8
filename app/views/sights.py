"""What decides the guesses of lessons in which nothing is trained: a figure and its effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from app import charts
from app.cached import remembered
from app.selection import Row
from app.sources import samples
from app.text import plain
from app.views import style
from app.views.effects import effects_table
from app.views.lesson_figures import PHOTOS, panels
from normviz.figures.lessons import bars
from normviz.images import image_of
from normviz.lab.evidence import Effect
from normviz.lab.sights import SEEDS, Sight, brightness_between, in_shadow, shadow_left
from normviz.samples import SAMPLES, load_sample

SHADOW_METHODS = ("scale_01", "dataset_zscore", "image_standardize", "lcn")


@dataclass(frozen=True)
class View:
    """A sight on screen: ``words`` say what is measured on what, ``pictures`` draws an example."""

    title: str
    axis: str
    measure: Callable[[], Sight]
    words: str
    over: str
    """What differences are paired over."""
    pictures: Callable[[], None] | None = None


def _of_photos() -> Sight:
    return shadow_left([load_sample(key) for key in SAMPLES])


def _shadow_pictures() -> None:
    collection = samples(PHOTOS)
    image, title = collection.image(0), collection.titles[0]
    shaded = image_of(in_shadow(image))
    rows = (Row(0, title, image), Row(1, f"{title}, the right half in shadow", shaded))
    panels(collection, rows, SHADOW_METHODS, "shadow", said=False)


SIGHTS: Mapping[str, View] = {
    "picture": View(
        "Brightness between images",
        "std of the images' means (stds of pixels)",
        brightness_between,
        f"Measured just now on {len(SEEDS)} sets of 600 patches of ten photos, each patch in a "
        "light of its own (σ = 1 EV). Bars are the standard deviation over sets. Limits: it says "
        "what is kept of the differences between images, not whether they are of use.",
        "sets",
    ),
    "local": View(
        "What is left of a shadow",
        "what the shadow changes (stds)",
        _of_photos,
        f"Measured just now on the {len(SAMPLES)} sample photos, the right half of each 2 EV "
        "darker: the root mean square of what that changes there, in stds of "
        "the photo without it. Bars are the standard deviation "
        "over photos. Limits: real shadows have soft edges and a colour of their own; and what "
        "removes a shadow removes even areas too.",
        "photos",
        _shadow_pictures,
    ),
}


def effects_of(key: str) -> Sequence[Effect]:
    """The effects of a lesson's sight."""
    return _measured(key).effects


def draw(key: str) -> None:
    """Draw a lesson's sight."""
    view = SIGHTS[key]
    st.subheader(plain(view.title), anchor=False)
    if view.pictures is not None:
        view.pictures()
    figure = bars({"": _measured(key).means()}, view.axis, dark=style.dark())
    charts.draw(figure, key=f"figure_{key}", alt=view.title)
    st.caption(plain(view.words))
    with st.container(key=f"effects_{key}"):
        st.html(effects_table(effects_of(key), view.title, view.over))


def _measured(key: str) -> Sight:
    return remembered(("sight", key), SIGHTS[key].measure)
