"""What answers and first filters say where no batch normalization is stored."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.inspection.candidates import Candidate
from normviz.inspection.from_output import (
    CENTRING_MOST,
    SPREAD_MOST,
    WEIGHTS,
    Answers,
    first_filters,
    likelihood,
    posterior,
    terms_of,
)
from normviz.inspection.photos import views_of
from normviz.inspection.response import measure_response
from tests.inspection.small import convolution, network_of

ALL = np.ones((1, 5))


def bits(shares):
    return -(shares * np.log2(shares)).sum(axis=1)


def folded(mean, std, filters=64, seed=0, colours=3):
    """A convolution whose batch normalization (bias β, unit gain) was folded away."""
    rng = np.random.default_rng(seed)
    views = views_of(list(rng.random((5, 60, 60, colours)) ** 2), usual=False)
    weights = rng.normal(size=(filters, colours, 3, 3))
    beta = rng.normal(0.3, 0.5, filters)
    truth = Candidate.of("x", "", np.full(colours, mean), np.full(colours, std), "RGB")
    # As training leaves it: centred on what the photos gave, then β.
    fed = np.einsum("fcij,c->f", weights, truth.fed(views.fractions.mean(axis=(0, 1, 2))))
    stored = {"w": weights.astype(np.float32), "b": (beta - fed).astype(np.float32)}
    node = convolution(weights)
    node.input.append("b")
    node.output[0] = "y"
    network = network_of([node], stored, ("n", colours, 60, 60))
    *_, response = measure_response(network, views, "y")
    return response.pooled(ALL), truth, beta


def test_variety_and_sureness_are_of_their_definitions():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(7), 5)
    weights = np.array([[1.0, 1, 1, 1, 1], [2, 0, 0, 1, 2]])
    answers = Answers(shares)
    mean = weights / weights.sum(axis=1, keepdims=True) @ shares
    assert answers.variety(weights) == pytest.approx(bits(mean))
    each = bits(shares)
    terms = terms_of(answers, None, Candidate.of("x", "", np.zeros(3), np.ones(3), "RGB"), weights)
    assert terms["sureness"] == pytest.approx(-(weights @ each) / weights.sum(axis=1))
    assert set(terms) == {"variety", "sureness"}
    assert answers.information(weights) == pytest.approx(terms["variety"] + terms["sureness"])


@pytest.mark.parametrize("colours", [1, 3])
def test_first_filters_are_centred_where_training_had_them(colours):
    pooled, truth, _ = folded(0.45, 0.25, colours=colours)
    own = first_filters(pooled, truth)["centring"][0]
    for shift in (-0.3, -0.1, 0.1, 0.3):
        other = Candidate.of("x", "", truth.mean + shift, truth.std, "RGB")
        assert first_filters(pooled, other)["centring"][0] < own - 1


def test_centring_is_the_likelihood_ratio_of_a_regression():
    pooled, truth, _ = folded(0.45, 0.25)
    other = Candidate.of("x", "", truth.mean + 0.02, truth.std, "RGB")
    mean = pooled.moments(other.gain, other.bias)[0][0]
    design = np.concatenate([np.ones((64, 1)), pooled.sums[0]], axis=1)
    _, rss, *_ = np.linalg.lstsq(design, mean, rcond=None)
    alone = ((mean - mean.mean()) ** 2).sum()
    expected = -64 / 2 * np.log(alone / rss[0])
    assert first_filters(pooled, other)["centring"][0] == pytest.approx(expected)
    # Chance alone gives it about −3/2: twice the ratio is χ² of three degrees of freedom.
    chance = [first_filters(*folded(0.45, 0.25, seed=s)[:2])["centring"][0] for s in range(60)]
    assert -2.2 < np.mean(chance) < -1.0


def test_spread_is_that_of_the_median_filter_and_both_are_bounded():
    pooled, truth, _ = folded(0.45, 0.25)
    variance = pooled.moments(truth.gain, truth.bias)[1][0]
    expected = -((np.log(np.sqrt(np.median(variance))) + 1) ** 2)
    assert first_filters(pooled, truth)["spread"][0] == pytest.approx(expected, rel=0.05)
    huge = Candidate.of("x", "", truth.mean + 1, truth.std * 1e-9, "RGB")
    found = first_filters(pooled, huge)
    assert found["spread"][0] == -SPREAD_MOST and found["centring"][0] == -CENTRING_MOST


def test_dead_filters_and_too_few_say_nothing():
    pooled, truth, _ = folded(0.45, 0.25, filters=7)
    assert first_filters(pooled, truth)["centring"][0] == 0
    pooled, truth, _ = folded(0.45, 0.25)
    dead = pooled.products.copy()
    # 20 filters get no weights and a wild bias.
    dead[:, :20] = 0
    dead[:, :20, -2, -1] = dead[:, :20, -1, -2] = np.linspace(50, 90, 20)
    dead[:, :20, -2, -2] = np.linspace(50, 90, 20) ** 2
    dead[:, :20, -1, -1] = 1
    some = type(pooled)(pooled.order, dead, pooled.centre, pooled.plain)
    rest = type(pooled)(pooled.order, pooled.products[:, 20:], pooled.centre, pooled.plain[:, 20:])
    for name, value in first_filters(rest, truth).items():
        assert first_filters(some, truth)[name] == pytest.approx(value)


def test_the_posterior_is_a_share_of_the_likelihood():
    scores = np.array([[0.0, 5.0], [np.log(3), -np.inf], [-np.inf, 5.0]])
    found = posterior(scores)
    assert found[:, 0] == pytest.approx([0.25, 0.75, 0])
    assert found[:, 1] == pytest.approx([0.5, 0, 0.5])
    assert posterior(np.full((2, 1), -np.inf)).tolist() == [[0.0], [0.0]]
    terms = {name: np.array([2.0]) for name in WEIGHTS}
    assert likelihood(terms)[0] == pytest.approx(2 * sum(WEIGHTS.values()))
