"""Effects on screen: a table of them, and one in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from app.views.table import table_html
from normviz.lab.evidence import LEVEL, Effect
from normviz.observe.sentences import number

_FOUND = {
    "more": "yes, above 0",
    "less": "yes, below 0",
    "same": "too small to matter",
    "open": "cannot tell",
}


def effects_table(effects: Sequence[Effect], label: str, over: str = "seeds") -> str:
    """Return a table of effects; ``over`` is what pairs them."""
    rows = [
        [
            signed(effect.what),
            f"{value_words(effect.mean)} {effect.unit if math.isfinite(effect.mean) else ''}",
            f"{value_words(effect.low)} to {value_words(effect.high)}"
            if math.isfinite(effect.half)
            else "not known",
            "< 0.001" if effect.p < 0.001 else f"{effect.p:.3f}",
            _counted(effect.relevant, effect.unit),
            f"{effect.seeds}",
            _found(effect),
        ]
        for effect in effects
    ]
    head = [f"effect (paired over {over})", "mean", "95 % interval", "p (Holm)", "matters from"]
    return table_html([*head, over, "found"], rows, label, wrapped=True)


def _found(effect: Effect) -> str:
    """What is found in words; an effect that is there but may be too small says both."""
    if effect.finding != "open" or effect.p >= LEVEL:
        return _FOUND[effect.finding]
    side = "above" if effect.mean > 0 else "below"
    return f"{side} 0, cannot tell if it matters"


def _counted(value: float, unit: str) -> str:
    """A number with its unit.

    >>> _counted(1.0, "octaves"), _counted(10.0, "points"), _counted(0.1, "")
    ('1 octave', '10 points', '0.1')
    """
    one = value == 1 and unit.endswith("s")
    return f"{value:g} {unit[:-1] if one else unit}".strip()


def effect_words(effect: Effect) -> str:
    """Return what is compared, its mean and the half of its interval, to the same decimals.

    >>> effect_words(Effect("a", 19.04, 14.67, 23.41, 6, 0.0, 10.0, "points"))
    'a: 19.0 ± 4.4 points'
    >>> effect_words(Effect("b", -0.00053, -0.0007, -0.00036, 6, 0.0, 0.1))
    'b: −0.0005 ± 0.0002'

    What is far below that is 0, and an interval that ends where values do is written out.

    >>> effect_words(Effect("c", 1e-15, 0.9e-15, 1.1e-15, 6, 0.0, 0.02, "nats"))
    'c: 0 nats (less than 0.0001)'
    >>> effect_words(Effect("d", 90.0, 70.0, 100.0, 6, 0.0, 10.0, "%"))
    'd: 90 % (70 to 100)'
    """
    what = signed(effect.what)
    if not math.isfinite(effect.half):
        return f"{what}: not known"
    unit = f" {effect.unit}" if effect.unit else ""
    if 0 < max(abs(effect.low), abs(effect.high)) < 5e-5:
        return f"{what}: 0{unit} (less than 0.0001)"
    # Two digits of the half, but no more than four decimals.
    digits = 1 - math.floor(math.log10(effect.half)) if effect.half > 0 else 2
    decimals = min(4, max(0, digits))
    mean, low, high = (
        f"{value + 0.0:.{decimals}f}".replace("-", "−")
        for value in (effect.mean, effect.low, effect.high)
    )
    if effect.cut:
        return f"{what}: {mean}{unit} ({low} to {high})"
    return f"{what}: {mean} ± {effect.half:.{decimals}f}{unit}"


def signed(text: str) -> str:
    """Write minus signs as such, and leave hyphens.

    >>> signed("per-image, -3 EV")
    'per-image, −3 EV'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def value_words(value: float) -> str:
    """Two decimals or so; a small number as its first digit, what is below 0.0001 as 0.

    >>> value_words(19.04), value_words(-0.0006), value_words(1e-15)
    ('19.0', '−0.0006', '0.00')
    """
    if not math.isfinite(value):
        return "not known"
    if 1e-4 <= abs(value) < 0.01:
        return f"{value:.1g}".replace("-", "−")
    return number(value)
