"""Runs in a thread: what comes is kept, what fails is said, and a run can be cancelled at once."""

from __future__ import annotations

import time

import pytest

from app import runs
from app.runs import Run
from normviz.errors import NormvizError
from normviz.lab import EXPERIMENTS, Record, Result, run
from normviz.lab.experiment import result_of

SLOW = EXPERIMENTS["one_rate"]
QUICK = EXPERIMENTS["batch_statistics"]


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_news_and_result_are_those_of_the_experiment():
    running = Run(lambda workers: run(QUICK, workers=workers))
    until(lambda: not running.busy)
    assert isinstance(running.result, Result) and not running.failed
    assert running.result.verdicts == result_of(QUICK).verdicts
    assert {record.seed for record in running.news} == set(QUICK.spec.seeds)
    assert not running._workers._processes


def test_a_cancelled_run_ends_its_processes_at_once_and_says_nothing():
    running = Run(lambda workers: run(SLOW, workers=workers))
    until(lambda: running.news)
    processes = list(running._workers._processes)
    began = time.monotonic()
    running.cancel()
    until(lambda: not running.busy, 2.0)
    assert time.monotonic() - began < 2.0
    assert len(processes) == 2 and all(one.poll() is not None for one in processes)
    assert running.result is None and not running.failed


def test_a_run_that_is_cancelled_before_its_first_news_ends_too():
    running = Run(lambda workers: run(SLOW, workers=workers))
    running.cancel()
    until(lambda: not running.busy)
    assert running.result is None and not running.failed
    assert not running._workers._processes


def test_a_run_that_nobody_looks_at_is_cancelled(monkeypatch):
    monkeypatch.setattr(runs, "AWAY", 0.0)
    running = Run(lambda workers: run(SLOW, workers=workers))
    until(lambda: not running.busy)
    assert running.result is None and not running.failed
    assert not running._workers._processes


@pytest.mark.parametrize(
    ("error", "said"), [(NormvizError("Too few."), "Too few."), (KeyError("x"), "It broke off: Ke")]
)
def test_what_breaks_a_run_is_said(error, said):
    def work(_):
        yield Record(0, "curve", {})
        raise error

    running = Run(work)
    until(lambda: not running.busy)
    assert running.failed.startswith(said) and len(running.news) == 1
