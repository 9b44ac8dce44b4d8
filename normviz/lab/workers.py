"""Processes that do the seeds of an experiment, one BLAS thread each, and can be ended at once.

A pool of Python's own would import the page that started it; here each worker is
``python -m normviz.lab.worker``, which reads tasks from its input and writes records to its output.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

from normviz.errors import NormvizError

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_ROOT = Path(__file__).resolve().parents[2]
_ENDED = "ended"


class Workers:
    """Some processes for a run; leaving the ``with`` block ends them, in the middle of work too.

    ``run`` may be used again and again, one run at a time, which saves the start of a process.
    ``close`` may be called from another thread: the run there raises :class:`NormvizError`.
    """

    def __init__(self, number: int = 2) -> None:
        self.number = max(1, number)
        self._processes: list[subprocess.Popen[bytes]] = []
        # None is started while another thread ends them: it would be waited for in vain.
        self._changing = threading.Lock()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the processes that are missing; they load while the page is drawn."""
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with self._changing:
            self._processes = [one for one in self._processes if one.poll() is None]
            while len(self._processes) < self.number:
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "normviz.lab.worker"],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
                    )
                )

    def close(self) -> None:
        """End all processes now, whatever they do."""
        # Taken away first: of two threads that close, each process is closed by one.
        with self._changing:
            processes, self._processes = self._processes, []
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    # What was still on its way has nobody to arrive at.
                    with contextlib.suppress(OSError):
                        pipe.close()

    def run(self, tasks: Sequence[Any]) -> Generator[tuple[int, Any], None, None]:
        """Yield ``(number of the task, record)`` as they come; each task's own are in order.

        Closed before its end, it ends the processes. Raises what a task raised.
        """
        self.start()
        waiting = iter(enumerate(tasks))
        arrived: queue.Queue[tuple[int | None, str, Any]] = queue.Queue()
        threads = [
            threading.Thread(target=_attend, args=(process, waiting, arrived), daemon=True)
            for process in self._processes[: len(tasks)]
        ]
        finished = False
        try:
            for thread in threads:
                thread.start()
            left = len(threads)
            while left:
                number, kind, value = arrived.get()
                if kind == _ENDED:
                    left -= 1
                elif kind == "error":
                    raise value
                else:
                    assert number is not None
                    yield number, value
            finished = True
        finally:
            if not finished:
                self.close()


_next_task = threading.Lock()


def _attend(
    process: subprocess.Popen[bytes],
    waiting: Iterable[tuple[int, Any]],
    arrived: queue.Queue[tuple[int | None, str, Any]],
) -> None:
    """Hand a process one task after the other and pass on what it writes."""
    assert process.stdin is not None and process.stdout is not None
    tasks = iter(waiting)
    number: int | None = None
    try:
        while True:
            with _next_task:
                number, task = next(tasks, (None, None))
            if number is None:
                break
            pickle.dump(task, process.stdin)
            process.stdin.flush()
            while True:
                kind, value = pickle.load(process.stdout)
                if kind == "done":
                    break
                arrived.put((number, kind, value))
    except (EOFError, OSError, ValueError, pickle.UnpicklingError):
        gone = NormvizError("A process of the lab ended before its work. Run it again.")
        arrived.put((number, "error", gone))
    finally:
        arrived.put((None, _ENDED, None))
