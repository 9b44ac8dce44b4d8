"""First layers against the definition, against ONNX Runtime, and against He's formula."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.errors import ParameterError, ShapeError
from normviz.networks.first_layer import (
    FirstLayer,
    he_initialised,
    mobilenet_v2,
    network_view,
    pre_activations,
    pre_activations_of,
)

# Output of the first BatchNormalization node of torchvision's mobilenet_v2-b0353104, exported to
# ONNX opset 17 and run by ONNX Runtime 1.32.0 on normal(0, 1) numbers of shape (224, 224, 3) from
# numpy.random.default_rng(20), as float32. Corners show the padding. Not to be regenerated.
ONNX_RUNTIME = {
    (0, 0, 0): -0.08999617397785187,
    (0, 0, 5): 0.5760592222213745,
    (0, 111, 7): 0.45737889409065247,
    (111, 0, 12): 0.42487820982933044,
    (111, 111, 31): 0.2727605700492859,
    (56, 56, 16): -0.03721582517027855,
    (3, 100, 20): -0.3882586359977722,
    (80, 7, 27): 0.8756033182144165,
}


def by_definition(layer: FirstLayer, z: np.ndarray) -> np.ndarray:
    """The sum of the docstring, written out."""
    height, width, _ = z.shape
    k, stride = layer.kernel, layer.stride
    rows, columns = -(-height // stride), -(-width // stride)
    out = np.zeros((rows, columns, layer.filters))
    for i in range(rows):
        for j in range(columns):
            for di in range(k):
                for dj in range(k):
                    y, x = i * stride + di - k // 2, j * stride + dj - k // 2
                    if 0 <= y < height and 0 <= x < width:
                        out[i, j] += layer.weights[:, :, di, dj].astype(float) @ z[y, x]
    return out + layer.bias


def layer_of(kernel: int, stride: int, filters: int = 5) -> FirstLayer:
    rng = np.random.default_rng(kernel)
    weights = rng.normal(size=(filters, 3, kernel, kernel)).astype(np.float32)
    bias = rng.normal(size=filters).astype(np.float32)
    return FirstLayer("test", "Test", weights, bias, stride, "", "")


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 3), (7, 4)])
@pytest.mark.parametrize("shape", [(9, 14, 3), (17, 11, 3), (1, 1, 3), (2, 5, 3)])
def test_pre_activations_are_the_definition(kernel, stride, shape):
    layer = layer_of(kernel, stride)
    z = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    out = pre_activations(layer, z)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, by_definition(layer, z), atol=2e-5)


def test_mobilenet_gives_what_onnx_runtime_gives():
    z = np.random.default_rng(20).normal(0, 1, (224, 224, 3)).astype(np.float32)
    out = pre_activations(mobilenet_v2(), z)
    assert out.shape == (112, 112, 32)
    for place, value in ONNX_RUNTIME.items():
        assert out[place] == pytest.approx(value, abs=1e-5)
    assert out.mean(dtype=np.float64) == pytest.approx(0.21716301814844555, abs=1e-6)
    assert out.std(dtype=np.float64) == pytest.approx(0.4876991776653689, abs=1e-6)
    assert (out > 0).mean() == pytest.approx(0.5948037906568877, abs=1e-5)


def test_mobilenet_names_its_source_and_licence():
    layer = mobilenet_v2()
    assert (layer.filters, layer.kernel, layer.stride, layer.saturation) == (32, 3, 2, 6.0)
    assert "torchvision" in layer.source and layer.licence == "BSD-3-Clause"
    assert mobilenet_v2() is layer


@pytest.mark.parametrize("kernel", [3, 7])
def test_he_filters_have_hes_spread_and_no_bias(kernel):
    layer = he_initialised(seed=3, filters=4000, kernel=kernel, stride=1)
    expected = np.sqrt(2 / (3 * kernel**2))
    count = layer.weights.size
    assert layer.weights.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * count))
    assert abs(layer.weights.mean()) < 4 * expected / np.sqrt(count)
    assert not layer.bias.any() and layer.weights.dtype == np.float32


def test_he_keeps_the_second_moment_through_relu():
    # What the factor 2 is for: E[relu(a)²] = E[z²] for filters of that spread.
    z = np.random.default_rng(4).normal(size=(60, 60, 3)).astype(np.float32)
    a = pre_activations(he_initialised(1, filters=600), z)[1:-1, 1:-1]
    assert np.mean(np.maximum(a, 0) ** 2) == pytest.approx(np.mean(z**2), rel=0.05)


def test_he_seed_decides():
    first, again, other = (he_initialised(seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"filters": 0}, {"kernel": 4}, {"kernel": -1}, {"stride": 0}]
)
def test_he_refuses_what_makes_no_filters(wrong):
    with pytest.raises(ParameterError, match="odd kernel"):
        he_initialised(**{"seed": 0, **wrong})


def test_grey_is_repeated_into_three_channels():
    z = np.random.default_rng(2).normal(size=(8, 13, 1)).astype(np.float32)
    layer = layer_of(3, 2)
    np.testing.assert_array_equal(
        pre_activations(layer, z), pre_activations(layer, z.repeat(3, axis=2))
    )


def test_several_layers_at_once_are_each_one_alone():
    z = np.random.default_rng(3).normal(size=(21, 30, 3)).astype(np.float32)
    layers = [mobilenet_v2(), layer_of(5, 3), he_initialised(0), layer_of(3, 1)]
    for layer, out in zip(layers, pre_activations_of(layers, z), strict=True):
        np.testing.assert_array_equal(out, pre_activations(layer, z))
    assert pre_activations_of([], z) == []


def test_input_is_untouched_and_may_be_read_only():
    z = np.random.default_rng(3).normal(size=(6, 7, 3)).astype(np.float32)
    before = z.copy()
    z.flags.writeable = False
    pre_activations(mobilenet_v2(), z)
    np.testing.assert_array_equal(z, before)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 2), (2, 4, 4, 3), (0, 4, 3)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ShapeError, match=r"\(H, W, 1 or 3\); got shape"):
        pre_activations(mobilenet_v2(), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("weights", "bias"), [((2, 3, 4, 4), 2), ((2, 1, 3, 3), 2), ((2, 3, 3, 3), 3), ((2, 27), 2)]
)
def test_a_layer_checks_its_arrays(weights, bias):
    with pytest.raises(ShapeError, match="oops: expected"):
        FirstLayer("oops", "", np.zeros(weights), np.zeros(bias), 1, "", "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((448, 600, 3), (224, 300, 3)),
        ((512, 341, 1), (336, 224, 1)),
        ((200, 900, 3), (200, 900, 3)),
        ((224, 224, 3), (224, 224, 3)),
    ],
)
def test_network_view_reduces_the_shorter_side_to_224(before, after):
    assert network_view(np.zeros(before, np.uint8)).shape == after


def test_network_view_averages_and_keeps_the_type():
    blocks = np.random.default_rng(1).integers(0, 256, (224, 230, 3), dtype=np.uint8)
    large = blocks.repeat(2, axis=0).repeat(2, axis=1)
    out = network_view(large)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, blocks)
