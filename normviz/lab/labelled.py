"""Labelled sets of the lab: patches of the bundled photos, and digits.

Each is kept as linear light, so that any exposure can be shown; :mod:`normviz.lab.exposure` makes
8-bit images of it. Training and test images never share a tile or an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from normviz.light import srgb_to_linear
from normviz.samples import load_sample

PHOTOS = (
    "astronaut",
    "bedroom_lamp",
    "chelsea",
    "city_day",
    "coffee",
    "courtyard_sun",
    "dandelions_dusk",
    "forest_day",
    "raccoon",
    "rocket",
)
TILE, CROP, SIDE = 48, 32, 16
"""Sides in pixels: of a photo's tiles, of the crop out of a tile, and of what it is reduced to."""
TRAIN_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Split:
    """Linear light ``(N, S, S, C)`` float32 in 0…1 and labels 0…K−1, for training and for test."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]


class LabelledSet(Protocol):
    """Where an experiment's images come from."""

    @property
    def name(self) -> str: ...

    @property
    def channels(self) -> int:
        """1 of grey images, 3 of RGB."""
        ...

    def draw(self, seed: int, train: int, test: int) -> Split:
        """Return at most so many images a class, chosen by the seed."""
        ...


@dataclass(frozen=True)
class PhotoPatches:
    """Patches of ten photos; the class of a patch is its photo.

    A photo's 48 px tiles are split by the seed, 60 % for training; each patch is a random 32 px
    crop of a tile of its side, reduced in linear light to 16×16.

    >>> split = PhotoPatches().draw(seed=0, train=2, test=1)
    >>> split.train.shape, split.test_labels.tolist()
    ((20, 16, 16, 3), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    grey: bool = False

    @property
    def name(self) -> str:
        return "patches of ten photos"

    @property
    def channels(self) -> int:
        return 1 if self.grey else 3

    def draw(self, seed: int, train: int, test: int) -> Split:
        return _photo_split(seed, train, test, self.grey)


@lru_cache(maxsize=8)
def _photo_split(seed: int, train: int, test: int, grey: bool) -> Split:
    random = np.random.default_rng([seed, 4])
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for photo in range(len(PHOTOS)):
        for part, tiles, count in zip(parts, tile_split(photo, random), (train, test), strict=True):
            part.append(_crops(_tiles(photo)[tiles], count, random))
    images = [np.concatenate(part) for part in parts]
    if grey:
        images = [one @ np.array([0.2126, 0.7152, 0.0722], np.float32) for one in images]
        images = [one[..., np.newaxis] for one in images]
    labels = [np.repeat(np.arange(len(PHOTOS)), count) for count in (train, test)]
    for array in (*images, *labels):
        array.flags.writeable = False
    return Split(images[0], labels[0], images[1], labels[1], PHOTOS)


def tile_split(photo: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return which of a photo's tiles are for training and which for test: never one for both."""
    order = random.permutation(len(_tiles(photo)))
    cut = round(TRAIN_SHARE * len(order))
    return order[:cut], order[cut:]


@cache
def _tiles(photo: int) -> np.ndarray:
    """A photo's whole tiles in linear light, ``(tiles, 48, 48, 3)`` float32."""
    pixels = load_sample(PHOTOS[photo]).pixels
    rows, columns = pixels.shape[0] // TILE, pixels.shape[1] // TILE
    cut = pixels[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE, 3)
    tiles = cut.swapaxes(1, 2).reshape(-1, TILE, TILE, 3)
    return srgb_to_linear(np.arange(256) / 255).astype(np.float32)[tiles]


def _crops(tiles: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    chosen = random.integers(len(tiles), size=count)
    places = random.integers(TILE - CROP + 1, size=(count, 2))
    out = np.empty((count, SIDE, SIDE, tiles.shape[-1]), np.float32)
    for one, tile, (top, left) in zip(out, chosen, places, strict=True):
        crop = tiles[tile, top : top + CROP, left : left + CROP]
        one[:] = crop.reshape(SIDE, CROP // SIDE, SIDE, CROP // SIDE, -1).mean(axis=(1, 3))
    return out


@dataclass(frozen=True)
class Digits:
    """Handwritten digits, 8×8 grey and aligned: 1,797 images of ten classes.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49 (CC BY 4.0), the test half as in scikit-learn.

    >>> Digits().draw(seed=0, train=3, test=2).train.shape
    (30, 8, 8, 1)
    """

    @property
    def name(self) -> str:
        return "handwritten digits"

    @property
    def channels(self) -> int:
        return 1

    def draw(self, seed: int, train: int, test: int) -> Split:
        images, labels = _digits()
        names = tuple(str(digit) for digit in range(10))
        return drawn(images, labels, names, seed, train, test)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(__file__).with_name("digits.npz")) as stored:
        levels, labels = stored["images"], stored["labels"]
    # 0…16 counted pixels, taken as sRGB like any other image.
    linear = srgb_to_linear(levels / 16).astype(np.float32)[..., np.newaxis]
    return linear, labels.astype(np.int64)


def drawn(
    images: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    seed: int,
    train: int,
    test: int,
) -> Split:
    """Split each class 60/40 in the seed's order and take as many as asked for, or there are."""
    random = np.random.default_rng([seed, 4])
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for number in range(len(classes)):
        own = random.permutation(np.flatnonzero(labels == number))
        cut = round(TRAIN_SHARE * len(own))
        parts[0].append(own[:cut][:train])
        parts[1].append(own[cut:][:test])
    first, second = (np.concatenate(part) for part in parts)
    return Split(images[first], labels[first], images[second], labels[second], classes)


PHOTO_PATCHES = PhotoPatches()
DIGITS = Digits()
SETS: dict[str, LabelledSet] = {"photos": PHOTO_PATCHES, "digits": DIGITS}
