"""The split of variance against a plain analysis of variance, and by its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normviz import scan
from normviz.errors import ParameterError
from normviz.images import image_of
from normviz.lab.split import brightness_of, explained, explained_interval, split_of


def grouped(seed=0, classes=4, each=30, between=1.0, inside=1.0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = rng.normal(0, between, classes) if between else np.zeros(classes)
    return centres[labels] + rng.normal(0, inside, len(labels)), labels


def test_the_parts_are_those_of_all_values():
    rng = np.random.default_rng(0)
    images = rng.normal(rng.normal(0, 2, (12, 1)), rng.uniform(0.5, 3, (12, 1)), (12, 50))
    labels = np.array([0] * 6 + [1] * 4 + [2] * 2)
    split = split_of(images.mean(axis=1), images.var(axis=1), labels)
    total = images.var()
    classes = np.stack([images[labels == one].mean() for one in range(3)])[labels]
    assert split.within == pytest.approx(images.var(axis=1).mean() / total)
    assert split.signal == pytest.approx(((classes - images.mean()) ** 2).mean() / total)
    assert split.within + split.nuisance + split.signal == pytest.approx(1)
    assert split.correlation == pytest.approx(images.mean(axis=1).var() / total)


def test_omega_squared_is_that_of_an_analysis_of_variance():
    means, labels = grouped()
    grand = means.mean()
    groups = [means[labels == one] for one in range(4)]
    between = sum(len(one) * (one.mean() - grand) ** 2 for one in groups)
    inside = sum(((one - one.mean()) ** 2).sum() for one in groups)
    error = inside / (len(means) - 4)
    expected = (between - 3 * error) / (between + inside + error)
    assert explained(means, labels) == pytest.approx(expected)


def test_what_chance_gives_is_taken_off():
    found = [explained(*grouped(seed, 20, 10, between=0)) for seed in range(300)]
    # η² would be 0.095: 19 of 199 degrees of freedom. Here half the sets are at 0.
    assert np.mean(found) < 0.02 and 0.3 < np.mean(np.array(found) == 0) < 0.7
    known = [explained(*grouped(seed, 200, 10)) for seed in range(5)]
    assert np.mean(known) == pytest.approx(0.5, abs=0.06)


@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=20),
    st.floats(0.1, 5),
    st.floats(-9, 9),
)
def test_shares_do_not_depend_on_units(values, gain, offset):
    means = np.array(values, np.float64)
    labels = np.arange(len(means)) % 2
    first = split_of(means, means**2, labels)
    second = split_of(gain * means + offset, gain**2 * means**2, labels)
    for name in ("within", "nuisance", "signal"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), abs=1e-6)
    assert 0 <= explained(means, labels) <= 1


def test_the_split_is_as_by_hand():
    # Two classes of two images; each image's pixels differ by ±1 around its mean.
    split = split_of(np.array([0, 2, 10, 12.0]), np.ones(4), np.array([0, 0, 1, 1]))
    assert (split.nuisance, split.signal) == pytest.approx((1 / 27, 25 / 27))
    assert split.share == pytest.approx(1 / 26)
    assert split_of(np.ones(4), np.zeros(4), np.zeros(4)).correlation == 0


def photos(levels, labels):
    rng = np.random.default_rng(0)
    return [
        image_of(
            np.clip(rng.normal(level, 9, (8, 9, 3)), 0, 255).astype(np.uint8),
            path=f"{at}.png",
            label=label,
        )
        for at, (level, label) in enumerate(zip(levels, labels, strict=True))
    ]


def rows_of(images):
    return scan(images).rows


def test_a_sets_brightness_is_of_its_rows():
    labels = ["dark", "light"] * 20 + [None] * 5
    images = photos([60 + 100 * (label == "light") for label in labels], labels)
    found = brightness_of(rows_of(images))
    assert (found.images, found.classes, found.unlabelled) == (40, 2, 5)
    values = np.stack([one.pixels for one in images[:40]]).reshape(40, -1) / 255
    names = np.array(labels[:40])
    expected = split_of(values.mean(axis=1), values.var(axis=1), names)
    for name in ("within", "nuisance", "signal"):
        assert getattr(found.split, name) == pytest.approx(getattr(expected, name))
    assert found.explained > 0.95
    assert found.interval[0] <= found.explained <= found.interval[1] <= 1
    bare = brightness_of(rows_of(images), labelled=False)
    assert bare.explained is None and bare.images == 45 and bare.split.signal < 1e-20
    assert brightness_of(rows_of(photos([10, 200], ["a", "a"]))).explained is None


@pytest.mark.parametrize(("classes", "each", "apart"), [(5, 30, 30), (10, 14, 8), (20, 10, 15)])
def test_the_interval_holds_what_there_is(classes, each, apart):
    # Of many sets drawn from one law, whose share of the classes is known.
    centres = np.random.default_rng(5).normal(0, apart, classes)
    truth = centres.var() / (centres.var() + 20**2)
    labels = np.repeat(np.arange(classes), each)
    hit = 0
    for seed in range(100):
        means = centres[labels] + np.random.default_rng(seed).normal(0, 20, len(labels))
        low, high = explained_interval(means, labels)
        hit += low <= truth <= high
    assert 88 <= hit <= 99


def test_the_interval_is_of_the_noncentral_f_distribution():
    ncf = pytest.importorskip("scipy.stats", reason="scipy is not installed").ncf
    means, labels = grouped(classes=6, each=20)
    low, high = explained_interval(means, labels)
    groups = [means[labels == one] for one in range(6)]
    between = sum(20 * (one.mean() - means.mean()) ** 2 for one in groups) / 5
    found = between / (sum(((one - one.mean()) ** 2).sum() for one in groups) / 114)
    for end, beyond in ((low, 0.025), (high, 0.975)):
        assert ncf.sf(found, 5, 114, 120 * end / (1 - end)) == pytest.approx(beyond, abs=0.005)


def test_the_interval_at_its_ends():
    labels = np.arange(40) % 2
    assert explained_interval(labels.astype(float), labels) == (1.0, 1.0)
    assert explained_interval(np.ones(40), labels) == (0.0, 1.0)
    low, _ = explained_interval(np.random.default_rng(0).normal(size=40), labels)
    assert low == 0.0


def test_images_of_one_brightness_have_no_split():
    # Means of 90/255 differ in their last bits when they are summed in another order.
    means = np.full(40, 90 / 255) + np.random.default_rng(0).normal(0, 1e-16, 40)
    labels = np.arange(40) % 2
    assert split_of(means, np.full(40, 1e-33), labels).correlation == 0
    assert explained(means, labels) == 0 and explained_interval(means, labels) == (0.0, 1.0)


def test_one_image_is_too_few():
    with pytest.raises(ParameterError, match="at least two images"):
        brightness_of(rows_of(photos([10], [None])))
