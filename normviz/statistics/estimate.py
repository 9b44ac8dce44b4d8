"""What a random part of a source tells of the whole: means and stds with 95 % intervals.

The images are the sample, not their pixels: pixels of one image resemble each other, so that a
thousand images of a million pixels are a sample of a thousand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np

from normviz.statistics.across import Across, fraction

FEWEST = 10
"""With fewer images (or shards) there is no interval."""

CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Estimate:
    """Half-widths of the 95 % intervals of mean and pooled std per channel, as fractions of range.

    From ``count`` of ``of`` images (``unit`` "image"), or shards; ``of`` None: of very many.
    Infinite below :data:`FEWEST`.
    """

    unit: str
    count: int
    of: int | None
    mean: np.ndarray
    std: np.ndarray

    @property
    def widest(self) -> float:
        """The largest half-width of all channels' means and stds."""
        return float(max(self.mean.max(), self.std.max()))

    def to_dict(self, span: float) -> dict[str, Any]:
        """Return the half-widths in units of the value range; None where there are none yet."""
        return {
            "unit": self.unit,
            "count": self.count,
            "of": self.of,
            "confidence": CONFIDENCE,
            "half_width_mean": _finite(self.mean * span),
            "half_width_std": _finite(self.std * span),
        }


def estimate(sums: Across, unit: str, of: int | None) -> Estimate:
    r"""Return the intervals that sums over randomly drawn images (or shards) give.

    With :math:`n_i, S_i, Q_i` pixels, Σx and Σx² of image i, the mean :math:`m = ΣS/Σn` is a ratio
    of sums; its error is that of the mean residual :math:`S_i - m n_i`. The variance
    :math:`v = ΣQ/Σn - m^2` has the residual :math:`Q_i - 2 m S_i + (m^2 - v) n_i`, and the std
    half of that over :math:`\sqrt v`. (Cochran, Sampling Techniques, 1977, chapter 6.) The
    interval is Student's t with count − 1 degrees of freedom, times :math:`\sqrt{1 - f}` when a
    share f of the whole was read.

    >>> from normviz.statistics.across import Terms
    >>> dark, light = (Across(1, 4, 16, (Terms.of_floats(4, m, 0.0),), ()) for m in (0.25, 0.75))
    >>> both = dark.merge(light)
    >>> for _ in range(5): both = both.merge(both)
    >>> found = estimate(both, "image", None)
    >>> found.count, round(float(found.mean[0]), 4)
    (64, 0.0629)
    """
    count, n = sums.images, sums.pixels
    means, stds = [], []
    for terms in sums.terms:
        s, q = fraction(terms.s), fraction(terms.q)
        ss, sq, qq = fraction(terms.ss), fraction(terms.sq), fraction(terms.qq)
        ns, nq, nn = fraction(terms.ns), fraction(terms.nq), sums.pixel_squares
        m = s / n
        v = q / n - m**2
        c = m**2 - v
        of_mean = ss - 2 * m * ns + m**2 * nn
        of_variance = qq + 4 * m**2 * ss + c**2 * nn - 4 * m * sq + 2 * c * nq - 4 * m * c * ns
        means.append(_half_width(of_mean, count, n, of))
        std = math.sqrt(max(v, Fraction(0)))
        spread = _half_width(of_variance, count, n, of)
        stds.append(spread / (2 * std) if std else (0.0 if math.isfinite(spread) else spread))
    return Estimate(unit, count, of, np.array(means), np.array(stds))


def _half_width(residuals: Fraction, count: int, n: int, of: int | None) -> float:
    if count < FEWEST:
        return math.inf
    unread = 1 if of is None else max(0.0, 1 - count / of)
    # Σ of squared residuals over (Σn)², times count / (count − 1) for the degrees of freedom.
    variance = max(float(residuals / n**2), 0.0) * count / (count - 1)
    return t_quantile(count - 1) * math.sqrt(variance * unread)


def t_quantile(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t, to 0.001 from 9 degrees of freedom on.

    By the expansion in 1/ν of Abramowitz and Stegun (1964), 26.7.5.

    >>> round(t_quantile(9), 3), round(t_quantile(10**6), 3)
    (2.262, 1.96)
    """
    z, v = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2), freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]
