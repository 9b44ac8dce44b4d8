"""What an import gives back: numbers that methods can be fitted on, and how they were had."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from normviz.errors import NotFittedError, ParameterError, ReadError
from normviz.pipeline.base import Step
from normviz.pipeline.pipeline import Pipeline
from normviz.pipeline.values import ChannelOrder, MeanStd, Scale, ToRGB
from normviz.presets import PRESETS, ChannelConstants


class MeanImage:
    """A mean image as RGB fractions, from a file that may have held BGR and 0–255.

    It has no std: what it is subtracted from is then divided by 1 in the file's own unit.

    >>> caffe = MeanImage(np.full((2, 2, 3), (104.0, 117.0, 123.0)), "BGR", 255)
    >>> (caffe.fraction_mean * 255).round(6).tolist()
    [123.0, 117.0, 104.0]
    """

    def __init__(self, values: np.ndarray, order: str, scale: float) -> None:
        """``values`` are ``(H, W, C)`` in the channel ``order`` and range 0…``scale`` given."""
        self.order = order
        self.scale = scale
        turned = values[..., ::-1] if order == "BGR" else values
        self._fractions = turned.astype(np.float64) / scale
        self._fractions.flags.writeable = False

    @property
    def height(self) -> int:
        return self._fractions.shape[0]

    @property
    def width(self) -> int:
        return self._fractions.shape[1]

    @property
    def channels(self) -> int:
        return self._fractions.shape[2]

    @property
    def fraction_mean_image(self) -> np.ndarray:
        """The mean at each position ``(height, width, C)``, read-only."""
        return self._fractions

    @property
    def fraction_std_image(self) -> np.ndarray:
        raise NotFittedError(
            "an imported mean image says nothing of the spread at each position. Use it for "
            "“Dataset mean image subtracted”, or fit on images."
        )

    @property
    def fraction_mean(self) -> np.ndarray:
        """The mean colour: the mean over all positions."""
        return self._fractions.mean(axis=(0, 1))

    @property
    def fraction_std(self) -> np.ndarray:
        """A divisor of 1 in the file's unit, since such a mean comes without a std."""
        return np.full(self.channels, 1 / self.scale)


@dataclass(frozen=True, eq=False)
class Imported:
    """What was found; ``numbers`` goes to ``fit`` of the dataset methods."""

    kind: str
    """What it is, such as "Hugging Face preprocessor_config.json"."""
    numbers: ChannelConstants | MeanImage
    words: str
    """Sentences: what was found, and how it was converted."""
    problems: tuple[str, ...] = ()
    """Sentences on what was assumed, left out, or looks wrong."""
    pipeline: Pipeline | None = None
    """The steps as they are done, where the source says them."""


def constants_from(
    name: str,
    mean: Sequence[float],
    std: Sequence[float],
    scale: float,
    order: str = "RGB",
) -> ChannelConstants:
    """Return constants of 1 or 3 channels; a single number beside three counts for each.

    Raises :class:`ReadError` for other lengths, and for numbers that nothing can be divided by.
    """
    mean, std = tuple(map(float, mean)), tuple(map(float, std))
    channels = max(len(mean), len(std))
    if channels not in (1, 3) or {len(mean), len(std)} - {1, channels}:
        raise ReadError(
            name,
            f"it has {len(mean)} mean and {len(std)} std numbers, and images here have 1 or 3 "
            "channels",
            "Give one or three of each",
        )
    if not all(map(math.isfinite, (*mean, *std))) or max(map(abs, (*mean, *std))) > 1e6:
        raise ReadError(name, "a mean or std is not finite, or beyond a million")
    if min(map(abs, std)) < 1e-6:
        raise ReadError(
            name, f"a std of {min(std, key=abs):g} would divide by zero", "Give a larger one"
        )
    mean, std = (v * channels if len(v) == 1 else v for v in (mean, std))
    return ChannelConstants(mean, std, scale, order if channels == 3 else "grey")


def _values_steps(constants: ChannelConstants) -> list[Step]:
    """The steps that do y = (x − mean) / std on bytes, in the network's channel order."""
    steps: list[Step] = [ChannelOrder()] if constants.order == "BGR" else []
    if constants.scale != 255:
        steps.append(Scale(constants.scale / 255))
    if any(constants.mean) or set(constants.std) != {1.0}:
        steps.append(MeanStd(constants.mean, constants.std))
    return steps


def pipeline_of(name: str, constants: ChannelConstants, *before: Step) -> Pipeline | None:
    """Return the whole: to RGB, ``before``, then the numbers; None where a std is negative."""
    if min(constants.std) <= 0:
        return None
    first: tuple[Step, ...] = (ToRGB(),) if constants.channels == 3 else ()
    try:
        return Pipeline((*first, *before, *_values_steps(constants)))
    except ParameterError as error:
        raise ReadError(name, str(error)) from None


def known_as(constants: ChannelConstants) -> tuple[str, tuple[str, ...]]:
    """Compare with the published presets: (a sentence to add, problems)."""
    mean, std = constants.fraction_mean, constants.fraction_std
    words, problems = "", []
    for preset in PRESETS.values():
        if preset.channels != constants.channels:
            continue
        if _close(mean, preset.fraction_mean) and _close(std, preset.fraction_std):
            words = words or f" These are the numbers of “{preset.title}”."
            if preset.folklore:
                problems.append(preset.note)
        elif (
            np.ptp(mean) > 0.01
            and not preset.folklore
            and _close(mean[::-1], preset.fraction_mean)
            and not problems
        ):
            problems.append(
                f"Read as B, G, R the mean is that of “{preset.title}”: if the network takes BGR, "
                "say so, or red and blue are mixed up."
            )
    return words, tuple(problems)


def _close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.allclose(ours, theirs, rtol=1e-3, atol=5e-4))
