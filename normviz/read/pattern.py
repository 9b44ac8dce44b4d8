"""Sources by many names: ``photos/**/*.jpg``, ``shards-{000000..000146}.tar``, and list files.

A list file is a text file ``.txt`` or ``.lst``, or any file named with ``@`` before it: one path
or address a line, relative to the list's folder, a label after a tab if there is one; empty lines
and lines that start with ``#`` are passed over.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from normviz.errors import ReadError
from normviz.read import remote
from normviz.read.files import Files
from normviz.read.limits import Limits
from normviz.read.source import Kind, Listing, Problem, Source, of_address, of_path, shown

LIST_SUFFIXES = (".txt", ".lst")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MAGIC = re.compile(r"[*?[]")


def expanded(pattern: str, most: int) -> Iterator[str]:
    """Yield the names that braces stand for, as WebDataset and the shell write them.

    Raises :class:`ReadError` for more than ``most`` names.

    >>> list(expanded("{train,val}-{08..10}.tar", 9))[:4]
    ['train-08.tar', 'train-09.tar', 'train-10.tar', 'val-08.tar']
    """
    pieces = _BRACES.split(pattern)
    count = 1
    choices: list[range | list[str]] = []
    widths = []
    for inner in pieces[1::2]:
        bounds = _RANGE.fullmatch(inner)
        if bounds:
            choices.append(range(int(bounds[1]), int(bounds[2]) + 1))
        else:
            choices.append(inner.split(","))
        widths.append(len(bounds[1]) if bounds else 0)
        count *= len(choices[-1])
    if not 0 < count <= most:
        reason = f"its braces stand for {count:,} names, the limit is {most:,}"
        raise ReadError(pattern, reason, "Write the range as {000..146}, the smaller number first")
    for number in range(count):
        said = pieces[-1]
        for at in reversed(range(len(choices))):
            number, choice = divmod(number, len(choices[at]))
            said = f"{pieces[2 * at]}{str(choices[at][choice]).zfill(widths[at])}{said}"
        yield said


def is_pattern(text: str) -> bool:
    """Tell a name that stands for several; a question mark in a web address is none."""
    if _BRACES.search(text):
        return True
    return "*" in text.partition("?")[0] if remote.is_web(text) else _MAGIC.search(text) is not None


def of_pattern(text: str) -> Source:
    """Return the source for a name that stands for several."""
    return Source(shown(remote.without_secret(text)), 0, address=text, kind="pattern")


def of_list(text: str) -> Source:
    """Return the source for a list file, by path or by address."""
    source = of_address(text) if remote.scheme_of(text) else of_path(Path(text))
    return Source(source.name, source.size, source.path, address=source.address, kind="list")


def _list_pattern(source: Source, limits: Limits, member: str | None) -> Listing:
    listing, files = Listing(opens=True), Files()
    for name in expanded(source.address, limits.max_images):
        if is_pattern(name):
            _add_matching(name, files, listing.problems, source.name, limits)
        else:
            _add_named(name, None, files, listing.problems)
        limits.refuse_images(source.name, len(files))
    if not len(files) and not listing.problems:
        remedy = "Check the pattern; ** stands for folders at any depth"
        raise ReadError(source.name, "no file matches it", remedy)
    if not len(files):
        _refuse_missing(source.name, listing.problems)
    listing.inside = files
    return listing


def _refuse_missing(name: str, problems: list[Problem]) -> None:
    first = problems[0]
    what = f"none of its {len(problems):,} files can be opened"
    raise ReadError(name, f"{what} (first {first.path}: {first.reason})", first.remedy)


def _add_matching(
    pattern: str, files: Files, problems: list[Problem], name: str, limits: Limits
) -> None:
    start = _MAGIC.search(pattern)
    assert start is not None
    root, _, _ = pattern[: start.start()].rpartition("/")
    if remote.scheme_of(pattern):
        root, _ = remote.split(pattern[: start.start()])
        local = remote.local_path(pattern)
        if local is not None:
            _add_matching(local, files, problems, name, limits)
            return
        for found, size, stamp in remote.matching(root, pattern, name):
            files.add(*remote.split(remote.joined(root, found)), size, stamp=stamp)
            limits.refuse_images(name, len(files))
        return
    paths = sorted(glob.iglob(pattern, recursive=True, include_hidden=False))
    limits.refuse_images(name, len(paths))
    real_root = Path(root or ("/" if pattern.startswith("/") else ".")).resolve()
    for path in paths:
        if os.path.isdir(path):
            continue
        if "**" in pattern and not _inside(path, real_root):
            reason = "a link on its way leads elsewhere, which ** does not follow"
            problems.append(Problem(shown(path), reason, "Name the target itself"))
            continue
        _add_named(path, None, files, problems)


def _inside(path: str, real_root: Path) -> bool:
    return os.path.realpath(path).startswith(f"{str(real_root).rstrip('/')}/")


def _add_named(place: str, label: str | None, files: Files, problems: list[Problem]) -> None:
    """Append one file by its path or address; an address is not asked about before it is read."""
    local = remote.local_path(place)
    if remote.scheme_of(place) and local is None:
        files.add(*remote.split(place), -1, label)
        return
    path = str(Path(place if local is None else local))
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            if stat.S_ISDIR(found.st_mode):
                reason = "it is a folder, and files are listed here"
                raise ReadError(shown(path), reason, "Give the folder by itself")
            of_path(Path(path))
    except (OSError, ValueError):
        try:
            of_path(Path(path))  # which says what is wrong
        except ReadError as error:
            problems.append(Problem.of(error))
        return
    except ReadError as error:
        problems.append(Problem.of(error))
        return
    folder, slash, last = path.rpartition("/")
    files.add(folder or slash, last, found.st_size, label, found.st_mtime_ns)


def _list_list(source: Source, limits: Limits, member: str | None) -> Listing:
    listing, files = Listing(opens=True), Files()
    lines = 0
    for line in _lines(source):
        place, tab, label = line.partition("\t")
        place = place.strip()
        lines += 1
        limits.refuse_images(source.name, lines)
        try:
            place = _place(place, source)
        except ReadError as error:
            listing.problems.append(Problem.of(error))
            continue
        _add_named(place, shown(label.strip()) or None if tab else None, files, listing.problems)
    if not lines:
        raise ReadError(source.name, "the list is empty", "Write one path or address a line")
    if not len(files):
        _refuse_missing(source.name, listing.problems)
    listing.inside = files
    return listing


def _lines(source: Source) -> Iterator[str]:
    with source.open() as stream:
        for raw in iter(lambda: stream.readline(LONGEST_LINE), b""):
            if len(raw) == LONGEST_LINE or b"\0" in raw:
                raise ReadError(
                    source.name,
                    "it is no list of paths or addresses, one a line",
                    "Write a text file, or name an image file by its usual ending",
                )
            line = raw.decode("utf-8-sig", "surrogateescape").rstrip("\r\n")
            if line.strip() and not line.lstrip().startswith("#"):
                yield line


LONGEST_LINE = 16 * 1024


def _place(place: str, source: Source) -> str:
    """Return a line of a list as a path or address that stands for itself."""
    if source.path is not None:
        return place if remote.scheme_of(place) else str(source.path.parent / place)
    if remote.scheme_of(place):
        if remote.local_path(place) is None:
            return place
    elif not place.startswith("/") and ".." not in place.split("/"):
        return remote.joined(remote.split(source.address)[0], place)
    # Whoever wrote a list elsewhere has no say over the files of this machine.
    raise ReadError(
        shown(place),
        f"it leaves the place of the list {source.name}, which lies elsewhere",
        "Write relative names or addresses into it, or copy the list to this machine",
    )


def _never(source: Source, head: bytes) -> bool:
    return False  # decided by how a source is named, never by its bytes


PATTERN = Kind(
    "pattern",
    "patterns such as photos/**/*.jpg and shards-{000000..000146}.tar",
    (),
    _never,
    _list_pattern,
)
LIST = Kind(
    "list",
    "list files (.txt, .lst or @file): one path or address a line, a label after a tab",
    (),
    _never,
    _list_list,
)
