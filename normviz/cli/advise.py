"""`normviz advise`: which normalization suits these images?"""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from normviz.cli.arguments import (
    SOURCE_HELP,
    AddCommand,
    one_or_list,
    refuse_no_place,
    refuse_same,
    whole,
)
from normviz.cli.engine import add_engine, engine_asked, parts_asked
from normviz.cli.progress import bar, stop_asked, watched
from normviz.cli.words import FAILED, report, say
from normviz.errors import ParameterError
from normviz.export import write
from normviz.lab import NORMALIZATIONS, OwnImages
from normviz.lab.advice import Advice, AdviceSpec, advise
from normviz.lab.split import Brightness, brightness_of
from normviz.read import Photos, read
from normviz.read.some import some

MOST = 4000
"""Of larger sources so many images are measured, evenly over the source."""

_DESCRIPTION = f"""\
which normalization suits these images: the dataset's numbers, or each image's own?

Where does the variance of brightness lie: within images, between images of one class, between
classes? With labels (a folder a class, or labels in the file; two classes of 10 images or more) a
small network is then trained under several normalizations on the images as they are, reduced to
16 × 16 pixels, and tested in their light and in darker and brighter light. Differences are paired
over seeds; what is not significant after Holm's correction is not called a difference. Of more than
{MOST:,} images so many are measured; of each class at most 200 are trained and tested on."""


def add(command: AddCommand) -> None:
    asked = command(
        "advise",
        run,
        "which normalization suits these images: the dataset's numbers, or each image's own?",
        "advise photos",
        "advise train.zip --json",
        "advise train --seed 100 --out advice.json",
        description=_DESCRIPTION,
    )
    asked.add_argument("source", nargs="+", help=SOURCE_HELP)
    asked.add_argument(
        "--seed", type=whole(0, 2**31), default=0, help="the first of the seeds (default 0)"
    )
    asked.add_argument(
        "--unlabelled", action="store_true", help="measure brightness alone, train nothing"
    )
    asked.add_argument("--json", action="store_true", help="print JSON instead of text")
    asked.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there")
    add_engine(asked)


def run(asked: argparse.Namespace) -> int:
    if asked.out is not None:
        refuse_no_place(asked.out)
        refuse_same({"--out": asked.out}, asked.source)
    photos = read(one_or_list(asked.source))
    for note in photos.notes:
        say(note)
    step = max(1, -(-len(photos) // MOST))
    parts = parts_asked(some(photos, range(0, len(photos), step)) if step > 1 else photos)
    with engine_asked(asked, parts) as engine:
        stats = watched(parts, engine)
    unreadable = stats.unreadable + (len(photos.problems) if step > 1 else 0)
    problems = (*(photos.problems if step > 1 else ()), *stats.problems)
    code = report(problems, unreadable, stats.images, "no image could be read.")
    if code == FAILED:
        return code
    brightness = brightness_of(stats.rows, not asked.unlabelled)
    own, refused = (None, "") if asked.unlabelled else _labelled(photos)
    advice = replace(_watched(brightness, own, asked.seed), refused=refused)
    record = json.dumps(advice.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    if asked.out is not None:
        write(asked.out, record.encode() + b"\n")
    print(record if asked.json else text(advice))
    return code


def _labelled(photos: Photos) -> tuple[OwnImages | None, str]:
    """The images to train on, or none; and why labelled images cannot be trained on."""
    if not any(photos.labels):
        return None, ""
    try:
        return OwnImages.of(photos), ""
    except ParameterError as error:
        return None, f"No race can be run: {error}"


def _watched(brightness: Brightness, own: OwnImages | None, seed: int) -> Advice:
    spec = AdviceSpec()
    spec = replace(spec, seeds=tuple(seed + one for one in spec.seeds))
    last: object = None
    with stop_asked() as stopping, bar(None) as shown:
        shown.unit = " runs"
        shown.total = len(spec.seeds) * len(spec.methods)
        with contextlib.closing(advise(brightness, own, spec)) as records:
            for last in records:
                shown.update(getattr(last, "kind", "") == "accuracy")
                if stopping():
                    raise KeyboardInterrupt
    assert isinstance(last, Advice)
    return last


def text(advice: Advice) -> str:
    """The advice in sentences, and the table of accuracies."""
    lines = advice.words()
    if advice.accuracy is None:
        return "\n".join(lines)
    titles = [NORMALIZATIONS[key].title for key in advice.spec.methods]
    width = max(map(len, titles))
    heads = "".join(
        f"{ev:+g} EV".replace("+0 ", "0 ").rjust(9).replace("-", "−") for ev in advice.spec.shifts
    )
    lines += ["", f"{'right, in % (mean of seeds)':{width}}{heads}"]
    for key, title in zip(advice.spec.methods, titles, strict=True):
        cells = "".join(f"{np.mean(own):9.1f}" for own in advice.accuracy[key])
        lines.append(f"{title:{width}}{cells}")
    return "\n".join(lines)
