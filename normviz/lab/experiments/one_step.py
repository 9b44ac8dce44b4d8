"""How often does a batch's gradient point downhill for the loss of all images?

From one network, trained a little: many batches. A gradient points downhill when a step along it,
small enough, lowers the full loss, that is when its product with the full gradient is positive;
beside it stands how often a step of the usual size does lower the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import cross_entropy, small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import lit
from normviz.lab.summary import mean_and_spread
from normviz.lab.training import trained


@dataclass(frozen=True)
class OneStepSpec(Spec):
    """Shares are in percent of ``draws`` steps; ``relevant`` in points."""

    sizes: tuple[int, ...] = (1, 4, 16, 64)
    draws: int = 128
    rate: float = 0.05
    warm_steps: int = 30
    per_class: int = 60
    measured: int = 300
    sigma: float = 1.0
    relevant: float = 10.0


_TOGETHER = 16


def work(spec: OneStepSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    images = lit(source, seed, spec.sigma, spec.per_class, 1)
    x, _ = images.normalized("ds_z")
    net = small_net(images.train.shape[1:], images.classes)
    runs = trained(net, x, images.train_labels, seed, (spec.rate,), spec.warm_steps, 32, SGD())
    random = np.random.default_rng([seed, 11])
    chosen = random.permutation(len(x))[: spec.measured]
    prepared, labels = net.prepared(x[chosen]), images.train_labels[chosen]
    before, downhill, _ = net.gradient(runs.theta, prepared, labels)
    falls: list[float] = []
    angles: list[float] = []
    theta = np.repeat(runs.theta, _TOGETHER, axis=0)
    for size in spec.sizes:
        lower, ahead = [], []
        for _ in range(-(-spec.draws // _TOGETHER)):
            batch = random.integers(len(chosen), size=(_TOGETHER, size))
            _, gradient, _ = net.gradient(theta, prepared[batch], labels[batch])
            logits, _ = net.forward(theta - np.float32(spec.rate) * gradient, prepared)
            lower.append(cross_entropy(logits, labels)[0] < before)
            ahead.append((gradient * downhill).sum(axis=1) > 0)
        falls.append(100 * float(np.mean(lower)))
        angles.append(100 * float(np.mean(ahead)))
        point = {"batch": size, "falls": falls[-1], "downhill": angles[-1]}
        yield Record(seed, "step", point)
    yield Record(seed, "seed", {"falls": falls, "downhill": angles})


def conclude(spec: OneStepSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    one_sample, many, whole = found = effects(
        *(
            Asked(
                f"gradients of {size} image{'s' * (size > 1)} that do not point downhill",
                [100 - one["downhill"][i] for one in seeds],
                spec.relevant,
                "%",
            )
            for i, size in ((0, spec.sizes[0]), (-1, spec.sizes[-1]))
        ),
        Asked(
            f"steps on {spec.sizes[0]} image after which the full loss is lower, less half of all",
            [one["falls"][0] - 50 for one in seeds],
            spec.relevant,
            "points",
            between=(-50.0, 50.0),
        ),
    )

    def shares(name: str) -> str:
        return ", ".join(
            f"{sum(one[name][i] for one in seeds) / len(seeds):.0f}" for i in range(len(spec.sizes))
        )

    said = (
        f"Of gradients of {', '.join(map(str, spec.sizes))} images {shares('downhill')} % point "
        f"downhill; at a rate of {spec.rate:g} the full loss falls in {shares('falls')} % of steps."
    )
    if "open" in (one_sample.finding, many.finding):
        word, said = "not decided", f"{said} {undecided((one_sample, many))}"
    else:
        word = "holds" if (one_sample.finding, many.finding) == ("more", "same") else "fails"
        if whole.finding == "less":
            said += " A whole step on one image mostly ends higher, whatever its direction."
    tables = {
        "sizes": list(spec.sizes),
        **{
            name: [mean_and_spread([one[name][i] for one in seeds]) for i in range(len(spec.sizes))]
            for name in ("falls", "downhill")
        },
    }
    return Conclusion((Verdict(12, word, said, found),), tables)


EXPERIMENT = Experiment(
    "one_step",
    "One sample or many",
    "Does one image's gradient point downhill for all?",
    (12,),
    OneStepSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "Early in training. Whether the loss falls depends on the rate, the direction does not.",
)
