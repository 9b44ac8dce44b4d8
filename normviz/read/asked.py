"""What a caller asks for (paths, patterns, addresses, uploads, lists of them), and its listing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from normviz.errors import ParameterError, ReadError
from normviz.read import image, pattern, registry, remote
from normviz.read.limits import Limits
from normviz.read.source import Listing, Problem, Source, of_address, of_path, of_upload


@dataclass
class Asked:
    """The listing of everything asked for; what could not be read stands in its problems.

    ``raises``: a single source was asked for, whose failure is the caller's.
    """

    listing: Listing
    sources: list[Source] = field(default_factory=list)
    raises: bool = False

    @property
    def is_image_file(self) -> bool:
        """Tell whether the one source is itself the image, not something that holds one."""
        return bool(self.sources) and _is_image_file(self.listing, self.sources[0])


def listed(
    source: Any,
    limits: Limits,
    raises: bool = True,
    member: str | None = None,
    sketch: bool = False,
) -> Asked:
    """List what ``source`` stands for; with ``raises`` the failure of a single one is raised."""
    items, alone = _items(source)
    raises = alone and raises
    sources: list[Source] = []
    refused: list[Problem] = []
    for item in items:
        try:
            sources.append(source_of(item))
        except ReadError as error:
            if raises:
                raise
            refused.append(Problem.of(error))
    listing = _listed(sources, alone, raises, limits, member, sketch)
    listing.problems[:0] = refused
    for left_over in registry.unpaired(listing):
        if raises:
            raise left_over
        listing.problems.append(Problem.of(left_over))
    return Asked(listing, sources, raises)


def _listed(
    sources: list[Source],
    alone: bool,
    raises: bool,
    limits: Limits,
    member: str | None,
    sketch: bool,
) -> Listing:
    if not alone:
        if member is not None:
            raise ParameterError("member=… chooses an array of one .npz file; give one source.")
        return registry.open_several(sources, limits, sketch)
    try:
        if not sources:
            return Listing()
        listing = registry.open_one(sources[0], limits, member, sketch)
        if _is_image_file(listing, sources[0]):
            image.check_header(sources[0], limits)
        return listing
    except ReadError as error:
        if raises:
            raise
        return Listing(problems=[Problem.of(error)])


def _is_image_file(listing: Listing, source: Source) -> bool:
    runs = listing.runs
    return len(runs) == 1 and isinstance(runs[0], image.FileRun) and runs[0].sources[0] is source


def _items(source: Any) -> tuple[Sequence[Any], bool]:
    """Return the single things asked for, and whether it is only one."""
    if isinstance(source, (str, os.PathLike)) or is_pair(source):
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


def is_pair(item: Any) -> bool:
    """Tell a file that arrived as bytes."""
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], str)
        and isinstance(item[1], (bytes, bytearray, memoryview))
    )


def source_of(item: Any) -> Source:
    """Return the source for one thing asked for; the name of an upload is only ever shown."""
    if is_pair(item):
        return of_upload(item[0], bytes(item[1]))
    if isinstance(item, (str, os.PathLike)):
        return _named(os.fspath(item))
    raise ReadError(
        "", f"a source is of type {type(item).__name__}", "Give a path or a pair (name, bytes)"
    )


def _named(text: str | bytes) -> Source:
    text = os.fsdecode(text)
    if not text.strip():
        raise ReadError(
            "", "the source is an empty name", 'Name a file or folder; "." is the folder you are in'
        )
    if not remote.scheme_of(text) and os.path.lexists(text.replace("\0", "")):
        return of_path(Path(text))  # a file that is there is meant, whatever signs its name has
    if text.startswith("@"):
        return pattern.of_list(text[1:])
    if pattern.is_pattern(text):
        return pattern.of_pattern(text)
    return of_address(text) if remote.scheme_of(text) else of_path(Path(text))
