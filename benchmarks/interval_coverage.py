"""How often the interval covers the truth where a scan stops by itself: a recorded simulation.

    python benchmarks/interval_coverage.py [--images FOLDER] [--seeds 1500] [--of 5000]

The scan looks at its interval again and again, and stops at the first that is narrow enough; that
favours intervals which are narrow by chance. Here 5,000 images (crops of the corpus, of random
place and size) are measured once, and each seed then scans their sums with ``until``, through the
very code that a scan runs. Counted is, for each channel's mean and std, in how many seeds the
95 % interval at the stop covers the number of all 5,000. Takes no time that matters, and depends
on no clock. Writes benchmarks/results/coverage.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
from corpus import add_images, jpegs_of

from normviz import Image, image_of, read
from normviz.statistics import DatasetStatistics, scan
from normviz.statistics.scanning import Found

RESULTS = Path(__file__).resolve().parent / "results"
COMMAND = "python benchmarks/interval_coverage.py"
UNTIL = (0.03, 0.02, 0.01, 0.005, 0.002)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_images(parser)
    parser.add_argument("--seeds", type=int, default=1500)
    parser.add_argument("--of", type=int, default=5000)
    asked = parser.parse_args()
    known = [
        replace(DatasetStatistics.of(crop), rows=())
        for crop in crops(jpegs_of(asked.images), asked.of)
    ]
    record = {
        "command": COMMAND,
        "images": len(known),
        "seeds": asked.seeds,
        "wanted": 93,
        "until": {str(until): simulated(known, until, asked.seeds) for until in UNTIL},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "coverage.json").write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))


def crops(jpegs: list[Path], count: int) -> list[Image]:
    """Crops of a quarter to the whole side of the JPEGs, as many of each."""
    rng = np.random.default_rng(0)
    made: list[Image] = []
    each = -(-count // len(jpegs))
    for path in jpegs:
        (photo,) = read(str(path))
        for _ in range(each):
            height, width = (
                int(side * share)
                for side, share in zip(photo.pixels.shape[:2], rng.uniform(0.25, 1, 2), strict=True)
            )
            top = int(rng.integers(photo.height - height + 1))
            left = int(rng.integers(photo.width - width + 1))
            made.append(image_of(photo.pixels[top : top + height, left : left + width]))
    return made[:count]


class Known:
    """An engine that looks up what was measured before; parts only say which images."""

    def __init__(self, known: list[DatasetStatistics]) -> None:
        self._known = known

    def results(self, work, parts):
        for part in parts:
            yield 1, Found(merged([self._known[at] for at, _ in part.images()]), ())


def merged(known: list[DatasetStatistics]) -> DatasetStatistics:
    total = DatasetStatistics.empty()
    for one in known:
        total = total.merge(one)
    return total


def simulated(known: list[DatasetStatistics], until: float, seeds: int) -> dict:
    places = [image_of(np.zeros((1, 1, 3), np.uint8))] * len(known)
    whole = merged(known)
    read_images, covered = [], np.zeros((seeds, 2, 3), bool)
    for seed in range(seeds):
        *_, found = scan(places, engine=Known(known), until=until, seed=seed, every=float("inf"))
        read_images.append(found.images)
        estimate = found.estimate
        for at, name in enumerate(("fraction_mean", "fraction_std")):
            apart = np.abs(getattr(found, name) - getattr(whole, name))
            # All images were read: there is nothing to be wrong about.
            width = 1e-12 if estimate is None else (estimate.mean, estimate.std)[at]
            covered[seed, at] = apart <= width
    times = 100 * covered.mean(axis=0)
    return {
        "images_read": {
            "median": statistics.median(read_images),
            "min": min(read_images),
            "max": max(read_images),
        },
        "covered_of_100": {"mean": times[0].tolist(), "std": times[1].tolist()},
        "least": float(times.min()),
        "all_six_of_100": 100 * float(covered.all(axis=(1, 2)).mean()),
    }


def table(record: dict) -> str:
    lines = [
        f"{record['seeds']} seeds of {record['images']:,} images; {record['command']}",
        "",
        f"{'until':>8}{'images read':>24}{'mean covered, of 100':>24}{'std covered':>18}"
        f"{'all six':>9}",
    ]
    for until, row in record["until"].items():
        taken = row["images_read"]
        images = f"{taken['median']:,.0f} ({taken['min']:,} to {taken['max']:,})"
        mean, std = (
            " ".join(f"{value:.0f}" for value in row["covered_of_100"][name])
            for name in ("mean", "std")
        )
        lines.append(f"{until:>8}{images:>24}{mean:>24}{std:>18}{row['all_six_of_100']:>9.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
