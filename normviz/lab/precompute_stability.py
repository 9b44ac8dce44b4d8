"""Repeat every experiment on other seeds and count its verdicts.

    python -m normviz.lab.precompute_stability [--only KEY ...] [--sets 20] [--workers 2]

Each set has as many seeds as the experiment's own; no two sets, and none with the experiment's own,
share a seed. Writes ``normviz/lab/stability.json`` after each experiment; those not asked for stay
as they were.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter

from normviz.lab.experiment import Experiment, result_of
from normviz.lab.experiments import EXPERIMENTS
from normviz.lab.precomputed import OTHER_SEEDS, STABILITY, made_with, stability
from normviz.lab.workers import Workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], choices=list(EXPERIMENTS))
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    found = dict(stability())
    with Workers(asked.workers) as workers:
        for key in asked.only or EXPERIMENTS:
            found[key] = counted(EXPERIMENTS[key], asked.sets, workers)
            text = {
                **made_with(),
                "sets": asked.sets,
                "first_seed": OTHER_SEEDS,
                "verdicts": {key: found[key] for key in EXPERIMENTS if key in found},
            }
            STABILITY.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n")


def counted(
    experiment: Experiment, sets: int, workers: int | Workers = 2
) -> dict[int, dict[str, int]]:
    """Return how often each of its claims got which verdict, the most frequent first."""
    size = len(experiment.spec.seeds)
    counts: dict[int, Counter[str]] = {claim: Counter() for claim in experiment.claims}
    for number in range(sets):
        first = OTHER_SEEDS + number * size
        spec = dataclasses.replace(experiment.spec, seeds=tuple(range(first, first + size)))
        for verdict in result_of(experiment, spec, workers=workers).verdicts:
            counts[verdict.claim][verdict.word] += 1
    for claim, words in counts.items():
        print(f"{claim:2d} {experiment.key}: {dict(words.most_common())}", flush=True)
    return {claim: dict(words.most_common()) for claim, words in counts.items()}


if __name__ == "__main__":
    main()
