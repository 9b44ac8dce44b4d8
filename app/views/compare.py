"""Compare: one row an image, one column a method, and everything measured of them below."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import keys, viewer
from app.cached import encoded, lit_copy, lit_statistics, normalized_copy, shown_copy
from app.controls import whole
from app.selection import (
    LONGEST_OF_MANY,
    LONGEST_OF_ONE,
    ROWS_A_PAGE,
    Column,
    Row,
    Selection,
    columns_of,
    pick_display,
    pick_light,
    pick_methods,
    pick_numbers,
)
from app.sources import Collection, Numbers, matched, pick_source
from app.text import plain
from app.views import activations, histograms, refine, style, takeaway
from app.views.panels import measure_ahead, measured, panels_of, windows_of
from normviz.display import describe
from normviz.errors import ReadError
from normviz.figures.theme import METHOD_COLOURS
from normviz.images import Image
from normviz.light import Light, level_table
from normviz.methods import Method
from normviz.observe.ranges import Ranges
from normviz.observe.sentences import Pair, day_and_night

_NONE_READABLE = "No image here could be read; the reasons stand above. Choose other files."

CHANNELS = {1: ("grey",), 3: ("R", "G", "B")}


def page() -> None:
    """Draw the page from the widgets' state."""
    style.apply()
    with st.sidebar:
        collection, waiting = pick_source()
        light = pick_light()
        methods = pick_methods()
        numbers, missing = pick_numbers(collection)
        mapping, scale = pick_display()
    if waiting:
        _invite()
    _say_problems(collection)
    if not len(collection):
        st.info(_NONE_READABLE)
        return
    _body(collection, light, methods, (numbers, missing), (mapping, scale))


# A fragment: what is set below the pictures, and the charts that come after them, leave the sidebar
# as it is.
@st.fragment
def _body(
    collection: Collection,
    light: Light,
    methods: Mapping[str, Method],
    fit_on: tuple[Numbers | None, str],
    display: tuple[str, str],
) -> None:
    numbers, missing = fit_on
    rows = _rows(collection)
    rows = tuple(Row(row.index, row.title, matched(row.image, numbers)) for row in rows)
    longest = LONGEST_OF_ONE if len(rows) == 1 else LONGEST_OF_MANY
    columns = columns_of(methods, numbers, missing)
    words = numbers.words if numbers else missing
    chosen = Selection(collection, rows, columns, light, longest, *display, words)
    if not rows:
        st.info(_NONE_READABLE)
        return
    measure_ahead(chosen)
    activations.measure_ahead(chosen)
    st.markdown(f"#### {_headline(chosen)}")
    if not columns:
        return
    with st.container(key="grid"):
        if not _grid(chosen):
            # The charts' library takes a browser half a second to start, pictures or not: they
            # come first, and say when they are there.
            return
        histograms.section(chosen)
    activations.section(chosen)
    takeaway.section(chosen)
    refine.section(chosen)


def _invite() -> None:
    st.info(
        "Upload images or a dataset in the sidebar: JPEG, PNG, WebP, TIFF and the like, a zip or "
        "tar of images (class folders become labels), .npy, .npz, IDX or CIFAR binary files. Until "
        "then, here are the sample photos.",
        icon=":material/upload:",
    )


def _say_problems(collection: Collection) -> None:
    problems = collection.problems
    if problems:
        many = len(problems) > 1
        with st.expander(
            f"{len(problems)} file{'s' if many else ''} could not be read",
            expanded=len(problems) <= 3,
            icon=":material/warning:",
        ):
            for problem in problems[:50]:
                st.text(str(problem))
            if len(problems) > 50:
                st.text(f"… and {len(problems) - 50} more")
    for note in collection.notes[:5]:
        st.caption(plain(note))


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
    pairs = []
    for column in chosen.shown:
        bright, dark = (measured(chosen, row, column) for row in (day, night))
        if isinstance(bright, Ranges) and isinstance(dark, Ranges):
            about = column.method.about
            preset = about.scope == "dataset" and chosen.fit_on.startswith("preset ")
            whose = f"Constants of {chosen.fit_on.removeprefix('preset ')}" if preset else ""
            pairs.append(
                Pair(
                    column.name,
                    about.short,
                    about.scope,
                    about.unit,
                    bright.pooled_mean,
                    dark.pooled_mean,
                    bright.pooled_std,
                    whose,
                )
            )
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


def _grid(chosen: Selection) -> bool:
    """Draw the panels; return whether the browser has drawn them once."""
    numbers = panels_of(chosen)
    black_white = windows_of(chosen)
    rows = {row.index: _viewer_row(chosen, row) for row in chosen.rows}
    cells: dict[tuple[str, str], viewer.Cell] = {}
    for row in chosen.rows:
        for column in chosen.columns:
            key = (row.index, column.name)
            found = numbers[key]
            cells[rows[row.index].key, column.name] = (
                viewer.MessageCell(found)
                if isinstance(found, str)
                else _cell(chosen, row, column, found, black_white[key])
            )
    heads = [
        viewer.Column(
            column.name,
            column.method.about.short,
            METHOD_COLOURS[column.name],
            _subtitle(column),
        )
        for column in chosen.columns
    ]
    return viewer.show(
        heads,
        list(rows.values()),
        cells,
        display_label=describe(chosen.mapping, chosen.scale),
        key="viewer",
    )


def _subtitle(column: Column) -> str:
    about = column.method.about
    return f"{about.scope} · {about.unit}"


def _viewer_row(chosen: Selection, row: Row) -> viewer.Row:
    image, light = row.image, chosen.light
    copy = shown_copy(image, chosen.longest)
    table = None
    if image.levels == 256 and not light.noise:
        # The picture travels once, losslessly; the light travels as 256 numbers a channel.
        source, form = encoded(copy), "webp" if image.channels == 3 else "png"
        if not light.neutral:
            table = level_table(light, 256, image.channels).tobytes()
        key = f"{row.index}-{copy.digest}"
    else:
        copy = lit_copy(image, light, chosen.longest)
        form = "raw8" if copy.pixels.dtype.itemsize == 1 else "raw16"
        source = _as_levels(copy).tobytes()
        key = f"{row.index}-{copy.digest}"
    return viewer.Row(
        key=key,
        title=row.title,
        caption=_caption(image, copy),
        height=copy.height,
        width=copy.width,
        channels=copy.channels,
        source=source,
        source_format=form,
        levels=table,
        **_before(image),
    )


def _before(image: Image) -> dict[str, float | int]:
    """How the viewer prints the value that a pixel had: whole levels, or floats of the range."""
    if image.levels is not None:
        return {"before_low": 0.0, "before_step": 1.0, "before_digits": 0}
    low, span = image.value_range.low, image.value_range.span
    return {"before_low": low, "before_step": span / 65535, "before_digits": 3}


def _as_levels(image: Image):
    """Pixels as levels; floats in 65,536 steps of their declared range, for the viewer only."""
    if image.levels is not None:
        return image.pixels
    low, span = image.value_range.low, image.value_range.span
    return ((image.pixels - low) * (65535 / span) + 0.5).astype("<u2")


def _caption(image: Image, copy: Image) -> str:
    size = f"{image.width} × {image.height} px"
    if (copy.width, copy.height) != (image.width, image.height):
        size += f", shown as a reduced copy of {copy.width} × {copy.height} px"
    label = [f"class “{image.label}”"] if image.label else []
    return " · ".join([*label, size, *image.notes])


def _cell(
    chosen: Selection, row: Row, column: Column, found: Ranges, window: tuple[float, float]
) -> viewer.Cell:
    assert column.fitted is not None
    names = CHANNELS[found.channels]
    numbers = tuple(
        viewer.Numbers(
            name, *(float(v[at]) for v in (found.low, found.mean, found.std, found.high))
        )
        for at, name in enumerate(names)
    )
    size = f"{found.width} × {found.height} px"
    # Sums of integer levels have no rounding at all; those of floats have float64's.
    whole = "exact, all" if row.image.levels is not None else "in float64, all"
    note = f"{whole} {size}" if found.exact else f"measured on {size}"
    digits = _digits(found)
    pair = column.fitted.affine(lit_statistics(row.image, chosen.light))
    if pair is not None:
        scale, start = 1.0, 0.0
        if row.image.levels is None:
            scale, start = row.image.value_range.span / 65535, row.image.value_range.low
        return viewer.AffineCell(
            gain=tuple(float(g) * scale for g in pair.gain),
            bias=tuple(
                float(b) + float(g) * start for g, b in zip(pair.gain, pair.bias, strict=True)
            ),
            window=window,
            numbers=numbers,
            note=note,
            digits=digits,
        )
    values = normalized_copy(row.image, chosen.light, chosen.longest, column.fitted)
    low, high = float(values.min()), float(values.max())
    step = (high - low) / 65535 or 1.0
    return viewer.ValuesCell(
        values=((values - low) / step + 0.5).astype("<u2").tobytes(),
        low=low,
        step=step,
        window=window,
        numbers=numbers,
        note=note,
        digits=digits,
    )


def _digits(found: Ranges) -> int:
    """Decimals to print: 2 for values of a few units, fewer for large ones."""
    reach = max(abs(float(found.low.min())), abs(float(found.high.max())))
    return 0 if reach >= 100 else 1 if reach >= 20 else 2
