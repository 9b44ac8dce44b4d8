"""The JPEGs that the benchmarks of the statistics read."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BESIDE = ROOT / ".." / "shared" / "data" / "corpus"


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--images``."""
    parser.add_argument(
        "--images", type=Path, default=BESIDE, help="a folder of JPEGs; default %(default)s"
    )


def jpegs_of(folder: Path) -> list[Path]:
    """Return the JPEGs of a folder in order; says what to do and exits where there are none."""
    found = sorted(folder.glob("*.jpg"))
    if not found:
        sys.exit(f"{folder}: no JPEGs there. Name a folder of some hundred with --images FOLDER.")
    return found


def copied(jpegs: list[Path], folder: Path, count: int) -> Path:
    """Fill a new folder with ``count`` JPEGs, the given ones over and over."""
    folder.mkdir(parents=True)
    for at in range(count):
        shutil.copyfile(jpegs[at % len(jpegs)], folder / f"{at:06}.jpg")
    return folder
