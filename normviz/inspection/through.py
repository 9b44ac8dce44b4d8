"""One candidate through the whole network: every batch normalization, and the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from normviz.inspection.candidates import Candidate
from normviz.inspection.distance import Moments, joined, layer_distance
from normviz.inspection.from_output import Answers
from normviz.networks.graph import BatchNorm
from normviz.networks.network import Network
from normviz.observe.network import probabilities


@dataclass(frozen=True, eq=False)
class Through:
    """What the photos gave: moments at each of ``norms``, and answers where the net classifies."""

    norms: tuple[BatchNorm, ...]
    moments: tuple[Moments, ...]
    answers: Answers | None

    def layers(self, weights: np.ndarray) -> np.ndarray:
        """The distance at each normalization ``(D, L)``; 0 columns where there is none."""
        found = [
            layer_distance(norm, *moments.pooled(weights))
            for norm, moments in zip(self.norms, self.moments, strict=True)
        ]
        return np.stack(found, axis=1) if found else np.zeros((len(weights), 0))

    def beside(self, mirrored: Through) -> Through:
        """Return this with the answers to the photos' mirror images, where there are any."""
        if self.answers is None or mirrored.answers is None:
            return self
        return replace(self, answers=replace(self.answers, mirrored=mirrored.answers.shares))


def run_through(
    network: Network,
    candidate: Candidate,
    exposed: np.ndarray,
    norms: tuple[BatchNorm, ...],
    answers: bool = True,
) -> Iterator[Through | None]:
    """Feed the photos ``exposed (N, H, W, C)`` one by one; yield None after each, then the result.

    Without ``answers`` only what the normalizations need is computed.
    """
    taps = list(dict.fromkeys(norm.before for norm in norms))
    parts: list[list[Moments]] = []
    shares: list[np.ndarray] = []
    for photo in exposed:
        fed = candidate.fed(photo[np.newaxis]).astype(np.float32)
        found = network.run(fed, [*taps, network.output] if answers else taps)
        parts.append([Moments.of(found[norm.before]) for norm in norms])
        row = class_shares(found[network.output]) if answers else None
        if row is not None:
            shares.append(row)
        yield None
    moments = tuple(joined(list(part)) for part in zip(*parts, strict=True))
    said = None
    if len(shares) == len(exposed):
        said = Answers(np.stack(shares))
    yield Through(norms, moments, said)


def class_shares(output: np.ndarray) -> np.ndarray | None:
    """The classes' probabilities of one photo, or None where the output is no row of classes."""
    if output.ndim > 2 and all(side == 1 for side in output.shape[2:]):
        output = output.reshape(output.shape[:2])
    if output.ndim != 2 or output.shape[1] < 2 or not np.isfinite(output).all():
        return None
    return probabilities(output)[0]
