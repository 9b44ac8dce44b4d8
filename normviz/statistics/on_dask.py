"""Measuring on a Dask cluster: where one machine is not enough.

Workers read and measure the parts, and join the results of consecutive ones among themselves; what
passes the scheduler is the names of parts, and statistics of hundreds of images at a time.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from typing import Any, NamedTuple

from normviz.errors import NormvizError, ParameterError
from normviz.read.remote import error_text
from normviz.statistics.engines import (
    AHEAD,
    Work,
    WorkerEnded,
    keep_memory,
    one_thread,
    refuse_unpicklable,
    rescued,
)

# A part that fails for a reason that may pass, such as a network, is tried again this often.
_RETRIES = 2

# Of an own cluster. What ends its worker twice is measured alone, as in a pool of processes. And a
# worker that is killed again and again is started anew each time, not given up as lost.
_OWN = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.deploy.lost-worker-timeout": "1 day",
}

# Seconds until a scheduler must have answered, and until it must have a worker.
_ANSWER, _WORKER = 10, 120

_ADDRESS = re.compile(r"[a-z]+://(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:/@\[\]]+):(?P<port>[0-9]{1,5})")


class Dask:
    """Measures on the Dask cluster of ``scheduler``, such as ``"tcp://10.0.0.1:8786"``.

    Without an address on a cluster of its own: ``workers`` local processes (by default as many
    as the processor has cores). Needs ``pip install "normviz[dask]"``, on each worker too.

    As a context manager it keeps its connection, and its cluster, for several scans; otherwise
    each scan opens and closes them. A script does so under ``if __name__ == "__main__":``.
    """

    def __init__(self, scheduler: str | None = None, workers: int | None = None) -> None:
        if scheduler is not None and workers is not None:
            raise ParameterError(
                "a scheduler has its own workers: give its address, or a number of local workers."
            )
        if workers is not None and workers < 1:
            raise ParameterError(f"at least one worker is needed, got {workers}.")
        if scheduler is not None:
            _refuse_no_address(scheduler)
        self._scheduler, self._workers = scheduler, workers
        self._client: Any = None
        self._own = ExitStack()

    def __enter__(self) -> Dask:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; an own one is shut down."""
        client, self._client = self._client, None
        try:
            if client is not None:
                client.close()
        finally:
            self._own.close()

    def results(self, work, parts):
        refuse_unpicklable(work)
        opened = self._client is None
        if opened:
            self._open()
        try:
            yield from self._results(work, parts)
        except CancelledError:
            raise NormvizError(
                "the Dask scheduler went away before the work was done. Start the scan again; "
                "with a checkpoint it goes on where it stopped."
            ) from None
        finally:
            if opened:
                self.close()

    def _open(self) -> None:
        try:
            import dask
            from distributed import Client, LocalCluster
        except ImportError:
            raise NormvizError(
                'Dask is not installed. Install it with: pip install "normviz[dask]".'
            ) from None
        if self._scheduler is None:
            self._own.enter_context(dask.config.set(_OWN))
            cluster = LocalCluster(
                n_workers=self._workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs="CRITICAL",
            )
            self._own.enter_context(cluster)
            self._client = Client(cluster, set_as_default=False)
            return
        # A client that is given up half made hangs, and says so, when it is collected.
        _refuse_no_answer(self._scheduler)
        self._client = Client(self._scheduler, timeout=_ANSWER, set_as_default=False)
        try:
            self._client.wait_for_workers(1, timeout=_WORKER)
        except TimeoutError:
            self.close()
            raise NormvizError(
                f"{self._scheduler}: this Dask scheduler has no workers. Start some with: "
                f"dask worker {self._scheduler}"
            ) from None

    def _results(self, work: Work, parts: Iterable[Any]):
        left = iter(parts)
        groups = iter(lambda: tuple(islice(left, work.together)), ())
        running: deque[_Group] = deque()
        try:
            for group in groups:
                running.append(self._submitted(work, group))
                while sum(len(one.parts) for one in running) >= self._ahead(work):
                    yield self._taken(work, running)
            while running:
                yield self._taken(work, running)
        finally:
            for one in running:
                self._client.cancel([*one.results, one.joined])

    def _ahead(self, work: Work) -> int:
        """How many parts are handed out; workers may come and go."""
        return AHEAD * sum(self._client.nthreads().values()) + work.together

    def _submitted(self, work: Work, parts: Sequence[Any]) -> _Group:
        results = [self._submit(_measured, work, part) for part in parts]
        # The joined result is made where most of them are, and the others are sent there.
        return _Group(parts, results, self._submit(_joined, work, results))

    def _submit(self, function: Any, *values: Any) -> Any:
        return self._client.submit(function, *values, pure=False, retries=_RETRIES)

    def _taken(self, work: Work, running: deque[_Group]) -> tuple[int, Any]:
        """Wait for the first group, and leave it in ``running`` until it is there."""
        group = running[0]
        try:
            result = _result(group.joined)
        except WorkerEnded:
            pairs = zip(group.parts, group.results, strict=True)
            result = work.joined([self._rescued(work, *pair) for pair in pairs])
        running.popleft()
        return len(group.parts), result

    def _rescued(self, work: Work, part: Any, future: Any) -> Any:
        try:
            return _result(future)
        except WorkerEnded:
            return rescued(work, part, lambda one: _result(self._submit(_measured, work, one)))


def _refuse_no_address(scheduler: str) -> None:
    """
    >>> _refuse_no_address("tcp://[::1]:8786")
    >>> _refuse_no_address("host")
    Traceback (most recent call last):
        ...
    normviz.errors.ParameterError: 'host' is no address of a Dask scheduler: give protocol, host \
and port, as it printed them when it started, such as tcp://10.0.0.1:8786.
    """
    found = _ADDRESS.fullmatch(scheduler)
    in_this_process = scheduler.startswith("inproc://")
    if not in_this_process and (found is None or not 0 < int(found["port"]) < 2**16):
        raise ParameterError(
            f"{scheduler!r} is no address of a Dask scheduler: give protocol, host and port, as it "
            "printed them when it started, such as tcp://10.0.0.1:8786."
        )


def _refuse_no_answer(scheduler: str) -> None:
    """Greet a scheduler, and say in a sentence when it does not greet back."""
    from distributed.comm import connect
    from distributed.security import Security

    async def greet() -> None:
        how = Security().get_connection_args("client")
        greeting = await asyncio.wait_for(connect(scheduler, _ANSWER, **how), _ANSWER + 1)
        await greeting.close()

    try:
        # In a thread, for this one may have a loop that runs, as in a notebook.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(greet())).result()
    except OSError:
        said = f"no Dask scheduler answers there within {_ANSWER:g} s"
    # What answers may be anything, and fail in any way.
    except Exception as error:
        said = f"no Dask scheduler can be spoken to there ({error_text(error)})"
    else:
        return
    raise NormvizError(
        f"{scheduler}: {said}. Give the address that it printed when it started, such as "
        "tcp://10.0.0.1:8786."
    )


class _Group(NamedTuple):
    """Consecutive parts, the futures of their results, and of those joined."""

    parts: Sequence[Any]
    results: Sequence[Any]
    joined: Any


def _result(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        raise WorkerEnded from None


def _measured(work: Work, part: Any) -> Any:
    one_thread()
    keep_memory()
    return work(part)


def _joined(work: Work, results: Sequence[Any]) -> Any:
    return work.joined(results)
