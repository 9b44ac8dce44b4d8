"""The numbers of every panel on screen, and the window that each is displayed through."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from app.cached import ranges, together
from app.controls import menu
from app.keys import Key
from app.selection import Column, Row, Selection
from normviz.display import Extent, windows
from normviz.errors import NormvizError
from normviz.observe.ranges import Ranges
from normviz.observe.sentences import Pair


def measured(chosen: Selection, row: Row, column: Column) -> Ranges | str:
    """The panel's numbers, or the sentence that says why there are none."""
    if column.fitted is None:
        return column.message
    try:
        return ranges(row.image, chosen.light, chosen.longest, column.fitted)
    except NormvizError as error:
        return str(error)


def picked_row(key: Key, label: str, rows: Sequence[Row], help: str | None = None) -> Row:
    """Draw a menu of the rows and return the chosen one.

    The options are the names themselves: a menu of numbers would go on showing the name that a
    number had with other images.
    """
    named = {f"{place}. {row.title}": row for place, row in enumerate(rows, start=1)}
    return named[menu(key, label, {name: name for name in named}, help)]


def measure_ahead(chosen: Selection) -> None:
    """Compute the panels that take longest, two at a time, before anything asks for them."""
    together(
        [
            partial(measured, chosen, row, column)
            for row in chosen.rows
            for column in chosen.shown
            if not column.method.about.shuffles
        ]
    )


def panels_of(chosen: Selection) -> dict[tuple[int, str], Ranges | str]:
    """(image index, method) → the panel's numbers or its sentence, for all panels."""
    return {
        (row.index, column.name): measured(chosen, row, column)
        for row in chosen.rows
        for column in chosen.columns
    }


def windows_of(chosen: Selection) -> dict[tuple[int, str], tuple[float, float]]:
    """(image index, method) → (value shown black, value shown white)."""
    nominal = {column.name: column.method.about.nominal for column in chosen.columns}
    panels = {at: found for at, found in panels_of(chosen).items() if isinstance(found, Ranges)}
    extents = [
        Extent(name, float(found.low.min()), float(found.high.max()), nominal[name])
        for (_, name), found in panels.items()
    ]
    return dict(zip(panels, windows(extents, chosen.mapping, chosen.scale), strict=True))


def pairs_of(chosen: Selection, bright: Row, dark: Row) -> list[Pair]:
    """Mean of a brighter and of a darker row's panel under every method that has both."""
    pairs = []
    for column in chosen.shown:
        day, night = (measured(chosen, row, column) for row in (bright, dark))
        if not (isinstance(day, Ranges) and isinstance(night, Ranges)):
            continue
        about = column.method.about
        given = chosen.constants_of if about.scope == "dataset" else ""
        whose = f"Constants of {given.removeprefix('preset ')}" if given else ""
        means = (day.pooled_mean, night.pooled_mean, day.pooled_std)
        pairs.append(Pair(column.name, about.short, about.scope, about.unit, *means, whose))
    return pairs
