"""Reading: any source of images becomes :class:`Photos`, under stated limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from normviz.errors import ParameterError
from normviz.read.asked import listed
from normviz.read.limits import Limits
from normviz.read.parts import Part, Parts, parts_of
from normviz.read.photos import Photos
from normviz.read.source import Problem, Upload

__all__ = ["Limits", "Part", "Parts", "Photos", "Problem", "Upload", "parts_of", "read"]

OnProblem = str | Callable[[Problem], Any]


def read(
    source: Any,
    *,
    limits: Limits | None = None,
    on_problem: OnProblem = "raise",
    member: str | None = None,
) -> Photos:
    """Read images from any source; pixels are decoded when an image is asked for.

    ``source``: the path of an image, a folder, an archive (a WebDataset shard is one), an
    ``.npy``, ``.npz``, Parquet, IDX or CIFAR binary file; a pattern (``photos/**/*.jpg``,
    ``shards-{000000..000146}.tar``); a list file (``.txt``, ``.lst``, or any as ``@file``) with a
    path or address a line and a label after a tab; an address of any of these that fsspec opens
    (``s3://bucket/photos``); or a pair ``(name, bytes)``; or a list of any of these. ``limits``
    default to those of the environment. ``member`` chooses an array of an ``.npz`` file.

    ``on_problem``: with ``"raise"`` a source that is the only one asked for and cannot be read
    raises :class:`ReadError`; with ``"collect"`` it becomes one of ``photos.problems`` as well; a
    function is called with each :class:`Problem` found while listing. Among several sources, and
    inside of folders and archives, what cannot be read is always a problem and the rest goes on.

    >>> photos = read([("a.txt", b"not an image")])
    >>> len(photos), photos.problems[0].path
    (0, 'a.txt')
    """
    limits = Limits.from_environment() if limits is None else limits
    if not (on_problem in ("raise", "collect") or callable(on_problem)):
        raise ParameterError(
            f"on_problem must be 'raise', 'collect' or a function, got {on_problem!r}."
        )
    asked = listed(source, limits, on_problem == "raise", member)
    listing = asked.listing
    if callable(on_problem):
        for problem in listing.problems:
            on_problem(problem)
    raises = asked.raises and asked.is_image_file
    return Photos(listing.runs, listing.problems, listing.notes, listing.held, raises=raises)
