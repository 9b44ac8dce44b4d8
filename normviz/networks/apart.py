"""Run work on a visitor's model in a process of its own, bounded in memory and time.

A model may ask for any amount of memory, run for hours or bring ONNX Runtime down. In its own
process it takes nobody along: the app gets a sentence and goes on.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from threadpoolctl import threadpool_limits

from normviz.errors import LimitError, NormvizError, ParameterError, ReadError
from normviz.read.limits import Limits, size_text

T = TypeVar("T")

_PREFIX = 8
"""Bytes of the length that stands before each message."""

_OF_MEMORY = (
    "bad_alloc",
    "bad allocation",
    "allocate memory",
    "MemoryError",
    "out of memory",
    "Failed to serialize",
)


def apart(
    work: Callable[..., Iterator[T]], *args: Any, name: str = "", limits: Limits | None = None
) -> Iterator[T]:
    """Yield what ``work(*args)`` yields, run in a process of its own.

    ``work`` is a generator function that can be imported by its name; ``args`` and what it yields
    are pickled between two processes of ours. ``name`` is what the model is called in errors.
    It may use :attr:`Limits.max_model_memory_bytes` beside what the process has once all is
    imported (not bounded where the system cannot: Windows, macOS), and
    :attr:`Limits.max_model_seconds` of waiting for it; time that the reader spends between two
    records does not count. What it prints is dropped. Closed before its end, the process is
    killed at once; it also ends when this one does.

    Raises what ``work`` raises; :class:`LimitError` for too much memory or time,
    :class:`ReadError` when the process dies, :class:`ParameterError` for work without a module.
    """
    if work.__module__ == "__main__" or "<" in work.__qualname__:
        raise ParameterError(f"{work.__qualname__} cannot be imported by its name.")
    limits = limits or Limits.from_environment()
    request = pickle.dumps((limits.max_model_memory_bytes, work, args))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "normviz.networks.apart"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Modules are found there as here, wherever this process found them.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)},
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    watch = _Watch(process, limits.max_model_seconds)
    try:
        with watch, contextlib.suppress(BrokenPipeError):
            _send(process.stdin, request)
        while True:
            with watch:
                kind, found = _received(process.stdout)
            if kind == "record":
                yield found
            elif kind == "end":
                return
            elif kind == "error":
                raise found
            elif watch.rang:
                raise _too_slow(name, limits)
            elif kind == "memory":
                raise _too_large(name, limits)
            else:
                raise _died(name, process.wait(), limits)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


class _Watch:
    """Kills a process once the time spent inside ``with`` reaches so many seconds."""

    def __init__(self, process: subprocess.Popen, seconds: float) -> None:
        self._process, self._left = process, float(seconds)
        self.rang = False

    def __enter__(self) -> None:
        self._began = time.monotonic()
        self._timer = threading.Timer(max(self._left, 0), self._ring)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._left -= time.monotonic() - self._began

    def _ring(self) -> None:
        self.rang = True
        self._process.kill()


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(_PREFIX, "little"))
    pipe.write(message)
    pipe.flush()


def _received(pipe: IO[bytes]) -> tuple[str, Any]:
    """The next message; ("", None) when the process ended without one."""
    length = pipe.read(_PREFIX)
    if len(length) < _PREFIX:
        return "", None
    message = pipe.read(int.from_bytes(length, "little"))
    if len(message) < int.from_bytes(length, "little"):
        return "", None
    return pickle.loads(message)


def _too_large(name: str, limits: Limits) -> LimitError:
    return LimitError(
        name,
        f"the model needs more than {size_text(limits.max_model_memory_bytes)} of memory",
        "Use a smaller version of the network or smaller images, or raise "
        "NORMVIZ_MAX_MODEL_MEMORY_BYTES",
    )


def _too_slow(name: str, limits: Limits) -> LimitError:
    return LimitError(
        name,
        f"the model took longer than {limits.max_model_seconds} s",
        "Use fewer images or a smaller version of the network, or raise NORMVIZ_MAX_MODEL_SECONDS",
    )


def _died(name: str, code: int, limits: Limits) -> ReadError:
    how = f"with code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"by {signal.Signals(-code).name}"
    return ReadError(
        name,
        f"running the model ended its process ({how}); the app is unharmed",
        "The model may be damaged, or need more than "
        f"{size_text(limits.max_model_memory_bytes)} of memory",
    )


def _serve() -> None:
    """The other side: do the work that is asked for on the input, answer on the output."""
    answers = os.fdopen(os.dup(1), "wb")
    questions = os.fdopen(os.dup(0), "rb", buffering=0)
    # What the work prints, or a library beside Python, must not come between the answers.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    try:
        memory, work, args = pickle.loads(_whole(questions))
        threading.Thread(target=_until_closed, args=(questions,), daemon=True).start()
        # The images of a network are spread over threads; each product of matrices needs only one.
        threadpool_limits(1, "blas")
        _bound_memory(memory)
        for record in work(*args):
            _send(answers, pickle.dumps(("record", record)))
        message = pickle.dumps(("end", None))
    except MemoryError:
        message = pickle.dumps(("memory", None))
    except NormvizError as error:
        of_memory = any(words in str(error) for words in _OF_MEMORY)
        message = pickle.dumps(("memory", None) if of_memory else ("error", error))
    except Exception as error:
        message = _unforeseen(error)
    _send(answers, message)
    # Threads of the work that still run are not waited for.
    os._exit(0)


def _whole(questions: Any) -> bytes:
    length = int.from_bytes(questions.read(_PREFIX), "little")
    parts = bytearray()
    while len(parts) < length:
        some = questions.read(length - len(parts))
        if not some:
            os._exit(1)
        parts += some
    return bytes(parts)


def _until_closed(questions: Any) -> None:
    """End this process when the one that asked is gone, also in the middle of the work."""
    while questions.read(1):
        pass
    os._exit(1)


def _bound_memory(limit: int) -> None:
    """Let this process allocate so many bytes beside what it has with all libraries imported."""
    with contextlib.suppress(ImportError):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    try:
        import resource
    except ImportError:  # Windows has no such bound.
        return
    status = Path("/proc/self/status")
    if not status.exists():
        return
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    # Private memory alone: files mapped in and addresses only reserved cost nothing.
    bound = 1024 * int(lines["VmData"].split()[0]) + limit
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        bound = min(bound, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def _unforeseen(error: Exception) -> bytes:
    """An error that is none of ours, with where it came from; as text when it cannot travel."""
    where = "".join(traceback.format_exception(error))
    if any(words in where for words in _OF_MEMORY):
        return pickle.dumps(("memory", None))
    try:
        error.add_note(where)
        message = pickle.dumps(("error", error))
        pickle.loads(message)
    except Exception:
        message = pickle.dumps(("error", RuntimeError(where)))
    return message


if __name__ == "__main__":
    _serve()
