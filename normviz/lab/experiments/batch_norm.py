"""Does batch normalization make subtracting the mean unnecessary?

÷ 255 and ÷ 255 with the dataset's mean subtracted differ by one constant a channel. A convolution
without padding turns it into one constant a filter, which batch normalization takes away: both
train alike, but for rounding. Zeros around the image know nothing of the constant.

The two are compared in float64: training amplifies rounding, and float32's would reach the curves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced, thinned
from normviz.lab.summary import mean_and_spread, short
from normviz.lab.training import trained

NETS = ("plain", "norm", "padded")


@dataclass(frozen=True)
class BatchNormSpec(Spec):
    """Curves are compared at ``shared``; a difference of ``relevant`` nats anywhere matters."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    methods: tuple[str, ...] = ("raw255", "raw1", "ds_mean", "ds_z", "img_z")
    padded_methods: tuple[str, ...] = ("raw1", "ds_mean")
    rates: tuple[float, ...] = (0.0316, 0.1, 0.316)
    shared: float = 0.0316
    per_class: int = 60
    sigma: float = 1.0
    steps: int = 150
    batch: int = 32
    cap: float = 5.0
    relevant: float = 0.02


def work(spec: BatchNormSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    images = lit(source, seed, spec.sigma, spec.per_class, 1)
    shape, classes = images.train.shape[1:], images.classes
    nets = {
        "plain": small_net(shape, classes),
        "norm": small_net(shape, classes, "batch", norms=1),
        "padded": small_net(shape, classes, "batch", norms=1, pad=2),
    }
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD())
    at = spec.rates.index(spec.shared)
    unit = images.train / 255
    exact = (unit, unit - unit.mean(axis=(0, 1, 2)))
    found: dict[str, Any] = {}
    for name, net in nets.items():
        found[name] = {"final": {}, "curves": {}}
        for key in spec.padded_methods if name == "padded" else spec.methods:
            x, _ = images.normalized(key)
            about = {"net": name, "method": key}
            runs = yield from raced(seed, about, net, x, images.train_labels, schedule)
            found[name]["final"][key] = np.minimum(runs.final, spec.cap).tolist()
            curve = thinned(runs.losses[:, at : at + 1], 10)
            found[name]["curves"][key] = [row[0] for row in curve]
        raw, centred = (
            trained(
                net,
                x,
                images.train_labels,
                seed,
                (spec.shared,),
                spec.steps,
                spec.batch,
                SGD(),
                kind=np.float64,
            ).losses[:, 0]
            for x in exact
        )
        apart = np.abs(raw - centred)
        found[name] |= {"apart": float(apart.max()), "apart_at_start": float(apart[0])}
        yield Record(seed, "apart", {"net": name, "apart": apart.tolist()})
    yield Record(seed, "seed", found)


def conclude(spec: BatchNormSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    words = {
        "plain": "without batch norm",
        "norm": "with batch norm",
        "padded": "with batch norm and zero padding",
    }
    found = effects(
        *(
            Asked(
                f"largest difference of the loss curves, {words[name]}",
                [one[name]["apart"] for one in seeds],
                spec.relevant,
                "nats",
            )
            for name in NETS
        )
    )
    plain, norm, padded = found
    said = (
        f"With batch norm after the first convolution the loss curves with and without the mean "
        f"subtracted differ by at most {norm.mean:.1g} nats; without it by {plain.mean:.2g}; "
        f"with zeros around the image by {padded.mean:.2g}."
    )
    if norm.finding == "same" and plain.finding == "more":
        word = "holds" if padded.finding == "same" else "holds only without zero padding"
        if padded.finding == "open":
            word, said = "not decided", f"{said} {undecided(found)}"
    elif norm.finding == "more":
        word = "fails"
    else:
        word, said = "not decided", f"{said} {undecided(found)}"
    final = {
        name: {
            key: [
                mean_and_spread([one[name]["final"][key][i] for one in seeds])
                for i in range(len(spec.rates))
            ]
            for key in seeds[0][name]["final"]
        }
        for name in NETS
    }
    apart = {name: [short(one[name]["apart_at_start"]) for one in seeds] for name in NETS}
    curves = {name: seeds[0][name]["curves"] for name in NETS}
    tables = {
        "final": final,
        "rates": list(spec.rates),
        "apart_at_start": apart,
        "curves_of_first_seed": curves,
    }
    return Conclusion((Verdict(8, word, said, found),), tables)


EXPERIMENT = Experiment(
    "batch_norm",
    "Batch norm in place of the mean",
    "With batch norm after the first layer, does subtracting the mean still change anything?",
    (8,),
    BatchNormSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "Batch norm in training mode, after the first convolution. Says nothing of dividing by the "
    "std, nor of what each image's own numbers do.",
)
