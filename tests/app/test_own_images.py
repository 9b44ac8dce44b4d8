"""Every experiment on a visitor's odd sets: a verdict, a figure and a number, or a sentence."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from app.views.effects import effect_words
from app.views.experiments import FIGURES
from normviz.errors import ParameterError
from normviz.images import image_of
from normviz.lab import CLAIMS, EXPERIMENTS, OwnImages, result_of
from normviz.lab.evidence import Effect
from tests.lab.test_experiments import tiny


def odd_sets():
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (20, 16, 16, 3), np.uint8)
    red = noise * np.array([1, 0, 0], np.uint8)
    black = noise.copy()
    black[1:] = 0
    return {"noise": noise, "red only": red, "nearly all black": black, "grey": noise[..., :1]}


@pytest.mark.parametrize("name", odd_sets())
@pytest.mark.parametrize("key", EXPERIMENTS)
def test_an_odd_set_gets_a_verdict_a_figure_and_a_number_or_a_sentence(key, name):
    """Two classes of ten images: noise, one channel alone, almost only black, and grey."""
    own = OwnImages.of([image_of(one) for one in odd_sets()[name]], ["a", "b"] * 10)
    try:
        found = result_of(EXPERIMENTS[key], tiny(key), own, workers=0).to_json()
    except ParameterError as error:
        assert name == "grey" or "nearly all black" in str(error)
        return
    FIGURES[key](found["tables"], False)
    json.dumps(found, allow_nan=False)
    for verdict in found["verdicts"]:
        assert re.match("holds$|fails$|not decided$|holds only ", verdict["word"])
        claim = CLAIMS[verdict["claim"]]
        at = claim.effect if key == claim.experiment else 0
        assert effect_words(Effect.of(verdict["effects"][at]))
        assert "nan" not in verdict["because"] and "inf" not in verdict["because"].split()
