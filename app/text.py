"""Text that stays text: Streamlit takes what it is given for Markdown."""

from __future__ import annotations

import re

# Characters that Markdown gives a meaning; file names are shown as they are.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-!|<>$:~])")


def plain(text: str) -> str:
    """Return ``text`` escaped so that Markdown shows it letter by letter."""
    return _MARKDOWN.sub(r"\\\1", text)
