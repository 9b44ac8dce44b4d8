"""Text that stays text: Streamlit takes what it is given for Markdown."""

from __future__ import annotations

import re

# Characters that Markdown gives a meaning; file names are shown as they are.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-!|<>$:~])")


def plain(text: str) -> str:
    """Return ``text`` escaped so that Markdown shows it letter by letter."""
    return _MARKDOWN.sub(r"\\\1", text)


def in_parts(formula: str) -> str:
    r"""Return LaTeX whose parts, set apart by ``, \quad``, stay whole: lines break between them.

    >>> in_parts(r"y = x - \mu, \quad \mu = 1")
    '{y = x - \\mu},\\quad\\allowbreak {\\mu = 1}'
    """
    parts = [part.strip() for part in formula.split(r", \quad")]
    return r",\quad\allowbreak ".join(f"{{{part}}}" for part in parts)
