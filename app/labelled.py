"""The visitor's labelled images, as the lab takes them."""

from __future__ import annotations

from app.cached import remembered
from app.sources import Collection
from normviz.errors import ReadError
from normviz.lab import OwnImages

_MOST_READ = 4000
"""Of larger sets so many images are read, evenly over the set."""


def has_labels(collection: Collection) -> bool:
    """Whether the collection has two labels or more."""
    labels = getattr(collection.photos, "labels", ())
    return len({label for label in labels if label}) > 1


def own_images(collection: Collection) -> OwnImages:
    """The collection's labelled images, bounded and reduced.

    Raises :class:`ParameterError` in words where they cannot be used.
    """

    def build() -> OwnImages:
        images, labels = [], []
        step = max(1, -(-len(collection) // _MOST_READ))
        for at in range(0, len(collection), step):
            try:
                image = collection.image(at)
            except ReadError:
                continue
            images.append(image.pixels)
            labels.append(image.label)
        return OwnImages.of(images, labels)

    return remembered(("own images", collection.key), build)
