"""What the pages say of libraries is written one way: a capital or a symbol, and a full stop."""

from __future__ import annotations

import re

import pytest

import normviz as nv
from normviz.methods import FEATURE_NORMS

NOTES = sorted(
    {
        (library, text)
        for kind in (*nv.METHODS.values(), *FEATURE_NORMS.values())
        for library, text in kind.about.libraries
    }
)

# A formula's symbol keeps its own case at the start of a sentence.
SYMBOL = re.compile(r"[εασ]|log[₂(]|x /|E\[|\d|−")


@pytest.mark.parametrize(("library", "text"), NOTES)
def test_a_note_starts_with_a_capital_or_a_symbol_and_ends_with_a_full_stop(library, text):
    assert text[0].isupper() or SYMBOL.match(text)
    assert text.endswith(".") and not text.endswith("..")
    assert not library.endswith((".", ":"))
