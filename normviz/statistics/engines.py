"""Where the parts of a scan are measured: here, in a pool, or on any executor.

An engine takes a task and parts, and gives the results in the order of the parts, a bounded number
of them ahead. It never sees an image: parts are names and numbers, results are statistics.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from itertools import islice
from typing import Any, Protocol, TypeVar

import cv2
from threadpoolctl import threadpool_limits

from normviz.errors import NormvizError

P = TypeVar("P")
R = TypeVar("R")

# So many parts a worker are handed out ahead of the one whose result is waited for.
_AHEAD = 4

# A part during which workers ended this often is measured in a process of its own.
_ATTEMPTS = 2


class Rescue(Protocol):
    """What to do with a part whose worker ended, again and again."""

    def halves(self, part: Any) -> Sequence[Any]:
        """Cut a part in two; a part of one image stays whole."""
        ...

    def lost(self, part: Any) -> Any:
        """The result of a part that cannot be measured."""
        ...

    def joined(self, results: Sequence[Any]) -> Any:
        """One result of those of consecutive parts."""
        ...


class Engine(Protocol):
    """What :func:`normviz.statistics.scan` asks of the place where parts are measured."""

    def results(
        self, task: Callable[[Any], Any], parts: Iterable[Any], rescue: Rescue
    ) -> Generator[tuple[int, Any], None, None]:
        """Yield ``(how many parts, result)`` in the order of the parts."""
        ...


class Here:
    """Measures in the calling thread, one part after the other."""

    def results(self, task, parts, rescue):
        for part in parts:
            yield 1, task(part)


class Pool:
    """Measures on any :class:`concurrent.futures.Executor`; the caller shuts it down.

    ``ahead``: how many parts are handed out at a time.
    """

    def __init__(self, executor: Executor, ahead: int = 16) -> None:
        self._executor, self._ahead = executor, ahead

    def results(self, task, parts, rescue):
        try:
            for _, result in _in_order(self._executor, task, enumerate(parts), self._ahead):
                yield 1, result
        except BrokenExecutor:
            raise NormvizError(
                "the executor's workers ended before the work was done. Start the scan again; "
                "with a checkpoint it goes on where it stopped."
            ) from None


class Processes:
    """Measures in a pool of local processes, which is made anew when one of them is killed.

    ``workers``: how many; by default the processor's cores.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or os.cpu_count() or 1

    def results(self, task, parts, rescue):
        queue = _Queue(enumerate(parts))
        attempts: dict[int, int] = {}
        pool = self._pool()
        try:
            while (number := queue.peek()) is not None:
                if attempts.get(number, 0) >= _ATTEMPTS:
                    yield 1, self._rescued(task, queue.take()[1], rescue)
                    continue
                taken: deque[tuple[int, Any]] = deque()
                try:
                    handed = queue.taking(taken)
                    for _, result in _in_order(pool, task, handed, _AHEAD * self.workers):
                        taken.popleft()
                        yield 1, result
                except BrokenExecutor:
                    pool.shutdown(wait=False, cancel_futures=True)
                    pool = self._pool()
                    for number, _ in taken:
                        attempts[number] = attempts.get(number, 0) + 1
                    queue.put_back(taken)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _rescued(self, task, part, rescue: Rescue):
        """Measure a part in a process of its own; when that ends too, its halves, and so on."""
        with ProcessPoolExecutor(1, mp_context=_context(), initializer=_begin_worker) as pool:
            try:
                return pool.submit(task, part).result()
            except BrokenExecutor:
                pass
        halves = rescue.halves(part)
        if len(halves) < 2:
            return rescue.lost(part)
        return rescue.joined([self._rescued(task, half, rescue) for half in halves])

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.workers, mp_context=_context(), initializer=_begin_worker)


def _context() -> Any:
    # Forking a process that has threads may lock up; a fork server has none.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["normviz.statistics.scanning"])
    return context


def _begin_worker() -> None:
    # Ctrl-C in a terminal reaches every process of it; the one that asked for the work decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()


def one_thread() -> None:
    """Keep OpenCV and BLAS to one thread: the workers are as many as the cores."""
    cv2.setNumThreads(1)
    threadpool_limits(1, "blas")


class _Queue:
    """Numbered parts in order, of which some can be put back at the front."""

    def __init__(self, source: Iterator[tuple[int, Any]]) -> None:
        self._source = source
        self._front: deque[tuple[int, Any]] = deque()

    def peek(self) -> int | None:
        """The number of the next part; None at the end."""
        if not self._front:
            self._front.extend(islice(self._source, 1))
        return self._front[0][0] if self._front else None

    def take(self) -> tuple[int, Any]:
        return self._front.popleft()

    def taking(self, taken: deque) -> Iterator[tuple[int, Any]]:
        """Yield parts, noting in ``taken`` those that were handed out."""
        while self.peek() is not None:
            taken.append(self.take())
            yield taken[-1]

    def put_back(self, taken: deque) -> None:
        self._front.extendleft(reversed(taken))


def _in_order(
    executor: Executor,
    task: Callable[[P], R],
    parts: Iterator[tuple[int, P]],
    ahead: int,
) -> Iterator[tuple[int, R]]:
    """Yield ``(number, result)`` in order, with at most ``ahead`` parts handed out."""
    running: deque[tuple[int, Future[R]]] = deque()
    try:
        for number, part in parts:
            running.append((number, executor.submit(task, part)))
            if len(running) >= ahead:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
    finally:
        for _, future in running:
            future.cancel()
