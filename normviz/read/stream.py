"""A tar from its beginning to its end in one pass: images as they come, one sample held at most.

It gives the images that :func:`normviz.read.read` gives of the same file, with two differences of
what can only be known at its end: the folder of a file is its label even where there is one folder
only, and arrays inside come where they lie, not after the image files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from normviz.errors import ReadError
from normviz.images import Image
from normviz.read import image, registry
from normviz.read.archive import Sample, TarStream, member_parts, tar_entries
from normviz.read.limits import Limits
from normviz.read.source import Kind, Problem, Source, shown


def streamed(source: Source, limits: Limits) -> Iterator[Image | Problem]:
    """Yield the images of a tar in its order; what cannot be read comes as a problem, in place."""
    try:
        with closing(TarStream(source, limits)) as stream:
            yield from _images(stream, limits)
    except ReadError as error:
        yield Problem.of(error)


def _images(stream: TarStream, limits: Limits) -> Iterator[Image | Problem]:
    sample, waiting, held = Sample(), list[tuple[Kind, Source] | Problem](), 0
    seen: set[tuple[str, ...]] = set()
    for entry in tar_entries(stream, limits):
        if isinstance(entry, ReadError):
            waiting.append(Problem.of(entry))
            continue
        if not sample.holds(entry.name) or held > limits.max_memory_bytes:
            yield from _decoded(waiting, sample.label, limits)
            sample, waiting, held = Sample(entry.name), [], 0
        path, offset, size = f"{stream.name}/{shown(entry.name)}", entry.offset_data, entry.size
        try:
            if sample.is_label(entry.name, size):
                sample.take(entry.name, stream.member(path, offset, size))
                continue
            parts = member_parts(entry.name, path)
            if parts in seen:
                raise ReadError(
                    path, "there is another member of this name", "Give each its own name"
                )
            seen.add(parts)
            member = Source(path, size, inner=parts)
            kind = registry.kind_by_name(member)
            if registry.is_hidden(parts):
                continue
            registry.refuse_member(member, kind)
            if kind is None:
                continue
            if kind is image.KIND:
                limits.refuse_file_bytes(path, size)
            else:
                limits.refuse_memory(path, size)
            if size == 0:
                raise ReadError(path, "the file is empty", "Copy or download it again")
            data = stream.member(path, offset, size)
        except ReadError as error:
            waiting.append(Problem.of(error))
            continue
        held += size
        waiting.append((kind, Source(path, size, data=data, inner=parts)))
    yield from _decoded(waiting, sample.label, limits)


def _decoded(
    waiting: list[tuple[Kind, Source] | Problem], label: str | None, limits: Limits
) -> Iterator[Image | Problem]:
    for item in waiting:
        if isinstance(item, Problem):
            yield item
            continue
        kind, source = item
        try:
            if kind is image.KIND:
                folder = source.inner[-2] if len(source.inner) > 1 else None
                yield image.decode(
                    source.content(limits), source.name, limits, folder if label is None else label
                )
                continue
            listing = registry.open_as(kind, source, limits)
            yield from listing.problems
            for error in registry.unpaired(listing):
                yield Problem.of(error)
        except ReadError as error:
            yield Problem.of(error)
            continue
        for run in listing.runs:
            for at in range(len(run)):
                try:
                    yield run.image(at)
                except ReadError as error:
                    yield Problem.of(error)
