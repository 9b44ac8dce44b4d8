"""Millions of files by name in little memory: a sequence that makes each source when asked."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

from normviz.read.remote import is_web, joined, scheme_of, without_secret
from normviz.read.source import Source, shown


class Files(Sequence[Source]):
    """Files on disk or at addresses, held as a folder's number, a name and a size each.

    ``root`` is what folders are relative to, and ``shown_root`` what stands before them on screen;
    without a root the folders are given in full. A size of −1 is not known yet.

    >>> files = Files("photos", "/data/photos")
    >>> files.add("cat", "1.jpg", 12)
    >>> files[0].name, files[0].path.as_posix(), files[0].inner
    ('photos/cat/1.jpg', '/data/photos/cat/1.jpg', ('cat', '1.jpg'))
    """

    def __init__(
        self, shown_root: str = "", root: str = "", folders: Iterable[str] | None = None
    ) -> None:
        self.shown_root, self.root = shown_root, root
        self.folders: list[str] = list(folders or ())
        self._number = {folder: at for at, folder in enumerate(self.folders)}
        self._folder = array("I")
        self._names: list[str] = []
        self._sizes = array("q")
        self._stamps = array("q")
        self._labels: array[int] | None = None
        self._label_names: list[str | None] = [None]

    def add(
        self, folder: str, name: str, size: int, label: str | None = None, stamp: int = 0
    ) -> None:
        """Append one file; ``label`` is what a list says of it, ``stamp`` as of a source."""
        number = self._number.get(folder)
        if number is None:
            number = self._number[folder] = len(self.folders)
            self.folders.append(folder)
        self._folder.append(number)
        self._names.append(name)
        self._sizes.append(size)
        self._stamps.append(stamp)
        if label is None and self._labels is None:
            return
        if self._labels is None:
            self._labels = array("I", bytes(4 * (len(self) - 1)))
            self._label_number: dict[str | None, int] = {None: 0}
        at = self._label_number.setdefault(label, len(self._label_names))
        if at == len(self._label_names):
            self._label_names.append(label)
        self._labels.append(at)

    def chosen(self, indices: Sequence[int]) -> Files:
        """Return some of the files, in the order of ``indices``."""
        some = Files(self.shown_root, self.root, self.folders)
        some._folder = array("I", (self._folder[i] for i in indices))
        some._names = [self._names[i] for i in indices]
        some._sizes = array("q", (self._sizes[i] for i in indices))
        some._stamps = array("q", (self._stamps[i] for i in indices))
        if self._labels is not None:
            some._labels = array("I", (self._labels[i] for i in indices))
            some._label_names = self._label_names
        return some

    def entry(self, index: int) -> tuple[str, str, int]:
        """Return the folder, the name and the size of one file."""
        return self.folders[self._folder[index]], self._names[index], self._sizes[index]

    def stamp(self, index: int) -> int:
        """Return the stamp of one file."""
        return self._stamps[index]

    def numbered(self) -> Iterator[tuple[int, str, int]]:
        """Yield the folder's number, the name and the size of every file."""
        return zip(self._folder, self._names, self._sizes, strict=True)

    def label(self, index: int) -> str | None:
        """Return the label that a list gave to the file."""
        return None if self._labels is None else self._label_names[self._labels[index]]

    @property
    def labelled(self) -> bool:
        return self._labels is not None

    def folder_names(self) -> Iterator[str | None]:
        """Yield the name of the folder that each file lies in, None at the root."""
        last = [
            None if folder.endswith("://") else shown(folder.rstrip("/").rpartition("/")[2]) or None
            for folder in self.folders
        ]
        return (last[number] for number in self._folder)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Source: ...
    @overload
    def __getitem__(self, index: slice) -> Files: ...
    def __getitem__(self, index: int | slice) -> Source | Files:
        if isinstance(index, slice):
            return self.chosen(range(*index.indices(len(self))))
        folder, name, size = self.entry(index)
        under = f"{folder}/{name}" if folder and not folder.endswith("/") else folder + name
        parts: tuple[str, ...]
        if self.root:
            parts = tuple(shown(part) for part in under.split("/"))
            said = joined(self.shown_root, "/".join(parts))
            place = joined(self.root, under)
        else:
            parts = tuple(shown(part) for part in under.rsplit("/", 2)[-2:] if part)
            said, place = shown(under), under
        label, stamp = self.label(index), self.stamp(index)
        if scheme_of(place):
            if is_web(place):
                parts = (*parts[:-1], parts[-1].partition("?")[0])
            said = without_secret(said)
            return Source(said, size, address=place, inner=parts, label=label, stamp=stamp)
        return Source(said, size, path=Path(place), inner=parts, label=label, stamp=stamp)
