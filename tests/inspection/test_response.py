import numpy as np
import pytest
from onnx import helper

from normviz.inspection import response
from normviz.inspection.candidates import Candidate
from normviz.inspection.photos import USUAL_MEAN, USUAL_STD, exposure, usual_covariance, views_of
from normviz.inspection.recovered import ASSUMED_MEAN, ASSUMED_STD, recover
from normviz.inspection.response import measure_response
from normviz.networks import mobilenet_v2_network
from tests.inspection.small import convolution, network_of, normalized

CONSTANTS = (np.array([0.45, 0.38, 0.52]), np.array([0.2, 0.3, 0.25]))


def noise(count=5, height=12, width=10, seed=1):
    rng = np.random.default_rng(seed)
    scale = np.array([0.3, 0.8, 0.5])
    return views_of(list(rng.random((count, height, width, 3)) * scale + 0.1), usual=False)


def response_of(network, views):
    *_, found = measure_response(network, views, network.batch_norms[0].before)
    return found


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_it_gives_what_arrives_when_a_candidate_is_fed(order):
    network, rng = mobilenet_v2_network(), np.random.default_rng(2)
    views = views_of(list(rng.random((3, 224, 224, 3)) ** 2))
    candidate = Candidate.of("x", "", *CONSTANTS, order)
    pooled = response_of(network, views).pooled(np.ones((1, 3)), order)
    mean, variance = pooled.moments(candidate.gain, candidate.bias)
    norm = network.batch_norms[0]
    fed = candidate.fed(views.exposed()).astype(np.float32)
    arrived = network.run(fed, [norm.before])[norm.before].astype(np.float64)
    # Zero padding is part of it: the response has to hold at the borders as well.
    assert mean[0] == pytest.approx(arrived.mean(axis=(0, 2, 3)), abs=1e-5)
    assert variance[0] == pytest.approx(arrived.var(axis=(0, 2, 3)), rel=1e-4)


def test_filters_in_blocks_give_the_same(monkeypatch):
    views, weights = noise(), np.random.default_rng(4).normal(size=(7, 3, 3, 3))
    network = normalized(weights, np.zeros(7), np.ones(7))
    whole = response_of(network, views)
    monkeypatch.setattr(response, "_VALUES", 14 * 80 * 3)
    parts = response_of(network, views)
    np.testing.assert_allclose(parts.products, whole.products, rtol=1e-12)


def test_what_the_graph_adds_by_itself_counts_once():
    rng, views = np.random.default_rng(3), noise()
    weights = rng.normal(size=(6, 3, 3, 3))
    nodes = [
        helper.make_node("Add", ["x", "m"], ["shifted"]),
        convolution(weights, "shifted", pads=(1, 1, 1, 1)),
        helper.make_node("BatchNormalization", ["pre", "v", "v", "v", "v"], ["y"]),
    ]
    shift = np.array([3.0, -1.0, 2.0], np.float32).reshape(1, 3, 1, 1)
    stored = {"w": weights.astype(np.float32), "m": shift, "v": np.ones(6, np.float32)}
    network = network_of(nodes, stored)
    candidate = Candidate.of("x", "", *CONSTANTS, "RGB")
    pooled = response_of(network, views).pooled(np.ones((1, 5)))
    mean, variance = pooled.moments(candidate.gain, candidate.bias)
    fed = candidate.fed(views.fractions).astype(np.float32)
    arrived = network.run(fed, ["pre"])["pre"].astype(np.float64)
    assert mean[0] == pytest.approx(arrived.mean(axis=(0, 2, 3)), abs=1e-4)
    assert variance[0] == pytest.approx(arrived.var(axis=(0, 2, 3)), rel=1e-4)


def test_photos_are_brought_to_the_usual_mean_and_std_as_a_set():
    rng = np.random.default_rng(0)
    views = views_of(list(rng.random((4, 20, 30, 3)) * 0.3))
    exposed = views.exposed().reshape(-1, 3).astype(np.float64)
    assert exposed.mean(axis=0) == pytest.approx(USUAL_MEAN, abs=1e-5)
    assert exposed.std(axis=0) == pytest.approx(USUAL_STD, abs=1e-5)
    assert np.cov(exposed.T) == pytest.approx(usual_covariance(), abs=1e-4)
    flat, _ = exposure(np.full((1, 3), 0.5), np.full((1, 3, 3), 0.25))
    assert (flat[0] == np.eye(3)).all()


def constructed(weights, views, candidate):
    """The network whose normalization stores exactly what these photos give under a candidate."""
    first = normalized(weights, np.zeros(len(weights)), np.ones(len(weights)))
    fed = candidate.fed(views.fractions.astype(np.float64)).astype(np.float32)
    pre = first.run(fed, ["pre"])["pre"].astype(np.float64)
    return normalized(weights, pre.mean(axis=(0, 2, 3)), pre.var(axis=(0, 2, 3)))


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_constants_of_a_constructed_network_come_back(order):
    rng, views = np.random.default_rng(5), noise()
    candidate = Candidate.of("x", "", *CONSTANTS, order)
    network = constructed(rng.normal(size=(24, 3, 3, 3)), views, candidate)
    weights = np.concatenate([np.ones((1, 5)), rng.integers(1, 3, (20, 5))])
    pooled = response_of(network, views).pooled(weights, order)
    found = recover(pooled, network.batch_norms[0])
    assert pooled.distances(candidate, network.batch_norms[0])[0] == pytest.approx(0, abs=1e-6)
    assert found.candidate.mean == pytest.approx(CONSTANTS[0], abs=1e-3)
    assert found.candidate.std == pytest.approx(CONSTANTS[1], abs=1e-3)
    assert (found.std_interval[0] <= found.candidate.std + 1e-3).all()
    assert found.told


def test_intervals_hold_the_scatter_and_the_assumption():
    rng, views = np.random.default_rng(5), noise()
    candidate = Candidate.of("x", "", *CONSTANTS, "RGB")
    network = constructed(rng.normal(size=(24, 3, 3, 3)), views, candidate)
    one = recover(response_of(network, views).pooled(np.ones((1, 5))), network.batch_norms[0])
    assert np.ptp(one.mean_interval, axis=0) == pytest.approx(np.full(3, 2 * ASSUMED_MEAN))
    ratio = one.std_interval / one.candidate.std
    assert ratio == pytest.approx(np.outer([1 / (1 + ASSUMED_STD), 1 + ASSUMED_STD], np.ones(3)))
    # Sets of single photos scatter more than the assumption alone.
    weights = np.concatenate([np.ones((1, 5)), np.eye(5)])
    many = recover(response_of(network, views).pooled(weights), network.batch_norms[0])
    assert (np.ptp(many.mean_interval, axis=0) > np.ptp(one.mean_interval, axis=0)).all()


def test_filters_that_see_all_colours_alike_do_not_tell_them_apart():
    rng, views = np.random.default_rng(5), noise()
    weights = np.repeat(rng.normal(size=(24, 1, 3, 3)), 3, axis=1)
    weights += 1e-4 * rng.normal(size=weights.shape)
    network = constructed(weights, views, Candidate.of("x", "", *CONSTANTS, "RGB"))
    pooled = response_of(network, views).pooled(np.ones((1, 5)))
    found = recover(pooled, network.batch_norms[0])
    assert not found.told and "cannot be recovered" in found.words()
