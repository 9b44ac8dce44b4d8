"""The step that holds a method of the catalogue."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.errors import NotFittedError, ParameterError
from normviz.images import ValueRange
from normviz.methods.base import Fitted, Method, Source
from normviz.methods.fixed import ScaleToUnit
from normviz.methods.registry import METHODS
from normviz.pipeline.base import FLOAT, Kind, Step, StepAbout, range_of


@dataclass(frozen=True)
class Normalize(Step):
    """Any registered method; it sees fractions of the value range that arrives.

    A method that takes numbers of a set is fitted on the images as they arrive at this step.

    >>> from normviz.images import BYTE_RANGE
    >>> step = Normalize(METHODS["scale_11"]())
    >>> step.run(np.array([[[255]]], np.uint8), BYTE_RANGE, step.method.fit()).item()
    1.0
    """

    key = "normalize"
    about = StepAbout(
        title="Normalize",
        short="normalize",
        formula=r"y = f\left(\frac{x - a}{b - a}\right)",
        summary="Applies a method of the catalogue to fractions of the value range; what it is "
        "fitted on are the images as they arrive here.",
        sources=(Source("The method names its own sources."),),
        needs_range=True,
    )
    method: Method = dataclasses.field(default_factory=ScaleToUnit)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.method, Method):
            raise ParameterError(
                f"Normalize takes a method, such as normviz.METHODS['scale_11'](); "
                f"got {self.method!r}."
            )

    @property
    def channels(self) -> int | None:
        return 3 if self.method.about.channels == (3,) else None

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        if fitted is None:
            raise NotFittedError(f"{self.method.about.title} is not fitted; fit the pipeline.")
        return fitted(pixels, value_range)

    def after(self, kind: Kind) -> Kind:
        if self.method.about.scope == "fixed":
            pair = self.method.coefficients(self.method.constants(None), None)
            if pair is not None:
                gain, bias = (np.unique(value) for value in pair)
                if len(gain) == len(bias) == 1:
                    return Kind(FLOAT, range_of(float(bias[0]), float(gain[0] + bias[0])))
        return Kind(FLOAT, None)

    def words(self) -> str:
        changed = [
            f"{spec.name} {value:g}" if isinstance(value, float) else f"{spec.name} {value}"
            for spec in dataclasses.fields(self.method)
            if (value := getattr(self.method, spec.name)) != spec.default
        ]
        return f"normalize: {self.method.about.short}" + (
            f" ({', '.join(changed)})" * bool(changed)
        )

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        """As an affine where it is one; ``pipeline.code`` writes the others above its own text."""
        if fitted is None or kind.value_range is None:
            return None
        if self.method.about.scope not in ("fixed", "dataset", "batch"):
            return None
        pair = self.method.coefficients(fitted.constants, None)
        if pair is None:
            return None
        gain, bias = (np.asarray(value, np.float64) for value in np.broadcast_arrays(*pair))
        low, span = kind.value_range.low, kind.value_range.span
        if target == "numpy":
            u = f"(x - {low!r}) / {span!r}" if low else f"x / {span!r}"
            gain_line, bias_line = (
                f"gain = np.array({gain.tolist()})",
                f"bias = np.array({bias.tolist()})",
            )
            return [gain_line, bias_line, f"x = {u} * gain + bias"]
        mean, std = (0.0 - bias / gain).tolist(), (1 / gain).tolist()
        scaled = f"v2.Lambda(lambda x: (x.to(torch.float32) - {low!r}) / {span!r})"
        if kind.dtype == np.uint8:
            scaled = "v2.ToDtype(torch.float32, scale=True)"
        return [scaled, f"v2.Normalize(\n    mean={mean},\n    std={std},\n)"]

    def to_record(self) -> dict[str, Any]:
        return {
            "step": self.key,
            "method": self.method.key,
            "parameters": dataclasses.asdict(self.method),
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Step:
        for name in parameters:
            if name not in ("method", "parameters"):
                raise ParameterError(f"Normalize has no {name!r}; there are method and parameters.")
        kind = METHODS.get(str(parameters.get("method")))
        if kind is None:
            raise ParameterError(
                f"there is no method {parameters.get('method')!r}; there are {', '.join(METHODS)}."
            )
        given = parameters.get("parameters", {})
        known = {spec.name for spec in dataclasses.fields(kind)}
        if not isinstance(given, Mapping) or not known.issuperset(given):
            raise ParameterError(
                f"the parameters of {kind.key} are {', '.join(sorted(known)) or 'none'}; "
                f"got {given!r}."
            )
        return cls(kind(**given))
