"""What a network could be fed: published constants and plain value ranges, RGB and BGR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from normviz.inspection.photos import USUAL_STD
from normviz.presets import PRESETS

APART = 0.15
"""Candidates whose fed values differ by less than this, in stds of fed photos, are one family."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to feed a network: y = gain · u + bias, u an image's RGB fractions 0…1.

    Numbers are one a colour, in the order R, G, B (or one for grey); ``order`` is that in which
    the network gets its channels.

    >>> bgr = Candidate("x", "X", np.ones(3), np.array([0.0, 0.1, 0.2]), "BGR")
    >>> bgr.fed(np.zeros((1, 1, 3))).ravel()
    array([0.2, 0.1, 0. ])
    """

    key: str
    title: str
    gain: np.ndarray
    bias: np.ndarray
    order: str = "RGB"

    @classmethod
    def of(cls, key: str, title: str, mean: np.ndarray, std: np.ndarray, order: str) -> Candidate:
        """Make one of a mean and std of fractions: y = (u − mean) / std."""
        mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        # Subtracting from zero gives no minus zero.
        return cls(key, title, 1 / std, 0.0 - mean / std, order)

    @property
    def mean(self) -> np.ndarray:
        """What is subtracted from fractions 0…1, a colour each."""
        return 0.0 - self.bias / self.gain

    @property
    def std(self) -> np.ndarray:
        """What the difference is divided by, a colour each."""
        return 1 / self.gain

    def fed(self, fractions: np.ndarray) -> np.ndarray:
        """Return what the network gets for RGB fractions ``(…, C)``."""
        values = fractions * self.gain + self.bias
        return values[..., ::-1] if self.order == "BGR" else values

    def turned(self) -> Candidate:
        """Return the same constants, the channels fed in the other order."""
        return replace(self, order="BGR" if self.order == "RGB" else "RGB")

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and highest value that black and white become."""
        ends = np.stack([self.bias, self.bias + self.gain])
        return float(ends.min()), float(ends.max())

    @property
    def value_range(self) -> str:
        """The input's scale in words, by what black and white become.

        >>> plain_candidates(3)[0].value_range, plain_candidates(3)[2].value_range
        ('0 to 1', '0 to 255')
        """
        low, high = self.range
        if np.abs(self.bias).max() < 1e-3 * np.abs(self.gain).max():
            return f"0 to {high:.4g}"
        return f"{low:.3g} to {high:.3g}".replace("-", "−")

    @property
    def scale(self) -> str:
        """Which range pixels are in before constants are subtracted: "0–255" where std is 1 there.

        A division by a std of about a quarter says fractions, by about 1/255 says pixels.
        """
        return "0–255" if float(np.median(self.gain)) > 40 else "0–1"


def separation(a: Candidate, b: Candidate) -> float:
    """How far apart two candidates feed one image at most, in stds that fed photos have.

    The largest |y_a(u) − y_b(u)| over u in 0…1 and the colours, divided by the smaller of their
    gains and the usual std of photos; infinite where the order of channels differs.

    >>> known = {family.key: family.head for family in families(3)}
    >>> separation(known["imagenet"], known["half"]).__round__(2)
    2.97
    """
    if a.order != b.order or len(a.gain) != len(b.gain):
        return float("inf")
    black, white = a.bias - b.bias, a.bias + a.gain - b.bias - b.gain
    std = np.minimum(a.gain, b.gain) * (USUAL_STD if len(a.gain) == 3 else USUAL_STD.mean())
    return float((np.maximum(np.abs(black), np.abs(white)) / std).max())


@dataclass(frozen=True, eq=False)
class Family:
    """Candidates that feed nearly the same values: no photos could tell them apart."""

    members: tuple[Candidate, ...]

    @property
    def head(self) -> Candidate:
        return self.members[0]

    @property
    def key(self) -> str:
        """Its first member's key, with "_bgr" where the channels are turned."""
        return self.head.key + ("_bgr" if self.head.order == "BGR" else "")

    @cached_property
    def title(self) -> str:
        return self.head.title

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(member.title for member in self.members))


def plain_candidates(channels: int) -> list[Candidate]:
    """Return value ranges without published constants, in RGB or grey order."""
    one = np.ones(channels)
    usual = np.array([0.485, 0.456, 0.406]) if channels == 3 else np.array([0.449])
    order = "RGB" if channels == 3 else "grey"
    return [
        Candidate("unit", "Fractions 0 to 1", one, 0 * one, order),
        Candidate("half", "−1 to 1 (mean 0.5, std 0.5)", 2 * one, -one, order),
        Candidate("bytes", "Pixels 0 to 255", 255 * one, 0 * one, order),
        Candidate("centred", "Fractions, mean subtracted, no std", one, -usual, order),
        Candidate("caffe", "Pixels, mean subtracted, no std", 255 * one, -255 * usual, order),
        Candidate("bytes_centred", "Pixels −128 to 127", 255 * one, -128 * one, order),
    ]


def candidates(channels: int) -> list[Candidate]:
    """Return every preset and plain range for a network of 1 or 3 channels; colour in both orders.

    Folklore comes last, so that a family bears the name of what is not known to be wrong.
    """
    found = []
    for preset in sorted(PRESETS.values(), key=lambda preset: preset.folklore):
        if preset.channels == channels:
            order = preset.order if channels == 3 else "grey"
            found.append(
                Candidate.of(
                    preset.key, preset.title, preset.fraction_mean, preset.fraction_std, order
                )
            )
    found += plain_candidates(channels)
    if channels == 3:
        found += [candidate.turned() for candidate in found]
    return found


def families(channels: int, within: float = APART) -> tuple[Family, ...]:
    """Group the candidates: each joins the first family whose head is less than ``within`` away.

    >>> [family.key for family in families(3)][:3]
    ['imagenet', 'half', 'unit']
    >>> families(3)[0].titles[1]
    'DPN'
    """
    groups: list[list[Candidate]] = []
    for candidate in candidates(channels):
        near = [group for group in groups if separation(group[0], candidate) < within]
        if near:
            near[0].append(candidate)
        else:
            groups.append([candidate])
    return tuple(Family(tuple(group)) for group in groups)
