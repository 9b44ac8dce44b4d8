"""Which normalization suits a set: a short training race on its own images, in several lights.

Every normalization trains the same small network on the images as they are, and is tested on
others in the same light, and in darker and brighter light than training had. Each is held against
the dataset's mean and std, seed by seed.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Effect, effects, unlearned
from normviz.lab.experiment import Conclusion, Experiment, Record, Result, Spec, run
from normviz.lab.exposure import exposed
from normviz.lab.labelled import LabelledSet
from normviz.lab.net import small_net
from normviz.lab.normalizations import NORMALIZATIONS, fitted
from normviz.lab.optimizers import SGD
from normviz.lab.race import Schedule, raced
from normviz.lab.split import Brightness, Split
from normviz.lab.training import Trained
from normviz.lab.workers import Workers

FILE = Path(__file__).with_name("advice.json")

REFERENCE, OWN = "ds_z", "img_z"

FEWEST_FOR_INTERVAL = 20
"""Of fewer images no interval is said: its assumption of normal brightness cannot be judged."""

CARRIES = 0.1
"""From this share of brightness explained by classes on (its interval's lower end) it is said that
brightness carries the label."""


@dataclass(frozen=True)
class AdviceSpec(Spec):
    """Accuracy counts each class alike; a difference of ``relevant`` points matters."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)
    methods: tuple[str, ...] = ("raw1", "ds_mean", "ds_z", "img_mean", "img_z", "lcn")
    shifts: tuple[float, ...] = (-2.0, -1.0, 0.0, 1.0, 2.0)
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    per_class: int = 120
    test_per_class: int = 80
    steps: int = 200
    batch: int = 32
    relevant: float = 2.0


def work(spec: AdviceSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    schedule = Schedule(spec.rates, spec.steps, spec.batch, SGD(momentum=0.9))
    split = source.draw(seed, spec.per_class, spec.test_per_class)
    # As they are: no noise is added but where the light is changed.
    train = exposed(split.train, 0.0, seed * 2, noise=0)
    tests = [
        exposed(split.test, ev, seed * 2 + 1) if ev else exposed(split.test, 0.0, 0, noise=0)
        for ev in spec.shifts
    ]
    net = small_net(train.shape[1:], len(split.classes))
    found = {}
    for key in spec.methods:
        method = fitted(key, train)
        about = {"method": key}
        runs = yield from raced(seed, about, net, method(train), split.train_labels, schedule)
        found[key] = [
            100 * _balanced(runs, runs.best, method(test), split.test_labels) for test in tests
        ]
        yield Record(seed, "accuracy", {**about, "accuracy": found[key]})
    yield Record(seed, "seed", found)


def _balanced(runs: Trained, run: int, x: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over classes of the share that is named rightly."""
    right = runs.predicted(run, x) == labels
    counts = np.bincount(labels)
    return float((np.bincount(labels, right)[counts > 0] / counts[counts > 0]).mean())


def conclude(spec: AdviceSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    """Pass on the accuracies, a list of seeds for each method and shift."""
    accuracy = {
        key: [[one[key][at] for one in seeds] for at in range(len(spec.shifts))]
        for key in spec.methods
    }
    return Conclusion((), {"accuracy": accuracy})


EXPERIMENT = Experiment(
    "advice",
    "Which normalization suits these images?",
    "Which normalization lets a small network learn these images best, in their light and others?",
    (),
    AdviceSpec(),
    work,
    conclude,
    None,
    "A small network, briefly trained on the images reduced to 16 × 16 pixels: what their small "
    "detail tells is lost. All seeds draw from the same images, so the intervals say what other "
    "splits and starts would give, not other images; near-duplicates, such as frames of one video, "
    "may lie on both sides of a split. Other light is the same light times a factor, "
    "with shot noise and clipping; lamps and colour are not in it.",
)


@dataclass(frozen=True)
class Advice:
    """What suits a set. ``accuracy`` in percent, a list of seeds for each method and shift.

    ``brightness`` is the split of its variance; without labels there is nothing else, nor where
    ``refused`` says why images with labels cannot be raced on.
    """

    brightness: Brightness
    spec: AdviceSpec = AdviceSpec()
    source: str = ""
    notes: tuple[str, ...] = ()
    classes: int = 0
    accuracy: Mapping[str, Sequence[Sequence[float]]] | None = None
    seconds: float = 0.0
    refused: str = ""

    @property
    def chance(self) -> float:
        """The accuracy of guessing, in percent."""
        return 100 / self.classes

    @property
    def here(self) -> int:
        """The place of the images' own light in the shifts."""
        return self.spec.shifts.index(0.0)

    def mean(self, key: str, at: int) -> float:
        """A method's accuracy at one light, in percent, over the seeds."""
        assert self.accuracy is not None
        return float(np.mean(self.accuracy[key][at]))

    @property
    def learned(self) -> bool:
        """Whether any method is better than chance in the images' own light."""
        return not unlearned(self._best(), self.chance)

    @cached_property
    def effects(self) -> dict[tuple[str, str], Effect]:
        """Differences to the dataset's mean and std, by method and light ("own" or "other").

        Other light is the mean over all shifts but 0. p-values are corrected for all of them.
        """
        assert self.accuracy is not None
        asked = {}
        for key in self.spec.methods:
            if key == REFERENCE:
                continue
            gained = np.array(self.accuracy[key]) - np.array(self.accuracy[REFERENCE])
            rest = np.delete(gained, self.here, axis=0).mean(axis=0)
            for light, values in (("own", gained[self.here]), ("other", rest)):
                words = "the images' light" if light == "own" else "other light"
                what = f"{NORMALIZATIONS[key].title}, {words}"
                asked[key, light] = Asked(what, values.tolist(), self.spec.relevant, "points")
        return dict(zip(asked, effects(*asked.values()), strict=True))

    # ------------------------------------------------------------------------------------ in words

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        if self.accuracy is None and self._even:
            return "All images are of one and the same brightness: there is nothing to split."
        if self.accuracy is None and self.brightness.explained is not None:
            explained = (
                f"Classes explain {_percent(self.brightness.explained)} of the variance of "
                "brightness between images; what that is worth in learning"
            )
            if self.refused:
                return f"{explained}, only a race could tell, and these images allow none."
            return f"{explained}, only a race can tell."
        if self.accuracy is None:
            return (
                f"{_percent(self.brightness.split.correlation)} of the variance lies between "
                "images: whether that is nuisance or signal, only labels can tell."
            )
        if not self.learned:
            return (
                "No advice: the small network learns nothing of these classes at 16 × 16 pixels "
                f"(right in {self._best():.0f} %, chance is {self.chance:.0f} %)."
            )
        found = self.effects
        own, other = found[OWN, "own"], found[OWN, "other"]
        if own.finding == "less":
            why = "brightness carries the label here: keep" if self._carries else "Keep"
            said = f"{why} dataset statistics; each image's own would cost {_points(own)}"
        elif own.finding == "more":
            gains = f"it gains {_points(own)} over the dataset's"
            said = f"Normalize each image by its own mean and std: {gains}"
        elif other.finding == "more":
            said = (
                "Normalize each image by its own mean and std if light will change: it gains "
                f"{_points(other)} in other light and makes {self._nothing(own)} in their own"
            )
        elif other.finding == "less":
            said = (
                "Keep dataset statistics if light will change: each image's own would cost "
                f"{_points(other)} in other light and make {self._nothing(own)} in their own"
            )
        elif own.finding == "same":
            said = f"Either will do: {self._nothing(own)} in the light of these images"
        else:
            said = (
                "No difference that these runs can show between each image's own and the dataset's "
                f"mean and std: {_signed(own)}"
            )
        return said[0].upper() + said[1:] + self._better_still() + "."

    @property
    def suits(self) -> str | None:
        """What the race speaks for, "ds_z" or "img_z"; None where either does or it cannot tell."""
        if self.accuracy is None or not self.learned:
            return None
        found = self.effects
        own, other = found[OWN, "own"].finding, found[OWN, "other"].finding
        if own in ("more", "less"):
            return OWN if own == "more" else REFERENCE
        return OWN if other == "more" else REFERENCE if other == "less" else None

    def _better_still(self) -> str:
        """Of the other methods the one that gains most over the better of the two, if any does.

        One that gains over the dataset's numbers too, and loses nothing in other light.
        """
        assert self.accuracy is not None
        leader = max((REFERENCE, OWN), key=lambda key: self.mean(key, self.here))
        base = np.array(self.accuracy[leader][self.here])
        rivals = [key for key in self.spec.methods if key not in (REFERENCE, OWN)]
        found = effects(
            *(
                Asked(
                    NORMALIZATIONS[key].title,
                    (np.array(self.accuracy[key][self.here]) - base).tolist(),
                    self.spec.relevant,
                    "points",
                )
                for key in rivals
            )
        )
        better = [
            one
            for key, one in zip(rivals, found, strict=True)
            if one.finding == "more"
            and self.effects[key, "own"].finding == "more"
            and self.effects[key, "other"].finding != "less"
        ]
        if not better:
            return ""
        best = max(better, key=lambda one: one.mean)
        gained = f"gains {_points(best)} over the better of the two in the images' own light"
        return f"; but “{best.what}” {gained}"

    @property
    def _carries(self) -> bool:
        interval = self.brightness.interval
        return interval is not None and interval[0] >= CARRIES

    def _nothing(self, effect: Effect) -> str:
        if effect.finding == "same":
            return f"no difference that matters ({_signed(effect)})"
        return f"no clear difference ({_signed(effect)})"

    def _best(self) -> float:
        return max(self.mean(key, self.here) for key in self.spec.methods)

    def evidence(self) -> list[str]:
        """Sentences that bear the headline out; every number is computed."""
        if self.accuracy is None:
            said = [*filter(None, [self.refused]), *self._split_words(), *self.notes]
            return said if self.brightness.explained is not None else [*said, _UNLABELLED]
        if not self.learned:
            return [*self._split_words(), *self.notes, _ENOUGH]
        return [
            *self._split_words(),
            *self._light_words(),
            *self._other_methods(),
            *self.notes,
        ]

    @property
    def limits(self) -> str:
        """What the race cannot say; empty where there was none."""
        return "" if self.accuracy is None else f"Limits: {EXPERIMENT.limits}"

    def words(self) -> list[str]:
        """The headline, the evidence for it, and what it cannot say."""
        return [self.headline, *self.evidence(), *filter(None, [self.limits])]

    @property
    def _even(self) -> bool:
        """Whether no value of any image varies."""
        return self.brightness.split.within + self.brightness.split.correlation == 0

    def _split_words(self) -> list[str]:
        if self._even:
            return []
        bright, split = self.brightness, self.brightness.split
        inside = f"Of the variance of all values {_percent(split.within)} lies within images"
        if bright.explained is None or bright.interval is None:
            return [
                f"{inside} and {_percent(split.correlation)} between the {bright.images} images."
            ]
        low, high = bright.interval
        counted = f"{bright.images} labelled images"
        sure = f"95 % interval {_percent(low)} to {_percent(high)}; chance is taken off"
        if bright.images < FEWEST_FOR_INTERVAL:
            sure = f"{bright.images} images are too few to say how surely; chance is taken off"
        return [
            f"{inside}, {_percent(split.nuisance)} between images of one class, "
            f"{_percent(split.signal)} between the {bright.classes} classes ({counted}).",
            f"Classes explain {_percent(bright.explained)} of the variance of brightness between "
            f"images ({sure}).",
        ]

    def _light_words(self) -> list[str]:
        found = self.effects
        own, other = found[OWN, "own"], found[OWN, "other"]
        shifts = [f"{ev:+g}".replace("-", "−") for ev in self.spec.shifts if ev]
        said = [
            f"In the images' own light the dataset's mean and std are right in "
            f"{self.mean(REFERENCE, self.here):.0f} %, each image's own in "
            f"{self.mean(OWN, self.here):.0f} % ({_signed(own)}; chance is {self.chance:.0f} %). "
            "The choice above is between these two."
        ]
        light = f"In light that training did not show ({', '.join(shifts)} EV) each image's own"
        if other.finding == "more":
            advice = (
                " If such light will come, they help; training in varied light is the other way."
            )
            if own.finding == "less":
                advice = " If such light will come, train in varied light too."
            said.append(f"{light} gain {_points(other)}.{advice}")
        elif other.finding == "less":
            said.append(f"{light} cost {_points(other)}.")
        else:
            said.append(f"{light} make {self._nothing(other)}.")
        return said

    def _other_methods(self) -> list[str]:
        found = self.effects
        said = []
        for key in self.spec.methods:
            if key in (REFERENCE, OWN):
                continue
            own, other = found[key, "own"], found[key, "other"]
            parts = [
                f"{'gain' if one.finding == 'more' else 'loss'} of {_points(one)} {where}"
                for one, where in ((own, "in the images' light"), (other, "in other light"))
                if one.finding in ("more", "less")
            ]
            if parts:
                title = NORMALIZATIONS[key].title
                said.append(f"{title}: {', '.join(parts)}, against the dataset's mean and std.")
        if not said:
            said.append(
                "None of the others raced differs from the dataset's mean and std by what matters, "
                "as far as these runs can show."
            )
        return said

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Advice:
        """Return the advice that :meth:`to_dict` gave, with labels."""
        bright = dict(record["brightness"])
        low, high = bright["interval"]
        brightness = Brightness(
            **bright | {"split": Split(**bright["split"]), "interval": (low, high)}
        )
        spec: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in record["spec"].items()
        }
        return cls(
            brightness,
            AdviceSpec(**spec),
            record["source"],
            tuple(record["notes"]),
            record["classes"],
            record["accuracy_percent"],
            record["seconds"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts under stable keys, for JSON."""
        record: dict[str, Any] = {
            "headline": self.headline,
            "words": self.words(),
            "source": self.source,
            "brightness": asdict(self.brightness),
            "spec": asdict(self.spec),
            "notes": list(self.notes),
        }
        if self.refused:
            record["refused"] = self.refused
        if self.accuracy is not None:
            record |= {
                "classes": self.classes,
                "chance": self.chance,
                "learned": self.learned,
                "suits": self.suits,
                "seconds": round(self.seconds, 1),
                "shifts_ev": list(self.spec.shifts),
                "accuracy_percent": {
                    key: [[round(one, 2) for one in seeds] for seeds in own]
                    for key, own in self.accuracy.items()
                },
                "effects": [
                    {"method": key, "light": light, **effect.to_json()}
                    for (key, light), effect in self.effects.items()
                ],
            }
        return record


_UNLABELLED = (
    "There are no labels here, or one class alone. Much between images can be light that changes "
    "(then each image's own mean and std remove a nuisance) or things that are dark and bright by "
    "nature (then they remove what counts). With labels, a folder a class and 10 images in each, a "
    "short training race can tell."
)

_ENOUGH = (
    "Enough would be classes that differ at a glance at 16 × 16 pixels, with some 50 images each."
)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _points(effect: Effect) -> str:
    """Return the size of an effect with the half of its interval.

    >>> _points(Effect("x", -21.2, -25.0, -17.4, 6, 0.0, 2.0))
    '21 ± 4 points'
    """
    digits = 0 if effect.half >= 2 else 1
    return f"{abs(effect.mean):.{digits}f} ± {effect.half:.{digits}f} points"


def _signed(effect: Effect) -> str:
    return ("+" if effect.mean >= 0 else "−") + _points(effect)


def advise(
    brightness: Brightness,
    own: LabelledSet | None = None,
    spec: AdviceSpec | None = None,
    workers: int | Workers = 2,
) -> Generator[Record | Advice, None, None]:
    """Yield the records of the race as they come, and the :class:`Advice` last.

    Without ``own``, a labelled set, the advice is of the brightness alone. Closing the generator
    ends the race.
    """
    spec = spec or AdviceSpec()
    if own is None:
        yield Advice(brightness, spec)
        return
    result: Result | None = None
    for record in run(EXPERIMENT, spec, own, workers):
        if isinstance(record, Result):
            result = record
        else:
            yield record
    assert result is not None
    yield Advice(
        brightness,
        spec,
        own.name,
        tuple(getattr(own, "notes", ())),
        len(own.draw(spec.seeds[0], 1, 1).classes),
        result.tables["accuracy"],
        result.seconds,
    )


@cache
def example() -> tuple[str, Advice]:
    """Return the date and the advice on the bundled scenes, computed beforehand."""
    record = json.loads(FILE.read_text(encoding="utf-8"))
    return record["date"], Advice.of(record["advice"])
