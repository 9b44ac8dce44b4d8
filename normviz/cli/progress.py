"""A scan that is watched: a bar with the running estimate, and a stop that loses nothing."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from normviz.cli.words import images_text
from normviz.images import CHANNEL_NAMES
from normviz.read import Parts
from normviz.statistics import DatasetStatistics, scan
from normviz.statistics.engines import Engine


class Stopped(KeyboardInterrupt):
    """Ctrl-C; its text says how far the work had come and how to go on."""


def watched(
    parts: Parts, engine: Engine, *, checkpoint: Path | None = None, **options: Any
) -> DatasetStatistics:
    """Scan to the end, or to the first Ctrl-C, which raises :class:`Stopped`.

    A bar is drawn when standard error is a terminal.
    """
    goes_on = checkpoint is not None and checkpoint.exists()
    final = DatasetStatistics.empty()
    listed = len(parts.problems)
    with stop_asked() as stopping, bar(parts.total) as shown:
        stream: Any = scan(parts, engine=engine, checkpoint=checkpoint, **options)
        with contextlib.closing(stream):
            for final in stream:
                done = final.images + final.unreadable - listed
                if goes_on:
                    # What the checkpoint held took no time now.
                    shown.initial, goes_on = done, False
                if not shown.disable:
                    shown.set_postfix_str(running(final), refresh=False)
                    shown.update(done - shown.n)
                if stopping() and not (final.reading and final.reading.complete):
                    stream.close()
                    raise Stopped(_how_far(final, checkpoint))
    return final


def running(stats: DatasetStatistics) -> str:
    """Say mean and std so far as fractions, with 95 % intervals where the order is random.

    >>> running(DatasetStatistics.empty())
    ''
    """
    if not stats.images:
        return ""
    estimate = stats.estimate
    words = []
    for name, values in (("mean", stats.fraction_mean), ("std", stats.fraction_std)):
        halves = getattr(estimate, name) if estimate is not None else [math.inf] * len(values)
        numbers = [
            f"{channel} {with_interval(value, half)}"
            for channel, value, half in zip(
                CHANNEL_NAMES[stats.channels], values, halves, strict=True
            )
        ]
        words.append(f"{name} {', '.join(numbers)}")
    return "; ".join(words)


def with_interval(value: float, half: float) -> str:
    """Return a number to the second digit of its half-width.

    >>> with_interval(0.48123, 0.0123), with_interval(0.48123, math.inf)
    ('.481 ± .012', '.481')
    """
    if not math.isfinite(half):
        return _short(value, 3)
    digits = min(6, max(2, 1 - math.floor(math.log10(half)))) if half else 6
    return f"{_short(value, digits)} ± {_short(half, digits)}"


def _short(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def bar(total: int | None) -> Any:
    """A bar of images on standard error; nothing where that is no terminal."""
    return tqdm(
        total=total,
        unit=" images",
        file=sys.stderr,
        leave=False,
        dynamic_ncols=True,
        mininterval=0,
        disable=not sys.stderr.isatty(),
    )


@contextlib.contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether Ctrl-C was pressed; a second one interrupts at once."""
    pressed: list[bool] = []

    def note(number: int, frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nnormviz: stopping when what is being read is done; Ctrl-C: at once.\n")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _how_far(stats: DatasetStatistics, checkpoint: Path | None) -> str:
    reading = stats.reading
    of = f" of {reading.total:,}" if reading is not None and reading.total is not None else ""
    said = f"stopped after {images_text(stats.images)}{of}; no statistics were written."
    if stats.estimate is not None:
        said += f" The estimate so far: {running(stats)}."
    if checkpoint is None:
        return f"{said} With --checkpoint FILE a scan can be gone on with."
    return f"{said} The same command goes on from {checkpoint}."
