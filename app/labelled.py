"""The visitor's labelled images, as the lab takes them."""

from __future__ import annotations

from app.cached import remembered
from app.sources import Collection
from normviz.lab import OwnImages


def has_labels(collection: Collection) -> bool:
    """Whether the collection has two labels or more."""
    labels = getattr(collection.photos, "labels", ())
    return len({label for label in labels if label}) > 1


def own_images(collection: Collection) -> OwnImages:
    """The collection's labelled images, bounded and reduced.

    Raises :class:`ParameterError` in words where they cannot be used.
    """
    return remembered(("own images", collection.key), lambda: OwnImages.of(collection.photos))
