"""From paired runs to a verdict: intervals, corrected p-values, and what counts as relevant.

Seeds are paired: each gives one difference between two settings on the same images, start and
batches. A difference is called found only when it is significant (5 %, after Holm's correction
over the effects of one experiment) and relevant (a threshold of the spec, fixed before the run).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

LEVEL = 0.05

LEARNED = 5.0
"""A network that is right less than so many points above chance has learned nothing to compare."""

RANGES = {"points": (-100.0, 100.0), "%": (0.0, 100.0)}
"""What values of a unit can be at all; an interval ends there."""

Finding = Literal["more", "less", "same", "open"]


def two_sided(t: float, freedom: int) -> float:
    """Return P(|T| ≥ |t|) of Student's t with a whole number of degrees of freedom.

    The closed sums in θ = arctan(t/√ν). Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.

    >>> round(two_sided(2.776445, 4), 6), two_sided(0.0, 3)
    (0.05, 1.0)
    """
    if math.isinf(t):
        return 0.0
    angle = math.atan(abs(t) / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= square * (k - 1) / k
    inside = math.sin(angle) * total
    if odd:
        inside = (angle + inside) * 2 / math.pi
    return min(1.0, max(0.0, 1.0 - inside))


def quantile(freedom: int, level: float = LEVEL) -> float:
    """Return the t that |T| exceeds with probability ``level``.

    >>> round(quantile(4), 3)
    2.776
    """
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) > level else (low, middle)
    return high


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for being several, by Holm's step-down rule.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = largest
    return corrected


@dataclass(frozen=True)
class Effect:
    """A mean of paired differences over seeds, with its 95 % interval and corrected p-value.

    ``relevant`` is the size that matters, in ``unit``. The interval ends where values of the unit
    do, and is infinite where nothing is known of the spread.
    """

    what: str
    mean: float
    low: float
    high: float
    seeds: int
    p: float
    relevant: float
    unit: str = ""

    @property
    def finding(self) -> Finding:
        """``more`` or ``less``: significant and relevant; ``same``: the interval lies within what
        would be relevant; else ``open``."""
        if self.p < LEVEL and abs(self.mean) >= self.relevant:
            return "more" if self.mean > 0 else "less"
        if -self.relevant < self.low and self.high < self.relevant:
            return "same"
        return "open"

    @property
    def half(self) -> float:
        """Half of the interval, as it is where it does not end at what values can be."""
        return max(self.mean - self.low, self.high - self.mean)

    @property
    def cut(self) -> bool:
        """Whether the interval ends at what values can be, so that ± does not say it."""
        return math.isfinite(self.half) and not math.isclose(
            self.mean - self.low, self.high - self.mean, rel_tol=1e-6, abs_tol=1e-12
        )

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Effect:
        """Return the effect that :meth:`to_json` gave."""
        unknown = {"mean": math.nan, "low": -math.inf, "high": math.inf, "p": math.nan}
        given: dict[str, Any] = {}
        for field in fields(cls):
            value = record[field.name]
            given[field.name] = unknown[field.name] if value is None else value
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the effect as plain values with its finding; None for what is not finite."""
        record = asdict(self) | {"finding": self.finding}
        for name in ("mean", "low", "high", "p"):
            record[name] = record[name] if math.isfinite(record[name]) else None
        return record

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if not math.isfinite(self.mean):
            return f"{self.what}: not known"
        if not math.isfinite(self.half):
            return f"{self.what}: {self.mean:.3g}{unit}, its spread not known"
        if self.cut:
            return f"{self.what}: {self.mean:.3g}{unit} ({self.low:.3g} to {self.high:.3g})"
        return f"{self.what}: {self.mean:.3g} ± {self.half:.2g}{unit}"


@dataclass(frozen=True)
class Asked:
    """A question put to the runs: the paired differences ``values``, and what would be relevant.

    ``between`` are the ends of what values can be, where their unit does not say it.
    """

    what: str
    values: Sequence[float]
    relevant: float
    unit: str = ""
    between: tuple[float, float] | None = None

    def interval(self, mean: float, half: float) -> tuple[float, float]:
        """Return the ends of ``mean`` ± ``half`` that values can reach; infinite if ``half`` is."""
        least, most = self.between or RANGES.get(self.unit, (-math.inf, math.inf))
        if math.isinf(half):
            return -math.inf, math.inf
        return max(mean - half, least), min(mean + half, most)


def effects(*asked: Asked) -> tuple[Effect, ...]:
    """Return the effects of one experiment, p-values corrected for their number.

    A difference that is the same to the bit in each seed has no spread: its p is 0, or 1 for 0.

    >>> effects(Asked("planted", [1.0, 1.1, 0.9, 1.0], 0.5))[0].finding
    'more'
    """
    found = []
    for one in asked:
        values = np.asarray(one.values, np.float64)
        mean = float(values.mean())
        if not math.isfinite(mean):
            # A run that diverged, or has no number: nothing is known of the difference.
            found.append((math.nan, math.inf, 1.0))
            continue
        if len(values) < 2:
            found.append((mean, math.inf, 1.0))
            continue
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
        if error == 0:
            found.append((mean, 0.0, float(mean == 0)))
        else:
            freedom = len(values) - 1
            found.append((mean, error * quantile(freedom), two_sided(mean / error, freedom)))
    corrected = holm([p for _, _, p in found])
    return tuple(
        Effect(
            one.what,
            mean,
            *one.interval(mean, half),
            len(one.values),
            p,
            one.relevant,
            one.unit,
        )
        for one, (mean, half, _), p in zip(asked, found, corrected, strict=True)
    )


@dataclass(frozen=True)
class Verdict:
    """What an experiment says of a claim.

    ``word`` is "holds", "fails", "holds only …" or "not decided"; ``because`` says why with the
    numbers found.
    """

    claim: int
    word: str
    because: str
    effects: tuple[Effect, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain values."""
        return {
            "claim": self.claim,
            "word": self.word,
            "because": self.because,
            "effects": [effect.to_json() for effect in self.effects],
        }


def unlearned(best: float, chance: float) -> str:
    """Return a sentence where not even the ``best`` accuracy (%) beats ``chance``, else "".

    >>> unlearned(80.0, 50.0)
    ''
    """
    if best >= chance + LEARNED:
        return ""
    return (
        f"No network has learned these classes (right in {best:.0f} % at best, chance is "
        f"{chance:.0f} %), so there is nothing to compare."
    )


def undecided(effects: Sequence[Effect]) -> str:
    """Return a sentence that says which effects these runs could not decide."""
    open_ones = [f"{effect}" for effect in effects if effect.finding == "open"]
    return "These runs cannot decide it: " + "; ".join(open_ones or [str(e) for e in effects]) + "."
