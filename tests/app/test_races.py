"""A visitor's race: it goes, pauses and steps as told, stops when nobody looks, and cleans up."""

from __future__ import annotations

import time

import pytest

from app import races
from app.races import Running
from normviz.errors import NormvizError
from normviz.lab.contest import RaceSpec, race
from normviz.lab.course import Course
from normviz.lab.labelled import DIGITS, PHOTO_PATCHES

SPEC = RaceSpec(
    seeds=(0, 1), methods=("raw1", "ds_z"), steps=30, batch=8, per_class=12, test_per_class=9
)


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def running():
    own = Running(SPEC, DIGITS)
    yield own
    own.pause()
    until(lambda: not own.busy)


def test_steps_and_pauses_end_in_the_same_numbers(running):
    expected = Course(SPEC, DIGITS.name)
    for news in race(SPEC, DIGITS):
        expected = expected.after(news)
    assert not running.busy and not running.course.rounds
    running.step()
    until(lambda: not running.busy)
    assert running.course.step == 10 and not running.done
    time.sleep(0.2)
    assert running.course.step == 10
    running.step()
    until(lambda: not running.busy)
    assert running.course.step == 20 and running.course.finish is None
    running.go()
    until(lambda: running.done)
    until(lambda: not running.busy)
    assert not running.going and running.course.step == 30
    assert running.course.to_json() == expected.to_json()
    running.go()
    assert not running.busy


def test_a_race_that_nobody_looks_at_pauses(running, monkeypatch):
    monkeypatch.setattr(races, "AWAY", 0.0)
    running.go()
    until(lambda: not running.busy)
    assert not running.going and not running.done


def test_processes_are_ended_when_nobody_uses_them(running, monkeypatch):
    monkeypatch.setattr(races, "IDLE", 0.3)
    running.step()
    until(lambda: not running.busy)
    mine = list(races._SHARED._workers._processes)
    assert mine
    until(lambda: all(one.poll() is not None for one in mine), 5.0)
    # The next round starts others.
    running.step()
    until(lambda: not running.busy)
    assert running.course.step == 20
    until(lambda: not races._SHARED._workers._processes, 5.0)


def test_two_races_take_turns(running):
    long = RaceSpec(**{**vars(SPEC), "steps": 300})
    one, other = Running(long, DIGITS), Running(long, DIGITS)
    one.go()
    other.go()

    def far() -> bool:
        one.seen()
        other.seen()
        return len(one.course.rounds) >= 12

    until(far)
    rounds = len(other.course.rounds)
    one.pause()
    other.pause()
    until(lambda: not one.busy and not other.busy)
    assert rounds >= 6


def test_what_breaks_is_said(monkeypatch):
    def broken(*_):
        yield from ()
        raise NormvizError("A process of the lab ended before its work. Run it again.")

    monkeypatch.setattr(races, "race", broken)
    own = Running(SPEC, DIGITS)
    own.go()
    until(lambda: own.done)
    assert own.failed.startswith("A process of the lab ended") and not own.course.rounds


def test_a_race_knows_its_settings(running):
    assert running.is_of(RaceSpec(**vars(SPEC)), DIGITS)
    assert not running.is_of(RaceSpec(), DIGITS)
    assert not running.is_of(SPEC, PHOTO_PATCHES)
