"""Normalizations of feature maps, as the Methods and the In-network page both draw them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import axes, keys, viewer
from app.cached import lit, remembered
from app.controls import configured_norm, menu, slider
from app.frame import Frame
from app.text import in_parts, plain
from app.views.maps import plane_cell, plane_levels
from normviz.display import Extent, describe, to_bytes, windows
from normviz.errors import NormvizError, ReadError
from normviz.export import small_webp
from normviz.figures.theme import NORM_COLOURS
from normviz.images import Image, as_rgb, resized
from normviz.light import Light
from normviz.methods import FEATURE_NORMS, METHODS, FeatureNorm
from normviz.methods.features import FEATURE_TARGETS
from normviz.networks import mobilenet_v2_convolution, pre_activations
from normviz.observe.invariance import Tried, tried_on_maps

GROUP = "In-network (feature maps)"

SIDE = 224
"""Images become squares of this many pixels, so that they make one batch."""

MOST_IMAGES = 16
CHANNELS = 32

# Four channels that answer to edges and to colours, side by side on a card.
_ON_A_CARD = (14, 4, 20, 27)

# Every fourth position is enough to see whether anything changes.
_TRIED_EVERY = 4

BY_EPSILON = (
    " What is by ε alone is not seen on the same maps a million times as large, beside which ε is "
    "nothing."
)
BROKEN = " A promise is broken here for another reason than ε."


@dataclass(frozen=True, eq=False)
class Maps:
    """Feature maps of some images as one batch, and what they are known by."""

    titles: tuple[str, ...]
    batch: np.ndarray
    """``(N, H, W, 32)`` float32."""
    key: tuple


def batch_of(shared: Frame, first: int | None = None) -> Maps:
    """The feature maps of up to 16 images, evenly spread; image ``first`` leads if it is given."""
    collection, light = shared.collection, shared.light
    chosen = list(range(0, len(collection), max(1, -(-len(collection) // MOST_IMAGES))))
    if first is not None:
        chosen = [first, *(index for index in chosen if index != first)][:MOST_IMAGES]
    titles, maps, digests = [], [], []
    for index in chosen:
        try:
            image = collection.image(index)
        except ReadError:
            continue
        titles.append(collection.titles[index])
        digests.append(image.digest)
        maps.append(_maps_of(image, light))
    batch = np.stack(maps) if maps else np.empty((0, 1, 1, 1), np.float32)
    return Maps(tuple(titles), batch, (tuple(digests), light))


def _maps_of(image: Image, light: Light) -> np.ndarray:
    def build() -> np.ndarray:
        seen = as_rgb(lit(image, light))
        square = resized(seen.pixels, SIDE, SIDE)
        imagenet = METHODS["published"]().fit()
        return pre_activations(mobilenet_v2_convolution()[0], imagenet(square, seen.value_range))

    return remembered(("maps", image.digest, light), build)


def normalized(norm: FeatureNorm, batch: np.ndarray) -> np.ndarray:
    """The batch under one norm; those with a memory use the one that the network was trained to."""
    if hasattr(norm, "after"):
        return norm(batch, mobilenet_v2_convolution()[1])
    return norm(batch)


def one_channel(norm: FeatureNorm, maps: Maps, channel: int) -> np.ndarray | str:
    """The normalized ``channel`` (from 1) of all images, ``(N, H, W)``, or why there is none."""
    return _part(norm, maps, (..., channel - 1))


def one_image(norm: FeatureNorm, maps: Maps) -> np.ndarray | str:
    """All normalized channels of the first image, ``(H, W, 32)``, or why there are none."""
    return _part(norm, maps, (0,))


def _part(norm: FeatureNorm, maps: Maps, at: tuple) -> np.ndarray | str:
    """A part of the result; the whole of it is large, and no page shows it."""

    def build() -> np.ndarray | str:
        try:
            return normalized(norm, maps.batch)[at].copy()
        except NormvizError as error:
            return str(error)

    return remembered(("norm", maps.key, norm, str(at)), build)


def pick_channel() -> int:
    """Draw the slider of the channel that is shown, from 1."""
    return slider(
        keys.CHANNEL, "Channel", 1, CHANNELS, 1, "Which of the layer's feature maps is shown."
    )


def parameters(names: Sequence[str]) -> dict[str, FeatureNorm]:
    """Draw the parameters, those of several norms beside each other; return the norms."""
    if len(names) == 1:
        return {names[0]: configured_norm(names[0], st.columns(3))}
    norms = {}
    for name, place in zip(names, st.columns(len(names)), strict=True):
        place.markdown(f"**{plain(FEATURE_NORMS[name].about.short)}**")
        norms[name] = configured_norm(name, [place])
    return norms


def card(maps: Maps, norm: FeatureNorm) -> bytes:
    """Four normalized channels of the first image on one scale, as a small picture."""

    def build() -> bytes:
        found = one_image(norm, maps)
        assert not isinstance(found, str), found
        planes = [found[..., channel - 1] for channel in _ON_A_CARD]
        mosaic = np.block([planes[:2], planes[2:]])[..., np.newaxis]
        return small_webp(resized(to_bytes(mosaic, norm.about.nominal), 168, 224))

    return remembered(("norm card", maps.key, norm), build)


def words_to_find(name: str) -> str:
    """Further words that a search finds the norm by."""
    about = FEATURE_NORMS[name].about
    sources = [source.text for source in about.sources]
    return " ".join(
        [name, about.short, about.scope, about.used_by, "layer network feature map"]
        + sources
        + [library for library, _ in about.libraries]
    )


def draw(
    maps: Maps,
    results: Mapping[str, np.ndarray | str],
    channel: int,
    rows: int,
    key: str,
    display: tuple[str, str] = ("stretch", "method"),
    difference: np.ndarray | None = None,
) -> bool:
    """Draw one channel's maps of the first images; return whether the browser has drawn them.

    ``difference`` ``(H, W)`` is a further column, for one row.
    """
    planes = {"map": maps.batch[:rows, ..., channel - 1]}
    columns = [viewer.Column("map", "feature map", "#7a7a7a", "before")]
    cells: dict[tuple[str, str], viewer.Cell] = {}
    for name, found in results.items():
        about = FEATURE_NORMS[name].about
        columns.append(viewer.Column(name, about.short, NORM_COLOURS[name], about.unit))
        if isinstance(found, str):
            cells |= {(f"{at}", name): viewer.MessageCell(found) for at in range(rows)}
        else:
            planes[name] = found[:rows]
    panels = [(at, name, plane) for name, some in planes.items() for at, plane in enumerate(some)]
    extents = [
        Extent(name, float(plane.min()), float(plane.max()), _nominal(name))
        for _, name, plane in panels
    ]
    for (at, name, plane), window in zip(panels, windows(extents, *display), strict=True):
        cells[f"{at}", name] = plane_cell(plane, window)
    if difference is not None:
        columns.append(viewer.Column("difference", "difference", "#7a7a7a", "second − first"))
        reach = float(np.abs(difference).max()) or 1.0
        cells["0", "difference"] = plane_cell(difference, (-reach, reach))
    heads = [_row(at, maps.titles[at], before) for at, before in enumerate(planes["map"])]
    return viewer.show(columns, heads, cells, display_label=describe(*display), key=key)


def _nominal(name: str) -> tuple[float, float]:
    return FEATURE_NORMS[name].about.nominal if name in FEATURE_NORMS else (-3.0, 3.0)


def _row(at: int, title: str, before: np.ndarray) -> viewer.Row:
    low, step, levels = plane_levels(before)
    height, width = before.shape
    return viewer.Row(
        key=f"{at}",
        title=title,
        caption=f"{width} × {height} positions",
        height=height,
        width=width,
        channels=1,
        source=levels,
        source_format="raw16",
        before_low=low,
        before_step=step,
        before_digits=2,
    )


def caption(maps: Maps, channel: int) -> str:
    """What the maps are of, and how they were made."""
    images = len(maps.titles)
    return (
        f"Channel {channel} of {CHANNELS} that MobileNetV2's first convolution, trained on "
        f"ImageNet, gives on {images} image{'s' if images > 1 else ''} squeezed to {SIDE} × {SIDE} "
        "px under ImageNet's constants; they are one batch. No learned gain and offset follow "
        "(γ = 1, β = 0)."
    )


def about(
    name: str, norm: FeatureNorm, maps: Maps, place: DeltaGenerator, beside: DeltaGenerator
) -> None:
    """Everything that there is to say of one norm; its block and what it sees stand ``beside``."""
    said = norm.about
    # A group is a part of the channels.
    reduces = tuple("c" if norm.in_groups and a == "C" else a for a in norm.axes)
    blind = f"Does not see** {norm.unseen}" if norm.unseen else "Sees** every gain and offset"
    with beside:
        st.markdown("**What shares its numbers**")
        axes.show(reduces, axes.words_of(reduces), NORM_COLOURS[name], key=f"axes_{name}")
    with place:
        st.markdown(plain(said.summary))
        st.latex(in_parts(said.formula))
        st.markdown(
            f"- **{blind}.\n- **Loses** {plain(said.loses)}.\n"
            f"- **A flat map** {plain(said.flat)}.\n- **Gives** {plain(said.unit)}.\n"
            f"- **Used by** {plain(said.used_by)}."
        )
    with beside:
        _changes(norm, maps)
    with place:
        st.markdown(
            "**Sources**\n" + "\n".join(f"- [{plain(s.text)}]({s.url})" for s in said.sources)
        )
        st.markdown(
            "**In libraries**\n"
            + "\n".join(f"- **{plain(who)}**: {plain(text)}" for who, text in said.libraries)
        )
        _code(name, norm)


def _changes(norm: FeatureNorm, maps: Maps) -> None:
    """The table of what the norm does not see, each tried on these maps."""

    def build() -> list[Tried]:
        small = maps.batch[:, ::_TRIED_EVERY, ::_TRIED_EVERY].astype(np.float64)
        return tried_on_maps(norm, small, normalized)

    try:
        tried = remembered(("tried on maps", maps.key, norm), build)
    except NormvizError as error:
        st.caption(plain(str(error)))
        return
    lines = ["| change of the maps | moves the output by |", "|---|---|"]
    lines += [f"| {plain(one.words)} | {plain(one.said)} |" for one in tried]
    st.markdown("**What it sees of a change**\n\n" + "\n".join(lines))
    st.caption(
        f"Tried on this batch, at every {_TRIED_EVERY}th position of a row and column: the largest "
        "change of any value, in percent of the output's range."
        + (BY_EPSILON if any(one.limit for one in tried) else "")
        + ("" if all(one.kept for one in tried) else BROKEN)
    )


def _code(name: str, norm: FeatureNorm) -> None:
    opened = st.expander(f"Code: {norm.about.short}", key=f"code_{name}", on_change="rerun")
    if opened.open:
        with opened:
            target = menu(
                dataclasses.replace(keys.CODE_TARGET, name=f"in_{name}"), "In", FEATURE_TARGETS
            )
            st.code(norm.code(target), language="python", wrap_lines=True)
