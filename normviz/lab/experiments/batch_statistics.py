"""How well do a batch's statistics stand for the dataset's?

Means of batches of n images, against the mean of all. The pixels of an image are alike, so that it
is the number of images that counts: by how much is said by the design effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.race import lit
from normviz.lab.summary import mean_and_factor, mean_and_spread, worded


@dataclass(frozen=True)
class BatchStatisticsSpec(Spec):
    """At ``usual`` images a batch's mean shall be within ``near`` dataset stds of the dataset's."""

    sizes: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256)
    batches: int = 500
    per_class: int = 60
    sigma: float = 1.0
    usual: int = 32
    near: float = 0.2
    relevant_slope: float = 0.05


def work(spec: BatchStatisticsSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    images = lit(source, seed, spec.sigma, spec.per_class, 1)
    u = images.train / 255
    # A channel that never varies has no error to speak of.
    u = u[..., u.var(axis=(0, 1, 2)) > 0]
    means, squares = u.mean(axis=(1, 2)), (u**2).mean(axis=(1, 2))
    mean = means.mean(axis=0)
    std = np.sqrt(squares.mean(axis=0) - mean**2)
    between = means.std(axis=0)
    random = np.random.default_rng([seed, 10])
    errors, std_errors = [], []
    for size in spec.sizes:
        # With replacement: the dataset stands for an endless one.
        chosen = random.integers(len(u), size=(spec.batches, size))
        batch = means[chosen].mean(axis=1)
        batch_std = np.sqrt(squares[chosen].mean(axis=1) - batch**2)
        errors.append(float(np.sqrt((((batch - mean) / std) ** 2).mean())))
        std_errors.append(float(np.sqrt((((batch_std - std) / std) ** 2).mean())))
        point = {"images": size, "mean_error": errors[-1], "std_error": std_errors[-1]}
        yield Record(seed, "batch", point)
    pixels = u.shape[1] * u.shape[2]
    effect = float((between**2 / std**2).mean() * pixels)
    found = {
        "mean_error": errors,
        "std_error": std_errors,
        "slope": float(np.polyfit(np.log(spec.sizes), np.log(errors), 1)[0]),
        "between": float((between / std).mean()),
        "design_effect": effect,
        "worth": pixels / effect,
    }
    yield Record(seed, "seed", found)


def conclude(spec: BatchStatisticsSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    at = spec.sizes.index(spec.usual)
    slope, near = found = effects(
        Asked(
            "slope of log error over log images, less −½",
            [one["slope"] + 0.5 for one in seeds],
            spec.relevant_slope,
        ),
        Asked(
            f"error of the mean of {spec.usual} images",
            [one["mean_error"][at] for one in seeds],
            spec.near,
            "dataset stds",
        ),
    )
    worth = mean_and_spread([one["worth"] for one in seeds])
    effect = mean_and_spread([one["design_effect"] for one in seeds])
    said = (
        f"The error of a batch's mean falls as 1/√n (slope {slope.mean - 0.5:.3f}) and is "
        f"{near.mean:.2f} dataset stds for {spec.usual} images. It is images that count: all "
        f"pixels of one are worth {worded(worth[0])} independent ones (design effect "
        f"{worded(effect[0], 0)})."
    )
    if slope.finding == "same" and near.finding == "same":
        word = "holds"
    elif "open" in (slope.finding, near.finding):
        word, said = "not decided", f"{said} {undecided(found)}"
    elif slope.finding == "same":
        word = "holds only for large batches"
    else:
        word = "fails"
    tables = {
        "sizes": list(spec.sizes),
        "mean_error": [
            mean_and_factor([one["mean_error"][i] for one in seeds]) for i in range(len(spec.sizes))
        ],
        "std_error": [
            mean_and_factor([one["std_error"][i] for one in seeds]) for i in range(len(spec.sizes))
        ],
        "design_effect": effect,
        "worth": worth,
        "between": mean_and_spread([one["between"] for one in seeds]),
    }
    return Conclusion((Verdict(10, word, said, found),), tables)


EXPERIMENT = Experiment(
    "batch_statistics",
    "The dataset through a keyhole",
    "How near is the mean of a batch to the mean of the dataset?",
    (10,),
    BatchStatisticsSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "Inputs only; statistics of deeper layers move as the network learns.",
)
