"""Is batch normalization only for data that does not fit into memory?

Descent on all training images at once, normalized by the dataset's mean and std: if batch norm
only stood in for a dataset too large to be measured, it could not help here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced, thinned
from normviz.lab.summary import mean_and_spread, worded


@dataclass(frozen=True)
class FullBatchSpec(Spec):
    """Each network at its best rate; a difference of ``relevant`` nats matters."""

    seeds: tuple[int, ...] = (0, 1, 2, 3)
    rates: tuple[float, ...] = (0.0316, 0.1, 0.316)
    per_class: int = 30
    sigma: float = 1.0
    steps: int = 100
    relevant: float = 0.1


def work(spec: FullBatchSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    images = lit(source, seed, spec.sigma, spec.per_class, 1)
    x, _ = images.normalized("ds_z")
    shape, classes = images.train.shape[1:], images.classes
    schedule = Schedule(spec.rates, spec.steps, len(x), SGD(), every=10)
    found: dict[str, Any] = {}
    for name, net in (
        ("plain", small_net(shape, classes)),
        ("norm", small_net(shape, classes, "batch")),
    ):
        runs = yield from raced(seed, {"net": name}, net, x, images.train_labels, schedule)
        best = runs.best
        curve = [row[0] for row in thinned(runs.losses[:, best : best + 1], 5)]
        found[name] = {"loss": float(runs.final[best]), "rate": spec.rates[best], "curve": curve}
    yield Record(seed, "seed", found)


def conclude(spec: FullBatchSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    found = effects(
        Asked(
            "training loss, dataset's mean and std alone less with batch norm",
            [one["plain"]["loss"] - one["norm"]["loss"] for one in seeds],
            spec.relevant,
            "nats",
        )
    )
    losses = {
        name: mean_and_spread([one[name]["loss"] for one in seeds]) for name in ("plain", "norm")
    }
    said = (
        f"After {spec.steps} steps on all images at once the loss is "
        f"{worded(losses['plain'][0])} with the "
        f"dataset's mean and std, and {worded(losses['norm'][0])} with batch norm twice added."
    )
    finding = found[0].finding
    word = {"more": "fails", "same": "holds", "less": "holds", "open": "not decided"}[finding]
    if word == "not decided":
        said += " " + undecided(found)
    curves = {name: seeds[0][name]["curve"] for name in ("plain", "norm")}
    return Conclusion(
        (Verdict(11, word, said, found),), {"loss": losses, "curves_of_first_seed": curves}
    )


EXPERIMENT = Experiment(
    "full_batch",
    "Batch norm where everything fits",
    "With all images in one batch and normalized inputs, does batch norm still help?",
    (11,),
    FullBatchSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "A small network, three learning rates, 100 steps; training loss, not accuracy.",
)
