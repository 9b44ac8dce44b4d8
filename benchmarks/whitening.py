"""How near to the speed of BLAS whitening is fitted: beside a plain matrix product, in one run.

    python benchmarks/whitening.py [--rounds 5]

Three sizes of vector: the channels of 12 megapixels, 50,000 patches, 4,096 small images; and one
set of fewer images than values, which is fitted by a thin SVD instead. Every round times each
candidate once, in an order shuffled anew, one thread each, and ratios are taken within a round.

``fit`` is the whole of it, from uint8 images to constants. ``covariance`` is its sum of products,
of vectors that are float64 already. ``eigenvectors`` is its decomposition. The yardstick is
NumPy's Aᵀ B of two float64 arrays of that size. GFLOP/s count what has to be done: n·D·(D + 1)
for a covariance, which is symmetric, and 2·n·D² for the plain product. Writes
benchmarks/results/whitening.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
from photo import photo_of_12_megapixels
from threadpoolctl import threadpool_limits

from normviz import METHODS, Image, image_of
from normviz.methods.base import Method
from normviz.statistics.covariance import (
    SecondMoments,
    channel_moments,
    image_vectors,
    patches_of,
    rows_a_block,
)

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMMAND = "python benchmarks/whitening.py"
YARDSTICK = "plain product AᵀB"
SPREAD = {"median": statistics.median, "min": min, "max": max}

Case = tuple[dict[str, Callable[[], object]], dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    threadpool_limits(1)
    photo = photo_of_12_megapixels()
    cases = {
        "channels of 12 megapixels": lambda: colour(photo),
        "50,000 patches of 8 × 8 × 3": lambda: patches(photo, side=8, count=50_000),
        "4,096 images of 16 × 16 × 3": lambda: images(photo, side=16, count=4096),
        "4,096 images of 32 × 32 × 3": lambda: images(photo, side=32, count=4096),
        "500 images of 32 × 32 × 3": lambda: few_images(photo, side=32, count=500),
    }
    record: dict = {"command": COMMAND, "threads": 1}
    for title, prepare in cases.items():
        record[title] = timed(*prepare(), rounds)
    record["versions"] = {
        "numpy": metadata.version("numpy"),
        "blas": np.show_config(mode="dicts")["Build Dependencies"]["blas"]["version"],
        "opencv-python-headless": metadata.version("opencv-python-headless"),
    }
    record["machine"] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / "whitening.json").write_text(text + "\n", encoding="utf-8")
    print(table(record))


def colour(photo: np.ndarray) -> Case:
    image = image_of(photo)
    count = photo.shape[0] * photo.shape[1]
    levels = photo.reshape(-1, 3).astype(np.float64)
    other = levels.copy()
    runs = {
        "fit": lambda: METHODS["colour_zca"]().fit([image]),
        "covariance": lambda: channel_moments([image]),
        YARDSTICK: lambda: levels.T @ other,
    }
    return runs, work(count, 3)


def patches(photo: np.ndarray, side: int, count: int) -> Case:
    on = [image_of(photo)]
    method = METHODS["patch_zca"](side=side, patches=count)
    rows = rows_a_block(3 * side**2)
    blocks = [block.reshape(len(block), -1) for block in patches_of(on, side, count, 0, rows)]
    return against(method, on, blocks), work(count, 3 * side**2)


def images(photo: np.ndarray, side: int, count: int) -> Case:
    on = crops(photo, 2 * side, count)
    vectors = image_vectors(on, side)
    rows = rows_a_block(vectors.shape[1])
    blocks = [vectors[at : at + rows] for at in range(0, count, rows)]
    return against(METHODS["image_zca"](side=side), on, blocks), work(*vectors.shape)


def few_images(photo: np.ndarray, side: int, count: int) -> Case:
    on = crops(photo, 2 * side, count)
    vectors = image_vectors(on, side)
    centred = vectors - vectors.mean(axis=0)
    other = centred.copy()
    runs = {
        "fit": lambda: METHODS["image_zca"](side=side).fit(on),
        "thin SVD": lambda: np.linalg.svd(centred, full_matrices=False),
        YARDSTICK: lambda: centred @ other.T,
    }
    return runs, {YARDSTICK: 2.0 * count**2 * vectors.shape[1]}


def against(method: Method, on: list[Image], blocks: list[np.ndarray]) -> dict:
    everything = np.concatenate(blocks)
    other = everything.copy()
    covariance = merged(blocks).covariance
    return {
        "fit": lambda: method.fit(on),
        "covariance": lambda: merged(blocks),
        "eigenvectors": lambda: np.linalg.eigh(covariance),
        YARDSTICK: lambda: everything.T @ other,
    }


def merged(blocks: Iterable[np.ndarray]) -> SecondMoments:
    parts = [SecondMoments.of(block) for block in blocks]
    total = parts[0]
    for part in parts[1:]:
        total = total.merge(part)
    return total


def crops(photo: np.ndarray, side: int, count: int) -> list[Image]:
    rng = np.random.default_rng(0)
    tops = rng.integers(photo.shape[0] - side, size=count)
    lefts = rng.integers(photo.shape[1] - side, size=count)
    return [
        image_of(photo[top : top + side, left : left + side])
        for top, left in zip(tops, lefts, strict=True)
    ]


def work(count: int, dimensions: int) -> dict[str, float]:
    """Floating-point operations that the products need."""
    return {
        "covariance": 1.0 * count * dimensions * (dimensions + 1),
        YARDSTICK: 2.0 * count * dimensions**2,
    }


def timed(runs: dict[str, Callable], operations: dict[str, float], rounds: int) -> dict:
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    shuffle = random.Random(0)
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            start = time.perf_counter()
            runs[name]()
            times[name].append(time.perf_counter() - start)
    rows: dict = {}
    for name, taken in times.items():
        ratios = [a / b for a, b in zip(taken, times[YARDSTICK], strict=True)]
        rows[name] = {
            "ms": spread([1e3 * took for took in taken]),
            "times_plain_product": spread(ratios),
        }
        if name in operations:
            rows[name]["gflops"] = spread([operations[name] / took / 1e9 for took in taken])
    return rows


def spread(values: list[float]) -> dict[str, float]:
    return {name: round(of(values), 3) for name, of in SPREAD.items()}


def table(record: dict) -> str:
    lines = [f"{record['command']}, one thread"]
    for title, rows in record.items():
        if title in ("command", "threads", "versions", "machine"):
            continue
        lines += ["", f"{title:32}{'ms: median (min to max)':>28}{'× product':>12}{'GFLOP/s':>10}"]
        for name, row in rows.items():
            ms = row["ms"]
            took = f"{ms['median']:.0f} ({ms['min']:.0f} to {ms['max']:.0f})"
            speed = f"{row['gflops']['median']:.1f}" if "gflops" in row else ""
            ratio = row["times_plain_product"]["median"]
            lines.append(f"{name:32}{took:>28}{ratio:>12.2f}{speed:>10}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
