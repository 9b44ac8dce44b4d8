"""Whether other seeds give the same verdict: how it is counted, kept and said."""

from __future__ import annotations

import sys

import pytest

from normviz.lab import CLAIMS, EXPERIMENTS, precompute_stability, precomputed, steadiness
from normviz.lab.evidence import Verdict
from normviz.lab.experiment import Result
from normviz.lab.precomputed import STABLE, stability

COUNTS = {
    "x": {1: {"holds": 18, "fails": 2}, 2: {"holds": 14, "not decided": 4, "fails": 2}},
}


def test_every_claim_of_every_experiment_was_tried_on_twenty_sets():
    found = stability()
    assert list(found) == list(EXPERIMENTS)
    for key, experiment in EXPERIMENTS.items():
        assert set(found[key]) == set(experiment.claims)
        for words in found[key].values():
            assert sum(words.values()) == 20
            assert list(words.values()) == sorted(words.values(), reverse=True)


def test_the_verdicts_shown_are_those_that_other_seeds_give():
    # What is shown at once is the most frequent verdict, or said to be mixed.
    for key, result in precomputed().results.items():
        for verdict in result["verdicts"]:
            word, said = steadiness(key, verdict["claim"], verdict["word"])
            counts = stability()[key][verdict["claim"]]
            if counts.get(verdict["word"], 0) >= 18:
                assert word == verdict["word"] and "of 20 other sets" in said
            else:
                assert word == "mixed evidence"


@pytest.mark.parametrize(
    ("claim", "word", "shown", "said"),
    [
        (1, "holds", "holds", "18 of 20 other sets of seeds give the same verdict."),
        (1, "fails", "mixed evidence", "These seeds say “fails”, of 20 other sets of seeds 18 "
         "“holds”; 2 “fails”."),
        (2, "holds", "mixed evidence", "These seeds say “holds”, of 20 other sets of seeds 14 "
         "“holds”; 4 “not decided”; 2 “fails”."),
        (3, "holds", "holds", ""),
    ],
)  # fmt: skip
def test_a_verdict_that_other_seeds_do_not_give_is_mixed_evidence(
    claim, word, shown, said, monkeypatch
):
    # By its module: the package has a function of the same name.
    monkeypatch.setattr(sys.modules[steadiness.__module__], "stability", lambda: COUNTS)
    assert STABLE == 0.9
    assert steadiness("x", claim, word) == (shown, said)


def test_sets_of_seeds_are_disjoint_and_verdicts_counted(monkeypatch):
    experiment, specs = EXPERIMENTS["mean_image"], []

    def result(experiment, spec, workers):
        specs.append(spec)
        words = ("holds" if len(specs) % 3 else "fails", "fails")
        verdicts = tuple(
            Verdict(claim, word, "", ()) for claim, word in zip((4, 13), words, strict=True)
        )
        return Result("mean_image", spec, "", verdicts, {}, 0.0)

    monkeypatch.setattr(precompute_stability, "result_of", result)
    found = precompute_stability.counted(experiment, 7)
    assert found == {4: {"holds": 5, "fails": 2}, 13: {"fails": 7}}
    seeds = [seed for spec in (experiment.spec, *specs) for seed in spec.seeds]
    assert len(set(seeds)) == len(seeds) == 8 * len(experiment.spec.seeds)


def test_the_number_shown_of_a_claim_is_one_of_its_own():
    for claim in CLAIMS.values():
        verdicts = precomputed().results[claim.experiment]["verdicts"]
        own = next(one for one in verdicts if one["claim"] == claim.number)
        assert -1 <= claim.effect < len(own["effects"])
