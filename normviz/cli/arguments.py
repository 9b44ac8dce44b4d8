"""What several commands ask for in the same words."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from normviz.errors import NormvizError, ParameterError
from normviz.pipeline import KNOWN
from normviz.read.remote import local_path, scheme_of

SOURCE_HELP = (
    "image, folder, glob, list of files, zip, tar and its shards, Parquet, .npy, .npz, IDX, CIFAR; "
    "on disk or at an fsspec address (s3://…)"
)

PIPELINE_HELP = (
    f"ordered steps in JSON, as Pipeline.to_json() writes them, or known:NAME ({', '.join(KNOWN)})"
)

AddCommand = Callable[..., argparse.ArgumentParser]


def whole(low: int, high: int) -> Any:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return number


def positive(below: float) -> Any:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < below:
            limit = "" if below == float("inf") else f" and below {below:g}"
            raise argparse.ArgumentTypeError(f"a number above 0{limit}, not {text!r}")
        return value

    return number


def one_or_list(sources: list[str]) -> str | list[str]:
    return sources[0] if len(sources) == 1 else sources


def refuse_no_place(path: Path) -> None:
    """Say before the work, not after it, that ``path`` cannot be written."""
    if path.is_dir():
        raise NormvizError(f"{path} is a folder; name a file.")
    if not path.parent.is_dir():
        raise NormvizError(f"{path.parent}: there is no such folder; make it, or name another.")


def refuse_same(written: Mapping[str, Path | None], read: Iterable[str | Path | None]) -> None:
    """Say before the work that a file would be written twice, or over one that is read.

    ``written``: by the option that names it; ``read``: paths, addresses and patterns alike.

    >>> refuse_same({"--out": Path("a.json"), "--rows": Path("x/../a.json")}, [])
    Traceback (most recent call last):
        ...
    normviz.errors.ParameterError: --out and --rows name one file, a.json; give each its own.
    """
    named: dict[str, str] = {}
    for option, path in written.items():
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in named:
            raise ParameterError(
                f"{named[place]} and {option} name one file, {path.name}; give each its own."
            )
        named[place] = option
    if not named:
        return
    for source in read:
        text = "" if source is None else str(source).removeprefix("@")
        local = local_path(text) if scheme_of(text) else text
        if local and os.path.realpath(local) in named:
            option = named[os.path.realpath(local)]
            raise ParameterError(
                f"{option} would be written over {text}, which is read; name another file."
            )
