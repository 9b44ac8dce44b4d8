"""Trained by day, tested by night: what does each normalization make of light it has not seen?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from normviz.lab.evidence import Asked, Verdict, effects, undecided, unlearned
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.exposure import exposed
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced
from normviz.lab.summary import mean_and_spread


@dataclass(frozen=True)
class ShiftSpec(Spec):
    """Training light is narrow (first of ``sigmas``) or wide; ``relevant`` in points."""

    methods: tuple[str, ...] = ("raw1", "ds_z", "img_mean", "img_z")
    sigmas: tuple[float, float] = (0.3, 2.0)
    shifts: tuple[float, ...] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    per_class: int = 60
    test_per_class: int = 40
    steps: int = 250
    batch: int = 32
    relevant: float = 10.0


def work(spec: ShiftSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    split = source.draw(seed, spec.per_class, spec.test_per_class)
    tests = [exposed(split.test, ev, seed * 2 + 1) for ev in spec.shifts]
    found: dict[str, Any] = {key: [] for key in spec.methods}
    for sigma in spec.sigmas:
        images = lit(source, seed, sigma, spec.per_class, spec.test_per_class)
        net = small_net(images.train.shape[1:], images.classes)
        for key in spec.methods:
            x, method = images.normalized(key)
            about = {"method": key, "sigma": sigma}
            runs = yield from raced(seed, about, net, x, images.train_labels, schedule)
            right = [
                100 * runs.accuracy(runs.best, method(test), split.test_labels) for test in tests
            ]
            found[key].append(right)
            yield Record(seed, "accuracy", {**about, "shifts": spec.shifts, "accuracy": right})
        found["chance"] = images.chance
    yield Record(seed, "seed", found)


def conclude(spec: ShiftSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    dark, same, bright = 0, spec.shifts.index(0.0), len(spec.shifts) - 1

    def gap(sigma: int, at: int) -> list[float]:
        return [one["img_z"][sigma][at] - one["ds_z"][sigma][at] for one in seeds]

    words = "accuracy, own mean and std less the dataset's"
    night, day, glare, trained = found = effects(
        Asked(f"{words}, {spec.shifts[dark]:+g} EV", gap(0, dark), spec.relevant, "points"),
        Asked(f"{words}, light as in training", gap(0, same), spec.relevant, "points"),
        Asked(f"{words}, {spec.shifts[bright]:+g} EV", gap(0, bright), spec.relevant, "points"),
        Asked(
            f"dataset's mean and std, {spec.shifts[dark]:+g} EV: trained in wide less narrow light",
            [one["ds_z"][1][dark] - one["ds_z"][0][dark] for one in seeds],
            spec.relevant,
            "points",
        ),
    )

    def average(key: str, sigma: int, at: int) -> float:
        return sum(one[key][sigma][at] for one in seeds) / len(seeds)

    said = (
        f"Trained at σ = {spec.sigmas[0]:g} EV and tested {-spec.shifts[dark]:g} EV darker, "
        f"own mean and std are right in {average('img_z', 0, dark):.0f} %, the dataset's in "
        f"{average('ds_z', 0, dark):.0f} %"
    )
    lost = unlearned(
        max(average(key, sigma, same) for key in spec.methods for sigma in range(len(spec.sigmas))),
        mean(one["chance"] for one in seeds),
    )
    if lost:
        word, because = "not decided", lost
    elif night.finding == "more":
        word = "holds" if day.finding == "more" else "holds only when the light shifts"
        because = f"{said}; in the light of training the difference is {day.mean:+.0f} points."
        if glare.finding != "more":
            because += (
                f" At {spec.shifts[bright]:+g} EV, where much is clipped, it is {glare.mean:+.0f}."
            )
        if trained.finding == "more":
            because += (
                f" Training in light spread by {spec.sigmas[1]:g} EV is the other way: it brings "
                f"the dataset's to {average('ds_z', 1, dark):.0f} %."
            )
    elif night.finding in ("same", "less"):
        word, because = "fails", f"{said}."
    else:
        word, because = "not decided", undecided(found)
    table = {
        key: [
            [mean_and_spread([one[key][s][i] for one in seeds]) for i in range(len(spec.shifts))]
            for s in range(len(spec.sigmas))
        ]
        for key in spec.methods
    }
    tables = {"accuracy": table, "shifts": list(spec.shifts), "sigmas": list(spec.sigmas)}
    return Conclusion((Verdict(6, word, because, found),), tables)


EXPERIMENT = Experiment(
    "shift",
    "Trained by day, tested by night",
    "Does normalizing each image by itself handle light that training did not show?",
    (6,),
    ShiftSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "A small network, briefly trained. Night is less light, shot noise and 8 bits; lamps, "
    "colour and motion blur are not in it.",
)
