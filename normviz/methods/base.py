"""The contract of a normalization: parameters, metadata, ``fit``, and what is fitted.

A method is a frozen dataclass whose fields are its parameters and whose ``about`` block says what
it reduces over, promises and loses. ``fit`` returns a :class:`Fitted`, which is plain numbers.

Inside, every method sees an image as *fractions*: u = (x − low) / (high − low), so that 8-bit,
16-bit and float images of the same scene give the same result.
"""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

import cv2
import numpy as np

from normviz.errors import NotFittedError, ParameterError, ShapeError
from normviz.images import (
    CHANNEL_NAMES,
    Image,
    ValueRange,
    default_range,
    level_count,
    refuse_non_finite,
)
from normviz.methods import kernels
from normviz.methods.code import TARGETS, constants_code, wrapped
from normviz.statistics.image import ImageStatistics, summary_of

FORMAT = "normviz-fitted/1"

Scope = Literal["fixed", "image", "dataset", "batch", "local"]
Invariance = Literal["gain", "offset", "channel_gain", "channel_offset", "colour_cast", "curve"]


@dataclass(frozen=True)
class Source:
    """Where a definition or a constant comes from."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class About:
    """What a method is, in the words of the field; menus, pages and tests derive from it."""

    title: str
    short: str
    """Fits a column head."""
    scope: Scope
    reduces: tuple[str, ...]
    """The axes of (N, H, W, C) that its numbers are taken over."""
    formula: str
    """LaTeX; x is the input, u the input as a fraction of its value range."""
    summary: str
    sources: tuple[Source, ...]
    invariances: frozenset[Invariance]
    """What it is promised not to see: a common gain or offset, one a channel, a colour cast
    (gains a channel, up to one common factor), any rising curve that is the same for all
    channels."""
    loses: str
    flat: str
    """What becomes of an image whose pixels are all the same."""
    unit: str
    """What its output is measured in."""
    nominal: tuple[float, float]
    """The output range that a viewer would clip to."""
    floor: str = ""
    """What takes the place of a smaller std in the divisor: above it alone a gain is promised."""
    joins: str = ""
    """Which values a covariance takes together, such as "channels"; none where it is empty."""
    shuffles: bool = True
    """Whether shuffling the pixels shuffles the result and changes nothing else."""
    invertible: bool = False
    """Whether the fitted numbers alone bring the input back."""
    used_by: str = ""
    channels: tuple[int, ...] = (1, 3)
    """The numbers of channels that it is defined for."""
    needs_images: bool = False
    """Whether ``fit`` takes images themselves, since no statistics of one channel each will do."""
    libraries: tuple[tuple[str, str], ...] = ()
    """(library and function, how its result differs from this definition, with numbers)."""

    @property
    def fits_on(self) -> Literal["", "numbers", "images"]:
        """What ``fit`` needs: nothing, statistics (or a preset), or a sequence of images."""
        if self.needs_images:
            return "images"
        return "numbers" if self.scope in ("dataset", "batch") else ""


class ChannelNumbers(Protocol):
    """What dataset-scope methods ask for: statistics of a set, or published constants."""

    @property
    def fraction_mean(self) -> np.ndarray: ...

    @property
    def fraction_std(self) -> np.ndarray: ...


class PositionNumbers(Protocol):
    """What methods of a mean image ask for: statistics of a set, or an imported mean image."""

    @property
    def fraction_mean_image(self) -> np.ndarray: ...

    @property
    def fraction_std_image(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Affine:
    """One gain and bias a channel on the pixel's own levels: y = gain · level + bias."""

    gain: np.ndarray
    bias: np.ndarray

    def at(self, levels: np.ndarray) -> np.ndarray:
        """Return y for levels ``(..., C)`` in float64."""
        return levels * self.gain + self.bias


@dataclass(frozen=True)
class Method(ABC):
    """Base of all methods. A family file defines ``about`` and ``definition``, and where they
    exist the short cuts ``coefficients`` (one gain and bias a channel) and ``undo``."""

    key: ClassVar[str]
    about: ClassVar[About]
    difference: ClassVar[str] = ""
    """What Albumentations' own mode of this name does otherwise, for a comment in the code."""

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            value = check_parameter(self.about.title, spec, getattr(self, spec.name))
            object.__setattr__(self, spec.name, value)

    def channel_names(self, channels: int) -> tuple[str, ...]:
        """What the channels of the result are called: those of the image, if nothing else is said.

        ``channels`` is the image's number of channels.
        """
        return CHANNEL_NAMES[channels]

    def fit(self, numbers: Any = None) -> Fitted:
        """Take the constants from ``numbers`` (statistics or a preset) and return them fitted.

        ``about.fits_on`` says what to pass: nothing, numbers, or a sequence of :class:`Image`.
        Raises :class:`NotFittedError` when what the method needs is missing.
        """
        constants = {
            name: np.array(value, np.float64) for name, value in self.constants(numbers).items()
        }
        for value in constants.values():
            refuse_non_finite(value, f"{self.about.title}: the fitted constants")
            value.flags.writeable = False
        return Fitted(self, constants)

    def constants(self, numbers: Any) -> Mapping[str, np.ndarray]:
        """Return the numbers to keep, by name; none by default."""
        return {}

    @abstractmethod
    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the normalized image of fractions ``u`` ``(H, W, C)``: the formula itself.

        In float64 this is the reference; in float32, for methods without ``coefficients``, it
        is what the fast path runs.
        """

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return (gain, bias) per channel on fractions, or None when no such pair says it all.

        ``image`` is given to methods of scope ``image`` only.
        """
        return None

    def table(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics
    ) -> np.ndarray | None:
        """Return y for each level of an integer image ``(levels, C)``, rising with the level.

        For methods that look at one value at a time, by a curve; None for all others.
        """
        return None

    def on_bytes(
        self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]
    ) -> np.ndarray | None:
        """Return what ``definition`` gives for uint8 pixels, where bytes are a short cut."""
        return None

    def fitted_channels(self, constants: Mapping[str, np.ndarray]) -> int | None:
        """Return how many channels the constants are for; None when any number will do."""
        return max((value.shape[-1] for value in constants.values()), default=None)

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the fractions that ``definition`` made ``y`` from (invertible methods)."""
        raise NotImplementedError

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        """Return code for ``target`` where the method is no list of constants, or None.

        NumPy's is a must; where another library has no words of its own, that text is wrapped.
        """
        return None

    def remark(self) -> str:
        """Return a comment to add to the exported code, such as a channel order."""
        return ""

    def need(self, numbers: Any) -> Any:
        """Return ``numbers``, or say that this method cannot do without them."""
        if numbers is None:
            raise NotFittedError(
                f"{self.about.title} needs the numbers of a dataset. "
                "Pass statistics (normviz.scan) or a preset to fit()."
            )
        return numbers

    def need_images(self, numbers: Any) -> Sequence[Image]:
        """Return ``numbers`` as the images that they are, or say that images are needed."""
        if isinstance(numbers, Image):
            numbers = [numbers]
        given = list(numbers) if isinstance(numbers, Sequence) else []
        if not given or not all(isinstance(one, Image) for one in given):
            raise NotFittedError(
                f"{self.about.title} needs images to be fitted on. "
                "Pass a list of them (normviz.read, normviz.image_of) to fit()."
            )
        return given


def _promise(method: Method, **facts: Any) -> None:
    """Let this one object's ``about`` say what holds for its parameters, not for the defaults."""
    object.__setattr__(method, "about", dataclasses.replace(method.about, **facts))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A method with its numbers: call it on pixels. Nothing in it changes after ``fit``."""

    method: Method
    constants: Mapping[str, np.ndarray]

    def __call__(
        self, pixels: np.ndarray, value_range: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Return the normalized float32 image ``(H, W, C)``, or batch ``(N, H, W, C)``.

        ``pixels`` is uint8, uint16 or float; floats are taken to lie in 0…1 unless
        ``value_range`` says otherwise. The input stays untouched; nothing is clipped.
        """
        pixels, span = self._checked(pixels, value_range)
        if pixels.ndim == 4:
            out = np.empty(pixels.shape, np.float32)
            for index, one in enumerate(pixels):
                out[index] = self._one(one, span)
            return out
        return self._one(pixels, span)

    def reference(
        self, pixels: np.ndarray, value_range: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Return the definition in float64: what every faster path is checked against."""
        pixels, span = self._checked(pixels, value_range)
        if pixels.ndim == 4:
            done = [self.reference(one, span) for one in pixels]
            return np.stack(done) if done else np.empty(pixels.shape)
        u = (pixels.astype(np.float64) - span.low) / span.span
        return self.method.definition(u, self.constants)

    def affine(self, image: ImageStatistics) -> Affine | None:
        """Return the gain and bias a channel that this image gets, on its own levels.

        None when the result is no such pair (mean images, local methods).
        """
        self._match(image.channels)
        pair = self._pair(lambda: image)
        if pair is None:
            return None
        gain, bias = (np.broadcast_to(np.asarray(v, np.float64), image.channels) for v in pair)
        span = image.value_range
        return Affine(gain / span.span, bias - gain * span.low / span.span)

    def table(self, image: ImageStatistics) -> np.ndarray | None:
        """Return y for each level of this integer image, float64 ``(levels, C)``.

        None for float images, and for methods that look at more than one value at a time.
        """
        self._match(image.channels)
        return self.method.table(self.constants, image) if image.exact else None

    def inverse(
        self, values: np.ndarray, value_range: tuple[float, float] = (0.0, 255.0)
    ) -> np.ndarray:
        """Return the pixel values (float64, in ``value_range``) that gave ``values``.

        Raises :class:`ParameterError` for a method whose numbers are lost with the image.
        """
        if not self.method.about.invertible:
            raise ParameterError(
                f"{self.method.about.title} cannot be undone: {self.method.about.loses}"
            )
        values, span = np.asarray(values, np.float64), _declared(value_range)
        _check_shape(values)
        self._match(values.shape[-1])
        u = self.method.undo(values, self.constants)
        return span.low + u * span.span

    def code(self, target: str = "numpy") -> str:
        """Return code that does the same on 8-bit RGB: one of :meth:`code_targets`.

        Raises :class:`ParameterError` for a target in which this method has no exact form.
        """
        text = self._code(target)
        if text is None:
            raise ParameterError(
                f"{self.method.about.title} has no code for {target!r}; there is "
                f"{', '.join(self.code_targets())}."
            )
        return text

    def code_targets(self) -> tuple[str, ...]:
        """Return the targets that :meth:`code` can write for."""
        return tuple(target for target in TARGETS if self._code(target) is not None)

    def _code(self, target: str) -> str | None:
        if target not in TARGETS:
            return None
        text = self.method.snippet(target, self.constants)
        if text is None and self.method.about.scope in ("fixed", "dataset", "batch"):
            pair = self.method.coefficients(self.constants, None)
            text = constants_code(target, *pair) if pair is not None else None
        if text is None and target != "numpy":
            pixels = self.method.snippet("numpy", self.constants)
            text = wrapped(target, pixels, self.method.difference) if pixels else None
        return text + self.method.remark() if text is not None else None

    def _pair(self, image: Callable[[], ImageStatistics]) -> tuple[np.ndarray, np.ndarray] | None:
        """Gain and bias on fractions; the image is measured only for a method that asks for it."""
        if type(self.method).coefficients is Method.coefficients:
            return None
        if self.method.about.scope == "image":
            return self.method.coefficients(self.constants, image())
        return self._constant_pair

    @cached_property
    def _constant_pair(self) -> tuple[np.ndarray, np.ndarray] | None:
        return self.method.coefficients(self.constants, None)

    def to_json(self) -> str:
        """Return parameters and constants as JSON text; :func:`normviz.from_json` reads it."""
        stored = {
            name: {"shape": list(value.shape), "values": value.ravel().tolist()}
            for name, value in self.constants.items()
        }
        record = {
            "format": FORMAT,
            "method": self.method.key,
            "parameters": dataclasses.asdict(self.method),
            "constants": stored,
        }
        return json.dumps(record)

    def _checked(
        self, pixels: np.ndarray, value_range: tuple[float, float] | None
    ) -> tuple[np.ndarray, ValueRange]:
        pixels = np.asarray(pixels)
        _check_shape(pixels)
        implied = default_range(pixels.dtype)
        span = implied if value_range is None else _declared(value_range)
        if pixels.dtype.kind == "f":
            refuse_non_finite(pixels, "the image")
            _check_inside(pixels, span)
        elif level_count(pixels.dtype) is None:
            raise ShapeError(f"expected uint8, uint16 or float pixels, got {pixels.dtype}.")
        elif span != implied:
            raise ShapeError(
                f"{pixels.dtype} pixels have the value range {tuple(implied)}, not {tuple(span)}."
            )
        self._match(pixels.shape[-1])
        return pixels, span

    def _match(self, channels: int) -> None:
        about = self.method.about
        if channels not in about.channels:
            raise ShapeError(
                f"{about.title} is defined for {' or '.join(map(str, about.channels))} channels, "
                f"and this image has {channels}. A grey image has no colour to normalize."
            )
        own = self.method.fitted_channels(self.constants)
        if own not in (None, 1, channels):
            raise ShapeError(
                f"{about.title} was fitted on {own}-channel images "
                f"and cannot be used on {channels} channel{'s' if channels > 1 else ''}. "
                "Convert the image (normviz.images.as_rgb) or fit again."
            )

    def _one(self, pixels: np.ndarray, span: ValueRange) -> np.ndarray:
        if pixels.dtype == np.uint8:
            done = self.method.on_bytes(pixels, self.constants)
            if done is not None:
                return done
        found: list[ImageStatistics] = []

        def measured() -> ImageStatistics:
            if not found:
                height, width, _ = pixels.shape
                found.append(ImageStatistics(height, width, summary_of(pixels, span)))
            return found[0]

        pair = self._pair(measured)
        if pair is not None:
            gain, bias = pair
            return kernels.affine(pixels, gain / span.span, bias - gain * span.low / span.span)
        if level_count(pixels.dtype) and type(self.method).table is not Method.table:
            table = self.method.table(self.constants, measured())
            if table is not None:
                return kernels.looked_up(pixels, table)
        zero = span.low
        if "offset" in self.method.about.invariances:
            # Not seen by the method; without it float32 keeps all its digits for contrast.
            zero = sum(cv2.mean(pixels)) / pixels.shape[2]
        u = kernels.affine(pixels, np.array(1 / span.span), np.array(-zero / span.span))
        return self.method.definition(u, self.constants).astype(np.float32, copy=False)


def _check_shape(pixels: np.ndarray) -> None:
    if pixels.ndim not in (3, 4) or pixels.shape[-1] not in (1, 3):
        raise ShapeError(
            "expected pixels (height, width, channels) or a batch of them with 1 or 3 "
            f"channels last, got shape {pixels.shape}."
        )
    if 0 in pixels.shape[-3:]:
        raise ShapeError(f"the image is empty (shape {pixels.shape}).")


def _declared(value_range: tuple[float, float]) -> ValueRange:
    span = ValueRange(*map(float, value_range))
    if not (np.isfinite(span).all() and span.low < span.high):
        raise ShapeError(f"the value range {tuple(span)} is empty or endless; give (low, high).")
    return span


def _check_inside(pixels: np.ndarray, span: ValueRange) -> None:
    """Refuse floats outside of the declared range: 0…255 taken for 0…1 is a silent mistake."""
    if not pixels.size:
        return
    low, high = float(pixels.min()), float(pixels.max())
    # A float32 pixel may round just past a bound that was given as float64.
    slack = 1e-6 * max(abs(span.low), abs(span.high))
    if low < span.low - slack or high > span.high + slack:
        raise ShapeError(
            f"float pixels from {low:g} to {high:g} leave the value range {span.low:g}…"
            f"{span.high:g}. Declare theirs, such as value_range=(0, 255)."
        )


def parameter(
    default: Any,
    label: str,
    help: str,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: Mapping[Any, str] | None = None,
    unit: str = "",
) -> Any:
    """A dataclass field that also says how it may be set: bounds or choices, unit, and words."""
    facts = {"label": label, "help": help, "low": low, "high": high, "step": step}
    return dataclasses.field(default=default, metadata={**facts, "choices": choices, "unit": unit})


def check_parameter(owner: str, spec: dataclasses.Field, value: Any) -> Any:
    """Return ``value`` as a plain Python value of the field's type, so that JSON can hold it.

    Raises :class:`ParameterError` unless it fits the field's bounds or choices.
    """
    facts = spec.metadata
    name = f"{owner}: {facts['label']}"
    kind: type = type(spec.default)
    if facts["choices"] is not None:
        for choice in facts["choices"]:
            # 255.0 is the choice 255, but True is not the choice 1.
            if isinstance(value, bool) == isinstance(choice, bool) and value == choice:
                return choice
        allowed = ", ".join(map(str, facts["choices"]))
        raise ParameterError(f"{name} is one of {allowed}; got {value!r}.")
    if kind is bool:
        if not isinstance(value, bool):
            raise ParameterError(f"{name} is True or False; got {value!r}.")
        return value
    numbers = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    is_number = isinstance(value, numbers) and not isinstance(value, bool)
    if not (is_number and facts["low"] <= value <= facts["high"]):
        whole = "a whole number " if kind is int else ""
        raise ParameterError(
            f"{name} is {whole}from {facts['low']:g} to {facts['high']:g}; got {value!r}."
        )
    return kind(value)
