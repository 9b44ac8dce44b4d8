"""Does a daylight image make more neurons fire than the same image by night?

A unit fires where it is above 0 after ReLU. Asked of random filters, and of the first layer of
networks trained under each normalization.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.exposure import exposed
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.layers import Linear, Patches, ReLU
from normviz.lab.net import Net, small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced
from normviz.lab.summary import mean_and_spread, short, worded
from normviz.light import srgb_to_linear


@dataclass(frozen=True)
class DayNightSpec(Spec):
    """``night`` in EV; a difference of ``relevant`` in the share of firing units matters."""

    seeds: tuple[int, ...] = (0, 1, 2, 3)
    methods: tuple[str, ...] = ("raw1", "ds_z", "img_z")
    night: float = -3.0
    filters: int = 256
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    per_class: int = 60
    test_per_class: int = 20
    sigma: float = 1.0
    steps: int = 250
    batch: int = 32
    relevant: float = 0.05


def work(spec: DayNightSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    split = source.draw(seed, spec.per_class, spec.test_per_class)
    day, night = (exposed(split.test, ev, seed) for ev in (0.0, spec.night))
    images = lit(source, seed, spec.sigma, spec.per_class, spec.test_per_class)
    shape = images.train.shape[1:]
    random = Net((Patches(5, 2), Linear(spec.filters), ReLU()), shape)
    theta = random.start(seed)
    found: dict[str, Any] = {"random": {}, "trained": {}}
    for key in spec.methods:
        _, method = images.normalized(key)
        found["random"][key] = _firing(random, theta, method(day), method(night))
        yield Record(seed, "firing", {"net": "random", "method": key, **found["random"][key]})
    linear = _firing(
        random, theta, *(srgb_to_linear(one / 255).astype(np.float32) for one in (day, night))
    )
    found["linear_gain"] = _times(linear, "day_size", "night_size")
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    net = small_net(shape, images.classes)
    for key in spec.methods:
        x, method = images.normalized(key)
        runs = yield from raced(seed, {"method": key}, net, x, images.train_labels, schedule)
        first = Net(net.layers[:3], shape)
        own = runs.theta[runs.best : runs.best + 1, : first.size]
        found["trained"][key] = _firing(first, own, method(day), method(night))
        yield Record(seed, "firing", {"net": "trained", "method": key, **found["trained"][key]})
    yield Record(seed, "seed", found)


def _firing(net: Net, theta: np.ndarray, day: np.ndarray, night: np.ndarray) -> dict[str, float]:
    """Share of units above 0, and mean activation, by day and by night."""
    numbers = {}
    for name, x in (("day", day), ("night", night)):
        y, _ = net.forward(theta, net.prepared(x))
        numbers[name] = float((y > 0).mean())
        numbers[f"{name}_size"] = float(y.mean(dtype=np.float64))
    return numbers


def _times(numbers: Mapping[str, float], large: str, small: str) -> float:
    """Return how many times one is the other; without end where that is 0, as of black images."""
    return numbers[large] / numbers[small] if numbers[small] else math.inf


def conclude(spec: DayNightSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    def more_by_day(net: str, key: str) -> list[float]:
        return [100 * (one[net][key]["day"] - one[net][key]["night"]) for one in seeds]

    found = effects(
        *(
            Asked(
                f"share of firing units, day less night, {net} filters, {words}",
                more_by_day(net, key),
                100 * spec.relevant,
                "points",
            )
            for net, key, words in (
                ("random", "raw1", "÷ 255"),
                ("trained", "raw1", "÷ 255"),
                ("trained", "ds_z", "dataset's mean and std"),
                ("trained", "img_z", "own mean and std"),
            )
        )
    )
    untrained = found[0]
    gain = sum(_times(one["random"]["raw1"], "day_size", "night_size") for one in seeds) / len(
        seeds
    )
    linear = sum(one["linear_gain"] for one in seeds) / len(seeds)

    def share(net: str, key: str, light: str) -> str:
        return f"{100 * sum(one[net][key][light] for one in seeds) / len(seeds):.1f} %"

    said = (
        f"Of random filters' units {share('random', 'raw1', 'day')} fire by day and "
        f"{share('random', 'raw1', 'night')} by night; by day they are {worded(short(gain), 1)} "
        f"times larger ({worded(short(linear), 1)} times in linear light). After training with the "
        f"dataset's mean and std {share('trained', 'ds_z', 'day')} fire by day, "
        f"{share('trained', 'ds_z', 'night')} by night."
    )
    more = [one for one in found if one.finding == "more"]
    if untrained.finding == "open":
        word, said = "not decided", f"{said} {undecided(found)}"
    elif len(more) == len(found):
        word = "holds"
    elif more:
        word = "holds only for " + " and ".join(
            one.what.removeprefix("share of firing units, day less night, ") for one in more
        )
    else:
        word = "fails"
    keys = ("day", "night", "day_size", "night_size")
    table = {
        net: {
            key: {name: mean_and_spread([one[net][key][name] for one in seeds]) for name in keys}
            for key in spec.methods
        }
        for net in ("random", "trained")
    }
    return Conclusion((Verdict(5, word, said, found),), {"firing": table})


EXPERIMENT = Experiment(
    "day_night",
    "Neurons by day and by night",
    "Do more neurons fire for a daylight image than for the same image by night?",
    (5,),
    DayNightSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "First layers only; night is 3 EV less light with its shot noise.",
)
