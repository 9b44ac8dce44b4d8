"""A race: some normalizations train the same network on the same batches, seed by seed.

The race goes in rounds of a few steps, all methods, learning rates and seeds abreast. Between two
rounds nothing runs and all that a run remembers is in the caller's hands, so a race can be paused
for as long as one likes; it ends in the same bits.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from cachetools import LRUCache

from normviz.errors import ParameterError
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec, Task
from normviz.lab.exposure import exposed, spread
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.layers import Linear, NormKind, ReLU
from normviz.lab.net import Net, small_net
from normviz.lab.normalizations import NORMALIZATIONS, fitted
from normviz.lab.optimizers import OPTIMIZERS, State
from normviz.lab.race import TEST, TRAIN, Lit
from normviz.lab.training import LAST, Trained, batches
from normviz.lab.workers import Workers

NORMS: tuple[NormKind, ...] = ("batch", "layer", "instance", "group")
MOST_METHODS, MOST_SEEDS, MOST_STEPS = 6, 12, 1000
MOST_RUNS = 300
"""Methods × learning rates × seeds; what they remember between rounds is then under 25 MB."""
PROBED = 64
"""On so many test images the first layer's activations are measured."""


@dataclass(frozen=True)
class RaceSpec(Spec):
    """Everything that decides a race, so that its address brings it back.

    Exposures are drawn for each image from N(shift, σ²) in EV. A difference of ``relevant`` points
    of test accuracy matters; it is fixed before the race. Raises :class:`ParameterError` for what
    no race can be run with.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    methods: tuple[str, ...] = ("raw1", "ds_mean", "ds_z", "img_z")
    norm: NormKind | None = None
    optimizer: str = "sgd"
    rates: tuple[float, ...] = (0.03,)
    steps: int = 200
    batch: int = 32
    train_sigma: float = 1.0
    train_shift: float = 0.0
    test_sigma: float = 1.0
    test_shift: float = -2.0
    per_class: int = 60
    test_per_class: int = 40
    every: int = 10
    relevant: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.methods) <= MOST_METHODS or len(set(self.methods)) < len(self.methods):
            raise ParameterError(f"A race takes 1 to {MOST_METHODS} different methods.")
        unknown = [name for name in self.methods if name not in NORMALIZATIONS]
        if unknown:
            known = ", ".join(NORMALIZATIONS)
            raise ParameterError(f"The lab has no method {unknown[0]!r}; it has {known}.")
        if not 1 <= len(self.seeds) <= MOST_SEEDS or len(set(self.seeds)) < len(self.seeds):
            raise ParameterError(f"A race takes 1 to {MOST_SEEDS} different seeds.")
        if self.norm is not None and self.norm not in NORMS:
            raise ParameterError(f"Norm layers are {', '.join(NORMS)} or None.")
        if self.optimizer not in OPTIMIZERS:
            raise ParameterError(f"Optimizers are {', '.join(OPTIMIZERS)}.")
        if not self.rates or not all(rate > 0 for rate in self.rates):
            raise ParameterError("A race needs learning rates above 0.")
        runs = len(self.methods) * len(self.rates) * len(self.seeds)
        if runs > MOST_RUNS:
            raise ParameterError(
                f"{len(self.methods)} methods × {len(self.rates)} learning rates × "
                f"{len(self.seeds)} seeds are {runs} runs; a race takes {MOST_RUNS}. Take fewer "
                "seeds or methods."
            )
        if not (1 <= self.every <= self.steps <= MOST_STEPS and self.batch >= 1):
            raise ParameterError(f"A race takes 1 to {MOST_STEPS} steps on batches of 1 or more.")

    @property
    def rounds(self) -> int:
        """How many rounds the race goes; the last may be shorter."""
        return -(-self.steps // self.every)


@dataclass(frozen=True, eq=False)
class Round:
    """After ``step`` steps; arrays begin with the axes method, learning rate and seed.

    ``loss`` is the mean training loss since the round before, not finite once a run has diverged.
    ``firing`` (share above 0) and ``std`` are of the first layer's inputs to its ReLU, on test
    images. ``filters`` ``(M, L, k, k, C, 16)`` are the first seed's, ``moved`` is what training
    has changed in them.
    """

    step: int
    loss: np.ndarray
    firing: np.ndarray
    std: np.ndarray
    filters: np.ndarray
    moved: np.ndarray
    classes: int


@dataclass(frozen=True, eq=False)
class Finish:
    """The end: test accuracy, and mean training loss of the last batches, inf where diverged."""

    accuracy: np.ndarray
    loss: np.ndarray


@dataclass(frozen=True, eq=False)
class Standing:
    """What one method's runs (a learning rate each) of a seed remember between rounds."""

    theta: np.ndarray
    state: State
    averages: list[np.ndarray]
    recent: np.ndarray
    """The losses of the last batches ``(≤ LAST, R)``."""


@dataclass(frozen=True, eq=False)
class Leg(Spec):
    """One round of one seed: the race, the steps taken so far, and where its methods stand."""

    race: RaceSpec = RaceSpec()
    taken: int = 0
    standings: tuple[Standing, ...] | None = None


def network(spec: RaceSpec, shape: tuple[int, ...], classes: int) -> Net:
    """Return the network that a race trains."""
    height, width, channels = shape
    return small_net((height, width, channels), classes, spec.norm)


def lights(spec: RaceSpec, seed: int, source: LabelledSet) -> Lit:
    """Return a seed's images, those of training and of test each in their own light."""
    split = source.draw(seed, spec.per_class, spec.test_per_class)
    pairs = (
        (TRAIN, split.train, spec.train_sigma, spec.train_shift),
        (TEST, split.test, spec.test_sigma, spec.test_shift),
    )
    images = [
        exposed(linear, shift + spread(len(linear), sigma, seed, part), seed * 2 + part)
        for part, linear, sigma, shift in pairs
    ]
    return Lit(images[0], split.train_labels, images[1], split.test_labels, len(split.classes))


def race(
    spec: RaceSpec, source: LabelledSet | None = None, workers: Workers | int = 2
) -> Generator[Round | Finish, None, None]:
    """Yield the rounds of a race and its :class:`Finish` last.

    ``workers``: processes that are kept for others, or how many to start for this race; closing
    the generator ends the latter.
    """
    if isinstance(workers, Workers):
        yield from _rounds(spec, source, workers)
    else:
        with Workers(min(workers, len(spec.seeds))) as pool:
            yield from _rounds(spec, source, pool)


def _rounds(
    spec: RaceSpec, source: LabelledSet | None, workers: Workers
) -> Iterator[Round | Finish]:
    standings: list[tuple[Standing, ...] | None] = [None] * len(spec.seeds)
    last: list[Mapping[str, Any]] = [{}] * len(spec.seeds)
    for taken in range(0, spec.steps, spec.every):
        tasks = [
            Task(__name__, Leg(race=spec, taken=taken, standings=own), seed, source)
            for seed, own in zip(spec.seeds, standings, strict=True)
        ]
        for number, record in workers.run(tasks):
            last[number] = record.values
        standings = [own["standings"] for own in last]
        step = min(taken + spec.every, spec.steps)
        loss, firing, std = (_by_seed(last, name) for name in ("loss", "firing", "std"))
        filters, moved, classes = (last[0][name] for name in ("filters", "moved", "classes"))
        yield Round(step, loss, firing, std, filters, moved, classes)
    yield Finish(_by_seed(last, "accuracy"), _by_seed(last, "final"))


def _by_seed(seeds: list[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.stack([own[name] for own in seeds], axis=-1)


# ------------------------------------------------------------------------- in a worker's process


@dataclass(frozen=True, eq=False)
class Field:
    """A seed's images under every method of a race."""

    net: Net
    train: tuple[np.ndarray, ...]
    train_labels: np.ndarray
    test: tuple[np.ndarray, ...]
    test_labels: np.ndarray
    classes: int

    @property
    def bytes(self) -> int:
        return sum(one.nbytes for one in (*self.train, *self.test))


# A process may do any seed of a race in any round.
_FIELDS: LRUCache[tuple, Field] = LRUCache(150e6, getsizeof=lambda field: field.bytes)


def field_of(spec: RaceSpec, seed: int, source: LabelledSet) -> Field:
    """Return a seed's images; those of the last races are kept."""
    light = (spec.train_sigma, spec.train_shift, spec.test_sigma, spec.test_shift)
    which = getattr(source, "digest", source)
    key = (which, seed, spec.methods, spec.norm, spec.per_class, spec.test_per_class, *light)
    if key not in _FIELDS:
        images = lights(spec, seed, source)
        methods = [fitted(name, images.train) for name in spec.methods]
        found = Field(
            network(spec, images.train.shape[1:], images.classes),
            tuple(method(images.train) for method in methods),
            images.train_labels,
            tuple(method(images.test) for method in methods),
            images.test_labels,
            images.classes,
        )
        if found.bytes > _FIELDS.maxsize:
            return found
        _FIELDS[key] = found
    return _FIELDS[key]


def work(leg: Leg, seed: int, source: LabelledSet) -> Iterator[Record]:
    """Yield one record: where the seed's runs stand after the leg, and what was measured."""
    spec = leg.race
    field = field_of(spec, seed, source)
    net, labels = field.net, field.train_labels
    end = min(leg.taken + spec.every, spec.steps)
    order = batches(seed, len(labels), spec.batch, spec.steps)[leg.taken : end]
    found: dict[str, list[Any]] = {name: [] for name in (*_MEASURED, "standings")}
    for at, x in enumerate(field.train):
        own = leg.standings[at] if leg.standings else _start(net, spec, seed)
        own, losses = _trained(net, spec, own, x, labels, order)
        with np.errstate(all="ignore"):
            found["loss"].append(losses.mean(axis=0, dtype=np.float64))
        firing, std = _first_layer(net, own, field.test[at])
        found["firing"].append(firing)
        found["std"].append(std)
        filters = filters_of(net, own.theta)
        found["filters"].append(filters)
        found["moved"].append(filters - filters_of(net, net.start(seed, len(filters))))
        if end == spec.steps:
            runs = Trained(net, own.recent, own.theta, own.averages)
            accuracy = [
                runs.accuracy(run, field.test[at], field.test_labels)
                for run in range(len(spec.rates))
            ]
            found["accuracy"].append(np.array(accuracy))
            found["final"].append(runs.final)
        found["standings"].append(own)
    values: dict[str, Any] = {name: np.array(found[name]) for name in _MEASURED}
    values |= {"standings": tuple(found["standings"]), "classes": field.classes}
    yield Record(seed, "leg", values)


_MEASURED = ("loss", "firing", "std", "filters", "moved", "accuracy", "final")


def _start(net: Net, spec: RaceSpec, seed: int) -> Standing:
    runs = len(spec.rates)
    theta = net.start(seed, runs)
    state = OPTIMIZERS[spec.optimizer].begin(theta)
    return Standing(theta, state, net.start_averages(runs), np.empty((0, runs), theta.dtype))


def _trained(
    net: Net, spec: RaceSpec, own: Standing, x: np.ndarray, labels: np.ndarray, order: np.ndarray
) -> tuple[Standing, np.ndarray]:
    """Go on from where the runs stand; the steps are those of :func:`normviz.lab.training.train`,
    which cannot begin in the middle."""
    rule, theta, state, averages = OPTIMIZERS[spec.optimizer], own.theta, own.state, own.averages
    speeds = np.asarray(spec.rates, theta.dtype)
    losses = []
    with np.errstate(all="ignore"):
        for chosen in order:
            prepared = net.prepared(x[chosen])
            loss, gradient, saved = net.gradient(theta, prepared, labels[chosen])
            theta, state = rule.after(theta, gradient, speeds, state)
            if averages:
                averages = net.remembered(averages, saved)
            losses.append(loss)
    found = np.array(losses)
    recent = np.concatenate([own.recent, found])[-LAST:]
    return Standing(theta, state, averages, recent), found


def _first_layer(net: Net, own: Standing, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share above 0 and std of what reaches the first ReLU, of each run; NaN where diverged."""
    some = test[np.linspace(0, len(test) - 1, min(PROBED, len(test))).astype(int)]
    upto = next(i for i, layer in enumerate(net.layers) if isinstance(layer, ReLU))
    part = Net(net.layers[:upto], net.input)
    with np.errstate(all="ignore"):
        theta = own.theta[:, : part.size]
        averages = [one.astype(theta.dtype) for one in own.averages[:1]]
        y = part.forward(theta, part.prepared(some), averages)[0].reshape(len(theta), -1)
        std = y.std(axis=1, dtype=np.float64)
        firing = (y > 0).mean(axis=1)
    known = np.isfinite(std)
    return np.where(known, firing, np.nan), np.where(known, std, np.nan)


def filters_of(net: Net, theta: np.ndarray) -> np.ndarray:
    """Return the first layer's filters of each run, ``(R, k, k, C, filters)``."""
    weights = net.views(theta)[net.first]["W"]
    assert isinstance(net.layers[net.first], Linear)
    channels = net.input[-1]
    side = round((weights.shape[1] / channels) ** 0.5)
    return weights.reshape(len(weights), side, side, channels, -1)


EXPERIMENT = Experiment(
    key="race",
    title="A race of normalizations",
    question="Which normalization lets the same network learn best?",
    claims=(),
    spec=RaceSpec(),
    work=work,
    conclude=lambda spec, seeds: Conclusion((), {}),
    source=PHOTO_PATCHES,
    limits="All seeds share the same ten photos, whose colours and textures are the classes; the "
    "network is small and briefly trained.",
)
