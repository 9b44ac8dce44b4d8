"""One mean a channel, or a mean image? On random crops of photos, and on aligned digits; or on
another set alone.

Whether it matters is asked of accuracy; whether the two differ at all, of the mean image.

Also what sharing weights has to do with it: a convolution uses the same weights everywhere, so if
positions with different means were its trouble, the mean image would help it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Effect, Verdict, effects, undecided, unlearned
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import DIGITS, PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced
from normviz.lab.summary import mean_and_spread

METHODS = ("ds_mean", "px_mean")

NAMES = {"crops": "random crops", "digits": "aligned digits", "own": "these images"}
"""The sets in words: a visitor's stands alone, since nobody knows whether it is aligned."""


@dataclass(frozen=True)
class MeanImageSpec(Spec):
    """A mean image that varies by ``relevant`` dataset stds, or ``points`` of accuracy, matter."""

    seeds: tuple[int, ...] = tuple(range(12))
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    per_class: int = 60
    test_per_class: int = 100
    sigma: float = 0.3
    steps: int = 250
    batch: int = 32
    relevant: float = 0.2
    points: float = 5.0


def relief_of(mean: np.ndarray, images: np.ndarray) -> float:
    """Return how much a mean image ``(H, W, C)`` varies over positions, in stds of the images.

    The root mean square over channels of each channel's std over positions by its std over all.

    >>> flat = np.full((4, 4, 3), [0.2, 0.5, 0.9])
    >>> relief_of(flat, np.random.default_rng(0).random((9, 4, 4, 3))) < 1e-9
    True
    """
    spread = images.var(axis=(0, 1, 2))
    # A channel that is the same in all images and places has no relief.
    share = np.divide(mean.var(axis=(0, 1)), spread, out=np.zeros(len(spread)), where=spread > 0)
    return float(np.sqrt(share.mean()))


def work(spec: MeanImageSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    found: dict[str, Any] = {}
    sets: tuple[tuple[str, LabelledSet, float], ...] = (("own", source, 0.0),)
    if source == PHOTO_PATCHES:
        sets = (("crops", source, spec.sigma), ("digits", DIGITS, 0.0))
    for name, own, sigma in sets:
        images = lit(own, seed, sigma, spec.per_class, spec.test_per_class)
        u = images.train / 255
        mean_image = u.mean(axis=0)
        found[name] = {"relief": relief_of(mean_image, u), "accuracy": {}, "chance": images.chance}
        yield Record(seed, "mean image", {"set": name, "mean": mean_image.round(4).tolist()})
        net = small_net(images.train.shape[1:], images.classes)
        for key in METHODS:
            x, method = images.normalized(key)
            about = {"set": name, "method": key}
            runs = yield from raced(seed, about, net, x, images.train_labels, schedule)
            right = runs.accuracy(runs.best, method(images.test), images.test_labels)
            found[name]["accuracy"][key] = 100 * right
    yield Record(seed, "seed", found)


def conclude(spec: MeanImageSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    names = [name for name in NAMES if name in seeds[0]]
    found = effects(
        *(
            Asked(
                f"accuracy, mean image less channel mean, {NAMES[name]}",
                [
                    one[name]["accuracy"]["px_mean"] - one[name]["accuracy"]["ds_mean"]
                    for one in seeds
                ],
                spec.points,
                "points",
            )
            for name in names
        ),
        *(
            Asked(
                f"relief of the mean image, {NAMES[name]}",
                [one[name]["relief"] for one in seeds],
                spec.relevant,
                "dataset stds",
            )
            for name in names
        ),
    )
    gains = dict(zip(names, found[: len(names)], strict=True))
    reliefs = dict(zip(names, found[len(names) :], strict=True))
    nothing = {name: unlearned(_best(name, seeds), _chance(name, seeds)) for name in names}
    lost = " ".join(f"Of {NAMES[name]}: {said}" for name, said in nothing.items() if said)
    return Conclusion(
        (_sharing(gains, lost), _which(gains, reliefs, lost)),
        {
            name: {
                "relief": mean_and_spread([one[name]["relief"] for one in seeds]),
                "accuracy": {
                    key: mean_and_spread([one[name]["accuracy"][key] for one in seeds])
                    for key in METHODS
                },
            }
            for name in names
        },
    )


def _best(name: str, seeds: list[Mapping[str, Any]]) -> float:
    return max(mean(one[name]["accuracy"][key] for one in seeds) for key in METHODS)


def _chance(name: str, seeds: list[Mapping[str, Any]]) -> float:
    return mean(one[name]["chance"] for one in seeds)


def _among(values: Mapping[str, float], form: str) -> str:
    """Numbers set by set: "+0.1 on random crops and +0.2 on aligned digits"."""
    return " and ".join(f"{value:{form}} on {NAMES[name]}" for name, value in values.items())


def _only(names: Iterable[str]) -> str:
    return " and ".join(NAMES[name] for name in names)


def _sharing(gains: Mapping[str, Effect], lost: str) -> Verdict:
    means = {name: one.mean for name, one in gains.items()}
    said = (
        "With a mean for each position the convolutional network gains, in points of accuracy, "
        f"{_among(means, '+.1f')}."
    )
    better = [name for name, one in gains.items() if one.finding == "more"]
    if lost:
        word, said = "not decided", lost
    elif len(better) == len(gains):
        word = "holds"
    elif better:
        word = f"holds only on {_only(better)}"
    elif all(one.high < one.relevant for one in gains.values()):
        word = "fails"
    else:
        word, said = "not decided", f"{said} {undecided(tuple(gains.values()))}"
    return Verdict(4, word, said, tuple(gains.values()))


def _which(gains: Mapping[str, Effect], reliefs: Mapping[str, Effect], lost: str) -> Verdict:
    accuracies = tuple(gains.values())
    found = (*accuracies, *reliefs.values())
    varies = {name: one.mean for name, one in reliefs.items()}
    said = f"Over positions the mean image varies, in dataset stds, by {_among(varies, '.2f')}. "
    changed = [name for name, one in gains.items() if one.finding in ("more", "less")]
    alike = [name for name, one in gains.items() if one.finding == "same"]
    uneven = [name for name, one in reliefs.items() if one.finding == "more"]
    if lost:
        return Verdict(13, "not decided", said + lost, found)
    if len(changed) == len(gains):
        word = "holds"
    elif changed and len(changed) + len(alike) == len(gains):
        word = f"holds only on {_only(changed)}"
    elif not changed and len(alike) == len(gains) and uneven:
        word = f"holds only for the look of {_only(uneven)}"
        said += "What the network gets differs there, but how often it is right does not. "
    elif len(alike) == len(gains):
        word = "fails"
    else:
        return Verdict(13, "not decided", said + undecided(accuracies), found)
    means = {name: one.mean for name, one in gains.items()}
    said += f"Accuracy with the mean image changes, in points, by {_among(means, '+.1f')}."
    return Verdict(13, word, said, found)


EXPERIMENT = Experiment(
    "mean_image",
    "Mean image or channel mean",
    "Does it matter whether one mean a channel is subtracted, or a mean image?",
    (4, 13),
    MeanImageSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "A small network, briefly trained; of its own sets only digits are aligned. What sharing "
    "weights needs is tested as mean image against channel mean.",
    on_others="Your images stand alone here, in the light that they have.",
)
