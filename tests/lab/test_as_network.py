"""A trained net of the lab answers as an ONNX network what it answers in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.lab import PHOTO_PATCHES
from normviz.lab.as_network import as_network, trained_network
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.training import trained

RNG = np.random.default_rng(3)
X = RNG.normal(0.3, 1.0, (64, 16, 16, 3)).astype(np.float32)
LABELS = RNG.integers(0, 4, 64)


@pytest.mark.parametrize("norm", [None, "batch"])
@pytest.mark.parametrize("pad", [0, 2])
def test_the_same_logits(norm, pad):
    net = small_net((16, 16, 3), 4, norm, pad=pad)
    runs = trained(net, X, LABELS, 0, (0.01, 0.05), 20, 16, SGD(momentum=0.9))
    for run in (0, 1):
        network = as_network(runs, run, "net")
        found = network.run(X[:7], [network.output])[network.output]
        assert found == pytest.approx(runs._logits(run, X[:7]), abs=2e-4)
    assert len(network.batch_norms) == (2 if norm else 0)
    assert (network.input.height, network.input.layout) == (16, "NCHW")


def test_a_norm_without_running_averages_is_refused():
    net = small_net((16, 16, 3), 4, "layer")
    runs = trained(net, X, LABELS, 0, (0.01,), 2, 16, SGD())
    with pytest.raises(TypeError, match="Norm has no ONNX operator"):
        as_network(runs, 0, "net")


def test_trained_networks_are_the_same_for_a_seed_and_better_than_chance():
    one = trained_network("ds_z", PHOTO_PATCHES, norm=True)
    again = trained_network("ds_z", PHOTO_PATCHES, norm=True)
    other = trained_network("ds_z", PHOTO_PATCHES, norm=True, seed=1)
    first, same, seeded = (
        network.run(X[:3], [network.output])[network.output] for network in (one, again, other)
    )
    assert (first == same).all() and not np.allclose(first, seeded)
    assert len(one.labels) == 10
