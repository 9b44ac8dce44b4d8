"""One pass over a source of any size: a stream of statistics, the last of which is final."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from normviz.errors import NormvizError, ParameterError, ReadError
from normviz.images import Image
from normviz.read import Limits, Part, Parts, Problem, parts_of
from normviz.statistics.accumulate import Accumulator
from normviz.statistics.checkpoint import Checkpoint
from normviz.statistics.dataset import DatasetStatistics, Reading
from normviz.statistics.engines import Engine, Here, Pool
from normviz.statistics.patches import PatchPlan
from normviz.statistics.rows import KEPT, Row, kept

FEWEST_FOR_UNTIL = 100
"""An estimate is trusted to stop a scan from this many images (or shards) on."""

# The calling thread takes so many at a time, and of up to so many images each by itself.
_AT_A_TIME, _FEW = 8, 256

# A worker is handed this many images at a time: some tenths of a second of work.
_IMAGES_A_PART = 32

# An engine of many machines may join the results of this many parts before it hands them over.
_PARTS_TOGETHER = 16

# A checkpoint is written at most this often, in seconds, and takes at most this share of the time:
# with a mean image and many labels it has megabytes.
_RECORD_EVERY, _RECORD_SHARE = 2.0, 0.05

Transform = Callable[[Image], Image]


class Found(NamedTuple):
    """What a part came to."""

    statistics: DatasetStatistics
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Task:
    """What is done to each part, wherever it is measured."""

    mean_image: int | None
    patches: PatchPlan | None
    transform: Transform | None
    by_shard: bool
    together: int = _PARTS_TOGETHER

    def __call__(self, part: Part) -> Found:
        total = Accumulator(self.mean_image, self.patches)
        rows = []
        for position, item in part.images():
            if isinstance(item, Problem):
                total.fail(item)
                continue
            try:
                image = item if self.transform is None else self.transform(item)
            except ReadError as error:
                total.fail(Problem.of(error))
                continue
            except NormvizError as error:
                total.fail(Problem(item.path, str(error).rstrip(".")))
                continue
            rows.append(total.add(image, position))
        return self._found(total, rows)

    def joined(self, results: Sequence[Found]) -> Found:
        """What consecutive parts come to."""
        statistics = results[0].statistics
        for one in results[1:]:
            statistics = statistics.merge(one.statistics)
        return Found(statistics, tuple(row for one in results for row in one.rows))

    def halves(self, part: Part) -> Sequence[Part]:
        return part.halves()

    def whole(self, results: Sequence[Found]) -> Found:
        """What a part comes to that was measured in halves: one shard, if it is one."""
        found = self.joined(results)
        return found._replace(statistics=found.statistics.as_unit()) if self.by_shard else found

    def lost(self, part: Part) -> Found:
        """What a part comes to that ends every process which reads it."""
        total = Accumulator(self.mean_image, self.patches)
        total.fail(
            Problem(
                part.name,
                "every process that read it was ended by the system",
                "Look for a damaged or very large file in it",
            )
        )
        return self._found(total, [])

    def _found(self, total: Accumulator, rows: list[Row]) -> Found:
        # The rows travel once, beside the statistics.
        statistics = replace(total.statistics(), rows=())
        return Found(statistics.as_unit() if self.by_shard else statistics, tuple(rows))


def scan(
    source: Any,
    *,
    mean_image: int | None = None,
    patches: PatchPlan | None = None,
    transform: Transform | None = None,
    engine: Engine | Executor | None = None,
    seed: int | None = None,
    until: float | None = None,
    checkpoint: str | Path | None = None,
    on_rows: Callable[[Sequence[Row]], Any] | None = None,
    every: float = 0.25,
    images_a_part: int | None = None,
    limits: Limits | None = None,
) -> Iterator[DatasetStatistics]:
    """Yield the statistics so far about each ``every`` seconds; the last one yielded is final.

    Stop early by not asking for the next one.

    ``source``: what :func:`normviz.read` takes, or images (``Photos`` or any iterable of them).
    ``mean_image``: the side in pixels of the mean and std image to keep (None: neither); images
    are squeezed to that square by area averaging, as Caffe's ``convert_imageset`` resizes. Images
    that all have one size of no more pixels keep it: nothing is resized then.
    ``patches``: which patches to sum for whitening. ``transform`` is done to each image first.

    ``engine``: where the work is done: one of ``normviz.statistics.engines`` or any
    ``concurrent.futures.Executor``; by default the calling thread. The result is the same to the
    bit with any, and whatever was killed and started again on the way.

    ``seed``: read in random order, so that what was read so far is an estimate of the whole, with
    an interval (``statistics.estimate``). ``until``: stop when the 95 % intervals of all channels'
    means and stds are at most this wide to either side, as a fraction of the value range; implies
    a seed. ``checkpoint``: a file that keeps what is done; a scan of the same source goes on from
    it. ``on_rows`` is called with the rows of the images, in the order in which they are read.
    ``images_a_part``: how many images are handed to a worker at a time.

    >>> import numpy as np
    >>> from normviz.images import image_of
    >>> dark, light = (image_of(np.full((2, 2), v, np.uint8)) for v in (0, 200))
    >>> *_, stats = scan([dark, light])
    >>> float(stats.mean[0]), float(stats.std.pooled[0]), float(stats.std.mean_of_images[0])
    (100.0, 100.0, 0.0)
    """
    if until is not None and not 0 < until < 1:
        raise ParameterError(
            f"until is a share of the value range between 0 and 1, such as 0.002; got {until!r}."
        )
    if until is not None and seed is None:
        seed = 0
    place: Engine = (
        Here() if engine is None else (Pool(engine) if isinstance(engine, Executor) else engine)
    )
    if isinstance(source, Iterator):
        if seed is not None or checkpoint is not None:
            raise ParameterError(
                "an iterator of images can be read once, in its own order: no seed, until or "
                "checkpoint. Give a list, or the address of the images."
            )
        parts: Parts | _Passing = _Passing(source)
    elif isinstance(source, Parts):
        parts = source
    else:
        parts = parts_of(source, images_a_part or _IMAGES_A_PART, seed, limits)
        # In the calling thread a stop is heard after each part: one image of those at hand, some
        # of many. But where a scan stops, and where it goes on, must not depend on the engine.
        alone = isinstance(place, Here) and until is None and checkpoint is None
        if alone and images_a_part is None:
            few = parts.total is not None and parts.total <= _FEW
            parts = parts.in_parts_of(1 if few else _AT_A_TIME)
    task = Task(
        mean_image,
        patches,
        transform,
        by_shard=parts.unit == "shard",
        together=1 if until is not None else _PARTS_TOGETHER,
    )
    kept_file = None
    if checkpoint is not None:
        kept_file = Checkpoint(Path(checkpoint), _plan(parts, task, seed, on_rows is not None))
    try:
        yield from _Scan(parts, task, seed, until, kept_file, on_rows, every).run(place)
    finally:
        if kept_file is not None:
            kept_file.close()


def scanned(source: Any, **options: Any) -> DatasetStatistics:
    """Read every image once and return the statistics of the set: the last of :func:`scan`.

    >>> import numpy as np
    >>> from normviz.images import image_of
    >>> scanned([image_of(np.full((2, 2), 7, np.uint8))]).mean.tolist()
    [7.0]
    """
    *_, final = scan(source, every=float("inf"), **options)
    return final


class _One(NamedTuple):
    """A part of one image that is in memory."""

    position: int
    image: Image

    def images(self) -> Iterator[tuple[int, Image]]:
        yield self


class _Passing:
    """The parts of an iterator of images, one an image; how many there are is not known."""

    unit, total, problems, identity = "image", None, (), ""

    def __init__(self, images: Iterator[Image]) -> None:
        self._images = images

    def __iter__(self) -> Iterator[_One]:
        return map(_One._make, enumerate(self._images))


class _State(NamedTuple):
    """What is done: replaced as a whole, so that an interruption leaves it true."""

    statistics: DatasetStatistics
    rows: tuple[Row, ...]
    done: int
    """How many parts, from the first."""


class _Scan:
    """One scan as it runs."""

    def __init__(
        self,
        parts: Parts | _Passing,
        task: Task,
        seed: int | None,
        until: float | None,
        kept_file: Checkpoint | None,
        on_rows: Callable[[Sequence[Row]], Any] | None,
        every: float,
    ) -> None:
        self._parts, self._task, self._until = parts, task, until
        self._file, self._on_rows, self._every = kept_file, on_rows, every
        self._unit = None if seed is None else parts.unit
        listed = Accumulator(task.mean_image, task.patches)
        for problem in parts.problems:
            listed.fail(problem)
        self._state = _State(listed.statistics(), (), 0)
        self._unwritten: list[tuple[int, tuple[Row, ...]]] = []
        self._record_at = time.monotonic() + _RECORD_EVERY

    def run(self, engine: Engine) -> Iterator[DatasetStatistics]:
        self._resume()
        shown = time.monotonic()
        enough = self._enough()
        if not enough:
            left = islice(iter(self._parts), self._state.done, None)
            results = engine.results(self._task, left)
            try:
                for count, found in results:
                    self._add(count, found)
                    if enough := self._enough():
                        break
                    if time.monotonic() - shown >= self._every:
                        yield self._snapshot(complete=False)
                        shown = time.monotonic()
            finally:
                results.close()
                self._record()
        # What was known well enough may have been all of it.
        complete = not enough or self._state.done == _count(self._parts)
        yield self._snapshot(complete)

    def _resume(self) -> None:
        if self._file is None or self._file.statistics is None:
            return
        stored = self._file.statistics
        self._state = _State(replace(stored, rows=()), stored.rows, self._file.done)
        if self._on_rows is not None:
            for rows in self._file.rows():
                self._on_rows(rows)

    def _add(self, count: int, found: Found) -> None:
        statistics, rows, done = self._state
        rows += found.rows
        if self._on_rows is not None:
            self._on_rows(found.rows)
            if self._file is not None:
                self._unwritten.append((done, found.rows))
        self._state = _State(
            statistics.merge(found.statistics),
            kept(rows) if len(rows) > 2 * KEPT else rows,
            done + count,
        )
        if self._file is not None and time.monotonic() >= self._record_at:
            self._record()

    def _record(self) -> None:
        statistics, rows, done = self._state
        if self._file is None or self._file.done == done:
            return
        start = time.monotonic()
        written = [one for one in self._unwritten if one[0] < done]
        self._file.record(done, replace(statistics, rows=kept(rows)), written)
        self._unwritten = [one for one in self._unwritten if one[0] >= done]
        end = time.monotonic()
        self._record_at = end + max(_RECORD_EVERY, (end - start) / _RECORD_SHARE)

    def _enough(self) -> bool:
        if (
            self._until is None
            or not _is_look(self._state.done)
            or not self._state.statistics.images
        ):
            return False
        estimate = self._snapshot(complete=False, rows=False).estimate
        return (
            estimate is not None
            and estimate.count >= FEWEST_FOR_UNTIL
            and estimate.widest <= self._until
        )

    def _snapshot(self, complete: bool, rows: bool = True) -> DatasetStatistics:
        parts = self._parts
        units = _count(parts) if self._unit == "shard" else parts.total
        return replace(
            self._state.statistics,
            rows=kept(self._state.rows) if rows else (),
            reading=Reading(complete, parts.total, self._unit, units),
        )


def _count(parts: Parts | _Passing) -> int | None:
    return None if isinstance(parts, _Passing) else len(parts)


def _is_look(parts: int) -> bool:
    """Whether it is decided after so many parts if they are enough: at steps that grow by 6–12 %.

    Who looks after every image and stops at the first interval that is narrow enough stops where
    it is too narrow by chance. And it must not depend on where a scan was interrupted.

    >>> [parts for parts in range(40) if _is_look(parts)][12:]
    [12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30, 32, 36]
    """
    return parts % (1 << max(0, parts.bit_length() - 4)) == 0


def _plan(parts: Parts | _Passing, task: Task, seed: int | None, with_rows: bool) -> str:
    """Say what is measured, and how, so that only the same is gone on with."""
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        # A function is known by its name, not by its place in memory.
        transform = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(task.transform))
    what = (parts.identity, _count(parts), seed, task.mean_image, task.patches, with_rows)
    how = repr((what, transform))
    return blake2b(how.encode(errors="backslashreplace"), digest_size=16).hexdigest()
