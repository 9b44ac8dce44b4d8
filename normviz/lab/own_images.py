"""A visitor's labelled images as the lab takes them: chosen by their labels, then read and reduced.

Labels are known before pixels are, so only what is taken is decoded, one image at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from normviz.errors import ParameterError, ReadError
from normviz.images import Image, resized
from normviz.lab.labelled import SIDE, Split, drawn
from normviz.light import srgb_to_linear
from normviz.read import Photos

# Bounds on a visitor's set: what the experiments' times and memory are promised for.
MOST_CLASSES, MOST_A_CLASS, FEWEST_A_CLASS = 20, 200, 10

OWN = "own images"
"""The name of a visitor's set begins so."""

BOUNDS = (
    f"Two classes or more of at least {FEWEST_A_CLASS} images; taken are at most {MOST_CLASSES} "
    f"classes and {MOST_A_CLASS} images of each, reduced to {SIDE} × {SIDE} px."
)

_FLAT = 1e-6
"""An image whose linear light varies by less is of one colour."""

_BAND = 1 << 22
"""So many values of an image are made linear at a time."""


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
    def of(
        cls, images: Photos | Sequence[Image], labels: Sequence[object] | None = None
    ) -> OwnImages:
        """Take images and their labels (their own by default), reduced to 16×16 linear light.

        Taken are 2…20 classes with at least 10 images each (those with most images first), and of
        each at most 200 images, evenly from the order given. An empty label or None is no label.
        Where some images are grey and some RGB, grey ones are repeated into RGB. An image that
        cannot be read is left out.

        Raises :class:`ParameterError` where fewer than two such classes remain, where all images
        are the same, and where there is not one label an image.

        >>> from normviz.images import image_of
        >>> pixels = [np.full((20, 30, 3), 10 * (i % 4), np.uint8) for i in range(40)]
        >>> own = OwnImages.of([image_of(one) for one in pixels], ["a", "b"] * 20)
        >>> own.classes, own.linear.shape
        (('a', 'b'), (40, 16, 16, 3))
        """
        if labels is None:
            labels = images.labels if isinstance(images, Photos) else [i.label for i in images]
        if len(labels) != len(images):
            raise ParameterError(
                f"There are {len(images)} images and {len(labels)} labels; the lab needs one label "
                "an image."
            )
        given = ["" if label is None else str(label) for label in labels]
        chosen, notes = _chosen(given)
        found: list[np.ndarray] = []
        names: list[str] = []
        for place in chosen:
            try:
                found.append(_reduced(images[place]))
            except ReadError:
                continue
            names.append(given[place])
        if len(found) < len(chosen):
            notes.append(f"{_images(len(chosen) - len(found))} could not be read.")
            # A class may have lost too many.
            kept, more = _chosen(names)
            found, names = [found[i] for i in kept], [names[i] for i in kept]
            notes += more
        linear = _stacked(found)
        if (linear == linear[0]).all():
            raise ParameterError(
                f"All {len(linear)} images are the same; nothing can be learned from them. The lab "
                "needs images that differ, 10 or more in each of two classes or more."
            )
        flat = int((linear.max(axis=(1, 2)) - linear.min(axis=(1, 2)) < _FLAT).all(axis=1).sum())
        if flat:
            which = "All" if flat == len(linear) else f"{flat} of the"
            notes.append(
                f"{which} {len(linear)} images are flat, one colour all over: an image's own mean "
                "subtracted leaves nothing of such an image, whatever its class. Images with "
                "something in them would tell more."
            )
        classes = tuple(sorted(set(names)))
        place_of = {name: number for number, name in enumerate(classes)}
        numbers = np.array([place_of[name] for name in names])
        counts = np.bincount(numbers)
        if counts.max() > 3 * counts.min():
            notes.append(
                f"Classes have from {counts.min()} to {_images(int(counts.max()))}; the smaller "
                "ones are learned less, and equal numbers would tell more."
            )
        digest = hashlib.blake2b(linear.tobytes() + numbers.tobytes(), digest_size=16).hexdigest()
        return cls(linear, numbers, classes, tuple(notes), digest)

    @property
    def name(self) -> str:
        return f"{OWN} ({len(self.labels)} in {len(self.classes)} classes)"

    @property
    def channels(self) -> int:
        return int(self.linear.shape[-1])

    def draw(self, seed: int, train: int, test: int) -> Split:
        return drawn(self.linear, self.labels, self.classes, seed, train, test)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _chosen(labels: list[str]) -> tuple[list[int], list[str]]:
    """Return the places of the images to take, class by class, and what is left out in words."""
    members: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        if label:
            members.setdefault(label, []).append(number)
    notes = []
    unlabelled = sum(not label for label in labels)
    if unlabelled and members:
        verb = "was" if unlabelled == 1 else "were"
        notes.append(f"{_images(unlabelled)} without a label {verb} left out.")
    large = [name for name, own in members.items() if len(own) >= FEWEST_A_CLASS]
    if len(large) < len(members):
        left = len(members) - len(large)
        classes = "1 class" if left == 1 else f"{left} classes"
        verb = "was" if left == 1 else "were"
        notes.append(f"{classes} with fewer than {FEWEST_A_CLASS} images {verb} left out.")
    if len(large) < 2:
        raise ParameterError(
            f"The lab needs at least two classes of {FEWEST_A_CLASS} images each; this set has "
            f"{_classes_of(members, unlabelled)}. Put each class's images in a folder of its own, "
            "or label them."
        )
    large.sort(key=lambda name: (-len(members[name]), name))
    if len(large) > MOST_CLASSES:
        notes.append(f"Of {len(large)} classes the {MOST_CLASSES} with most images were taken.")
    taken = []
    for name in sorted(large[:MOST_CLASSES]):
        own = members[name]
        if len(own) > MOST_A_CLASS:
            notes.append(f"Of {len(own)} images of {name!r}, {MOST_A_CLASS} were taken.")
            own = [own[i] for i in np.linspace(0, len(own) - 1, MOST_A_CLASS).astype(int)]
        taken += own
    return taken, notes


def _classes_of(members: dict[str, list[int]], unlabelled: int) -> str:
    if not members:
        return f"{_images(unlabelled)} without labels (one folder alone names no classes)"
    sizes = [len(own) for own in members.values()]
    if len(sizes) == 1:
        return f"{_images(sizes[0])} in one class"
    return f"{_images(sum(sizes))} in {len(sizes)} classes, the largest with {max(sizes)}"


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    if len({one.shape[-1] for one in images}) > 1:
        images = [np.repeat(one, 3, axis=2) if one.shape[-1] == 1 else one for one in images]
    return np.stack(images)


def _reduced(image: Image) -> np.ndarray:
    """Return linear light ``(16, 16, C)`` float32, averaged over areas.

    A large image is averaged over whole squares of pixels first, some rows at a time, so that its
    linear values are never all in memory; what does not fill a square at the far edges is left out.
    """
    step = max(1, min(image.height, image.width) // (16 * SIDE))
    rows, columns = image.height // step * step, image.width // step * step
    lines = max(1, _BAND // (step * columns * image.channels)) * step
    bands = []
    for top in range(0, rows, lines):
        light = _linear(image, slice(top, min(top + lines, rows)), slice(columns))
        height, width, channels = light.shape
        blocks = light.reshape(height // step, step, width // step, step, channels)
        bands.append(blocks.mean(axis=(1, 3), dtype=np.float32) if step > 1 else light)
    return resized(np.concatenate(bands), SIDE, SIDE)


_LEVELS = srgb_to_linear(np.arange(256) / 255).astype(np.float32)


def _linear(image: Image, rows: slice, columns: slice) -> np.ndarray:
    pixels = image.pixels[rows, columns]
    low, high = image.value_range
    if pixels.dtype == np.uint8 and (low, high) == (0, 255):
        return _LEVELS[pixels]
    fractions = (pixels.astype(np.float64) - low) / (high - low)
    return srgb_to_linear(np.clip(fractions, 0.0, 1.0)).astype(np.float32)
