"""The shell: the same statistics, methods and page as everywhere else.

Exit codes: 0 done; 1 failed, or nothing could be read; 2 wrong usage; 3 done, but some inputs were
unreadable (they are named on standard error); 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from normviz.display import Extent, windows
from normviz.errors import NormvizError, ParameterError, ShapeError
from normviz.export import file_name, png_bytes, write_npz
from normviz.images import BYTE_RANGE, CHANNEL_NAMES, UNIT_RANGE, Image, ValueRange, as_rgb
from normviz.methods import METHODS, Fitted, Method
from normviz.pipeline import KNOWN, FittedPipeline, Kind, Pipeline, arriving, remarks
from normviz.pipeline import from_json as pipeline_from_json
from normviz.presets import PRESETS
from normviz.read import Photos, read
from normviz.read.sampled import LONGEST, sampled
from normviz.statistics import DatasetStatistics, scan
from normviz.version import VERSION

DONE, FAILED, USAGE, PARTLY, INTERRUPTED = 0, 1, 2, 3, 130

# The side of the mean image that methods fitted at each position get, as in the page.
MEAN_IMAGE_SIDE = 224

NPZ = "normalized.npz"

_PIPELINE_HELP = (
    f"ordered steps in JSON, as Pipeline.to_json() writes them, or known:NAME ({', '.join(KNOWN)})"
)

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    >>> main(["apply", "photos.zip", "--method", "dataset_zscore"])
    2
    """
    parser = _parser()
    given = list(sys.argv[1:] if argv is None else argv)
    # A character that the terminal lacks is no reason to fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        asked, extra = parser.parse_known_args(given)
        if extra and asked.command != "app":
            parser.error(f"unknown arguments: {' '.join(extra)}")
    except SystemExit as stop:
        return int(stop.code or 0)
    asked.extra = [word for word in extra if word != "--"]
    try:
        code = asked.run(asked)
        sys.stdout.flush()
        return code
    except ParameterError as error:
        _say(str(error))
        return USAGE
    except NormvizError as error:
        _say(str(error))
        return FAILED
    except BrokenPipeError:
        # Whoever read the output has enough; Python must not complain again when it exits.
        if isinstance(sys.stdout, io.TextIOWrapper):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        _say(f"{error.filename or 'a file'}: {error.strerror or error}.")
        return FAILED
    except KeyboardInterrupt:
        _say("interrupted.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="normviz", description="See and measure normalization.")
    parser.add_argument("--version", action="version", version=f"normviz {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Any, help: str, example: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=help,
            description=help,
            epilog=f"example:  python -m normviz {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    app = command(
        "app",
        _app,
        "open the page in a browser; what follows -- goes to Streamlit",
        "app --port 8600 -- --server.headless true",
    )
    app.add_argument("--port", type=_whole(1, 65535), metavar="N", help="port to serve on")

    stats = command(
        "stats",
        _stats,
        "measure images: mean, the three stds, percentiles, variance within and between",
        "stats photos.zip --out stats.json",
    )
    stats.add_argument("source", nargs="+", help="image, folder, archive, .npy, .npz, IDX, CIFAR")
    stats.add_argument("--json", action="store_true", help="print JSON instead of a table")
    stats.add_argument("--out", type=Path, metavar="FILE", help="write JSON to FILE")
    stats.add_argument(
        "--pipeline",
        metavar="FILE",
        help=f"measure what comes out of a pipeline: {_PIPELINE_HELP}",
    )
    stats.add_argument(
        "--mean-image",
        type=_whole(1, 4096),
        metavar="SIDE",
        help="also write the mean and std image, SIDE pixels square, to an .npz beside --out FILE",
    )

    apply = command(
        "apply",
        _apply,
        "normalize images and write them with the recipe beside them",
        "apply photos.zip --method dataset_zscore --out normalized",
    )
    apply.add_argument("source", nargs="+", help="what to normalize")
    how = apply.add_mutually_exclusive_group(required=True)
    how.add_argument("--method", help="a name that `methods` lists")
    how.add_argument("--pipeline", metavar="FILE", help=_PIPELINE_HELP)
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
        choices=("npy", "npz", "png"),
        default="npy",
        help="floats, one file an image (default); floats in one file, packed; pictures, each "
        "stretched from its lowest to its highest value",
    )
    apply.add_argument("--force", action="store_true", help="write into a folder with files in it")
    apply.add_argument("--json", action="store_true", help="print the manifest")

    methods = command("methods", _methods, "list the methods and their parameters", "methods")
    methods.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _whole(low: int, high: int) -> Any:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return number


def _app(asked: argparse.Namespace) -> int:
    if not (ROOT / "app" / "main.py").is_file():
        _say("the page's folder app/ is not beside the package; run from a copy of the repository.")
        return FAILED
    if importlib.util.find_spec("streamlit") is None:
        _say("the page needs Streamlit: pip install -r requirements.txt.")
        return FAILED
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py"]
    if asked.port is not None:
        command += ["--server.port", str(asked.port)]
    code = subprocess.run([*command, *asked.extra], cwd=ROOT, check=False).returncode
    # A process ended by signal n counts as 128 + n in a shell.
    return code if code >= 0 else 128 - code


def _stats(asked: argparse.Namespace) -> int:
    out: Path | None = asked.out
    if asked.mean_image is not None and out is None:
        raise ParameterError("--mean-image is written beside --out FILE; give both.")
    if out is not None:
        _refuse_no_place(out)
    pipeline = _read_pipeline(asked.pipeline) if asked.pipeline else None
    photos = read(_one_or_list(asked.source), on_problem="collect")
    transform = ""
    if pipeline is None:
        stats = _scanned(photos, asked.mean_image)
    else:
        fitted, _, _ = _fitted_pipeline(pipeline, None, photos)
        transform = fitted.pipeline.words()
        stats = _scanned(arriving(fitted, photos), asked.mean_image)
    code = _report(photos, stats.images)
    if code == FAILED:
        return code
    record = stats.to_dict()
    if pipeline is not None:
        record |= {"transform": transform, "pipeline": json.loads(fitted.to_json())}
    if out is not None and asked.mean_image is not None:
        beside = out.with_suffix(".npz") if out.suffix != ".npz" else out.with_suffix(".images.npz")
        images = {"mean": stats.fraction_mean_image, "std": stats.fraction_std_image}
        with _replacing(beside) as stream:
            write_npz(stream, images.items())
        record["mean_image"] = {
            "file": beside.name,
            "side": asked.mean_image,
            "unit": "fractions of the value range",
        }
    text = json.dumps(record, indent=1, allow_nan=False)
    if out is not None:
        _write(out, text.encode() + b"\n")
    if asked.json:
        print(text)
    elif out is None:
        print(_table(stats, transform))
    return code


def _scanned(photos: Photos | Sequence[Image], mean_image: int | None) -> DatasetStatistics:
    final = DatasetStatistics.empty()
    told = sys.stderr.isatty()
    for final in scan(photos, mean_image=mean_image):
        if told:
            done = final.images + final.unreadable
            print(f"\r{done:,} of {len(photos):,} images", end="", file=sys.stderr)
    if told:
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return final


def _table(stats: DatasetStatistics, transform: str = "") -> str:
    low, high = stats.value_range
    within, between = stats.variance.within, stats.variance.between
    share = between / np.maximum(within + between, np.finfo(float).tiny)
    lines = [
        f"{_images(stats.images)}, {stats.unreadable} unreadable; values {low:g} to {high:g}"
        + (", exact" if stats.exact else ""),
        "",
    ]
    if transform:
        lines.insert(0, f"after {transform}")
    names = CHANNEL_NAMES[stats.channels]
    lines.append(f"{'':24}" + "".join(f"{name:>12}" for name in names))
    rows = {
        "mean": stats.mean,
        "std, pooled": stats.std.pooled,
        "std, rms of images": stats.std.rms_of_images,
        "std, mean of images": stats.std.mean_of_images,
        "min": stats.low,
        "max": stats.high,
        "variance between images": 100 * share,
    }
    for q, values in (stats.percentiles or {}).items():
        rows[f"percentile {q:g}"] = values
    for name, values in rows.items():
        unit = " %" if name.startswith("variance") else ""
        lines.append(f"{name:24}" + "".join(f"{value:>12.4f}" for value in values) + unit)
    if transform and stats.value_range not in (BYTE_RANGE, UNIT_RANGE):
        return "\n".join(lines)
    if stats.fraction_std.min() > 0:
        mean, std = (
            ", ".join(f"{value:.6g}" for value in values)
            for values in (stats.fraction_mean, stats.fraction_std)
        )
        lines += ["", f"torchvision, on fractions 0 to 1: Normalize(mean=[{mean}], std=[{std}])"]
    else:
        lines += ["", "torchvision: no Normalize, for a channel's std is 0"]
    return "\n".join(lines)


def _apply(asked: argparse.Namespace) -> int:
    if asked.pipeline and asked.set:
        raise ParameterError("--set is for --method; parameters of steps stand in the pipeline.")
    method = None if asked.pipeline else _configured(asked.method, asked.set)
    pipeline = _read_pipeline(asked.pipeline) if asked.pipeline else None
    folder: Path = asked.out
    if folder.exists() and not folder.is_dir():
        raise NormvizError(f"{folder} is a file; name a folder for --out.")
    if folder.is_dir() and any(folder.iterdir()) and not asked.force:
        raise NormvizError(f"{folder} is not empty; name another folder, or give --force.")
    photos = read(_one_or_list(asked.source), on_problem="collect")
    record: dict[str, Any]
    if pipeline is not None:
        through, fitted_on, fit_code = _fitted_pipeline(pipeline, asked.fit_on, photos)
        results, kept, name = _preprocessed(photos, through), through.to_json(), "pipeline"
        record = {"transform": through.pipeline.words(), "fitted_on": fitted_on}
        nominal = UNIT_RANGE
    else:
        assert method is not None
        fitted, channels, fitted_on, fit_code = _fitted(method, asked.fit_on, photos)
        results, kept, name = _normalized(photos, fitted, channels), fitted.to_json(), method.key
        record = {
            "method": method.key,
            "parameters": dataclasses.asdict(method),
            "fitted_on": fitted_on,
            "unit": method.about.unit,
        }
        nominal = ValueRange(*method.about.nominal)
    entries = _written(folder, asked.format, name, nominal, results)
    code = _report(photos, len(entries), "no image could be normalized.")
    if code == FAILED:
        return code
    manifest = {"normviz": VERSION, **record, "images": entries}
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    beside = "fitted.json" if pipeline is None else "pipeline.json"
    _write(folder / beside, kept.encode() + b"\n")
    # Last, so that a folder with a manifest is a whole one. A name's bytes that are no text
    # become JSON escapes.
    _write(folder / "manifest.json", text.encode(errors="backslashreplace") + b"\n")
    print(text if asked.json else f"{_images(len(entries))} written to {folder}")
    return max(code, fit_code)


def _normalized(
    photos: Photos, fitted: Fitted, channels: int
) -> Iterator[tuple[int, Image, np.ndarray]]:
    for index, image in photos.indexed():
        # Constants of one channel hold for each; those of three need three.
        seen = as_rgb(image) if channels == 3 else image
        yield index, seen, fitted(seen.pixels, seen.value_range)


def _preprocessed(
    photos: Photos, fitted: FittedPipeline
) -> Iterator[tuple[int, Image, np.ndarray]]:
    for index, image in photos.indexed():
        try:
            yield index, image, fitted(image)
        except ShapeError as error:
            raise NormvizError(f"{image.path}: {error}") from None


def _read_pipeline(name: str) -> Pipeline | FittedPipeline:
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


def _fitted_pipeline(
    pipeline: Pipeline | FittedPipeline, source: str | None, photos: Photos
) -> tuple[FittedPipeline, str, int]:
    """The fitted pipeline, what it was fitted on, and the exit code that reading this made.

    What the pipeline says against itself goes to standard error.
    """
    steps = pipeline if isinstance(pipeline, Pipeline) else pipeline.pipeline
    first = next(iter(photos), None)
    if first is not None:
        arrives = Kind(first.pixels.dtype, first.value_range)
        steps.kinds(arrives)  # what cannot work is said now, and once
        for remark in remarks(steps, arrives):
            _say(remark)
    if isinstance(pipeline, FittedPipeline) or not steps.fits_on:
        if source is not None:
            raise ParameterError("this pipeline takes no numbers from a set; leave --fit-on out.")
        done = pipeline.fit() if isinstance(pipeline, Pipeline) else pipeline
        return done, "stored with it" if steps.fits_on else "nothing", DONE
    if source is None:
        if first is None:
            for problem in photos.problems:
                _say(str(problem))
            raise NormvizError("no image could be read.")
        return pipeline.fit(photos), "these images", DONE
    if source.startswith("preset:"):
        raise ParameterError(
            "a pipeline is fitted on images; write published constants into a mean_std step."
        )
    others = read(source)
    fitted = pipeline.fit(others)
    for problem in others.problems:
        _say(str(problem))
    return fitted, source, PARTLY if others.problems else DONE


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
        with _replacing(folder / NPZ) as stream:
            write_npz(stream, chain([first], arrays))
        return entries
    for name, values in chain([first], arrays):
        if format == "png":
            extent = Extent(key, float(values.min()), float(values.max()), nominal)
            (window,) = windows([extent], "stretch")
            _write(folder / name, png_bytes(values, window))
            entries[-1]["black_white"] = window
        else:
            with _replacing(folder / name) as stream:
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


def _fitted(method: Method, source: str | None, photos: Photos) -> tuple[Fitted, int, str, int]:
    """The fitted method, the channels that images need for it (1 leaves them alone), what it was
    fitted on, and the exit code that reading this made."""
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
        return _fitted_on_images(method, source, photos)
    if source is not None and source.startswith("preset:"):
        preset = PRESETS.get(source.removeprefix("preset:"))
        if preset is None:
            raise ParameterError(f"there is no {source}; there are {', '.join(PRESETS)}.")
        return method.fit(preset), preset.channels, source, DONE
    # Only methods that reduce over the images alone keep a number at each position.
    side = MEAN_IMAGE_SIDE if method.about.reduces == ("N",) else None
    if source is None:
        stats = _scanned(photos, side)
        return method.fit(stats), stats.channels, "these images", DONE
    others = read(source)
    stats = _scanned(others, side)
    for problem in others.problems:
        _say(str(problem))
    fitted = method.fit(stats)
    return fitted, stats.channels, source, PARTLY if others.problems else DONE


def _fitted_on_images(
    method: Method, source: str | None, photos: Photos
) -> tuple[Fitted, int, str, int]:
    """The same for a method that takes images themselves: some of the set, as reduced copies."""
    others = photos if source is None else read(source)
    images = sampled(len(others), others.__getitem__)
    name = "these images" if source is None else source
    words = f"{len(images)} of {name}, as copies of up to {LONGEST} px"
    code = PARTLY if source is not None and others.problems else DONE
    return method.fit(images), max((i.channels for i in images), default=1), words, code


def _methods(asked: argparse.Namespace) -> int:
    if asked.json:
        listed = [
            {
                "name": name,
                "title": kind.about.title,
                "scope": kind.about.scope,
                "parameters": {f.name: f.default for f in dataclasses.fields(kind)},
            }
            for name, kind in METHODS.items()
        ]
        print(json.dumps(listed, indent=1, ensure_ascii=False))
        return DONE
    for name, kind in METHODS.items():
        set_by = ", ".join(f"{f.name}={f.default}" for f in dataclasses.fields(kind))
        print(f"{name:26}{kind.about.scope:9}{kind.about.title}" + (f"  ({set_by})" * bool(set_by)))
    return DONE


def _one_or_list(sources: list[str]) -> str | list[str]:
    return sources[0] if len(sources) == 1 else sources


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _report(photos: Photos, done: int, nothing: str = "no image could be read.") -> int:
    """Name what could not be read, and return the exit code that this makes."""
    for problem in photos.problems:
        _say(str(problem))
    if not done:
        _say(nothing)
        return FAILED
    return PARTLY if photos.problems else DONE


def _refuse_no_place(path: Path) -> None:
    """Say before the work, not after it, that ``path`` cannot be written."""
    if path.is_dir():
        raise NormvizError(f"{path} is a folder; name a file for --out.")
    if not path.parent.is_dir():
        raise NormvizError(f"{path.parent}: there is no such folder; make it, or name another.")


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when it is complete."""
    # Not tempfile's: its files are for their owner only, and would stay so.
    partial = path.parent / f".normviz-{secrets.token_hex(8)}"
    try:
        with partial.open("xb") as stream:
            yield stream
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write(path: Path, data: bytes) -> None:
    with _replacing(path) as stream:
        stream.write(data)


def _say(sentence: str) -> None:
    print(f"normviz: {sentence}", file=sys.stderr)
