"""What decides between dataset and image? How much of brightness is nuisance, and how much signal.

An image's mean varies between classes (signal) and within them (nuisance). Their share of nuisance
is held against the accuracy that per-image standardization gains or loses, over sets in which
brightness says nothing, something, or everything. The plain intra-class correlation, how much of
all variance lies between images, is held against the same. Where light alone makes brightness vary
the two rise together, so there are surfaces of little and of much signal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Verdict, effects, undecided, unlearned
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.experiments.signal import made_surfaces
from normviz.lab.exposure import exposed, spread
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet, PhotoPatches
from normviz.lab.net import small_net
from normviz.lab.normalizations import fitted
from normviz.lab.optimizers import SGD
from normviz.lab.race import Lit, Schedule, lit, raced
from normviz.lab.split import split_of_images
from normviz.lab.summary import mean_and_spread


@dataclass(frozen=True)
class VarianceSplitSpec(Spec):
    """A correlation of ``relevant`` predicts; ``better`` by so much is better.

    ``surfaces`` are the sets made: how many EV the two albedos are apart, and in which lights.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3)
    photo_sigmas: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 3.0)
    surfaces: tuple[tuple[float, tuple[float, ...]], ...] = (
        (1.0, (0.0, 0.25, 0.5, 1.0, 2.0)),
        (3.0, (0.0, 0.5, 1.0, 2.0, 3.0)),
    )
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    per_class: int = 60
    test_per_class: int = 40
    steps: int = 150
    batch: int = 32
    relevant: float = 0.5
    better: float = 0.2


def work(spec: VarianceSplitSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    points = []
    for name, sigma, images in _sets(spec, seed, source):
        split = split_of_images(images.train, images.train_labels)
        net = small_net(images.train.shape[1:], images.classes)
        right = {}
        for key in ("ds_z", "img_z"):
            method = fitted(key, images.train)
            about = {"set": name, "sigma": sigma, "method": key}
            x = method(images.train)
            runs = yield from raced(seed, about, net, x, images.train_labels, schedule)
            right[key] = runs.accuracy(runs.best, method(images.test), images.test_labels)
        point = {
            "set": name,
            "sigma": sigma,
            "share": split.share,
            "correlation": split.correlation,
            "gap": 100 * (right["img_z"] - right["ds_z"]),
            "right": 100 * max(right.values()),
            "chance": images.chance,
        }
        points.append(point)
        yield Record(seed, "point", point)
    gap, share, plain = (
        np.array([point[name] for point in points]) for name in ("gap", "share", "correlation")
    )
    found = {"points": points, "share": _related(share, gap), "plain": _related(plain, gap)}
    yield Record(seed, "seed", found)


def _sets(
    spec: VarianceSplitSpec, seed: int, source: LabelledSet
) -> Iterator[tuple[str, float, Lit]]:
    name = "photos" if isinstance(source, PhotoPatches) else "own images"
    for sigma in spec.photo_sigmas:
        yield name, sigma, lit(source, seed, sigma, spec.per_class, spec.test_per_class)
    for apart, sigmas in spec.surfaces:
        own = made_surfaces(seed, spec.per_class, spec.test_per_class, apart=apart)
        for sigma in sigmas:
            train = exposed(own.train, spread(len(own.train), sigma, seed, 0), seed * 2)
            test = exposed(own.test, spread(len(own.test), sigma, seed, 1), seed * 2 + 1)
            lights = Lit(train, own.train_labels, test, own.test_labels, 2)
            yield f"surfaces {apart:g} EV apart", sigma, lights


def _related(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation: monotone is enough to predict. What never varies has none.

    >>> round(_related(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 7.0])), 3)
    0.866
    """
    ranks = [_ranks(one) for one in (x, y)]
    if min(np.ptp(one) for one in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def conclude(spec: VarianceSplitSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    predicts, plain, better = found = effects(
        Asked(
            "rank correlation of the nuisance share with what per-image standardization gains",
            [one["share"] for one in seeds],
            spec.relevant,
            between=(-1.0, 1.0),
        ),
        Asked(
            "rank correlation of the plain intra-class correlation with the same",
            [one["plain"] for one in seeds],
            spec.relevant,
            between=(-1.0, 1.0),
        ),
        Asked(
            "by how much the nuisance share predicts better",
            [one["share"] - abs(one["plain"]) for one in seeds],
            spec.better,
            between=(-2.0, 1.0),
        ),
    )
    said = (
        f"Over {len(seeds[0]['points'])} sets the share of nuisance in brightness goes with what "
        f"each image's own mean and std gain over the dataset's (rank correlation "
        f"{predicts.mean:.2f}); the plain intra-class correlation with {plain.mean:.2f}."
    )
    # The first sets are of the images asked about; made surfaces alone tell nothing of them.
    first = [
        [point for point in one["points"] if point["set"] == one["points"][0]["set"]]
        for one in seeds
    ]
    lost = unlearned(
        max(float(np.mean([own[i]["right"] for own in first])) for i in range(len(first[0]))),
        float(np.mean([own[0]["chance"] for own in first])),
    )
    if lost:
        word, said = "not decided", lost
    elif predicts.finding == "more" and better.finding == "more":
        word, said = "holds", f"{said} That tells less."
    elif predicts.finding == "more" and better.finding == "same":
        word, said = "fails", f"{said} On these sets the plainer number tells as much."
    elif predicts.finding == "more" and better.finding == "less":
        word, said = "fails", f"{said} On these sets the plainer number tells more."
    elif predicts.finding in ("same", "less"):
        word = "fails"
    else:
        word, said = "not decided", f"{said} {undecided(found)}"
    points = [
        {
            "set": seeds[0]["points"][i]["set"],
            "sigma": seeds[0]["points"][i]["sigma"],
            **{
                name: mean_and_spread([one["points"][i][name] for one in seeds])
                for name in ("share", "correlation", "gap")
            },
        }
        for i in range(len(seeds[0]["points"]))
    ]
    return Conclusion((Verdict(15, word, said, found),), {"points": points})


EXPERIMENT = Experiment(
    "variance_split",
    "What decides: nuisance or signal",
    "Does the share of brightness that is nuisance tell which normalization will be right?",
    (15,),
    VarianceSplitSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "A small network, briefly trained, on fifteen sets of two kinds of image: photos, and surfaces "
    "of little and of much signal. A correlation over fifteen points.",
    on_others="Your images, in five spreads of light, are five of the fifteen sets; the others are "
    "made surfaces.",
)
