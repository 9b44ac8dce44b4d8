"""Lessons ask what their experiments answer, and every claim stands in one of them."""

from __future__ import annotations

import pytest

from app.lessons import LESSONS
from app.views import sights
from app.views.experiments import FIGURES
from app.views.lesson_figures import LIVE
from normviz.lab import CLAIMS, EXPERIMENTS, precomputed


def test_every_lesson_has_a_live_figure_and_every_experiment_one_of_its_own():
    assert set(LIVE) == {lesson.key for lesson in LESSONS}
    assert set(FIGURES) == set(EXPERIMENTS)
    assert {key for lesson in LESSONS for key in lesson.experiments} == set(EXPERIMENTS)


def test_every_claim_has_a_verdict_computed_beforehand():
    results = precomputed().results
    assert set(results) == set(EXPERIMENTS)
    for claim in CLAIMS.values():
        verdicts = results[claim.experiment]["verdicts"]
        assert claim.number in {verdict["claim"] for verdict in verdicts}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_a_prediction_is_decided_by_an_effect_of_its_own_lesson(lesson):
    asked = lesson.prediction
    assert len(set(asked.options)) == 3
    if asked.experiment:
        assert asked.experiment in lesson.experiments
        verdict = precomputed().results[asked.experiment]["verdicts"][asked.verdict]
        finding = verdict["effects"][asked.effect]["finding"]
    else:
        finding = sights.effects_of(lesson.key)[asked.effect].finding
    assert asked.options[("more", "less", "same").index(finding)]


def test_lessons_have_an_experiment_or_a_sight():
    assert {lesson.key for lesson in LESSONS if not lesson.experiments} == set(sights.SIGHTS)
