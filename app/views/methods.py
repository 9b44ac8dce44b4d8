"""Methods: a gallery of every normalization on one image, and a page for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import axes, gallery, keys, published, viewer
from app.cached import (
    lit,
    name_of,
    normalized_copy,
    remembered,
    shown_copy,
    together,
)
from app.controls import configured, menu
from app.frame import Frame, say_source
from app.selection import (
    LONGEST_OF_ONE,
    Column,
    Row,
    Selection,
    column_of,
    memory_words,
    pick_display,
)
from app.sources import matched
from app.text import plain
from app.views import grid, norms, style
from app.views.compare import NONE_READABLE
from app.views.panels import measure_ahead, measured
from normviz.display import to_bytes
from normviz.errors import NormvizError, ReadError
from normviz.export import small_webp
from normviz.figures import component_bars
from normviz.figures.theme import METHOD_COLOURS, NORM_COLOURS
from normviz.images import Image
from normviz.light import Light
from normviz.methods import FAMILIES, FEATURE_NORMS, METHODS, FeatureNorm, Fitted, Method
from normviz.methods.base import About
from normviz.methods.clahe import CLAHE
from normviz.methods.code import TARGETS
from normviz.methods.dataset import DatasetMeanImage
from normviz.methods.published import Published
from normviz.methods.whitening import ImagePCA
from normviz.observe.difference import Difference, difference
from normviz.observe.invariance import Tried, tried_changes
from normviz.observe.ranges import Ranges
from normviz.observe.sentences import one_method, two_methods

THUMBNAIL = 224
"""Longer side of the gallery's pictures, in px."""

# The definition is tried six times: a small copy is enough to see whether anything changes.
TRIED_ON = 128

MOST_NAMED = 100

_MAPS_WIDTH = 860

# Bars on the card of image PCA, at most.
_BARS = 16

BROKEN = (
    " A promise holds where the image has something to divide by: not where that is 0 on an image "
    "that is not flat."
)

SCOPES = {
    "fixed": "fixed constants",
    "image": "the image's own numbers",
    "dataset": "a dataset's numbers",
    "batch": "a mini-batch's numbers",
    "local": "each pixel's neighbourhood",
}


def page(shared: Frame) -> None:
    """Draw the gallery, or the page of one method."""
    with shared.last_place:
        display = pick_display()
    say_source(shared)
    if not len(shared.collection):
        st.info(NONE_READABLE)
        return
    _body(shared, display)


@st.fragment
def _body(shared: Frame, display: tuple[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="method_controls"):
        with st.container(width=300):
            titles = {**_titles(METHODS), **_titles(FEATURE_NORMS)}
            name = menu(
                keys.METHOD,
                "Method",
                {"all": "All methods", **titles},
                "Type to find a method by its name.",
            )
        others = _titles(FEATURE_NORMS if name in FEATURE_NORMS else METHODS)
        with st.container(width=300):
            versus = menu(
                keys.VERSUS,
                "Beside it",
                {"nothing": "Nothing", **{key: t for key, t in others.items() if key != name}},
                "A second method on the same image; the page says in numbers where they differ.",
            )
        row = _row(shared)
    if row is None:
        st.info("This image could not be read; choose another one.")
    elif name == "all":
        _gallery(shared, row)
    elif name in FEATURE_NORMS:
        _norm(shared, row, name, versus, display)
    else:
        _method(shared, row, name, versus, display)


def _titles(kinds: Mapping[str, type[Method] | type[FeatureNorm]]) -> dict[str, str]:
    return {key: kind.about.title for key, kind in kinds.items()}


def _row(shared: Frame) -> Row | None:
    collection = shared.collection
    names = [f"{at}. {title}" for at, title in enumerate(collection.titles[:MOST_NAMED], start=1)]
    with st.container(width=260):
        picked = menu(keys.METHOD_IMAGE, "Image", {name: name for name in names})
    index = names.index(picked)
    try:
        image = matched(collection.image(index), shared.numbers)
    except ReadError:
        return None
    return Row(index, collection.titles[index], image)


# ------------------------------------------------------------------------------------- gallery


def _gallery(shared: Frame, row: Row) -> None:
    st.markdown(
        f"#### {len(METHODS) + len(FEATURE_NORMS)} ways to normalize, each on "
        f"{plain(f'“{row.title}”')}. Open one for its formula, its limits and its code."
    )
    columns = [
        column_of(key, kind(), shared.numbers, shared.missing) for key, kind in METHODS.items()
    ]
    together([partial(_thumbnail, shared, row, column) for column in columns])
    families = {kind.key: family for family, kinds in FAMILIES.items() for kind in kinds}
    items = []
    for column in columns:
        about = column.method.about
        found = _thumbnail(shared, row, column)
        items.append(
            gallery.Item(
                key=column.name,
                title=about.title,
                summary=about.summary,
                group=families[column.name],
                colour=METHOD_COLOURS[column.name],
                words=" ".join(
                    [column.name, about.short, about.scope, about.used_by]
                    + [source.text for source in about.sources]
                    + [library for library, _ in about.libraries]
                ),
                picture=found if isinstance(found, bytes) else b"",
                form="webp",
                message=found if isinstance(found, str) else "",
            )
        )
    maps = norms.batch_of(shared, row.index)
    for key, kind in FEATURE_NORMS.items():
        items.append(
            gallery.Item(
                key=key,
                title=kind.about.title,
                summary=kind.about.summary,
                group=norms.GROUP,
                colour=NORM_COLOURS[key],
                words=norms.words_to_find(key),
                picture=norms.card(maps, kind()),
                form="webp",
            )
        )
    gallery.show(items, key="gallery", on_choice=_open)
    st.caption(
        "Each picture is stretched between its own percentiles 0.5 and 99.5, and made from a copy "
        f"of at most {THUMBNAIL} px; parameters are the defaults. In-network: four channels of a "
        "first convolution's maps of the image, black at −3 and white at 3."
    )


def _open(name: str) -> None:
    st.session_state[keys.METHOD.name] = name


def _thumbnail(shared: Frame, row: Row, column: Column) -> bytes | str:
    """A small picture of the method's result, or the sentence that says why there is none."""
    if column.fitted is None:
        return column.message
    fitted = column.fitted

    def build() -> bytes | str:
        try:
            values = normalized_copy(row.image, shared.light, THUMBNAIL, fitted)
        except NormvizError as error:
            return str(error)
        if isinstance(column.method, ImagePCA):
            return small_webp(_bars(_components_of(shared.light, row, fitted)))
        # One outlier would leave a small picture all grey; a few values among zeros are all it is.
        low, high = (float(end) for end in np.percentile(values, (0.5, 99.5)))
        if high == low:
            low, high = float(values.min()), float(values.max())
        return small_webp(to_bytes(values, (low, high) if high > low else (low - 0.5, low + 0.5)))

    return remembered(("thumbnail", row.image.digest, shared.light, name_of(fitted)), build)


# ---------------------------------------------------------------------------------- one method


def _method(shared: Frame, row: Row, name: str, versus: str, display: tuple[str, str]) -> None:
    st.button("All methods", icon=":material/arrow_back:", on_click=_open, args=("all",))
    names = [name] if versus in ("nothing", name) else [name, versus]
    methods = _parameters(names, row.image)
    for method in methods.values():
        if words := memory_words(method, shared.numbers):
            st.caption(plain(words))
    columns = [column_of("none", METHODS["none"](), None, "")] if "none" not in names else []
    for key in names:
        columns.append(column_of(key, methods[key], shared.numbers, shared.missing))
    words = shared.numbers.words if shared.numbers else shared.missing
    chosen = Selection(
        shared.collection,
        (row,),
        tuple(columns),
        shared.light,
        LONGEST_OF_ONE if len(names) == 1 else 512,
        *display,
        words,
    )
    measure_ahead(chosen)
    shown = [column for column in columns if column.name in names]
    compared = _compared(chosen, row, shown)
    st.markdown(f"#### {plain(_headline(chosen, row, shown, compared))}")
    with st.container(key="grid"):
        grid.draw(chosen, "method_viewer", more=_difference_column(chosen, row, shown))
    for column in shown:
        _components(chosen, row, column)
    if len(shown) == 1:
        wide, narrow = st.columns([3, 2], gap="large")
        _about(chosen, row, shown[0], wide, narrow)
    else:
        for column, place in zip(shown, st.columns(2, gap="large"), strict=True):
            place.subheader(column.method.about.title, anchor=False)
            _about(chosen, row, column, place, place)
    if any(isinstance(column.method, Published) for column in shown):
        published.presets_table()


def _components_of(light: Light, row: Row, fitted: Fitted) -> np.ndarray:
    image = lit(row.image, light)
    method = fitted.method
    assert isinstance(method, ImagePCA)

    def build() -> np.ndarray:
        low, high = image.value_range
        u = (image.pixels.astype(np.float64) - low) / (high - low)
        return method.components_of(u, fitted.constants)

    return remembered(("components", image.digest, name_of(fitted)), build)


def _bars(values: np.ndarray) -> np.ndarray:
    """The first components as white bars up and down from a line, for a card."""
    height, width = 168, 224
    shown = values[:_BARS, 0]
    reach = float(np.abs(shown).max()) or 1.0
    picture = np.full((height, width, 1), 60, np.uint8)
    room = width // len(shown)
    for at, value in enumerate(shown):
        tip = round(height / 2 - 0.42 * height * float(value) / reach)
        top, bottom = sorted((tip, height // 2))
        picture[top : bottom + 1, at * room + room // 5 : (at + 1) * room - room // 5] = 230
    picture[height // 2] = 150
    return picture


def _components(chosen: Selection, row: Row, column: Column) -> None:
    """Bars of the numbers that image PCA makes of an image: its picture shows hardly any."""
    method, fitted = column.method, column.fitted
    # Why there are none stands where the picture would be.
    if not isinstance(method, ImagePCA) or fitted is None:
        return
    if isinstance(measured(chosen, row, column), str):
        return
    values = _components_of(chosen.light, row, fitted)
    st.markdown(
        plain(
            f"“{row.title}” in {len(values)} numbers, its components over the dataset, each in its "
            "own standard deviations. The picture holds them from its upper left corner on, and "
            "zeros in the rest."
        )
    )
    st.plotly_chart(
        component_bars(values, METHOD_COLOURS[column.name], dark=style.dark()),
        theme=None,
        key="components",
        config={"displayModeBar": False},
        alt="Bars of the image's whitened principal components",
    )


def _norm(shared: Frame, row: Row, name: str, versus: str, display: tuple[str, str]) -> None:
    """The page of one normalization of feature maps, with another beside it on request."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("All methods", icon=":material/arrow_back:", on_click=_open, args=("all",))
        with st.container(width=300):
            channel = norms.pick_channel()
    names = [name] if versus in ("nothing", name) else [name, versus]
    chosen = norms.parameters(names)
    maps = norms.batch_of(shared, row.index)
    results = {key: norms.one_channel(norm, maps, channel) for key, norm in chosen.items()}
    planes = [found[0, ..., np.newaxis] for found in results.values() if not isinstance(found, str)]
    between = planes[1] - planes[0] if len(planes) == 2 else None
    st.markdown(f"#### {plain(_norm_headline(row, chosen, results, planes, channel))}")
    # A map has few positions: two of them need no more room.
    with st.container(key="grid", width=_MAPS_WIDTH if len(names) == 1 else "stretch"):
        drawn = norms.draw(
            maps,
            results,
            channel,
            1,
            "method_maps",
            display,
            None if between is None else between[..., 0],
        )
    st.caption(plain(norms.caption(maps, channel)))
    if between is not None:
        whole = [norms.one_image(norm, maps) for norm in chosen.values()]
        both = [found for found in whole if not isinstance(found, str)]
        shorts = [norm.about.short for norm in chosen.values()]
        st.markdown(
            plain(
                f"Over all {norms.CHANNELS} channels: "
                f"{two_methods(*shorts, row.title, difference(*both))}"
            )
        )
    if not drawn:
        return
    if len(chosen) == 1:
        norms.about(name, chosen[name], maps, *st.columns([3, 2], gap="large"))
        return
    for (key, norm), place in zip(chosen.items(), st.columns(2, gap="large"), strict=True):
        place.subheader(plain(norm.about.title), anchor=False)
        norms.about(key, norm, maps, place, place)


def _norm_headline(
    row: Row,
    chosen: Mapping[str, FeatureNorm],
    results: Mapping[str, np.ndarray | str],
    planes: list[np.ndarray],
    channel: int,
) -> str:
    failed = [found for found in results.values() if isinstance(found, str)]
    if failed:
        return failed[0]
    abouts = [norm.about for norm in chosen.values()]
    title = f"{row.title}, channel {channel}"
    if len(planes) == 2:
        return two_methods(abouts[0].short, abouts[1].short, title, difference(*planes))
    low, high, mean, std = (float(f(planes[0])) for f in (np.min, np.max, np.mean, np.std))
    return one_method(abouts[0].title, title, low, high, mean, std, abouts[0].unit)


def _parameters(names: list[str], image: Image) -> dict[str, Method]:
    """Draw the parameters: side by side for one method, one method beside the other for two."""
    places = [st.columns(3)] if len(names) == 1 else [[place] for place in st.columns(2)]
    methods = {}
    for key, own in zip(names, places, strict=True):
        if len(names) > 1 and dataclasses.fields(METHODS[key]):
            own[0].markdown(f"**{plain(METHODS[key].about.short)}**")
        methods[key] = method = configured(key, own)
        if isinstance(method, CLAHE):
            # Under the slider of the limit, its first parameter.
            own[0].caption(plain(method.limit_sentence(image.height, image.width)))
    return methods


def _headline(chosen: Selection, row: Row, shown: list[Column], compared: Difference | None) -> str:
    first = shown[0]
    found = measured(chosen, row, first)
    if isinstance(found, str):
        return found
    if compared is None:
        about = first.method.about
        low, high = float(found.low.min()), float(found.high.max())
        return one_method(
            about.title, row.title, low, high, found.pooled_mean, found.pooled_std, about.unit
        )
    return two_methods(
        shown[0].method.about.short, shown[1].method.about.short, row.title, compared
    )


def _copies(chosen: Selection, row: Row, shown: list[Column]):
    return [
        normalized_copy(row.image, chosen.light, chosen.longest, column.fitted)
        for column in shown
        if column.fitted is not None and isinstance(measured(chosen, row, column), Ranges)
    ]


def _compared(chosen: Selection, row: Row, shown: list[Column]) -> Difference | None:
    pair = _copies(chosen, row, shown)
    return difference(*pair) if len(pair) == 2 else None


def _difference_column(chosen: Selection, row: Row, shown: list[Column]):
    pair = _copies(chosen, row, shown)
    if len(pair) != 2:
        return ()
    head = viewer.Column("difference", "difference", "#7a7a7a", "second − first")
    before, after = (column.method.channel_names(row.image.channels) for column in shown)
    names = after if before == after else [f"{b} → {a}" for b, a in zip(before, after, strict=True)]
    return ((head, {row.index: grid.difference_cell(pair[1] - pair[0], names)}),)


def _about(
    chosen: Selection, row: Row, column: Column, place: DeltaGenerator, beside: DeltaGenerator
) -> None:
    about = column.method.about
    with place:
        st.markdown(plain(about.summary))
        st.latex(about.formula)
        if isinstance(column.method, Published):
            published.say(column.method.published)
        if column.fitted_on:
            st.caption(plain(f"Fitted on {column.fitted_on}."))
        st.markdown(
            "\n".join(
                [
                    f"- **Takes** {SCOPES[about.scope]}.",
                    f"- **Loses** {plain(about.loses)}.",
                    f"- **A flat image** {plain(about.flat)}.",
                    f"- **Gives** {plain(about.unit)}"
                    + ("; the fitted numbers bring the input back." if about.invertible else "."),
                ]
                + ([f"- **Used by** {plain(about.used_by)}."] if about.used_by else [])
            )
        )
        st.markdown(
            "**Sources**\n"
            + "\n".join(
                f"- [{plain(source.text)}]({source.url})" if source.url else f"- {source.text}"
                for source in about.sources
            )
        )
        if isinstance(column.method, DatasetMeanImage):
            published.mean_images_list()
        if about.libraries:
            st.markdown(
                "**In libraries**\n"
                + "\n".join(f"- **{plain(name)}**: {plain(text)}" for name, text in about.libraries)
            )
    with beside:
        st.markdown("**What shares its numbers**")
        batch = about.scope == "batch"
        # A covariance joins what each mean keeps apart.
        axes.show(
            ("N", "H", "W", "C") if about.joins else about.reduces,
            axes.words_of(about.reduces, batch, about.joins),
            METHOD_COLOURS[column.name],
            key=f"axes_{column.name}",
            batch=batch,
        )
        _changes(chosen, row, column)
    with place:
        _code(column)


def _changes(chosen: Selection, row: Row, column: Column) -> None:
    """The table of what the method does not see, each tried on this image."""
    if column.fitted is None:
        return
    fitted = column.fitted
    image = shown_copy(lit(row.image, chosen.light), TRIED_ON)
    try:
        tried: list[Tried] = remembered(
            ("tried", image.digest, name_of(fitted)), lambda: tried_changes(fitted, image)
        )
    except NormvizError as error:
        st.caption(plain(str(error)))
        return
    lines = ["| change of the input | moves the output by |", "|---|---|"]
    for one in tried:
        lines.append(f"| {plain(one.words)} | {plain(one.said)} |")
    st.markdown("**What it sees of a change**")
    st.markdown("\n".join(lines))
    st.caption(
        f"Tried on this image, on a copy of at most {TRIED_ON} px at half its brightness: the "
        "largest change of any value. Percent are of the output's range, or of 1 where it has none."
        + _condition(column.method.about)
        + ("" if all(one.kept for one in tried) else BROKEN)
    )


def _condition(about: About) -> str:
    """Above what a gain is promised, in a sentence, where that is not everywhere."""
    if "gain" not in about.invariances or not about.floor:
        return ""
    return plain(f" A gain is promised only above {about.floor}.")


def _code(column: Column) -> None:
    place = st.expander(
        f"Code: {column.method.about.short}", key=f"code_{column.name}", on_change="rerun"
    )
    if not place.open or column.fitted is None:
        return
    with place:
        targets = {target: TARGETS[target] for target in column.fitted.code_targets()}
        picked = menu(keys.CODE_TARGET, "In", targets)
        code = column.fitted.code(picked)
        st.code(code, language="python", wrap_lines=True)
        if "fitted.json" in code:
            st.download_button(
                "Fitted constants (JSON)",
                column.fitted.to_json,
                file_name="fitted.json",
                on_click="ignore",
                key=f"take fitted {column.name}",
            )
