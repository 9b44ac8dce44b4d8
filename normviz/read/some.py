"""Some images of a collection, as a collection."""

from __future__ import annotations

from collections.abc import Sequence

from normviz.images import Image
from normviz.read.photos import Photos
from normviz.read.source import Run


class _Some(Run):
    """Images of a collection by their numbers; the collection decodes them."""

    def __init__(self, photos: Photos | Sequence[Image], indices: Sequence[int]) -> None:
        self._photos, self._indices = photos, indices

    def __len__(self) -> int:
        return len(self._indices)

    def path(self, index: int) -> str:
        at = self._indices[index]
        return self._photos.path(at) if isinstance(self._photos, Photos) else self._photos[at].path

    def label(self, index: int) -> str | None:
        at = self._indices[index]
        if isinstance(self._photos, Photos):
            return self._photos.label(at)
        return self._photos[at].label

    def image(self, index: int) -> Image:
        return self._photos[self._indices[index]]


def some(photos: Photos | Sequence[Image], indices: Sequence[int]) -> Photos:
    """Return the images of ``photos`` (read, or in memory) at ``indices``, in that order.

    >>> import numpy as np
    >>> from normviz.images import image_of
    >>> grey = [image_of(np.full((2, 2), v, np.uint8), path=f"{v}.png") for v in (1, 2, 3)]
    >>> [image.path for image in some(grey, [2, 0])]
    ['3.png', '1.png']
    """
    return Photos([_Some(photos, tuple(indices))])
