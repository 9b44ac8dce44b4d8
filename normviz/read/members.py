"""Stand-ins for what an archive holds: runs that name their images' place and decode none.

A scan lists thousands of archives; it keeps these instead of every archive's table of contents.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from normviz.read.image import FileRun
from normviz.read.source import Origin, Run, Source


@dataclass(frozen=True, eq=False)
class MemberRun(Run):
    """The image files of one archive. ``labels`` is None while the archive itself says them."""

    origin: Origin | None
    folders: array[int]
    names: tuple[str | None, ...]
    labels: Sequence[str | None] | None = None

    @classmethod
    def of(cls, run: FileRun) -> MemberRun:
        """Forget the sources of a run, but for the folders that may become labels."""
        numbers: dict[str | None, int] = {}
        if any(label is not None for label in run.labels):
            return cls(run.origin, array("I", bytes(4 * len(run))), ())
        folders = array("I", (numbers.setdefault(n, len(numbers)) for n in run.folder_names()))
        return cls(run.origin, folders, tuple(numbers), (None,) * len(run))

    def folder_names(self) -> Iterator[str | None]:
        return (self.names[number] for number in self.folders)

    def __len__(self) -> int:
        return len(self.folders)


@dataclass(frozen=True, eq=False)
class ShardRun(Run):
    """An archive that is read from its beginning to its end; how much it holds shows then."""

    source: Source
    origin: Origin | None = None

    def __len__(self) -> int:
        return 0
