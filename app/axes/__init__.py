"""The block of N images × C channels × H·W positions, with what shares its numbers marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent


def show(reduces: Sequence[str], words: str, colour: str, *, key: str, batch: bool = False) -> None:
    """Draw the block, turnable by pointer and arrow keys.

    ``reduces`` names the axes as ``About.reduces`` does (lower-case h and w: a window), ``batch``
    marks a part of the images only, ``words`` say the same for those who cannot see it.
    """
    _COMPONENT(
        data={"reduces": list(reduces), "batch": batch, "words": words, "colour": colour}, key=key
    )


def words_of(reduces: Sequence[str], batch: bool = False, joins: str = "") -> str:
    """Say in a sentence what the marked values share; ``joins`` as in ``About``.

    >>> words_of(("H", "W"))
    'One set of numbers for each image and channel, taken over all positions.'
    >>> words_of(())
    'No numbers are taken from the images: the same is done at every pixel.'
    >>> words_of(("H", "W", "c"))
    'One set of numbers for each image and group of channels, taken over all positions.'
    >>> words_of(("N", "H", "W"), joins="channels")
    'A mean for each of the channels and a covariance of all of them with one another, taken over \
all images and all positions.'
    """
    if not reduces:
        return "No numbers are taken from the images: the same is done at every pixel."
    own = []
    if "N" not in reduces:
        own.append("image")
    if "c" in reduces:
        own.append("group of channels")
    elif "C" not in reduces:
        own.append("channel")
    if "H" not in reduces:
        own.append("position")
    over = []
    if "N" in reduces:
        over.append("the images of a batch" if batch else "all images")
    if "H" in reduces:
        over.append("all positions")
    elif "h" in reduces:
        over.append("a window around it")
    if "C" in reduces:
        over.append("all channels")
    if joins:
        return (
            f"A mean for each of the {joins} and a covariance of all of them with one another, "
            f"taken over {_listed(over)}."
        )
    each = f" for each {_listed(own)}" if own else ""
    return f"One set of numbers{each}, taken over {_listed(over)}."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


_COMPONENT = st.components.v2.component(
    "normviz_axes",
    html='<div class="axes"></div>',
    css=(_HERE / "axes.css").read_text(encoding="utf-8"),
    js=(_HERE / "axes.js").read_text(encoding="utf-8"),
)
