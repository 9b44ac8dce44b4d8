"""What the visitor chose, as frozen values; every view works from these and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import keys, published
from app.cached import fit
from app.controls import choice, menu, parameters_of, several, slider, whole
from app.sources import (
    SETS,
    Collection,
    Numbers,
    fitted_of,
    one_sample,
    samples,
    statistics_numbers,
    uploaded,
    uploader,
)
from app.text import plain
from normviz.display import MAPPINGS, SCALES
from normviz.errors import NormvizError
from normviz.images import Image
from normviz.imports import EXPECTED, read_normalization
from normviz.light import Light
from normviz.methods import METHODS, Fitted, Method
from normviz.methods.whitening import PLACES, Whitening
from normviz.presets import MEAN_IMAGES, PRESETS
from normviz.read.sampled import LONGEST, MOST, sampled
from normviz.samples import SAMPLES

MOST_METHODS = 8
ROWS_A_PAGE = 4

# The longer side of the copies that are shown; one image alone gets more.
LONGEST_OF_ONE = 640
LONGEST_OF_MANY = 512


@dataclass(frozen=True, eq=False)
class Row:
    """One image on screen."""

    index: int
    title: str
    image: Image


@dataclass(frozen=True, eq=False)
class Column:
    """One method on screen: fitted, or the sentence that says why it is not."""

    name: str
    method: Method
    fitted: Fitted | None
    fitted_on: str
    message: str = ""


@dataclass(frozen=True, eq=False)
class Selection:
    """Everything that the sections of Compare draw from."""

    collection: Collection
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    light: Light
    longest: int
    mapping: str
    scale: str
    fit_on: str
    constants_of: str = ""
    """Whose constants dataset methods use, where they are no statistics of images."""

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns that could be fitted."""
        return tuple(column for column in self.columns if column.fitted is not None)


def light_words(light: Light) -> str:
    """The light as text: what differs from the image as loaded.

    >>> light_words(Light(ev=-3.0)), light_words(Light())
    ('−3 EV', 'as loaded')
    """
    parts = [f"{light.ev:+g} EV".replace("-", "−")] if light.ev else []
    if light.kelvin != Light().kelvin:
        parts.append(f"{light.kelvin:g} K")
    if light.noise:
        parts.append(f"{light.noise:g} % noise")
    return ", ".join(parts) or "as loaded"


# What a night is simulated as when no light is set and no night photo of the scene is loaded.
_NIGHT = Light(ev=-3.0)


def night_of(light: Light) -> tuple[Light, str]:
    """Return the light that a photo without one of the night is seen in by night, and words.

    >>> night_of(Light())[1], night_of(Light(ev=-2.0))[1]
    ('simulated at −3 EV', 'in the light set in the sidebar (−2 EV)')
    """
    if light.neutral:
        return _NIGHT, f"simulated at {light_words(_NIGHT)}"
    return light, f"in the light set in the sidebar ({light_words(light)})"


def pick_light() -> Light:
    """Draw the light's controls."""
    st.subheader("Light", anchor=False)
    ev = slider(
        keys.EV,
        "Exposure (EV)",
        -6.0,
        6.0,
        0.25,
        "Linear light is multiplied by 2 to this power before the camera's curve and clipping: "
        "−3 EV is an eighth of the light.",
        "%+.2f",
    )
    kelvin = slider(
        keys.KELVIN,
        "Colour temperature (K)",
        2000,
        12000,
        100,
        "Colour of the light as seen by a camera balanced for 6500 K: low is orange, high is "
        "blue. Brightness (luminance) is kept.",
    )
    noise = slider(
        keys.NOISE,
        "Shot noise (% of white)",
        0.0,
        20.0,
        0.5,
        "Simulated photon noise: its standard deviation at white, in percent of white. Dark "
        "parts get relatively more.",
        "%.1f",
    )
    seed = whole(keys.LIGHT_SEED, "Noise seed", 0, 9999, "Which noise is drawn.") if noise else 0
    return Light(ev=ev, kelvin=float(kelvin), noise=noise, seed=seed)


def memory_words(method: Method, numbers: Numbers | None) -> str:
    """What fitting a whitening takes, to be said before it is done; nothing for other methods."""
    if not isinstance(method, Whitening) or numbers is None or numbers.collection is None:
        return ""
    images = min(len(numbers.collection), MOST)
    said = method.memory_sentence(images, numbers.channels)
    return f"{method.about.title}, ε {PLACES[method.place]}. {said}"


def pick_methods(numbers: Numbers | None) -> dict[str, Method]:
    """Draw the choice of methods and their parameters, and what fitting them takes."""
    st.subheader("Methods", anchor=False)
    chosen = several(
        keys.METHODS,
        "Compare",
        {name: kind.about.short for name, kind in METHODS.items()},
        MOST_METHODS,
        f"One column a method, at most {MOST_METHODS}.",
    )
    methods = parameters_of(chosen)
    for method in methods.values():
        if words := memory_words(method, numbers):
            st.caption(plain(words))
    return methods


def pick_numbers(
    collection: Collection | None, scanning: DeltaGenerator
) -> tuple[Numbers | None, str]:
    """Draw "fit on" and return the numbers of that choice, with a sentence when there are none.

    ``scanning``: an empty place for the bar of a scan.
    """
    options = {"loaded": "The loaded images", "upload": "Another set: my files"}
    options |= {f"set:{name}": f"Another set: {name} (samples)" for name in SETS}
    options |= {f"photo:{key}": f"One photo: {photo.title}" for key, photo in SAMPLES.items()}
    options["constants"] = "Constants from a file or a text"
    options |= {f"preset:{key}": f"Preset: {preset.title}" for key, preset in PRESETS.items()}
    chosen = menu(
        keys.FIT_ON,
        "Fit on",
        options,
        "Where dataset-scope and batch methods take their numbers from. The light's sliders "
        "change the pictures, not these numbers.",
    )
    kind, _, name = chosen.partition(":")
    if kind == "preset":
        preset = PRESETS[name]
        published.say(preset)
        return Numbers(chosen, preset, f"preset {preset.title}"), ""
    if kind == "constants":
        return _imported()
    other = fitted_of(collection) if collection is not None else None
    if kind == "set":
        other = samples(name)
    elif kind == "photo":
        other = one_sample(name)
    elif kind == "upload":
        other = uploaded(uploader(keys.FIT_UPLOAD, "Images to fit on"))
        if other is None:
            return None, "Upload the images to fit on in the sidebar, or choose another “Fit on”."
    if other is None:
        return None, "Load images first."
    numbers = statistics_numbers(other, scanning)
    if numbers is None:
        return None, f"No image of {other.title} could be read."
    st.caption(plain(f"{_in_use(numbers)} {numbers.words}."))
    return numbers, ""


def _imported() -> tuple[Numbers | None, str]:
    """Draw the ways to bring constants, and read what is brought."""
    file = st.file_uploader(
        "File",
        key=keys.CONSTANTS_FILE.name,
        help=f"{'; '.join(EXPECTED)}. For models with a mean image, such as "
        f"{', '.join(one.title for one in MEAN_IMAGES.values())}, their file is needed.",
    )
    text = st.text_area(
        "Or as text",
        key=keys.CONSTANTS_TEXT.name,
        bind="query-params",
        height=80,
        placeholder="Normalize(mean=[0.485, …], std=[0.229, …]), caffe, ResNet50 …",
        help="Of torchvision or Albumentations, a Keras mode or architecture, or a config.",
    )
    order = choice(
        keys.CONSTANTS_ORDER,
        "Channel order",
        {"": "As usual for it", "RGB": "RGB", "BGR": "BGR"},
        "Where the source does not say it: Caffe's numbers are BGR, others RGB.",
    )
    if file is None and not text.strip():
        return None, "Bring a file or a text with constants in the sidebar."
    name, data = (file.name, file.getvalue()) if file is not None else ("the text", text)
    try:
        found = read_normalization(name, data, order)
    except NormvizError as error:
        st.warning(plain(str(error)))
        return None, str(error)
    st.caption(plain(found.words))
    for problem in found.problems:
        st.warning(plain(problem))
    digest = blake2b(data.encode() if isinstance(data, str) else data, digest_size=16).hexdigest()
    return Numbers(f"constants:{order}:{digest}", found.numbers, found.kind), ""


def _in_use(numbers: Numbers) -> str:
    """The mean and std that dataset methods use, and how one grey pair serves colour."""
    mean, std = (
        ", ".join(f"{value:.4g}" for value in values)
        for values in (numbers.value.fraction_mean, numbers.value.fraction_std)
    )
    whose = "R, G, B" if numbers.channels == 3 else "one for all channels"
    return f"Mean {mean}; std {std} ({whose}; on 0–1)."


def pick_display() -> tuple[str, str]:
    """Draw the display mapping's controls."""
    st.subheader("Display", anchor=False)
    mapping = choice(
        keys.MAPPING,
        "Mapping",
        MAPPINGS,
        "How normalized values become pixels: stretched between two values, with zero at "
        "mid-grey, or clipped to the method's nominal range.",
    )
    scale = choice(
        keys.SCALE,
        "Scale",
        SCALES,
        "Which panels share black and white: the panels of one method, none, or all.",
    )
    return mapping, scale


def columns_of(
    methods: Mapping[str, Method], numbers: Numbers | None, missing: str
) -> tuple[Column, ...]:
    """Fit every chosen method; one that cannot be fitted keeps its column and says why."""
    return tuple(column_of(name, method, numbers, missing) for name, method in methods.items())


def column_of(name: str, method: Method, numbers: Numbers | None, missing: str) -> Column:
    """Fit one method on what it asks for, or say why it cannot be fitted."""
    wants = method.about.fits_on
    if not wants:
        return Column(name, method, fit(method, "", lambda: None), "")
    if numbers is None:
        return Column(name, method, None, "", missing)
    words = numbers.words
    if wants == "images":
        if numbers.collection is None:
            said = f"{method.about.title} is fitted on images, and “{words}” holds none."
            return Column(name, method, None, words, f"{said} Choose images under “Fit on”.")
        words += f" (at most {MOST}, as copies of up to {LONGEST} px)"
    try:
        return Column(name, method, fit(method, numbers.key, lambda: _given(numbers, wants)), words)
    except NormvizError as error:
        return Column(name, method, None, words, str(error))


def _given(numbers: Numbers, wants: str) -> Any:
    if wants == "images":
        assert numbers.collection is not None
        return sampled(len(numbers.collection), numbers.collection.image)
    return numbers.value
