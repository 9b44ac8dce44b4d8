"""Run all experiments with their own specs and keep the results: python -m normviz.lab.precompute

    python -m normviz.lab.precompute [--only KEY ...] [--workers 2]

Writes ``normviz/lab/results.json``, with the date and the versions that decide its digits.
"""

from __future__ import annotations

import argparse
import json

from normviz.lab.experiment import result_of
from normviz.lab.experiments import EXPERIMENTS
from normviz.lab.precomputed import FILE, made_with, precomputed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], choices=list(EXPERIMENTS))
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    kept = precomputed().results
    results = {}
    for key, experiment in EXPERIMENTS.items():
        if asked.only and key not in asked.only:
            if key in kept:
                results[key] = kept[key]
            continue
        result = result_of(experiment, workers=asked.workers)
        results[key] = result.to_json()
        for verdict in result.verdicts:
            print(f"{verdict.claim:2d} {key}: {verdict.word}. {verdict.because}", flush=True)
    record = {**made_with(), "results": results}
    FILE.write_text(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
