"""What all pages share: the images, their light, and what set-scoped methods are fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import keys
from app.selection import pick_light, pick_numbers
from app.sources import (
    Collection,
    Numbers,
    chosen_of,
    pick_source,
    samples,
    statistics_numbers,
)
from app.text import plain
from normviz.light import Light


@dataclass(frozen=True, eq=False)
class Frame:
    """The shared choices, and the places in the sidebar where a page draws its own controls."""

    collection: Collection
    """What the pages with pictures show: all of ``loaded``, or the images chosen from it."""
    loaded: Collection
    waiting: bool
    """Whether files are still waited for; the sample photos stand in until then."""
    light: Light
    numbers: Numbers | None
    missing: str
    """Why there are no numbers to fit on."""
    methods_place: DeltaGenerator
    last_place: DeltaGenerator
    controls: bool = True
    """Whether controls are drawn in this run."""


def comes_first() -> bool:
    """Whether this is a visitor's first run, without choices in the page's address."""
    first = keys.CAME.name not in st.session_state
    st.session_state[keys.CAME.name] = True
    return first and not st.query_params


def first_frame() -> Frame:
    """What :func:`frame` returns before anyone has chosen, without drawing its controls.

    Drawing the controls takes a browser a third of the time to the first pictures, which need none
    of them then. The page draws its pictures and runs again once they are there.
    """
    # Every element that comes after has the place that it has in later runs.
    scanning = st.empty()
    loaded = samples(keys.SAMPLE_SET.default)
    numbers = statistics_numbers(loaded, scanning)
    with st.sidebar:
        st.skeleton(height=400)
        place = st.container()
    return Frame(loaded, loaded, False, Light(), numbers, "", place, place, controls=False)


def frame() -> Frame:
    """Draw the shared controls in the sidebar, in the order of the flow.

    What scans for them shows its bar at the top of the page, for a phone's sidebar is closed.
    """
    scanning = st.empty()
    with st.sidebar:
        loaded, waiting = pick_source()
        collection = chosen_of(loaded)
        light = pick_light()
        methods_place = st.container()
        numbers, missing = pick_numbers(loaded, scanning)
        last_place = st.container()
    return Frame(collection, loaded, waiting, light, numbers, missing, methods_place, last_place)


def say_source(shared: Frame) -> None:
    """Say what is waited for, what could not be read, and what reading did to the files."""
    if shared.waiting:
        st.info(
            "Upload images or a dataset in the sidebar: JPEG, PNG, WebP, TIFF and the like, a zip "
            "or tar of images (class folders become labels), .npy, .npz, IDX or CIFAR binary "
            "files. Until then, here are the sample photos.",
            icon=":material/upload:",
        )
    say_problems(shared.collection)


# Up to so many that could not be read are listed at once.
_OPENED = 10


def say_problems(collection: Collection) -> None:
    """Say what could not be read of a collection, and what reading did to the files."""
    problems = collection.problems
    if problems:
        opened = len(problems) <= _OPENED or not len(collection)
        said = f"{len(problems)} file{'s' if len(problems) > 1 else ''} could not be read"
        with st.expander(
            said if opened else plain(f"{said}, first {problems[0]}"),
            expanded=opened,
            icon=":material/warning:",
        ):
            for problem in problems[:50]:
                st.text(str(problem))
            if len(problems) > 50:
                st.text(f"… and {len(problems) - 50} more")
    for note in collection.notes[:5]:
        st.caption(plain(note))


def say_unused(shared: Frame) -> None:
    """Say in the sidebar that a page has a light and numbers of its own."""
    with shared.last_place:
        st.caption("The light and “Fit on” do not act on this page.")


def places(count: int) -> list[DeltaGenerator]:
    """Containers one below the other, made before a fragment draws anything else.

    For a fragment within a fragment, which needs one of its own: where the outer one is interrupted
    by its next run, Streamlit drops what it has not sent yet, but not what the inner one has, and a
    page that lacks the elements before that breaks. A container that was there before is safe.
    """
    return [st.container() for _ in range(count)]
