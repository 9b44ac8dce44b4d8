"""The contract of a step: parameters, words, what it does to pixels and to their value range.

Between two steps the pixels are uint8, uint16 or float32 and have a declared value range, or none:
what was centred and divided by a std has no lowest and no highest *possible* value any more.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from normviz.errors import ParameterError, ShapeError
from normviz.images import BYTE_RANGE, ValueRange
from normviz.methods.base import Fitted, Source, check_parameter, parameter

FLOAT = np.dtype(np.float32)


class Kind(NamedTuple):
    """What is known of the values between two steps without looking at any."""

    dtype: np.dtype
    value_range: ValueRange | None

    @property
    def whole(self) -> bool:
        """Whether they are integers."""
        return bool(np.issubdtype(self.dtype, np.integer))


BYTES = Kind(np.dtype(np.uint8), BYTE_RANGE)
"""What most files hold."""


@dataclass(frozen=True)
class StepAbout:
    """What a step is, in the words of the field; menus and pages derive from it."""

    title: str
    short: str
    """Fits a column head."""
    formula: str
    """LaTeX; x is what arrives."""
    summary: str
    sources: tuple[Source, ...]
    needs_range: bool = False
    """Whether it has to know the lowest and the highest possible value."""
    libraries: tuple[tuple[str, str], ...] = ()
    """(library and function, how its result differs from this step, with numbers)."""


@dataclass(frozen=True)
class Step(ABC):
    """Base of all steps: a frozen dataclass whose fields are its parameters."""

    key: ClassVar[str]
    about: ClassVar[StepAbout]

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            if "label" in spec.metadata:
                value = _checked(self.about.title, spec, getattr(self, spec.name))
                object.__setattr__(self, spec.name, value)

    @abstractmethod
    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        """Return what becomes of pixels ``(H, W, C)``; they themselves stay untouched.

        ``fitted`` is given to the step that holds a method.
        """

    def after(self, kind: Kind) -> Kind:
        """Return what is known of the result when ``kind`` is known of what arrives."""
        return kind

    @abstractmethod
    def words(self) -> str:
        """Return the step with its parameters in a few words, such as "centre crop 224"."""

    @abstractmethod
    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        """Return lines that do it, or None where ``target`` has no exact form of it.

        For "numpy" they turn ``x`` into ``x``; for "torchvision" they are entries of a Compose.
        """

    @property
    def channels(self) -> int | None:
        """How many channels it must be given; None when any number will do."""
        return None

    def to_record(self) -> dict[str, Any]:
        """Return the step as plain values for JSON."""
        return {"step": self.key, **dataclasses.asdict(self)}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Step:
        """Return the step that ``to_record`` wrote, from all but its name.

        What is left out takes its default. Raises :class:`ParameterError` for unknown names.
        """
        known = [spec.name for spec in dataclasses.fields(cls)]
        for name in parameters:
            if name not in known:
                raise ParameterError(
                    f"{cls.about.title} has no parameter {name!r}; "
                    f"there {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}."
                )
        return cls(**parameters)

    def _refuse_channels(self, pixels: np.ndarray) -> None:
        if self.channels not in (None, pixels.shape[2]):
            raise ShapeError(
                f"{self.about.title} is for {self.channels} channels, and this image has "
                f"{pixels.shape[2]}. Put the step “to RGB” before it."
            )


def numbers(default: Sequence[float], label: str, help: str, **facts: Any) -> Any:
    """A parameter that is one number for all channels, or one for each of three."""
    return parameter(tuple(default), label, help, **facts)


def range_of(low: float, high: float) -> ValueRange | None:
    """Return the range with these ends in either order; None where no finite one has them."""
    low, high = min(low, high), max(low, high)
    return ValueRange(low, high) if low < high and np.isfinite([low, high]).all() else None


def _checked(owner: str, spec: dataclasses.Field, value: Any) -> Any:
    if not isinstance(spec.default, tuple):
        return check_parameter(owner, spec, value)
    if isinstance(value, (int, float)):
        value = (value,)
    if not isinstance(value, (Sequence, np.ndarray)) or len(value) not in (1, 3):
        raise ParameterError(
            f"{owner}: {spec.metadata['label']} is a list of 1 or 3 numbers; got {value!r}."
        )
    one = dataclasses.field(default=spec.default[0], metadata=spec.metadata)
    return tuple(check_parameter(owner, one, each) for each in value)
