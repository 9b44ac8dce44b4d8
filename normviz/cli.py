"""The shell: the same statistics, methods and page as everywhere else.

Exit codes: 0 done; 1 failed, or nothing could be read; 2 wrong usage; 3 done, but some inputs were
unreadable (they are named on standard error); 130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normviz.errors import NormvizError, ParameterError
from normviz.export import file_name, png_bytes
from normviz.images import as_rgb
from normviz.methods import METHODS, Fitted, Method
from normviz.presets import PRESETS
from normviz.read import Photos, read
from normviz.statistics import DatasetStatistics, scan_progress
from normviz.version import VERSION

DONE, FAILED, USAGE, PARTLY, INTERRUPTED = 0, 1, 2, 3, 130

MEAN_IMAGE_SIDE = 224


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        asked, extra = parser.parse_known_args(given)
        if extra and asked.command != "app":
            parser.error(f"unknown arguments: {' '.join(extra)}")
    except SystemExit as stop:
        return int(stop.code or 0)
    asked.extra = [word for word in extra if word != "--"]
    try:
        return asked.run(asked)
    except NormvizError as error:
        _say(str(error))
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

    app = command("app", _app, "open the page in a browser", "app --port 8600")
    app.add_argument("--port", type=int, help="port to serve on")

    stats = command(
        "stats",
        _stats,
        "measure images: mean, the three stds, percentiles, variance within and between",
        "stats photos.zip --out stats.json",
    )
    stats.add_argument("source", nargs="+", help="image, folder, archive, .npy, .npz, IDX, CIFAR")
    stats.add_argument("--json", action="store_true", help="print JSON instead of a table")
    stats.add_argument("--out", type=Path, metavar="FILE", help="write JSON to FILE")

    apply = command(
        "apply",
        _apply,
        "normalize images and write them with the recipe beside them",
        "apply photos.zip --method dataset_zscore --out normalized",
    )
    apply.add_argument("source", nargs="+", help="what to normalize")
    apply.add_argument("--method", required=True, help="a name that `methods` lists")
    apply.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter"
    )
    apply.add_argument(
        "--fit-on",
        metavar="SOURCE",
        help="where dataset methods take their numbers from: a source or preset:NAME "
        "(default: what is normalized)",
    )
    apply.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    apply.add_argument(
        "--format", choices=("npy", "png"), default="npy", help="floats, or pictures stretched"
    )
    apply.add_argument("--force", action="store_true", help="write into a folder with files in it")
    apply.add_argument("--json", action="store_true", help="print the manifest")

    methods = command("methods", _methods, "list the methods and their parameters", "methods")
    methods.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _app(asked: argparse.Namespace) -> int:
    root = Path(__file__).resolve().parent.parent
    if not (root / "app" / "main.py").is_file():
        _say("the page's folder app/ is not beside the package; run from a copy of the repository.")
        return FAILED
    if importlib.util.find_spec("streamlit") is None:
        _say("the page needs Streamlit: pip install -r requirements.txt.")
        return FAILED
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py"]
    if asked.port is not None:
        command += ["--server.port", str(asked.port)]
    return subprocess.run([*command, *asked.extra], cwd=root, check=False).returncode


def _stats(asked: argparse.Namespace) -> int:
    photos = read(asked.source, on_problem="collect")
    stats = _scanned(photos)
    code = _report(photos, stats.images)
    if code == FAILED:
        return code
    record = stats.to_dict()
    text = json.dumps(record, indent=1, allow_nan=False)
    if asked.out is not None:
        _write(asked.out, text.encode() + b"\n")
    if asked.json:
        print(text)
    elif asked.out is None:
        print(_table(stats))
    return code


def _scanned(photos: Photos) -> DatasetStatistics:
    final = DatasetStatistics.empty()
    for final in scan_progress(photos, mean_image=MEAN_IMAGE_SIDE):
        if sys.stderr.isatty():
            done = final.images + final.unreadable
            print(f"\r{done:,} of {len(photos):,} images", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return final


def _table(stats: DatasetStatistics) -> str:
    low, high = stats.value_range
    within, between = stats.variance.within, stats.variance.between
    share = between / np.maximum(within + between, np.finfo(float).tiny)
    lines = [
        f"{stats.images} images, {stats.unreadable} unreadable; values {low:g} to {high:g}"
        + (", exact" if stats.exact else ""),
        "",
    ]
    names = ["grey"] if stats.channels == 1 else ["R", "G", "B"]
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
    mean = ", ".join(f"{value:.4f}" for value in stats.fraction_mean)
    std = ", ".join(f"{value:.4f}" for value in stats.fraction_std)
    lines += ["", f"torchvision: Normalize(mean=[{mean}], std=[{std}])"]
    return "\n".join(lines)


def _apply(asked: argparse.Namespace) -> int:
    method = _configured(asked.method, asked.set)
    folder: Path = asked.out
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder} is a file; name a folder for --out.")
    if folder.is_dir() and any(folder.iterdir()) and not asked.force:
        raise ParameterError(f"{folder} is not empty; name another folder, or give --force.")
    photos = read(asked.source, on_problem="collect")
    fitted, channels = _fitted(method, asked.fit_on, photos)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[dict[str, Any]] = []
    for index, image in photos.indexed():
        seen = as_rgb(image) if channels == 3 else image
        values = fitted(seen.pixels, seen.value_range)
        name = file_name(index, image.path, asked.method, asked.format)
        entry: dict[str, Any] = {"file": name, "source": image.path, "label": image.label}
        if asked.format == "png":
            low, high = float(values.min()), float(values.max())
            window = (low, high) if high > low else (low - 0.5, high + 0.5)
            _write(folder / name, png_bytes(values, window))
            entry["black_white"] = window
        else:
            with _replacing(folder / name) as stream:
                np.save(stream, values, allow_pickle=False)
        written.append({**entry, "shape": values.shape})
    code = _report(photos, len(written))
    if code == FAILED:
        return code
    manifest = {
        "normviz": VERSION,
        "method": asked.method,
        "parameters": dataclasses.asdict(method),
        "unit": method.about.unit,
        "images": written,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    _write(folder / "manifest.json", text.encode() + b"\n")
    _write(folder / "fitted.json", fitted.to_json().encode() + b"\n")
    print(text if asked.json else f"{len(written)} images written to {folder}")
    return code


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
        kind: Any = type(fields[key].default)
        try:
            values[key] = text.lower() == "true" if kind is bool else kind(text)
        except ValueError:
            raise ParameterError(f"--set {setting}: {text!r} is no {kind.__name__}.") from None
    return METHODS[name](**values)


def _fitted(method: Method, source: str | None, photos: Photos) -> tuple[Fitted, int]:
    """The fitted method, and the channels that images need for it (1 leaves them alone)."""
    if method.about.scope not in ("dataset", "batch"):
        fitted = method.fit()
        wide = any(value.shape[-1:] == (3,) for value in fitted.constants.values())
        return fitted, 3 if wide else 1
    if source is not None and source.startswith("preset:"):
        preset = PRESETS.get(source.removeprefix("preset:"))
        if preset is None:
            raise ParameterError(f"there is no {source}; there are {', '.join(PRESETS)}.")
        return method.fit(preset), preset.channels
    stats = _scanned(photos if source is None else read(source))
    return method.fit(stats), stats.channels


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


def _report(photos: Photos, done: int) -> int:
    """Name what could not be read, and return the exit code that this makes."""
    for problem in photos.problems:
        _say(str(problem))
    if not done:
        _say("no image could be read.")
        return FAILED
    return PARTLY if photos.problems else DONE


class _replacing:
    """A file that takes its name only when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Any:
        handle, self._partial = tempfile.mkstemp(dir=self._path.parent, prefix=".normviz-")
        self._stream = os.fdopen(handle, "wb")
        return self._stream

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stream.close()
        if kind is None:
            os.replace(self._partial, self._path)
        else:
            os.unlink(self._partial)


def _write(path: Path, data: bytes) -> None:
    with _replacing(path) as stream:
        stream.write(data)


def _say(sentence: str) -> None:
    print(f"normviz: {sentence}", file=sys.stderr)
