"""Tables that may be wider than the page: they scroll by themselves, by keyboard too."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table_html(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    label: str,
    numbers: bool = True,
    wrapped: bool = False,
) -> str:
    """Return a table as HTML; every text is escaped. The first cell of a row is its heading.

    A number and its % stay on one line. ``label`` is what a screen reader calls it; ``numbers``
    aligns the cells to the right, and ``wrapped`` breaks the lines of long headings.

    >>> table_html(["a", "b"], [["<x>", "1"]], "t").count("&lt;x&gt;")
    1
    """
    titles = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    lines = []
    for first, *cells in rows:
        others = "".join(f"<td>{escape(text)}</td>" for text in cells)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{others}</tr>')
    kind = ("nv-numbers" if numbers else "nv-words") + (" nv-wrapped" if wrapped else "")
    return (
        f'<div class="nv-table {kind}" role="region" tabindex="0" aria-label="{escape(label)}">'
        f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    return escape(text).replace(" %", "&nbsp;%")
