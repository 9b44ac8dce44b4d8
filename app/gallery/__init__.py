"""The gallery of methods: searched and filtered in the browser, so that typing costs no run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Item:
    """One method's card; ``picture`` is an encoded image, ``form`` its type ("webp", "png")."""

    key: str
    title: str
    summary: str
    group: str
    colour: str
    words: str
    """Further words that a search finds it by."""
    picture: bytes
    form: str
    message: str = ""
    """Said instead of a picture."""


def show(items: Sequence[Item], *, key: str, on_choice: Callable[[str], None]) -> None:
    """Draw the cards; ``on_choice`` is called with the key of the one that is opened."""

    def chosen() -> None:
        picked = st.session_state[key].chosen
        if picked in {item.key for item in items}:
            on_choice(picked)

    cards = [
        {
            "key": item.key,
            "title": item.title,
            "summary": item.summary,
            "group": item.group,
            "colour": item.colour,
            "words": item.words,
            "picture": f"data:image/{item.form};base64,{b64encode(item.picture).decode()}"
            if item.picture
            else "",
            "message": item.message,
        }
        for item in items
    ]
    _COMPONENT(data={"cards": cards}, key=key, on_chosen_change=chosen)


_COMPONENT = st.components.v2.component(
    "normviz_gallery",
    html='<div class="gallery">\n</div>',
    css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
    js=(_HERE / "gallery.js").read_text(encoding="utf-8"),
)
