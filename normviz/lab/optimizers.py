"""Rules that turn gradients into steps, on flat parameters of several runs at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


class State(NamedTuple):
    """What an optimizer remembers: the step's number and running averages of gradients."""

    step: int
    first: np.ndarray
    second: np.ndarray


class Optimizer(Protocol):
    """A rule; ``rates`` is one learning rate a run."""

    def begin(self, theta: np.ndarray) -> State:
        """Return the memory before the first step."""
        ...

    def after(
        self, theta: np.ndarray, gradient: np.ndarray, rates: np.ndarray, state: State
    ) -> tuple[np.ndarray, State]:
        """Return the parameters ``(R, P)`` after a step, and the memory."""
        ...


def _begin(theta: np.ndarray) -> State:
    return State(0, np.zeros_like(theta), np.zeros_like(theta))


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum: m ← μ m + g, θ ← θ − η m; as torch.optim.SGD.

    >>> theta = np.array([[1.0]])
    >>> rule = SGD(momentum=0.5)
    >>> theta, state = rule.after(theta, np.array([[2.0]]), np.array([0.1]), rule.begin(theta))
    >>> round(theta.item(), 6), round(rule.after(theta, 0 * theta, 0.1, state)[0].item(), 6)
    (0.8, 0.7)
    """

    momentum: float = 0.0

    def begin(self, theta: np.ndarray) -> State:
        return _begin(theta)

    def after(
        self, theta: np.ndarray, gradient: np.ndarray, rates: np.ndarray, state: State
    ) -> tuple[np.ndarray, State]:
        moving = self.momentum * state.first + gradient if self.momentum else gradient
        return theta - _column(rates, theta) * moving, State(state.step + 1, moving, state.second)


@dataclass(frozen=True)
class Adam:
    """Adam: m and s average g and g², θ ← θ − η m̂/(√ŝ + ε), both corrected for their start.

    Source: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980; as torch.optim.Adam.

    >>> theta = np.array([[1.0]])
    >>> rule = Adam()
    >>> after, _ = rule.after(theta, np.array([[5.0]]), np.array([0.1]), rule.begin(theta))
    >>> round(after.item(), 6)
    0.9
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def begin(self, theta: np.ndarray) -> State:
        return _begin(theta)

    def after(
        self, theta: np.ndarray, gradient: np.ndarray, rates: np.ndarray, state: State
    ) -> tuple[np.ndarray, State]:
        step = state.step + 1
        first = self.beta1 * state.first + (1 - self.beta1) * gradient
        second = self.beta2 * state.second + (1 - self.beta2) * gradient * gradient
        root = np.sqrt(second / (1 - self.beta2**step)) + self.epsilon
        moved = _column(rates, theta) * (first / (1 - self.beta1**step)) / root
        return theta - moved, State(step, first, second)


def _column(rates: np.ndarray, theta: np.ndarray) -> np.ndarray:
    return np.asarray(rates, theta.dtype).reshape(-1, 1)


OPTIMIZERS: dict[str, Optimizer] = {"sgd": SGD(), "momentum": SGD(momentum=0.9), "adam": Adam()}
