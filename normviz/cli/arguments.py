"""What several commands ask for in the same words."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from normviz.errors import NormvizError
from normviz.pipeline import KNOWN

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
