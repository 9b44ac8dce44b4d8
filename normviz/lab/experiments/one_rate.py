"""Does normalization let one learning rate do for everything?

The small network under ten normalizations and nine rates, with plain SGD; and with Adam, which
scales each parameter's step by itself, at three rates.
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
from normviz.lab.optimizers import SGD, Adam
from normviz.lab.race import Schedule, lit, raced
from normviz.lab.summary import mean_and_spread


def half_decades(low: float, high: float) -> tuple[float, ...]:
    """Return rates from 10^low to 10^high, two a decade.

    >>> half_decades(-1, 0)
    (0.1, 0.316, 1.0)
    """
    exponents = np.arange(2 * low, 2 * high + 1) / 2
    return tuple(float(f"{10**e:.3g}") for e in exponents)


@dataclass(frozen=True)
class OneRateSpec(Spec):
    """``shared`` is the one rate, of SGD and of Adam; losses are cut at ``cap`` nats."""

    seeds: tuple[int, ...] = (0, 1, 2, 3)
    methods: tuple[str, ...] = (
        "raw255",
        "raw1",
        "ds_mean",
        "ds_scale",
        "ds_z",
        "img_mean",
        "img_z",
        "imgch_z",
        "lcn",
        "zca",
    )
    adam_methods: tuple[str, ...] = ("raw1", "ds_z", "img_z")
    rates: tuple[float, ...] = half_decades(-4, 0)
    adam_rates: tuple[float, ...] = half_decades(-3, -2)
    shared: float = 0.0316
    adam_shared: float = 0.00316
    per_class: int = 60
    sigma: float = 1.0
    steps: int = 150
    batch: int = 32
    cap: float = 5.0
    relevant: float = 0.2


def work(spec: OneRateSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    images = lit(source, seed, spec.sigma, spec.per_class, 1)
    net = small_net(images.train.shape[1:], images.classes)
    found: dict[str, dict[str, list[float]]] = {"sgd": {}, "adam": {}}
    for name, methods, rates, rule in (
        ("sgd", spec.methods, spec.rates, SGD()),
        ("adam", spec.adam_methods, spec.adam_rates, Adam()),
    ):
        schedule = Schedule(rates, spec.steps, spec.batch, rule)
        for key in methods:
            x, _ = images.normalized(key)
            about = {"optimizer": name, "method": key}
            runs = yield from raced(seed, about, net, x, images.train_labels, schedule)
            found[name][key] = np.minimum(runs.final, spec.cap).tolist()
    yield Record(seed, "seed", found)


def conclude(spec: OneRateSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    at, adam_at = spec.rates.index(spec.shared), spec.adam_rates.index(spec.adam_shared)

    def saved(name: str, place: int, key: str) -> list[float]:
        return [one[name]["raw1"][place] - one[name][key][place] for one in seeds]

    rows = (
        Asked("loss saved by dataset mean and std, SGD", saved("sgd", at, "ds_z"), spec.relevant),
        Asked("loss saved by own mean and std, SGD", saved("sgd", at, "img_z"), spec.relevant),
        Asked(
            "loss saved by dataset mean and std, Adam",
            saved("adam", adam_at, "ds_z"),
            spec.relevant,
        ),
    )
    found = effects(*(Asked(one.what, one.values, one.relevant, "nats") for one in rows))
    sgd, own, adam = found
    at_shared = f"At one rate of {spec.shared:g}, {spec.steps} steps of SGD"
    if sgd.finding == "more":
        weaker = adam.mean < sgd.mean / 2
        word = "holds only with plain SGD" if adam.finding in ("same", "less") else "holds"
        because = (
            f"{at_shared} end {sgd.mean:.2f} nats lower with the dataset's mean and std than with "
            f"÷ 255, and {own.mean:.2f} lower with each image's own; with Adam "
            f"{adam.mean:.2f} lower{', a much weaker effect' if weaker else ''}."
        )
    elif sgd.finding in ("same", "less"):
        word = "fails"
        because = f"{at_shared} end no lower with the dataset's mean and std: {sgd.mean:.2f} nats."
    else:
        word, because = "not decided", undecided(found)
    tables: dict[str, Any] = {
        name: {
            key: [mean_and_spread([one[name][key][i] for one in seeds]) for i in range(len(rates))]
            for key in methods
        }
        for name, methods, rates in (
            ("sgd", spec.methods, spec.rates),
            ("adam", spec.adam_methods, spec.adam_rates),
        )
    }
    tables["rates"] = {"sgd": list(spec.rates), "adam": list(spec.adam_rates)}
    return Conclusion((Verdict(3, word, because, found),), tables)


EXPERIMENT = Experiment(
    "one_rate",
    "One learning rate for all",
    "At one learning rate, how far does training come under each normalization?",
    (3,),
    OneRateSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "A small network, briefly trained (150 steps); the loss is that of the training batches.",
)
