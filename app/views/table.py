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
    aligns the cells to the right, and ``wrapped`` breaks the lines of long headings. Both
    kinds of words become a card a row on a phone, which needs the roles that layout takes away.

    >>> table_html(["a", "b"], [["<x>", "1"]], "t").count("&lt;x&gt;")
    1
    """
    titles = "".join(f'<th scope="col" role="columnheader">{escape(text)}</th>' for text in head)
    lines = []
    for row in rows:
        first, *others = (
            (f'data-head="{escape(title, quote=True)}"' if title else "", _cell(text))
            for title, text in zip(head, row, strict=True)
        )
        cells = "".join(f'<td role="cell" {title}>{text}</td>' for title, text in others)
        heading = f'<th scope="row" role="rowheader" {first[0]}>{first[1]}</th>'
        lines.append(f'<tr role="row">{heading}{cells}</tr>')
    kind = "nv-numbers" if numbers else "nv-words"
    kind += " nv-wrapped" * wrapped + " nv-cards" * (wrapped or not numbers)
    return (
        f'<div class="nv-table {kind}" role="region" tabindex="0" aria-label="{escape(label)}">'
        f'<table role="table"><thead role="rowgroup"><tr role="row">{titles}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(lines)}</tbody></table></div>'
    )


def _cell(text: str) -> str:
    return escape(text).replace(" %", "&nbsp;%")
