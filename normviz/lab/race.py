"""What the training experiments share: images in varied light, and runs that report on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import numpy as np

from normviz.lab.experiment import Record
from normviz.lab.exposure import exposed, spread
from normviz.lab.labelled import LabelledSet
from normviz.lab.net import Net
from normviz.lab.normalizations import fitted
from normviz.lab.optimizers import Optimizer
from normviz.lab.summary import short
from normviz.lab.training import Trained, batches, train

TRAIN, TEST = 0, 1


@dataclass(frozen=True, eq=False)
class Lit:
    """8-bit images of a split, each in a light of its own."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    classes: int

    @property
    def chance(self) -> float:
        """The share of test images, in percent, that the most frequent class alone gets right."""
        return 100 * float(np.bincount(self.test_labels).max() / len(self.test_labels))

    def normalized(self, key: str) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Return the training images under a method fitted on them, and the method for others."""
        method = fitted(key, self.train)
        return method(self.train), method


def lit(source: LabelledSet, seed: int, sigma: float, train: int, test: int) -> Lit:
    """Return a split whose images were each exposed by an EV from N(0, σ)."""
    split = source.draw(seed, train, test)
    images = [
        exposed(linear, spread(len(linear), sigma, seed, part), seed * 2 + part)
        for part, linear in ((TRAIN, split.train), (TEST, split.test))
    ]
    return Lit(images[0], split.train_labels, images[1], split.test_labels, len(split.classes))


@dataclass(frozen=True)
class Schedule:
    """How runs train: rates side by side, steps, batch size, optimizer."""

    rates: tuple[float, ...]
    steps: int
    batch: int
    rule: Optimizer
    every: int = 25
    """After so many steps the mean loss since the last time is reported."""


def raced(
    seed: int,
    name: Mapping[str, object],
    net: Net,
    x: np.ndarray,
    labels: np.ndarray,
    schedule: Schedule,
) -> Generator[Record, None, Trained]:
    """Train one run a rate and yield points of their curves; ``name`` tells these runs apart.

    Returns the runs: ``runs = yield from raced(…)``.
    """
    order = batches(seed, len(x), schedule.batch, schedule.steps)
    theta = net.start(seed, len(schedule.rates))
    losses: list[np.ndarray] = []
    steps = train(net, net.prepared(x), labels, order, schedule.rates, schedule.rule, theta)
    for step in steps:
        losses.append(step.loss)
        if step.number % schedule.every == 0:
            recent = np.array(losses[-schedule.every :], np.float64).mean(axis=0)
            point = {"rates": schedule.rates, "step": step.number, "losses": _shown(recent)}
            yield Record(seed, "curve", {**name, **point})
    return Trained(net, np.array(losses), step.theta, step.averages)


def _shown(values: np.ndarray) -> list[float | None]:
    """Numbers for a curve; None where a run has diverged."""
    return [short(float(value)) for value in values]


def thinned(losses: np.ndarray, every: int) -> list[list[float | None]]:
    """Return mean losses of each ``every`` steps, ``(steps/every, R)`` as lists."""
    with np.errstate(all="ignore"):
        means = losses[: len(losses) // every * every].reshape(-1, every, losses.shape[1]).mean(1)
    return [_shown(row) for row in means]
