"""Training some runs side by side: the same start and batches, each run with its own rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from normviz.lab.net import Net, cross_entropy
from normviz.lab.optimizers import Optimizer

EVALUATED = 256
"""So many samples are pushed through a network at a time when it is only evaluated."""

LAST = 20
"""A run's final training loss is the mean of so many last batches."""


def batches(seed: int, count: int, size: int, steps: int) -> np.ndarray:
    """Return indices ``(steps, size)``: the set in a new order each epoch, cut into batches.

    >>> batches(0, 4, 2, 4).reshape(2, 4).sum(axis=1).tolist()  # 0 + 1 + 2 + 3, twice
    [6, 6]
    """
    random = np.random.default_rng([seed, 2])
    size = min(size, count)
    epochs = -(-steps * size // count)
    order = np.concatenate([random.permutation(count) for _ in range(epochs)])
    return order[: steps * size].reshape(steps, size)


@dataclass(frozen=True, eq=False)
class Step:
    """After a step: its number from 1, the batch's loss before it ``(R,)``, and what it led to."""

    number: int
    loss: np.ndarray
    theta: np.ndarray
    averages: list[np.ndarray]
    gradient: np.ndarray


def train(
    net: Net,
    prepared: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    rates: Sequence[float],
    rule: Optimizer,
    theta: np.ndarray,
) -> Iterator[Step]:
    """Yield each step of training ``net`` on ``net.prepared(x)``, one run a learning rate.

    ``order`` holds the indices of each step's batch. A run that diverges goes on as inf or NaN.
    """
    speeds = np.asarray(rates, theta.dtype)
    state = rule.begin(theta)
    averages = net.start_averages(len(theta))
    with np.errstate(all="ignore"):
        for number, chosen in enumerate(order, start=1):
            loss, gradient, saved = net.gradient(theta, prepared[chosen], labels[chosen])
            theta, state = rule.after(theta, gradient, speeds, state)
            if averages:
                averages = net.remembered(averages, saved)
            yield Step(number, loss, theta, averages, gradient)


@dataclass(frozen=True, eq=False)
class Trained:
    """Runs after training: the loss of each step ``(steps, R)`` and the parameters ``(R, P)``."""

    net: Net
    losses: np.ndarray
    theta: np.ndarray
    averages: list[np.ndarray]

    @property
    def final(self) -> np.ndarray:
        """The mean loss of the last batches of each run, infinite for one that diverged."""
        with np.errstate(all="ignore"):
            last = self.losses[-LAST:].mean(axis=0, dtype=np.float64)
        # A loss far above that of guessing says as much as an infinite one.
        return np.where(np.isfinite(last) & (last < 100.0), last, np.inf)

    @property
    def best(self) -> int:
        """The run with the lowest final training loss."""
        return int(np.argmin(self.final))

    def predicted(self, run: int, x: np.ndarray) -> np.ndarray:
        """Return the class that one run gives each sample ``(N, …)``."""
        return self._logits(run, x).argmax(axis=1)

    def accuracy(self, run: int, x: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of samples that one run names rightly."""
        return float((self.predicted(run, x) == labels).mean())

    def loss(self, run: int, x: np.ndarray, labels: np.ndarray) -> float:
        """Return one run's mean loss over samples."""
        return float(cross_entropy(self._logits(run, x)[np.newaxis], labels)[0][0])

    def _logits(self, run: int, x: np.ndarray) -> np.ndarray:
        one = slice(run, run + 1)
        averages = [pair[one].astype(self.theta.dtype) for pair in self.averages]
        parts = []
        with np.errstate(all="ignore"):
            for first in range(0, len(x), EVALUATED):
                part = self.net.prepared(x[first : first + EVALUATED])
                parts.append(self.net.forward(self.theta[one], part, averages)[0][0])
        return np.concatenate(parts)


def trained(
    net: Net,
    x: np.ndarray,
    labels: np.ndarray,
    seed: int,
    rates: Sequence[float],
    steps: int,
    size: int,
    rule: Optimizer,
    kind: type = np.float32,
) -> Trained:
    """Return runs trained from the seed's start on the seed's batches, one a learning rate."""
    order = batches(seed, len(x), size, steps)
    theta = net.start(seed, len(rates), kind)
    losses = []
    for step in train(net, net.prepared(x.astype(kind)), labels, order, rates, rule, theta):
        losses.append(step.loss)
    return Trained(net, np.array(losses), step.theta, step.averages)
