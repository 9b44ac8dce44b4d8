"""Sums over images of what each image is: enough for everything that lies between images.

Whole numbers throughout, in steps of 2⁻⁸⁰ of the value range (or of its square), so that adding
them is exact: the result is the same to the bit whatever the order, the split and the workers. One
image's term is rounded down to a step, which is 10⁻²⁴.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

STEP_BITS = 80
"""Sums are held in steps of 2 to the minus this."""

PAIRS = ((0, 1), (0, 2), (1, 2))
"""The channel pairs of ``cross``: RG, RB, GB."""


@dataclass(frozen=True)
class Terms:
    """One channel's sums over images; S = Σx, Q = Σx² and n are one image's, x its fractions.

    ``s`` ΣS, ``q`` ΣQ, ``mean_squares`` ΣS²/n, ``variances`` Σσ², ``stds`` Σσ; and for the
    intervals of an estimate ``ns`` ΣnS, ``nq`` ΣnQ, ``ss`` ΣS², ``sq`` ΣSQ, ``qq`` ΣQ².
    """

    s: int
    q: int
    mean_squares: int
    variances: int
    stds: int
    ns: int
    nq: int
    ss: int
    sq: int
    qq: int

    @classmethod
    def of_levels(cls, count: int, sums: int, squares: int, top: int) -> Terms:
        """The terms of one image from Σ level and Σ level² of ``count`` pixels of 0…``top``."""
        spread = count * squares - sums * sums
        variance = (spread << STEP_BITS) // (count * top) ** 2
        return cls._of(
            count,
            (sums << STEP_BITS) // top,
            (squares << STEP_BITS) // top**2,
            (sums * sums << STEP_BITS) // (count * top**2),
            variance,
        )

    @classmethod
    def of_floats(cls, count: int, mean: float, variance: float) -> Terms:
        """The terms of one image from the mean and variance of its fractions."""
        exact_mean, exact_variance = Fraction(mean), Fraction(variance)
        squares = exact_mean**2 * count
        return cls._of(
            count,
            stepped(exact_mean * count),
            stepped(squares + exact_variance * count),
            stepped(squares),
            stepped(exact_variance),
        )

    @classmethod
    def of_unit(cls, count: int, s: int, q: int) -> Terms:
        """The terms of one unit of several images, from its Σx and Σx² in steps."""
        return cls._of(count, s, q, 0, 0)

    @classmethod
    def _of(cls, count: int, s: int, q: int, mean_squares: int, variance: int) -> Terms:
        return cls(
            s=s,
            q=q,
            mean_squares=mean_squares,
            variances=variance,
            stds=math.isqrt(variance << STEP_BITS),
            ns=count * s,
            nq=count * q,
            ss=s * s >> STEP_BITS,
            sq=s * q >> STEP_BITS,
            qq=q * q >> STEP_BITS,
        )

    def merge(self, other: Terms) -> Terms:
        return Terms(
            self.s + other.s,
            self.q + other.q,
            self.mean_squares + other.mean_squares,
            self.variances + other.variances,
            self.stds + other.stds,
            self.ns + other.ns,
            self.nq + other.nq,
            self.ss + other.ss,
            self.sq + other.sq,
            self.qq + other.qq,
        )


@dataclass(frozen=True)
class Across:
    """The sums over images of one number of channels; a commutative monoid under ``merge``.

    ``pixels`` Σn and ``pixel_squares`` Σn²; ``terms`` one a channel; ``cross`` Σxᵢxⱼ over all
    pixels for the :data:`PAIRS` of channels (empty for one channel).

    >>> one = Across(1, 4, 16, (Terms.of_floats(4, 0.5, 0.0),), ())
    >>> both = one.merge(one)
    >>> both.images, fraction(both.terms[0].s) / both.pixels
    (2, Fraction(1, 2))
    """

    images: int
    pixels: int
    pixel_squares: int
    terms: tuple[Terms, ...]
    cross: tuple[int, ...]

    def merge(self, other: Across) -> Across:
        """Return the sums of both sets of images together."""
        return Across(
            self.images + other.images,
            self.pixels + other.pixels,
            self.pixel_squares + other.pixel_squares,
            tuple(a.merge(b) for a, b in zip(self.terms, other.terms, strict=True)),
            tuple(a + b for a, b in zip(self.cross, other.cross, strict=True)),
        )

    def as_one(self) -> Across:
        """Return the sums of one unit that holds all these images, as if they were one image.

        Only what an estimate needs is kept: s, q and their products.
        """
        n = self.pixels
        terms = tuple(Terms.of_unit(n, term.s, term.q) for term in self.terms)
        return Across(1, n, n * n, terms, self.cross)

    def in_channels(self, channels: int) -> Across:
        """A grey image stands for each of R, G and B, whose products are then its squares."""
        if len(self.terms) == channels:
            return self
        (grey,) = self.terms
        return Across(
            self.images, self.pixels, self.pixel_squares, (grey,) * 3, (grey.q,) * len(PAIRS)
        )


def stepped(value: Fraction) -> int:
    """Return a number in steps, rounded down."""
    return (value.numerator << STEP_BITS) // value.denominator


def fraction(steps: int) -> Fraction:
    """Return a sum as the exact number that it stands for."""
    return Fraction(steps, 1 << STEP_BITS)
