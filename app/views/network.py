"""In-network: normalizations of feature maps, on what a first convolution makes of the images."""

from __future__ import annotations

import dataclasses

import numpy as np
import streamlit as st

from app import axes, keys, viewer
from app.cached import lit, remembered
from app.controls import configured_norm, menu, several, slider, whole
from app.frame import Frame, say_source
from app.text import plain
from app.views import style
from app.views.compare import NONE_READABLE
from normviz.errors import NormvizError, ReadError
from normviz.figures import train_and_eval
from normviz.figures.theme import NORM_COLOURS
from normviz.images import as_rgb, resized
from normviz.methods import FEATURE_NORMS, METHODS, FeatureNorm, compare_train_eval
from normviz.methods.features import FEATURE_TARGETS
from normviz.networks import mobilenet_v2_convolution, pre_activations
from normviz.observe.sentences import Pair, day_and_night, number

SIDE = 224
"""Images become squares of this many pixels, so that they make one batch."""

MOST_NORMS = 4
MOST_IMAGES = 16
ROWS = 4
STEPS = 60


def page(shared: Frame) -> None:
    """Draw the feature maps under the chosen normalizations, then training against using."""
    say_source(shared)
    if not len(shared.collection):
        st.info(NONE_READABLE)
        return
    _body(shared)


@st.fragment
def _body(shared: Frame) -> None:
    titles, batch = _batch(shared)
    if not titles:
        st.info(NONE_READABLE)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="network_controls"):
        with st.container(width=560):
            names = several(
                keys.NORMS,
                "Normalizations",
                {name: kind.about.short for name, kind in FEATURE_NORMS.items()},
                MOST_NORMS,
                f"One column each, at most {MOST_NORMS}.",
            )
        with st.container(width=300):
            channel = slider(
                keys.CHANNEL, "Channel", 1, batch.shape[3], 1, "Which of the layer's feature maps."
            )
    norms = _parameters(names)
    results = {name: _normalized(norm, batch) for name, norm in norms.items()}
    st.markdown(f"#### {plain(_headline(titles, results, channel))}")
    with st.container(key="grid"):
        _maps(titles, batch, results, channel)
    st.caption(
        f"Channel {channel} of 32 that MobileNetV2's first convolution, trained on ImageNet, gives "
        f"on {len(titles)} image{'s' if len(titles) > 1 else ''} squeezed to {SIDE} × {SIDE} px "
        "under ImageNet's constants; they are one batch. No learned gain and offset follow (γ = 1, "
        "β = 0)."
    )
    _about(norms)
    _memory(titles, batch, channel)


def _batch(shared: Frame) -> tuple[list[str], np.ndarray]:
    """Titles and feature maps ``(N, H, W, 32)`` of up to 16 images, evenly spread."""
    collection, light = shared.collection, shared.light
    titles, maps = [], []
    layer, _ = mobilenet_v2_convolution()
    imagenet = METHODS["published"]().fit()
    for index in range(0, len(collection), max(1, -(-len(collection) // MOST_IMAGES))):
        try:
            image = collection.image(index)
        except ReadError:
            continue

        def build(image=image) -> np.ndarray:
            seen = as_rgb(lit(image, light))
            square = resized(seen.pixels, SIDE, SIDE)
            return pre_activations(layer, imagenet(square, seen.value_range))

        titles.append(collection.titles[index])
        maps.append(remembered(("maps", image.digest, light), build))
    return titles, np.stack(maps) if maps else np.empty((0, 1, 1, 1), np.float32)


def _parameters(names: list[str]) -> dict[str, FeatureNorm]:
    if not names:
        return {}
    with st.expander("Parameters"):
        norms = {}
        for name, place in zip(names, st.columns(len(names)), strict=True):
            place.markdown(f"**{plain(FEATURE_NORMS[name].about.short)}**")
            norms[name] = configured_norm(name, [place])
    return norms


def _normalized(norm: FeatureNorm, batch: np.ndarray) -> np.ndarray | str:
    """The batch under one norm; those with a memory use the one that the network was trained to."""
    try:
        if hasattr(norm, "after"):
            return norm(batch, mobilenet_v2_convolution()[1])
        return norm(batch)
    except NormvizError as error:
        return str(error)


def _headline(titles: list[str], results: dict[str, np.ndarray | str], channel: int) -> str:
    if len(titles) < 2:
        return f"“{titles[0]}” as one channel of a first convolution, under each normalization."
    pairs = []
    for name, found in results.items():
        if isinstance(found, str):
            continue
        one, two = (found[at, ..., channel - 1].astype(np.float64) for at in (0, 1))
        about = FEATURE_NORMS[name].about
        # No scope: here the name says more than whose numbers it takes.
        pairs.append(Pair(name, about.short, "", about.unit, one.mean(), two.mean(), one.std()))
    return day_and_night(titles[0], titles[1], pairs)


def _maps(
    titles: list[str], batch: np.ndarray, results: dict[str, np.ndarray | str], channel: int
) -> None:
    plane = {"map": batch, **results}
    columns = [viewer.Column("map", "feature map", "#7a7a7a", "before")]
    columns += [
        viewer.Column(
            name,
            FEATURE_NORMS[name].about.short,
            NORM_COLOURS[name],
            FEATURE_NORMS[name].about.unit,
        )
        for name in results
    ]
    rows, cells = [], {}
    for at, title in enumerate(titles[:ROWS]):
        before = batch[at, ..., channel - 1]
        low, step, levels = _levels(before)
        key = f"{at}"
        rows.append(
            viewer.Row(
                key=key,
                title=title,
                caption=f"{before.shape[1]} × {before.shape[0]} positions",
                height=before.shape[0],
                width=before.shape[1],
                channels=1,
                source=levels,
                source_format="raw16",
                before_low=low,
                before_step=step,
                before_digits=2,
            )
        )
        for column in columns:
            found = plane[column.key]
            cells[key, column.key] = (
                viewer.MessageCell(found)
                if isinstance(found, str)
                else _cell(found[:ROWS, ..., channel - 1], at)
            )
    viewer.show(
        columns,
        rows,
        cells,
        display_label="Stretch, each column: black is the lowest and white the highest value of "
        "the column's maps.",
        key="maps",
    )


def _levels(plane: np.ndarray) -> tuple[float, float, bytes]:
    low = float(plane.min())
    step = (float(plane.max()) - low) / 65535 or 1.0
    return low, step, ((plane - low) / step + 0.5).astype("<u2").tobytes()


def _cell(planes: np.ndarray, at: int) -> viewer.Cell:
    plane = planes[at]
    low, step, levels = _levels(plane)
    black, white = float(planes.min()), float(planes.max())
    numbers = (plane.min(), plane.mean(dtype=np.float64), plane.std(dtype=np.float64), plane.max())
    return viewer.ValuesCell(
        values=levels,
        low=low,
        step=step,
        window=(black, white) if white > black else (black - 0.5, black + 0.5),
        numbers=(viewer.Numbers("map", *map(float, numbers)),),
        note="exact, all positions",
        digits=2,
    )


def _about(norms: dict[str, FeatureNorm]) -> None:
    if not norms:
        return
    st.subheader("What shares its numbers", anchor=False)
    for (name, norm), place in zip(norms.items(), st.columns(len(norms), gap="large"), strict=True):
        about = norm.about
        # A group is a part of the channels.
        reduces = tuple("c" if norm.in_groups and a == "C" else a for a in norm.axes)
        with place:
            st.markdown(f"**{plain(about.title)}**")
            axes.show(reduces, axes.words_of(reduces), NORM_COLOURS[name], key=f"axes_{name}")
            st.markdown(plain(about.summary))
            st.latex(about.formula)
            blind = (
                f"Does not see** {norm.unseen}" if norm.unseen else "Sees** every gain and offset"
            )
            st.markdown(
                f"- **{blind}.\n- **Loses** {plain(about.loses)}.\n"
                f"- **A flat map** {plain(about.flat)}.\n- **Used by** {plain(about.used_by)}."
            )
            st.markdown("\n".join(f"- [{plain(s.text)}]({s.url})" for s in about.sources))
            for library, words in about.libraries:
                st.caption(f"**{plain(library)}**: {plain(words)}")
            _code(name, norm)


def _code(name: str, norm: FeatureNorm) -> None:
    opened = st.expander("Code", key=f"code_{name}", on_change="rerun")
    if opened.open:
        with opened:
            target = menu(
                dataclasses.replace(keys.CODE_TARGET, name=f"in_{name}"), "In", FEATURE_TARGETS
            )
            st.code(norm.code(target), language="python", wrap_lines=True)


def _memory(titles: list[str], batch: np.ndarray, channel: int) -> None:
    """Train and eval mode of batch normalization, batch after batch."""
    st.subheader("Batch normalization in training and in use", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="memory_controls"):
        with st.container(width=260):
            momentum = slider(
                keys.NORM_MOMENTUM,
                "Momentum",
                0.01,
                1.0,
                0.01,
                "The share of each new batch in the running averages, as PyTorch counts; Keras's "
                "momentum is 1 − this.",
            )
        with st.container(width=260):
            size = slider(
                keys.NORM_BATCH,
                "Images a batch",
                1,
                MOST_IMAGES,
                1,
                "Drawn anew for every batch, with replacement.",
            )
        with st.container(width=160):
            seed = whole(keys.NORM_SEED, "Draw", 0, 9999, "Seed of the draws.")
    draws = np.random.default_rng(seed).integers(0, len(titles), (STEPS, size))
    plane = batch[..., channel - 1 : channel]
    steps = list(compare_train_eval((plane[drawn] for drawn in draws), momentum))
    mean, std = float(plane.mean(dtype=np.float64)), float(plane.std(dtype=np.float64))
    last = steps[-1]
    st.markdown(
        plain(
            f"After {STEPS} batches of {size} the running mean of channel {channel} is "
            f"{number(last.running_mean[0])} and the running std {number(last.running_std[0])}; "
            f"all {len(titles)} images have {number(mean)} and {number(std)}. In training every "
            f"batch comes out with mean 0 and std 1; the same last batch in use has mean "
            f"{number(last.eval_mean[0])} and std {number(last.eval_std[0])}."
        )
    )
    st.plotly_chart(
        train_and_eval(steps, 0, all_images=(mean, std), dark=style.dark()),
        theme=None,
        key="train_and_eval",
        config={"displayModeBar": False},
        alt="Mean and std of batches and their running averages over 60 batches",
    )
