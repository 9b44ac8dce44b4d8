"""Text for Markdown and for formulas."""

from __future__ import annotations

from app.text import in_parts, plain


def test_markdown_shows_a_name_letter_by_letter():
    assert plain("a_*b*") == r"a\_\*b\*"


def test_a_formula_breaks_between_its_parts_only():
    assert in_parts(r"y = x - \mu, \quad \mu = 1") == r"{y = x - \mu},\quad\allowbreak {\mu = 1}"
    assert in_parts(r"y = \frac{a, b}{c}") == r"{y = \frac{a, b}{c}}"
