"""Effects on screen: a table of them, and one in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.views.table import table_html
from normviz.lab.evidence import LEVEL
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
            _counted(effect["relevant"], effect["unit"]),
            f"{effect['seeds']}",
            _found(effect),
        ]
        for effect in effects
    ]
    head = [f"effect (paired over {over})", "mean", "95 % interval", "p (Holm)", "matters from"]
    return table_html([*head, over, "found"], rows, label, wrapped=True)


def _found(effect: Mapping[str, Any]) -> str:
    """What is found in words; an effect that is there but may be too small says both."""
    if effect["finding"] != "open" or effect["p"] is None or effect["p"] >= LEVEL:
        return _FOUND[effect["finding"]]
    side = "above" if effect["mean"] > 0 else "below"
    return f"{side} 0, cannot tell if it matters"


def _counted(value: float, unit: str) -> str:
    """A number with its unit.

    >>> _counted(1.0, "octaves"), _counted(10.0, "points"), _counted(0.1, "")
    ('1 octave', '10 points', '0.1')
    """
    one = value == 1 and unit.endswith("s")
    return f"{value:g} {unit[:-1] if one else unit}".strip()


def effect_words(effect: Mapping[str, Any]) -> str:
    """Return what is compared, its mean and the half of its interval, to the same decimals.

    >>> effect_words({"what": "a", "mean": 19.04, "low": 14.67, "high": 23.41, "unit": "points"})
    'a: 19.0 ± 4.4 points'
    >>> effect_words({"what": "b", "mean": -0.00053, "low": -0.0007, "high": -0.00036, "unit": ""})
    'b: −0.0005 ± 0.0002'

    What is far below that is 0, and an interval that ends where values do is written out.

    >>> effect_words({"what": "c", "mean": 1e-15, "low": 0.9e-15, "high": 1.1e-15, "unit": "nats"})
    'c: 0 nats (less than 0.0001)'
    >>> effect_words({"what": "d", "mean": 90.0, "low": 70.0, "high": 100.0, "unit": "%"})
    'd: 90 % (70 to 100)'
    """
    what = signed(effect["what"])
    if effect["high"] is None:
        return f"{what}: not known"
    unit = f" {effect['unit']}" if effect["unit"] else ""
    if 0 < max(abs(effect["low"]), abs(effect["high"])) < 5e-5:
        return f"{what}: 0{unit} (less than 0.0001)"
    half = (effect["high"] - effect["low"]) / 2
    # Two digits of the half, but no more than four decimals.
    decimals = min(4, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 2
    mean, low, high = (
        f"{effect[name] + 0.0:.{decimals}f}".replace("-", "−") for name in ("mean", "low", "high")
    )
    if not math.isclose(effect["mean"] - effect["low"], half, rel_tol=1e-6, abs_tol=1e-12):
        return f"{what}: {mean}{unit} ({low} to {high})"
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
