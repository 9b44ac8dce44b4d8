"""Does subtracting the mean make gradients act alike on red, green and blue?

The norm of the first layer's gradient that belongs to each channel of the input, largest over
smallest, while training begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.lab.evidence import Asked, Verdict, effects, undecided
from normviz.lab.experiment import Conclusion, Experiment, Record, Spec
from normviz.lab.labelled import PHOTO_PATCHES, LabelledSet
from normviz.lab.net import small_net
from normviz.lab.optimizers import SGD
from normviz.lab.race import lit
from normviz.lab.summary import mean_and_spread, worded
from normviz.lab.training import batches, train


@dataclass(frozen=True)
class ChannelGradientsSpec(Spec):
    """A ratio of 1 + ``relevant`` is not uniform, and a change by as much matters."""

    methods: tuple[str, ...] = ("raw1", "ds_mean", "ds_z", "img_z")
    rate: float = 0.01
    per_class: int = 60
    sigma: float = 1.0
    steps: int = 100
    batch: int = 32
    relevant: float = 0.1


def work(spec: ChannelGradientsSpec, seed: int, source: LabelledSet) -> Iterator[Record]:
    images = lit(source, seed, spec.sigma, spec.per_class, 1)
    channels = images.train.shape[-1]
    net = small_net(images.train.shape[1:], images.classes)
    at, shape = net.places[net.first]["W"]
    order = batches(seed, len(images.train), spec.batch, spec.steps)
    found: dict[str, Any] = {}
    for key in spec.methods:
        x, _ = images.normalized(key)
        ratios, shares = [], []
        for step in train(
            net,
            net.prepared(x),
            images.train_labels,
            order,
            (spec.rate,),
            SGD(),
            net.start(seed),
        ):
            # Rows of the weights are (row, column, channel) of the patch.
            own = step.gradient[0, at].reshape(-1, channels, shape[1]).astype(np.float64)
            norms = np.sqrt((own**2).sum(axis=(0, 2)))
            ratios.append(norms.max() / norms.min())
            shares.append(norms / norms.sum())
        found[key] = {
            "ratio": float(np.mean(ratios)),
            "shares": np.mean(shares, axis=0).round(4).tolist(),
        }
        yield Record(seed, "gradients", {"method": key, **found[key]})
    yield Record(seed, "seed", found)


def conclude(spec: ChannelGradientsSpec, seeds: list[Mapping[str, Any]]) -> Conclusion:
    words = "ratio of largest to smallest channel's gradient"
    left, evened = found = effects(
        Asked(
            f"{words} over 1, dataset mean subtracted",
            [one["ds_mean"]["ratio"] - 1 for one in seeds],
            spec.relevant,
        ),
        Asked(
            f"{words}, ÷ 255 less dataset mean",
            [one["raw1"]["ratio"] - one["ds_mean"]["ratio"] for one in seeds],
            spec.relevant,
        ),
    )
    table: dict[str, Any] = {
        key: {
            "ratio": mean_and_spread([one[key]["ratio"] for one in seeds]),
            "shares": [
                mean_and_spread([one[key]["shares"][c] for one in seeds])
                for c in range(len(seeds[0][key]["shares"]))
            ],
        }
        for key in spec.methods
    }
    said = (
        "The gradients of the channel with most and with least stand as "
        f"{worded(table['raw1']['ratio'][0])} to 1 without, and "
        f"{worded(table['ds_mean']['ratio'][0])} to 1 with "
        "the dataset's mean subtracted."
    )
    if left.finding == "same":
        word = "holds"
    elif left.finding == "more":
        word = "fails"
        if evened.finding == "more":
            said += " That is more even, but not uniform."
    else:
        word, said = "not decided", f"{said} {undecided(found)}"
    return Conclusion((Verdict(9, word, said, found),), {"methods": table})


EXPERIMENT = Experiment(
    "channel_gradients",
    "Gradients of red, green and blue",
    "Does subtracting the mean even out the gradients of the colour channels?",
    (9,),
    ChannelGradientsSpec(),
    work,
    conclude,
    PHOTO_PATCHES,
    "First layer, first 100 steps, one learning rate; needs colour images.",
    colour=True,
)
