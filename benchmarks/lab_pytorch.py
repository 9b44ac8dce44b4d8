"""The lab's experiments, trained and evaluated by PyTorch: what lab.py times beside the lab.

Images, their patches, batches, start weights and verdicts are the experiment's own. PyTorch works
eagerly and trains all learning rates at once, as the lab does: products are batched over the rates.
That was the fastest of the ways tried. In processor time of one training with batches of 32 and
three rates, where the lab takes 1: this 1.35, conv2d in groups 2.3, torch.func.vmap 3.5, and one
rate after the other with conv2d and torch.optim.SGD 4.3.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator, Sequence
from unittest.mock import patch

import numpy as np
import torch
from torch.nn import functional

from normviz.lab import EXPERIMENTS, race
from normviz.lab.experiment import Experiment, Record, Spec
from normviz.lab.layers import Join, Linear, Norm, Patches
from normviz.lab.net import Net
from normviz.lab.optimizers import SGD
from normviz.lab.training import Step, Trained

Moments = tuple[torch.Tensor, torch.Tensor]


def in_pytorch(experiment: Experiment) -> Experiment:
    """Return the experiment with PyTorch at work, for one that trains the lab's small network."""
    return dataclasses.replace(experiment, work=work)


def work(spec: Spec, seed: int, _source: object) -> Iterator[Record]:
    own: Experiment = importlib.import_module(type(spec).__module__).EXPERIMENT
    with patch.multiple(race, train=train, Trained=TrainedByPytorch):
        yield from own.work(spec, seed, own.source)


# A worker asks its task's module for one experiment; which is meant, work() sees from the spec.
EXPERIMENT = in_pytorch(EXPERIMENTS["shift"])


def train(
    net: Net,
    prepared: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    rates: Sequence[float],
    rule: SGD,
    theta: np.ndarray,
) -> Iterator[Step]:
    """Yield the same steps as the lab's ``train``; theta is a list of tensors here."""
    runs = len(theta)
    x, wanted = torch.tensor(prepared), torch.tensor(labels)
    weights = [
        torch.tensor(np.ascontiguousarray(values)).requires_grad_()
        for own in net.views(theta)
        for values in own.values()
    ]
    speeds = [torch.tensor(rates).view(-1, *[1] * (one.ndim - 1)) for one in weights]
    moving = [torch.zeros_like(one) for one in weights]
    averages = [
        (torch.zeros(runs * shape[-1]), torch.ones(runs * shape[-1]))
        for layer, shape in zip(net.layers, net.shapes, strict=False)
        if isinstance(layer, Norm)
    ]
    for number, chosen in enumerate(torch.tensor(order), start=1):
        # Faster than x[chosen].
        logits = forward(net, weights, x.index_select(0, chosen), averages, training=True)
        labelled = wanted.index_select(0, chosen).repeat(runs)
        each = functional.cross_entropy(logits.flatten(0, 1), labelled, reduction="none")
        loss = each.view(runs, -1).mean(dim=1)
        gradients = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            for one, speed, mean, gradient in zip(weights, speeds, moving, gradients, strict=True):
                mean.mul_(rule.momentum).add_(gradient)
                one.addcmul_(speed, mean, value=-1)
        yield Step(number, loss.detach().numpy(), weights, averages, gradients)


def forward(
    net: Net,
    weights: Sequence[torch.Tensor],
    x: torch.Tensor,
    averages: Sequence[Moments],
    training: bool,
) -> torch.Tensor:
    """Return the logits ``(R, B, K)`` of prepared samples ``(B, …)``."""
    runs = len(weights[0])
    h = x.expand(runs, *x.shape)
    parameters, moments = iter(weights), iter(averages)
    for layer, shape in zip(net.layers[net.first :], net.shapes[net.first + 1 :], strict=True):
        if isinstance(layer, Linear):
            weight, bias = next(parameters), next(parameters)
            rows = h.reshape(runs, -1, h.shape[-1])
            h = torch.baddbmm(bias[:, None], rows, weight).view(runs, -1, *shape)
        elif isinstance(layer, Norm):
            gain, offset = next(parameters).flatten(), next(parameters).flatten()
            mean, variance = next(moments)
            # Each channel of each run is a channel of its own.
            maps = h.movedim(0, -2)
            normed = functional.batch_norm(
                maps.reshape(-1, len(gain)),
                mean,
                variance,
                gain,
                offset,
                training,
                eps=layer.epsilon,
            )
            h = normed.view(maps.shape).movedim(-2, 0)
        elif isinstance(layer, Patches):
            rows, columns, _ = shape
            k = layer.kernel
            h = h[:, :, : rows * k, : columns * k]
            h = h.reshape(runs, -1, rows, k, columns, k, h.shape[-1]).transpose(3, 4)
            h = h.reshape(runs, -1, *shape)
        elif isinstance(layer, Join):
            h = h.flatten(2)
        else:
            h = h.relu()
    return h


class TrainedByPytorch(Trained):
    """Runs after training, evaluated by PyTorch too."""

    def _logits(self, run: int, x: np.ndarray) -> np.ndarray:
        weights = [one[run : run + 1] for one in self.theta]
        averages = [
            tuple(moment.view(len(self.theta[0]), -1)[run] for moment in pair)
            for pair in self.averages
        ]
        with torch.no_grad():
            prepared = torch.tensor(self.net.prepared(x))
            return forward(self.net, weights, prepared, averages, training=False)[0].numpy()
