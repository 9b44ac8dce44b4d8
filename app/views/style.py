"""The few rules of CSS that Streamlit's own options cannot say, and text that stays text."""

from __future__ import annotations

import re

import streamlit as st

_CSS = """<style>
.stMainBlockContainer { padding: 3.75rem 1.75rem 4rem; max-width: 1800px; }
.stMainBlockContainer h4 { text-wrap: pretty; font-weight: 600; line-height: 1.4; }
@media (max-width: 700px) {
  .st-key-grid { overflow-x: auto; overflow-y: hidden; }
}
</style>"""

# Characters that Markdown gives a meaning; file names are shown as they are.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-!|<>$:~])")


def apply() -> None:
    st.html(_CSS)


def plain(text: str) -> str:
    """Return ``text`` escaped so that Markdown shows it letter by letter."""
    return _MARKDOWN.sub(r"\\\1", text)


def dark() -> bool:
    """Whether the visitor's theme is dark."""
    return st.context.theme.type == "dark"
