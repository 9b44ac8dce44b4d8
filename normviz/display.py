"""Normalized floats to 8-bit pixels, by a named mapping that is always printed beside them.

A mapping decides on a *window* a panel: the value shown black and the value shown white. Values
beyond are clipped for display only; what is measured and exported never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from normviz.errors import ParameterError

MAPPINGS = {
    "stretch": "Stretch",
    "zero": "Zero at grey",
    "clip": "Clip",
}
SCALES = {"method": "Per method", "own": "Own scale", "same": "Same scale"}


@dataclass(frozen=True)
class Extent:
    """The lowest and highest value of one panel, and the range that its method would clip to."""

    method: str
    low: float
    high: float
    nominal: tuple[float, float]


def windows(
    extents: Sequence[Extent], mapping: str = "stretch", scale: str = "own"
) -> list[tuple[float, float]]:
    """Return (value shown black, value shown white) for each panel.

    ``clip``: the method's nominal range, such as 0…1. ``stretch``: from the lowest to the highest
    value. ``zero``: symmetric about 0, which is shown mid-grey. ``scale`` says which panels share
    one window, the smallest that holds every own one: "own" none, "method" those of one method,
    "same" all.

    >>> panels = [Extent("a", -2.0, 1.0, (0, 1)), Extent("b", 0.0, 4.0, (0, 1))]
    >>> windows(panels, "zero", "own"), windows(panels, "stretch", "same")
    ([(-2.0, 2.0), (-4.0, 4.0)], [(-2.0, 4.0), (-2.0, 4.0)])
    """
    if mapping not in MAPPINGS or scale not in SCALES:
        raise ParameterError(
            f"the display mapping is one of {', '.join(MAPPINGS)} with a scale of "
            f"{', '.join(SCALES)}; got {mapping!r}, {scale!r}."
        )
    own = [_window(extent, mapping) for extent in extents]
    if scale == "own":
        return own
    shared: dict[str, tuple[float, float]] = {}
    groups = [extent.method if scale == "method" else "" for extent in extents]
    for group, (low, high) in zip(groups, own, strict=True):
        before = shared.get(group, (low, high))
        shared[group] = (min(before[0], low), max(before[1], high))
    return [shared[group] for group in groups]


def _window(extent: Extent, mapping: str) -> tuple[float, float]:
    if mapping == "clip":
        return (float(extent.nominal[0]), float(extent.nominal[1]))
    if mapping == "zero":
        reach = max(abs(extent.low), abs(extent.high)) or 1.0
        return (-reach, reach)
    if extent.low == extent.high:
        # A flat panel has no range to stretch; it is shown mid-grey.
        return (extent.low - 0.5, extent.high + 0.5)
    return (extent.low, extent.high)


def describe(mapping: str, scale: str) -> str:
    """Return the sentence that names the mapping on screen.

    >>> describe("stretch", "same")
    'Stretch, all alike: black is the lowest and white the highest value of all panels.'
    """
    names = {
        "own": ("each panel", "the panel"),
        "method": ("each method", "the method's panels"),
        "same": ("all alike", "all panels"),
    }
    title, panels = names[scale]
    if mapping == "zero":
        return (
            f"Zero at grey, {title}: mid-grey is 0, black and white are minus and plus the "
            f"largest absolute value of {panels}."
        )
    if mapping == "clip":
        whose = "the methods' nominal ranges joined" if scale == "same" else "each method's range"
        return (
            f"Clip: black to white is {whose} (0 to 255, 0 to 1 or −1 to 1); the rest is cut off."
        )
    return f"Stretch, {title}: black is the lowest and white the highest value of {panels}."


def to_bytes(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Return uint8 pixels: 255 (v − black) / (white − black), clipped, rounded half up.

    >>> to_bytes(np.array([-1.0, 0.0, 2.0]), (-1.0, 1.0))
    array([  0, 128, 255], dtype=uint8)
    """
    low, high = window
    # From the middle outwards, so that the middle of the window is 127.5 whatever its width.
    scaled = 127.5 + (values - (low + high) / 2) * (255.0 / (high - low))
    return np.floor(np.clip(scaled, 0.0, 255.0) + 0.5).astype(np.uint8)
