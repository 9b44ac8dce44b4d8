"""In-network: normalizations of feature maps, on what a first convolution makes of the images."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import keys
from app.cached import remembered
from app.controls import several, slider, whole
from app.frame import Frame, say_source
from app.text import plain
from app.views import norms, style
from app.views.compare import NONE_READABLE
from app.views.norms import MOST_IMAGES, Maps
from normviz.figures import train_and_eval
from normviz.methods import FEATURE_NORMS, FeatureNorm, compare_train_eval
from normviz.methods.running import TrainEvalStep
from normviz.observe.sentences import Pair, day_and_night, number

MOST_NORMS = 4
ROWS = 4
STEPS = 60

_SIDE_BY_SIDE = 2
"""What is said of each norm stands in so many columns: formulas and blocks stay readable."""


def page(shared: Frame) -> None:
    """Draw the feature maps under the chosen normalizations, then training against using."""
    say_source(shared)
    if not len(shared.collection):
        st.info(NONE_READABLE)
        return
    _body(shared)


@st.fragment
def _body(shared: Frame) -> None:
    maps = norms.batch_of(shared)
    if not maps.titles:
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
            channel = norms.pick_channel()
    chosen = {}
    if names:
        with st.expander("Parameters"):
            chosen = norms.parameters(names)
    results = {name: norms.one_channel(norm, maps, channel) for name, norm in chosen.items()}
    st.markdown(f"#### {plain(_headline(maps, results, channel))}")
    with st.container(key="grid"):
        drawn = norms.draw(maps, results, channel, ROWS, "maps")
    st.caption(plain(norms.caption(maps, channel)))
    if not drawn:
        # Formulas and charts keep a browser busy for a second or two: the maps come first, and say
        # when they are there.
        return
    _about(chosen, maps)
    _memory(maps, channel)


def _headline(maps: Maps, results: dict[str, np.ndarray | str], channel: int) -> str:
    titles = maps.titles
    if len(titles) < 2:
        return f"“{titles[0]}” as one channel of a first convolution, under each normalization."
    pairs = []
    for name, found in results.items():
        if isinstance(found, str):
            continue
        one, two = (found[at].astype(np.float64) for at in (0, 1))
        about = FEATURE_NORMS[name].about
        # No scope: here the name says more than whose numbers it takes.
        pairs.append(Pair(name, about.short, "", about.unit, one.mean(), two.mean(), one.std()))
    return day_and_night(titles[0], titles[1], pairs)


def _about(chosen: dict[str, FeatureNorm], maps: Maps) -> None:
    if not chosen:
        return
    items = list(chosen.items())
    for start in range(0, len(items), _SIDE_BY_SIDE):
        pair = items[start : start + _SIDE_BY_SIDE]
        for (name, norm), place in zip(pair, st.columns(_SIDE_BY_SIDE, gap="large"), strict=False):
            place.subheader(plain(norm.about.title), anchor=False)
            norms.about(name, norm, maps, place, place)


def _memory(maps: Maps, channel: int) -> None:
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
    titles = maps.titles
    plane = maps.batch[..., channel - 1 : channel]

    def build() -> list[TrainEvalStep]:
        draws = np.random.default_rng(seed).integers(0, len(titles), (STEPS, size))
        return list(compare_train_eval((plane[drawn] for drawn in draws), momentum))

    steps = remembered(("train and eval", maps.key, channel, momentum, size, seed), build)
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
