"""Random stacks: the laws of He and of Glorot, and normalizations that normalize."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import onnx
import pytest

from normviz.errors import ParameterError, ShapeError
from normviz.networks.stacks import ACTIVATIONS, KERNEL, LEAK, Stack
from normviz.observe.network import Feed, record_network

RNG = np.random.default_rng(11)
IMAGES = (RNG.normal(size=(4, 32, 32, 3)) + RNG.normal(size=(4, 1, 1, 3))).astype(np.float32)


def recorded(stack: Stack, images: np.ndarray = IMAGES):
    network = stack.network(images)
    *_, last = record_network(network, [Feed("all", len(images), lambda i: images[i])])
    return last.layers


def second_moment(record) -> float:
    return record.layer_std**2 + record.layer_mean**2


@pytest.mark.parametrize(
    ("initialisation", "activation", "growth"),
    [
        ("he", "relu", 1.0),
        ("he", "leaky_relu", 1.0),
        ("he", "none", 2.0),
        ("glorot", "relu", 0.5),
        ("glorot", "leaky_relu", (1 + LEAK**2) / 2),
        ("glorot", "none", 1.0),
    ],
)
@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_the_second_moment_grows_as_stated(initialisation, activation, growth, gain):
    ratios = []
    for seed in range(12):
        stack = Stack(
            depth=9,
            width=48,
            activation=activation,
            initialisation=initialisation,
            gain=gain,
            seed=seed,
            side=32,
        )
        moments = [second_moment(record) for record in recorded(stack, IMAGES[:1])]
        ratios += [b / a for a, b in pairwise(moments)]
    assert stack.growth == pytest.approx(growth * gain**2)
    # Given a layer, the mean over the next one's weights is the law exactly.
    error = np.std(ratios) / np.sqrt(len(ratios))
    assert error < 0.05 * stack.growth
    assert abs(np.mean(ratios) - stack.growth) < 4 * error


@pytest.mark.parametrize(("initialisation", "factor"), [("he", 2.0), ("glorot", 54 / 459)])
def test_the_first_layer_starts_from_the_input(initialisation, factor):
    # Glorot: 27 · 2 / (27 + 432).
    moments = [
        second_moment(
            recorded(Stack(1, 48, "none", initialisation, seed=seed, side=32), IMAGES[:1])[0]
        )
        for seed in range(60)
    ]
    error = np.std(moments) / np.sqrt(len(moments))
    expected = factor * np.square(IMAGES[0], dtype=np.float64).mean()
    assert error < 0.1 * expected
    assert abs(np.mean(moments) - expected) < 4 * error


def test_weights_have_the_std_of_their_initialisation():
    for name, variance in (("he", 2 / (9 * 64)), ("glorot", 2 / (9 * 128))):
        stack = Stack(3, 64, initialisation=name, gain=1.5)
        first, second, _ = (layer.weights for layer in stack.network().layers)
        assert first.shape == (64, 3, KERNEL, KERNEL) and second.shape == (64, 64, KERNEL, KERNEL)
        assert second.std() == pytest.approx(1.5 * np.sqrt(variance), rel=0.01)
        assert abs(second.mean()) < 4 * second.std() / np.sqrt(second.size)


AXES = {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}


@pytest.mark.parametrize("normalization", [*AXES, "group"])
@pytest.mark.parametrize("together", [True, False])
def test_normalized_stacks_have_mean_0_and_std_1_over_their_axes(normalization, together):
    stack = Stack(
        depth=7, width=12, normalization=normalization, groups=3, gain=3.0, side=32, seed=2
    )
    network = stack.network(IMAGES)
    taps = [layer.tap for layer in network.layers]
    assert len(set(taps)) == 7
    runs = [IMAGES] if together else [IMAGES[i : i + 1] for i in range(4)]
    found = [network.run(images, taps) for images in runs]
    for tap in taps:
        values = np.concatenate([run[tap] for run in found]).astype(np.float64)
        if normalization == "group":
            values, axes = values.reshape(4, 3, -1), (2,)
        else:
            axes = AXES[normalization]
        np.testing.assert_allclose(values.mean(axis=axes), 0, atol=1e-4)
        # ε takes from small variances.
        np.testing.assert_allclose(values.std(axis=axes), 1, atol=2e-3)


def test_what_is_tapped_is_what_the_activation_takes():
    kinds = {
        "none": "Conv 3×3, ReLU",
        "batch": "Conv 3×3, BatchNorm, ReLU",
        "layer": "Conv 3×3, LayerNorm, ReLU",
        "instance": "Conv 3×3, InstanceNorm, ReLU",
        "group": "Conv 3×3, GroupNorm, ReLU",
    }
    for normalization, kind in kinds.items():
        network = Stack(2, normalization=normalization, side=32).network(IMAGES)
        assert [layer.kind for layer in network.layers] == [kind] * 2
        (taker,) = network.graph.taken_by[network.layers[0].tap]
        assert taker.op_type == "Relu"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_those_of_their_formulas(activation):
    formulas = {
        "relu": lambda a: np.maximum(a, 0),
        "leaky_relu": lambda a: np.where(a > 0, a, LEAK * a),
        "tanh": np.tanh,
        "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
        "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
        "selu": lambda a: 1.0507010 * np.where(a > 0, a, 1.6732632 * np.expm1(a)),
        "silu": lambda a: a / (1 + np.exp(-a)),
        "none": lambda a: a,
    }
    network = Stack(1, activation=activation, side=32).network()
    found = network.run(IMAGES, [network.layers[0].tap, network.output])
    sums = found[network.layers[0].tap].astype(np.float64)
    np.testing.assert_allclose(found[network.output], formulas[activation](sums), atol=1e-5)
    known = {"relu": "ReLU", "silu": "SiLU", "tanh": "Tanh", "none": None}
    if activation in known:
        assert network.layers[0].activation == known[activation]


def test_the_first_convolution_goes_round_the_border():
    network = Stack(1, 4, "none", side=32).network()
    weights = network.layers[0].weights.astype(np.float64)
    padded = np.pad(IMAGES[0].astype(np.float64), [(1, 1), (1, 1), (0, 0)], mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))[::2, ::2]
    expected = np.einsum("yxcij,fcij->fyx", windows, weights)
    found = network.run(IMAGES[:1], [network.output])[network.output][0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("depth", "side", "sizes"),
    [(1, 32, [16]), (3, 33, [17, 17, 17]), (6, 64, [32, 32, 16, 16, 8, 8])],
)
def test_maps_become_smaller_twice_on_the_way(depth, side, sizes):
    network = Stack(depth, 4, normalization="layer", side=side).network()
    taps = [layer.tap for layer in network.layers]
    found = network.run(np.ones((1, side, side, 3), np.float32), taps)
    assert [found[tap].shape[2:] for tap in taps] == [(size, size) for size in sizes]


@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
def test_the_same_seed_gives_the_same_bits(normalization):
    def bits(seed: int) -> bytes:
        stack = Stack(5, 8, normalization=normalization, groups=4, seed=seed, side=32)
        return stack.network(IMAGES).graph.model.SerializeToString(deterministic=True)

    assert bits(7) == bits(7) != bits(8)


def test_the_normalization_changes_no_weight():
    plain, normed = (
        Stack(3, 8, normalization=kind, side=32).network(IMAGES) for kind in ("none", "batch")
    )
    for one, other in zip(plain.layers, normed.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
        assert one.name == other.name


@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "instance", "group"])
def test_the_deepest_stack_is_a_valid_model(normalization):
    stack = Stack(50, 16, normalization=normalization, side=32)
    network = stack.network(IMAGES)
    onnx.checker.check_model(network.graph.model, full_check=True)
    assert [layer.name for layer in network.layers] == [f"layer{i + 1}" for i in range(50)]
    assert recorded(stack)[-1].overflown == 0


def test_what_a_stack_may_be():
    with pytest.raises(
        ParameterError, match=r"Stack: Depth is a whole number from 1 to 50; got 51"
    ):
        Stack(depth=51)
    with pytest.raises(ParameterError, match="Activation is one of relu, leaky_relu"):
        Stack(activation="softmax")
    with pytest.raises(ParameterError, match="32 filters do not fall into 5 groups"):
        Stack(normalization="group", groups=5)
    assert Stack(groups=5).groups == 5
    with pytest.raises(ParameterError, match="needs the batch whose statistics"):
        Stack(normalization="batch").network()
    with pytest.raises(ShapeError, match=r"takes one or more images \(N, 96, 96"):
        Stack(normalization="batch").network(IMAGES)
    assert dataclasses.replace(Stack(), normalization="layer").growth is None
    assert Stack(activation="tanh").growth is None
