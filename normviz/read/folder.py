"""Folders: every image below, class folders as labels; links that lead out are not followed."""

from __future__ import annotations

import os
from pathlib import Path

from normviz.errors import ReadError
from normviz.read.limits import Limits
from normviz.read.source import Kind, Listing, Problem, Source, of_path, shown


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    assert source.path is not None
    root = source.path
    listing = Listing(inside=[])
    inside: list[Source] = []
    real_root = root.resolve()

    def cannot_list(error: OSError) -> None:
        name = shown(str(error.filename or root))
        reason = f"the folder cannot be listed ({error.strerror})"
        listing.problems.append(Problem(name, reason, "Check that you may read it"))

    for folder, folders, files in os.walk(root, onerror=cannot_list):
        folders.sort()
        for name in list(folders):
            path = Path(folder, name)
            if path.is_symlink():
                listing.problems.append(_link(path))
        for name in sorted(files):
            path = Path(folder, name)
            inner = tuple(shown(part) for part in path.relative_to(root).parts)
            if path.is_symlink() and not _stays_inside(path, real_root):
                listing.problems.append(_link(path))
                continue
            try:
                inside.append(of_path(path, f"{source.name.rstrip('/')}/{'/'.join(inner)}", inner))
            except ReadError as error:
                listing.problems.append(Problem.of(error))
            limits.refuse_images(source.name, len(inside))
    listing.inside = inside
    return listing


def _stays_inside(path: Path, real_root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(real_root)
    except (OSError, RuntimeError):
        return False


def _link(path: Path) -> Problem:
    return Problem(
        shown(str(path)),
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
