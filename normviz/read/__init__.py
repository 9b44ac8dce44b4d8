"""Reading: any source of images becomes :class:`Photos`, under stated limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from normviz.errors import ParameterError, ReadError
from normviz.read import image, registry
from normviz.read.limits import Limits
from normviz.read.parts import Part, Parts, parts_of
from normviz.read.photos import Photos
from normviz.read.source import Listing, Problem, Source, Upload, of_path, of_upload

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

    ``source``: the path of an image, a folder, an archive, an ``.npy``, ``.npz``, IDX or CIFAR
    binary file; or a pair ``(name, bytes)``; or a list of any of these. ``limits`` default to
    those of the environment. ``member`` chooses an array of an ``.npz`` file.

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
    items, alone = _items(source)
    raises = alone and on_problem == "raise"
    sources: list[Source] = []
    refused: list[Problem] = []
    for item in items:
        try:
            sources.append(_source_of(item))
        except ReadError as error:
            if raises:
                raise
            refused.append(Problem.of(error))
    listing = _listed(sources, alone, raises, limits, member)
    problems = [*refused, *listing.problems]
    for left_over in registry.unpaired(listing):
        if raises:
            raise left_over
        problems.append(Problem.of(left_over))
    if callable(on_problem):
        for problem in problems:
            on_problem(problem)
    one_image = raises and _is_image_file(listing, sources[0])
    return Photos(listing.runs, problems, listing.notes, listing.held, raises=one_image)


def _listed(
    sources: list[Source], alone: bool, raises: bool, limits: Limits, member: str | None
) -> Listing:
    if not alone:
        if member is not None:
            raise ParameterError("member=… chooses an array of one .npz file; give one source.")
        return registry.open_several(sources, limits)
    try:
        if not sources:
            return Listing()
        listing = registry.open_one(sources[0], limits, member)
        if _is_image_file(listing, sources[0]):
            image.check_header(sources[0], limits)
        return listing
    except ReadError as error:
        if raises:
            raise
        return Listing(problems=[Problem.of(error)])


def _is_image_file(listing: Listing, source: Source) -> bool:
    """Tell whether the source itself is the image, not something that holds one."""
    runs = listing.runs
    return len(runs) == 1 and isinstance(runs[0], image.FileRun) and runs[0].sources[0] is source


def _items(source: Any) -> tuple[Sequence[Any], bool]:
    """Return the single things asked for, and whether it is only one."""
    if isinstance(source, (str, os.PathLike)) or _is_pair(source):
        return [source], True
    if isinstance(source, (bytes, bytearray, memoryview)):
        raise ReadError("", "the source is bytes without a name", "Give a pair (name, bytes)")
    try:
        return list(source), False
    except TypeError:
        raise ReadError(
            "",
            f"the source is of type {type(source).__name__}",
            "Give a path, a pair (name, bytes), or a list of them; for an array of your own use "
            "normviz.images.image_of",
        ) from None


def _is_pair(item: Any) -> bool:
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], str)
        and isinstance(item[1], (bytes, bytearray, memoryview))
    )


def _source_of(item: Any) -> Source:
    if _is_pair(item):
        return of_upload(item[0], bytes(item[1]))
    if isinstance(item, (str, os.PathLike)):
        return of_path(Path(item))
    raise ReadError(
        "", f"a source is of type {type(item).__name__}", "Give a path or a pair (name, bytes)"
    )
