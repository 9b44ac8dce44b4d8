"""Planes of numbers, such as feature maps, as rows and cells of the viewer."""

from __future__ import annotations

import numpy as np

from app import viewer
from normviz.display import to_bytes
from normviz.images import Image, resized


def plane_row(key: str, title: str, picture: Image, height: int, width: int) -> viewer.Row:
    """A row of planes ``height × width``, over the picture's grey level at each place."""
    grey = picture.pixels.mean(axis=2, keepdims=True).astype(np.float32)
    small = to_bytes(resized(grey, height, width), picture.value_range)
    return viewer.Row(
        key=key,
        title=title,
        caption=f"{width} × {height} positions",
        height=height,
        width=width,
        channels=1,
        source=small.tobytes(),
        source_format="raw8",
    )


def plane_levels(plane: np.ndarray) -> tuple[float, float, bytes]:
    """A plane in 65,536 steps: its lowest value, the step, and the levels."""
    low = float(plane.min())
    step = (float(plane.max()) - low) / 65535 or 1.0
    return low, step, ((plane - low) / step + 0.5).astype("<u2").tobytes()


def plane_cell(plane: np.ndarray, window: tuple[float, float]) -> viewer.Cell:
    """A plane with its lowest value, mean, std and highest value."""
    low, step, levels = plane_levels(plane)
    numbers = (plane.min(), plane.mean(dtype=np.float64), plane.std(dtype=np.float64), plane.max())
    return viewer.ValuesCell(
        values=levels,
        low=low,
        step=step,
        window=window,
        numbers=(viewer.Numbers("map", *map(float, numbers)),),
        note="exact, all positions",
        digits=2,
    )
