"""The few rules of CSS that Streamlit's own options cannot say, and text that stays text."""

from __future__ import annotations

import re

import streamlit as st

_CSS = """<style>
.stMainBlockContainer { padding: 3.75rem 1.75rem 4rem; max-width: 1800px; }
.stMainBlockContainer h4 { text-wrap: pretty; font-weight: 600; line-height: 1.4; }
.stMultiSelect [data-tag] {
  background: color-mix(in srgb, currentColor 10%, transparent); color: inherit;
}
.stMainBlockContainer h4 { font-size: 1.3rem; }
.stMainBlockContainer h3 { font-size: 1.15rem; padding-top: 1.5rem; }
@media (max-width: 700px) {
  .st-key-grid { overflow-x: auto; overflow-y: hidden; }
  .stMainBlockContainer h4 { font-size: 1.1rem; }
  .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; }
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
