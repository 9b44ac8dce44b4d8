"""The only list of source kinds, and how sources of all kinds become one collection.

A single file is recognised by its first bytes. Inside a folder or an archive the name decides
which members are looked at, so that no member is unpacked for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile

import numpy as np

from normviz.errors import LimitError, ReadError
from normviz.read import (
    archive,
    cifar,
    folder,
    idx,
    image,
    numpy_file,
    parquet,
    pattern,
    unsupported,
)
from normviz.read.arrays import ArrayRun, with_labels
from normviz.read.files import Files
from normviz.read.image import FileRun
from normviz.read.limits import Limits, size_text
from normviz.read.members import MemberRun, ShardRun
from normviz.read.parquet import TableRun
from normviz.read.source import Kind, LabelList, Listing, Origin, Problem, Run, Source

KINDS: tuple[Kind, ...] = (
    folder.KIND,
    pattern.PATTERN,
    pattern.LIST,
    numpy_file.NPY,
    numpy_file.NPZ,
    parquet.KIND,
    idx.KIND,
    image.KIND,
    unsupported.KIND,
    cifar.KIND,
    archive.KIND,
)

BY_KEY = {kind.key: kind for kind in KINDS}
GATHERING = ("folder", "pattern", "list")
_IMAGE_SUFFIXES = frozenset(image.SUFFIXES)
ANSWERS_AT_ONCE = 16
HIDDEN = ("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin")


def kind_of(source: Source) -> Kind:
    """Return the kind of a source by its first bytes; raises :class:`ReadError` for none."""
    if source.kind:
        return BY_KEY[source.kind]
    if source.path is not None and source.path.is_dir():
        return folder.KIND
    head = source.head()
    if not head:
        raise ReadError(source.name, "the file is empty", "Copy or download it again")
    for kind in KINDS[1:]:
        if kind.recognises(source, head):
            return kind
    if source.suffix in pattern.LIST_SUFFIXES and b"\0" not in head:
        if source.data is None:
            return pattern.LIST
        raise ReadError(
            source.name,
            "it is text, and a list of paths is followed only where it lies on this machine, "
            "never when it is uploaded",
            "Upload the images themselves, or an archive of them",
        )
    raise image.unknown(head, source.name)


def open_one(
    source: Source, limits: Limits, member: str | None = None, sketch: bool = False
) -> Listing:
    """List what a single source holds; raises :class:`ReadError` when it is unreadable.

    ``sketch``: enough to cut it into parts: archives that are best read from beginning to end are
    left closed (:class:`ShardRun`), and of the others no table of contents is kept.
    """
    kind = kind_of(source)
    if member is not None and not kind.takes_member:
        raise ReadError(
            source.name,
            f"member={member!r} chooses an array of an .npz file, and this is none",
            "Leave it out",
        )
    if sketch and kind is archive.KIND and _is_stream(source):
        return Listing(runs=[ShardRun(source)])
    return open_as(kind, source, limits, member, sketch)


def open_as(
    kind: Kind, source: Source, limits: Limits, member: str | None = None, sketch: bool = False
) -> Listing:
    """List what a source of a known kind holds."""
    listing = kind.list_images(source, limits, member)
    if listing.inside is not None:
        gathered = _inside(listing.inside, source.name, limits, listing.opens, sketch)
        gathered.problems[:0] = listing.problems
        gathered.notes[:0] = listing.notes
        gathered.held = listing.held
        if not gathered.runs and not gathered.problems:
            raise ReadError(
                source.name,
                "it holds no images" if len(listing.inside) else "it is empty",
                "Put image files (or .npy, .npz, Parquet, IDX or CIFAR files) into it",
            )
        listing = gathered
    _give_origin(listing, kind, source, member)
    if sketch:
        listing.runs = [_sketched(run) for run in listing.runs]
    return listing


def _give_origin(listing: Listing, kind: Kind, source: Source, member: str | None) -> None:
    """Note where each run is found again, if it is by opening this source."""
    if kind.key in GATHERING or kind is image.KIND or not (source.path or source.address):
        return
    first = 0
    for at, run in enumerate(listing.runs):
        assert isinstance(run, (ArrayRun, FileRun, TableRun))
        listing.runs[at] = replace(run, origin=Origin(source, kind.key, first, member))
        first += len(run)


def _sketched(run: Run) -> Run:
    if run.origin is None:
        return run
    if isinstance(run, FileRun):
        return MemberRun.of(run)
    if isinstance(run, ArrayRun) and run.origin.source.address:
        # What was fetched to be looked at is not kept: a view of one element has its shape.
        return replace(run, images=np.broadcast_to(run.images.dtype.type(0), run.images.shape))
    return run


def _is_stream(source: Source, among_others: bool = False) -> bool:
    """Tell a tar that has to be, or is best, read from its beginning to its end."""
    if source.suffix == ".zip" or (source.path is None and not source.address):
        return False
    if source.address or among_others:
        return archive.is_tar_by_name(source)
    head = source.head()
    return archive.form_of(head) is not None and not head.startswith(archive.ZIP_HEADS)


def open_several(sources: Sequence[Source], limits: Limits, sketch: bool = False) -> Listing:
    """List several sources in their order; what is unreadable becomes a problem."""
    total = Listing()
    images: list[Source] = []
    hidden = 0
    among_others = sum(1 for source in sources if archive.is_tar_by_name(source)) > 1
    for source in sources:
        if is_hidden(source.inner[-1:]):
            hidden += 1
            continue
        try:
            if sketch and among_others and _is_stream(source, True):
                _add_files(total, images, limits)
                images = []
                total.runs.append(ShardRun(source))
                continue
            if kind_of(source) is image.KIND:
                image.KIND.list_images(source, limits, None)
                images.append(source)
                continue
            _add_files(total, images, limits)
            images = []
            _extend(total, open_one(source, limits, None, sketch))
        except ReadError as error:
            total.problems.append(Problem.of(error))
    _add_files(total, images, limits)
    if hidden:
        total.notes.append(f"{hidden:,} hidden file{'s' * (hidden != 1)} passed over")
    _label_by_folder(total)
    return _paired(total)


def _inside(
    sources: Sequence[Source], name: str, limits: Limits, opens: bool = False, sketch: bool = False
) -> Listing:
    """List the members of a folder or archive, or the files that a pattern or list names."""
    total = Listing()
    images: list[int] = []
    others: list[tuple[Kind, Source]] = []
    skipped = hidden = unpacked = held = tars = 0
    unclear: Sequence[int] = range(len(sources))
    if isinstance(sources, Files):
        images, unclear = _plain_images(sources, limits, opens)
    for at in unclear:
        source = sources[at]
        if is_hidden(source.inner[-1:] if opens else source.inner):
            hidden += 1
            continue
        kind = kind_by_name(source)
        try:
            refuse_member(source, kind, opens)
            if kind is None:
                skipped += 1
                continue
            if source.fetch is not None:
                unpacked += source.size
                if unpacked > limits.max_unpacked_bytes:
                    raise _too_much(name, limits)
            if kind is image.KIND:
                limits.refuse_file_bytes(source.name, source.size)
                if source.size == 0:
                    raise ReadError(source.name, "the file is empty", "Copy or download it again")
                images.append(at)
            else:
                others.append((kind, source))
                tars += kind is archive.KIND and archive.is_tar_by_name(source)
        except ReadError as found:
            if found.path == name:
                raise
            total.problems.append(Problem.of(found))
    _add_files(total, _some(sources, sorted(images)), limits)
    _label_by_folder(total)
    with _ahead(others, limits, sketch, tars > 1) as opened:
        for kind, source in others:
            try:
                in_memory = source.fetch is not None or (
                    source.address and kind not in (archive.KIND, parquet.KIND)
                )
                if in_memory and held + source.size > limits.max_memory_bytes:
                    limits.refuse_memory(source.name, held + source.size)
                listing = opened(kind, source)
            except ReadError as error:
                total.problems.append(Problem.of(error))
                continue
            held += sum(run.held for run in listing.runs)
            _extend(total, listing)
    if opens:
        _label_by_folder(total)
    for count, what in ((hidden, "hidden"), (skipped, "other")):
        if count:
            plural = "s" if count != 1 else ""
            total.notes.append(f"{name}: {count:,} {what} file{plural} passed over")
    return _paired(total)


@contextmanager
def _ahead(
    others: Sequence[tuple[Kind, Source]], limits: Limits, sketch: bool, several_tars: bool
) -> Iterator[Callable[[Kind, Source], Listing]]:
    """Give a function that opens one source; those far away are opened ahead, some at a time.

    Thousands of tables or archives on a server would else wait for one answer after the other.
    """

    def opened(kind: Kind, source: Source) -> Listing:
        if sketch and kind is archive.KIND and _is_stream(source, several_tars):
            return Listing(runs=[ShardRun(source)])
        return open_as(kind, source, limits, None, sketch)

    far = [(k, s) for k, s in others if s.address and k in (archive.KIND, parquet.KIND)]
    if len(far) < 2:
        yield opened
        return
    with ThreadPoolExecutor(ANSWERS_AT_ONCE) as pool:
        coming = {source.address: pool.submit(opened, kind, source) for kind, source in far}

        def answer(kind: Kind, source: Source) -> Listing:
            waiting = coming.get(source.address)
            return opened(kind, source) if waiting is None else waiting.result()

        try:
            yield answer
        finally:
            pool.shutdown(cancel_futures=True)


def _plain_images(files: Files, limits: Limits, opens: bool) -> tuple[list[int], list[int]]:
    """Return which files are images without a doubt, and which have to be looked at one by one.

    Ten times as fast as making a source of each, which counts where there are millions.
    """
    hidden = [not opens and is_hidden(place.split("/")) for place in files.folders]
    images, unclear = [], []
    for at, (number, name, size) in enumerate(files.numbered()):
        if (
            os.path.splitext(name)[1].lower() in _IMAGE_SUFFIXES
            and (0 < size <= limits.max_bytes_per_file or size == -1)
            and not hidden[number]
            and name[0] != "."
        ):
            images.append(at)
        else:
            unclear.append(at)
    return images, unclear


def refuse_member(source: Source, kind: Kind | None, opens: bool = False) -> None:
    """Raise :class:`ReadError` for a member that is refused by its name alone."""
    error = unsupported.refusal(source)
    if error is None and kind is archive.KIND and not opens:
        error = ReadError(
            source.name, "it is an archive inside, which is not opened", "Give it by itself"
        )
    if error is not None:
        raise error


def _some(sources: Sequence[Source], indices: Sequence[int]) -> Sequence[Source]:
    if len(indices) == len(sources):
        return sources
    if isinstance(sources, Files):
        return sources.chosen(indices)
    return [sources[at] for at in indices]


def _too_much(name: str, limits: Limits) -> LimitError:
    return LimitError(
        name,
        f"the archive unpacks to more than {size_text(limits.max_unpacked_bytes)}",
        "Split it, or raise NORMVIZ_MAX_UNPACKED_BYTES",
    )


def kind_by_name(source: Source) -> Kind | None:
    name = source.stem
    for kind in KINDS:
        if name.endswith(kind.suffixes) and kind.suffixes:
            return kind
    return None


def is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part.lower() in HIDDEN for part in parts)


def _add_files(total: Listing, sources: Sequence[Source], limits: Limits) -> None:
    if not len(sources):
        return
    labels: Sequence[str | None] = (None,) * len(sources)
    if isinstance(sources, Files):
        if sources.labelled:
            labels = tuple(sources.label(at) for at in range(len(sources)))
    else:
        sources = tuple(sources)
        labels = tuple(source.label for source in sources)
    total.runs.append(FileRun(sources, limits, labels))


def _extend(total: Listing, more: Listing) -> None:
    total.runs += more.runs
    total.problems += more.problems
    total.notes += more.notes
    total.label_lists += more.label_lists
    total.held += more.held


def _label_by_folder(total: Listing) -> None:
    """Give image files the name of the folder they lie in, when there are at least two of them."""
    files = [
        (at, run)
        for at, run in enumerate(total.runs)
        if isinstance(run, (FileRun, MemberRun)) and run.labels is not None and not any(run.labels)
    ]
    labels = [label for _, run in files for label in run.folder_names()]
    counts: dict[str, int] = {}
    for label in labels:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
    if not counts or (len(counts) == 1 and None not in labels):
        return
    start = 0
    for at, run in files:
        total.runs[at] = replace(run, labels=tuple(labels[start : start + len(run)]))
        start += len(run)
    most = 12
    said = ", ".join(f"{label} {count:,}" for label, count in list(counts.items())[:most])
    more = f" and {len(counts) - most:,} more" if len(counts) > most else ""
    total.notes.append(f"labels from the names of folders: {said}{more}")


def _paired(total: Listing) -> Listing:
    """Give lists of labels to the images that they belong to, by number and by name."""
    waiting: list[LabelList] = []
    for labels in total.label_lists:
        fitting = [
            at
            for at, run in enumerate(total.runs)
            if isinstance(run, ArrayRun)
            and run.labels is None
            and len(run) == len(labels.labels)
            and _same_folder(run.name, labels.source.name)
        ]
        # train-labels-… goes with train-images-…, not with t10k-images-… of the same length.
        fitting.sort(key=lambda at: -_common(total.runs[at], labels))
        if not fitting:
            waiting.append(labels)
            continue
        run = total.runs[fitting[0]]
        assert isinstance(run, ArrayRun)
        total.runs[fitting[0]] = with_labels(run, labels.labels)
        total.notes.append(f"{run.name}: labels from {labels.source.name}")
    total.label_lists = waiting
    return total


def _same_folder(a: str, b: str) -> bool:
    return a.rpartition("/")[0] == b.rpartition("/")[0]


def _common(run: Run, labels: LabelList) -> int:
    pairs = zip(run.path(0), labels.source.name, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def unpaired(listing: Listing) -> list[ReadError]:
    """Return an error for each list of labels that no images were found for."""
    return [
        ReadError(
            labels.source.name,
            f"it is a list of {len(labels.labels):,} labels without their images",
            "Give the file of images along with it",
        )
        for labels in listing.label_lists
    ]
