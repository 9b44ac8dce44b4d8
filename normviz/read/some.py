"""Some images of a collection, as a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normviz.images import Image
from normviz.read.photos import Photos
from normviz.read.source import Run


@dataclass(frozen=True, eq=False)
class SomeRun(Run):
    """Images of a collection by their numbers; the collection holds or decodes them."""

    photos: Photos | Sequence[Image]
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def path(self, index: int) -> str:
        at = self.indices[index]
        return self.photos.path(at) if isinstance(self.photos, Photos) else self.photos[at].path

    def label(self, index: int) -> str | None:
        at = self.indices[index]
        return self.photos.label(at) if isinstance(self.photos, Photos) else self.photos[at].label

    def image(self, index: int) -> Image:
        return self.photos[self.indices[index]]


def some(photos: Photos | Sequence[Image], indices: Sequence[int]) -> Photos:
    """Return the images of ``photos`` (read, or in memory) at ``indices``, in that order.

    >>> import numpy as np
    >>> from normviz.images import image_of
    >>> grey = [image_of(np.full((2, 2), v, np.uint8), path=f"{v}.png") for v in (1, 2, 3)]
    >>> [image.path for image in some(grey, [2, 0])]
    ['3.png', '1.png']
    """
    return Photos([SomeRun(photos, tuple(indices))])
