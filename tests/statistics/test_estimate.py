"""The intervals of an estimate against a jackknife, and against what is true."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normviz.images import image_of
from normviz.statistics import scan, scanned
from normviz.statistics.across import Across, Terms
from normviz.statistics.dataset import Reading
from normviz.statistics.estimate import FEWEST, estimate, t_quantile
from tests.statistics.making import plain_images

# scipy.stats.t.ppf(0.975, freedom)
STUDENT = {
    9: 2.2621571628540993,
    12: 2.1788128296634177,
    19: 2.093024054408263,
    29: 2.045229642132703,
    99: 1.9842169515086827,
    999: 1.9623414611334487,
    10**6: 1.9599663651322693,
}


@pytest.mark.parametrize("freedom", STUDENT)
def test_student_s_t(freedom):
    assert t_quantile(freedom) == pytest.approx(STUDENT[freedom], abs=3e-4)


def unequal_images(count: int, seed: int):
    """Images of several sizes, whose brightness and contrast differ, and depend on the size."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        height, width = rng.integers(4, 20, 2)
        level, spread = rng.uniform(40, 180) + height, rng.uniform(5, 50)
        pixels = np.clip(rng.normal(level, spread, (height, width, 3)), 0, 255)
        made.append(image_of(pixels.astype(np.uint8)))
    return made


def jackknife(images, spread: bool) -> np.ndarray:
    """Half-widths from the values that come out when each image is left out once."""
    sums = [
        (i.pixels[..., 0].size, *((i.pixels / 255) ** p).sum(axis=(0, 1)).reshape(1, 3))
        for i in images
        for p in (1, 2)
    ]
    n = np.array([one[0] for one in sums[::2]])[:, np.newaxis]
    s, q = (np.array([one[1] for one in sums[start::2]]) for start in (0, 1))
    rest_n, rest_s, rest_q = n.sum(0) - n, s.sum(0) - s, q.sum(0) - q
    mean = rest_s / rest_n
    values = np.sqrt(rest_q / rest_n - mean**2) if spread else mean
    count = len(images)
    variance = (count - 1) / count * ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    return STUDENT[99] * np.sqrt(variance)


@pytest.mark.parametrize("seed", range(4))
def test_half_widths_are_those_of_a_jackknife(seed):
    images = unequal_images(100, seed)
    found = scanned(images).with_reading(Reading(False, None, "image", None)).estimate
    assert (found.unit, found.count, found.of) == ("image", 100, None)
    np.testing.assert_allclose(found.mean, jackknife(images, spread=False), rtol=0.03)
    np.testing.assert_allclose(found.std, jackknife(images, spread=True), rtol=0.05)
    assert found.widest == max(found.mean.max(), found.std.max())


def test_they_are_the_spread_that_samples_have():
    # 2,000 images; the mean and std of 400 random sets of 100 of them, without replacement.
    images = unequal_images(2000, 9)
    stats = scanned(images)
    n = np.array([i.pixels[..., 0].size for i in images], float)
    s, q = (np.array([((i.pixels / 255) ** p)[..., 0].sum() for i in images]) for p in (1, 2))
    rng = np.random.default_rng(1)
    draws = [rng.choice(2000, 100, replace=False) for _ in range(400)]
    mean = np.array([s[of].sum() / n[of].sum() for of in draws])
    std = np.sqrt([q[of].sum() / n[of].sum() for of in draws] - mean**2)
    told = [
        scanned([images[at] for at in of]).with_reading(Reading(False, 2000, "image", 2000))
        for of in draws[:10]
    ]
    widths = np.mean([[one.estimate.mean[0], one.estimate.std[0]] for one in told], axis=0)
    np.testing.assert_allclose(widths / STUDENT[99], [mean.std(), std.std()], rtol=0.12)
    assert mean.mean() == pytest.approx(stats.fraction_mean[0], rel=0.005)


def test_what_is_read_of_a_finite_set_narrows_the_interval_down_to_nothing():
    sums = scanned(plain_images(50))._across
    of_many, half, all_of_it = (estimate(sums, "image", of) for of in (None, 100, 50))
    np.testing.assert_allclose(half.mean, of_many.mean * math.sqrt(0.5), rtol=1e-12)
    np.testing.assert_allclose(half.std, of_many.std * math.sqrt(0.5), rtol=1e-12)
    assert all_of_it.mean.tolist() == all_of_it.std.tolist() == [0.0] * 3


def test_a_few_tell_nothing():
    few = estimate(scanned(plain_images(FEWEST - 1))._across, "image", 100)
    assert np.isinf(few.mean).all() and np.isinf(few.std).all() and np.isinf(few.widest)
    assert few.to_dict(255)["half_width_mean"] == [None] * 3
    enough = estimate(scanned(plain_images(FEWEST))._across, "image", 100)
    assert np.isfinite(enough.widest)
    record = enough.to_dict(255)
    assert record["half_width_std"] == (enough.std * 255).tolist()
    assert (record["count"], record["of"], record["unit"]) == (FEWEST, 100, "image")


def test_images_that_are_all_alike_leave_no_doubt():
    flat = scanned([image_of(np.full((2, 2), 80, np.uint8))] * 12)._across
    found = estimate(flat, "image", None)
    assert found.mean[0] == pytest.approx(0, abs=1e-11) and found.std[0] == 0


def test_the_interval_of_one_channel_by_hand():
    # Flat images of one size at ±0.25 of 0.5: the standard error is 0.25/√15 of 16 images.
    dark, light = (Across(1, 4, 16, (Terms.of_floats(4, m, 0.0),), ()) for m in (0.25, 0.75))
    total = dark
    for one in [light, *[dark, light] * 7]:
        total = total.merge(one)
    found = estimate(total, "image", None)
    assert found.mean[0] == pytest.approx(t_quantile(15) * 0.25 / math.sqrt(15), rel=1e-12)
    # All squared deviations are equal, so that the std has no error to first order.
    assert found.std[0] == pytest.approx(0, abs=1e-9)


def test_only_a_random_part_of_a_source_is_an_estimate():
    images = plain_images(40)
    in_order = list(scan(images, every=0.0))
    assert all(stats.estimate is None for stats in in_order)
    drawn = list(scan(images, every=0.0, seed=2, images_a_part=1))
    assert [stats.estimate.count for stats in drawn[:-1]] == list(range(1, 41))
    assert drawn[-1].estimate is None
    assert drawn[19].estimate.widest > drawn[-2].estimate.widest == 0.0
