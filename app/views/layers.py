"""Activations: what every layer of a network feels under each method, by day and by night."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from html import escape

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import charts, keys, viewer
from app.cached import (
    NETWORK_COPY,
    channel_record,
    fed,
    lit_copy,
    name_of,
    recorded,
    remembered,
    together,
)
from app.charts import STOPS
from app.controls import choice, menu, whole
from app.frame import Frame, say_source
from app.networks import Chosen, pick_network
from app.selection import Column, Row, column_of, columns_of, light_words, night_of, pick_methods
from app.sources import matched
from app.text import plain
from app.views import style
from app.views.compare import NONE_READABLE
from app.views.maps import plane_cell, plane_row
from app.views.panels import picked_row
from app.views.table import table_html
from normviz.display import Extent, describe, windows
from normviz.errors import NormvizError, ReadError
from normviz.figures.depth import DepthLine, by_depth, channel_shifts, filter_picture, shift_map
from normviz.figures.theme import METHOD_COLOURS, text_colour
from normviz.images import image_of
from normviz.light import Light
from normviz.methods import METHODS, Fitted
from normviz.networks import Layer, Network, centre_view
from normviz.observe.depth import MEASURES, agreeing, depth_sentence, ranked_shifts, shifts
from normviz.observe.network import ChannelRecord, Feed, NetworkRecord, Prediction
from normviz.observe.recorder import PERCENTILES
from normviz.observe.sentences import number, percent

MOST_IMAGES = 16

TRAINED = "as trained"
LIGHTS = {"both": "Both", "loaded": "As loaded", "lit": "In the other light"}

# A bar that comes and goes at once only disturbs.
_BAR_AFTER = 0.5


@dataclass(frozen=True, eq=False)
class Shown:
    """What all sections of the page draw from."""

    chosen: Chosen
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    """The methods; the network's own preprocessing comes first where it is known."""
    lights: Mapping[str, Light]
    """What each light is called → the light; the first is the one as loaded, if it is shown."""
    records: Mapping[str, NetworkRecord]
    """Of each feed, by :func:`feed_name`."""
    reference: Column

    @property
    def network(self) -> Network:
        return self.chosen.network

    def network_of(self, column: Column, light: Light) -> Network:
        """The network that a method's images go through: one of their own where a batch decides."""
        if self.chosen.of_batch is None:
            return self.chosen.network
        make, side = self.chosen.of_batch, self.network.input
        images = tuple(row.image.digest for row in self.rows)
        key = ("of batch", self.chosen.key, images, light, name_of(fitted_of(column)))

        def build() -> Network:
            batch = [
                _fed(self.rows, light, column, side.height, side.width, at)
                for at in range(len(self.rows))
            ]
            return make(np.stack(batch))

        return remembered(key, build)

    def record(self, column: Column, light: str) -> NetworkRecord | None:
        return self.records.get(feed_name(column, light, self.lights[light]))

    def title(self, column: Column) -> str:
        return title_of(column, self.chosen)


def title_of(column: Column, chosen: Chosen) -> str:
    if column.name == TRAINED:
        return f"{TRAINED} ({chosen.trained_words})"
    return column.method.about.short


def colour_of(column: Column) -> str:
    return text_colour(style.dark()) if column.name == TRAINED else METHOD_COLOURS[column.name]


def feed_name(column: Column, light: str, value: Light) -> str:
    return f"{column.name}|{light}|{value}|{name_of(fitted_of(column))}"


def fitted_of(column: Column) -> Fitted:
    assert column.fitted is not None
    return column.fitted


def page(shared: Frame) -> None:
    """Draw the page from the widgets' state."""
    with shared.methods_place:
        methods = pick_methods(shared.numbers)
    say_source(shared)
    if not len(shared.collection):
        st.info(NONE_READABLE)
        return
    columns = columns_of(methods, shared.numbers, shared.missing)
    _body(shared, columns)


@st.fragment
def _body(shared: Frame, columns: tuple[Column, ...]) -> None:
    head = st.empty()
    with st.container(horizontal=True, vertical_alignment="bottom", key="depth_controls"):
        with st.container(width=300):
            chosen = pick_network()
        rows = _pick_rows(shared)
        lights = _pick_lights(shared.light)
        if chosen is None or not rows:
            head.markdown("#### What a network's layers feel under each normalization")
            return
        if not chosen.network.layers:
            head.markdown("#### This network has no layers to measure")
            st.warning("No convolution or matrix product with stored weights was found in it.")
            return
        for column in columns:
            if column.fitted is None:
                st.caption(plain(f"{column.method.about.short}: {column.message}"))
        usable = tuple(column for column in columns if column.fitted is not None)
        if chosen.trained is not None:
            trained = column_of("published", METHODS["published"](chosen.trained), None, "")
            usable = (replace(trained, name=TRAINED), *usable)
        if not usable:
            head.markdown("#### Choose a method in the sidebar")
            return
        with st.container(width=300):
            titles = {column.name: title_of(column, chosen) for column in usable}
            against = menu(
                keys.REFERENCE,
                "Held against",
                titles,
                "The reference: shifts are counted in its stds, first guesses compared with its.",
            )
    reference = next(column for column in usable if column.name == against)
    shown = Shown(chosen, rows, usable, lights, {}, reference)
    over_depth, below = st.container(), st.container()
    # Which layer is open is marked in the charts above it.
    with below:
        moved = st.container()
        st.subheader("One layer", anchor=False)
        controls, picture = st.columns([3, 1], gap="large")
    with controls:
        opened = _pick_layer(chosen.network)
    with over_depth:
        shown = _over_depth(shown, opened, head)
    if not shown.records:
        return
    with moved:
        _shift_section(shown, opened)
    with below:
        layer = _layer_section(shown, opened, controls, picture)
        _guesses_section(shown)
    if layer.whose == "channel":
        _channel_table(shown, opened, layer)


def _pick_layer(network: Network) -> int:
    """Draw the layer's number and return its place, from 0."""
    with st.container(width=200):
        number_of = whole(
            keys.DEPTH_LAYER,
            f"Layer (1 to {len(network.layers)})",
            1,
            len(network.layers),
            "From the input on; a click on a point above opens its layer too.",
        )
    return number_of - 1


def _over_depth(shown: Shown, opened: int, head) -> Shown:
    """Draw both charts over depth while the network runs; return what was measured."""
    left, right = st.columns(2, gap="large")
    with left:
        one = _pick_measure(keys.DEPTH_LEFT)
        left_chart = st.empty()
    with right:
        other = _pick_measure(keys.DEPTH_RIGHT)
        right_chart = st.empty()
    legend = st.empty()
    try:
        shown = _measured(shown, head, [(left_chart, one), (right_chart, other)])
    except NormvizError as error:
        head.markdown("#### This network could not be run on these images")
        st.error(plain(str(error)))
        return shown
    head.markdown(f"#### {plain(_headline(shown))}")
    _draw_depth(shown, left_chart, one, opened, "left")
    _draw_depth(shown, right_chart, other, opened, "right")
    legend.html(_legend(shown))
    st.caption(plain(_how(shown)))
    return shown


# ----------------------------------------------------------------------------------------- picks


def _pick_rows(shared: Frame) -> tuple[Row, ...]:
    collection = shared.collection
    places = list(range(0, len(collection), max(1, -(-len(collection) // MOST_IMAGES))))
    found = []
    for place in places:
        try:
            image = matched(collection.image(place), shared.numbers)
        except ReadError:
            continue
        found.append(Row(place, collection.titles[place], image))
    few = f"{len(found)} of {len(collection):,}" if len(found) < len(collection) else "all"
    options = {"all": f"The set ({few} images)"}
    options |= {f"{row.index}": row.title for row in found}
    with st.container(width=260):
        picked = menu(keys.DEPTH_IMAGE, "Images", options, "The whole set, or one image of it.")
    return tuple(row for row in found if picked in ("all", f"{row.index}"))


def _pick_lights(light: Light) -> dict[str, Light]:
    other, _ = night_of(light)
    words = light_words(other)
    with st.container(width=330):
        kind = choice(
            keys.DEPTH_LIGHT,
            f"Light ({'simulated night' if light.neutral else 'the one set'}: {words})",
            LIGHTS,
            "The images as loaded, in another light, or both: solid and dotted lines. The sidebar "
            "sets the light; until then it is −3 EV.",
        )
    lights = {"as loaded": Light(), words: other}
    if kind == "both":
        return lights
    return {
        name: one for name, one in lights.items() if (name == "as loaded") == (kind == "loaded")
    }


def _pick_measure(key: keys.Key) -> str:
    return menu(
        key,
        "Over depth",
        {name: measure.title for name, measure in MEASURES.items()},
        "Which number of each layer is drawn. A unit is one position of one channel; it fires when "
        "its pre-activation is above 0. Dead: a channel that fires nowhere in these images.",
    )


# ------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True, eq=False)
class Fed:
    """One method in one light, and the network that its images go through."""

    feed: Feed
    network: Network


def _feeds(shown: Shown) -> list[Fed]:
    side = shown.network.input
    found = []
    for column in shown.columns:
        for light, value in shown.lights.items():
            image = partial(_fed, shown.rows, value, column, side.height, side.width)
            feed = Feed(feed_name(column, light, value), len(shown.rows), image)
            found.append(Fed(feed, shown.network_of(column, value)))
    return found


def _fed(
    rows: Sequence[Row], light: Light, column: Column, height: int, width: int, at: int
) -> np.ndarray:
    return fed(rows[at].image, light, fitted_of(column), height, width)


def _measured(shown: Shown, head, charts: Sequence) -> Shown:
    """Run what is not known yet, drawing what there is while it grows."""
    feeds = _feeds(shown)
    images = tuple(row.image.digest for row in shown.rows)
    total = len(feeds) * len(shown.rows)
    began, drawn, seen = time.monotonic(), 0.0, 0
    found: Mapping[str, NetworkRecord] = {}
    with closing(_growing(shown, (shown.chosen.key, images), feeds)) as growing:
        for found in growing:
            passed = time.monotonic() - began
            once = sum(record.images for record in found.values())
            twice = sum(record.looked for record in found.values())
            # What is whole is drawn at once, before the second look makes percentiles close.
            wait = 0.0 if seen < once == total else drawn + 1.0
            if twice == total or passed < max(_BAR_AFTER, wait):
                continue
            drawn = passed
            left = passed / (once + twice) * (2 * total - once - twice)
            said = f"{once} of {total} images through {shown.network.name}"
            if seen == total:
                said = f"{twice} of {total} images again, for close percentiles"
            head.progress(
                (once + twice) / (2 * total), text=f"{said}, some {left:.0f} s left; {STOPS}"
            )
            if seen == once:
                continue
            seen = once
            some = replace(shown, records=dict(found))
            for at, (place, measure) in enumerate(charts):
                place.plotly_chart(
                    _depth_figure(some, measure, None),
                    theme=None,
                    key=f"growing_{at}_{once}",
                    config={"staticPlot": True},
                )
    return replace(shown, records=dict(found))


def _growing(shown: Shown, key: tuple, feeds: Sequence[Fed]):
    """What is known of every feed, whenever more is."""
    if shown.chosen.of_batch is None:
        yield from recorded(shown.network, key, [one.feed for one in feeds])
        return
    so_far: dict[str, NetworkRecord] = {}
    for one in feeds:
        for found in recorded(one.network, key, [one.feed]):
            yield so_far | found
        so_far |= found


# -------------------------------------------------------------------------------------- by depth


def _headline(shown: Shown) -> str:
    first, *others = shown.lights
    light = others[0] if others else first
    held = shown.record(shown.reference, first)
    assert held is not None
    records = [
        (_short(column), record)
        for column in shown.columns
        if column.name != shown.reference.name
        and (record := shown.record(column, light)) is not None
    ]
    name = TRAINED if shown.reference.name == TRAINED else f"under {_short(shown.reference)}"
    return depth_sentence(records, (name, held), "" if light == "as loaded" else light)


def _depth_figure(shown: Shown, measure: str, opened: int | None):
    lines = []
    for column in shown.columns:
        for light in shown.lights:
            record = shown.record(column, light)
            if record is None:
                continue
            night = light != "as loaded" and len(shown.lights) > 1
            title = shown.title(column) + _in_light(shown, light)
            width = 2.6 if column.name == shown.reference.name else 1.6
            lines.append(
                DepthLine(title, colour_of(column), record, "dot" if night else "solid", width)
            )
    names = [f"{layer.name}: {layer.kind}" for layer in shown.network.layers]
    held = shown.record(shown.reference, next(iter(shown.lights)))
    if held is None:
        held = lines[0].record
    return by_depth(lines, MEASURES[measure], held, names, opened=opened, dark=style.dark())


def _draw_depth(shown: Shown, place, measure: str, opened: int, side: str) -> None:
    key = f"depth_{side}"
    place.plotly_chart(
        _depth_figure(shown, measure, opened),
        theme=None,
        key=key,
        on_select=partial(_clicked, key),
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"{MEASURES[measure].title} of every layer under each method",
    )


def _clicked(key: str) -> None:
    """A click on a line's point opens that layer, one on a channel's dot that channel."""
    points = st.session_state[key].selection.points
    if points:
        st.session_state[keys.DEPTH_LAYER.name] = int(points[-1]["x"])


def _legend(shown: Shown) -> str:
    """The lines' colours, once for both charts."""
    entries = []
    for column in shown.columns:
        thick = 3 if column.name == shown.reference.name else 2
        entries.append(
            f'<span class="nv-key"><i style="border-top:{thick}px solid {colour_of(column)}"></i>'
            f"{escape(shown.title(column))}</span>"
        )
    if len(shown.lights) > 1:
        first, second = shown.lights
        grey = text_colour(style.dark())
        for light, dash in ((first, "solid"), (second, "dotted")):
            entries.append(
                f'<span class="nv-key"><i style="border-top:2px {dash} {grey}"></i>'
                f"{escape(light)}</span>"
            )
    return f'<div class="nv-keys">{"".join(entries)}</div>'


def _how(shown: Shown) -> str:
    side = shown.network.input
    layers = shown.network.layers
    norms = len(shown.network.batch_norms)
    rounded = (
        "It takes whole numbers: what a method gives is rounded and clipped to 0 to 255. "
        if shown.network.input.dtype == "uint8"
        else ""
    )
    return (
        f"{shown.chosen.words} {len(layers)} layers, {norms} with batch normalization in use. Each "
        f"image is reduced so that {side.width} × {side.height} px are its middle 7/8, then "
        f"normalized with the numbers of the image at full size. {rounded}Measured are "
        "pre-activations: what each activation function receives. Mean, std and shares are of "
        "every unit; percentiles are within 0.001 % of their value. Click a point to open that "
        "layer below."
    )


# ------------------------------------------------------------------------------------- the shift


def _shift_section(shown: Shown, opened: int) -> None:
    st.subheader("Which channels are moved", anchor=False)
    others = {c.name: shown.title(c) for c in shown.columns if c.name != shown.reference.name}
    if not others and len(shown.lights) < 2:
        st.caption("Choose a second method to see what it moves.")
        return
    options = _shift_options(shown)
    with st.container(width=360):
        menu(
            keys.SHIFT_OF,
            "Shift of",
            options,
            "Whose channels are held against the reference, here and in the layer below.",
        )
    column, light = _shifted(shown)
    first = next(iter(shown.lights))
    held, record = shown.record(shown.reference, first), shown.record(column, light)
    if held is None or record is None:
        return
    values, channels = ranked_shifts(record, held)
    names = [f"{layer.name}: {layer.kind}" for layer in shown.network.layers]
    known = values[~np.isnan(values)]
    beyond = float((np.abs(known) > 1).mean()) if known.size else 0.0
    st.markdown(
        plain(
            f"{100 * beyond:.0f} % of the channels shown have their mean more than one std away "
            f"from that under {_short(shown.reference)}"
            + (f" ({first})." if len(shown.lights) > 1 else ".")
        )
    )
    charts.draw(
        shift_map(
            values,
            channels,
            names,
            shown.title(shown.reference),
            opened=opened,
            dark=style.dark(),
        ),
        key="shift_map",
        alt="Shift of channels' means for every layer",
    )
    st.caption(
        "A column is a layer, its channels sorted from the most lowered to the most raised "
        f"({values.shape[0]} of them drawn); colour is the shift of the channel's mean in stds of "
        "the reference."
    )


def _shift_options(shown: Shown) -> dict[str, str]:
    return {
        f"{column.name}|{at}": shown.title(column) + _in_light(shown, light)
        for column in shown.columns
        for at, light in enumerate(shown.lights)
        if (column.name, at) != (shown.reference.name, 0)
    }


def _shifted(shown: Shown) -> tuple[Column, str]:
    """The method, and the name of the light, whose shift is looked at."""
    options = _shift_options(shown)
    picked = st.session_state.get(keys.SHIFT_OF.name)
    if picked not in options:
        picked = next(iter(options), f"{shown.reference.name}|0")
    name, _, at = picked.partition("|")
    column = next(column for column in shown.columns if column.name == name)
    return column, list(shown.lights)[int(at)]


# ------------------------------------------------------------------------------------- one layer


@dataclass(frozen=True, eq=False)
class Opened:
    """What of the opened layer is drawn again: the table's place, and what it is of."""

    channel: int
    whose: str
    table: DeltaGenerator


def _layer_section(
    shown: Shown, opened: int, controls: DeltaGenerator, picture: DeltaGenerator
) -> Opened:
    """Draw one layer; its table is drawn again once it was looked at again."""
    layer = shown.network.layers[opened]
    channels = next(iter(shown.records.values())).layers[opened].channels
    with controls:
        with st.container(width=200):
            channel = whole(
                keys.DEPTH_CHANNEL,
                f"Channel (1 to {channels})",
                1,
                channels,
                "Whose filter and maps are shown.",
            )
        st.markdown(plain(_layer_sentence(shown, opened)))
        _channels_chart(shown, opened, channel)
    with picture:
        _filter(layer, channel)
    whose = choice(
        keys.NUMBERS_OF,
        "Numbers of",
        {"layer": "The layer", "channel": f"Channel {channel}"},
        "All units of the layer, or those of the channel alone.",
    )
    with st.container(key="layer_table"):
        table = st.empty()
    table.html(_layer_table(shown, opened, {}, whose))
    st.caption(_EXACT)
    _maps(shown, layer, channel)
    return Opened(channel, whose, table)


def _channels_chart(shown: Shown, opened: int, channel: int) -> None:
    """The shift of each channel of the layer; a click opens the channel."""
    column, light = _shifted(shown)
    held, record = (
        shown.record(shown.reference, next(iter(shown.lights))),
        shown.record(column, light),
    )
    if held is None or record is None or record is held:
        return
    charts.draw(
        channel_shifts(
            shifts(record.layers[opened], held.layers[opened]),
            colour_of(column),
            f"{_short(column)}{_in_light(shown, light)}",
            opened=channel - 1,
            dark=style.dark(),
        ),
        key="channel_shifts",
        on_select=_clicked_channel,
        selection_mode="points",
        alt="Shift of each channel of the layer",
    )


def _clicked_channel() -> None:
    points = st.session_state["channel_shifts"].selection.points
    if points:
        st.session_state[keys.DEPTH_CHANNEL.name] = int(points[-1]["x"])


def _layer_sentence(shown: Shown, opened: int) -> str:
    layer = shown.network.layers[opened]
    first = next(iter(shown.lights))
    found = []
    for column in shown.columns:
        record = shown.record(column, first)
        if record is not None:
            found.append((record.layers[opened].layer_firing, _short(column)))
    least, most = min(found), max(found)
    channels = next(iter(shown.records.values())).layers[opened].channels
    said = f"Layer {opened + 1}, “{layer.name}”: {layer.kind}, {channels} channels."
    what = "fire" if layer.activation else "are above 0 (no activation follows)"
    if len(found) < 2 or round(least[0], 3) == round(most[0], 3):
        return f"{said} {percent(most[0])} of its units {what}."
    return (
        f"{said} Of its units {percent(most[0])} {what} under “{most[1]}”, {percent(least[0])} "
        f"under “{least[1]}”: the largest share and the smallest."
    )


_HEAD = ["under", "min", "1 %", "median", "99 %", "max", "mean", "std", "fire", "dead", "saturated"]


def _layer_table(shown: Shown, opened: int, own: Mapping[str, ChannelRecord], whose: str) -> str:
    """Numbers of the opened layer, or of one channel of it, which may still be on their way."""
    rows = []
    for column in shown.columns:
        for light, value in shown.lights.items():
            record = shown.record(column, light)
            if record is None:
                continue
            title = _short(column) + _in_light(shown, light)
            one, found = record.layers[opened], record.layers[opened].percentiles()
            if whose == "channel":
                channel = own.get(feed_name(column, light, value))
                if channel is None:
                    rows.append([title, *["…"] * (len(_HEAD) - 1)])
                    continue
                one, found = channel.record, channel.percentiles
            low, middle, high = (found[PERCENTILES.index(q)] for q in (1.0, 50.0, 99.0))
            numbers = (one.layer_low, low, middle, high, one.layer_high, one.layer_mean)
            cells = [number(float(v), one.layer_std) for v in (*numbers, one.layer_std)]
            shares = [one.layer_firing, one.layer_dead, one.layer_saturated]
            cells += ["–" if share is None else f"{100 * share:.1f} %" for share in shares]
            rows.append([title, *cells])
    return table_html(_HEAD, rows, "The layer's numbers")


def _channel_table(shown: Shown, opened: int, layer: Opened) -> None:
    """Record the opened channel by itself, and draw its numbers."""
    images = tuple(row.image.digest for row in shown.rows)
    key = (shown.chosen.key, images)
    feeds = [one for one in _feeds(shown) if one.feed.name in shown.records]
    tasks = [
        partial(
            channel_record,
            one.network,
            key,
            opened,
            layer.channel - 1,
            one.feed,
        )
        for one in feeds
    ]
    together(tasks)
    own = {one.feed.name: task() for one, task in zip(feeds, tasks, strict=True)}
    layer.table.html(_layer_table(shown, opened, own, layer.whose))


_EXACT = (
    "Every number is of all units of the layer (or channel), exact up to float32; percentiles of a "
    "layer are within 0.001 % of their value. “Dead” counts channels that fire nowhere in these "
    "images, “saturated” units at the activation's end."
)


def _filter(layer: Layer, channel: int) -> None:
    if layer.weights is None or layer.operator not in ("Conv", "Gemm", "MatMul"):
        st.caption(
            "Filters are drawn of convolutions and fully connected layers with stored weights."
        )
        return
    weights = layer.weights[channel - 1]
    if layer.operator in ("Gemm", "MatMul"):
        weights = weights.reshape(-1, 1, 1)
    if weights.ndim != 3 or not np.isfinite(weights).all():
        st.caption("This channel's filter is no plane of numbers to draw.")
        return
    inputs = "R, G, B" if weights.shape[0] == 3 else "input channel"
    st.caption(f"Filter of channel {channel}")
    charts.draw(
        filter_picture(np.asarray(weights, np.float64), inputs, dark=style.dark()),
        key="filter",
        alt=f"The weights of channel {channel}'s filter",
    )


def _maps(shown: Shown, layer: Layer, channel: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="map_controls"):
        with st.container(width=300):
            row = picked_row(keys.MAPS_OF, "Maps of", shown.rows, "Whose feature maps are drawn.")
        scale = choice(
            keys.MAPS_SCALE,
            "Scale",
            {"same": "One for all", "method": "A method's own"},
            "Which maps share black and white: those of one method in both lights, or all.",
        )
    planes: dict[tuple[str, str], np.ndarray] = {}
    for column in shown.columns:
        for light, value in shown.lights.items():
            plane = _plane(shown, layer, channel, column, value, row)
            if plane.ndim != 2:
                st.caption("This layer's output has no rows and columns to draw as maps.")
                return
            planes[column.name, light] = plane
    finite = {place: plane for place, plane in planes.items() if np.isfinite(plane).all()}
    extents = [
        Extent(column, float(plane.min()), float(plane.max()), (-3.0, 3.0))
        for (column, _), plane in finite.items()
    ]
    seen = dict(zip(finite, windows(extents, "stretch", scale), strict=True)) if finite else {}
    heads = [
        viewer.Column(column.name, _short(column), METHOD_COLOURS.get(column.name, "#7a7a7a"))
        for column in shown.columns
    ]
    rows, cells = [], {}
    for at, (light, value) in enumerate(shown.lights.items()):
        picture = lit_copy(row.image, value, NETWORK_COPY)
        side = shown.network.input
        view = image_of(centre_view(picture.pixels, side.height, side.width), picture.value_range)
        height, width = planes[shown.columns[0].name, light].shape
        title = row.title + _in_light(shown, light)
        rows.append(plane_row(f"{at}", title, view, height, width))
        for column in shown.columns:
            place = (column.name, light)
            cells[f"{at}", column.name] = (
                plane_cell(planes[place], seen[place])
                if place in seen
                else viewer.MessageCell("This map holds values that are no finite numbers.")
            )
    with st.container(key="grid"):
        viewer.show(heads, rows, cells, display_label=describe("stretch", scale), key="layer_maps")
    st.caption(
        f"Pre-activations of channel {channel}, before the activation function. “Before” reads "
        "the image's grey level at that place."
    )


def _plane(
    shown: Shown, layer: Layer, channel: int, column: Column, light: Light, row: Row
) -> np.ndarray:
    """One channel of the layer on one image: a map, or a single number where it has no places."""
    fitted, side = fitted_of(column), shown.network.input

    def build() -> np.ndarray:
        values = fed(row.image, light, fitted, side.height, side.width)
        network = shown.network_of(column, light)
        out = network.run(values[np.newaxis], [layer.tap])[layer.tap]
        return np.moveaxis(out, layer.axis, 1)[0, channel - 1].copy()

    # Where a batch decides, a map is that of an image among the others.
    among = () if shown.chosen.of_batch is None else tuple(r.image.digest for r in shown.rows)
    key = ("map", shown.chosen.key, layer.tap, channel, row.image.digest, among, light)
    return remembered((*key, name_of(fitted)), build)


def _short(column: Column) -> str:
    return TRAINED if column.name == TRAINED else column.method.about.short


def _in_light(shown: Shown, light: str) -> str:
    return f", {light}" if len(shown.lights) > 1 else ""


# ------------------------------------------------------------------------------------- the guess


def _guesses_section(shown: Shown) -> None:
    first = next(iter(shown.lights))
    held = shown.record(shown.reference, first)
    if held is None or not held.predictions:
        return
    st.subheader("What the network takes the images for", anchor=False)
    head = ["image", *map(_short, shown.columns)]
    rows = []
    for at, row in enumerate(shown.rows):
        for light in shown.lights:
            cells = []
            for column in shown.columns:
                record = shown.record(column, light)
                assert record is not None
                cells.append(_guess(shown.network, record.predictions[at]))
            rows.append([row.title + _in_light(shown, light), *cells])
    for light in shown.lights:
        totals = []
        for column in shown.columns:
            record = shown.record(column, light)
            assert record is not None
            entropy = np.mean([one.entropy for one in record.predictions])
            same = agreeing(record.predictions, held.predictions)
            totals.append(f"{same} of {len(shown.rows)} as the reference; {entropy:.1f} bits")
        rows.append([f"all{_in_light(shown, light)}", *totals])
    with st.container(key="guesses_table"):
        st.html(table_html(head, rows, "First guesses", numbers=False))
    st.caption(
        "The most likely class with its probability. Entropy, in bits, says how undecided the "
        "network is: 0 when one class has it all."
    )
    _top_five(shown)


def _guess(network: Network, found: Prediction) -> str:
    name = class_name(network, found.classes[0])
    return f"{name} {100 * found.probabilities[0]:.0f} %"


def class_name(network: Network, at: int) -> str:
    return network.labels[at] if at < len(network.labels) else f"class {at}"


def _top_five(shown: Shown) -> None:
    options = {
        f"{at}|{light_at}": row.title + _in_light(shown, light)
        for at, row in enumerate(shown.rows)
        for light_at, light in enumerate(shown.lights)
    }
    with st.container(width=360):
        picked = menu(keys.GUESSES_OF, "The five first guesses for", options)
    image, _, light_at = picked.partition("|")
    light = list(shown.lights)[int(light_at)]
    found = []
    for column in shown.columns:
        record = shown.record(column, light)
        assert record is not None
        found.append(record.predictions[int(image)])
    rows = [
        [f"{at + 1}"]
        + [
            f"{class_name(shown.network, one.classes[at])} {100 * one.probabilities[at]:.1f} %"
            for one in found
        ]
        for at in range(min(len(one.classes) for one in found))
    ]
    rows.append(["entropy", *(f"{one.entropy:.2f} bits" for one in found)])
    with st.container(key="top_five_table"):
        head = ["guess", *map(_short, shown.columns)]
        st.html(table_html(head, rows, "The five first guesses", numbers=False))
