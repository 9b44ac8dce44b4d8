"""Pipelines as the shell names them, read and fitted."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from normviz.cli.engine import engine_asked, parts_asked
from normviz.cli.progress import watched
from normviz.cli.words import DONE, report, say
from normviz.errors import NormvizError, ParameterError
from normviz.images import Image
from normviz.pipeline import (
    KNOWN,
    FittedPipeline,
    Kind,
    Pipeline,
    Step,
    Through,
    remarks,
)
from normviz.pipeline import from_json as pipeline_from_json
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.read import Parts, Problem, read
from normviz.statistics import DatasetStatistics


def read_pipeline(name: str) -> Pipeline | FittedPipeline:
    if name.startswith("known:"):
        known = KNOWN.get(name.removeprefix("known:"))
        if known is None:
            raise ParameterError(f"there is no {name}; there are {', '.join(KNOWN)}.")
        return known.pipeline
    try:
        return pipeline_from_json(Path(name).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ParameterError(f"{name}: this is no text; a pipeline is JSON.") from None
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from None


def size_pipeline(asked: argparse.Namespace) -> Pipeline | None:
    """The pipeline of --resize, --crop and how to; None without them."""
    how = {"interpolation": asked.interpolation, "library": asked.library}
    given = {name: value for name, value in how.items() if value is not None}
    if given and asked.resize is None:
        raise ParameterError(f"--{next(iter(given))} says how to --resize; give both.")
    steps: list[Step] = []
    if asked.resize is not None:
        steps.append(Resize(asked.resize, **given))
    if asked.crop is not None:
        steps.append(CentreCrop(asked.crop))
    return Pipeline(tuple(steps)) if steps else None


def items(parts: Parts) -> Iterator[Image | Problem]:
    """Every image of a source in its order, and what could not be read in its place."""
    for part in parts:
        for _, item in part.images():
            yield item


def fitted_pipeline(
    pipeline: Pipeline | FittedPipeline, asked: argparse.Namespace, parts: Parts
) -> tuple[FittedPipeline, str, int]:
    """The fitted pipeline, what it was fitted on, and the exit code that reading this made.

    What the pipeline says against itself goes to standard error.
    """
    source: str | None = getattr(asked, "fit_on", None)
    steps = pipeline if isinstance(pipeline, Pipeline) else pipeline.pipeline
    first = next((item for item in items(parts) if isinstance(item, Image)), None)
    if first is not None:
        arrives = Kind(first.pixels.dtype, first.value_range)
        steps.kinds(arrives)  # what cannot work is said now, and once
        for remark in remarks(steps, arrives):
            say(remark)
    if isinstance(pipeline, FittedPipeline) or not steps.fits_on:
        if source is not None:
            raise ParameterError("this pipeline takes no numbers from a set; leave --fit-on out.")
        done = pipeline.fit() if isinstance(pipeline, Pipeline) else pipeline
        return done, "stored with it" if steps.fits_on else "nothing", DONE
    if source is None:
        if first is None:
            unread = [*parts.problems, *(i for i in items(parts) if isinstance(i, Problem))]
            report(unread, len(unread), 1, "")
            raise NormvizError("no image could be read.")
        return _fit(pipeline, asked, asked.source, parts)[0], "these images", DONE
    if source.startswith("preset:"):
        raise ParameterError(
            "a pipeline is fitted on images; write published constants into a mean_std step."
        )
    fitted, unreadable = _fit(pipeline, asked, [source], parts_asked(source))
    return fitted, source, report(unreadable, len(unreadable), 1, "")


def _fit(
    pipeline: Pipeline, asked: argparse.Namespace, source: list[str], parts: Parts
) -> tuple[FittedPipeline, list[Problem]]:
    # Methods that take images themselves, not numbers, get them one by one.
    whole = any(
        isinstance(step, Normalize) and step.method.about.needs_images for step in pipeline.steps
    )
    images: Any = read(source[0] if len(source) == 1 else source) if whole else ()
    problems: set[Problem] = set(parts.problems)

    with engine_asked(asked, parts) as engine:

        def measure(so_far: FittedPipeline, step: Step, side: int | None) -> DatasetStatistics:
            stats = watched(parts, engine, transform=Through(so_far, wants=step), mean_image=side)
            problems.update(stats.problems)
            return stats

        fitted = pipeline.fit(images, measure=measure)
    return fitted, sorted([*problems, *getattr(images, "problems", ())])
