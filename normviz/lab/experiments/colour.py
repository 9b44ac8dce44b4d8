"""Is this colour normalization? Tested in light of another colour than training's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Verdict, effects, undecided, unlearned
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.exposure import exposed
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced
from normviz.lab.summary import mean_and_spread


@dataclass(frozen=True)
class ColourSpec(Spec):
    """A shift of s EV makes red s EV brighter and blue s EV darker. ``relevant`` in points."""

    methods: tuple[str, ...] = ("ds_z", "img_z", "imgch_z")
    shifts: tuple[float, ...] = (-1.5, -0.75, 0.0, 0.75, 1.5)
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    per_class: int = 60
    test_per_class: int = 40
    sigma: float = 0.3
    steps: int = 250
    batch: int = 32
    relevant: float = 10.0


def work(spec: ColourSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    split = source.draw(seed, spec.per_class, spec.test_per_class)
    images = lit(source, seed, spec.sigma, spec.per_class, spec.test_per_class)
    tests = [
        exposed(split.test, np.tile([s, 0.0, -s], (len(split.test), 1)), seed * 2 + 1)
        for s in spec.shifts
    ]
    net = small_net(images.train.shape[1:], images.classes)
    found: dict[str, Any] = {"chance": images.chance}
    for key in spec.methods:
        x, method = images.normalized(key)
        runs = yield from raced(seed, {"method": key}, net, x, images.train_labels, schedule)
        found[key] = [
            100 * runs.accuracy(runs.best, method(test), split.test_labels) for test in tests
        ]
        about = {"method": key, "shifts": spec.shifts, "accuracy": found[key]}
        yield Record(seed, "accuracy", about)
    yield Record(seed, "seed", found)


def conclude(spec: ColourSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    middle = spec.shifts.index(0.0)

    def lost(key: str) -> list[float]:
        return [one[key][middle] - (one[key][0] + one[key][-1]) / 2 for one in seeds]

    dataset, image, channel, price = found = effects(
        *(
            Asked(
                f"accuracy lost to a colour shift of ±{spec.shifts[-1]:g} EV, {words}",
                lost(key),
                spec.relevant,
                "points",
            )
            for key, words in (
                ("ds_z", "dataset's mean and std"),
                ("img_z", "own mean and std"),
                ("imgch_z", "own mean and std of each channel"),
            )
        ),
        Asked(
            "accuracy in the light of training, dataset's less own mean and std of each channel",
            [one["ds_z"][middle] - one["imgch_z"][middle] for one in seeds],
            spec.relevant,
            "points",
        ),
    )
    said = (
        f"A colour shift of ±{spec.shifts[-1]:g} EV costs {dataset.mean:.0f} points with the "
        f"dataset's mean and std, {image.mean:.0f} with the image's own, {channel.mean:.0f} with "
        "those of each of its channels"
    )
    said += (
        f", which without any shift is right {price.mean:.0f} points less often."
        if price.finding == "more"
        else "."
    )
    findings = [one.finding for one in (dataset, image, channel)]
    lit_best = max(mean(one[key][middle] for one in seeds) for key in spec.methods)
    nothing = unlearned(lit_best, mean(one["chance"] for one in seeds))
    if nothing:
        word, said = "not decided", nothing
    elif "open" in findings:
        word, said = "not decided", f"{said} {undecided(found)}"
    elif findings == ["more", "more", "same"]:
        word = "holds only for each channel of each image by itself"
    elif dataset.finding != "more":
        word = "not decided"
        said += (
            " With the dataset's numbers there is no loss that another normalization could spare."
        )
    elif findings[2] == "more":
        word = "fails"
    else:
        word = "holds only for an image's own numbers"
    table = {
        key: [mean_and_spread([one[key][i] for one in seeds]) for i in range(len(spec.shifts))]
        for key in spec.methods
    }
    tables = {"accuracy": table, "shifts": list(spec.shifts)}
    return Conclusion((Verdict(14, word, said, found),), tables)


EXPERIMENT = Experiment(
    "colour",
    "Is it colour normalization?",
    "Which normalization stays right in light of another colour?",
    (14,),
    ColourSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "Red up, blue down, or the other way; needs colour images. One trained network a seed.",
    colour=True,
)
