"""Runs in a thread: what comes is kept, what fails is said, and a run can be cancelled at once."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from app import runs
from app.runs import Run
from normviz.errors import NormvizError
from normviz.lab import EXPERIMENTS, Record, Result, run
from normviz.lab.experiment import result_of

SLOW = EXPERIMENTS["one_rate"]
QUICK = EXPERIMENTS["batch_statistics"]


@pytest.fixture(autouse=True)
def _looked_at(monkeypatch):
    monkeypatch.setattr(runs, "AWAY", 1e9)
    # AppTest leaves its script as the main module, which processes started later would run.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def until(condition):
    # Only a test that hangs needs the limit; a busy machine is slow.
    end = time.monotonic() + 120.0
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


def test_a_run_ends_even_if_its_processes_do_not_close(monkeypatch):
    def broken(self):
        raise OSError("no such pipe")

    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    monkeypatch.setattr(runs.Workers, "close", broken)
    running = Run(lambda workers: iter(()))
    until(lambda: raised)
    assert raised[0].exc_type is OSError
    assert not running.busy and running.result is None and not running.failed


@pytest.mark.parametrize("wait", [0.0, 0.05, 0.4, 1.2])
def test_a_run_cancelled_twice_ends(wait):
    running = Run(lambda workers: run(SLOW, workers=workers))
    time.sleep(wait)
    running.cancel()
    running.cancel()
    until(lambda: not running.busy)
    assert running.result is None and not running.failed


def _drawn_from(key: str) -> None:
    import streamlit as st

    from app.views.experiments import _draw_running
    from normviz.lab import EXPERIMENTS, Record
    from normviz.lab.experiment import Task, work_of

    experiment = EXPERIMENTS[key]

    class Running:
        news: list = []
        seconds = 1.0

    task = Task(experiment.work.__module__, experiment.spec, 0, None)
    for record in work_of(task):
        assert isinstance(record, Record)
        Running.news.append(record)
        if len(Running.news) > 12:
            break
    _draw_running(st.empty(), Running, experiment)


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_what_every_experiment_reports_can_be_drawn_while_it_runs(key):
    found = AppTest.from_function(_drawn_from, kwargs={"key": key}).run(timeout=60)
    assert not found.exception


def test_a_cancelled_run_ends_its_processes_at_once_and_says_nothing():
    running = Run(lambda workers: run(SLOW, workers=workers))
    until(lambda: running.news)
    processes = list(running._workers._processes)
    seen = len(running.news)
    running.cancel()
    until(lambda: not running.busy)
    # Of some hundred records those that were on their way may still come.
    assert len(running.news) < seen + 60
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
