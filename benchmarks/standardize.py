"""How fast a 12-megapixel photo is standardized: normviz beside the libraries people use.

    python benchmarks/standardize.py [--rounds 15]

Makes its own environment in benchmarks/.venv-peers (Albumentations, PyTorch, torchvision), then
times all candidates in one process there, one thread each: every round times each of them once, in
an order shuffled anew, and ratios are taken within a round. Every candidate's result is compared
with float64 before it is timed. Writes benchmarks/results/standardize.json and prints a table.

All go from uint8 RGB to float32. torchvision is handed a tensor (3, H, W) that is made before the
clock starts; the others take and return (H, W, 3).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ROOT / "benchmarks" / ".venv-peers"
COMMAND = "python benchmarks/standardize.py"
# torchvision's own pin of torch is for its compiled operators, which no transform here needs.
INSTALLS = (
    ["-r", "requirements.txt", "albumentations==2.0.8", "torch==2.13.0", "scikit-image==0.26.0"],
    ["keras==3.15.1", "tensorflow-cpu==2.21.0"],
    ["--no-deps", "torchvision==0.28.0"],
)
PEER_NAMES = ("albumentations", "torch", "torchvision")
# ImageNet's, which normviz takes from its own preset.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PLAIN = "NumPy, plain expression"
YARDSTICK = "filling the output alone"
SPREAD = {"median": statistics.median, "min": min, "max": max}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(measure(asked.rounds)))
        return
    command = [str(peers_python()), __file__, "--inside", "--rounds", str(asked.rounds)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "NO_ALBUMENTATIONS_UPDATE": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    record = json.loads(run.stdout.splitlines()[-1])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "standardize.json").write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))


def peers_python() -> Path:
    """Return the Python of the peers' environment, which is made if it is not whole."""
    python = PEERS / ("Scripts" if os.name == "nt" else "bin") / "python"
    whole = PEERS / "whole"
    if not whole.exists() or whole.read_text() != str(INSTALLS):
        venv.create(PEERS, with_pip=True, clear=True)
        for packages in INSTALLS:
            install = [str(python), "-m", "pip", "install", "-q", *packages]
            subprocess.run(install, cwd=ROOT, check=True, stdout=sys.stderr)
        whole.write_text(str(INSTALLS))
    return python


def measure(rounds: int) -> dict:
    import cv2
    import numpy as np
    from photo import photo_of_12_megapixels

    cv2.setNumThreads(1)
    pixels = photo_of_12_megapixels()
    record: dict = {
        "command": COMMAND,
        "image": "4000 × 3000 RGB uint8 to float32, one thread",
        "with the dataset's mean and std": timed(
            with_constants(pixels), ((pixels / 255 - MEAN) / STD).astype(np.float32), rounds
        ),
        "with the image's own mean and std": timed(
            with_its_own(pixels),
            ((pixels - pixels.mean()) / pixels.std()).astype(np.float32),
            rounds,
        ),
    }
    record["versions"] = versions("numpy", "opencv-python-headless", *PEER_NAMES)
    record["machine"] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }
    return record


def timed(candidates: dict[str, Callable], reference, rounds: int) -> dict:
    """Time the candidates ``rounds`` times; "normviz" is what the ratios are to."""
    import numpy as np

    apart = {}
    for name, run in candidates.items():
        values = np.asarray(run())
        values = values.transpose(1, 2, 0) if values.shape[0] == 3 else values
        apart[name] = float(np.abs(values - reference).max())
    del values
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    shuffle = random.Random(0)
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            start = time.perf_counter()
            candidates[name]()
            times[name].append(time.perf_counter() - start)
    return {
        name: {
            "ms": spread([1e3 * took for took in taken]),
            "times_normviz": spread([a / b for a, b in zip(taken, times["normviz"], strict=True)]),
            "largest_difference_from_float64": None if name == YARDSTICK else apart[name],
        }
        for name, taken in times.items()
    }


def with_constants(pixels) -> dict[str, Callable]:
    import albumentations
    import numpy as np

    from normviz import METHODS
    from normviz.presets import PRESETS

    torch, transforms = torch_and_transforms()
    fitted = METHODS["dataset_zscore"]().fit(PRESETS["imagenet"])
    mean, std = np.float32(MEAN), np.float32(STD)
    normalize = albumentations.Normalize(mean=MEAN, std=STD)
    steps = [transforms.ToDtype(torch.float32, scale=True), transforms.Normalize(MEAN, STD)]
    transform = transforms.Compose(steps)
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    return {
        "normviz": lambda: fitted(pixels),
        PLAIN: lambda: (pixels / 255 - MEAN) / STD,
        f"{PLAIN}, float32": lambda: (pixels.astype(np.float32) / np.float32(255) - mean) / std,
        "Albumentations": lambda: normalize(image=pixels)["image"],
        "torchvision v2": lambda: transform(tensor),
        YARDSTICK: lambda: np.full(pixels.shape, 0.5, np.float32),
    }


def with_its_own(pixels) -> dict[str, Callable]:
    import albumentations
    import numpy as np

    from normviz import METHODS

    torch, transforms = torch_and_transforms()
    fitted = METHODS["image_standardize"]().fit()
    normalize = albumentations.Normalize(normalization="image")
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())

    def by_torchvision():
        # It has no transform for an image's own numbers: they are taken first.
        values = transforms.functional.to_dtype(tensor, torch.float32, scale=False)
        std, mean = (float(value) for value in torch.std_mean(values, correction=0))
        return transforms.functional.normalize(values, [mean] * 3, [std] * 3)

    def in_float32():
        values = pixels.astype(np.float32)
        return (values - values.mean()) / values.std()

    return {
        "normviz": lambda: fitted(pixels),
        PLAIN: lambda: (pixels - pixels.mean()) / pixels.std(),
        f"{PLAIN}, float32": in_float32,
        "Albumentations": lambda: normalize(image=pixels)["image"],
        "torchvision v2": by_torchvision,
    }


def torch_and_transforms():
    """Import torchvision's transforms also where its compiled operators do not load."""
    import torch

    torch.set_num_threads(1)
    try:
        from torchvision.transforms import v2
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch_and_transforms.library = library  # it must stay alive
        from torchvision.transforms import v2
    return torch, v2


def spread(values: list[float]) -> dict:
    return {name: round(of(values), 3) for name, of in SPREAD.items()}


def versions(*names: str) -> dict[str, str]:
    return {name: metadata.version(name) for name in names}


def table(record: dict) -> str:
    lines = [f"{record['image']}; {record['command']}"]
    for title, rows in record.items():
        if not title.startswith("with "):
            continue
        lines += [
            "",
            title,
            f"{'':38}{'ms: median (min to max)':>28}{'× normviz':>12}{'off by':>10}",
        ]
        for name, row in rows.items():
            ms, ratio, off = row["ms"], row["times_normviz"], row["largest_difference_from_float64"]
            took = f"{ms['median']:.0f} ({ms['min']:.0f} to {ms['max']:.0f})"
            apart = "" if off is None else f"{off:.0e}"
            lines.append(f"{name:38}{took:>28}{ratio['median']:>12.1f}{apart:>10}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
