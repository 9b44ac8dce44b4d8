"""`normviz compare`: are two measured sets alike?"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from normviz.cli.arguments import AddCommand, positive
from normviz.cli.words import DONE, FAILED, say
from normviz.errors import ParameterError
from normviz.observe.compare_sets import SetComparison, SetRecord, compare_sets

_DESCRIPTION = """compare two records of `stats --json` or `--out`: are train and test alike?

Per channel, second minus first, as fractions of the value range:
  difference  of the means, ± its 95 % interval with images as the unit (Welch's t): the images
              are the sample, not their pixels, for those of one image resemble each other
  d pixels    the difference in pooled stds of the pixels: how far off zero the second set's mean
              lies after normalization
  d images    the difference in pooled stds of the images' means: Cohen's d, an image being the unit
  std ratio   second over first pooled std, and its natural logarithm
  TV          total variation of the histograms: 0 equal, 1 no value in common
  W1          Wasserstein distance of the histograms: how far values move on average
d and |log ratio| below 0.1 are called negligible, below 0.5 small, below 0.8 medium, from there
large (Cohen 1988: 0.2 small, 0.5 medium, 0.8 large)."""


def add(command: AddCommand) -> None:
    compare = command(
        "compare",
        run,
        "compare two measured sets: effect sizes per channel, and a verdict",
        "compare train.json test.json",
        "compare train.json test.json --fail-above 0.2",
        description=_DESCRIPTION,
    )
    compare.add_argument("first", type=Path, metavar="A.json", help="of the first set")
    compare.add_argument("second", type=Path, metavar="B.json", help="of the second set")
    compare.add_argument("--json", action="store_true", help="print JSON instead of a table")
    compare.add_argument(
        "--fail-above",
        type=positive(math.inf),
        metavar="D",
        help="exit with 1 when d pixels or d images of any channel exceeds D",
    )


def run(asked: argparse.Namespace) -> int:
    first, second = (_record(path) for path in (asked.first, asked.second))
    found = compare_sets(first, second)
    if asked.json:
        print(json.dumps(found.to_dict(), indent=1, allow_nan=False))
    else:
        print(_table(found, first, second))
    if asked.fail_above is not None and found.largest_d > asked.fail_above:
        say(f"the largest d is {found.largest_d:.3g}, above {asked.fail_above:g}.")
        return FAILED
    return DONE


def _record(path: Path) -> SetRecord:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ParameterError(
            f"{path}: this is no JSON; compare takes what `normviz stats --out FILE` writes."
        ) from None
    return SetRecord.of(record, str(path))


def _table(found: SetComparison, first: SetRecord, second: SetRecord) -> str:
    heads = ("difference", "± 95 %", "d pixels", "d images", "std ratio", "log", "TV", "W1")
    lines = [f"{one.name}: {one.taken.words}, {one.transform}" for one in (first, second)]
    lines += ["", f"{'':8}" + "".join(f"{head:>12}" for head in heads)]
    for one in found.channels:
        ratio = math.exp(one.log_std_ratio) if one.log_std_ratio < 700 else math.inf
        numbers = (
            one.difference,
            one.half_width,
            one.d_pixels,
            one.d_images,
            ratio,
            one.log_std_ratio,
            one.total_variation,
            one.wasserstein,
        )
        cells = ("–" if number is None else f"{number:.4f}" for number in numbers)
        lines.append(f"{one.channel:8}" + "".join(f"{cell:>12}" for cell in cells))
    lines += ["", *(one.verdict for one in found.channels), *found.notes, "", found.verdict]
    return "\n".join(lines)
