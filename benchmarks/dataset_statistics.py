"""The whole pass over a set of JPEGs, beside decoding alone and beside the usual scripts.

    python benchmarks/dataset_statistics.py [--images FOLDER] [--count 5000] [--rounds 5]

Reads the corpus over and over, as ``--count`` files of their own, which are read once before, so
that they come from the page cache. Every round runs each variant once in a process of its own, in
an order shuffled anew; ratios are taken within a round. The clock runs from the first look at the
folder to the numbers: the start of worker processes is in it, the main process's imports are not.
Memory is the largest sum of the resident sizes of all processes of a variant, looked at 20 times a
second (pages that processes share count in each).

* our whole pass with 1 process and 2, against decoding the same files and doing nothing else at the
  same number of processes: with Pillow as it is usually written (in a loop; mapped over a
  ProcessPoolExecutor), and in our own pool, whose processes keep their memory from image to image,
  which makes Pillow twice as fast; there also with our own reader;
* against PyTorch's DataLoader with sums of x and x² (batches of 64, 2 workers), and
  ``keras.layers.Normalization(axis=-1).adapt`` of ``image_dataset_from_directory``, in the peers'
  environment. PyTorch's means and stds must be ours to 1e-4 of the range. Keras' are off by up to
  2e-2, which is recorded: TensorFlow decodes with the fast DCT by default, which shifts the chroma,
  and ``adapt`` takes the mean of a batch's 17 million pixels in float32;
* on Dask with two local workers against the local pool;
* stopped by ``until`` against the full pass;
* a tenth of the files against all of them, for the memory.

Writes benchmarks/results/statistics.json and prints a table.
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
import tempfile
import time
from importlib import metadata
from pathlib import Path

from corpus import add_images, copied, jpegs_of
from standardize import peers_python, torch_and_transforms

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMMAND = "python benchmarks/dataset_statistics.py"
SPREAD = {"median": statistics.median, "min": min, "max": max}

FULL = "whole pass, 2 processes"
FEW = "whole pass of a tenth, 2 processes"
TORCH, KERAS = "PyTorch DataLoader, 2 workers", "Keras Normalization.adapt"

IMAGES_A_PART = 32
# How far a peer's means and stds may be from ours; why Keras' are further is told above.
AGREE = {TORCH: 1e-4, KERAS: 3e-2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_images(parser)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="a Python that has the peers; default: own one")
    parser.add_argument("--only", nargs="*", help="only variants whose names contain one of these")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(VARIANTS[asked.inside](asked.folder)))
        return
    names = [
        name for name in VARIANTS if not asked.only or any(part in name for part in asked.only)
    ]
    jpegs = jpegs_of(asked.images)
    peers = None
    if {TORCH, KERAS} & set(names):
        peers = asked.peers or peers_python()
    with tempfile.TemporaryDirectory() as temporary:
        # In a folder of their own, as a class: Keras wants one.
        folder = copied(jpegs, Path(temporary) / "all" / "class", asked.count)
        few = copied(jpegs, Path(temporary) / "few" / "class", asked.count // 10)
        sizes = [path.stat().st_size for path in folder.iterdir()]
        for path in folder.iterdir():
            path.read_bytes()
        runs = measured_rounds(names, folder.parent, few.parent, peers, asked.rounds)
    record = recorded(runs, asked.count, sum(sizes))
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / "statistics.json").write_text(text + "\n", encoding="utf-8")
    print(table(record))


def measured_rounds(
    names: list[str], folder: Path, few: Path, peers: Path | None, rounds: int
) -> dict[str, list[dict]]:
    runs: dict[str, list[dict]] = {name: [] for name in names}
    shuffle = random.Random(0)
    order = list(names)
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            python = str(peers) if name in (TORCH, KERAS) else sys.executable
            own = few if name == FEW else folder
            runs[name].append(run_apart([python, __file__, "--inside", name, "--folder", str(own)]))
            print(f"{name}: {runs[name][-1]['seconds']:.2f} s", file=sys.stderr)
    return runs


def run_apart(command: list[str]) -> dict:
    """Run a variant in a process of its own, and watch the memory of all that come from it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    peak = 0
    while running.poll() is None:
        peak = max(peak, resident(running.pid))
        time.sleep(0.05)
    assert running.stdout is not None
    lines = running.stdout.read().splitlines()
    if running.returncode:
        sys.exit(f"{' '.join(command)} ended with {running.returncode}")
    return {**json.loads(lines[-1]), "peak_mb": peak / 1e6}


def resident(process: int) -> int:
    """Bytes resident in a process and all that come from it; 0 where there is no /proc."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        # Children are listed by the thread that started them.
        lists = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    except (OSError, IndexError):
        return 0
    children = {int(child) for text in lists for child in text.split()}
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(resident, children))


# Inside of a variant's own process: what is timed.


def whole(workers: int, **options):
    def run(folder: str) -> dict:
        from normviz.statistics import scanned

        start = time.perf_counter()
        stats = scanned(folder, engine=engine_of(workers), **options)
        mean, std = stats.fraction_mean, stats.fraction_std
        return told(start, stats.images, mean.tolist(), std.tolist())

    return run


def on_dask(folder: str) -> dict:
    from normviz.statistics import Dask, scanned

    # Its cluster stands, as one does; how long its start takes is told apart.
    begun = time.perf_counter()
    with Dask(workers=2) as engine:
        ready = time.perf_counter() - begun
        start = time.perf_counter()
        stats = scanned(folder, engine=engine)
        record = told(start, stats.images, stats.fraction_mean.tolist())
    return {**record, "seconds_until_ready": ready}


def decoded(workers: int, with_pillow: bool):
    def run(folder: str) -> dict:
        from normviz.read import parts_of, read

        start = time.perf_counter()
        if with_pillow:
            paths = sorted(map(str, Path(folder).rglob("*.jpg")))
            parts = [paths[at : at + IMAGES_A_PART] for at in range(0, len(paths), IMAGES_A_PART)]
        else:
            parts = parts_of(read(folder, on_problem="collect"), IMAGES_A_PART)
        work = Decode(with_pillow)
        images = sum(count for _, count in engine_of(workers).results(work, parts))
        return told(start, images)

    return run


class Decode:
    """Work for an engine: decode the images of a part, and say how many they were."""

    together = 1

    def __init__(self, with_pillow: bool) -> None:
        self.with_pillow = with_pillow

    def __call__(self, part) -> int:
        if not self.with_pillow:
            return sum(1 for _, image in part.images() if image.pixels.size)
        return sum(map(pixels_decoded, part))


def decoded_plainly(folder: str) -> dict:
    """Decode with Pillow as it is usually written, two images at a time."""
    from concurrent.futures import ProcessPoolExecutor

    start = time.perf_counter()
    paths = sorted(map(str, Path(folder).rglob("*.jpg")))
    with ProcessPoolExecutor(2) as pool:
        images = sum(pool.map(pixels_decoded, paths, chunksize=IMAGES_A_PART))
    return told(start, images)


def pixels_decoded(path: str) -> bool:
    import numpy as np
    from PIL import Image

    # As it is usually written: the file is left to the garbage collector.
    return bool(np.asarray(Image.open(path).convert("RGB")).size)


def engine_of(workers: int):
    from normviz.statistics import Processes
    from normviz.statistics.engines import Here, one_thread

    if workers > 1:
        return Processes(workers)
    one_thread()
    return Here()


def with_torch(folder: str) -> dict:
    torch, _ = torch_and_transforms()
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import ToTensor

    torch.set_num_threads(os.cpu_count() or 1)

    class Files(Dataset):
        def __init__(self) -> None:
            self.paths = sorted(Path(folder).rglob("*.jpg"))
            self.transform = ToTensor()

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, at: int):
            with Image.open(self.paths[at]) as image:
                return self.transform(image.convert("RGB"))

    start = time.perf_counter()
    pixels, images = 0, 0
    total = torch.zeros(3, dtype=torch.float64)
    squares = torch.zeros(3, dtype=torch.float64)
    for batch in DataLoader(Files(), batch_size=64, num_workers=2):
        images += len(batch)
        pixels += batch.numel() // 3
        total += batch.sum(dim=(0, 2, 3))
        squares += (batch**2).sum(dim=(0, 2, 3))
    mean = total / pixels
    std = (squares / pixels - mean**2).sqrt()
    return told(start, images, mean.tolist(), std.tolist())


def with_keras(folder: str) -> dict:
    import keras
    import numpy as np

    first = next(Path(folder).rglob("*.jpg"))
    height, width = keras.utils.img_to_array(keras.utils.load_img(first)).shape[:2]
    start = time.perf_counter()
    batches = keras.utils.image_dataset_from_directory(
        folder, labels=None, batch_size=64, image_size=(height, width), shuffle=False, verbose=False
    )
    layer = keras.layers.Normalization(axis=-1)
    layer.adapt(batches)
    mean = np.ravel(layer.mean) / 255
    std = np.sqrt(np.ravel(layer.variance)) / 255
    images = len(list(Path(folder).rglob("*.jpg")))
    return told(start, images, mean.tolist(), std.tolist())


def told(start: float, images: int, mean: list | None = None, std: list | None = None) -> dict:
    return {"seconds": time.perf_counter() - start, "images": images, "mean": mean, "std": std}


VARIANTS = {
    "whole pass, 1 process": whole(1),
    FULL: whole(2),
    "whole pass with mean image and patches, 2 processes": lambda folder: whole(
        2, mean_image=224, patches=_patches()
    )(folder),
    "decoding with Pillow, 1 process": decoded(1, True),
    "decoding with Pillow, 2 processes": decoded_plainly,
    "decoding with Pillow in our pool, 2 processes": decoded(2, True),
    "decoding with our reader, 1 process": decoded(1, False),
    "decoding with our reader, 2 processes": decoded(2, False),
    TORCH: with_torch,
    KERAS: with_keras,
    "whole pass on Dask, 2 workers": on_dask,
    "until 0.03, 1 process": whole(1, until=0.03),
    "until 0.01, 1 process": whole(1, until=0.01),
    "until 0.03, 2 processes": whole(2, until=0.03),
    "until 0.01, 2 processes": whole(2, until=0.01),
    "until 0.002, 2 processes": whole(2, until=0.002),
    FEW: whole(2),
}

# Of the figures asked for: what is divided by what, of which kind, and what is wanted.
RATIOS = {
    "whole pass / decoding with Pillow, 1 process": (
        "whole pass, 1 process",
        "decoding with Pillow, 1 process",
        "speed",
        "≥ 0.85",
    ),
    "whole pass / decoding with Pillow, 2 processes": (
        FULL,
        "decoding with Pillow, 2 processes",
        "speed",
        "≥ 0.85",
    ),
    "whole pass / decoding with Pillow in our pool, 2 processes": (
        FULL,
        "decoding with Pillow in our pool, 2 processes",
        "speed",
        "",
    ),
    "whole pass / decoding with our reader, 1 process": (
        "whole pass, 1 process",
        "decoding with our reader, 1 process",
        "speed",
        "",
    ),
    "whole pass / decoding with our reader, 2 processes": (
        FULL,
        "decoding with our reader, 2 processes",
        "speed",
        "",
    ),
    "2 processes / 1 process": (FULL, "whole pass, 1 process", "speed", "≥ 1.8"),
    "whole pass / PyTorch DataLoader": (FULL, TORCH, "speed", "≥ 3"),
    "whole pass / Keras adapt": (FULL, KERAS, "speed", "≥ 3"),
    "Dask / local pool": ("whole pass on Dask, 2 workers", FULL, "speed", "≥ 0.9"),
    "until 0.03 / whole pass, time, 1 process": (
        "until 0.03, 1 process",
        "whole pass, 1 process",
        "time",
        "≤ 0.1",
    ),
    "until 0.01 / whole pass, time, 1 process": (
        "until 0.01, 1 process",
        "whole pass, 1 process",
        "time",
        "≤ 0.1",
    ),
    "until 0.03 / whole pass, time": ("until 0.03, 2 processes", FULL, "time", "≤ 0.1"),
    "until 0.01 / whole pass, time": ("until 0.01, 2 processes", FULL, "time", "≤ 0.1"),
    "until 0.002 / whole pass, time": ("until 0.002, 2 processes", FULL, "time", ""),
    "memory of all / of a tenth": (FULL, FEW, "memory", "≤ 1.1"),
}


def _patches():
    from normviz.statistics import PatchPlan

    return PatchPlan()


# What it came to.


def recorded(runs: dict[str, list[dict]], count: int, size: int) -> dict:
    variants = {}
    for name, rounds in runs.items():
        variants[name] = {
            "images": rounds[0]["images"],
            "seconds": spread([one["seconds"] for one in rounds]),
            "images_per_second": spread([one["images"] / one["seconds"] for one in rounds]),
            "peak_mb": spread([one["peak_mb"] for one in rounds]),
        }
        if name in (TORCH, KERAS) and FULL in runs:
            variants[name]["largest_difference_from_ours"] = apart(name, rounds[0], runs[FULL][0])
        if "seconds_until_ready" in rounds[0]:
            ready = [one["seconds_until_ready"] for one in rounds]
            variants[name]["seconds_until_ready"] = spread(ready)
    ratios = {}
    for title, (name, other, kind, wanted) in RATIOS.items():
        if name not in runs or other not in runs:
            continue
        pairs = zip(runs[name], runs[other], strict=True)
        values = [ratio_of(one, two, kind) for one, two in pairs]
        ratios[title] = {**spread(values), "wanted": wanted}
    return {
        "command": COMMAND,
        "images": count,
        "bytes": size,
        "rounds": len(next(iter(runs.values()))),
        "variants": variants,
        "ratios": ratios,
        "versions": {name: metadata.version(name) for name in ("numpy", "pillow", "distributed")},
        "machine": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d"),
        },
    }


def ratio_of(one: dict, two: dict, kind: str) -> float:
    if kind == "memory":
        return one["peak_mb"] / max(two["peak_mb"], 1e-9)
    if kind == "time":
        return one["seconds"] / two["seconds"]
    return (one["images"] / one["seconds"]) / (two["images"] / two["seconds"])


def apart(name: str, theirs: dict, ours: dict) -> float:
    """The largest difference of means and stds; ends the run where it is no rounding."""
    found = max(
        abs(a - b) for of in ("mean", "std") for a, b in zip(theirs[of], ours[of], strict=True)
    )
    if found > AGREE[name]:
        sys.exit(f"{name}: its numbers are {found:.1e} from ours; the definitions do not agree.")
    return found


def spread(values: list[float]) -> dict[str, float]:
    return {name: round(of(values), 3) for name, of in SPREAD.items()}


def table(record: dict) -> str:
    each = record["bytes"] / record["images"] / 1e3
    lines = [
        f"{record['images']:,} JPEGs of {each:.0f} kB on average, {record['rounds']} rounds, "
        f"{record['machine']['cores']} cores; {record['command']}",
        "",
        f"{'':54}{'images':>8}{'s: median (min to max)':>26}{'images/s':>10}{'MB':>8}",
    ]
    for name, row in record["variants"].items():
        s = row["seconds"]
        took = f"{s['median']:.2f} ({s['min']:.2f} to {s['max']:.2f})"
        speed, memory = row["images_per_second"]["median"], row["peak_mb"]["median"]
        lines.append(f"{name:54}{row['images']:>8,}{took:>26}{speed:>10,.0f}{memory:>8,.0f}")
    for name, row in record["variants"].items():
        if (found := row.get("largest_difference_from_ours")) is not None:
            lines.append(f"{name}: means and stds are {found:.0e} of the range from ours")
    lines += ["", f"{'ratio':54}{'median (min to max)':>26}{'wanted':>10}"]
    for title, row in record["ratios"].items():
        value = f"{row['median']:.2f} ({row['min']:.2f} to {row['max']:.2f})"
        lines.append(f"{title:54}{value:>26}{row['wanted']:>10}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
