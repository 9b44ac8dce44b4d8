"""Results computed beforehand, to be shown at once and labelled as such.

``python -m normviz.lab.precompute`` writes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")


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
