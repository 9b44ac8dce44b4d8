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
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from normviz.display import Extent, windows
from normviz.errors import NormvizError, ParameterError, ShapeError
from normviz.export import file_name, png_bytes, write_npz
from normviz.images import Image, as_rgb
from normviz.methods import METHODS, Fitted, Method
from normviz.presets import PRESETS
from normviz.read import Photos, read
from normviz.statistics import DatasetStatistics, scan_progress
from normviz.version import VERSION

DONE, FAILED, USAGE, PARTLY, INTERRUPTED = 0, 1, 2, 3, 130

# The side of the mean image that methods fitted at each position get, as in the page.
MEAN_IMAGE_SIDE = 224

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
    apply.add_argument("--method", required=True, help="a name that `methods` lists")
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
        help="where dataset methods take their numbers from: a source or preset:NAME "
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
    photos = read(_one_or_list(asked.source), on_problem="collect")
    stats = _scanned(photos, asked.mean_image)
    code = _report(photos, stats.images)
    if code == FAILED:
        return code
    record = stats.to_dict()
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
        print(_table(stats))
    return code


def _scanned(photos: Photos, mean_image: int | None) -> DatasetStatistics:
    final = DatasetStatistics.empty()
    told = sys.stderr.isatty()
    for final in scan_progress(photos, mean_image=mean_image):
        if told:
            done = final.images + final.unreadable
            print(f"\r{done:,} of {len(photos):,} images", end="", file=sys.stderr)
    if told:
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return final


def _table(stats: DatasetStatistics) -> str:
    low, high = stats.value_range
    within, between = stats.variance.within, stats.variance.between
    share = between / np.maximum(within + between, np.finfo(float).tiny)
    lines = [
        f"{_images(stats.images)}, {stats.unreadable} unreadable; values {low:g} to {high:g}"
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
    method = _configured(asked.method, asked.set)
    folder: Path = asked.out
    if folder.exists() and not folder.is_dir():
        raise NormvizError(f"{folder} is a file; name a folder for --out.")
    if folder.is_dir() and any(folder.iterdir()) and not asked.force:
        raise NormvizError(f"{folder} is not empty; name another folder, or give --force.")
    photos = read(_one_or_list(asked.source), on_problem="collect")
    fitted, channels, fitted_on, fit_code = _fitted(method, asked.fit_on, photos)
    output = _Output(folder, asked.format, fitted)
    misfits = 0
    with contextlib.closing(output.written(photos, channels)) as steps:
        for misfit in steps:
            misfits += 1
            _say(misfit)
    code = _report(photos, len(output.entries), "no image could be normalized.")
    if code == FAILED:
        return code
    manifest = {
        "normviz": VERSION,
        "method": asked.method,
        "parameters": dataclasses.asdict(method),
        "fitted_on": fitted_on,
        "unit": method.about.unit,
        "images": output.entries,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    _write(folder / "fitted.json", fitted.to_json().encode() + b"\n")
    # Last, so that a folder with a manifest is a whole one. A name's bytes that are no text
    # become JSON escapes.
    _write(folder / "manifest.json", text.encode(errors="backslashreplace") + b"\n")
    print(text if asked.json else f"{_images(len(output.entries))} written to {folder}")
    return PARTLY if misfits or fit_code == PARTLY else code


class _Output:
    """A folder of normalized images, written one by one; ``entries`` is what its manifest lists."""

    def __init__(self, folder: Path, kind: str, fitted: Fitted) -> None:
        self._folder = folder
        self._kind = kind
        self._fitted = fitted
        self.entries: list[dict[str, Any]] = []

    def written(self, photos: Photos, channels: int) -> Iterator[str]:
        """Write every image that can be, and yield one sentence for each that cannot."""
        misfits: list[str] = []
        arrays = self._normalized(photos, channels, misfits)
        if self._kind == "npz":
            # Looked for first: a set without any image leaves no empty file.
            first = next(arrays, None)
            if first is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                with _replacing(self._folder / "normalized.npz") as stream:
                    write_npz(stream, self._members(first, arrays))
        else:
            for entry, values in arrays:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._write_one(entry, values)
        yield from misfits
