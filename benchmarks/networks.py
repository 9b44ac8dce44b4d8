"""Every layer of MobileNetV2 measured on 16 photos under 8 methods: normviz beside forward hooks.

    python benchmarks/networks.py [--rounds 5] [--python PEERS]

Runs in the peers' environment (that of standardize.py, or any Python given that has PyTorch,
torchvision and normviz's requirements), all candidates in one process: every round times each of
them once, in an order shuffled anew, and ratios are taken within a round. The photos are reduced to
224 × 224 and normalized before the clock starts. Peak memory is measured in processes of their own.
Writes benchmarks/results/networks.json and prints a table.

PyTorch's network has the weights of the bundled ONNX file. Its hooks sit on the 52 BatchNorm layers
and on the classifier and take, as normviz does, each channel's min, max, mean, std, shares above 0
and at 6 or more, and 7 percentiles of each layer; one forward pass for a method's 16 photos.
torch.quantile refuses more than 16 million numbers, so percentiles come from numpy.percentile, or
from torch.sort (in the first round only). normviz runs ONNX Runtime, each photo twice: the second
look makes percentiles close.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from standardize import peers_python, spread, torch_and_transforms, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMMAND = "python benchmarks/networks.py"
METHODS = (
    "published",
    "scale_01",
    "scale_11",
    "none",
    "image_standardize",
    "channel_min_max",
    "robust",
    "clahe",
)
IMAGES = 16
PERCENTILES = (0.1, 1.0, 25.0, 50.0, 75.0, 99.0, 99.9)
OURS = "normviz"
PLAIN = "hooks without percentiles"
BY_NUMPY = "hooks, numpy.percentile"
BY_SORT = "hooks, torch.sort (one method, × 8)"
HOOKS = {PLAIN: None, BY_NUMPY: "numpy", BY_SORT: "sort"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", help="that of the peers' environment")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory:
        print(json.dumps(peak(asked.memory[0], int(asked.memory[1]))))
        return
    if asked.inside:
        print(json.dumps(measure(asked.rounds)))
        return
    python = asked.python or str(peers_python())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def inside(*options: str):
        command = [python, __file__, *options]
        run = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return json.loads(run.stdout.splitlines()[-1])

    record = {"command": COMMAND, **inside("--inside", "--rounds", str(asked.rounds))}
    record["peak_memory_mb"] = {
        f"{name}, {images} images": inside("--memory", name, str(images))
        for name, numbers in ((OURS, (16, 64, 256, 1024)), (BY_NUMPY, (16, 64)))
        for images in numbers
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "networks.json").write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))


def views_of_photos() -> list[np.ndarray]:
    from normviz.networks import centre_view
    from normviz.samples import SAMPLES, load_sample

    return [centre_view(load_sample(name).pixels, 224, 224) for name in list(SAMPLES)[:IMAGES]]


def fed(methods: tuple[str, ...], images: int = IMAGES) -> dict[str, np.ndarray]:
    """The normalized photos of each method, (N, 224, 224, 3); repeated where there are too few."""
    import normviz as nv

    views = views_of_photos()
    found = {}
    for name in methods:
        fitted = nv.METHODS[name]().fit()
        z = [fitted(view) for view in views]
        found[name] = np.stack([z[index % len(z)] for index in range(images)])
    return found


def by_normviz(images: dict[str, np.ndarray], first: list[float] | None = None) -> dict:
    """Each method's record; ``first`` gets the seconds until there was one."""
    return records({name: (len(z), z.__getitem__) for name, z in images.items()}, first)


def records(
    fed: dict[str, tuple[int, Callable[[int], np.ndarray]]], first: list[float] | None = None
) -> dict:
    """The same of so many images each, asked for one by one."""
    from normviz.networks import mobilenet_v2_network
    from normviz.observe.network import Feed, record_network

    feeds = [Feed(name, count, image) for name, (count, image) in fed.items()]
    began, found = time.perf_counter(), {}
    for record in record_network(mobilenet_v2_network(), feeds):
        if not found and first is not None:
            first.append(time.perf_counter() - began)
        found[record.name] = record
    return found


def hooked_network():
    """torchvision's MobileNetV2 with the weights of the bundled file."""
    torch, _ = torch_and_transforms()
    import torchvision
    from onnx import numpy_helper

    from normviz.networks import mobilenet_v2_network

    network = torchvision.models.mobilenet_v2(weights=None).eval()
    stored = {
        tensor.name.removesuffix(".float16"): numpy_helper.to_array(tensor).astype(np.float32)
        for tensor in mobilenet_v2_network().graph.model.graph.initializer
    }
    state = network.state_dict()
    state |= {name: torch.from_numpy(stored[name]) for name in state if name in stored}
    network.load_state_dict(state)
    torch.set_num_threads(os.cpu_count() or 1)
    return network


def by_hooks(network, images: dict[str, np.ndarray], percentiles: str | None) -> dict:
    """Each method's numbers, one row a layer, by forward hooks."""
    import torch

    rows: list[dict] = []

    def look(_module, _inputs, out):
        channels = out.transpose(0, 1).flatten(1)
        low, high = channels.aminmax(dim=1)
        std, mean = torch.std_mean(channels, dim=1, correction=0)
        row = {
            "low": low,
            "high": high,
            "mean": mean,
            "std": std,
            "firing": (channels > 0).sum(1),
            "saturated": (channels >= 6).sum(1),
        }
        if percentiles == "numpy":
            row["percentiles"] = np.percentile(out.numpy(), PERCENTILES)
        elif percentiles == "sort":
            order = out.flatten().sort().values
            place = torch.tensor(PERCENTILES, dtype=torch.float64) / 100 * (order.numel() - 1)
            below, above = order[place.floor().long()], order[place.ceil().long()]
            row["percentiles"] = torch.lerp(below.double(), above.double(), place.frac()).numpy()
        rows.append(row)

    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    hooks = [part.register_forward_hook(look) for part in (*norms, network.classifier[1])]
    found = {}
    try:
        with torch.inference_mode():
            for name, z in images.items():
                rows.clear()
                network(torch.from_numpy(np.ascontiguousarray(z.transpose(0, 3, 1, 2))))
                found[name] = list(rows)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def measure(rounds: int) -> dict:
    import cv2
    from threadpoolctl import threadpool_limits

    network = hooked_network()
    images = fed(METHODS)
    one = {METHODS[0]: images[METHODS[0]]}
    first: list[float] = []
    # As the app sets it: the images are spread over threads instead.
    cv2.setNumThreads(1)
    threadpool_limits(1, "blas")
    candidates: dict[str, tuple[int, Callable]] = {
        OURS: (1, lambda: by_normviz(images, first)),
        PLAIN: (1, lambda: by_hooks(network, images, None)),
        BY_NUMPY: (1, lambda: by_hooks(network, images, "numpy")),
        BY_SORT: (len(METHODS), lambda: by_hooks(network, one, "sort")),
    }
    apart = differences(by_normviz(one), by_hooks(network, one, "sort"))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order, shuffle, load = list(candidates), random.Random(0), []
    for number in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            if name == BY_SORT and number:
                continue  # It takes ten times as long as the others: once is enough.
            load.append(os.getloadavg()[0])
            factor, run = candidates[name]
            start = time.perf_counter()
            run()
            times[name].append(factor * (time.perf_counter() - start))
    ours = times[OURS]
    return {
        "what": f"{len(METHODS)} methods × {IMAGES} photos, 53 layers of MobileNetV2",
        "rounds": rounds,
        "candidates": {
            name: {
                "seconds": spread(taken),
                "times_normviz": spread([a / b for a, b in zip(taken, ours, strict=False)]),
            }
            for name, taken in times.items()
        },
        "seconds_to_first_record": spread(first),
        "largest_difference": apart,
        "load_of_the_machine": spread(load),
        "versions": versions("numpy", "onnxruntime", "torch", "torchvision"),
        "machine": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d"),
        },
    }


def differences(ours: dict, theirs: dict) -> dict[str, float]:
    """The largest difference of a number, as a share of its channel's or layer's std."""
    worst = {"mean": 0.0, "std": 0.0, "low": 0.0, "high": 0.0, "percentiles": 0.0}
    for name, rows in theirs.items():
        # The classifier is left out: hooks see it after the photos' mean, as normviz does.
        for row, layer in zip(rows[:-1], ours[name].layers[:-1], strict=True):
            std = np.maximum(row["std"].numpy(), 1e-2 * layer.layer_std)
            for what in ("mean", "std", "low", "high"):
                off = np.abs(getattr(layer, what) - row[what].numpy()) / std
                worst[what] = max(worst[what], float(off.max()))
            off = np.abs(layer.percentiles(PERCENTILES) - row["percentiles"])
            worst["percentiles"] = max(worst["percentiles"], float(off.max()) / layer.layer_std)
    return worst


def peak(name: str, images: int) -> float:
    """Megabytes at most while one method's images are measured, beyond what stood before.

    normviz asks for one image after the other, as the page does, and each is normalized when it is
    asked for; the hooks get one batch, as a script with hooks does.
    """
    import normviz as nv

    views, fitted = views_of_photos(), nv.METHODS[METHODS[0]]().fit()
    network = None if name == OURS else hooked_network()

    def run(count: int) -> None:
        if network is None:
            records({name: (count, lambda index: fitted(views[index % len(views)]))})
        else:
            by_hooks(network, fed(METHODS[:1], count), HOOKS[name])

    run(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(images)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round((after - before) / (1024 if sys.platform != "darwin" else 2**20), 1)


def table(record: dict) -> str:
    lines = [f"{record['what']}; {record['command']}"]
    lines.append(f"{'':40}{'s: median (min to max)':>28}{'× normviz':>20}")
    for name, row in record["candidates"].items():
        s, ratio = row["seconds"], row["times_normviz"]
        took = f"{s['median']:.2f} ({s['min']:.2f} to {s['max']:.2f})"
        times = f"{ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f})"
        lines.append(f"{name:40}{took:>28}{times:>20}")
    first, load = record["seconds_to_first_record"], record["load_of_the_machine"]
    lines.append(f"first record after {first['median']:.2f} s ({first['max']:.2f} at most)")
    lines.append(f"load of the machine {load['min']:.1f} to {load['max']:.1f}")
    lines += [f"{name}: {mb:.0f} MB" for name, mb in record["peak_memory_mb"].items()]
    lines.append(f"largest differences, in stds: {record['largest_difference']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
