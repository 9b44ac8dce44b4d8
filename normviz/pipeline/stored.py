"""Pipelines from JSON: names, parameters and plain numbers, nothing that runs."""

from __future__ import annotations

import json
from typing import Any

from normviz.errors import ParameterError
from normviz.methods import stored as methods_stored
from normviz.methods.base import Fitted
from normviz.pipeline.base import Step
from normviz.pipeline.method import Normalize
from normviz.pipeline.pipeline import FORMAT, FittedPipeline, Pipeline
from normviz.pipeline.registry import STEPS


def from_json(text: str) -> Pipeline | FittedPipeline:
    """Return what ``Pipeline.to_json`` or ``FittedPipeline.to_json`` wrote.

    Of a step that was written by hand, what is left out takes its default.

    Raises :class:`ParameterError` for anything else.

    >>> steps = '[{"step": "resize", "size": 8}, {"step": "clip"}]'
    >>> from_json('{"format": "normviz-pipeline/1", "steps": ' + steps + "}").words()
    'resize 8 (shorter side, bilinear, Pillow) → clip 0…1'
    """
    try:
        record: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"this is not JSON: {error}.") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ParameterError(
            f'expected a pipeline with "format": "{FORMAT}" and "steps", as Pipeline.to_json() '
            "writes it."
        )
    steps = record.get("steps")
    if not isinstance(steps, list):
        raise ParameterError('the pipeline\'s "steps" must be a list.')
    pipeline = Pipeline(tuple(_step(number, one) for number, one in enumerate(steps, 1)))
    if "fitted" not in record:
        return pipeline
    fits = record["fitted"]
    if not isinstance(fits, list) or len(fits) != len(steps):
        raise ParameterError(f'the pipeline\'s "fitted" must be a list of {len(steps)}.')
    pairs = enumerate(zip(pipeline.steps, fits, strict=True), 1)
    return FittedPipeline(pipeline, tuple(_fitted(n, step, one) for n, (step, one) in pairs))


def _step(number: int, record: Any) -> Step:
    if not isinstance(record, dict):
        raise ParameterError(f"step {number} must be an object with a “step” name.")
    kind = STEPS.get(str(record.get("step")))
    if kind is None:
        raise ParameterError(
            f"step {number}: there is no step {record.get('step')!r}; there are {', '.join(STEPS)}."
        )
    try:
        return kind.from_parameters({key: record[key] for key in record if key != "step"})
    except ParameterError as error:
        raise ParameterError(f"step {number}: {error}") from None


def _fitted(number: int, step: Step, record: Any) -> Fitted | None:
    if not isinstance(step, Normalize):
        if record is not None:
            raise ParameterError(f"step {number} ({step.about.title}) holds nothing fitted.")
        return None
    try:
        fitted = methods_stored.from_json(json.dumps(record))
    except (ParameterError, OverflowError) as error:
        raise ParameterError(f"step {number}: {error}") from None
    if fitted.method != step.method:
        raise ParameterError(
            f"step {number} is {step.words()}, but what was fitted is "
            f"{fitted.method.about.title} with other parameters."
        )
    return fitted
