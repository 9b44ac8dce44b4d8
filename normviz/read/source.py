"""What the readers of every kind share: a source of bytes, a run of images, and a listing."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from normviz.errors import ReadError
from normviz.images import Image
from normviz.read import remote
from normviz.read.limits import Limits

HEAD_BYTES = 1024


class Upload(NamedTuple):
    """A file that arrived as bytes; a plain ``(name, bytes)`` pair does as well."""

    name: str
    data: bytes


class Problem(NamedTuple):
    """Something that could not be read, why, and what to do about it."""

    path: str
    reason: str
    remedy: str = ""

    @classmethod
    def of(cls, error: ReadError) -> Problem:
        return cls(error.path, error.reason, error.remedy)

    def __str__(self) -> str:
        return str(ReadError(self.path, self.reason, self.remedy))


@dataclass(frozen=True, eq=False)
class Source:
    """A file by name, wherever its bytes are: on disk, in memory, far away, or in an archive.

    ``name`` is what a visitor is shown; ``inner`` the names of the folders and the file below the
    root of its container, from which labels come; ``fetch`` unpacks a member of an archive.
    ``address`` is opened through fsspec. ``kind`` is the key of its kind where the way in which it
    was given decides that (a pattern, a list); ``label`` what its container says of it.
    A ``size`` of −1 is not known. ``stamp`` tells one version of the file from another, as far as
    its place says so (when it was changed last); 0 where it is not known.
    """

    name: str
    size: int
    path: Path | None = None
    data: bytes | None = None
    fetch: Callable[[], bytes] | None = None
    inner: tuple[str, ...] = ()
    address: str = ""
    kind: str = ""
    label: str | None = None
    stamp: int = 0

    @property
    def suffix(self) -> str:
        """The lower-case ending of the file's name, dot included."""
        ending = os.path.splitext(self.stem)[1]
        return ending if len(ending) > 1 else ""

    @property
    def stem(self) -> str:
        """The file's name in lower case without folders."""
        return (self.inner[-1] if self.inner else self.name.rsplit("/", 1)[-1]).lower()

    @property
    def held(self) -> int:
        """How many bytes this source keeps in memory."""
        return len(self.data) if self.data is not None else 0

    def open(self) -> BinaryIO:
        """Return a fresh binary stream over the file; the caller closes it."""
        if self.path is not None:
            try:
                return self.path.open("rb")
            except OSError as error:
                raise _unreadable(self.name, error) from None
        if self.address:
            return remote.opened(self.address, self.name)
        return io.BytesIO(self._in_memory())

    def head(self, size: int = HEAD_BYTES) -> bytes:
        """Return the first bytes of the file."""
        if self.address:
            return remote.content(self.address, self.name, size)
        if self.path is None:
            return self._in_memory()[:size]
        try:
            with self.open() as stream:
                return stream.read(size)
        except OSError as error:
            raise _unreadable(self.name, error) from None

    def content(self, limits: Limits) -> bytes:
        """Return the whole file; refused first when it is larger than one file may be."""
        limits.refuse_file_bytes(self.name, self.size)
        if self.address:
            data = self._far(limits.max_bytes_per_file)
            limits.refuse_file_bytes(self.name, len(data))
            return data
        if self.path is None:
            return self._in_memory()
        try:
            with self.open() as stream:
                # The file may have grown since it was listed.
                data = stream.read(limits.max_bytes_per_file + 1)
        except OSError as error:
            raise _unreadable(self.name, error) from None
        limits.refuse_file_bytes(self.name, len(data))
        return data

    def in_memory(self, limits: Limits) -> Source:
        """Return the same source with bytes that cannot be mapped from disk fetched into memory."""
        if self.path is not None or self.data is not None:
            return self
        limits.refuse_memory(self.name, self.size)
        data = self._far(limits.max_memory_bytes) if self.address else self._in_memory()
        limits.refuse_memory(self.name, len(data))
        return Source(self.name, len(data), data=data, inner=self.inner)

    def seekable(self, limits: Limits) -> Source:
        """Return the same source, fetched into memory when it cannot be read from any place."""
        return self if self.address else self.in_memory(limits)

    def _far(self, most: int) -> bytes:
        return remote.content(self.address, self.name, self.size if self.size >= 0 else most + 1)

    def _in_memory(self) -> bytes:
        if self.data is not None:
            return self.data
        assert self.fetch is not None
        return self.fetch()


class Origin(NamedTuple):
    """The file that gives a run again when it is opened elsewhere, and the run's first image there.

    ``member`` is the array that was chosen of an ``.npz`` file.
    """

    source: Source
    kind: str
    first: int
    member: str | None = None


class Run:
    """Consecutive images of one origin, decoded one by one when they are asked for."""

    held = 0
    origin: Origin | None

    def __len__(self) -> int:
        raise NotImplementedError

    def path(self, index: int) -> str:
        raise NotImplementedError

    def label(self, index: int) -> str | None:
        raise NotImplementedError

    def image(self, index: int) -> Image:
        """Decode one image; raises :class:`ReadError`."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class LabelList:
    """A file of labels without images, waiting for the images that it belongs to."""

    source: Source
    labels: Sequence[str]


@dataclass
class Listing:
    """What one source holds: runs of images, or further sources inside, problems and notes.

    ``opens``: archives among ``inside`` are opened too, because they were named, not found.
    """

    runs: list[Run] = field(default_factory=list)
    inside: Sequence[Source] | None = None
    opens: bool = False
    label_lists: list[LabelList] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    held: int = 0  # bytes kept in memory behind ``inside``


@dataclass(frozen=True)
class Kind:
    """One kind of source: how it is recognised from its first bytes, and how it is listed.

    ``suffixes`` are the endings that make a member of a folder or archive worth opening as this
    kind; ``list_images(source, limits, member)`` raises :class:`ReadError` when nothing is usable.
    """

    key: str
    title: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Source, bytes], bool]
    list_images: Callable[[Source, Limits, str | None], Listing]
    takes_member: bool = False


def shown(name: str) -> str:
    r"""Return a name that is safe to print: bytes that are no text and control characters escaped.

    >>> shown("a\n\udcff.jpg")
    'a\\x0a\\udcff.jpg'
    """
    name = name.encode("utf-8", "backslashreplace").decode("utf-8")
    name = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)
    return name if len(name) <= 300 else f"{name[:140]}…{name[-140:]}"


def of_path(path: Path, name: str | None = None, inner: tuple[str, ...] = ()) -> Source:
    """Return the source for a file on disk; anything but a regular file or folder is refused."""
    name = shown(str(path)) if name is None else name
    try:
        found = path.stat()
    except FileNotFoundError:
        raise ReadError(name, "there is no such file or folder", "Check the path") from None
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    if stat.S_ISDIR(found.st_mode):
        return Source(name, 0, path=path, inner=inner)
    if not stat.S_ISREG(found.st_mode):
        raise ReadError(
            name, "it is a device, pipe or socket, not a file", "Give a regular file or a folder"
        )
    inner = inner or (path.parent.name, path.name)
    return Source(name, found.st_size, path=path, inner=inner, stamp=found.st_mtime_ns)


def of_address(address: str, name: str | None = None) -> Source:
    """Return the source for an address; ``file://`` is a path on this machine."""
    local = remote.local_path(address)
    if local is not None:
        return of_path(Path(local), name)
    name = shown(remote.without_secret(address)) if name is None else name
    found = remote.find(address, name)
    if found.is_folder:
        return Source(name, 0, address=address, kind="folder")
    plain = address.partition("?")[0] if remote.is_web(address) else address
    inner = tuple(shown(part) for part in plain.rsplit("/", 2)[-2:] if part)
    return Source(name, found.size, address=address, inner=inner, stamp=found.stamp)


def of_upload(name: str, data: bytes) -> Source:
    """Return the source for a file that arrived as bytes."""
    parts = tuple(p for p in name.replace("\\", "/").split("/") if p not in ("", ".", ".."))
    return Source(shown(name), len(data), data=data, inner=tuple(map(shown, parts)))


def _unreadable(name: str, error: Exception) -> ReadError:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ReadError(name, f"it cannot be opened ({text})", "Check that you may read it")
