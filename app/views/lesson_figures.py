"""The live figures of the lessons, each with one control to play with."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import charts, keys
from app.cached import compared, remembered
from app.cached import lit as relit
from app.controls import slider
from app.selection import LONGEST_OF_MANY, Row, Selection, columns_of, light_words
from app.sources import Collection, samples, statistics_numbers
from app.text import plain
from app.views import grid, style
from app.views.panels import pairs_of
from normviz.export import small_webp
from normviz.figures import ActivationRow, firing_day_night
from normviz.figures.lessons import (
    curves,
    descent,
    histogram,
    loss_surface,
    split_bars,
    surface_of,
)
from normviz.figures.theme import METHOD_COLOURS
from normviz.images import Image, image_of
from normviz.lab import DIGITS, PHOTO_PATCHES
from normviz.lab.experiments.mean_image import relief_of
from normviz.lab.experiments.signal import made_surfaces
from normviz.lab.exposure import exposed, spread
from normviz.lab.race import lit
from normviz.lab.split import split_of_images
from normviz.light import Light, linear_to_srgb
from normviz.methods import METHODS
from normviz.networks import he_initialised
from normviz.observe.sentences import day_and_night, number, percent

PHOTOS = "Day and night"
LAB_SET = PHOTO_PATCHES
PICTURE_METHODS = ("scale_01", "dataset_zscore", "image_mean", "image_standardize")
LOCAL_METHODS = ("scale_01", "image_standardize", "lcn_subtractive", "lcn")
SHIFT_METHODS = ("dataset_zscore", "image_standardize")
COLOUR_METHODS = ("dataset_zscore", "image_standardize", "image_channel_standardize")
SIGNAL_METHODS = ("scale_01", "dataset_zscore", "image_mean", "image_standardize")
NEURON_METHODS = ("scale_01", "dataset_zscore", "image_mean", "image_standardize")


_LEAST = 1e-5
"""Losses below are not drawn: at a rate that suits they soon are nothing but rounding."""


def _slide(*given: Any) -> Any:
    """The one control of a lesson, of one width on all of them."""
    with st.container(width=340):
        return slider(*given)


def _light(kelvin: bool = False) -> Light:
    if kelvin:
        chosen = _slide(
            keys.LESSON_KELVIN,
            "Colour of the second light (K)",
            2000,
            12000,
            100,
            "As seen by a camera balanced for 6500 K: low is orange, high is blue.",
        )
        return Light(kelvin=float(chosen))
    ev = _slide(
        keys.LESSON_EV,
        "Exposure of the night (EV)",
        -6.0,
        3.0,
        0.25,
        "The second row is the first in this light: linear light times 2 to this power.",
        "%+.2f",
    )
    return Light(ev=ev)


def _pictures(methods: tuple[str, ...], key: str, kelvin: bool = False) -> None:
    """One scene by day and in the chosen light under some methods."""
    collection = samples(PHOTOS)
    light = _light(kelvin)
    image, title = collection.image(0), collection.titles[0]
    rows = (
        Row(0, title, image),
        Row(1, f"{title}, {light_words(light)}", relit(image, light)),
    )
    panels(collection, rows, methods, key)


def panels(
    collection: Collection,
    rows: tuple[Row, ...],
    methods: tuple[str, ...],
    key: str,
    said: bool = True,
) -> None:
    """Draw two rows under some methods, below a sentence on both if ``said``."""
    chosen = {name: METHODS[name]() for name in methods}
    columns = columns_of(chosen, statistics_numbers(collection), "")
    selection = Selection(
        collection, rows, columns, Light(), LONGEST_OF_MANY, "stretch", "method", ""
    )
    if said:
        st.markdown(plain(day_and_night(rows[0].title, rows[1].title, pairs_of(selection, *rows))))
    with st.container(key=f"grid_{key}"):
        grid.draw(selection, key)


def _live_picture() -> None:
    _pictures(PICTURE_METHODS, "live_picture")


def _live_local() -> None:
    _pictures(LOCAL_METHODS, "live_local")


def _live_shift() -> None:
    _pictures(SHIFT_METHODS, "live_shift")


def _live_colour() -> None:
    _pictures(COLOUR_METHODS, "live_colour", kelvin=True)


def two_surfaces(albedo: float) -> list[Image]:
    """One texture with an albedo of 1, and with another."""
    made = made_surfaces(0, 1, 1)
    bright = made.train[1] / (0.5 + 0.5 * made.train_labels[1])
    large = np.repeat(np.repeat(bright, 8, 0), 8, 1)
    return [
        image_of(np.rint(linear_to_srgb(np.clip(large * level, 0, 1)) * 255).astype(np.uint8))
        for level in (1.0, albedo)
    ]


def _live_signal() -> None:
    albedo = _slide(
        keys.LESSON_ALBEDO,
        "Albedo of the second surface",
        0.1,
        1.0,
        0.05,
        "How much of the light the second surface throws back; the first is 1.",
    )
    pair = two_surfaces(albedo)
    collection = Collection(
        # Statistics are kept by this key, and they change with the albedo.
        f"lesson:surfaces:{albedo:g}",
        "two surfaces",
        pair,
        ["albedo 1", f"albedo {albedo:g}"],
    )
    rows = tuple(Row(at, collection.titles[at], pair[at]) for at in range(2))
    panels(collection, rows, SIGNAL_METHODS, "live_signal")


def _live_rate() -> None:
    rate = _slide(
        keys.LESSON_ABSOLUTE_RATE,
        "One learning rate for both",
        0.05,
        2.0,
        0.05,
        "The same rate for inputs as they are (mean 2) and with their mean subtracted.",
    )
    steps = 20
    lines, said = {}, []
    for name, offset in (("inputs with mean 2", 2.0), ("mean subtracted", 0.0)):
        hessian, best = surface_of(offset)
        largest = float(np.linalg.eigvalsh(hessian)[-1])
        off = descent(offset, rate * largest, steps) - best
        loss = 0.5 * np.einsum("ni,ij,nj->n", off, hessian, off)
        # What grows without end leaves the picture at its top, what falls at its bottom.
        lines[name] = [[float(v) if _LEAST < v < 1e3 else None, 1.0] for v in loss]
        grew = loss[-1] > loss[0]
        said.append(f"with {name} the loss {'grows without end' if grew else 'falls'}")
    st.markdown(plain(f"At a rate of {rate:g}, {' and '.join(said)}."))
    charts.draw(
        curves(
            list(range(steps + 1)),
            lines,
            "step",
            f"loss above {_LEAST:g} (log scale)",
            dark=style.dark(),
            log_y=True,
        ),
        key="live_rate",
        alt="Loss of two weights over the steps at one learning rate",
    )


def _live_batch() -> None:
    size = _slide(
        keys.LESSON_BATCH,
        "Images in a batch",
        1,
        256,
        1,
        "Drawn anew for each of 1,000 batches.",
    )
    images = remembered(("lesson patches",), lambda: lit(LAB_SET, 0, 1.0, 60, 1).train / 255.0)
    means = images.mean(axis=(1, 2, 3))
    draws = np.random.default_rng(0).integers(0, len(means), (1000, size))
    found = means[draws].mean(axis=1)
    st.markdown(
        plain(
            f"The means of batches of {size} spread by {number(float(found.std()), 0.01)} around "
            f"the set's {number(float(means.mean()))}: "
            f"{percent(float(found.std() / images.std()))} of a std of its pixels."
        )
    )
    charts.draw(
        histogram(
            found,
            ("mean of the set", float(means.mean())),
            "mean of a batch (0–1)",
            (0.0, 1.0),
            dark=style.dark(),
        ),
        key="live_batch",
        alt="Means of batches around the mean of the set",
    )


def _live_mean_image() -> None:
    count = _slide(
        keys.LESSON_IMAGES, "Images in the mean", 1, 600, 1, "The first ones of each set."
    )
    places = st.columns(2, gap="large")
    for place, source, name in (
        (places[0], LAB_SET, "random crops of photos"),
        (places[1], DIGITS, "handwritten digits"),
    ):
        images = remembered(
            ("lesson mean", source.name), lambda own=source: lit(own, 0, 0.0, 60, 1).train
        )
        order = np.random.default_rng(0).permutation(len(images))[:count]
        mean = images[order].mean(axis=0)
        relief = relief_of(mean, images)
        with place:
            st.markdown(
                plain(f"{name.capitalize()}: varies by {number(relief)} stds over its places.")
            )
            big = np.repeat(np.repeat(mean, 192 // len(mean), 0), 192 // len(mean), 1)
            st.image(
                small_webp(np.rint(big).astype(np.uint8)), caption=f"Mean of {len(order)} {name}"
            )


def _live_downhill() -> None:
    size = _slide(
        keys.LESSON_STEP_BATCH, "Images a step", 1, 64, 1, "Of a set of 400 with noisy answers."
    )
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 8))
    wrong = x @ rng.normal(size=8) * 0.5 + rng.normal(size=400) * 3
    each = x * wrong[:, np.newaxis]
    whole_set = each.mean(axis=0)
    chosen = rng.integers(0, 400, (2000, size))
    steps = each[chosen].mean(axis=1)
    cosine = steps @ whole_set / (np.linalg.norm(steps, axis=1) * np.linalg.norm(whole_set))
    st.markdown(
        plain(
            f"Of steps made from {size} image{'s' if size > 1 else ''} each, "
            f"{percent(float((cosine > 0).mean()))} point downhill for the whole set (right of the "
            "line)."
        )
    )
    charts.draw(
        histogram(
            cosine,
            ("across", 0.0),
            "cosine of the angle to the whole set's gradient",
            (-1.0, 1.0),
            dark=style.dark(),
        ),
        key="live_downhill",
        alt="Angles between gradients of few images and that of all",
    )


def _live_answer() -> None:
    sigma = _slide(
        keys.LESSON_SIGMA,
        "Spread of the light (σ, EV)",
        0.0,
        3.0,
        0.25,
        "Each image is exposed by its own EV, drawn from N(0, σ).",
    )
    images = lit(LAB_SET, 0, sigma, 60, 1)
    photos = split_of_images(images.train, images.train_labels)
    surfaces = made_surfaces(0, 80, 1)
    dark_or_bright = exposed(surfaces.train, spread(len(surfaces.train), sigma, 0, 0), 0, noise=0.0)
    albedo = split_of_images(dark_or_bright, surfaces.train_labels)
    st.markdown(
        plain(
            f"Of the variance of brightness, {percent(photos.share)} is nuisance where the class "
            f"is a photo, {percent(albedo.share)} where it is the albedo."
        )
    )
    charts.draw(
        split_bars(
            {
                "class: which photo": (photos.nuisance, photos.signal),
                "class: albedo": (albedo.nuisance, albedo.signal),
            },
            dark=style.dark(),
        ),
        key="live_answer",
        alt="Nuisance and signal in the brightness of two sets",
    )


def _live_neuron() -> None:
    collection = samples(PHOTOS)
    light = _light()
    layer = he_initialised(0, filters=256)
    columns = columns_of(
        {name: METHODS[name]() for name in NEURON_METHODS}, statistics_numbers(collection), ""
    )
    image = collection.image(0)
    rows = []
    for column in columns:
        assert column.fitted is not None
        found = compared((image, Light()), (image, light), LONGEST_OF_MANY, column.fitted, layer)
        about = column.method.about
        rows.append(
            ActivationRow(
                column.name,
                about.short,
                METHOD_COLOURS[column.name],
                found.day,
                found.night,
                found.difference,
            )
        )
    first = rows[0]
    st.markdown(
        plain(
            f"Of the units of 256 random filters {percent(first.day.firing)} fire under "
            f"{first.title} by day and {percent(first.night.firing)} by night; their std is "
            f"{number(first.day.std / first.night.std)} times as large by day."
        )
    )
    charts.draw(
        firing_day_night(rows, sort_by="menu", dark=style.dark()),
        key="live_neuron",
        alt="Share of units that fire by day and by night",
    )


def _live_centring() -> None:
    with st.container(horizontal=True, key="centring_controls"):
        with st.container(width=300):
            offset = slider(
                keys.LESSON_OFFSET,
                "Mean of both inputs (their stds)",
                0.0,
                3.0,
                0.1,
                "0: the mean was subtracted.",
            )
        with st.container(width=300):
            rate = slider(
                keys.LESSON_RATE,
                "Learning rate (of the largest curvature's inverse)",
                0.1,
                2.2,
                0.1,
                "Above 2 the path leaves the valley.",
            )
    hessian, best = surface_of(offset)
    small, large = np.linalg.eigvalsh(hessian)
    path = descent(offset, rate, 20)
    left = float(np.linalg.norm(path[-1] - best) / np.linalg.norm(path[0] - best))
    went = "the path leads away" if left > 1 else f"{percent(left)} of the way is left"
    st.markdown(plain(f"Condition number {number(float(large / small))}; after 20 steps {went}."))
    with st.container(width=620):
        charts.draw(
            loss_surface(offset, rate, 20, dark=style.dark()),
            key="live_centring",
            alt="Level lines of the loss of two weights and the path of gradient descent",
        )


LIVE = {
    "picture": _live_picture,
    "neuron": _live_neuron,
    "centring": _live_centring,
    "rate": _live_rate,
    "shift": _live_shift,
    "signal": _live_signal,
    "batch": _live_batch,
    "mean_image": _live_mean_image,
    "colour": _live_colour,
    "local": _live_local,
    "downhill": _live_downhill,
    "answer": _live_answer,
}
