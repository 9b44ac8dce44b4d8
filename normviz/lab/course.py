"""How a race went: what its rounds and its end say together, to be drawn, said and stored."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from normviz.lab.contest import Finish, RaceSpec, Round
from normviz.lab.evidence import LEVEL, Asked, Effect, effects, unlearned
from normviz.lab.normalizations import NORMALIZATIONS
from normviz.lab.summary import short

FILE = Path(__file__).with_name("race.json")
FEWEST_SEEDS = 3
"""With fewer nothing is called different: two seeds agree to the last image by mere chance."""

MEASURES = ("loss", "firing", "std")
_NOT_IN_THE_CATALOGUE = {"ds_scale": "dataset std only"}


def short_title(key: str) -> str:
    """What a method is called under a line or a bar.

    >>> short_title("img_z"), short_title("ds_scale")
    ('own mean, std', 'dataset std only')
    """
    method = NORMALIZATIONS[key].method
    return method.about.short if method else _NOT_IN_THE_CATALOGUE[key]


@dataclass(frozen=True)
class Line:
    """A measure of one method over the rounds: its mean over seeds, the lowest and the highest.

    ``ended`` is the step at whose round a seed's run had diverged; the line stops before it.
    ``diverged`` counts such seeds.
    """

    steps: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    ended: int | None
    diverged: int


@dataclass(frozen=True, eq=False)
class Course:
    """A race as far as it went: rounds, and the :class:`Finish` once it is there."""

    spec: RaceSpec
    source: str
    rounds: tuple[Round, ...] = ()
    finish: Finish | None = None

    def after(self, news: Round | Finish) -> Course:
        """Return the course with one more round, or with its end.

        Filters are kept of the last round alone, which all rounds then hold: those of a long race
        with many rates would fill 100 MB.
        """
        if isinstance(news, Finish):
            return dataclasses.replace(self, finish=news)
        rounds = [
            dataclasses.replace(one, filters=news.filters, moved=news.moved) for one in self.rounds
        ]
        return dataclasses.replace(self, rounds=(*rounds, news))

    @property
    def step(self) -> int:
        return self.rounds[-1].step if self.rounds else 0

    @property
    def classes(self) -> int:
        return self.rounds[-1].classes

    def losses(self) -> np.ndarray:
        """Mean training loss over seeds ``(M, L)``: of the last batches at the end, of the last
        round before; infinite where a seed has diverged."""
        found = self.finish.loss if self.finish else self.rounds[-1].loss
        with np.errstate(all="ignore"):
            mean = found.mean(axis=-1)
        return np.where(np.isfinite(mean), mean, np.inf)

    def best(self) -> tuple[int, ...]:
        """For each method the place of its learning rate with the lowest training loss.

        Test images have no say in it.
        """
        return tuple(int(place) for place in self.losses().argmin(axis=1))

    def line(self, method: int, rate: int, measure: str = "loss") -> Line:
        """Return the course of one method at one learning rate."""
        values = np.array([getattr(one, measure)[method, rate] for one in self.rounds])
        loss = np.array([one.loss[method, rate] for one in self.rounds])
        gone = ~np.isfinite(loss).reshape(len(self.rounds), -1)
        until = int(np.argmax(gone.any(axis=1))) if gone.any() else len(self.rounds)
        ended = self.rounds[until].step if until < len(self.rounds) else None
        diverged = int(gone.any(axis=0).sum())
        if self.finish is not None:
            lost = int(np.isinf(self.finish.loss[method, rate]).sum())
            if lost > diverged:
                diverged, ended = lost, ended or self.step
        values = values[:until]
        mean, low, high = (
            tuple(float(v) for v in fold(values, axis=1)) if until else ()
            for fold in (np.mean, np.min, np.max)
        )
        steps = tuple(one.step for one in self.rounds[:until])
        return Line(steps, mean, low, high, ended, diverged)

    def accuracies(self, rates: Sequence[int]) -> np.ndarray:
        """Test accuracy in percent ``(M, S)``, each method at its own place in the rates."""
        assert self.finish is not None
        return np.array([100 * self.finish.accuracy[at, rate] for at, rate in enumerate(rates)])

    def means(self, rates: Sequence[int]) -> tuple[Effect, ...]:
        """Each method's mean accuracy with its 95 % interval over seeds; nothing is tested."""
        return tuple(
            effects(Asked(name, list(own), self.spec.relevant, "%"))[0]
            for name, own in zip(self.spec.methods, self.accuracies(rates), strict=True)
        )

    def unlearned(self, rates: Sequence[int]) -> str:
        """A sentence where no method is better than chance, else ""."""
        best = max(one.mean for one in self.means(rates))
        return unlearned(best, 100 / self.classes)

    def differences(self, rates: Sequence[int], reference: str) -> tuple[Effect, ...]:
        """Paired differences in points to a method, of all others; p-values after Holm."""
        found = dict(zip(self.spec.methods, self.accuracies(rates), strict=True))
        return effects(
            *(
                Asked(name, list(own - found[reference]), self.spec.relevant, "points")
                for name, own in found.items()
                if name != reference
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, four digits; None stands for what is not finite."""
        assert self.finish is not None
        return {
            "spec": dataclasses.asdict(self.spec),
            "source": self.source,
            "rounds": [
                {"step": one.step, **{name: _plain(getattr(one, name)) for name in MEASURES}}
                for one in self.rounds
            ],
            "filters": _plain(self.rounds[-1].filters, 3),
            "moved": _plain(self.rounds[-1].moved, 3),
            "accuracy": self.finish.accuracy.tolist(),
            "final": _plain(self.finish.loss),
            "classes": self.classes,
        }


def course_of(record: Mapping[str, Any]) -> Course:
    """Return the course that :meth:`Course.to_json` gave; filters are those of the end."""
    given: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in record["spec"].items()
    }
    filters, moved = _array(record["filters"]), _array(record["moved"])
    rounds = []
    for one in record["rounds"]:
        loss, firing, std = (_array(one[name]) for name in MEASURES)
        rounds.append(Round(one["step"], loss, firing, std, filters, moved, record["classes"]))
    final = _array(record["final"])
    finish = Finish(_array(record["accuracy"]), np.where(np.isnan(final), np.inf, final))
    return Course(RaceSpec(**given), record["source"], tuple(rounds), finish)


def _plain(values: np.ndarray, digits: int = 4) -> Any:
    if values.ndim == 0:
        return short(float(values), digits)
    return [_plain(one, digits) for one in values]


def _array(values: Any) -> np.ndarray:
    return np.array(values, np.float64)


@dataclass(frozen=True)
class Stored:
    """The race computed beforehand, when, and with which versions."""

    date: str
    versions: Mapping[str, str]
    course: Course


@cache
def stored() -> Stored:
    """Return the race that ``python -m normviz.lab.precompute_race`` has written."""
    record = json.loads(FILE.read_text(encoding="utf-8"))
    return Stored(record["date"], record["versions"], course_of(record["race"]))


# --------------------------------------------------------------------------------------- in words


def sentence(course: Course, rates: Sequence[int], reference: str) -> str:
    """Say in one sentence where the race stands, or how it ended, from its numbers."""
    if course.finish is None:
        return _standing(course, rates)
    names = course.spec.methods
    means = [one.mean for one in course.means(rates)]
    many = len(course.spec.seeds)
    steps = f"After {course.spec.steps} steps{_tested(course.spec)}"
    lost = course.unlearned(rates)
    if lost:
        rate = "another learning rate" if len(course.spec.rates) == 1 else "other settings"
        return f"{lost} Try more steps or {rate}."
    if len(names) == 1:
        return f"{steps} {short_title(names[0])} is right in {means[0]:.0f} % of the test images."
    place = names.index(reference)
    other = max((i for i in range(len(names)) if i != place), key=lambda i: means[i])
    found = {one.what: one for one in course.differences(rates, reference)}[names[other]]
    first, second = (place, other) if means[place] < means[other] else (other, place)
    said = (
        f"{steps} {short_title(names[first])} is right in {means[first]:.0f} %, "
        f"{short_title(names[second])} in {means[second]:.0f} %"
    )
    if many < FEWEST_SEEDS:
        few = "one seed" if many == 1 else f"{many} seeds"
        return f"{said}; {few} cannot say how far that would vary."
    apart = f"{abs(found.mean):.0f} ± {_half(found.half)} points apart over {many} seeds"
    if found.finding == "same":
        end = ", too little to matter"
    elif found.finding != "open":
        end = ""
    elif found.p < LEVEL:
        end = ", real but too little to matter"
    elif found.low > 0 or found.high < 0:
        end = f", which {len(names) - 1} comparisons, corrected for, cannot tell from chance"
    else:
        end = ", which these seeds cannot tell from chance"
    return f"{said}: {apart}{end}."


def _tested(spec: RaceSpec) -> str:
    """How the light of the test differs from training's.

    >>> _tested(RaceSpec(test_shift=-2.0)), _tested(RaceSpec(test_shift=0.0))
    (', tested 2 EV darker,', '')
    """
    apart = spec.test_shift - spec.train_shift
    if not apart:
        return ""
    return f", tested {abs(apart):g} EV {'darker' if apart < 0 else 'brighter'},"


def _half(value: float) -> str:
    return f"{value:.0f}" if value >= 1 else f"{value:.1f}"


def _standing(course: Course, rates: Sequence[int]) -> str:
    if not course.rounds:
        return "The first steps are being taken."
    losses = course.losses()
    own = [
        (losses[at, rate], short_title(course.spec.methods[at])) for at, rate in enumerate(rates)
    ]
    known = sorted(one for one in own if math.isfinite(one[0]))
    said = f"Step {course.step} of {course.spec.steps}: "
    gone = [name for loss, name in own if not math.isfinite(loss)]
    lost = f"; diverged: {', '.join(gone)}" if gone else ""
    if not known:
        return f"{said}every method has diverged."
    if len(known) == 1:
        return f"{said}{known[0][1]} has a training loss of {known[0][0]:.2f}{lost}."
    return (
        f"{said}{known[0][1]} has the lowest training loss ({known[0][0]:.2f}), "
        f"{known[-1][1]} the highest ({known[-1][0]:.2f}){lost}."
    )
