"""Advise: which normalization suits the visitor's data?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import charts, keys
from app.cached import known, remembered
from app.controls import menu, whole
from app.frame import Frame, places, say_source, say_unused
from app.labelled import has_labels, own_images
from app.runs import EVERY, Run
from app.sources import LABELLED, Collection, statistics_numbers
from app.text import plain
from app.views import style
from app.views.effects import effects_table
from normviz.errors import NormvizError
from normviz.figures.advice import accuracy_by_light, split_bar
from normviz.lab import NORMALIZATIONS, OwnImages, Record, Workers
from normviz.lab.advice import Advice, AdviceSpec, advise, example
from normviz.lab.own_images import BOUNDS
from normviz.lab.split import Brightness, brightness_of
from normviz.methods.code import TARGETS
from normviz.samples import LABELLED_SET, SAMPLE_FOLDER
from normviz.statistics import DatasetStatistics


def page(shared: Frame) -> None:
    """Draw the page from the widgets' state."""
    say_source(shared)
    say_unused(shared)
    _body(shared)


@st.fragment
def _body(shared: Frame) -> None:
    head = st.empty()
    loaded = shared.loaded
    own: OwnImages | None = None
    refused = ""
    if has_labels(loaded):
        try:
            own = own_images(loaded)
        except NormvizError as error:
            refused = f"No race can be run: {error}"
    try:
        brightness = _brightness(loaded)
    except NormvizError as error:
        head.markdown("#### Which normalization suits your data?")
        st.info(plain(str(error)))
        return
    if own is None:
        _draw(head, Advice(brightness, refused=refused), loaded)
        date, shown = example()
        st.subheader("With labels it can tell: an example", anchor=False, divider="gray")
        st.caption(
            f"The bundled scenes (“{LABELLED}” under “Photo set”), computed beforehand on {date}. "
            f"Load images in a folder a class to have the race run on yours. {BOUNDS}"
        )
        _draw(st.empty(), shown, None)
        return
    controls, progress, result = places(3)
    head.markdown(f"#### {plain(Advice(brightness).headline)}")
    with controls:
        advice = _race(loaded, own, brightness, progress)
    with result:
        _draw(head, advice, loaded)


def _brightness(collection: Collection) -> Brightness:
    """What the statistics of a collection say of its brightness, computed once.

    Raises :class:`ParameterError` for fewer than two readable images.
    """
    numbers = statistics_numbers(collection)
    if numbers is None or not isinstance(numbers.value, DatasetStatistics):
        return brightness_of(())
    rows = numbers.value.rows
    return remembered(("brightness", numbers.key), lambda: brightness_of(rows))


def _race(
    collection: Collection, own: OwnImages, brightness: Brightness, progress: DeltaGenerator
) -> Advice:
    """Draw what starts and cancels the race, and how far it is. Return the advice so far."""
    spec = AdviceSpec()
    with st.container(horizontal=True, vertical_alignment="bottom", key="advice_run"):
        with st.container(width=160):
            first = whole(
                keys.ADVICE_SEED,
                "First seed",
                0,
                9999,
                f"{len(spec.seeds)} seeds from here on: each is another split into training and "
                "test and another start of the network.",
            )
        spec = dataclasses.replace(spec, seeds=tuple(first + seed for seed in spec.seeds))
        key = ("advice", own.digest, spec)
        running = _running(key)
        if running is not None and running.busy:
            st.button(
                "Cancel", key="advice_cancel", icon=":material/close:", on_click=running.cancel
            )
        else:
            st.button(
                "Run the race",
                key="advice_now",
                icon=":material/play_arrow:",
                help=f"{len(spec.methods)} normalizations × {len(spec.seeds)} seeds, some 10 "
                f"seconds. {BOUNDS}",
                on_click=_start,
                args=(key, own, brightness, spec),
            )
    if running is not None and running.busy:
        total = len(spec.seeds) * len(spec.methods)
        with progress:
            st.fragment(_progress, run_every=EVERY)(running, total)
    elif running is not None and running.failed:
        st.warning(plain(running.failed))
    found: Advice | None = known(key)
    if found is not None:
        return found
    kept = example()[1]
    if _is_example(collection) and spec == kept.spec:
        st.caption(f"Computed beforehand on {example()[0]}; the race runs it before your eyes.")
        return kept
    return Advice(brightness, spec, own.name, own.notes)


def _running(key: tuple) -> Run | None:
    """This session's race of these images and seeds; one of others is cancelled."""
    kept: tuple[tuple, Run] | None = st.session_state.get(keys.ADVICE_RUN.name)
    if kept is None:
        return None
    of, running = kept
    if of != key:
        running.cancel()
        del st.session_state[keys.ADVICE_RUN.name]
        return None
    return running


def _start(key: tuple, own: OwnImages, brightness: Brightness, spec: AdviceSpec) -> None:
    def work(workers: Workers) -> Iterator[Any]:
        for one in advise(brightness, own, spec, workers):
            yield one if isinstance(one, Record) else remembered(key, lambda found=one: found)

    if known(key) is None:
        st.session_state[keys.ADVICE_RUN.name] = (key, Run(work))


def _progress(running: Run, total: int) -> None:
    running.seen()
    if not running.busy:
        st.rerun()
    done = sum(record.kind == "accuracy" for record in running.news)
    st.progress(done / total, text=f"{done} of {total} runs, {running.seconds:.0f} s")


def _is_example(collection: Collection) -> bool:
    path = str(SAMPLE_FOLDER / LABELLED_SET)
    return len(collection) > 0 and collection.whole is None and collection.path(0).startswith(path)


def _draw(head: Any, advice: Advice, collection: Collection | None) -> None:
    head.markdown(f"#### {plain(advice.headline)}")
    st.markdown("\n".join(f"- {plain(line)}" for line in advice.evidence()))
    name = "example" if collection is None else "own"
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader("Where brightness varies", anchor=False)
        charts.draw(
            split_bar(advice.brightness, dark=style.dark()),
            key=f"split_{name}",
            alt="Share of the variance within images, between images and between classes",
        )
        st.caption(_SPLIT_WORDS + _BY_LABEL[advice.brightness.explained is not None])
    if advice.accuracy is None:
        return
    with right:
        st.subheader("Right, by the light of the test", anchor=False)
        charts.draw(
            accuracy_by_light(advice, dark=style.dark()),
            key=f"by_light_{name}",
            alt="Accuracy of every normalization over the light of the test",
        )
        st.caption(
            f"Means over {len(advice.spec.seeds)} seeds, bands their standard deviation; each "
            "class counts alike. Trained on the images as they are, reduced to 16 × 16 pixels."
        )
    st.subheader("Differences to the dataset's mean and std", anchor=False)
    effects = list(advice.effects.values())
    with st.container(key=f"advice_effects_{name}"):
        st.html(effects_table(effects, "Differences to the dataset's mean and std"))
    st.caption(plain(advice.limits))
    if collection is None:
        return
    if advice.suits is not None:
        _code(advice.suits, collection)
    st.download_button(
        "Advice as JSON",
        json.dumps(advice.to_dict(), indent=1, ensure_ascii=False, allow_nan=False),
        "advice.json",
        "application/json",
        on_click="ignore",
        help="All numbers of this page; `python -m normviz advise` writes the same.",
    )


_SPLIT_WORDS = "Brightness is the mean of an image's values at full size; each image counts alike. "
_BY_LABEL = {
    True: "Variance between classes carries the label; that between images of one class is in its "
    "way.",
    False: "Dataset statistics keep all of it; each image's own remove what lies between images.",
}


def _code(suits: str, collection: Collection) -> None:
    """Code of what the race speaks for, with the numbers of these images."""
    method = NORMALIZATIONS[suits].method
    numbers = statistics_numbers(collection)
    if method is None or numbers is None:
        return
    fitted = method.fit(numbers.value)
    st.subheader(plain(f"Code: {method.about.title}"), anchor=False)
    with st.container(width=260):
        target = menu(keys.ADVICE_CODE, "In", {key: TARGETS[key] for key in fitted.code_targets()})
    st.code(fitted.code(target), language="python", wrap_lines=True)
