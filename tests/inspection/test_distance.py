import numpy as np
import pytest

from normviz.inspection.distance import (
    Moments,
    divergence,
    draws,
    joined,
    layer_distance,
    weighted_median,
)
from normviz.networks.graph import BatchNorm


def integrated(m1, v1, m2, v2):
    """KL(p‖q) + KL(q‖p) by summing (p − q) ln(p / q) over a fine grid."""
    reach = 12 * np.sqrt(max(v1, v2))
    x = np.linspace(min(m1, m2) - reach, max(m1, m2) + reach, 400_001)
    log_p = -((x - m1) ** 2) / (2 * v1) - np.log(2 * np.pi * v1) / 2
    log_q = -((x - m2) ** 2) / (2 * v2) - np.log(2 * np.pi * v2) / 2
    return ((np.exp(log_p) - np.exp(log_q)) * (log_p - log_q)).sum() * (x[1] - x[0])


@pytest.mark.parametrize(
    "numbers", [(0.3, 1.0, 0.0, 1.0), (0.0, 2.0, 0.0, 0.5), (-1.0, 0.3, 2.0, 4.0)]
)
def test_divergence_is_both_kullback_leibler_integrals(numbers):
    found = divergence(*(np.array([number]) for number in numbers))
    assert found[0] == pytest.approx(integrated(*numbers), rel=1e-6)


def norm_of(mean, variance, epsilon=1e-5):
    count = len(mean)
    return BatchNorm(
        "a", "b", np.ones(count), np.zeros(count), np.array(mean), np.array(variance), epsilon
    )


def test_a_channel_without_stored_variance_is_left_out():
    norm = norm_of([0.0, 0.0], [1.0, 0.0])
    found = layer_distance(norm, np.array([[1.0, 50.0]]), np.array([[1.0, 9.0]]))
    assert found[0] == pytest.approx(1.0, rel=1e-4)


def test_the_median_counts_weights():
    values, weights = np.array([[1.0, 2.0, 3.0, 9.0]]), np.array([[1.0, 1.0, 1.0, 10.0]])
    assert weighted_median(values, weights)[0] == 9.0
    assert weighted_median(values, np.ones((1, 4)))[0] == 2.0


def test_moments_equal_those_of_the_values_drawn():
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, (4, 5, 6, 7)).astype(np.float32)
    moments = joined([Moments.of(values[:1]), Moments.of(values[1:])])
    mean, variance = moments.pooled(np.array([[1.0, 0.0, 2.0, 1.0]]))
    seen = values[[0, 2, 2, 3]].astype(np.float64)
    assert mean[0] == pytest.approx(seen.mean(axis=(0, 2, 3)), rel=1e-12)
    assert variance[0] == pytest.approx(seen.var(axis=(0, 2, 3)), rel=1e-10)


def test_draws_begin_with_every_photo_once_and_keep_their_number():
    weights = draws(7, 50, seed=3)
    assert weights.shape == (51, 7)
    assert (weights[0] == 1).all() and (weights.sum(axis=1) == 7).all()
    assert (weights[1:] > 1).any()
    assert (draws(7, 50, seed=3) == weights).all() and (draws(7, 50, seed=4) != weights).any()
