"""Does subtracting the dataset's mean condition the problem, and does that speak for the dataset?

Softmax regression on 8×8 images, where the whole spectrum of the Hessian is exact. A rate is
stable when 30 steps of full-batch descent lower the loss each time: "still below the start" is not
monotone in the rate, and would be no criterion.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.curvature import condition, second_moments, start_spectrum
from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.exposure import exposed, spread
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import softmax_regression
from normviz.lab.normalizations import NORMALIZATIONS, fitted
from normviz.lab.optimizers import SGD
from normviz.lab.summary import mean_and_factor, mean_and_spread
from normviz.lab.training import train


@dataclass(frozen=True)
class ConditioningSpec(Spec):
    """``images`` for training, evenly of all classes. ``relevant_decades``: a change of the
    condition number by a factor of 2 matters."""

    methods: tuple[str, ...] = (
        "raw1",
        "ds_mean",
        "ds_scale",
        "ds_z",
        "px_mean",
        "img_mean",
        "img_z",
        "imgch_z",
        "lcn",
    )
    images: int = 500
    test_per_class: int = 40
    sigma: float = 1.0
    octaves: tuple[float, float] = (-3.0, 2.0)
    stable_steps: int = 30
    curve_steps: int = 150
    relevant_decades: float = 0.3
    relevant_octaves: float = 1.0
    relevant_loss: float = 0.1


def work(spec: ConditioningSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    each = spec.images // len(source.draw(seed, 1, 1).classes)
    split = source.draw(seed, each, spec.test_per_class)
    pixels, test = (
        exposed(_halved(linear), spread(len(linear), spec.sigma, seed, part), 2 * seed + part)
        for part, linear in enumerate((split.train, split.test))
    )
    labels, classes = split.train_labels, len(split.classes)
    net = softmax_regression(pixels.shape[1:], classes)
    methods = {key: fitted(key, pixels) for key in spec.methods}
    inputs = {key: method(pixels).astype(np.float64) for key, method in methods.items()}
    found: dict[str, dict[str, Any]] = {}
    for key, x in inputs.items():
        moments = second_moments(x)
        largest = float(start_spectrum(moments, classes)[0])
        # Of fewer images than numbers in one, the median eigenvalue is an accident, or 0.
        known = len(x) >= len(moments)
        found[key] = {"condition": condition(moments) if known else math.inf, "largest": largest}
        yield Record(seed, "spectrum", {"method": key, **found[key], "moments": _few(moments)})
    for key, x in inputs.items():
        prepared = net.prepared(x)
        stable = _largest_stable(spec, net, prepared, labels, 2 / found[key]["largest"])
        shared = found["raw1"].get("stable", stable)
        order = np.tile(np.arange(len(x)), (spec.curve_steps, 1))
        start = net.start(seed, 2, np.float64)
        losses = []
        for step in train(net, prepared, labels, order, (shared, stable), SGD(), start):
            losses.append(step.loss)
        curves = np.array(losses)
        logits, _ = net.forward(step.theta[1:], net.prepared(methods[key](test)))
        found[key] |= {
            "accuracy": 100 * float((logits[0].argmax(axis=1) == split.test_labels).mean()),
            "stable": stable,
            "shared_loss": float(curves[-1, 0]),
            "own_loss": float(curves[-1, 1]),
        }
        thin = np.unique(np.geomspace(1, len(curves), 25).astype(int))
        yield Record(
            seed,
            "curve",
            {
                "method": key,
                "step": thin.tolist(),
                "shared": curves[thin - 1, 0].tolist(),
                "own": curves[thin - 1, 1].tolist(),
            },
        )
    yield Record(seed, "seed", found)


def _halved(images: np.ndarray) -> np.ndarray:
    """8×8 from 16×16, in linear light; a smaller side makes the spectrum cheap."""
    n, side, _, channels = images.shape
    if side < 16:
        return images
    return images.reshape(n, side // 2, 2, side // 2, 2, channels).mean(axis=(2, 4))


def _few(moments: np.ndarray) -> list[float]:
    """64 of the eigenvalues, evenly by rank: enough to draw."""
    ranks = np.linspace(0, len(moments) - 1, min(64, len(moments))).round().astype(int)
    return [float(f"{value:.3g}") for value in moments[ranks]]


def _largest_stable(
    spec: ConditioningSpec, net, prepared: np.ndarray, labels: np.ndarray, bound: float
) -> float:
    """Return the largest rate whose loss falls in each step, to an eighth of an octave.

    ``bound`` 2/λmax is where descent on the start's quadratic becomes unstable.
    """
    low, high = spec.octaves
    octaves = np.arange(low, high + 0.25, 0.5)
    last = octaves[_monotone(spec, net, prepared, labels, bound * 2.0**octaves)]
    if not len(last):
        return float(bound * 2.0**low)
    # One refinement between the last rate that was stable and the next.
    finer = last[-1] + np.array([0.125, 0.25, 0.375])
    more = finer[_monotone(spec, net, prepared, labels, bound * 2.0**finer)]
    return float(bound * 2.0 ** (more[-1] if len(more) else last[-1]))


def _monotone(
    spec: ConditioningSpec, net, prepared: np.ndarray, labels: np.ndarray, rates: np.ndarray
) -> np.ndarray:
    """Return the places of the rates, from the lowest, up to the first that is not stable."""
    order = np.tile(np.arange(len(prepared)), (spec.stable_steps + 1, 1))
    theta = net.start(0, len(rates), prepared.dtype.type)
    losses = np.array(
        [step.loss for step in train(net, prepared, labels, order, tuple(rates), SGD(), theta)]
    )
    falls = (np.diff(losses, axis=0) < 0).all(axis=0)
    return np.arange(len(rates))[np.logical_and.accumulate(falls)]


def conclude(spec: ConditioningSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    def decades(better: str, worse: str) -> list[float]:
        pairs = [(one[worse]["condition"], one[better]["condition"]) for one in seeds]
        return [float(np.log10(a / b)) if np.isfinite([a, b]).all() else np.inf for a, b in pairs]

    centring, rate, scaling, image, loss = effects(
        Asked(
            "condition number, no centring over dataset mean",
            decades("ds_mean", "raw1"),
            spec.relevant_decades,
            "decades",
        ),
        Asked(
            "largest stable rate, dataset mean over no centring",
            [float(np.log2(one["ds_mean"]["stable"] / one["raw1"]["stable"])) for one in seeds],
            spec.relevant_octaves,
            "octaves",
        ),
        Asked(
            "condition number, ÷ 255 over ÷ std alone",
            decades("ds_scale", "raw1"),
            spec.relevant_decades,
            "decades",
        ),
        Asked(
            "condition number, dataset mean and std over own mean and std",
            decades("img_z", "ds_z"),
            spec.relevant_decades,
            "decades",
        ),
        Asked(
            "training loss at the best rate, dataset mean and std less own mean and std",
            [one["ds_z"]["own_loss"] - one["img_z"]["own_loss"] for one in seeds],
            spec.relevant_loss,
            "nats",
        ),
    )
    first = (centring, rate, scaling)
    better = 10**centring.mean
    if centring.finding == "more" and rate.finding == "more":
        word = "holds"
        because = (
            f"Subtracting the dataset's mean makes the condition number {better:.1f} times smaller "
            f"and allows a learning rate {2**rate.mean:.1f} times larger."
        )
        if scaling.finding == "same":
            because += " Dividing by the std alone changes nothing."
    elif centring.finding in ("same", "less") or rate.finding in ("same", "less"):
        word = "fails"
        because = (
            f"Subtracting the dataset's mean makes the condition number {better:.2f} times smaller "
            f"and allows a learning rate {2**rate.mean:.2f} times larger: not both by what matters."
        )
    else:
        word, because = "not decided", undecided(first)
    conditions = Verdict(1, word, because, first)
    second = (image, loss)
    if image.finding in ("more", "same"):
        word = "fails"
        still = (
            f"{10**image.mean:.1f} times smaller still"
            if image.finding == "more"
            else "much the same"
        )
        because = (
            "It does not follow: with each image's own mean and std the condition number is "
            + still
            + (", and training reaches a lower loss." if loss.finding == "more" else ".")
        )
    elif image.finding == "less":
        word = "holds"
        because = "The dataset's numbers condition the problem better than each image's own."
    else:
        word, because = "not decided", undecided(second)
    kept = {
        **dict.fromkeys(("condition", "largest", "stable"), mean_and_factor),
        **dict.fromkeys(("shared_loss", "own_loss", "accuracy"), mean_and_spread),
    }
    table: dict[str, Any] = {
        key: {name: summary([one[key][name] for one in seeds]) for name, summary in kept.items()}
        for key in spec.methods
    }
    if not math.isfinite(image.mean):
        because = f"{because} {_TOO_FEW}"
        conditions = dataclasses.replace(conditions, because=f"{conditions.because} {_TOO_FEW}")
    # None where a set is too small for its median eigenvalue to say anything.
    roundest = min(spec.methods, key=lambda key: table[key]["condition"][0] or np.inf)
    most = max(spec.methods, key=lambda key: table[key]["accuracy"][0])
    if roundest != most and None not in (table[roundest]["condition"] + table[most]["condition"]):
        first_title, most_title = (NORMALIZATIONS[key].title for key in (roundest, most))
        because += (
            f" Nor is the roundest loss the best: under “{first_title}” the condition number is "
            f"{table[roundest]['condition'][0]:.0f} and {table[roundest]['accuracy'][0]:.0f} % of "
            f"test images are told, under “{most_title}” {table[most]['condition'][0]:.0f} and "
            f"{table[most]['accuracy'][0]:.0f} %."
        )
    follows = Verdict(2, word, because, second)
    return Conclusion((conditions, follows), {"methods": table})


_TOO_FEW = (
    "A condition number takes as many training images as an image of 8 × 8 pixels has numbers: "
    "about 325 images in colour or 110 in grey, of which 60 % are trained on."
)


EXPERIMENT = Experiment(
    "conditioning",
    "Centring and the condition number",
    "Does subtracting the dataset's mean make the loss rounder, and does each image's own do less?",
    (1, 2),
    ConditioningSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "Softmax regression on 8×8 images: its spectrum is exact, a deep network's is not. A rounder "
    "loss is learned faster, which does not say that what is learned is right.",
)
