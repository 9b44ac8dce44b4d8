"""The images of a set as points, rows and thumbnails: to select, look at, exclude, take away."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from app import keys
from app.cached import remembered, thumbnail, together
from app.controls import choice, menu
from app.sources import Collection, Numbers, mark, marked
from app.text import plain
from app.views import style
from normviz.errors import ReadError
from normviz.figures.dataset import Points, image_scatter
from normviz.observe.dataset import (
    MEASURES,
    NEAR,
    RANKS,
    Measure,
    alike_words,
    near_duplicates,
    ranked,
    sample_words,
    scatter_words,
)
from normviz.observe.sentences import significant
from normviz.statistics import DatasetStatistics, Row

# Longer side of a thumbnail's pixels; it is shown at half of it or a little more.
THUMBNAIL = 160

MOST_IN_TABLE = 100
MOST_THUMBNAILS = 48
IN_A_STRIP = 6
MOST_PAIRS = 6


def section(loaded: Collection, numbers: Numbers, compare_page: st.Page) -> None:
    """Draw the scatter, the ranked table, what is selected, and the ends of every rank."""
    st.subheader("Images", anchor=False)
    _excluded(loaded)
    _explorer(loaded, numbers, compare_page)
    _ends(numbers)


def _excluded(loaded: Collection) -> None:
    places = marked(keys.EXCLUDED, loaded)
    if not places:
        return
    plural = "image is" if len(places) == 1 else "images are"
    with st.container(horizontal=True, vertical_alignment="center", key="excluded"):
        st.markdown(
            f"**{len(places):,} {plural} excluded**: the numbers of this page and “Fit on: the "
            "loaded images” leave them out. They are the statistics of a new pass without them."
        )
        st.button(
            "Take them back in",
            key="include",
            on_click=mark,
            args=(keys.EXCLUDED, loaded, ()),
        )


# --------------------------------------------------------------------------- scatter and selection


@st.fragment
def _explorer(loaded: Collection, numbers: Numbers, compare_page: st.Page) -> None:
    statistics: DatasetStatistics = numbers.value
    collection = numbers.collection
    assert collection is not None
    rows = statistics.rows
    titles = {row.position: collection.titles[row.position] for row in rows}
    options = {name: measure.title for name, measure in MEASURES.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", key="scatter_controls"):
        with st.container(width=220):
            x = menu(keys.DATASET_X, "Across", options, _help(keys.DATASET_X))
        with st.container(width=220):
            y = menu(keys.DATASET_Y, "Up", options, _help(keys.DATASET_Y))
    low, span = statistics.value_range.low, statistics.value_range.span
    by_row = [titles[row.position] for row in rows]
    st.markdown(plain(scatter_words(rows, x, y, (low, span), by_row)))
    if words := sample_words(statistics):
        st.caption(words)
    chart, table = st.columns([3, 2], gap="large")
    with chart:
        points = Points(
            [row.position for row in rows],
            by_row,
            [row.label for row in rows],
            MEASURES[x].values(rows, low, span),
            MEASURES[y].values(rows, low, span),
            _axis(MEASURES[x], statistics),
            _axis(MEASURES[y], statistics),
        )
        event: Any = st.plotly_chart(
            image_scatter(points, dark=style.dark()),
            theme=None,
            key=keys.SCATTER.name,
            on_select="rerun",
            selection_mode=("points", "box", "lasso"),
            config={"displaylogo": False, "modeBarButtonsToRemove": ["toImage", "autoScale2d"]},
            alt=f"Each image as a point: {MEASURES[x].title} across, {MEASURES[y].title} up",
        )
        found = {int(point["customdata"][0]) for point in event.selection.points}
    with table:
        found |= _table(numbers, rows, by_row)
    _selected(loaded, collection, sorted(found & set(titles)), compare_page)


def _help(key: keys.Key) -> str:
    return "\n".join(f"- **{one.title}**: {one.words}" for one in MEASURES.values())


def _axis(measure: Measure, statistics: DatasetStatistics) -> str:
    low, high = statistics.value_range
    unit = f"{low:g}–{high:g}" if measure.unit in ("value", "span") else measure.unit
    return f"{measure.title} ({unit})" if unit else measure.title


def _table(numbers: Numbers, rows: Sequence[Row], titles: Sequence[str]) -> set[int]:
    """The ranked table; its rows can be selected without a pointer."""
    statistics: DatasetStatistics = numbers.value
    rank = choice(
        keys.RANK,
        "Ranked",
        {name: one.title for name, one in RANKS.items()},
        "Select rows with the boxes at the left, or with Shift and the space bar.",
    )
    order = ranked(rows, RANKS[rank], MOST_IN_TABLE)
    listed = [rows[at] for at in order]
    low, span = statistics.value_range.low, statistics.value_range.span
    columns: dict[str, Any] = {"Image": [titles[at] for at in order]}
    if any(row.label is not None for row in listed):
        columns["Label"] = [row.label or "" for row in listed]
    formats = {}
    # What it is ranked by comes first.
    names = dict.fromkeys([RANKS[rank].measure, "mean", "std", "sharpness", "clipped"])
    for name in names:
        title = (
            f"{MEASURES[name].title} (%)" if MEASURES[name].unit == "%" else MEASURES[name].title
        )
        columns[title] = MEASURES[name].values(listed, low, span)
        formats[title] = st.column_config.NumberColumn(format="%.4g", help=MEASURES[name].words)
    columns["Size"] = [f"{row.width} × {row.height}" for row in listed]
    event: Any = st.dataframe(
        columns,
        hide_index=True,
        height=385,
        # Of another order or another set, the same row is another image.
        key=f"{keys.RANKED.name}_{rank}_{numbers.key}",
        on_select="rerun",
        selection_mode="multi-row",
        column_config=formats,
        alt=f"Images, the {RANKS[rank].title.lower()} first",
    )
    if len(rows) > MOST_IN_TABLE:
        st.caption(f"The first {MOST_IN_TABLE} of {len(rows):,}.")
    return {listed[at].position for at in event.selection.rows if at < len(listed)}


def _selected(
    loaded: Collection, collection: Collection, chosen: list[int], compare_page: st.Page
) -> None:
    with st.container(key="selected"):
        if not chosen:
            st.caption(
                "Draw around points with the pointer, or select rows of the table: the images show "
                "here, to be looked at in Compare, excluded from the fit, or listed."
            )
            return
        plural = "image" if len(chosen) == 1 else "images"
        st.markdown(f"**{len(chosen):,} {plural} selected**")
        places = [collection.place(at) for at in chosen]
        with st.container(horizontal=True, key="selected_actions"):
            # A link, as a switch of the page from here would empty the address of all that widgets
            # have written into it.
            st.session_state[keys.SELECTED.name] = {loaded.key: tuple(places)}
            st.page_link(
                compare_page,
                label="Look at them in Compare",
                icon=":material/compare:",
                query_params={**st.query_params.to_dict(), keys.LOOK: "selected"},
            )
            everything = len(chosen) == len(collection)
            if st.button(
                "Exclude from the fit",
                key="exclude",
                icon=":material/remove_circle_outline:",
                disabled=everything,
                help="Nothing would be left." if everything else "The statistics are taken anew.",
            ):
                mark(keys.EXCLUDED, loaded, [*marked(keys.EXCLUDED, loaded), *places])
                st.rerun()
            st.download_button(
                "List of paths (TXT)",
                lambda: "".join(f"{collection.path(at)}\n" for at in chosen),
                file_name="images.txt",
                on_click="ignore",
                key="take images.txt",
            )
        strip(collection, {at: collection.titles[at] for at in chosen[:MOST_THUMBNAILS]})
        if len(chosen) > MOST_THUMBNAILS:
            st.caption(f"… and {len(chosen) - MOST_THUMBNAILS:,} more")


# ------------------------------------------------------------------------------------- the ends


def _ends(numbers: Numbers) -> None:
    """The first few images of every rank, and the pairs that are nearly the same."""
    statistics: DatasetStatistics = numbers.value
    collection = numbers.collection
    assert collection is not None
    rows = statistics.rows
    if len(rows) < 2:
        return
    st.subheader("The ends of the set", anchor=False)
    if words := sample_words(statistics):
        st.caption(f"{words} Images beyond them may be darker, brighter or alike as well.")
    low, span = statistics.value_range.low, statistics.value_range.span
    places = [place for _ in range(3) for place in st.columns(2, gap="large")]
    for place, (name, rank) in zip(places, RANKS.items(), strict=False):
        measure = MEASURES[rank.measure]
        order = ranked(rows, rank, IN_A_STRIP)
        values = measure.values([rows[at] for at in order], low, span)
        unit = " %" if measure.unit == "%" else ""
        with place, st.container(key=f"strip_{name}"):
            st.markdown(f"**{rank.title}**: {plain(measure.title.lower())}", help=measure.words)
            captions = {
                rows[at].position: f"{significant(float(value))}{unit}"
                for at, value in zip(order, values, strict=True)
            }
            strip(collection, captions)
    with places[-1], st.container(key="strip_alike"):
        _alike(numbers, collection, rows)


def _alike(numbers: Numbers, collection: Collection, rows: Sequence[Row]) -> None:
    pairs = remembered(("alike", numbers.key), lambda: near_duplicates(rows))
    titles = [collection.titles[row.position] for row in rows]
    st.markdown(
        "**Near-duplicates**: fingerprints",
        help="A fingerprint says at 8 × 8 places whether the picture gets brighter to the right: "
        f"64 bits. Pairs that differ in at most {NEAR} are shown; unrelated ones differ in about "
        "32, and light, size and compression change few.",
    )
    st.caption(plain(alike_words(rows, pairs, titles)))
    shown = pairs[: MOST_PAIRS // 2]
    strip(
        collection,
        [
            (rows[at].position, f"{pair.bits} of 64 bits" if at == pair.first else " ")
            for pair in shown
            for at in (pair.first, pair.second)
        ],
    )


def strip(collection: Collection, captions: Mapping[int, str] | Sequence[tuple[int, str]]) -> None:
    """Draw thumbnails in a row that wraps, each with a caption; its title is read out."""
    items = list(captions.items() if isinstance(captions, Mapping) else captions)
    together([partial(_thumbnail, collection, at) for at, _ in items])
    st.html(f"<div class='nv-strip'>{''.join(_figures(collection, items))}</div>")


def _thumbnail(collection: Collection, at: int) -> tuple[bytes, int]:
    """A small picture, and the longer side of the image that it is of."""

    def build() -> tuple[bytes, int]:
        image = collection.image(at)
        return thumbnail(image, THUMBNAIL), max(image.height, image.width)

    # By its name, so that a picture that is known is shown without decoding the image again.
    return remembered(("thumbnail of", collection.key, at), build)


def _figures(collection: Collection, items: Any) -> Iterator[str]:
    for at, caption in items:
        title = escape(collection.titles[at], quote=True)
        try:
            picture, longest = _thumbnail(collection, at)
        except ReadError:
            continue
        data = base64.b64encode(picture).decode()
        small = " class='nv-small'" if longest < THUMBNAIL // 2 else ""
        yield (
            f"<figure title='{title}'><img{small} alt='{title}' data-at='{at}' "
            f"src='data:image/webp;base64,{data}'><figcaption>{escape(caption)}</figcaption>"
            "</figure>"
        )
