"""Where a text assigns names: ``mean = […]``, ``mean, std = …``, ``self.mean: list = …``."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

_MARK = re.compile(r"\"\"\"|'''|\\.|[#\"'()\[\]{};\n]", re.DOTALL)
_PROMPT = re.compile(r"(?m)^[ \t]{0,80}(?:>>>|\.\.\.)[ \t]?")
# Bounded repeats: an unbounded one takes quadratic time on a long word.
_TARGETS = re.compile(
    r"[ \t]{0,80}(?:>>>)?[ \t]{0,80}"
    r"\(?((?:[\w.]{1,80}[ \t]{0,9},[ \t]{0,9}){0,7}[\w.]{1,80}),?\)?"
    r"(?:\[[^\]=\n]{0,60}\])?[ \t]{0,40}(?::[^=\n]{1,80})?(?:[-+*/%&|^@]{1,2}|<<|>>)?=(?!=)"
)
_MOST_CHAINED = 4
_LONGEST = 4000


class Place(NamedTuple):
    """Where a statement stands in the text."""

    start: int
    end: int


class Assignments:
    """The assignments of a text by name; nothing of them is worked out yet.

    >>> text = "mean, std = [0.5], [1]\\nmean = [0.4]\\nNormalize(mean, std)"
    >>> found = Assignments(text)
    >>> found.statement(found.place("mean", before=30)), found.place("x", before=30)
    ('mean, std = [0.5], [1]', None)
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def place(self, name: str, before: int, *, after: bool = False) -> Place | None:
        """Return the last assignment to ``name`` that ends ``before`` there, None without one.

        With ``after``, the first one behind it counts where none stands before: a function may
        use what its module assigns below.
        """
        places = self._places.get(name, [])
        earlier = bisect_right(places, before, key=lambda place: place.end)
        if earlier:
            return places[earlier - 1]
        return places[0] if after and places else None

    def statement(self, place: Place) -> str:
        """Return the text of the statement; "" where it is longer than a mean and a std need."""
        if place.end - place.start > _LONGEST:
            return ""
        return _PROMPT.sub("", self._text[place.start : place.end]).strip()

    @cached_property
    def _places(self) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = {}
        for place in _statements(self._text):
            at = place.start
            for _ in range(_MOST_CHAINED):
                match = _TARGETS.match(self._text, at, place.end)
                if match is None:
                    break
                for name in match[1].split(","):
                    found.setdefault(name.strip(), []).append(place)
                at = match.end()
        return found


def _statements(text: str) -> Iterator[Place]:
    """Split at the ends of lines and at ``;``, but not within brackets, strings and comments."""
    depth, quote, start = 0, "", 0
    for match in _MARK.finditer(text):
        mark = match[0]
        if mark == "\n" and len(quote) < 3:
            quote = ""  # a string of one line, or a comment
        if quote:
            quote = "" if mark == quote else quote
        elif mark[0] in "#\"'":
            quote = mark
        elif mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth = max(0, depth - 1)
        elif mark in ";\n" and not depth:
            yield Place(start, match.start())
            start = match.end()
    yield Place(start, len(text))
