"""Long work of the lab in a thread of its own: a page draws what has come, and can cancel it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from normviz.errors import NormvizError
from normviz.lab import Record, Workers

EVERY = 0.5
"""A page draws a run under way anew after so many seconds."""

AWAY = 20.0
"""A run that nobody has looked at for so many seconds is cancelled: its page was left."""


class Run:
    """One run: ``work(workers)`` yields records, and what it comes to last.

    ``news`` are the records so far, ``result`` what it came to, ``failed`` why it broke off.
    """

    def __init__(self, work: Callable[[Workers], Iterator[Any]]) -> None:
        self.news: list[Record] = []
        self.result: Any = None
        self.failed = ""
        self.busy = True
        self._workers = Workers(2)
        self._cancelled = False
        self._began = self._seen = time.monotonic()
        threading.Thread(target=self._go, args=(work,), daemon=True).start()

    @property
    def seconds(self) -> float:
        """How long ago it was begun."""
        return time.monotonic() - self._began

    def seen(self) -> None:
        """Say that somebody is looking."""
        self._seen = time.monotonic()

    def cancel(self) -> None:
        """End it now; nothing comes of it."""
        self._cancelled = True
        self._workers.close()

    def _go(self, work: Callable[[Workers], Iterator[Any]]) -> None:
        try:
            for one in work(self._workers):
                if self._cancelled or time.monotonic() - self._seen > AWAY:
                    break
                if isinstance(one, Record):
                    self.news.append(one)
                else:
                    self.result = one
        except NormvizError as error:
            self.failed = "" if self._cancelled else str(error)
        except Exception as error:
            # A thread has nobody to raise to; the page says it.
            self.failed = "" if self._cancelled else f"It broke off: {type(error).__name__}."
        finally:
            try:
                self._workers.close()
            finally:
                # A page waits for the end, which comes whatever became of the processes.
                self.busy = False
