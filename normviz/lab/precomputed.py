"""Results computed beforehand, to be shown at once and labelled as such.

``python -m normviz.lab.precompute`` writes them, ``python -m normviz.lab.precompute_stability``
how often other seeds give the same verdict.
"""

from __future__ import annotations

import datetime
import json
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from normviz.version import VERSION

FILE = Path(__file__).with_name("results.json")
STABILITY = Path(__file__).with_name("stability.json")

OTHER_SEEDS = 1000
"""Seeds from here on are those of the sets that stability is counted on."""

STABLE = 0.9
"""A verdict that fewer than this share of other sets of seeds give is one of mixed evidence."""


@dataclass(frozen=True)
class Precomputed:
    """When and with what the results were computed, and each experiment's, as its to_json gives."""

    date: str
    versions: dict[str, str]
    results: dict[str, dict[str, Any]]


@cache
def precomputed() -> Precomputed:
    """Return the results in ``results.json``, without any where the file is missing."""
    if not FILE.exists():
        return Precomputed("", {}, {})
    record = json.loads(FILE.read_text(encoding="utf-8"))
    return Precomputed(record["date"], record["versions"], record["results"])


def made_with() -> dict[str, Any]:
    """Return the date and the versions that decide a result's digits."""
    return {
        "date": datetime.date.today().isoformat(),
        "versions": {
            "normviz": VERSION,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "python": platform.python_version(),
        },
    }


@cache
def stability() -> dict[str, dict[int, dict[str, int]]]:
    """Return for each experiment and claim how many disjoint sets of seeds gave which verdict."""
    if not STABILITY.exists():
        return {}
    record = json.loads(STABILITY.read_text(encoding="utf-8"))["verdicts"]
    return {
        key: {int(claim): words for claim, words in claims.items()}
        for key, claims in record.items()
    }


def steadiness(experiment: str, claim: int, word: str) -> tuple[str, str]:
    """Return the verdict to show and a sentence on how often other seeds give it.

    The verdict is "mixed evidence" where fewer than 18 of 20 other sets of seeds give ``word``.
    The sentence is empty where no other seeds were tried.
    """
    counts = stability().get(experiment, {}).get(claim, {})
    total = sum(counts.values())
    if not total:
        return word, ""
    if counts.get(word, 0) >= STABLE * total:
        return word, f"{counts[word]} of {total} other sets of seeds give the same verdict."
    others = "; ".join(f"{number} “{other}”" for other, number in counts.items())
    said = f"these seeds say “{word}”, of {total} other sets of seeds {others}."
    return "mixed evidence", said[0].upper() + said[1:]
