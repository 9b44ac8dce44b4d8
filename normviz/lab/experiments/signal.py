"""Light as signal: the class is how bright a surface is. What is left of it under each method?

Surfaces of three made textures, times an albedo of 1 or ½, which is the label. With light spread
by σ EV nothing can be right more often than Φ(0.5/σ) from brightness. All made surfaces have the
same contrast, so contrast tells the albedo too; beside them stand patches of photos, equally bright
on average, whose contrast varies. Another set's images stand alone: brought to one mean light, half
of them at half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from normviz.errors import ParameterError
from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.exposure import exposed, spread
from normviz.lab.labelled import SIDE, LabelledSet, PhotoPatches
from normviz.lab.net import small_net
from normviz.lab.normalizations import fitted
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, raced
from normviz.lab.summary import mean_and_spread

GREY_PATCHES = PhotoPatches(grey=True)
PHOTOS = ("chelsea", "forest_day", "raccoon")
REFLECTANCE = 0.2
"""Mean linear light of every surface before the albedo."""
CONTRAST = 0.5
"""Std of a made surface's light, as a share of its mean."""
CHANCE = 50.0

_BLACK = 1e-3
"""Less light could not be told from noise."""

_ROUNDS = 60
"""Far more than it takes for a mean to be known to a thousandth."""

_TEXTURES = 3
"""How many kinds of surfaces there are of each sort."""


@dataclass(frozen=True)
class SignalSpec(Spec):
    """``relevant`` in points; what stays within it of chance is wiped out."""

    methods: tuple[str, ...] = ("raw1", "ds_z", "img_mean", "img_z")
    sigmas: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0)
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    per_texture: int = 80
    test_per_texture: int = 80
    steps: int = 150
    batch: int = 32
    relevant: float = 10.0


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Images ``(N, S, S, C)`` in linear light whose label is their albedo: 1 is the bright."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def made_surfaces(
    seed: int, train: int, test: int, side: int = SIDE, apart: float = 1.0
) -> Surfaces:
    """Return stripes, checks and noise in random phase, so many of each, of one contrast.

    One albedo is 1, the other ``apart`` EV darker.

    >>> own = made_surfaces(0, 2, 1)
    >>> own.train.shape, own.train_labels.sum().item()
    ((6, 16, 16, 1), 3)
    """
    random = np.random.default_rng([seed, 8])
    parts = []
    for count in (train, test):
        phase = random.uniform(0, 2 * np.pi, (2, count, 1, 1))
        angle = 2 * np.pi * np.arange(side) / 5
        rows, columns = np.sin(angle[:, None] + phase[0]), np.sin(angle[None, :] + phase[1])
        stripes = np.broadcast_to(rows, (count, side, side))
        noise = random.normal(size=(count, side, side))
        textures = np.concatenate([stripes, rows * columns, noise])
        textures = textures - textures.mean(axis=(1, 2), keepdims=True)
        textures /= textures.std(axis=(1, 2), keepdims=True)
        light = REFLECTANCE * np.maximum(1 + CONTRAST * textures, 0)
        parts += _with_albedo(light[..., np.newaxis], random, apart)
    return Surfaces(*parts)


def photo_surfaces(source: LabelledSet, seed: int, train: int, test: int) -> Surfaces:
    """Return patches of three photos, so many of each, as :func:`surfaces_of` makes them."""
    split = source.draw(seed, train, test)
    textures = [split.classes.index(name) for name in PHOTOS]
    return surfaces_of(
        split.train[np.isin(split.train_labels, textures)],
        split.test[np.isin(split.test_labels, textures)],
        seed,
    )


def any_surfaces(source: LabelledSet, seed: int, train: int, test: int) -> Surfaces:
    """Return at most so many images in all, whatever their class, as :func:`surfaces_of` does.

    Left out is what cannot be brought to its light. Raises :class:`ParameterError` where fewer than
    two are left for training, or for the test.
    """
    split = source.draw(seed, train, test)
    random = np.random.default_rng([seed, 9])
    parts: list[np.ndarray] = []
    for images, most in ((split.train, train), (split.test, test)):
        chosen = images[random.permutation(len(images))]
        chosen = chosen[_reaches(chosen)][:most]
        # As many at one albedo as at the other.
        parts.append(chosen[: len(chosen) // 2 * 2])
    if min(len(part) for part in parts) < 2:
        raise ParameterError(
            "Too few images are left for this experiment: those that are black, or nearly all "
            "black, cannot be brought to its light. It needs at least two others for training and "
            "two for the test."
        )
    return surfaces_of(parts[0], parts[1], seed)


def _reaches(images: np.ndarray) -> np.ndarray:
    """Whether enough of each image is lit: its mean light must be reached below all white."""
    return (images > _BLACK).mean(axis=(1, 2, 3)) > 1.25 * REFLECTANCE


def surfaces_of(train: np.ndarray, test: np.ndarray, seed: int) -> Surfaces:
    """Return images brought to one mean light, at an albedo of 1 or ½."""
    random = np.random.default_rng([seed, 7])
    parts: list[np.ndarray] = []
    for images in (train, test):
        parts += _with_albedo(_levelled(images), random)
    return Surfaces(*parts)


def _levelled(images: np.ndarray) -> np.ndarray:
    """Return images times a number each, highlights cut at white, of mean light ``REFLECTANCE``.

    What is above white is cut before the albedo, so that the label is not written in it; each
    image's number then makes good what was cut.
    """
    level = np.ones((len(images), 1, 1, 1))
    for _ in range(_ROUNDS):
        means = np.minimum(images * level, 1.0).mean(axis=(1, 2, 3), keepdims=True)
        level *= REFLECTANCE / means
    return np.minimum(images * level, 1.0)


def _with_albedo(
    light: np.ndarray, random: np.random.Generator, apart: float = 1.0
) -> list[np.ndarray]:
    label = random.permutation(np.arange(len(light)) % 2)
    albedo = 2.0 ** (apart * (label - 1))
    return [(light * albedo[:, None, None, None]).astype(np.float32), label]


def best_possible(sigma: float) -> float:
    """Return Φ(0.5/σ) in percent: one albedo is 1 EV brighter, and light is spread by σ EV.

    >>> round(best_possible(1.0), 1), best_possible(0.0)
    (69.1, 100.0)
    """
    return 100 * NormalDist().cdf(0.5 / sigma) if sigma else 100.0


def work(spec: SignalSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    sizes = (spec.per_texture, spec.test_per_texture)
    sets: dict[str, tuple[Surfaces, tuple[float, ...]]]
    if source == GREY_PATCHES:
        sets = {
            "made": (made_surfaces(seed, *sizes), spec.sigmas),
            "photos": (photo_surfaces(source, seed, *sizes), (0.0,)),
        }
    else:
        own = any_surfaces(source, seed, *(_TEXTURES * size for size in sizes))
        sets = {"own": (own, spec.sigmas)}
    found: dict[str, dict[str, list[float]]] = {}
    for name, (own, sigmas) in sets.items():
        found[name] = {}
        net = small_net(own.train.shape[1:], 2)
        for sigma in sigmas:
            train = exposed(own.train, spread(len(own.train), sigma, seed, 0), seed * 2)
            test = exposed(own.test, spread(len(own.test), sigma, seed, 1), seed * 2 + 1)
            for key in spec.methods:
                method = fitted(key, train)
                about = {"surfaces": name, "method": key, "sigma": sigma}
                x = method(train)
                runs = yield from raced(seed, about, net, x, own.train_labels, schedule)
                right = 100 * runs.accuracy(runs.best, method(test), own.test_labels)
                found[name].setdefault(key, []).append(right)
                yield Record(seed, "accuracy", {**about, "accuracy": right})
    yield Record(seed, "seed", found)


def conclude(spec: SignalSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    main, *others = seeds[0]

    def above_chance(key: str, name: str = main) -> list[float]:
        return [one[name][key][0] - CHANCE for one in seeds]

    asked = {
        "dataset's mean and std": above_chance("ds_z"),
        "own mean and std": above_chance("img_z"),
        "own mean subtracted": above_chance("img_mean"),
        **{f"own mean subtracted, {name}": above_chance("img_mean", name) for name in others},
    }
    whole, divided, subtracted, *varied = found = effects(
        *(
            Asked(
                f"accuracy over chance, fixed light, {words}",
                values,
                spec.relevant,
                "points",
                between=(-CHANCE, 100 - CHANCE),
            )
            for words, values in asked.items()
        )
    )
    said = (
        f"In fixed light the albedo is told in {CHANCE + whole.mean:.0f} % with the dataset's mean "
        f"and std, {CHANCE + divided.mean:.0f} % with the image's own, "
        f"{CHANCE + subtracted.mean:.0f} % with only its mean subtracted (chance {CHANCE:.0f})."
    )
    gone = ("same", "less")
    if whole.finding != "more" or "open" in (divided.finding, subtracted.finding):
        word, said = "not decided", f"{said} {undecided(found)}"
    elif divided.finding in gone and subtracted.finding in gone:
        word = "holds"
    elif divided.finding in gone:
        word = "holds only when the std is divided by as well"
        said += " Subtraction leaves the contrast, which tells the albedo "
        if varied:
            left = CHANCE + varied[0].mean
            said += f"where all surfaces have the same; on patches of photos {left:.0f} % are left."
        else:
            said += "as far as images are alike in it."
    else:
        word = "fails"
    table = {
        key: [
            mean_and_spread([one[main][key][i] for one in seeds]) for i in range(len(spec.sigmas))
        ]
        for key in spec.methods
    }
    tables = {
        "accuracy": table,
        **{
            name: {
                key: mean_and_spread([one[name][key][0] for one in seeds]) for key in spec.methods
            }
            for name in others
        },
        "sigmas": list(spec.sigmas),
        "best_possible": [round(best_possible(sigma), 1) for sigma in spec.sigmas],
    }
    return Conclusion((Verdict(7, word, said, found),), tables)


EXPERIMENT = Experiment(
    "signal",
    "Light as signal",
    "When brightness is the answer, which normalization still gives it?",
    (7,),
    SignalSpec(),
    work,
    conclude,
    GREY_PATCHES,
    "A small network, briefly trained; the label is an albedo of 1 or ½ put on textures or "
    "photos, a task made for the question.",
    on_others="Your images' own labels do not count here: each is brought to one mean light (those "
    "that are black, or nearly, are left out), and half of them, drawn at random, are shown at "
    "half of it. Which, is the label.",
)
