"""`normviz inspect`: which preprocessing does this model expect?"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

from normviz.cli.arguments import SOURCE_HELP, AddCommand, refuse_no_place, refuse_same, whole
from normviz.cli.progress import bar
from normviz.cli.words import DONE, report
from normviz.errors import NormvizError, ReadError
from normviz.images import Image
from normviz.inspection import Step, Verdict, inspect_network
from normviz.inspection.photos import class_of
from normviz.networks import load
from normviz.networks.network import Network
from normviz.networks.trial import tried
from normviz.observe.sentences import percent
from normviz.read import Problem, read
from normviz.samples import SAMPLE_SETS, SAMPLES, load_sample

PHOTOS = 16

_DESCRIPTION = """which preprocessing does this ONNX model expect, and what does the wrong one cost?

From the model and about 16 natural photos without labels (the bundled ones by default), published
constants and plain value ranges, RGB and BGR, are compared by what arrives at the batch
normalizations against the mean and variance stored there; where none is stored, by the answers
and the first filters, which is weaker. The set of photos is brought to the mean and std of photos
at large, unless --as-they-are says that they are like those of the training.

  distance  symmetric Kullback-Leibler divergence of Gaussians at the first batch normalization
            (nats, both directions added; median over filters, weighted by how much of a filter's
            variance plain areas explain); 0 is what the training saw
  nats      where no batch normalization is stored: log-likelihood, 0 for the most likely
  support   share of redrawn sets of the photos in which it ranks first of its order;
            where no batch normalization is stored, its share of the likelihood
  deep      median distance over all batch normalizations
  entropy   mean entropy of the answers, in bits
  first     share of the photos with the same first class as under the verdict's preprocessing
  accuracy  share of the photos whose first class is their label, where labels are given
The JSON holds the intervals, the five first classes of every photo, and code for more libraries."""


def add(command: AddCommand) -> None:
    asked = command(
        "inspect",
        run,
        "which preprocessing does an ONNX model expect, and what does the wrong one cost?",
        "inspect model.onnx",
        "inspect model.onnx --images photos --json",
        "inspect model.onnx --size 224 --layout NHWC --out verdict.json",
        description=_DESCRIPTION,
    )
    asked.add_argument("model", type=Path, metavar="MODEL.onnx", help="a network for images")
    asked.add_argument("--images", metavar="SOURCE", help=SOURCE_HELP)
    asked.add_argument(
        "--photos", type=whole(1, 64), default=PHOTOS, metavar="N", help="at most so many (16)"
    )
    asked.add_argument(
        "--as-they-are",
        action="store_true",
        help="take the images' brightness and contrast as those of the training images",
    )
    asked.add_argument("--size", type=whole(1, 4096), metavar="N", help="where the file has none")
    asked.add_argument("--layout", choices=("NCHW", "NHWC"), help="where the file does not say")
    asked.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="names of the model's classes, one a line; images in folders of these names (or of "
        "their numbers, from 0) then give the accuracy too",
    )
    asked.add_argument("--seed", type=whole(0, 2**31), default=0, help="of the redrawn sets")
    asked.add_argument("--json", action="store_true", help="print JSON instead of text")
    asked.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there")


def run(asked: argparse.Namespace) -> int:
    if asked.out is not None:
        refuse_no_place(asked.out)
        refuse_same({"--out": asked.out}, [asked.model, asked.images, asked.classes])
    size = None if asked.size is None else (asked.size, asked.size)
    tried(asked.model, asked.model.name, asked.layout, size)
    network = load(asked.model, layout=asked.layout, size=size)
    network.labels = _classes(asked.classes)
    images, problems = _images(asked.images, asked.photos)
    code = report(problems, len(problems), len(images), "no image could be read.")
    if not images:
        return code
    verdict = _watched(network, images, not asked.as_they_are, asked.seed)
    record = json.dumps(verdict.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    if asked.out is not None:
        asked.out.write_text(record + "\n", encoding="utf-8")
    print(record if asked.json else text(verdict))
    return max(code, DONE)


def _images(source: str | None, count: int) -> tuple[list[Image], list[Problem]]:
    if source is None:
        # The last two of the bundled photos are no photos of everyday things.
        odd = set(SAMPLE_SETS["Far from everyday"])
        return [load_sample(key) for key in islice((k for k in SAMPLES if k not in odd), count)], []
    photos = read(source)
    found: list[Image] = []
    problems = list(photos.problems)
    # Spread over the whole source, whose folders are often sorted by class.
    step = max(1, len(photos) // count)
    for index in range(0, len(photos), step):
        if len(found) == count:
            break
        try:
            found.append(photos[index])
        except ReadError as error:
            problems.append(Problem.of(error))
    return found, problems


def _classes(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    try:
        return tuple(file.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(str(file), f"it cannot be read as text: {error}", "") from None


def _watched(network: Network, images: list[Image], usual: bool, seed: int) -> Verdict:
    with bar(None) as shown:
        labels = [class_of(image.label, network.labels) for image in images]
        known = labels if any(label is not None for label in labels) else None
        for record in inspect_network(network, images, usual=usual, labels=known, seed=seed):
            if isinstance(record, Verdict):
                return record
            assert isinstance(record, Step)
            shown.set_description_str(record.stage, refresh=False)
            shown.total = record.total
            shown.update(record.done - shown.n)
    raise NormvizError(f"{network.name}: the inspection ended without a verdict.")


def text(verdict: Verdict) -> str:
    """The verdict's sentences, the table of candidates, and code."""
    lines = [*verdict.words(), "", f"input  {verdict.input}", ""]
    measure = "nats" if verdict.evidence == "output" else "distance"
    heads = [measure, "support", "deep", "entropy", "first"]
    accurate = any(row.accuracy is not None for row in verdict.rows)
    heads += ["accuracy"] * accurate
    width = max(len(row.title) for row in verdict.rows)
    lines.append(f"{'fed as':{width}}" + "".join(f"{head:>10}" for head in heads))
    for row in verdict.rows:
        cells = [
            _cell(row.score if measure == "nats" else row.distance),
            percent(row.support, 0) if row.asked else "–",
            _cell(row.deep),
            _cell(row.entropy),
            "–" if row.agreement is None else percent(row.agreement, 0),
        ]
        if accurate:
            cells.append("–" if row.accuracy is None else percent(row.accuracy, 0))
        lines.append(f"{row.title:{width}}" + "".join(f"{cell:>10}" for cell in cells))
    guesses = [row for row in verdict.rows if row.top5]
    if guesses:
        lines += ["", "first classes of the first photo"]
        lines += [
            f"{row.title:{width}}  "
            + ", ".join(f"{name} {percent(share, 0)}" for name, share in row.top5[0])
            for row in guesses
        ]
    return "\n".join([*lines, "", verdict.code("numpy").rstrip()])


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
