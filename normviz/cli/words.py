"""Exit codes, and what is said on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from normviz.read import Problem

DONE, FAILED, USAGE, PARTLY, INTERRUPTED = 0, 1, 2, 3, 130

MOST_SAID = 20
"""Problems that are named on standard error; of more, it is said how many."""


def say(sentence: str) -> None:
    print(f"normviz: {sentence}", file=sys.stderr)


def images_text(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def report(problems: Sequence[Problem], count: int, done: int, nothing: str) -> int:
    """Name what could not be read, ``count`` in all, and return the exit code that this makes."""
    for problem in problems[:MOST_SAID]:
        say(str(problem))
    if (unsaid := count - min(len(problems), MOST_SAID)) > 0:
        say(f"{unsaid:,} more could not be read.")
    if not done:
        say(nothing)
        return FAILED
    return PARTLY if count else DONE
