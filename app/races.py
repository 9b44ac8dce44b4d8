"""Races of the Train page: one set of processes for all visitors, and each visitor's own race."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from normviz.errors import NormvizError
from normviz.lab.contest import Finish, RaceSpec, Round, race
from normviz.lab.course import Course
from normviz.lab.labelled import LabelledSet
from normviz.lab.workers import Workers

IDLE = 5.0
"""Processes that nobody has used for so many seconds are ended."""

AWAY = 20.0
"""A running race that nobody has looked at for so many seconds is paused: its page was closed."""


class _Shared:
    """Processes on which visitors' rounds take turns; they end when nobody runs any."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._workers = Workers(2)
        self._used = 0.0
        self._watched = False

    def begin(self, spec: RaceSpec, source: LabelledSet) -> Iterator[Round | Finish]:
        return race(spec, source, self._workers)

    def next_of(self, news: Iterator[Round | Finish]) -> Round | Finish:
        with self._turn:
            try:
                return next(news)
            finally:
                self._used = time.monotonic()
                if not self._watched:
                    self._watched = True
                    threading.Thread(target=self._end_when_idle, daemon=True).start()

    def _end_when_idle(self) -> None:
        while True:
            time.sleep(0.5)
            with self._turn:
                if time.monotonic() - self._used > IDLE:
                    self._workers.close()
                    self._watched = False
                    return


_SHARED = _Shared()

_BREATH = 0.005
"""After its round a race waits so long, in seconds, for another's to take its turn."""


class Running:
    """A visitor's race. A thread runs its rounds while it is going and its page is looked at."""

    def __init__(self, spec: RaceSpec, source: LabelledSet) -> None:
        self.course = Course(spec, source.name)
        self.source = source
        self.going = False
        self.failed = ""
        self.seconds = 0.0
        """For how long it has been run, waiting for others' turns included."""
        self._news = _SHARED.begin(spec, source)
        self._due = 0
        self._seen = 0.0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def done(self) -> bool:
        return self.course.finish is not None or bool(self.failed)

    @property
    def busy(self) -> bool:
        """Whether rounds are being run, or will be without anybody's doing."""
        with self._lock:
            return self._thread is not None

    def is_of(self, spec: RaceSpec, source: LabelledSet) -> bool:
        return self.course.spec == spec and which(self.source) == which(source)

    def go(self) -> None:
        self.going = True
        self._run()

    def pause(self) -> None:
        """Stop after the round that is being run."""
        self.going = False
        self._due = 0

    def step(self) -> None:
        """Run one round more."""
        self.going = False
        self._due += 1
        self._run()

    def seen(self) -> None:
        """Say that somebody is looking."""
        self._seen = time.monotonic()

    def _run(self) -> None:
        self.seen()
        with self._lock:
            if self._thread is None and not self.done:
                self._thread = threading.Thread(target=self._rounds, daemon=True)
                self._thread.start()

    def _wanted(self) -> bool:
        if self.going and time.monotonic() - self._seen > AWAY:
            self.pause()
        return not self.done and (self.going or self._due > 0)

    def _rounds(self) -> None:
        while True:
            with self._lock:
                if not self._wanted():
                    self._thread = None
                    self.going = False
                    return
            began = time.monotonic()
            try:
                self._one_round()
            except NormvizError as error:
                self.failed = str(error)
            except Exception as error:
                # A thread has nobody to raise to; the page says it.
                self.failed = f"The race broke off: {type(error).__name__}."
            time.sleep(_BREATH)
            self._due = max(0, self._due - 1)
            self.seconds += time.monotonic() - began

    def _one_round(self) -> None:
        course = self.course.after(_SHARED.next_of(self._news))
        if len(course.rounds) == course.spec.rounds:
            # The end is known with the last round.
            course = course.after(_SHARED.next_of(self._news))
        self.course = course


def which(source: LabelledSet) -> object:
    """What tells two sets apart."""
    return getattr(source, "digest", source)
