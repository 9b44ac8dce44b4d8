"""Sentences computed from the numbers on screen; each says what those numbers show, no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Two means closer than this share of the brighter panel's own std count as equal.
EQUAL = 0.02

_WHOSE = {
    "fixed": "Fixed constants",
    "dataset": "Dataset statistics",
    "batch": "Batch statistics",
}


@dataclass(frozen=True)
class Pair:
    """Mean of a brighter and of a darker panel under one method."""

    method: str
    title: str
    scope: str
    unit: str
    day: float
    night: float
    day_std: float
    whose: str = ""
    """Whose numbers the method uses, where its scope alone does not say it."""

    @property
    def apart(self) -> float:
        """(day − night) / std of the day panel: how far the light still shows."""
        return (self.day - self.night) / self.day_std if self.day_std else 0.0

    @property
    def equal(self) -> bool:
        return abs(self.apart) < EQUAL


def day_and_night(day: str, night: str, pairs: Sequence[Pair]) -> str:
    """Say which method keeps the light's difference between two panels, and which removes it.

    >>> kept = Pair("dataset_zscore", "dataset mean, std", "dataset", "stds", 0.34, -1.21, 1.0)
    >>> gone = Pair("image_standardize", "own mean, std", "image", "stds", 0.0, 0.0, 1.0)
    >>> day_and_night("Forest, day", "Forest, dark", [kept, gone])
    'Dataset statistics keep “Forest, dark” darker than “Forest, day” (mean −1.21 against 0.34); \
own mean, std makes them equal (0.00 and 0.00).'
    """
    keeping = [pair for pair in pairs if not pair.equal]
    removing = [pair for pair in pairs if pair.equal]
    if not pairs:
        return "Choose a method in the sidebar to see what it makes of the pictures."
    kept = _preferred(keeping, ("dataset_zscore", "dataset_mean", "scale_01"))
    gone = _preferred(removing, ("image_standardize", "image_mean", "image_channel_standardize"))
    if kept is None and len(pairs) > 1:
        return f"All {len(pairs)} methods give “{night}” and “{day}” nearly the same mean."
    parts = []
    if kept is not None:
        several = bool(kept.whose) or kept.scope in _WHOSE
        whose = kept.whose or _WHOSE.get(kept.scope, _sentence_start(kept.title))
        darker = "darker" if kept.night < kept.day else "brighter"
        parts.append(
            f"{whose} {'keep' if several else 'keeps'} “{night}” {darker} than “{day}” "
            f"(mean {number(kept.night)} against {number(kept.day)})"
        )
    if gone is not None:
        title = gone.title if parts else _sentence_start(gone.title)
        parts.append(
            f"{title} makes {'them' if parts else f'“{night}” and “{day}”'} equal "
            f"({number(gone.night)} and {number(gone.day)})"
        )
    return "; ".join(parts) + "."


def _preferred(pairs: Sequence[Pair], order: Sequence[str]) -> Pair | None:
    ranked = {name: place for place, name in enumerate(order)}
    return min(pairs, key=lambda pair: ranked.get(pair.method, len(order)), default=None)


def _sentence_start(title: str) -> str:
    return title[:1].upper() + title[1:]


def number(value: float) -> str:
    """Two decimals below 10, one below 100, none beyond; a real minus sign and no minus zero.

    >>> number(-1.207), number(-0.001), number(117.4)
    ('−1.21', '0.00', '117')
    """
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share as percent with one decimal.

    >>> percent(0.4567)
    '45.7 %'
    """
    return f"{100 * share:.1f} %"
