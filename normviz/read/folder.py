"""Folders: every image below, class folders as labels; links that lead out are not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from normviz.errors import ReadError
from normviz.read import remote
from normviz.read.files import Files
from normviz.read.limits import Limits
from normviz.read.source import Kind, Listing, Problem, Source, of_path, shown


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    if source.address:
        return _list_remote(source, limits)
    assert source.path is not None
    listing = Listing()
    files = Files(source.name, str(source.path))
    real_root = source.path.resolve()
    for folder, entry in walk(str(source.path), listing.problems):
        if entry.is_symlink() and not _stays_inside(Path(entry.path), real_root):
            listing.problems.append(_link(entry.path))
            continue
        try:
            size = file_size(entry)
            files.add(folder, entry.name, size, stamp=entry.stat().st_mtime_ns)
        except ReadError as error:
            listing.problems.append(Problem.of(error))
        limits.refuse_images(source.name, len(files))
    listing.inside = files
    return listing


def walk(root: str, problems: list[Problem]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every file below a folder with its folder's name, a folder's own files first.

    Links to folders and folders that cannot be listed enter ``problems``.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        place = os.path.join(root, folder) if folder else root
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"the folder cannot be listed ({error.strerror})"
            problems.append(Problem(shown(place), reason, "Check that you may read it"))
            continue
        below = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(f"{folder}/{entry.name}" if folder else entry.name)
            elif entry.is_symlink() and _is_dir(entry):
                problems.append(_link(entry.path))
            else:
                yield folder, entry
        waiting += reversed(below)


def file_size(entry: os.DirEntry[str]) -> int:
    """Return the bytes of a file; raises :class:`ReadError` for what is none."""
    try:
        found = entry.stat()
        if stat.S_ISREG(found.st_mode):
            return found.st_size
    except OSError:
        pass
    return of_path(Path(entry.path)).size  # which says what is wrong


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _list_remote(source: Source, limits: Limits) -> Listing:
    files = Files(source.name, source.address)
    for name, size, stamp in remote.listed(source.address, source.name):
        folder, _, last = name.rpartition("/")
        files.add(folder, last, size, stamp=stamp)
        limits.refuse_images(source.name, len(files))
    return Listing(inside=files)


def _stays_inside(path: Path, real_root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(real_root)
    except (OSError, RuntimeError):
        return False


def _link(path: str) -> Problem:
    return Problem(
        shown(path),
        "it is a link that leads elsewhere, which is not followed",
        "Copy what it points to, or name the target itself",
    )


KIND = Kind(
    "folder",
    "folders of images (class folders become labels)",
    (),
    lambda source, head: source.path is not None and source.path.is_dir(),
    _list_images,
)
