"""What pictures show by themselves: measurements behind the lessons in which nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normviz.images import Image
from normviz.lab.evidence import Asked, Effect, effects
from normviz.lab.labelled import PHOTO_PATCHES
from normviz.lab.normalizations import NORMALIZATIONS, fitted
from normviz.lab.race import lit
from normviz.light import Light, relight
from normviz.statistics import scanned

BRIGHTNESS_METHODS = ("raw1", "ds_mean", "ds_z", "img_mean", "img_z")
SHADOW_METHODS = ("raw1", "ds_z", "img_z", "lcn")
SHADOW_EV = -2.0
RELEVANT = 0.1
"""The least difference that matters, in stds of all values."""

SEEDS = tuple(range(6))


@dataclass(frozen=True)
class Sight:
    """A measurement under each method, ``values`` of which hold one number a set or a photo."""

    values: Mapping[str, Sequence[float]]
    effects: tuple[Effect, ...]

    def means(self) -> dict[str, list[float]]:
        """Each method's mean and standard deviation."""
        return {
            key: [float(np.mean(own)), float(np.std(own, ddof=1))]
            for key, own in self.values.items()
        }


def brightness_between() -> Sight:
    """How far images stand apart in brightness: the std of their means over that of all pixels.

    Brightness is the mean of a pixel's channels. Six sets of 600 patches of photos, each patch in
    a light of its own (σ = 1 EV). A method that subtracts one number everywhere leaves the ratio
    what it was; one that subtracts each image's own mean makes it 0.

    >>> [round(mean, 2) for mean, _ in brightness_between().means().values()][3:]
    [0.0, 0.0]
    """
    values: dict[str, list[float]] = {key: [] for key in BRIGHTNESS_METHODS}
    for seed in SEEDS:
        images = lit(PHOTO_PATCHES, seed, 1.0, 60, 1).train
        for key, own in values.items():
            brightness = fitted(key, images)(images).mean(axis=-1, dtype=np.float64)
            own.append(float(brightness.mean(axis=(1, 2)).std() / brightness.std()))
    found = effects(
        _less("spread of brightness, dataset's mean and std less ÷ 255", values, "ds_z", "raw1"),
        _less("spread of brightness, own mean less ÷ 255", values, "img_mean", "raw1"),
    )
    return Sight(values, found)


def _less(what: str, values: Mapping[str, Sequence[float]], key: str, base: str) -> Asked:
    differences = np.subtract(values[key], values[base]).tolist()
    return Asked(what, differences, RELEVANT, "stds")


def in_shadow(image: Image) -> np.ndarray:
    """Return the pixels with their right half in a shadow that lets a quarter of the light through.

    >>> from normviz.images import image_of
    >>> in_shadow(image_of(np.full((1, 4, 3), 200, np.uint8)))[0, :, 0].tolist()
    [200, 200, 106, 106]
    """
    pixels = np.array(image.pixels)
    half = image.width // 2
    pixels[:, half:] = relight(image, Light(ev=SHADOW_EV)).pixels[:, half:]
    return pixels


def shadow_left(photos: Sequence[Image]) -> Sight:
    """How much of a shadow over the right half of a photo is left in the normalized photo.

    The root mean square over that half of what the shadow changed, in stds of the normalized photo
    without it. ``photos`` are RGB; the dataset's statistics are theirs.
    """
    statistics = scanned(photos)
    values: dict[str, list[float]] = {key: [] for key in SHADOW_METHODS}
    for image in photos:
        shaded = in_shadow(image)
        for key, own in values.items():
            method = NORMALIZATIONS[key].method
            assert method is not None
            apply = method.fit(statistics)
            plain = apply(image.pixels, image.value_range).astype(np.float64)
            change = apply(shaded, image.value_range) - plain
            right = change[:, image.width // 2 :]
            own.append(float(np.sqrt((right**2).mean()) / plain.std()))
    found = effects(
        _less("shadow left, own mean and std less local contrast", values, "img_z", "lcn"),
        _less("shadow left, dataset's less own mean and std", values, "ds_z", "img_z"),
    )
    return Sight(values, found)
