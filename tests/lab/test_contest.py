"""The race in rounds: the bits of one training in a row, divergence, and no process left behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from normviz.errors import ParameterError
from normviz.figures.race import Bar, accuracy_bars
from normviz.lab import contest
from normviz.lab.contest import Finish, RaceSpec, Round, lights, network, race
from normviz.lab.course import Course, course_of, sentence, short_title, stored
from normviz.lab.labelled import DIGITS, PHOTO_PATCHES
from normviz.lab.normalizations import NORMALIZATIONS
from normviz.lab.optimizers import OPTIMIZERS
from normviz.lab.race import lit
from normviz.lab.training import trained
from normviz.lab.workers import Workers

TINY = RaceSpec(
    seeds=(3, 4),
    methods=("raw1", "ds_z"),
    norm="batch",
    optimizer="momentum",
    rates=(0.01, 0.1),
    steps=25,
    batch=8,
    per_class=12,
    test_per_class=9,
    test_shift=-1.0,
)
PLAIN = replace(TINY, norm=None, optimizer="sgd", rates=(0.03,))


@pytest.fixture(scope="module")
def pool():
    with Workers(2) as workers:
        yield workers


def run(spec: RaceSpec, workers, source=DIGITS) -> Course:
    course = Course(spec, source.name)
    for news in race(spec, source, workers):
        course = course.after(news)
    return course


def bits(course: Course) -> list[bytes]:
    arrays = [course.finish.accuracy, course.finish.loss]
    for one in course.rounds:
        arrays += [one.loss, one.firing, one.std, one.filters, one.moved]
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def test_filters_of_the_last_round_alone_are_kept(pool):
    course = run(PLAIN, pool)
    last = list(race(PLAIN, DIGITS, pool))[-2]
    assert len(course.rounds) == 3
    for one in course.rounds:
        assert one.filters is course.rounds[-1].filters and one.moved is course.rounds[-1].moved
    np.testing.assert_array_equal(course.rounds[-1].filters, last.filters)


def test_the_rounds_are_those_of_one_training_in_a_row(pool):
    course = run(TINY, pool)
    assert [one.step for one in course.rounds] == [10, 20, 25]
    for place, seed in enumerate(TINY.seeds):
        images = lights(TINY, seed, DIGITS)
        net = network(TINY, images.train.shape[1:], images.classes)
        for at, method in enumerate(TINY.methods):
            x, same = images.normalized(method)
            with threadpool_limits(1):
                runs = trained(
                    net, x, images.train_labels, seed, TINY.rates, 25, 8, OPTIMIZERS["momentum"]
                )
            for one, part in zip(course.rounds, np.split(runs.losses, [10, 20]), strict=True):
                np.testing.assert_array_equal(
                    one.loss[at, :, place], part.mean(axis=0, dtype=np.float64)
                )
            np.testing.assert_array_equal(course.finish.loss[at, :, place], runs.final)
            right = [
                runs.accuracy(rate, same(images.test), images.test_labels) for rate in range(2)
            ]
            assert course.finish.accuracy[at, :, place].tolist() == right
            if place == 0:
                weights = net.views(runs.theta)[net.first]["W"]
                found = course.rounds[-1].filters[at]
                assert found.shape == (2, 5, 5, 1, 16)
                np.testing.assert_array_equal(found.reshape(weights.shape), weights)
                begun = net.views(net.start(seed))[net.first]["W"]
                np.testing.assert_array_equal(
                    course.rounds[-1].moved[at].reshape(weights.shape), weights - begun
                )


def test_the_first_layer_s_numbers_are_of_what_reaches_the_relu(pool):
    course = run(PLAIN, pool)
    images = lights(PLAIN, 3, DIGITS)
    _, method = images.normalized("ds_z")
    some = np.linspace(0, 89, 64).astype(int)
    test = method(images.test)[some]
    weights = course.rounds[-1].filters[1, 0].reshape(25, 16)
    cut = np.lib.stride_tricks.sliding_window_view(test[..., 0], (5, 5), axis=(1, 2))
    y = cut[:, ::2, ::2].reshape(-1, 25) @ weights
    # Biases are not among what a round tells, so both can only be close.
    assert course.rounds[-1].std[1, 0, 0] == pytest.approx(y.std(), rel=0.05)
    assert course.rounds[-1].firing[1, 0, 0] == pytest.approx((y > 0).mean(), abs=0.05)


def test_same_spec_same_bits_whatever_the_rounds_and_the_pauses(pool):
    first, again = run(TINY, pool), run(TINY, pool)
    assert bits(first) == bits(again)
    other = run(replace(TINY, seeds=(3, 5)), pool)
    assert other.rounds[0].loss[..., 0].tolist() == first.rounds[0].loss[..., 0].tolist()
    assert other.rounds[0].loss[..., 1].tolist() != first.rounds[0].loss[..., 1].tolist()
    at_once = run(replace(TINY, every=25), pool)
    assert bits(at_once)[:2] == bits(first)[:2]
    # Paused: the processes are gone, others come.
    with Workers(1) as few:
        news = race(TINY, DIGITS, few)
        course = Course(TINY, DIGITS.name).after(next(news))
        few.close()
        for one in news:
            course = course.after(one)
    assert bits(course) == bits(first)


def test_divergence_is_recorded_where_it_happens_and_nowhere_else(pool):
    wild = replace(PLAIN, methods=("raw255", "ds_z"), rates=(0.01, 3e4), steps=30)
    course = run(wild, pool)
    assert not np.isfinite(course.rounds[-1].loss[0, 1]).any()
    assert np.isinf(course.finish.loss[:, 1]).all()
    assert np.isfinite(course.finish.loss[1, 0]).all()
    line = course.line(0, 1)
    assert line.diverged == 2 and line.ended == 10 and line.steps == ()
    calm = course.line(1, 0)
    assert calm.ended is None and calm.diverged == 0 and calm.steps == (10, 20, 30)
    assert np.isnan(course.rounds[-1].std[0, 1]).all()
    assert course.best()[1] == 0 and np.isinf(course.losses()[1, 1])
    assert course_of(course.to_json()).line(0, 1) == line


@pytest.mark.parametrize("finished", [False, True])
def test_a_race_that_is_given_up_leaves_no_process(monkeypatch, finished):
    started = []

    class Seen(Workers):
        def start(self):
            super().start()
            started.extend(self._processes)

    monkeypatch.setattr(contest, "Workers", Seen)
    news = race(PLAIN, DIGITS, 2)
    assert isinstance(next(news), Round)
    assert len(set(started)) == 2 and all(one.poll() is None for one in started)
    if finished:
        assert isinstance(list(news)[-1], Finish)
    else:
        news.close()
    assert all(one.poll() is not None for one in started)


def test_light_of_training_and_of_test_are_apart():
    spec = RaceSpec(train_sigma=0.7, test_sigma=0.7, test_shift=0.0)
    usual, own = lit(PHOTO_PATCHES, 5, 0.7, 60, 40), lights(spec, 5, PHOTO_PATCHES)
    np.testing.assert_array_equal(own.train, usual.train)
    np.testing.assert_array_equal(own.test, usual.test)
    darker = lights(replace(spec, test_shift=-3.0), 5, PHOTO_PATCHES)
    np.testing.assert_array_equal(darker.train, usual.train)
    assert darker.test.mean() < 0.6 * usual.test.mean()
    other = lights(replace(spec, train_shift=1.0), 5, PHOTO_PATCHES)
    assert other.train.mean() > usual.train.mean() and (other.test == usual.test).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"methods": ()}, "1 to 6 different methods"),
        ({"methods": ("raw1", "raw1")}, "different methods"),
        ({"methods": ("nonsense",)}, "no method 'nonsense'"),
        ({"seeds": tuple(range(13))}, "1 to 12 different seeds"),
        ({"norm": "none"}, "or None"),
        ({"optimizer": "lbfgs"}, "sgd, momentum, adam"),
        ({"rates": (0.1, 0.0)}, "above 0"),
        ({"steps": 1001}, "1 to 1000 steps"),
        ({"batch": 0}, "batches of 1"),
        ({"seeds": tuple(range(11)), "rates": (0.1,) * 7}, "308 runs; a race takes 300"),
    ],
)
def test_what_no_race_can_be_run_with_is_said(wrong, said):
    with pytest.raises(ParameterError, match=said):
        RaceSpec(**wrong)


def made(accuracy, loss=None) -> Course:
    """A finished race of made-up accuracies ``(M, S)`` at one learning rate."""
    accuracy = np.array(accuracy, np.float64)[:, np.newaxis]
    spec = RaceSpec(
        seeds=tuple(range(accuracy.shape[2])),
        methods=tuple(NORMALIZATIONS)[: len(accuracy)],
        test_shift=0.0,
    )
    loss = np.ones_like(accuracy) if loss is None else np.array(loss, np.float64)[:, np.newaxis]
    filters = np.zeros((len(accuracy), 1, 5, 5, 3, 16))
    one = Round(200, loss, loss / 2, loss, filters, filters, 10)
    return Course(spec, "made", (one,), Finish(accuracy, loss))


def test_a_race_at_chance_compares_nothing():
    lost = made([[0.10, 0.11, 0.09], [0.12, 0.1, 0.11]])
    assert sentence(lost, (0, 0), "raw255") == (
        "No network has learned these classes (right in 11 % at best, chance is 10 %), so there is "
        "nothing to compare. Try more steps or another learning rate."
    )
    one = made([[0.10, 0.11, 0.09], [0.42, 0.4, 0.41]])
    assert sentence(one, (0, 0), "raw255").startswith("After 200 steps 0–255 is right in 10 %")


def test_an_accuracy_stays_between_0_and_100():
    mean = made([[0.1, 0.9], [0.5, 0.5]]).means((0, 0))[0]
    assert (mean.mean, mean.low, mean.high) == (50.0, 0.0, 100.0)
    bars = accuracy_bars([Bar("a", "#123456", mean, [10.0, 90.0])], 10.0, dark=False)
    error = bars.data[0].error_x
    assert (error.array[0], error.arrayminus[0]) == (50.0, 50.0)


def test_the_sentence_is_read_from_the_numbers():
    apart = made([[0.40, 0.42, 0.41, 0.43], [0.60, 0.63, 0.61, 0.62]])
    assert sentence(apart, (0, 0), "raw255") == (
        "After 200 steps 0–255 is right in 42 %, [0, 1] in 62 %: 20 ± 1 points apart over 4 seeds."
    )
    darker = replace(apart, spec=replace(apart.spec, test_shift=-2.0))
    assert sentence(darker, (0, 0), "raw255").startswith("After 200 steps, tested 2 EV darker, 0")
    found = apart.differences((0, 0), "raw255")[0]
    assert found.what == "raw1" and found.mean == pytest.approx(20.0) and found.finding == "more"
    assert sentence(apart, (0, 0), "raw1") == sentence(apart, (0, 0), "raw255")
    unsure = made([[0.40, 0.60, 0.5], [0.60, 0.41, 0.52]])
    assert sentence(unsure, (0, 0), "raw255").endswith("which these seeds cannot tell from chance.")
    among = made([[0.40, 0.42, 0.41], [0.43, 0.46, 0.465], [0.41, 0.42, 0.40]])
    assert sentence(among, (0, 0, 0), "raw255").endswith(
        "4 ± 3 points apart over 3 seeds, which 2 comparisons, corrected for, cannot tell from "
        "chance."
    )
    assert "one seed cannot say" in sentence(made([[0.4], [0.5]]), (0, 0), "raw1")
    # Two seeds that happen to agree to the bit are no proof.
    assert "2 seeds cannot say" in sentence(made([[0.4, 0.5], [0.6, 0.7]]), (0, 0), "raw1")
    assert sentence(made([[0.4, 0.5]]), (0,), "raw255").endswith(
        "0–255 is right in 45 % of the test images."
    )
    running = replace(made([[0, 0], [0, 0], [0, 0]], [[1, 1], [2, 2], [3, np.nan]]), finish=None)
    assert sentence(running, (0, 0, 0), "raw1") == (
        "Step 200 of 200: 0–255 has the lowest training loss (1.00), [0, 1] the highest (2.00); "
        "diverged: dataset mean."
    )


def test_p_values_are_corrected_for_the_number_of_methods():
    rng = np.random.default_rng(0)
    accuracy = 0.5 + 0.02 * rng.normal(size=(4, 6))
    accuracy[1] += 0.05
    course = made(accuracy)
    alone = made(accuracy[:2]).differences((0, 0), "raw255")[0]
    among = course.differences((0,) * 4, "raw255")[0]
    assert among.mean == alone.mean and among.p == pytest.approx(min(1.0, 3 * alone.p))


def test_the_stored_race_is_the_default_one_and_can_be_run_again(pool):
    kept = stored()
    assert kept.course.spec == RaceSpec() and kept.course.source == PHOTO_PATCHES.name
    assert kept.date and kept.versions["numpy"] and kept.course.step == 200
    first = next(race(RaceSpec(), PHOTO_PATCHES, pool))
    np.testing.assert_allclose(kept.course.rounds[0].loss, first.loss, rtol=2e-3)
    np.testing.assert_allclose(kept.course.rounds[0].std, first.std, rtol=2e-3)


def test_every_method_has_a_short_title():
    assert len({short_title(name) for name in NORMALIZATIONS}) == len(NORMALIZATIONS)
