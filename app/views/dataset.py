"""Dataset: the numbers of a set of images, what they are made of, and how well they are known."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import keys
from app.cached import remembered
from app.controls import choice, switch, whole
from app.frame import Frame, say_source
from app.sources import LABELLED, Numbers, fitted_of, statistics_numbers
from app.text import plain
from app.views import dataset_images, style
from app.views.compare import NONE_READABLE
from normviz.export import png_bytes
from normviz.export.constants import CONSTANTS_FOR, constants_text
from normviz.figures import HistogramColumn, histogram_row
from normviz.figures.dataset import MOST_LABELS_DRAWN, label_dots, running_mean, variance_split
from normviz.images import CHANNEL_NAMES
from normviz.observe.dataset import (
    between_share,
    by_label,
    clipped_words,
    convergence,
    convergence_words,
    exactness_words,
    label_words,
    pictures_words,
    sample_words,
    split_words,
)
from normviz.observe.ranges import Histogram
from normviz.observe.sentences import number, percent
from normviz.statistics import DatasetStatistics


def page(shared: Frame, compare_page: st.Page) -> None:
    """Draw every view of the loaded images' statistics."""
    say_source(shared)
    numbers = statistics_numbers(fitted_of(shared.loaded)) if len(shared.loaded) else None
    if numbers is None:
        st.info(NONE_READABLE)
        return
    statistics: DatasetStatistics = numbers.value
    st.markdown(f"#### {plain(_headline(statistics))}")
    st.caption(plain(f"{_sentence(numbers.words)}; the light's sliders do not change these."))
    if not statistics.by_label and shared.loaded.key.startswith("samples:"):
        _offer_labels()
    _constants(numbers)
    left, right = st.columns(2, gap="large")
    with left:
        _pictures(numbers)
    with right:
        _split(statistics)
    _histograms(statistics)
    dataset_images.section(shared.loaded, numbers, compare_page)
    _labels(statistics)
    _convergence(numbers)


def _headline(statistics: DatasetStatistics) -> str:
    mean = ", ".join(number(float(v)) for v in statistics.mean)
    std = ", ".join(number(float(v)) for v in statistics.std.pooled)
    labels = len(statistics.by_label)
    images = f"{statistics.images:,} image{'' if statistics.images == 1 else 's'}"
    split = statistics.variance
    total = float((split.within + split.between).sum())
    share = percent(float(split.between.sum()) / total) if total else percent(0)
    return (
        f"{images}{f' with {labels:,} labels' if labels > 1 else ''}: mean {mean}, std {std} "
        f"({unit(statistics)}); {share} of the variance lies between images."
    )


def unit(statistics: DatasetStatistics) -> str:
    """The value range that numbers are in."""
    low, high = statistics.value_range
    return f"{low:g}–{high:g}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _offer_labels() -> None:
    st.button(
        f"Open “{LABELLED}”",
        key="open_labelled",
        help="A set with labels fills every view of this page.",
        on_click=_open_labelled,
    )


def _open_labelled() -> None:
    st.session_state[keys.SAMPLE_SET.name] = LABELLED


# ------------------------------------------------------------------------------------ constants


@st.fragment
def _constants(numbers: Numbers) -> None:
    statistics: DatasetStatistics = numbers.value
    st.subheader("Constants to copy", anchor=False)
    code, table = st.columns([3, 2], gap="large")
    with code:
        target = choice(
            keys.CONSTANTS_FOR,
            "For",
            CONSTANTS_FOR,
            "Each in the value range, channel order and order of steps of its library.",
        )
        assert numbers.collection is not None
        st.code(
            constants_text(statistics, target, numbers.collection.title),
            language="json" if target == "json" else "python",
            wrap_lines=True,
        )
    with table:
        st.markdown(_table(statistics))
        st.caption(plain(f"{exactness_words(statistics)} {_which_std(target)}"))


def _which_std(target: str) -> str:
    if target == "caffe":
        return "Caffe subtracts the mean and uses no std."
    if target == "json":
        return "JSON holds all three stds."
    return "The constants use the pooled std."


def _table(statistics: DatasetStatistics) -> str:
    names = CHANNEL_NAMES[statistics.channels]
    stds = statistics.std
    rows: list[tuple[str, np.ndarray]] = [
        ("mean", statistics.mean),
        ("**std, pooled**: of all pixels together", stds.pooled),
        ("std, root mean square of the images' own", stds.rms_of_images),
        ("std, mean of the images' own", stds.mean_of_images),
        ("lowest", statistics.low),
        ("highest", statistics.high),
    ]
    if statistics.percentiles is not None:
        rows.insert(4, ("median", statistics.percentiles[50.0]))
    lines = [
        f"| {unit(statistics)} | {' | '.join(names)} |",
        f"|---|{'---:|' * len(names)}",
    ]
    for title, values in rows:
        lines.append(f"| {title} | {' | '.join(f'{v:.5g}'.replace('-', '−') for v in values)} |")
    return "\n".join(lines)


# ----------------------------------------------------------------------------- pictures and split


def _pictures(numbers: Numbers) -> None:
    statistics: DatasetStatistics = numbers.value
    st.subheader("Mean and std image", anchor=False)
    st.markdown(plain(pictures_words(statistics)))
    mean, std = statistics.fraction_mean_image, statistics.fraction_std_image
    white = float(std.max()) or 1.0
    low, span = statistics.value_range.low, statistics.value_range.span
    size = f"{mean.shape[1]} × {mean.shape[0]} px"
    if statistics.mean_image_is_squeezed:
        size += ", to which each image was squeezed"
    with st.container(horizontal=True, key="dataset_pictures"):
        for name, values, window, says in (
            ("Mean image", mean, (0.0, 1.0), f"clip: black {low:g}, white {low + span:g}"),
            ("Std image", std, (0.0, white), f"stretch: black 0, white {white * span:.4g}"),
        ):
            key = ("dataset picture", numbers.key, name)
            with st.container(width=224):
                st.image(
                    remembered(key, lambda v=values, w=window: png_bytes(v, w)),
                    output_format="PNG",
                    width=224,
                    alt=f"{name} of {numbers.words}",
                )
                st.caption(plain(f"{name}, {size}; {says}"))


def _split(statistics: DatasetStatistics) -> None:
    st.subheader("Within and between images", anchor=False)
    st.markdown(plain(split_words(statistics)))
    names = CHANNEL_NAMES[statistics.channels]
    split = statistics.variance
    shares = ", ".join(
        f"{name} {percent(float(v))}"
        for name, v in zip(names, between_share(statistics), strict=True)
    )
    st.plotly_chart(
        variance_split(names, split.within, split.between, dark=style.dark()),
        theme=None,
        key="variance_split",
        config={"displayModeBar": False},
        alt=f"Share of the variance that lies between images: {shares}",
    )


# ---------------------------------------------------------------------------------- histograms


@st.fragment
def _histograms(statistics: DatasetStatistics) -> None:
    st.subheader("Histograms", anchor=False)
    counts = statistics.histogram
    if counts is None:
        st.caption("The images mix depths or ranges, so their levels cannot be counted together.")
        return
    st.markdown(plain(clipped_words(statistics)))
    log_y = switch(keys.LOG_Y, "Log scale", "Logarithmic share of pixels: shows rare values.")
    low, high = statistics.value_range
    # A bin of bytes is a level, which stands in the middle of its bin.
    half = 0.5 if high - low == 255 else 0.0
    edges = np.linspace(low - half, high + half, counts.shape[1] + 1)
    column = HistogramColumn(
        title="value",
        colour="",
        unit=f"{unit(statistics)}, {counts.shape[1]} bins",
        channels=CHANNEL_NAMES[statistics.channels],
        after=[Histogram(edges, row / row.sum()) for row in counts],
    )
    st.plotly_chart(
        histogram_row([column], log_y=log_y, dark=style.dark()),
        theme=None,
        key="dataset_histogram",
        config={"displayModeBar": False},
        alt="Share of pixels over value, per channel, of all images",
    )


# ------------------------------------------------------------------------ labels and convergence


def _labels(statistics: DatasetStatistics) -> None:
    st.subheader("By label", anchor=False)
    found = by_label(statistics)
    if not found:
        if statistics.too_many_labels:
            st.caption("There are too many labels to keep numbers of each.")
        else:
            st.caption(
                "These images have no labels. In a zip, tar or folder the class folders become "
                "labels."
            )
        return
    st.markdown(plain(label_words(statistics)))
    chart, table = st.columns([3, 2], gap="large")
    with chart:
        st.plotly_chart(
            label_dots(found, unit(statistics), dark=style.dark()),
            theme=None,
            key="label_dots",
            config={"displayModeBar": False},
            alt="Mean and std of all values of each label's images",
        )
        if len(found) > MOST_LABELS_DRAWN:
            st.caption(
                f"The {MOST_LABELS_DRAWN // 2} darkest and brightest of {len(found):,} labels."
            )
    with table:
        st.dataframe(
            {
                "Label": [one.label for one in reversed(found)],
                "Images": [one.images for one in reversed(found)],
                "Mean": [one.mean for one in reversed(found)],
                "Std": [one.std for one in reversed(found)],
            },
            hide_index=True,
            key="label_table",
            column_config={
                name: st.column_config.NumberColumn(format="%.4g") for name in ("Mean", "Std")
            },
            alt="Images, mean and std of each label",
        )


@st.fragment
def _convergence(numbers: Numbers) -> None:
    statistics: DatasetStatistics = numbers.value
    st.subheader("How many images it takes", anchor=False)
    if statistics.images < 2:
        st.caption("One image: there is nothing to converge.")
        return
    place = st.container()
    with st.container(width=160):
        seed = whole(keys.READ_SEED, "Draw", 0, 9999, "Seed of the order in which images are read.")
    found = remembered(("convergence", numbers.key, seed), lambda: convergence(statistics, seed))
    with place:
        span = statistics.value_range.span
        st.markdown(plain(convergence_words(found, statistics.channels, span)))
        if words := sample_words(statistics):
            st.caption(words)
        st.plotly_chart(
            running_mean(
                found, CHANNEL_NAMES[statistics.channels], unit(statistics), dark=style.dark()
            ),
            theme=None,
            key="convergence",
            config={"displayModeBar": False},
            alt="Mean of each channel over the number of images read, with its 95 % band",
        )
