"""Labelled sets of the lab: patches of the bundled photos, digits, and a visitor's own images.

Each is kept as linear light, so that any exposure can be shown; :mod:`normviz.lab.exposure` makes
8-bit images of it. Training and test images never share a tile or an image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from normviz.errors import ParameterError
from normviz.images import resized
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

# Bounds on a visitor's set: what the experiments' times and memory are promised for.
MOST_CLASSES, MOST_A_CLASS, FEWEST_A_CLASS = 20, 200, 10


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
        return _drawn(images, labels, names, seed, train, test)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(__file__).with_name("digits.npz")) as stored:
        levels, labels = stored["images"], stored["labels"]
    # 0…16 counted pixels, taken as sRGB like any other image.
    linear = srgb_to_linear(levels / 16).astype(np.float32)[..., np.newaxis]
    return linear, labels.astype(np.int64)


@dataclass(frozen=True, eq=False)
class OwnImages:
    """A visitor's labelled images, bounded and reduced: made by :meth:`of`.

    ``linear`` ``(N, 16, 16, C)`` float32, ``labels`` 0…K−1; ``notes`` says what was left out;
    ``digest`` tells two sets apart.
    """

    linear: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    digest: str

    @classmethod
    def of(cls, images: Sequence[np.ndarray], labels: Sequence[object]) -> OwnImages:
        """Take 8-bit images ``(H, W, C)`` and their labels' names, reduced to 16×16 linear light.

        Taken are 2…20 classes with at least 10 images each (those with most images first), and of
        each at most 200 images, evenly from the order given. An empty label or None is no label.

        Raises :class:`ParameterError` where fewer than two such classes remain, where channels
        differ, and where there is not one label an image.

        >>> pixels = np.zeros((40, 20, 30, 3), np.uint8)
        >>> own = OwnImages.of(pixels, ["a", "b"] * 20)
        >>> own.classes, own.linear.shape
        (('a', 'b'), (40, 16, 16, 3))
        """
        given = ["" if label is None else str(label) for label in labels]
        names, kept, notes = _bounded(given, len(images))
        taken = [np.asarray(images[i]) for i in kept]
        if {one.shape[2:] for one in taken} not in ({(1,)}, {(3,)}):
            raise ParameterError(
                "The lab needs images that are all grey or all RGB, (height, width, 1) or "
                "(height, width, 3); convert them first."
            )
        if any(one.dtype != np.uint8 for one in taken):
            raise ParameterError("The lab needs 8-bit images (uint8); convert them first.")
        linear = np.stack([_reduced(one) for one in taken])
        place = {name: number for number, name in enumerate(names)}
        numbers = np.array([place[given[i]] for i in kept])
        digest = hashlib.blake2b(linear.tobytes() + numbers.tobytes(), digest_size=16).hexdigest()
        return cls(linear, numbers, names, notes, digest)

    @property
    def name(self) -> str:
        return f"own images ({len(self.labels)} in {len(self.classes)} classes)"

    @property
    def channels(self) -> int:
        return int(self.linear.shape[-1])

    def draw(self, seed: int, train: int, test: int) -> Split:
        return _drawn(self.linear, self.labels, self.classes, seed, train, test)


def _bounded(labels: list[str], images: int) -> tuple[tuple[str, ...], list[int], tuple[str, ...]]:
    """Return the classes taken, the images taken, and what was left out in words."""
    if len(labels) != images:
        raise ParameterError(
            f"There are {images} images and {len(labels)} labels; the lab needs one label an image."
        )
    members: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        if label:
            members.setdefault(label, []).append(number)
    notes = []
    unlabelled = sum(not label for label in labels)
    if unlabelled:
        notes.append(f"{unlabelled} images without a label were left out.")
    large = [name for name, own in members.items() if len(own) >= FEWEST_A_CLASS]
    if len(large) < len(members):
        left = len(members) - len(large)
        notes.append(f"{left} classes with fewer than {FEWEST_A_CLASS} images were left out.")
    if len(large) < 2:
        raise ParameterError(
            f"The lab needs at least two classes of {FEWEST_A_CLASS} images each; this set has "
            f"{len(large)}. Put each class's images in a folder of its own, or label them."
        )
    large.sort(key=lambda name: (-len(members[name]), name))
    if len(large) > MOST_CLASSES:
        notes.append(f"Of {len(large)} classes the {MOST_CLASSES} with most images were taken.")
    names = tuple(sorted(large[:MOST_CLASSES]))
    kept = []
    for name in names:
        own = members[name]
        if len(own) > MOST_A_CLASS:
            notes.append(f"Of {len(own)} images of {name!r}, {MOST_A_CLASS} were taken.")
            own = [own[i] for i in np.linspace(0, len(own) - 1, MOST_A_CLASS).astype(int)]
        kept += own
    return names, kept, tuple(notes)


def _reduced(pixels: np.ndarray) -> np.ndarray:
    linear = srgb_to_linear(np.arange(256) / 255).astype(np.float32)[pixels]
    return resized(linear, SIDE, SIDE)


def _drawn(
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
