"""A source cut into units of work that travel to other processes and machines.

A part names its images and holds none: files by name, members of a container by number, or a
whole shard that is read from beginning to end. Whoever gets it opens what it names.
"""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np

from normviz.errors import ParameterError, ReadError
from normviz.images import Image
from normviz.read import registry
from normviz.read.arrays import ArrayRun
from normviz.read.asked import listed
from normviz.read.files import Files
from normviz.read.image import FileRun
from normviz.read.limits import Limits
from normviz.read.members import MemberRun, ShardRun
from normviz.read.parquet import TableRun
from normviz.read.photos import Photos
from normviz.read.remote import split
from normviz.read.some import SomeRun
from normviz.read.source import Listing, Origin, Problem, Run, Source, shown
from normviz.read.stream import streamed

OPEN_AT_ONCE = 2
_SHARD = 1 << 32  # places a shard has

WHOLE_GROUP = 4  # a row group of up to so many parts' images is not cut


@dataclass(frozen=True)
class Named:
    """Image files by name; an entry is a folder's number, a name, a size and a label."""

    shown_root: str
    root: str
    folders: tuple[str, ...]
    entries: tuple[tuple[int, str, int, str | None], ...]

    def images(self, limits: Limits) -> Iterator[Image | Problem]:
        files = Files(self.shown_root, self.root)
        for folder, name, size, label in self.entries:
            files.add(self.folders[folder], name, size, label)
        labels = tuple(entry[3] for entry in self.entries)
        yield from _decoded(FileRun(files, limits, labels), range(len(files)))

    def cut(self, start: int, stop: int) -> Named:
        return replace(self, entries=self.entries[start:stop])


@dataclass(frozen=True)
class Container:
    """A file that holds many images, by its place: a path, or an address when ``far``."""

    name: str
    place: str
    far: bool
    size: int
    inner: tuple[str, ...] = ()
    kind: str = ""
    member: str | None = None

    @classmethod
    def of(cls, source: Source, kind: str = "", member: str | None = None) -> Container:
        place = source.address or str(source.path)
        return cls(
            source.name, place, bool(source.address), source.size, source.inner, kind, member
        )

    def source(self) -> Source:
        if self.far:
            return Source(self.name, self.size, address=self.place, inner=self.inner)
        return Source(self.name, self.size, path=Path(self.place), inner=self.inner)


@dataclass(frozen=True)
class Inside:
    """Images of one container by their numbers; ``labels`` replace the container's own."""

    container: Container
    indices: range | tuple[int, ...]
    labels: tuple[str | None, ...] | None = None

    def images(self, limits: Limits) -> Iterator[Image | Problem]:
        try:
            photos = _opened(self.container, limits)
            if self.indices[-1] >= len(photos):
                raise _changed(self.container)
        except ReadError as error:
            yield Problem.of(error)
            return
        for at, found in enumerate(_decoded(photos, self.indices)):
            if self.labels is not None and isinstance(found, Image):
                found = replace(found, label=self.labels[at])
            yield found

    def cut(self, start: int, stop: int) -> Inside:
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, indices=self.indices[start:stop], labels=labels)


@dataclass(frozen=True)
class Shard:
    """A tar that is read from its beginning to its end."""

    container: Container

    def images(self, limits: Limits) -> Iterator[Image | Problem]:
        yield from streamed(self.container.source(), limits)


@dataclass(frozen=True, eq=False)
class Held:
    """Images of a collection in this process, which does not travel."""

    photos: Photos
    indices: range | tuple[int, ...]

    def images(self, limits: Limits) -> Iterator[Image | Problem]:
        yield from _decoded(self.photos, self.indices)

    def cut(self, start: int, stop: int) -> Held:
        return replace(self, indices=self.indices[start:stop])


@dataclass(frozen=True)
class Part:
    """One unit of work: names and numbers only, so it is small, hashable and can be pickled.

    ``key`` is unique within its :class:`Parts`; ``count`` is None for a shard, which has to be read
    to be counted. ``positions``: the place of each image in the whole source; a shard's are as many
    as it may have.
    """

    key: str
    count: int | None
    positions: range | tuple[int, ...]
    pieces: tuple[Named | Inside | Shard | Held, ...]
    limits: Limits

    def images(self) -> Iterator[tuple[int, Image | Problem]]:
        """Decode one image after the other, each with its place in the source.

        What cannot be read comes as a problem, in place.
        """
        done = 0
        for piece in self.pieces:
            if isinstance(piece, Shard):
                yield from enumerate(piece.images(self.limits), self.positions[0])
                return
            length = _length(piece)
            # A container that cannot be opened has one problem in place of its images.
            yield from zip(
                self.positions[done : done + length], piece.images(self.limits), strict=False
            )
            done += length

    @property
    def name(self) -> str:
        """What to call it in front of a person: an image alone by its name."""
        (piece, *others) = self.pieces
        if isinstance(piece, Shard):
            return piece.container.name
        if others or self.count != 1:
            return f"part {self.key}"
        if isinstance(piece, Named):
            files = Files(piece.shown_root, piece.root)
            folder, name, size, label = piece.entries[0]
            files.add(piece.folders[folder], name, size, label)
            return files[0].name
        if isinstance(piece, Held):
            return piece.photos.path(piece.indices[0])
        return f"{piece.container.name}, image {piece.indices[0]}"

    def halves(self) -> tuple[Part, ...]:
        """Cut the part in two; one image, and a shard, stay as they are."""
        if self.count is None or self.count < 2:
            return (self,)
        half = self.count // 2
        return (self._between(0, half), self._between(half, self.count))

    def _between(self, start: int, stop: int) -> Part:
        pieces, at = [], 0
        for piece in self.pieces:
            assert not isinstance(piece, Shard)
            first, last = max(start - at, 0), min(stop - at, _length(piece))
            if first < last:
                pieces.append(piece.cut(first, last))
            at += _length(piece)
        key = f"{self.key}[{start}:{stop}]"
        return replace(
            self,
            key=key,
            count=stop - start,
            positions=self.positions[start:stop],
            pieces=tuple(pieces),
        )


class Parts(Sequence[Part]):
    """The parts of a source, made when they are asked for; build it with :func:`parts_of`.

    ``total``: the images listed, None when shards have to be read to know.
    ``unit``: what is in random order when a seed is given: ``"image"`` (a part is a random sample
    of all images) or ``"shard"`` (whole shards or row groups).
    ``problems``, ``notes``: found while listing.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        images_a_part: int,
        seed: int | None,
        limits: Limits,
        problems: Sequence[Problem] = (),
        notes: Sequence[str] = (),
        photos: Photos | None = None,
    ) -> None:
        self.problems, self.notes = tuple(problems), tuple(notes)
        self._listed, self._photos, self._limits = runs, photos, limits
        self._images_a_part, self._seed = images_a_part, seed
        self._shards = [run.source for run in runs if isinstance(run, ShardRun)]
        self._runs = [_portable(run) if photos is None else run for run in runs if len(run)]
        self._starts = [0, *accumulate(len(run) for run in self._runs)]
        sequential = self._shards or any(isinstance(run, TableRun) for run in self._runs)
        self.unit = "shard" if sequential and photos is None else "image"
        self.total = None if self._shards else self._starts[-1]
        # Pairs of the first image and the one after the last; a shard is −1 − its number, and 0.
        self._cuts = self._cut(runs)
        self._order: np.ndarray | None = None
        if seed is not None:
            count = self._starts[-1] if self.unit == "image" else len(self)
            order = np.random.default_rng(seed).permutation(count)
            self._order = order.astype(np.uint32 if count < 2**32 else np.int64)

    @property
    def travels(self) -> bool:
        """Whether a part says where its images are; one of opened :class:`Photos` holds them."""
        return self._photos is None

    def __len__(self) -> int:
        return len(self._cuts) // 2

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> list[Part]: ...
    def __getitem__(self, index: int | slice) -> Part | list[Part]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"part {index} of {len(self)}")
        number = index % len(self)
        if self._order is not None and self.unit == "shard":
            number = int(self._order[number])
        start, stop = self._cuts[2 * number], self._cuts[2 * number + 1]
        key = f"{number:08d}"
        if start < 0:
            shard = Shard(Container.of(self._shards[-1 - start]))
            # Behind every image that is counted.
            first = _SHARD * -start
            return Part(key, None, range(first, first + _SHARD), (shard,), self._limits)
        numbers: range | list[int] = range(start, stop)
        if self._order is not None and self.unit == "image":
            numbers = np.sort(self._order[start:stop]).tolist()
        pieces = tuple(self._pieces(numbers))
        return Part(key, stop - start, _plain(numbers), pieces, self._limits)

    def in_parts_of(self, images: int) -> Parts:
        """Return the same listing in parts of another size; nothing is listed again."""
        if images == self._images_a_part:
            return self
        found = (self._limits, self.problems, self.notes, self._photos)
        return Parts(self._listed, images, self._seed, *found)

    @cached_property
    def identity(self) -> str:
        """A digest of everything listed (names, sizes, times of change, labels, order) and of how
        it is cut.

        What was noted of one part holds for the part of the same key under the same identity only.
        """
        state = blake2b(digest_size=16)
        state.update(repr((self._images_a_part, self._seed, self._limits, self.unit)).encode())
        state.update(self._cuts.tobytes())
        for run in self._runs:
            for text in _traits(run):
                state.update(text.encode("utf-8", "surrogatepass"))
        for shard in self._shards:
            state.update(f"\nshard {shard.name!r} {shard.size} {shard.stamp}".encode())
        return state.hexdigest()

    def _cut(self, runs: Sequence[Run]) -> array[int]:
        cuts, shards = array("q"), 0
        first = at = 0  # of the images that are waiting to be cut, and of the run

        def cut(start: int, stop: int, step: int) -> None:
            for begin in range(start, stop, step):
                cuts.extend((begin, min(begin + step, stop)))

        for run in runs:
            if isinstance(run, ShardRun):
                cut(first, at, self._images_a_part)
                cuts.extend((-1 - shards, 0))
                shards, first = shards + 1, at
            elif isinstance(run, TableRun) and self._photos is None:
                cut(first, at, self._images_a_part)
                for start, stop in pairwise((0, *run.ends)):
                    whole = stop - start <= WHOLE_GROUP * self._images_a_part
                    step = max(1, stop - start) if whole else self._images_a_part
                    cut(at + start, at + stop, step)
                at = first = at + len(run)
            else:
                at += len(run)
        cut(first, at, self._images_a_part)
        return cuts

    def _pieces(self, numbers: range | list[int]) -> Iterator[Named | Inside | Held]:
        if self._photos is not None:
            yield Held(self._photos, _plain(numbers))
            return
        done = 0
        while done < len(numbers):
            at = bisect_right(self._starts, numbers[done]) - 1
            start, stop = self._starts[at], self._starts[at + 1]
            until = bisect_right(numbers, stop - 1)
            chosen: range | list[int]
            if isinstance(numbers, range):
                chosen = range(numbers[done] - start, numbers[until - 1] - start + 1)
            else:
                chosen = [number - start for number in numbers[done:until]]
            yield _piece(self._runs[at], chosen)
            done = until

    def __repr__(self) -> str:
        images = "images to be counted" if self.total is None else f"{self.total:,} images"
        return f"Parts({len(self):,} parts, {images}, in units of one {self.unit})"


def parts_of(
    source: Any, images_a_part: int = 64, seed: int | None = None, limits: Limits | None = None
) -> Parts:
    """List a source and cut it into parts.

    ``source`` is what :func:`normviz.read.read` takes, or :class:`Photos`, or a sequence of images,
    which may have ``problems`` of its own. Files, members of a zip
    or a plain tar, and arrays are read from any place; a packed or remote tar and one of several
    tars are one part each, read from beginning to end; a Parquet table is cut at its row groups.

    ``seed``: without one, the order is that of ``read``. With one, the images are in an order that
    is random over the whole source, sorted within a part so that reading stays close to
    sequential; where shards or tables are among them, whole parts are in random order instead.

    Raises :class:`ReadError` when a single source is unreadable; everything else is a problem.

    >>> import numpy as np
    >>> from io import BytesIO
    >>> file = BytesIO()
    >>> np.save(file, np.zeros((5, 4, 6), np.uint8))
    >>> parts = parts_of(("five.npy", file.getvalue()), images_a_part=2)
    >>> len(parts), parts.total, parts.unit, [part.count for part in parts]
    (3, 5, 'image', [2, 2, 1])
    >>> [(place, image.path) for place, image in parts[1].images()]
    [(2, 'five.npy[2]'), (3, 'five.npy[3]')]
    """
    if not isinstance(images_a_part, int) or images_a_part < 1:
        raise ParameterError(f"images_a_part must be at least 1, got {images_a_part!r}.")
    limits = Limits.from_environment() if limits is None else limits
    if isinstance(source, Photos):
        return Parts(
            source.runs, images_a_part, seed, limits, source.problems, source.notes, source
        )
    if _is_images(source):
        runs: list[Run] = [SomeRun(source, range(len(source)))]
        problems = getattr(source, "problems", ())
        return Parts(runs, images_a_part, seed, limits, problems, photos=Photos(runs))
    found: Listing = listed(source, limits, sketch=True).listing
    return Parts(found.runs, images_a_part, seed, limits, found.problems, found.notes)


def _is_images(source: Any) -> bool:
    if not (hasattr(source, "__getitem__") and hasattr(source, "__len__")):
        return False
    if isinstance(source, (str, bytes, bytearray, memoryview)):
        return False
    return len(source) > 0 and isinstance(source[0], Image)


def _portable(run: Run) -> Run:
    """Return the run with its files held compactly, where all of them have a path or address."""
    if not isinstance(run, FileRun) or isinstance(run.sources, Files):
        return run
    files = Files()
    for source in run.sources:
        place = source.address or (str(source.path) if source.path is not None else "")
        if not place:
            return run
        files.add(*split(place), source.size, stamp=source.stamp)
        if files[len(files) - 1].name != source.name:
            return run
    return replace(run, sources=files)


def _piece(run: Run, chosen: range | list[int]) -> Named | Inside | Held:
    if isinstance(run, FileRun) and isinstance(run.sources, Files):
        numbers: dict[str, int] = {}
        entries = []
        for at in chosen:
            folder, name, size = run.sources.entry(at)
            number = numbers.setdefault(folder, len(numbers))
            entries.append((number, name, size, run.labels[at]))
        files = run.sources
        return Named(files.shown_root, files.root, tuple(numbers), tuple(entries))
    origin: Origin | None = getattr(run, "origin", None)
    if origin is None:
        return Held(Photos([run]), _plain(chosen))
    container = Container.of(origin.source, origin.kind, origin.member)
    labels: tuple[str | None, ...] | None = None
    # A table's labels stand in its rows, an archive's own ones in its table of contents.
    if isinstance(run, (ArrayRun, MemberRun)) and run.labels is not None:
        labels = tuple(run.labels[at] for at in chosen)
    if isinstance(chosen, range):
        shifted: range | tuple[int, ...]
        shifted = range(chosen.start + origin.first, chosen.stop + origin.first)
    else:
        shifted = tuple(at + origin.first for at in chosen)
    return Inside(container, shifted, labels)


def _length(piece: Named | Inside | Held) -> int:
    return len(piece.entries if isinstance(piece, Named) else piece.indices)


def _plain(numbers: range | list[int]) -> range | tuple[int, ...]:
    return numbers if isinstance(numbers, range) else tuple(numbers)


def _decoded(images: Run | Photos, indices: Sequence[int]) -> Iterator[Image | Problem]:
    get = images.__getitem__ if isinstance(images, Photos) else images.image
    for index in indices:
        try:
            found: Image | Problem = get(index)
        except ReadError as error:
            found = Problem.of(error)
        yield found


def _traits(run: Run) -> Iterator[str]:
    """Yield the text by which a run is known again."""
    origin: Origin | None = getattr(run, "origin", None)
    yield f"\n{type(run).__name__} {len(run)}"
    if origin is not None:
        source = origin.source
        yield f" {source.name!r} {source.size} {source.stamp} "
        yield f"{origin.kind} {origin.first} {origin.member!r}"
        if isinstance(run, (ArrayRun, MemberRun)) and run.labels is not None:
            yield repr(tuple(run.labels))
    elif isinstance(run, FileRun) and isinstance(run.sources, Files):
        yield repr((run.sources.root, run.sources.folders))
        for at in range(len(run)):
            folder, name, size = run.sources.entry(at)
            yield f"\0{folder}/{name}\0{size}\0{run.sources.stamp(at)}\0{run.labels[at]}"
    elif isinstance(run, FileRun):
        for at, source in enumerate(run.sources):
            yield f"\0{source.name}\0{source.size}\0{source.stamp}\0{run.labels[at]}"
            if source.data is not None:
                yield blake2b(source.data, digest_size=16).hexdigest()
    elif isinstance(run, SomeRun) and not isinstance(run.photos, Photos):
        for at in run.indices:
            one = run.photos[at]
            yield f"\0{one.path}\0{one.label}\0{one.digest}"
    else:
        for at in range(len(run)):
            yield f"\0{run.path(at)}\0{run.label(at)}"


_kept: OrderedDict[tuple[Any, ...], Photos] = OrderedDict()
_keeping = threading.Lock()


def _opened(container: Container, limits: Limits) -> Photos:
    """Open a container, or take it from the few that this process keeps open."""
    stamp: tuple[int, ...] = (container.size,)
    if not container.far:
        try:
            found = os.stat(container.place)
        except OSError as error:
            text = error.strerror or type(error).__name__
            reason = f"it cannot be opened ({shown(text)})"
            remedy = "Check that it is there on every machine"
            raise ReadError(container.name, reason, remedy) from None
        if found.st_size != container.size:
            raise _changed(container)
        stamp = (found.st_size, found.st_mtime_ns)
    # A forked process must not read on in its parent's open files.
    key = (os.getpid(), container, stamp, limits)
    with _keeping:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        kind = registry.BY_KEY[container.kind]
        listing = registry.open_as(kind, container.source(), limits, container.member)
        photos = Photos(listing.runs)
        _kept[key] = photos
        while len(_kept) > OPEN_AT_ONCE:
            _kept.popitem(last=False)
        return photos


def _changed(container: Container) -> ReadError:
    return ReadError(container.name, "it has changed since it was listed", "List it again")
