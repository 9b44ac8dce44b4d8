"""Some images of a large set, evenly spread and reduced: what methods that need images fit on."""

from __future__ import annotations

from collections.abc import Callable

from normviz.errors import ReadError
from normviz.images import Image, reduced

MOST = 64
"""At most this many images …"""

LONGEST = 512
"""… as copies of at most this longer side, in px."""


def sampled(count: int, image: Callable[[int], Image]) -> list[Image]:
    """Return every k-th of ``count`` images, k the smallest that gives at most :data:`MOST`.

    ``image`` decodes one by its number; those that cannot be read are left out.

    >>> import numpy as np
    >>> from normviz.images import image_of
    >>> found = sampled(130, lambda at: image_of(np.full((2, 600), at, np.uint8)))
    >>> len(found), [int(one.pixels[0, 0, 0]) for one in found[:3]], found[0].width
    (44, [0, 3, 6], 512)
    """
    found = []
    for index in range(0, count, max(1, -(-count // MOST))):
        try:
            found.append(reduced(image(index), LONGEST))
        except ReadError:
            continue
    return found
