"""The bundled photos: what each shows, in what light, and which two are one scene by day and night.

The files lie in ``sample_images/`` at the top of the repository; their licences stand in
``sample_images/LICENSES.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image as PillowImage

from normviz.errors import ParameterError, ReadError
from normviz.images import Image, image_of

SAMPLE_FOLDER = Path(__file__).resolve().parent.parent / "sample_images"

LABELLED_SET = "scenes.zip"
"""Ten places as class folders, 14 views of 32×32 each (10 lit, 4 dark): a dataset to try."""

PhotoLight = Literal["day", "low sun", "twilight", "dark", "night", "indoor", "instrument"]


@dataclass(frozen=True)
class Sample:
    """One bundled photo.

    ``scene`` is shared by photos of the same view. ``light`` is what the photo truly shows;
    ``role`` says which side it takes where one scene is compared by day and by night (its two
    exposures differ by about 3 EV in linear light), else None.
    """

    file: str
    title: str
    scene: str
    light: PhotoLight
    credit: str
    licence: str
    role: Literal["day", "night"] | None = None

    @property
    def path(self) -> Path:
        return SAMPLE_FOLDER / self.file


_PANORAMA = "Greg Zaal, HDRI Haven (rendered from a panorama)"
_CC0 = "CC0 1.0"
_PUBLIC = "public domain"

SAMPLES: dict[str, Sample] = {
    "forest_day": Sample(
        "forest_day.jpg", "Forest path by day", "forest path", "day", _PANORAMA, _CC0, "day"
    ),
    "forest_underexposed": Sample(
        "forest_underexposed.jpg",
        "Forest path, 3.2 EV darker",
        "forest path",
        "dark",
        _PANORAMA,
        _CC0,
        "night",
    ),
    "forest_overexposed": Sample(
        "forest_overexposed.jpg",
        "Forest path, 1.8 EV brighter",
        "forest path",
        "day",
        _PANORAMA,
        _CC0,
    ),
    "field_night_lifted": Sample(
        "field_night_lifted.jpg",
        "Field at night, exposed 2.8 EV longer",
        "field with trees",
        "night",
        _PANORAMA,
        _CC0,
        "day",
    ),
    "field_night": Sample(
        "field_night.jpg", "Field at night", "field with trees", "night", _PANORAMA, _CC0, "night"
    ),
    "city_day": Sample(
        "city_day.jpg", "City car park by day", "city car park", "day", _PANORAMA, _CC0
    ),
    "courtyard_sun": Sample(
        "courtyard_sun.jpg", "Courtyard with patches of sun", "courtyard", "day", _PANORAMA, _CC0
    ),
    "meadow_sunrise": Sample(
        "meadow_sunrise.jpg", "Meadow with pylons at sunrise", "meadow", "low sun", _PANORAMA, _CC0
    ),
    "harbour_sunset": Sample(
        "harbour_sunset.jpg", "Sea at sunset", "harbour", "low sun", _PANORAMA, _CC0
    ),
    "bedroom_lamp": Sample(
        "bedroom_lamp.jpg", "Hotel bedroom", "bedroom", "indoor", _PANORAMA, _CC0
    ),
    "dandelions_dusk": Sample(
        "dandelions_dusk.jpg",
        "Dandelions against low sun",
        "dandelions",
        "low sun",
        "Clemens Engelhardt",
        _CC0,
    ),
    "chelsea": Sample(
        "chelsea.jpg", "Chelsea the cat", "cat", "indoor", "Stefan van der Walt", _CC0
    ),
    "coffee": Sample("coffee.jpg", "Cup of espresso", "cup", "indoor", "Rachel Michetti", _CC0),
    "raccoon": Sample(
        "raccoon.jpg", "Raccoon", "raccoon", "day", "public-domain-image.com", _PUBLIC
    ),
    "astronaut": Sample(
        "astronaut.jpg", "Astronaut Eileen Collins", "portrait", "indoor", "NASA", _PUBLIC
    ),
    "rocket": Sample(
        "rocket.jpg", "Rocket on its pad in twilight", "launch pad", "twilight", "SpaceX", _PUBLIC
    ),
    "retina": Sample("retina.jpg", "Retina of an eye", "retina", "instrument", "Wikimedia", _CC0),
    "hubble_deep_field": Sample(
        "hubble_deep_field.jpg", "Hubble deep field", "deep field", "instrument", "NASA", _PUBLIC
    ),
}

SAMPLE_SETS: dict[str, tuple[str, ...]] = {
    "Day and night": ("forest_day", "forest_underexposed", "field_night_lifted", "field_night"),
    "One scene, three exposures": ("forest_underexposed", "forest_day", "forest_overexposed"),
    "Places in different light": (
        "city_day",
        "courtyard_sun",
        "meadow_sunrise",
        "harbour_sunset",
        "bedroom_lamp",
        "field_night",
    ),
    "People and things": ("astronaut", "chelsea", "raccoon", "coffee", "rocket"),
    "Far from everyday": ("hubble_deep_field", "retina"),
    "All photos": tuple(SAMPLES),
}


def load_sample(key: str) -> Image:
    """Return a bundled photo as 8-bit RGB.

    Raises :class:`ParameterError` for an unknown key and :class:`ReadError` when the folder of
    photos is not there.

    >>> load_sample("forest_day").pixels.shape
    (320, 480, 3)
    """
    sample = _sample(key)
    if not SAMPLE_FOLDER.is_dir():
        raise ReadError(
            sample.file,
            f"the folder {SAMPLE_FOLDER.name} with the bundled photos is missing",
            "It lies beside the package in the repository; run from a full copy of it, "
            "or use images of your own",
        )
    try:
        with PillowImage.open(sample.path) as photo:
            pixels = np.asarray(photo.convert("RGB"))
    except OSError as error:
        raise ReadError(
            sample.file,
            f"this bundled photo is missing or damaged in {SAMPLE_FOLDER.name}",
            "Restore it from the repository",
        ) from error
    return image_of(pixels, path=sample.file)


def counterpart(key: str) -> str | None:
    """Return the key of the night version of a day photo of one scene, None where there is none.

    >>> counterpart("forest_day"), counterpart("coffee")
    ('forest_underexposed', None)
    """
    sample = _sample(key)
    if sample.role != "day":
        return None
    for other, candidate in SAMPLES.items():
        if candidate.scene == sample.scene and candidate.role == "night":
            return other
    return None


def _sample(key: str) -> Sample:
    if key not in SAMPLES:
        raise ParameterError(f"There is no bundled photo {key!r}; there are {', '.join(SAMPLES)}.")
    return SAMPLES[key]
