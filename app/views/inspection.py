"""Inspect: which preprocessing does a network expect, and what does the wrong one cost?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import streamlit as st

from app import charts, keys
from app.cached import known, remembered
from app.controls import choice, menu, switch
from app.frame import Frame, say_source, say_unused
from app.networks import Chosen, pick_network
from app.text import plain
from app.views import style
from app.views.table import table_html
from normviz.errors import NormvizError, ReadError
from normviz.figures.inspection import candidate_bars, distance_by_layer, recovered_constants
from normviz.images import Image
from normviz.inspection import Row, Verdict, guesses_under, inspect_network
from normviz.inspection.photos import class_of
from normviz.inspection.recovered import ASSUMED_MEAN, ASSUMED_STD
from normviz.observe.sentences import percent
from normviz.samples import SAMPLE_SETS, SAMPLES, load_sample

PHOTOS = 16
BARS = 14

# A bar that comes and goes at once only disturbs.
_BAR_AFTER = 0.4

# The first guesses of so many candidates are shown.
_GUESSES = 10

PHOTO_SETS = {"samples": f"{PHOTOS} sample photos", "loaded": "The loaded images"}
CODE = {
    "numpy": "NumPy",
    "torchvision": "torchvision",
    "albumentations": "Albumentations",
    "keras": "Keras",
    "opencv": "OpenCV",
}


def page(shared: Frame) -> None:
    """Draw the page from the widgets' state."""
    say_source(shared)
    say_unused(shared)
    _body(shared)


@st.fragment
def _body(shared: Frame) -> None:
    head = st.empty()
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect_controls"):
        with st.container(width=340):
            chosen = pick_network(stacks=False)
        with st.container(width=330):
            photos = choice(
                keys.INSPECT_PHOTOS,
                "Tried on",
                PHOTO_SETS,
                "Natural photos without labels, about 16 of different scenes.",
            )
        as_they_are = switch(
            keys.AS_THEY_ARE,
            "Photos as they are",
            "Off: the set of photos is brought to the brightness and contrast of photos at large, "
            "since a few are by chance darker or flatter. On: right where the images are like "
            "those of the training.",
        )
    if chosen is None:
        head.markdown("#### Which preprocessing does your network expect?")
        return
    images, titles, labels = _photos(shared, photos, chosen)
    if not images:
        head.markdown("#### Which preprocessing does this network expect?")
        st.info("None of the loaded images could be read; choose the sample photos.")
        return
    try:
        verdict = _verdict(chosen, images, labels, not as_they_are, head)
    except NormvizError as error:
        head.markdown("#### This network could not be inspected")
        st.warning(plain(str(error)))
        return
    first, sure, *others = verdict.words()
    head.markdown(f"#### {plain(first)}")
    st.markdown(plain(sure))
    st.markdown("\n".join(f"- {plain(line)}" for line in others))
    _evidence(verdict)
    _feeding(verdict)
    _table(verdict)
    _guesses(verdict, titles, chosen, images, not as_they_are)


def _photos(
    shared: Frame, photos: str, chosen: Chosen
) -> tuple[list[Image], list[str], list[int | None] | None]:
    if photos == "samples":
        odd = set(SAMPLE_SETS["Far from everyday"])
        names = [key for key in SAMPLES if key not in odd][:PHOTOS]
        images = remembered(("photos to inspect",), lambda: [load_sample(key) for key in names])
        return list(images), [SAMPLES[key].title for key in names], None
    collection = shared.collection
    images, titles, labels = [], [], []
    for at in range(0, len(collection), max(1, len(collection) // PHOTOS)):
        if len(images) == PHOTOS:
            break
        try:
            image = collection.image(at)
        except ReadError:
            continue
        images.append(image)
        titles.append(collection.titles[at])
        labels.append(class_of(image.label, chosen.network.labels))
    return images, titles, labels if any(label is not None for label in labels) else None


def _verdict(chosen: Chosen, images: Sequence[Image], labels, usual: bool, head) -> Verdict:
    digests = tuple(image.digest for image in images)
    key = ("inspection", chosen.key, digests, tuple(labels or ()), usual)
    found = known(key)
    if found is not None:
        return found
    began = time.monotonic()
    for record in inspect_network(chosen.network, images, usual=usual, labels=labels):
        if isinstance(record, Verdict):
            found = record
        elif time.monotonic() - began > _BAR_AFTER:
            head.progress(
                record.done / record.total,
                text=f"{record.stage.capitalize()}: {record.done} of {record.total} runs; "
                f"{charts.STOPS}",
            )
    assert isinstance(found, Verdict)
    return remembered(key, lambda: found)


def _evidence(verdict: Verdict) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Nearest candidates", anchor=False)
        charts.draw(
            candidate_bars(verdict, BARS, dark=style.dark()),
            key="candidates",
            alt="Distance of the nearest candidates, with intervals",
        )
        st.caption(_measure_words(verdict))
    with right:
        if verdict.recovered is not None:
            st.subheader("Constants recovered from the file", anchor=False)
            charts.draw(
                recovered_constants(verdict, dark=style.dark()),
                key="recovered",
                alt="Recovered mean and std of each channel beside the verdict's",
            )
            st.caption(
                "No list of candidates is behind these: the mean follows from the stored means and "
                "the sums of the first filters, the std from the stored variances and how "
                "neighbouring pixels of photos vary together. That the training's photos were like "
                "photos at large is assumed: intervals are over redrawn photos and filters, and "
                f"over how far that was off on networks of known constants (mean {ASSUMED_MEAN:g}, "
                f"std {percent(ASSUMED_STD, 0)})."
            )
        run = [row for row in verdict.rows if row.by_layer]
        if run:
            st.subheader("Through the whole network", anchor=False)
            charts.draw(
                distance_by_layer(run, verdict.key, dark=style.dark()),
                key="by_layer",
                alt="Distance at every batch normalization under each candidate",
            )


_SPEAKS = {
    "answers": "its answers, which should be sure of each photo and differ between photos",
    "first filters": "its first filters, whose mean answers should not depend on how much of a "
    "plain area each sees (a batch normalization leaves that behind when it is folded away)",
}


def _measure_words(verdict: Verdict) -> str:
    if verdict.evidence == "output":
        return (
            "No batch normalization is stored apart in this network. What speaks: "
            + "; ".join(_SPEAKS[one] for one in verdict.spoke)
            + f". Lines: 95 % over redrawn sets of the {verdict.photos} photos. This is weaker "
            "evidence: several candidates are left as a rule."
        )
    return (
        "Symmetric Kullback–Leibler divergence between what arrives at the first batch "
        "normalization and the mean and variance stored there, median over channels: 0 is what the "
        f"training saw. Bars: 95 % over redrawn sets of the {verdict.photos} photos."
    )


def _feeding(verdict: Verdict) -> None:
    st.subheader("Feed it right", anchor=False)
    code, files = st.columns([3, 1], gap="large")
    with code:
        target = choice(keys.INSPECT_CODE, "In", CODE, "Code from 8-bit pixels to what it expects.")
        st.code(verdict.code(target), language="python", wrap_lines=True)
    with files:
        st.download_button(
            "Verdict as JSON",
            json.dumps(verdict.to_dict(), indent=1, ensure_ascii=False, allow_nan=False),
            "verdict.json",
            "application/json",
            help="All numbers of this page; `python -m normviz inspect --json` gives the same, "
            "with class numbers where the file comes without names (--classes).",
        )


def _table(verdict: Verdict) -> None:
    st.subheader("All candidates", anchor=False)
    by_share = verdict.evidence == "output"
    columns: dict[str, Callable[[Row], str]] = {
        "log-likelihood (nats)" if by_share else "distance": lambda row: _cell(
            row.score if by_share else row.distance
        ),
        "likelihood": lambda row: percent(row.support, 0) if row.asked else "–",
        "95 % interval": lambda row: (
            "–"
            if row.interval is None
            else " to ".join(map(_percent if by_share else _cell, row.interval))
        ),
        "first in": lambda row: percent(row.support, 0),
        "all layers": lambda row: _cell(row.deep),
        "entropy": lambda row: "–" if row.entropy is None else f"{row.entropy:.2f} bits",
        "sure of": lambda row: _percent(row.most_probable),
        "same class": lambda row: _percent(row.agreement),
        "mirrored": lambda row: _percent(row.mirror_agreement),
        "accuracy": lambda row: _percent(row.accuracy),
    }
    for unused in ("first in",) if by_share else ("likelihood",):
        del columns[unused]
    # A column without a number says nothing.
    columns = {
        name: cell
        for name, cell in columns.items()
        if any(cell(row) != "–" for row in verdict.rows)
    }
    rows = [[row.title, *(cell(row) for cell in columns.values())] for row in verdict.rows]
    with st.container(key="candidates_table"):
        st.html(table_html(["fed as", *columns], rows, "All candidates"))
    words = {
        "likelihood": "its share, all candidates being as likely before, with the interval over "
        "redrawn sets of the photos.",
        "first in": "share of redrawn sets of the photos in which it ranks first of its order.",
        "all layers": "median distance over all batch normalizations.",
        "sure of": "mean probability of the first class.",
        "same class": "share of photos with the first class that the verdict gives.",
        "mirrored": "how alike the answers to a photo and its mirror image are.",
    }
    said = [f"“{name.capitalize()}”: {text}" for name, text in words.items() if name in columns]
    asked = (
        "Of candidates fed as BGR only the likeliest were asked."
        if by_share
        else "Only the nearest and the usual candidates were run through the whole network."
    )
    st.caption(" ".join([*said, asked]))


def _guesses(
    verdict: Verdict,
    titles: Sequence[str],
    chosen: Chosen,
    images: Sequence[Image],
    usual: bool,
) -> None:
    rows: list[Row] = [row for row in verdict.rows if row.top5][:_GUESSES]
    if not rows:
        return
    st.subheader("First guesses under each", anchor=False)
    options = {f"{at}": title for at, title in enumerate(titles[: verdict.photos])}
    rest = {row.key: row for row in verdict.rows if row not in rows}
    with st.container(horizontal=True, key="guess_controls"):
        with st.container(width=340):
            at = int(menu(keys.INSPECT_PHOTO, "Photo", options))
        with st.container(width=340):
            more = menu(
                keys.INSPECT_ALSO,
                "Also fed as",
                {"none": "–"} | {key: row.title for key, row in rest.items()},
                "Any other candidate: the photo goes through the network now.",
            )
    guesses = [(row.title, row.top5[at]) for row in rows]
    if more in rest:
        digests = tuple(image.digest for image in images)
        key = ("guesses", chosen.key, digests, usual, at, more)
        found = remembered(
            key, lambda: guesses_under(chosen.network, images, at, rest[more], usual)
        )
        guesses.append((rest[more].title, found))
    lines = [
        [title, *(f"{name} {percent(share, 0)}" for name, share in found)]
        for title, found in guesses
    ]
    with st.container(key="top5_table"):
        head = ["fed as", *(f"{place}." for place in range(1, len(lines[0])))]
        st.html(table_html(head, lines, "First guesses", numbers=False))


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "−")


def _percent(value: float | None) -> str:
    return "–" if value is None else percent(value, 0)
