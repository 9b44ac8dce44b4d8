"""Effects on screen: a table of them, and one in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.views.table import table_html
from normviz.observe.sentences import number

_FOUND = {
    "more": "yes, above 0",
    "less": "yes, below 0",
    "same": "too small to matter",
    "open": "cannot tell",
}


def effects_table(effects: Sequence[Mapping[str, Any]], label: str, over: str = "seeds") -> str:
    """Return a table of effects as their verdict's JSON has them; ``over`` is what pairs them."""
    rows = [
        [
            signed(effect["what"]),
            f"{value_words(effect['mean'])} {effect['unit']}",
            f"{value_words(effect['low'])} to {value_words(effect['high'])}",
            "< 0.001" if effect["p"] < 0.001 else f"{effect['p']:.3f}",
            f"{effect['relevant']:g} {effect['unit']}",
            f"{effect['seeds']}",
            _FOUND[effect["finding"]],
        ]
        for effect in effects
    ]
    head = [f"effect (paired over {over})", "mean", "95 % interval", "p (Holm)", "matters from"]
    return table_html([*head, over, "found"], rows, label, wrapped=True)


def effect_words(effect: Mapping[str, Any]) -> str:
    """Return what is compared, its mean and the half of its interval, to the same decimals.

    >>> effect_words({"what": "a", "mean": 19.04, "low": 14.67, "high": 23.41, "unit": "points"})
    'a: 19.0 ± 4.4 points'
    >>> effect_words({"what": "b", "mean": -0.00053, "low": -0.0007, "high": -0.00036, "unit": ""})
    'b: −0.0005 ± 0.0002'
    """
    what = signed(effect["what"])
    if effect["high"] is None:
        return f"{what}: not known"
    half = (effect["high"] - effect["low"]) / 2
    # Two digits of the half, but no more than four decimals.
    decimals = min(4, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 2
    mean = f"{effect['mean'] + 0.0:.{decimals}f}".replace("-", "−")
    unit = f" {effect['unit']}" if effect["unit"] else ""
    return f"{what}: {mean} ± {half:.{decimals}f}{unit}"


def signed(text: str) -> str:
    """Write minus signs as such, and leave hyphens.

    >>> signed("per-image, -3 EV")
    'per-image, −3 EV'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def value_words(value: float | None) -> str:
    """Two decimals or so; a small number as its first digit, what is below 0.0001 as 0.

    >>> value_words(19.04), value_words(-0.0006), value_words(1e-15)
    ('19.0', '−0.0006', '0.00')
    """
    if value is None:
        return "not known"
    if 1e-4 <= abs(value) < 0.01:
        return f"{value:.1g}".replace("-", "−")
    return number(value)
