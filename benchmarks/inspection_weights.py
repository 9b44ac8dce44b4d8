"""How much each kind of evidence should count where a network stores no batch normalization.

    PYTHONPATH=. python benchmarks/inspection_weights.py [--images FOLDER] [--count 8] [--lite0 F]

MobileNetV2, and EfficientNet-Lite0 where its file is given (see inspection.py), are written anew
under the constants of ``--count`` families drawn at random, with their batch normalizations folded
away, and every family is fed: 16 photos drawn at random, the evidence of from_output.py for all of
them and for 8 bootstrap draws. The weights ≥ 0 that make the truth most likely are fitted to each
network, tried on the other, and fitted to both; beside them stands what the weights in use reach.
"mirror" is the agreement between a photo's answer and its mirror image's. Needs SciPy. Writes
benchmarks/results/inspection_weights.json and prints a summary.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from corpus import add_images
from inspection import LITE0, PHOTOS, RESULTS, pool_of
from scipy.optimize import minimize

from normviz import Image
from normviz.inspection.candidates import Candidate, families
from normviz.inspection.distance import draws
from normviz.inspection.from_output import WEIGHTS, posterior, terms_of
from normviz.inspection.inspect import CREDIBLE, views_for
from normviz.inspection.response import Response, measure_response
from normviz.inspection.through import Through, run_through
from normviz.networks import load, mobilenet_v2_network
from normviz.networks.network import Network
from tests.inspection.re_expressed import IMAGENET, Convention, re_expressed

KINDS = (*WEIGHTS, "mirror")
DRAWS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_images(parser)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--lite0", type=Path)
    asked = parser.parse_args()
    pool, rng = pool_of(asked.images), np.random.default_rng(0)
    sets = {"MobileNetV2": measured(mobilenet_v2_network(), IMAGENET, asked.count, pool, rng)}
    if asked.lite0 is not None:
        net = load(asked.lite0, "EfficientNet-Lite0", size=(224, 224))
        sets["EfficientNet-Lite0"] = measured(net, LITE0, asked.count, pool, rng)
    used = np.array([*WEIGHTS.values(), 0.0])
    fits = {name: fitted([one]) for name, one in sets.items()} | {"both": fitted([*sets.values()])}
    record: dict[str, Any] = {
        "command": "PYTHONPATH=. python benchmarks/inspection_weights.py",
        "kinds": list(KINDS),
        "families": len(families(3)),
        "fitted": {name: weights.round(2).tolist() for name, weights in fits.items()},
        "reached": {
            f"{name}, weights {how}": reached(one, weights)
            for name, one in sets.items()
            for how, weights in {"in use": used, **fits}.items()
        },
    }
    print(json.dumps(record, indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "inspection_weights.json").write_text(json.dumps(record, indent=1) + "\n")


Trials = tuple[np.ndarray, np.ndarray]
"""Evidence ``(T, families, kinds, draws)`` and the truth's place among the families ``(T,)``."""


def measured(
    network: Network, own: Candidate, count: int, pool: list[Image], rng: np.random.Generator
) -> Trials:
    known = families(3)
    places = rng.choice(len(known), count, replace=False)
    found = []
    for place in places:
        made = re_expressed(network, Convention(known[place].head, folded=True), own)
        photos = [pool[i] for i in rng.choice(len(pool), PHOTOS, replace=False)]
        views = views_for(made, photos)
        weights = draws(len(views), DRAWS, 0)
        *_, response = measure_response(made, views, made.layers[0].tap)
        assert isinstance(response, Response)
        pooled = {order: response.pooled(weights, order) for order in ("RGB", "BGR")}
        rows = []
        for family in known:
            *_, through = run_through(made, family.head, views.exposed(), ())
            *_, turned = run_through(made, family.head, views.exposed()[:, :, ::-1], ())
            assert isinstance(through, Through) and isinstance(turned, Through)
            through = through.beside(turned)
            assert through.answers is not None
            terms = terms_of(through.answers, pooled[family.head.order], family.head, weights)
            mirror = through.answers.agreement(weights)
            rows.append([*(terms[name] for name in WEIGHTS), mirror])
        found.append(rows)
        print(f"{own.key}: {len(found)} of {count}", flush=True)
    return np.array(found), places


def shares(trials: Trials, weights: np.ndarray) -> np.ndarray:
    """Each family's share of the likelihood ``(T, families, draws)``."""
    evidence, _ = trials
    scores = np.einsum("tfkd,k->ftd", evidence, weights)
    return posterior(scores.reshape(len(scores), -1)).reshape(scores.shape).swapaxes(0, 1)


def truths(trials: Trials, weights: np.ndarray) -> np.ndarray:
    """The truth's share ``(T, draws)``."""
    found = shares(trials, weights)
    return np.stack([one[place] for one, place in zip(found, trials[1], strict=True)])


def fitted(sets: list[Trials]) -> np.ndarray:
    def loss(weights: np.ndarray) -> float:
        return float(-sum(np.log(np.maximum(truths(one, weights), 1e-12)).mean() for one in sets))

    bounds = [(0.0, None)] * len(KINDS)
    return np.asarray(minimize(loss, np.full(len(KINDS), 0.3), bounds=bounds).x)


def reached(trials: Trials, weights: np.ndarray) -> dict[str, float]:
    mean = shares(trials, weights).mean(axis=2)
    own = np.array([row[place] for row, place in zip(mean, trials[1], strict=True)])
    before = np.array([row[row > share].sum() for row, share in zip(mean, own, strict=True)])
    ranked = np.sort(mean, axis=1)[:, ::-1]
    left = (np.cumsum(ranked, axis=1) - ranked < CREDIBLE).sum(axis=1)
    return {
        "mean_log_likelihood": round(float(np.log(np.maximum(own, 1e-12)).mean()), 2),
        "first": round(float((before == 0).mean()), 3),
        "among_95_percent": round(float((before < CREDIBLE).mean()), 3),
        "families_left_median": float(np.median(left)),
    }


if __name__ == "__main__":
    main()
