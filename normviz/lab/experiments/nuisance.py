"""Light that says nothing about the class, in training and test alike: does normalizing each
image by itself pay, and from what spread of light on?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from normviz.lab.evidence import Asked, Verdict, effects, undecided, unlearned
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced
from normviz.lab.summary import mean_and_spread


@dataclass(frozen=True)
class NuisanceSpec(Spec):
    """``relevant`` is in points of accuracy. The rate is chosen by training loss.

    The claim speaks of a gain: it fails where each interval ends below a relevant one.
    """

    seeds: tuple[int, ...] = tuple(range(10))
    methods: tuple[str, ...] = ("ds_z", "img_mean", "img_z")
    sigmas: tuple[float, ...] = (0.0, 1.0, 3.0)
    rates: tuple[float, ...] = (0.01, 0.03)
    per_class: int = 60
    test_per_class: int = 100
    steps: int = 250
    batch: int = 32
    relevant: float = 5.0


def work(spec: NuisanceSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    found: dict[str, Any] = {key: [] for key in spec.methods}
    for sigma in spec.sigmas:
        images = lit(source, seed, sigma, spec.per_class, spec.test_per_class)
        net = small_net(images.train.shape[1:], images.classes)
        for key in spec.methods:
            x, method = images.normalized(key)
            about = {"method": key, "sigma": sigma}
            runs = yield from raced(seed, about, net, x, images.train_labels, schedule)
            right = runs.accuracy(runs.best, method(images.test), images.test_labels)
            found[key].append(100 * right)
            yield Record(seed, "accuracy", {**about, "accuracy": 100 * right})
        found["chance"] = images.chance
    yield Record(seed, "seed", found)


def conclude(spec: NuisanceSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    found = effects(
        *(
            Asked(
                f"accuracy, own mean and std less the dataset's, light spread by {sigma:g} EV",
                [one["img_z"][i] - one["ds_z"][i] for one in seeds],
                spec.relevant,
                "points",
            )
            for i, sigma in enumerate(spec.sigmas)
        )
    )
    better = [i for i, one in enumerate(found) if one.finding == "more"]
    worse = [i for i, one in enumerate(found) if one.finding == "less"]
    said = "; ".join(
        f"σ = {sigma:g} EV: {one.mean:+.0f} points"
        for sigma, one in zip(spec.sigmas, found, strict=True)
    )
    best = max(
        mean(one[key][i] for one in seeds) for key in spec.methods for i in range(len(found))
    )
    lost = unlearned(best, mean(one["chance"] for one in seeds))
    if lost:
        word = "not decided"
    elif better and len(better) == len(found):
        word = "holds"
    elif better:
        word = f"holds only where light is spread by {_spreads(spec.sigmas, better)}"
    elif all(one.high < spec.relevant for one in found):
        word = "fails"
    else:
        word = "not decided"
    because = f"Trained and tested in the same light, own against dataset's mean and std: {said}."
    if word == "fails":
        because += f" At no spread is there a gain of {spec.relevant:g} points or more."
    if worse:
        because += f" At a spread of {_spreads(spec.sigmas, worse)} the dataset's are better."
    if word == "not decided":
        because = lost or f"{because} {undecided(found)}"
    table = {
        key: [mean_and_spread([one[key][i] for one in seeds]) for i in range(len(spec.sigmas))]
        for key in spec.methods
    }
    return Conclusion(
        (Verdict(6, word, because, found),), {"accuracy": table, "sigmas": list(spec.sigmas)}
    )


def _spreads(sigmas: tuple[float, ...], chosen: list[int]) -> str:
    """Some of the spreads in words; "or more" and "or less" only where all of that side are.

    >>> _spreads((0.0, 1.0, 3.0), [1, 2]), _spreads((0.0, 1.0, 3.0), [0, 1])
    ('1 EV or more', '1 EV or less')
    >>> _spreads((0.0, 1.0, 3.0), [0]), _spreads((0.0, 1.0, 3.0), [0, 2])
    ('0 EV', '0 and 3 EV')
    """
    count = len(sigmas)
    if 0 not in chosen and chosen == list(range(chosen[0], count)):
        return f"{sigmas[chosen[0]]:g} EV or more"
    if len(chosen) > 1 and chosen == list(range(len(chosen))) and len(chosen) < count:
        return f"{sigmas[chosen[-1]]:g} EV or less"
    return " and ".join(f"{sigmas[i]:g}" for i in chosen) + " EV"


EXPERIMENT = Experiment(
    "nuisance",
    "Light as nuisance",
    "When light varies and says nothing of the class, which normalization is right more often?",
    (6,),
    NuisanceSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "A small network, briefly trained; light is one factor an image, with shot noise and 8 bits.",
)
