"""Verdict logic on synthetic numbers: a planted effect is found, and none is not."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from normviz.lab.evidence import Asked, Effect, effects, holm, quantile, two_sided, unlearned


# Student's t, from the usual tables: freedom, t of 5 %, t of 1 %.
@pytest.mark.parametrize(
    ("freedom", "five", "one"),
    [(1, 12.7062, 63.6567), (2, 4.30265, 9.92484), (3, 3.18245, 5.84091), (4, 2.77645, 4.60409),
     (5, 2.57058, 4.03214), (11, 2.20099, 3.10581), (30, 2.04227, 2.75)],
)  # fmt: skip
def test_students_t_is_the_tables(freedom, five, one):
    assert two_sided(five, freedom) == pytest.approx(0.05, rel=1e-4)
    assert two_sided(-one, freedom) == pytest.approx(0.01, rel=1e-4)
    assert quantile(freedom) == pytest.approx(five, rel=1e-5)


def test_students_t_is_scipys():
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    for freedom in (1, 2, 3, 4, 7, 19, 40):
        for t in (0.1, 1.0, 2.5, 8.0):
            assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-7)


def test_holm_corrects_in_order_and_never_falls():
    assert holm([0.04, 0.001, 0.02]) == pytest.approx([0.04, 0.003, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_an_interval_is_that_of_the_mean():
    found = effects(Asked("x", [1.0, 2.0, 3.0, 4.0], 0.5))[0]
    half = 3.18245 * np.std([1, 2, 3, 4], ddof=1) / 2
    assert (found.mean, found.high - found.mean) == pytest.approx((2.5, half), rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "between", "values", "ends"),
    [
        ("%", None, [0.0, 90.0], (0.0, 100.0)),
        ("points", None, [-90.0, 80.0], (-100.0, 100.0)),
        ("", (-1.0, 1.0), [0.1, 0.9, 0.3], (-0.6, 1.0)),
        ("nats", None, [0.0, 2.0], (-11.7, 13.7)),
        ("%", None, [50.0], (-math.inf, math.inf)),
    ],
)
def test_an_interval_ends_where_values_do(unit, between, values, ends):
    found = effects(Asked("x", values, 1.0, unit, between))[0]
    assert (found.low, found.high) == pytest.approx(ends, abs=0.05)
    assert found.cut == (unit != "nats" and len(values) > 1)
    if len(values) == 1:
        assert str(found) == "x: 50 %, its spread not known"


def test_half_of_an_interval_is_not_shortened_by_its_end():
    found = effects(Asked("x", [96.0, 98.0, 100.0], 1.0, "%"))[0]
    assert (found.high, found.cut) == (100.0, True)
    assert found.half == pytest.approx(4.30265 * 2 / math.sqrt(3), rel=1e-4)
    assert str(found) == "x: 98 % (93 to 100)"


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [3.0], [math.inf, 1.0], [97.0, 99.0]])
def test_an_effect_comes_back_from_its_record(values):
    effect = effects(Asked("x", values, 1.0, "%"))[0]
    again = Effect.of(json.loads(json.dumps(effect.to_json(), allow_nan=False)))
    assert (again.finding, again.cut, str(again)) == (
        effect.finding,
        effect.cut,
        str(replace(effect, mean=again.mean)),
    )
    assert again == effect or not math.isfinite(effect.mean)


def test_what_is_at_chance_has_learned_nothing():
    assert unlearned(15.0, 10.0) == ""
    assert unlearned(14.9, 10.0).startswith("No network has learned these classes (right in 15 %")


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ([2.0, 2.1, 1.9, 2.0], "more"),
        ([-2.0, -2.1, -1.9, -2.0], "less"),
        ([0.4, 0.41, 0.39, 0.4], "same"),  # significant, but less than what is relevant
        ([5.0, -4.0, 6.0, 0.5], "open"),
        ([1.1, 0.2, 1.9, 1.0], "open"),
        ([0.0, 0.0, 0.0, 0.0], "same"),
        ([3.0, 3.0, 3.0, 3.0], "more"),
        ([math.inf, 1.0, 1.0, 1.0], "open"),
        ([4.0], "open"),
    ],
)
def test_a_finding_needs_significance_and_relevance(values, finding):
    assert effects(Asked("x", values, 1.0))[0].finding == finding


def test_a_planted_null_is_called_different_in_at_most_one_of_twenty():
    random = np.random.default_rng(0)
    called = sum(
        any(
            one.finding in ("more", "less")
            for one in effects(*(Asked("x", random.normal(size=6), 1e-9) for _ in range(3)))
        )
        for _ in range(2000)
    )
    assert called / 2000 < 0.06
    assert called / 2000 > 0.02


def test_correction_is_over_all_effects_of_an_experiment():
    values = [1.0, 2.1, 0.4, 1.6, 1.2]
    alone = effects(Asked("x", values, 0.1))[0]
    among = effects(*[Asked("x", values, 0.1)] * 10)
    assert alone.finding == "more" and among[0].p == pytest.approx(10 * alone.p)
