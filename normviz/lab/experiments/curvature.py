"""How sharply curved is the small network's loss where training starts, with and without batch
norm? Largest eigenvalue of the Hessian by Lanczos, from exact Hessian-vector products.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.curvature import lanczos
from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.race import lit
from normviz.lab.summary import mean_and_factor


@dataclass(frozen=True)
class CurvatureSpec(Spec):
    """``relevant`` in octaves: half the curvature matters."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)
    methods: tuple[str, ...] = ("raw1", "ds_mean", "ds_z", "img_z")
    images: int = 128
    sigma: float = 1.0
    lanczos: int = 10
    relevant: float = 1.0


def work(spec: CurvatureSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    images = lit(source, seed, spec.sigma, 60, 1)
    random = np.random.default_rng([seed, 9])
    chosen = random.permutation(len(images.train))[: spec.images]
    labels = images.train_labels[chosen]
    shape = images.train.shape[1:]
    nets = {
        "plain": small_net(shape, images.classes),
        "norm": small_net(shape, images.classes, "batch"),
    }
    found: dict[str, dict[str, float]] = {"plain": {}, "norm": {}}
    for key in spec.methods:
        x, _ = images.normalized(key)
        for name, net in nets.items():
            theta = net.start(seed, 1, np.float64)
            prepared = net.prepared(x[chosen].astype(np.float64))

            def product(v, net=net, theta=theta, prepared=prepared):
                return net.hessian_vector(theta, prepared, labels, v[np.newaxis])[0]

            ritz = lanczos(product, net.size, spec.lanczos, seed)
            found[name][key] = float(ritz[0])
            about = {"net": name, "method": key, "ritz": ritz.tolist()}
            yield Record(seed, "curvature", about)
    yield Record(seed, "seed", found)


def conclude(spec: CurvatureSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    def octaves(first: tuple[str, str], second: tuple[str, str]) -> list[float]:
        return [
            float(np.log2(one[first[0]][first[1]] / one[second[0]][second[1]])) for one in seeds
        ]

    centring, inside = found = effects(
        Asked(
            "λmax, no centring over dataset mean",
            octaves(("plain", "raw1"), ("plain", "ds_mean")),
            spec.relevant,
            "octaves",
        ),
        Asked(
            "λmax with batch norm, no centring over dataset mean",
            octaves(("norm", "raw1"), ("norm", "ds_mean")),
            spec.relevant,
            "octaves",
        ),
    )
    said = (
        f"In the small network subtracting the mean divides the largest curvature by "
        f"{2**centring.mean:.1f}; with batch norm inside by {2**inside.mean:.1f}. "
    )
    again = 2.0 ** float(np.mean(octaves(("plain", "ds_z"), ("plain", "ds_mean"))))
    said += (
        f"Dividing by the std as well multiplies it by {again:.1f} again: that scales the inputs, "
        "and asks for a smaller rate, not for another path."
    )
    if centring.finding == "more":
        word = "holds only without batch norm" if inside.finding == "same" else "holds"
    elif centring.finding in ("same", "less"):
        word = "fails"
    else:
        word, said = "not decided", f"{said} {undecided(found)}"
    table = {
        name: {key: mean_and_factor([one[name][key] for one in seeds]) for key in spec.methods}
        for name in ("plain", "norm")
    }
    return Conclusion((Verdict(1, word, said, found),), {"largest": table})


EXPERIMENT = Experiment(
    "curvature",
    "Curvature of a small network",
    "Does centring make a convolutional network's loss less sharp, with and without batch norm?",
    (1,),
    CurvatureSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "The small network at the start of training, on 128 images; ten steps of Lanczos "
    "bound λmax from below.",
)
