"""`normviz stats`: measure a source of any size."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from normviz.cli.arguments import (
    PIPELINE_HELP,
    SOURCE_HELP,
    AddCommand,
    one_or_list,
    positive,
    refuse_no_place,
    refuse_same,
    whole,
)
from normviz.cli.engine import add_engine, engine_asked, parts_asked
from normviz.cli.progress import watched
from normviz.cli.table import exactness, table
from normviz.cli.transforms import fitted_pipeline, read_pipeline, size_pipeline
from normviz.cli.words import FAILED, report, say
from normviz.errors import ParameterError
from normviz.export import replacing, rows_file, write, write_npz
from normviz.pipeline import FittedPipeline, through
from normviz.pipeline.geometry import LARGEST_SIDE, Resize
from normviz.statistics import DatasetStatistics, PatchPlan
from normviz.statistics.dataset import MOST_PROBLEMS, Reading
from normviz.statistics.estimate import t_quantile


def add(command: AddCommand) -> None:
    stats = command(
        "stats",
        run,
        "measure images: mean, the three stds, percentiles, variance within and between",
        "stats photos.zip --out stats.json",
        "stats train --resize 256 --crop 224 --workers 8 --rows images.parquet --out train.json",
        "stats s3://bucket/shards --until 0.002 --checkpoint progress.sqlite",
    )
    stats.add_argument("source", nargs="+", help=SOURCE_HELP)
    stats.add_argument("--json", action="store_true", help="print JSON instead of a table")
    stats.add_argument("--out", type=Path, metavar="FILE", help="write JSON to FILE")
    size = stats.add_argument_group(
        "under which transform (default: every pixel of every image at its own size)"
    )
    size.add_argument(
        "--resize", type=whole(1, LARGEST_SIDE), metavar="N", help="shorter side to N pixels first"
    )
    size.add_argument(
        "--crop", type=whole(1, LARGEST_SIDE), metavar="N", help="then the middle N × N pixels"
    )
    choices = {spec.name: spec for spec in fields(Resize)}
    for name, words in (
        ("interpolation", "how values between pixels are made"),
        (
            "library",
            "whose resizing: pillow averages over all that it skips, as torchvision does "
            "with antialias=True; opencv does not, as with antialias=False",
        ),
    ):
        size.add_argument(
            f"--{name}",
            choices=tuple(choices[name].metadata["choices"]),
            help=f"{words} (default: {choices[name].default})",
        )
    size.add_argument(
        "--pipeline", metavar="FILE", help=f"measure what comes out of a pipeline: {PIPELINE_HELP}"
    )
    much = stats.add_argument_group("how much is read")
    much.add_argument(
        "--until",
        type=positive(1),
        metavar="SHARE",
        help="read in random order and stop when mean and std of every channel are known to "
        "± SHARE of the value range with 95 %% confidence, such as 0.002",
    )
    much.add_argument(
        "--seed",
        type=whole(0, 2**63 - 1),
        metavar="N",
        help="read in random order, drawn by N, so that what was read so far is an estimate",
    )
    much.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="keep what is done in FILE; the same command goes on from it after a stop",
    )
    add_engine(stats)
    more = stats.add_argument_group("what else is kept")
    more.add_argument(
        "--rows", type=Path, metavar="FILE.parquet", help="write one row an image to FILE.parquet"
    )
    more.add_argument(
        "--mean-image",
        type=whole(1, 4096),
        metavar="SIDE",
        help="also write the mean and std image, SIDE pixels square (images that all have one size "
        "of no more pixels keep theirs), to an .npz beside --out FILE",
    )
    more.add_argument(
        "--patches",
        type=whole(1, 32),
        metavar="SIDE",
        help="also write mean and covariance of random patches, SIDE pixels square, for whitening, "
        "to the same .npz",
    )


def run(asked: argparse.Namespace) -> int:
    out: Path | None = asked.out
    for option in ("mean_image", "patches"):
        if getattr(asked, option) is not None and out is None:
            name = option.replace("_", "-")
            raise ParameterError(f"--{name} is written beside --out FILE; give both.")
    for path in (out, asked.rows, asked.checkpoint):
        if path is not None:
            refuse_no_place(path)
    written = {"--out": out, "--rows": asked.rows, "--checkpoint": asked.checkpoint}
    if out is not None and (asked.mean_image or asked.patches):
        written["the arrays beside --out"] = _beside(out)
    refuse_same(written, [*asked.source, asked.pipeline])
    pipeline = size_pipeline(asked)
    if pipeline is not None and asked.pipeline:
        raise ParameterError("--resize and --crop are steps of a pipeline; put them into it.")
    chosen = read_pipeline(asked.pipeline) if asked.pipeline else pipeline
    seed = 0 if asked.seed is None and asked.until is not None else asked.seed
    parts = parts_asked(one_or_list(asked.source), seed)
    fitted: FittedPipeline | None = None
    transform = None
    with engine_asked(asked, parts) as engine, _rows(asked.rows) as on_rows:
        if chosen is not None:
            fitted, _, _ = fitted_pipeline(chosen, asked, parts)
            transform = through(fitted, parts, engine)
        stats = watched(
            parts,
            engine,
            transform=transform,
            mean_image=asked.mean_image,
            patches=None if asked.patches is None else PatchPlan(asked.patches),
            seed=seed,
            until=asked.until,
            checkpoint=asked.checkpoint,
            on_rows=on_rows,
        )
    code = report(stats.problems, stats.unreadable, stats.images, "no image could be read.")
    if code == FAILED:
        return code
    record = _record(stats, seed, fitted)
    if out is not None and (asked.mean_image or asked.patches):
        _write_arrays(stats, asked, out, record)
    text = json.dumps(record, indent=1, allow_nan=False)
    if out is not None:
        write(out, text.encode() + b"\n")
    if asked.json:
        print(text)
    elif out is None:
        print(table(stats, "" if fitted is None else fitted.pipeline.words(), seed))
    return code


@contextlib.contextmanager
def _rows(path: Path | None) -> Iterator[Any]:
    if path is None:
        yield None
        return
    with rows_file(path) as take:
        yield take


def _record(
    stats: DatasetStatistics, seed: int | None, fitted: FittedPipeline | None
) -> dict[str, Any]:
    reading = stats.reading
    record = stats.to_dict()
    record["reading"] = {
        "images": stats.images,
        "of": None if reading is None else reading.total,
        "seed": seed,
        "said": exactness(stats, seed),
    }
    record["as_sample"] = as_sample(stats)
    listed = [problem._asdict() for problem in stats.problems]
    record["problems"] = listed
    if stats.unreadable > len(listed):
        record["problems_said"] = f"the first {MOST_PROBLEMS:,} of {stats.unreadable:,} by path"
    if fitted is not None:
        record |= {
            "transform": fitted.pipeline.words(),
            "pipeline": json.loads(fitted.to_json()),
        }
    return record


def as_sample(stats: DatasetStatistics) -> dict[str, Any]:
    """The standard errors of mean and std if these images were drawn at random from endless ones.

    None for fewer than 10 images. Where shards were drawn, shards are what is counted.
    """
    unit = "image"
    if stats.estimate is not None and stats.reading is not None and stats.reading.unit == "shard":
        unit = "shard"
    found = stats.with_reading(Reading(False, None, unit)).estimate
    assert found is not None
    t = t_quantile(max(found.count - 1, 1))

    def errors(halves: np.ndarray) -> list[float] | None:
        if not all(map(math.isfinite, halves)):
            return None
        return (halves / t * stats.value_range.span).tolist()

    return {
        "unit": unit,
        "count": found.count,
        "standard_error_mean": errors(found.mean),
        "standard_error_std": errors(found.std),
    }


def _beside(out: Path) -> Path:
    return out.with_suffix(".npz") if out.suffix != ".npz" else out.with_suffix(".images.npz")


def _write_arrays(
    stats: DatasetStatistics, asked: argparse.Namespace, out: Path, record: dict[str, Any]
) -> None:
    beside = _beside(out)
    unit = "fractions of the value range"
    arrays: dict[str, np.ndarray] = {}
    if asked.mean_image:
        arrays |= {"mean": stats.fraction_mean_image, "std": stats.fraction_std_image}
        height, width, _ = stats.fraction_mean_image.shape
        size = {"height": height, "width": width, "squeezed": stats.mean_image_is_squeezed}
        record["mean_image"] = {"file": beside.name, **size, "unit": unit}
    if asked.patches and not stats.patch_sums:
        say(f"no 8- or 16-bit image holds a patch of {asked.patches} × {asked.patches} pixels.")
    elif asked.patches:
        moments = stats.patch_moments
        arrays |= {"patch_mean": moments.mean, "patch_covariance": moments.covariance}
        record["patches"] = {
            "file": beside.name,
            "side": asked.patches,
            "count": moments.count,
            "order": "row, column, channel",
            "unit": unit,
        }
    if arrays:
        with replacing(beside) as stream:
            write_npz(stream, arrays.items())
