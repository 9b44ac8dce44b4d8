"""Where the parts of a scan are measured: here, in a pool of processes, or on any executor.

An engine takes work and parts, and gives the results in the order of the parts, a bounded number
of them ahead. It never sees an image: parts are names and numbers, results are statistics.
(Dask has a file of its own, :mod:`normviz.statistics.on_dask`.)
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from functools import cache, partial
from itertools import islice
from typing import Any, Protocol

import cv2
from threadpoolctl import threadpool_limits

from normviz.errors import NormvizError, ParameterError

AHEAD = 4
"""So many parts a worker are handed out ahead of the one whose result is waited for."""

# Seconds after which it is looked whether the workers still live.
_WATCH = 2.0

# A part during which workers ended this often is measured in a process of its own.
_ATTEMPTS = 2


class Work(Protocol):
    """What is done to a part, and what becomes of one that ends each process which tries."""

    @property
    def together(self) -> int:
        """How many consecutive results may come as one."""
        ...

    def __call__(self, part: Any) -> Any:
        """The result of a part."""
        ...

    def joined(self, results: Sequence[Any]) -> Any:
        """One result of those of consecutive parts."""
        ...

    def halves(self, part: Any) -> Sequence[Any]:
        """Cut a part in two; one that cannot be cut stays whole."""
        ...

    def whole(self, results: Sequence[Any]) -> Any:
        """The result of a part from those of its halves."""
        ...

    def lost(self, part: Any) -> Any:
        """The result of a part that cannot be measured."""
        ...


class Engine(Protocol):
    """What :func:`normviz.statistics.scan` asks of the place where parts are measured."""

    def results(self, work: Work, parts: Iterable[Any]) -> Generator[tuple[int, Any], None, None]:
        """Yield ``(how many parts, their result)`` in the order of the parts.

        Closed before its end, it stops what it began.
        """
        ...


class Here:
    """Measures in the calling thread, one part after the other."""

    def results(self, work, parts):
        for part in parts:
            yield 1, work(part)


class Pool:
    """Measures on any :class:`concurrent.futures.Executor`; the caller shuts it down.

    ``ahead``: how many parts are handed out at a time.
    """

    def __init__(self, executor: Executor, ahead: int = 16) -> None:
        self._executor, self._ahead = executor, ahead

    def results(self, work, parts):
        try:
            for result in _in_order(self._executor, work, parts, self._ahead):
                yield 1, result
        except BrokenExecutor:
            raise NormvizError(
                "the executor's workers ended before the work was done. Start the scan again; "
                "with a checkpoint it goes on where it stopped."
            ) from None


class Processes:
    """Measures in a pool of local processes, which is made anew when one of them is killed.

    ``workers``: how many; by default the processor's cores. A script that uses it does so under
    ``if __name__ == "__main__":``, because each process imports the script.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ParameterError(f"at least one process is needed, got {workers}.")
        self.workers = workers or os.cpu_count() or 1

    def results(self, work, parts):
        refuse_unpicklable(work)
        queue = _Queue(parts)
        pool = _started(self.workers)
        try:
            while queue:
                if queue.attempts >= _ATTEMPTS:
                    yield 1, rescued(work, queue.take(), _alone(work))
                    continue
                try:
                    ahead, lives = AHEAD * self.workers, partial(_lives, pool)
                    for result in _in_order(pool, work, queue.handed(), ahead, lives):
                        queue.done()
                        yield 1, result
                except BrokenExecutor:
                    _end(pool)
                    pool = _started(self.workers)
                    queue.put_back()
        except BaseException:
            _end(pool)
            raise
        pool.shutdown()


class WorkerEnded(Exception):
    """A process ended while it measured a part."""


def rescued(work: Work, part: Any, alone: Callable[[Any], Any]) -> Any:
    """Return the result of a part, of which halves that end their process are lost, and no more.

    ``alone`` measures a part where nothing else can be to blame, and raises :class:`WorkerEnded`.
    """
    try:
        return alone(part)
    except WorkerEnded:
        pass
    halves = work.halves(part)
    if len(halves) < 2:
        return work.lost(part)
    return work.whole([rescued(work, half, alone) for half in halves])


def refuse_unpicklable(work: Work) -> None:
    """Raise :class:`ParameterError` for work that cannot be sent to another process."""
    try:
        pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ParameterError(
            f"the transform cannot be sent to another process ({error}). Make it a function of a "
            "module, not one inside another function, or scan without an engine."
        ) from None


@cache
def one_thread() -> None:
    """Keep OpenCV and BLAS to one thread in this process: the workers are as many as the cores."""
    cv2.setNumThreads(1)
    threadpool_limits(1, "blas")


@cache
def keep_memory() -> None:
    """Have this process keep the memory of one image for the next, where its C library is glibc.

    Memory that goes back to the system is had again a page at a time. Dask asks its workers to
    give it back early, which made a pass take twice as long; elsewhere it is a tenth.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, limit in ((_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, 128 << 20)):
        mallopt(option, limit)


# As in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def _alone(work: Work) -> Callable[[Any], Any]:
    def alone(part: Any) -> Any:
        pool = _started(1)
        try:
            result = _awaited(pool.submit(work, part), partial(_lives, pool))
        except BrokenExecutor:
            _end(pool)
            raise WorkerEnded from None
        except BaseException:
            _end(pool)
            raise
        pool.shutdown()
        return result

    return alone


def _started(workers: int) -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(workers, mp_context=_context(), initializer=_prepare)
    try:
        pool.submit(os.getpid).result()
    except BrokenExecutor:
        raise NormvizError(
            "no process could be started to measure in. In a script, what starts the scan must "
            'stand under if __name__ == "__main__":, because each process imports the script.'
        ) from None
    return pool


def _end(pool: ProcessPoolExecutor) -> None:
    """Shut a pool down at once, whatever its processes are at."""
    # As terminate_workers() does, which comes with Python 3.14.
    for process in list((pool._processes or {}).values()):
        process.kill()
    # A process that ends while it sends a result leaves a part of it in the pipe. The pool's thread
    # would wait for the rest for ever, as long as anybody could still write it.
    results: Any = getattr(pool, "_result_queue", None)
    if results is not None:
        results._writer.close()
    pool.shutdown()


def _lives(pool: ProcessPoolExecutor) -> bool:
    return all(process.is_alive() for process in list((pool._processes or {}).values()))


def _context() -> Any:
    # Forking a process that has threads may lock up; a fork server has none.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["normviz.statistics.scanning"])
    return context


def _prepare() -> None:
    one_thread()
    keep_memory()
    # Ctrl-C reaches every process of the terminal; the one that scans decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A process whose parent was killed would wait for work for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Tried:
    """A part that is handed out, and during how many of its attempts a process ended."""

    def __init__(self, part: Any) -> None:
        self.part, self.attempts = part, 0


class _Queue:
    """Parts in order; those that were handed out and are not done can be put back."""

    def __init__(self, parts: Iterable[Any]) -> None:
        self._source = map(_Tried, parts)
        self._front: deque[_Tried] = deque()
        self._out: deque[_Tried] = deque()

    def __bool__(self) -> bool:
        if not self._front:
            self._front.extend(islice(self._source, 1))
        return bool(self._front)

    @property
    def attempts(self) -> int:
        """How many attempts the next part has behind it."""
        return self._front[0].attempts

    def take(self) -> Any:
        return self._front.popleft().part

    def handed(self) -> Iterator[Any]:
        """Yield parts, up to one that must be measured alone."""
        while self and self.attempts < _ATTEMPTS:
            self._out.append(self._front.popleft())
            yield self._out[-1].part

    def done(self) -> None:
        """The first part that was handed out is done."""
        self._out.popleft()

    def put_back(self) -> None:
        for one in self._out:
            one.attempts += 1
        self._front.extendleft(reversed(self._out))
        self._out.clear()


def _in_order(
    executor: Executor,
    work: Work,
    parts: Iterable[Any],
    ahead: int,
    lives: Callable[[], bool] | None = None,
) -> Iterator[Any]:
    """Yield results in order, with at most ``ahead`` parts handed out.

    ``lives`` tells whether the workers do; they are then ended with what is handed out to them,
    which is cancelled otherwise.
    """
    running: deque[Future[Any]] = deque()
    try:
        for part in parts:
            running.append(executor.submit(work, part))
            if len(running) >= ahead:
                yield _awaited(running.popleft(), lives)
        while running:
            yield _awaited(running.popleft(), lives)
    finally:
        # The thread of a pool whose processes ended stumbles over what was cancelled.
        if lives is None:
            for future in running:
                future.cancel()


def _awaited(future: Future[Any], lives: Callable[[], bool] | None) -> Any:
    while True:
        try:
            return future.result(timeout=_WATCH)
        except TimeoutError:
            if future.done():
                return future.result()
            # A pool does not see that a worker ended while it sent its result.
            if lives is not None and not lives():
                raise BrokenExecutor from None
