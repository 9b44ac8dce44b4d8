"""`normviz apply`: normalize a source and write it, with the recipe beside it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from normviz.cli.arguments import PIPELINE_HELP, SOURCE_HELP, AddCommand, one_or_list, whole
from normviz.cli.engine import add_engine, engine_asked, parts_asked
from normviz.cli.progress import bar, watched
from normviz.cli.transforms import fitted_pipeline, items, read_pipeline
from normviz.cli.words import DONE, FAILED, PARTLY, images_text, report
from normviz.display import Extent, windows
from normviz.errors import NormvizError, ParameterError, ShapeError
from normviz.export import (
    LISTING,
    Normalized,
    file_name,
    png_bytes,
    replacing,
    write,
    write_npz,
    write_npz_shards,
    write_zarr,
)
from normviz.images import UNIT_RANGE, Image, ValueRange, as_rgb
from normviz.methods import METHODS, Fitted, Method
from normviz.pipeline import FittedPipeline
from normviz.pipeline.pipeline import MEAN_IMAGE_SIDE
from normviz.presets import PRESETS
from normviz.read import Parts, Problem, read
from normviz.read.sampled import LONGEST, sampled
from normviz.statistics import DatasetStatistics
from normviz.statistics.dataset import MOST_PROBLEMS
from normviz.version import VERSION

NPZ = "normalized.npz"

SHARD_SIZE = 256


def add(command: AddCommand) -> None:
    apply = command(
        "apply",
        run,
        "normalize images and write them with the recipe beside them",
        "apply photos.zip --method dataset_zscore --out normalized",
        "apply train --pipeline known:resnet50 --format npz --shard-size 512 --out shards",
        "apply train --pipeline known:resnet50 --format zarr --out array",
        description="normalize images and write them with the recipe (fitted.json or "
        "pipeline.json) and manifest.json beside them.\nFiles are numbered; no name of a source "
        "becomes a path. Images are read one by one: one is in memory, or one shard\n(with zarr "
        "about four times that while it is packed). manifest.json comes last: a folder with it is "
        "whole.",
    )
    apply.add_argument("source", nargs="+", help=SOURCE_HELP)
    how = apply.add_mutually_exclusive_group(required=True)
    how.add_argument("--method", help="a name that `methods` lists")
    how.add_argument("--pipeline", metavar="FILE", help=PIPELINE_HELP)
    apply.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of the method",
    )
    apply.add_argument(
        "--fit-on",
        metavar="SOURCE",
        help="where dataset methods take their numbers from: a source, or preset:NAME for --method "
        "(default: what is normalized)",
    )
    apply.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    apply.add_argument(
        "--format",
        choices=("npy", "npz", "png", "zarr"),
        default="npy",
        help="npy: floats, a file an image (default); npz: floats in one packed file, or in shards "
        "of --shard-size images with arrays images (N, H, W, C), paths and labels; zarr: one array "
        "(N, H, W, C), a chunk an image (pip install zarr); png: pictures, each stretched from its "
        "lowest to its highest value",
    )
    apply.add_argument(
        "--shard-size",
        type=whole(1, 1 << 20),
        metavar="N",
        help=f"images a file, for npz and zarr (default for zarr: {SHARD_SIZE}); which image is "
        f"where is listed in {LISTING}, one line of JSON an image",
    )
    apply.add_argument("--force", action="store_true", help="write into a folder with files in it")
    apply.add_argument("--json", action="store_true", help="print the manifest")
    add_engine(apply)


def run(asked: argparse.Namespace) -> int:
    if asked.pipeline and asked.set:
        raise ParameterError("--set is for --method; parameters of steps stand in the pipeline.")
    if asked.shard_size is not None and asked.format not in ("npz", "zarr"):
        raise ParameterError("--shard-size is for --format npz and zarr.")
    method = None if asked.pipeline else _configured(asked.method, asked.set)
    pipeline = read_pipeline(asked.pipeline) if asked.pipeline else None
    folder: Path = asked.out
    if folder.exists() and not folder.is_dir():
        raise NormvizError(f"{folder} is a file; name a folder for --out.")
    if folder.is_dir() and any(folder.iterdir()) and not asked.force:
        raise NormvizError(f"{folder} is not empty; name another folder, or give --force.")
    images = _Images(parts_asked(one_or_list(asked.source)))
    record: dict[str, Any]
    if pipeline is not None:
        through, fitted_on, fit_code = fitted_pipeline(pipeline, asked, images.parts)
        results, kept, name = _preprocessed(images, through), through.to_json(), "pipeline"
        record = {"transform": through.pipeline.words(), "fitted_on": fitted_on}
        nominal = UNIT_RANGE
    else:
        assert method is not None
        fitted, channels, fitted_on, fit_code = _fitted(method, asked, images.parts)
        results, kept, name = _normalized(images, fitted, channels), fitted.to_json(), method.key
        record = {
            "method": method.key,
            "parameters": dataclasses.asdict(method),
            "fitted_on": fitted_on,
            "unit": method.about.unit,
        }
        nominal = ValueRange(*method.about.nominal)
    if asked.format == "zarr" or asked.shard_size is not None:
        named = _named(results, name)
        if asked.format == "zarr":
            shards = write_zarr(folder, named, asked.shard_size or SHARD_SIZE)
        else:
            shards = write_npz_shards(folder, named, asked.shard_size)
        count = sum(shard["images"] for shard in shards)
        listed = {"count": count, "listed_in": LISTING, "shards": shards}
    else:
        entries = _written(folder, asked.format, name, nominal, results)
        count, listed = len(entries), {"images": entries}
    code = report(images.problems, images.unreadable, count, "no image could be normalized.")
    if code == FAILED:
        return code
    manifest = {"normviz": VERSION, **record, **listed}
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    beside = "fitted.json" if pipeline is None else "pipeline.json"
    write(folder / beside, kept.encode() + b"\n")
    # Last, so that a folder with a manifest is a whole one. A name's bytes that are no text
    # become JSON escapes.
    write(folder / "manifest.json", text.encode(errors="backslashreplace") + b"\n")
    print(text if asked.json else f"{images_text(count)} written to {folder}")
    return max(code, fit_code)


class _Images:
    """The readable images of a source, numbered; the others are counted, and the first kept."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.problems: list[Problem] = list(parts.problems[:MOST_PROBLEMS])
        self.unreadable = len(parts.problems)

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        with bar(self.parts.total) as shown:
            for index, item in enumerate(items(self.parts)):
                if isinstance(item, Problem):
                    self.unreadable += 1
                    if len(self.problems) < MOST_PROBLEMS:
                        self.problems.append(item)
                else:
                    yield index, item
                shown.update()


def _normalized(
    images: _Images, fitted: Fitted, channels: int
) -> Iterator[tuple[int, Image, np.ndarray]]:
    for index, image in images:
        # Constants of one channel hold for each; those of three need three.
        seen = as_rgb(image) if channels == 3 else image
        yield index, seen, fitted(seen.pixels, seen.value_range)


def _preprocessed(
    images: _Images, fitted: FittedPipeline
) -> Iterator[tuple[int, Image, np.ndarray]]:
    for index, image in images:
        try:
            yield index, image, fitted(image)
        except ShapeError as error:
            raise NormvizError(f"{image.path}: {error}") from None


def _named(results: Iterable[tuple[int, Image, np.ndarray]], key: str) -> Iterator[Normalized]:
    for index, image, values in results:
        name = file_name(index, image.path, key, "")
        yield Normalized(name, image.path, image.label, image.notes, values)


def _written(
    folder: Path,
    format: str,
    key: str,
    nominal: ValueRange,
    results: Iterator[tuple[int, Image, np.ndarray]],
) -> list[dict[str, Any]]:
    """Write the results as they come, and return what the manifest lists."""
    entries: list[dict[str, Any]] = []

    def named() -> Iterator[tuple[str, np.ndarray]]:
        suffix = "" if format == "npz" else format
        for index, image, values in results:
            name = file_name(index, image.path, key, suffix)
            entry = {"source": image.path, "label": image.label, "file": name}
            if format == "npz":
                entry |= {"file": NPZ, "array": name}
            entries.append({**entry, "shape": values.shape, "notes": image.notes})
            yield name, values

    arrays = named()
    # Asked for before anything is made: a set without any image leaves no folder behind.
    first = next(arrays, None)
    if first is None:
        return entries
    folder.mkdir(parents=True, exist_ok=True)
    if format == "npz":
        with replacing(folder / NPZ) as stream:
            write_npz(stream, chain([first], arrays))
        return entries
    for name, values in chain([first], arrays):
        if format == "png":
            extent = Extent(key, float(values.min()), float(values.max()), nominal)
            (window,) = windows([extent], "stretch")
            write(folder / name, png_bytes(values, window))
            entries[-1]["black_white"] = window
        else:
            with replacing(folder / name) as stream:
                np.save(stream, values, allow_pickle=False)
    return entries


def _configured(name: str, settings: Sequence[str]) -> Method:
    if name not in METHODS:
        raise ParameterError(f"there is no method {name!r}; there are {', '.join(METHODS)}.")
    fields = {field.name: field for field in dataclasses.fields(METHODS[name])}
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or key not in fields:
            known = ", ".join(fields) or "no parameters"
            raise ParameterError(f"--set {setting}: {name} has {known}; write NAME=VALUE.")
        values[key] = _converted(text, type(fields[key].default))
    return METHODS[name](**values)


def _converted(text: str, kind: type) -> Any:
    """The text as ``kind``; as it is when it is none, so that the method says what it allows."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text


def _fitted(
    method: Method, asked: argparse.Namespace, parts: Parts
) -> tuple[Fitted, int, str, int]:
    """The fitted method, the channels that images need for it (1 leaves them alone), what it was
    fitted on, and the exit code that reading this made."""
    source: str | None = asked.fit_on
    if not method.about.fits_on:
        if source is not None:
            raise ParameterError(
                f"{method.key} takes no numbers from a set (its scope is {method.about.scope}); "
                "leave --fit-on out."
            )
        fitted = method.fit()
        wide = any(value.shape[-1:] == (3,) for value in fitted.constants.values())
        return fitted, 3 if wide else 1, "nothing", DONE
    if method.about.fits_on == "images":
        return _fitted_on_images(method, asked)
    if source is not None and source.startswith("preset:"):
        preset = PRESETS.get(source.removeprefix("preset:"))
        if preset is None:
            raise ParameterError(f"there is no {source}; there are {', '.join(PRESETS)}.")
        return method.fit(preset), preset.channels, source, DONE
    if source is None:
        stats = _scanned(method, asked, parts)
        if not stats.images:
            report(stats.problems, stats.unreadable, 1, "")
        return method.fit(stats), stats.channels, "these images", DONE
    stats = _scanned(method, asked, parts_asked(source))
    code = report(stats.problems, stats.unreadable, 1, "")
    return method.fit(stats), stats.channels, source, code


def _scanned(method: Method, asked: argparse.Namespace, parts: Parts) -> DatasetStatistics:
    # Only methods that reduce over the images alone keep a number at each position.
    side = MEAN_IMAGE_SIDE if method.about.reduces == ("N",) else None
    with engine_asked(asked, parts) as engine:
        return watched(parts, engine, mean_image=side)


def _fitted_on_images(method: Method, asked: argparse.Namespace) -> tuple[Fitted, int, str, int]:
    """The same for a method that takes images themselves: some of the set, as reduced copies."""
    own = asked.fit_on is None
    others = read(one_or_list(asked.source), on_problem="collect") if own else read(asked.fit_on)
    images = sampled(len(others), others.__getitem__)
    name = "these images" if own else asked.fit_on
    words = f"{len(images)} of {name}, as copies of up to {LONGEST} px"
    code = PARTLY if not own and others.problems else DONE
    return method.fit(images), max((i.channels for i in images), default=1), words, code
