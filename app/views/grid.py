"""The grid of panels: what is sent to the viewer for every image and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app import viewer
from app.cached import encoded, lit_copy, lit_statistics, normalized_copy, shown_copy
from app.selection import Column, Row, Selection
from app.views.panels import panels_of, windows_of
from normviz.display import describe
from normviz.figures.theme import METHOD_COLOURS
from normviz.images import CHANNEL_NAMES, Image
from normviz.light import level_table
from normviz.observe.ranges import Ranges, ranges_of_pixels


def draw(
    chosen: Selection,
    key: str,
    more: Sequence[tuple[viewer.Column, Mapping[int, viewer.Cell]]] = (),
) -> bool:
    """Draw the panels; return whether the browser has drawn them once.

    ``more`` are columns that are no method's, with a cell for each row's index.
    """
    numbers = panels_of(chosen)
    black_white = windows_of(chosen)
    rows = {row.index: _viewer_row(chosen, row) for row in chosen.rows}
    cells: dict[tuple[str, str], viewer.Cell] = {}
    for row in chosen.rows:
        for column in chosen.columns:
            place = (row.index, column.name)
            found = numbers[place]
            cells[rows[row.index].key, column.name] = (
                viewer.MessageCell(found)
                if isinstance(found, str)
                else _cell(chosen, row, column, found, black_white[place])
            )
    heads = [
        viewer.Column(
            column.name,
            column.method.about.short,
            METHOD_COLOURS[column.name],
            _subtitle(column),
        )
        for column in chosen.columns
    ]
    for head, found_cells in more:
        heads.append(head)
        for row in chosen.rows:
            cells[rows[row.index].key, head.key] = found_cells[row.index]
    return viewer.show(
        heads,
        list(rows.values()),
        cells,
        display_label=describe(chosen.mapping, chosen.scale),
        key=key,
    )


def _subtitle(column: Column) -> str:
    about = column.method.about
    return f"{about.scope} · {about.unit}"


def _viewer_row(chosen: Selection, row: Row) -> viewer.Row:
    image, light = row.image, chosen.light
    copy = shown_copy(image, chosen.longest)
    table = None
    if image.levels == 256 and not light.noise:
        # The picture travels once, losslessly; the light travels as 256 numbers a channel.
        source, form = encoded(copy), "webp" if image.channels == 3 else "png"
        if not light.neutral:
            table = level_table(light, 256, image.channels).tobytes()
        key = f"{row.index}-{copy.digest}"
    else:
        copy = lit_copy(image, light, chosen.longest)
        form = "raw8" if copy.pixels.dtype.itemsize == 1 else "raw16"
        source = _as_levels(copy).tobytes()
        key = f"{row.index}-{copy.digest}"
    return viewer.Row(
        key=key,
        title=row.title,
        caption=_caption(image, copy),
        height=copy.height,
        width=copy.width,
        channels=copy.channels,
        source=source,
        source_format=form,
        levels=table,
        **_before(image),
    )


def _before(image: Image) -> dict[str, float | int]:
    """How the viewer prints the value that a pixel had: whole levels, or floats of the range."""
    if image.levels is not None:
        return {"before_low": 0.0, "before_step": 1.0, "before_digits": 0}
    low, span = image.value_range.low, image.value_range.span
    return {"before_low": low, "before_step": span / 65535, "before_digits": 3}


def _as_levels(image: Image):
    """Pixels as levels; floats in 65,536 steps of their declared range, for the viewer only."""
    if image.levels is not None:
        return image.pixels
    low, span = image.value_range.low, image.value_range.span
    return ((image.pixels - low) * (65535 / span) + 0.5).astype("<u2")


def _caption(image: Image, copy: Image) -> str:
    size = f"{image.width} × {image.height} px"
    if (copy.width, copy.height) != (image.width, image.height):
        size += f", shown as a reduced copy of {copy.width} × {copy.height} px"
    label = [f"class “{image.label}”"] if image.label else []
    return " · ".join([*label, size, *image.notes])


def _cell(
    chosen: Selection, row: Row, column: Column, found: Ranges, window: tuple[float, float]
) -> viewer.Cell:
    assert column.fitted is not None
    size = f"{found.width} × {found.height} px"
    # Sums of integer levels have no rounding at all; those of floats have float64's.
    whole = "exact, all" if row.image.levels is not None else "in float64, all"
    note = f"{whole} {size}" if found.exact else f"measured on {size}"
    names = column.method.channel_names(found.channels)
    if names != CHANNEL_NAMES[found.channels]:
        note += f"; {', '.join(names)} drawn as {', '.join(CHANNEL_NAMES[found.channels])}"
    note += _template_words(column, row.image)
    if window == (found.low.min() - 0.5, found.high.max() + 0.5):
        note += "; one value everywhere, drawn mid-grey"
    pair = column.fitted.affine(lit_statistics(row.image, chosen.light))
    if pair is not None:
        scale, start = 1.0, 0.0
        if row.image.levels is None:
            scale, start = row.image.value_range.span / 65535, row.image.value_range.low
        return viewer.AffineCell(
            gain=tuple(float(g) * scale for g in pair.gain),
            bias=tuple(
                float(b) + float(g) * start for g, b in zip(pair.gain, pair.bias, strict=True)
            ),
            window=window,
            numbers=_numbers(names, found),
            note=note,
            digits=_digits(found),
        )
    values = normalized_copy(row.image, chosen.light, chosen.longest, column.fitted)
    return _values_cell(values, names, found, window, note)


def _template_words(column: Column, image: Image) -> str:
    """Say how a mean image of another size meets the image; nothing for other methods."""
    assert column.fitted is not None
    template = column.fitted.constants.get("mean_image")
    if template is None or template.shape[:2] == (image.height, image.width):
        return ""
    placed = {"resize": "resized", "crop": "its centre cut out"}[column.method.placement]
    return f"; mean image of {template.shape[1]} × {template.shape[0]} px, {placed}"


def difference_cell(values: np.ndarray, names: Sequence[str]) -> viewer.Cell:
    """A panel of differences: zero at grey, its numbers those of the pixels that are given."""
    found = ranges_of_pixels(values, exact=True)
    reach = float(np.abs(values).max()) or 1.0
    note = f"measured on {found.width} × {found.height} px"
    return _values_cell(values, names, found, (-reach, reach), note)


def _values_cell(
    values: np.ndarray, names: Sequence[str], found: Ranges, window: tuple[float, float], note: str
) -> viewer.Cell:
    low, high = float(values.min()), float(values.max())
    step = (high - low) / 65535 or 1.0
    return viewer.ValuesCell(
        values=((values - low) / step + 0.5).astype("<u2").tobytes(),
        low=low,
        step=step,
        window=window,
        numbers=_numbers(names, found),
        note=note,
        digits=_digits(found),
    )


def _numbers(names: Sequence[str], found: Ranges) -> tuple[viewer.Numbers, ...]:
    statistics = (found.low, found.mean, found.std, found.high)
    return tuple(
        viewer.Numbers(name, *(float(values[at]) for values in statistics))
        for at, name in enumerate(names)
    )


def _digits(found: Ranges) -> int:
    """Decimals to print: 2 for values of a few units, fewer for large ones."""
    reach = max(abs(float(found.low.min())), abs(float(found.high.max())))
    return 0 if reach >= 100 else 1 if reach >= 20 else 2
