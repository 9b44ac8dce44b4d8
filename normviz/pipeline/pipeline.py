"""Ordered steps, fitted and applied; every stage of an image can be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from normviz.errors import NotFittedError, ParameterError
from normviz.images import Image, ValueRange, image_of, refuse_non_finite
from normviz.methods.base import ChannelNumbers, Fitted
from normviz.pipeline import code
from normviz.pipeline.base import BYTES, Kind, Step
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import ChannelOrder
from normviz.statistics import DatasetStatistics
from normviz.statistics.scanning import scanned

FORMAT = "normviz-pipeline/1"

MEAN_IMAGE_SIDE = 224


Measure = Callable[["FittedPipeline", Step, int | None], DatasetStatistics]


class Stage(NamedTuple):
    """An image after a step; ``step`` is None for the image as it came."""

    step: Step | None
    pixels: np.ndarray
    value_range: ValueRange | None


@dataclass(frozen=True)
class Pipeline:
    """Steps in the order in which they are done.

    >>> from normviz.images import image_of
    >>> from normviz.pipeline import STEPS
    >>> steps = [STEPS["centre_crop"](2), STEPS["scale"](1 / 255), STEPS["mean_std"](0.5, 0.5)]
    >>> pipeline = Pipeline(steps)
    >>> print(pipeline.words())
    centre crop 2 → ÷ 255 → − (0.5) ÷ (0.5)
    >>> pipeline.fit()(image_of(np.array([[0, 255, 0, 9]], np.uint8)))[..., 0].tolist()
    [[1.0, -1.0], [-1.0, -1.0]]
    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        steps = tuple(self.steps)
        for step in steps:
            if not isinstance(step, Step):
                raise ParameterError(f"a pipeline is made of steps; got {step!r}.")
        object.__setattr__(self, "steps", steps)

    @property
    def fits_on(self) -> bool:
        """Whether ``fit`` needs images: a step holds a method that takes numbers of a set."""
        return any(isinstance(step, Normalize) and step.method.about.fits_on for step in self.steps)

    def fit(
        self,
        images: Iterable[Image] | ChannelNumbers | None = None,
        *,
        mean_image: int = MEAN_IMAGE_SIDE,
        measure: Measure | None = None,
    ) -> FittedPipeline:
        """Fit each method on ``images`` as they arrive at its step, and return the whole fitted.

        Constants (statistics, a preset, an imported mean image) may be given in their place. Each
        method takes them as they are, as fractions of the value range that arrives at it; only
        where earlier steps have turned RGB to BGR, they are turned along.

        ``images`` is gone through once for each method that needs a set and may decode them one
        by one (:func:`normviz.read`); no more than one is held at a time, but for methods that
        ask for all images at once. ``mean_image`` is the side of mean images where a method
        keeps one. ``measure`` scans in its own way, on other engines: it is called with the
        pipeline so far, the step to fit and the side, and returns the statistics of the images
        as they arrive there.

        Raises :class:`NotFittedError` when a method needs images and there are none, and
        :class:`ParameterError` where a step needs a value range and has none.

        >>> from normviz.methods import METHODS
        >>> from normviz.presets import PRESETS
        >>> pipeline = Pipeline((ChannelOrder(), Normalize(METHODS["dataset_zscore"]())))
        >>> pipeline.fit(PRESETS["imagenet"]).fits[1].constants["mean"].tolist()
        [0.406, 0.456, 0.485]
        """
        # Of the class, since asking the object would compute the mean.
        if hasattr(type(images), "fraction_mean"):
            return self._on_constants(images)
        fits: list[Fitted | None] = []
        for number, step in enumerate(self.steps, 1):
            if not isinstance(step, Normalize):
                fits.append(None)
                continue
            numbers: Any = None
            about = step.method.about
            if about.fits_on:
                if not isinstance(images, Iterable):
                    raise NotFittedError(
                        f"step {number} ({about.title}) takes its numbers from a set; "
                        "pass images or constants to fit()."
                    )
                so_far = FittedPipeline(Pipeline(self.steps[: number - 1]), tuple(fits))
                arriving = Arriving(images, so_far, step)
                # Only methods that reduce over the images alone keep a number at each position.
                side = mean_image if about.reduces == ("N",) else None
                if about.needs_images:
                    numbers = arriving
                elif measure is None:
                    numbers = scanned(iter(arriving), mean_image=side)
                else:
                    numbers = measure(so_far, step, side)
            fits.append(step.method.fit(numbers))
        return FittedPipeline(self, tuple(fits))

    def _on_constants(self, constants: Any) -> FittedPipeline:
        fits: list[Fitted | None] = []
        turned = False
        for number, step in enumerate(self.steps, 1):
            turned ^= isinstance(step, ChannelOrder)
            if not isinstance(step, Normalize):
                fits.append(None)
            elif not step.method.about.fits_on:
                fits.append(step.method.fit())
            elif step.method.about.needs_images:
                raise NotFittedError(
                    f"step {number}: {step.method.about.title} is fitted on images, and constants "
                    "hold none."
                )
            else:
                fitted = step.method.fit(constants)
                fits.append(_turned(fitted) if turned else fitted)
        return FittedPipeline(self, tuple(fits))

    def kinds(self, kind: Kind = BYTES) -> list[Kind]:
        """Return what is known of the values before each step and after the last one.

        Raises :class:`ParameterError` at a step that needs a value range and has none.
        """
        known = [kind]
        for number, step in enumerate(self.steps):
            if step.about.needs_range and known[-1].value_range is None:
                raise _no_range(step, self.steps[:number], known)
            known.append(step.after(known[-1]))
        return known

    def words(self) -> str:
        """Return the steps in a few words each, with arrows between them."""
        return " → ".join(step.words() for step in self.steps) or "nothing"

    def to_json(self) -> str:
        """Return the steps and their parameters as JSON text; ``from_json`` reads it."""
        return json.dumps(self._record(), indent=1, ensure_ascii=False)

    def _record(self) -> dict[str, Any]:
        return {"format": FORMAT, "steps": [step.to_record() for step in self.steps]}


@dataclass(frozen=True, eq=False)
class FittedPipeline:
    """A pipeline with its numbers: call it on images. Nothing in it changes after ``fit``."""

    pipeline: Pipeline
    fits: tuple[Fitted | None, ...]
    """For each step its fitted method; None for steps that hold none."""

    def __call__(self, image: Image) -> np.ndarray:
        """Return what the network would get: float32 ``(H, W, C)``. The image stays untouched."""
        *_, last = self.stages(image)
        refuse_non_finite(last.pixels, image.path or "the image after the pipeline")
        done = np.ascontiguousarray(last.pixels, np.float32)
        return done.copy() if np.may_share_memory(done, image.pixels) else done

    def stages(self, image: Image) -> Iterator[Stage]:
        """Yield the image as it came, then as it is after each step.

        Raises :class:`ParameterError` at a step that needs a value range and has none.
        """
        pixels, span = image.pixels, image.value_range
        known = [Kind(pixels.dtype, span)]
        yield Stage(None, pixels, span)
        for number, (step, fitted) in enumerate(zip(self.pipeline.steps, self.fits, strict=True)):
            if step.about.needs_range and known[-1].value_range is None:
                raise _no_range(step, self.pipeline.steps[:number], known)
            with np.errstate(over="ignore"):
                pixels = step.run(pixels, known[-1].value_range, fitted)
            known.append(step.after(known[-1]))
            yield Stage(step, pixels, known[-1].value_range)

    def image(self, image: Image) -> Image | None:
        """Return the image after the last step, with its value range; None where it has none."""
        *_, last = self.stages(image)
        if last.value_range is None:
            return None
        return image_of(last.pixels, last.value_range, image.path, image.label, image.notes)

    def code(self, target: str = "numpy") -> str:
        """Return code that does the same to 8-bit images, for "numpy" or "torchvision".

        Raises :class:`ParameterError` where a step has no exact form there.
        """
        return code.written(target, self.pipeline.steps, self.fits, self.pipeline.kinds())

    def to_json(self) -> str:
        """Return steps and fitted numbers as JSON text; ``from_json`` reads it."""
        fits = [None if one is None else json.loads(one.to_json()) for one in self.fits]
        return json.dumps({**self.pipeline._record(), "fitted": fits}, ensure_ascii=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FittedPipeline) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.pipeline)


class Arriving(Sequence[Image]):
    """Images as they are after a pipeline, made when they are asked for; none is kept.

    ``wants`` is the step that they are for, which is named when they have no value range.
    """

    def __init__(
        self, images: Iterable[Image], fitted: FittedPipeline, wants: Step | None = None
    ) -> None:
        if isinstance(images, Iterator):
            raise ParameterError(
                "the images are gone through more than once: give a list or normviz.read(…), "
                "not a generator."
            )
        self.images: Any = images
        self.fitted = fitted
        self.wants = wants

    def __iter__(self) -> Iterator[Image]:
        for image in self.images:
            yield self._through(image)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self._through(self.images[index])

    @property
    def problems(self) -> Sequence[Any]:
        """What the images' own collection could not read."""
        return getattr(self.images, "problems", ())

    def _through(self, image: Image) -> Image:
        done = self.fitted.image(image)
        if done is None:
            steps = self.fitted.pipeline.steps
            known = self.fitted.pipeline.kinds(Kind(image.pixels.dtype, image.value_range))
            raise _no_range(self.wants, steps, known)
        return done


def _turned(fitted: Fitted) -> Fitted:
    """The constants of R, G, B as those of B, G, R; channels are their last axis."""
    turned = {name: value[..., ::-1] for name, value in fitted.constants.items()}
    return Fitted(fitted.method, turned)


def _no_range(step: Step | None, before: Sequence[Step], known: Sequence[Kind]) -> ParameterError:
    """``known`` holds the kind before each step of ``before`` and after the last."""
    ranged = [number for number, kind in enumerate(known) if kind.value_range is not None]
    culprit = f"step {ranged[-1] + 1} “{before[ranged[-1]].words()}”" if ranged else "reading"
    who = "A scan needs" if step is None else f"Step {len(before) + 1} “{step.words()}” needs"
    remedy = "" if step is None else " Move it before that step, or put a clip step between them."
    return ParameterError(
        f"{who} values with a lowest and a highest possible value, and after {culprit} "
        f"there is none.{remedy}"
    )
