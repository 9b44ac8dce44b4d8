"""Sentences computed from the numbers on screen; each says what those numbers show, no more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from normviz.observe.difference import Difference

# A line that explains more than this share of the variance: what is left is rounding.
SAME_PICTURE = 1 - 1e-6

# Two means closer than this share of the brighter panel's own std count as equal.
EQUAL = 0.02

# A std below this is what float32 leaves of none.
_ROUNDING = 1e-7

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
            f"(mean {number(kept.night, kept.day_std)} against {number(kept.day, kept.day_std)})"
        )
    if gone is not None:
        title = gone.title if parts else _sentence_start(gone.title)
        parts.append(
            f"{title} makes {'them' if parts else f'“{night}” and “{day}”'} equal "
            f"({number(gone.night, gone.day_std)} and {number(gone.day, gone.day_std)})"
        )
    return "; ".join(parts) + "."


def one_method(
    title: str, image: str, low: float, high: float, mean: float, std: float, unit: str
) -> str:
    """Say what one method makes of one image.

    >>> one_method("Per-image standardization", "Coffee", -1.5, 2.25, 0.0, 1.0, "image stds")
    'Per-image standardization gives “Coffee” values from −1.50 to 2.25 (image stds), with mean \
0.00 and std 1.00.'
    >>> one_method("Unit L2 norm", "Coffee", 0.0, 0.00312, 0.00138, 0.0006, "shares")
    'Unit L2 norm gives “Coffee” values from 0.00000 to 0.00312 (shares), with mean 0.00138 and \
std 0.00060.'
    """
    low_text, high_text, mean_text, std_text = (
        number(value, std or abs(mean)) for value in (low, high, mean, std)
    )
    return (
        f"{title} gives “{image}” values from {low_text} to {high_text} ({unit}), with mean "
        f"{mean_text} and std {std_text}."
    )


def two_methods(first: str, second: str, image: str, found: Difference) -> str:
    """Say how far two methods' results for one image lie apart, and whether it is only a line.

    >>> line = Difference(1.5, 2.0, 4, 7, 0, gain=2.0, offset=1.0, explained=1.0)
    >>> two_methods("own mean", "LCN", "Coffee", line)
    'On “Coffee”, “own mean” and “LCN” differ by 1.50 on average and by 2.00 at most (row 4, \
column 7), but only by a gain of 2.00 and an offset of 1.00: the same picture on another scale.'
    """
    where = f"row {found.row}, column {found.column}"
    start = f"On “{image}”, “{first}” and “{second}” "
    if found.largest == 0:
        return start + "give the very same values."
    apart = (
        f"differ by {significant(found.mean)} on average and by {significant(found.largest)} at "
        f"most ({where})"
    )
    if found.explained > SAME_PICTURE:
        return (
            f"{start}{apart}, but only by a gain of {significant(found.gain)} and an offset of "
            f"{significant(found.offset)}: the same picture on another scale."
        )
    return (
        f"{start}{apart}; one gain and offset turn the first into {percent(found.explained)} of "
        "the second's variance, the rest is another picture."
    )


def _preferred(pairs: Sequence[Pair], order: Sequence[str]) -> Pair | None:
    ranked = {name: place for place, name in enumerate(order)}
    return min(pairs, key=lambda pair: ranked.get(pair.method, len(order)), default=None)


def _sentence_start(title: str) -> str:
    return title[:1].upper() + title[1:]


def number(value: float, beside: float = 1.0) -> str:
    """Two decimals below 10, one below 100, none beyond; a real minus sign and no minus zero.

    More where the numbers ``beside`` it are small: two digits of a std below 0.1.

    >>> number(-1.207), number(-0.001), number(117.4)
    ('−1.21', '0.00', '117')
    >>> number(0.00138, 0.0006), number(0.00138, 1e-12)
    ('0.00138', '0.00')
    """
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    if _ROUNDING < beside < 0.1:
        digits = max(digits, 1 - math.floor(math.log10(beside)))
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def significant(value: float) -> str:
    """Three significant digits, at least two decimals below 10, for differences of any size.

    >>> significant(0.000123), significant(2.0), significant(-41.26), significant(0.0)
    ('0.000123', '2.00', '−41.3', '0.00')
    """
    if value == 0 or abs(value) >= 0.1:
        return number(value)
    return f"{value:.3g}".replace("-", "−")


def percent(share: float, decimals: int = 1) -> str:
    """A share as percent.

    >>> percent(0.4567), percent(0.4567, 0)
    ('45.7 %', '46 %')
    """
    return f"{100 * share:.{decimals}f} %"
