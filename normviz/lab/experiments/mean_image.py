"""One mean a channel, or a mean image? On random crops of photos, and on aligned digits.

Whether it matters is asked of accuracy; whether the two differ at all, of the mean image.

Also what sharing weights has to do with it: a convolution uses the same weights everywhere, so if
positions with different means were its trouble, the mean image would help it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Effect, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import DIGITS, PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, lit, raced
from normviz.lab.summary import mean_and_spread

METHODS = ("ds_mean", "px_mean")


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
    return float(np.sqrt((mean.var(axis=(0, 1)) / images.var(axis=(0, 1, 2))).mean()))


def work(spec: MeanImageSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    found: dict[str, Any] = {}
    for name, own, sigma in (("crops", source, spec.sigma), ("digits", DIGITS, 0.0)):
        images = lit(own, seed, sigma, spec.per_class, spec.test_per_class)
        u = images.train / 255
        mean = u.mean(axis=0)
        found[name] = {"relief": relief_of(mean, u), "accuracy": {}, "loss": {}}
        yield Record(seed, "mean image", {"set": name, "mean": mean.round(4).tolist()})
        net = small_net(images.train.shape[1:], images.classes)
        for key in METHODS:
            x, method = images.normalized(key)
            about = {"set": name, "method": key}
            runs = yield from raced(seed, about, net, x, images.train_labels, schedule)
            right = runs.accuracy(runs.best, method(images.test), images.test_labels)
            found[name]["accuracy"][key] = 100 * right
            found[name]["loss"][key] = float(runs.final[runs.best])
    yield Record(seed, "seed", found)


def conclude(spec: MeanImageSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    def gained(name: str) -> list[float]:
        return [
            one[name]["accuracy"]["px_mean"] - one[name]["accuracy"]["ds_mean"] for one in seeds
        ]

    words = "accuracy, mean image less channel mean"
    on_crops, on_digits, flat, relief = effects(
        Asked(f"{words}, random crops", gained("crops"), spec.points, "points"),
        Asked(f"{words}, digits", gained("digits"), spec.points, "points"),
        Asked(
            "relief of the mean image, random crops",
            [one["crops"]["relief"] for one in seeds],
            spec.relevant,
            "dataset stds",
        ),
        Asked(
            "relief of the mean image, digits",
            [one["digits"]["relief"] for one in seeds],
            spec.relevant,
            "dataset stds",
        ),
    )
    return Conclusion(
        (
            _sharing(on_crops, on_digits),
            _which(on_crops, on_digits, flat, relief),
        ),
        {
            name: {
                "relief": mean_and_spread([one[name]["relief"] for one in seeds]),
                "accuracy": {
                    key: mean_and_spread([one[name]["accuracy"][key] for one in seeds])
                    for key in METHODS
                },
            }
            for name in ("crops", "digits")
        },
    )


def _sharing(on_crops: Effect, on_digits: Effect) -> Verdict:
    pair = (on_crops, on_digits)
    said = (
        f"With a mean for each position the convolutional network gains {on_crops.mean:+.1f} "
        f"points on random crops and {on_digits.mean:+.1f} on aligned digits."
    )
    better = [one for one in pair if one.finding == "more"]
    if len(better) == 2:
        word = "holds"
    elif on_digits.finding == "more":
        word = "holds only on aligned images"
    elif on_crops.finding == "more":
        word = "holds only on random crops"
    elif all(one.finding in ("same", "less") for one in pair):
        word = "fails"
    else:
        word, said = "not decided", f"{said} {undecided(pair)}"
    return Verdict(4, word, said, pair)


def _which(on_crops: Effect, on_digits: Effect, flat: Effect, relief: Effect) -> Verdict:
    accuracies = (on_crops, on_digits)
    said = (
        f"The mean image of random crops varies by {flat.mean:.2f} dataset stds over positions, "
        f"that of aligned digits by {relief.mean:.2f}. "
    )
    changed = [one.finding in ("more", "less") for one in accuracies]
    alike = [one.finding == "same" for one in accuracies]
    if all(changed):
        word = "holds"
    elif on_digits.finding in ("more", "less") and alike[0]:
        word = "holds only on aligned images"
    elif on_crops.finding in ("more", "less") and alike[1]:
        word = "holds only on random crops"
    elif all(alike) and relief.finding == "more":
        word = "holds only for the look of aligned images"
        said += "What the network gets differs there, but how often it is right does not: "
    elif all(alike):
        word = "fails"
    else:
        return Verdict(13, "not decided", said + undecided(accuracies), (*accuracies, flat, relief))
    said += (
        f"accuracy with the mean image is {on_crops.mean:+.1f} points on random crops and "
        f"{on_digits.mean:+.1f} on digits."
    )
    return Verdict(13, word, said, (*accuracies, flat, relief))


EXPERIMENT = Experiment(
    "mean_image",
    "Mean image or channel mean",
    "Does it matter whether one mean a channel is subtracted, or a mean image?",
    (4, 13),
    MeanImageSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "A small network, briefly trained; digits are the only aligned images here. What sharing "
    "weights needs is tested as mean image against channel mean.",
    its_own="it holds random crops against aligned digits, and other images are one or the other",
)
