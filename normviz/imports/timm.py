"""``config.json`` of a timm checkpoint: its ``pretrained_cfg``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from normviz.errors import ParameterError, ReadError
from normviz.imports.expression import numbers_in
from normviz.imports.found import Imported, constants_from, known_as, pipeline_of
from normviz.pipeline.base import Step
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.presets import PRESETS

_DEFAULTS = {
    "input_size": (3, 224, 224),
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "mean": PRESETS["imagenet"].mean,
    "std": PRESETS["imagenet"].std,
}


def is_config(record: Mapping[str, Any]) -> bool:
    own = record.get("pretrained_cfg", record)
    return isinstance(own, dict) and "mean" in own and bool({"input_size", "crop_pct"} & own.keys())


def read_config(name: str, record: Mapping[str, Any]) -> Imported:
    """Return numbers and evaluation steps of a timm config.

    Raises :class:`ReadError` for a value of the wrong kind.
    """
    own: Mapping[str, Any] = record.get("pretrained_cfg", record)
    missing = [key for key in _DEFAULTS if own.get(key) is None]
    given = {key: _DEFAULTS[key] if key in missing else own[key] for key in _DEFAULTS}
    numbers = {}
    for key, count in (("mean", (1, 3)), ("std", (1, 3)), ("input_size", (3,)), ("crop_pct", (1,))):
        found = numbers_in(given[key])
        if found is None or len(found) not in count:
            raise ReadError(name, f"its {key} is {str(given[key])[:60]}")
        numbers[key] = found
    constants = constants_from(name, numbers["mean"], numbers["std"], 1)
    share = numbers["crop_pct"][0]
    if not 0.05 <= share <= 2:
        raise ReadError(name, f"its crop_pct is {share:g}, not a share such as 0.875")
    height, width = (int(side) for side in numbers["input_size"][1:])
    problems: list[str] = []
    steps: list[Step] = []
    mode, how = str(given["crop_mode"])[:20], str(given["interpolation"])[:20]
    if how not in ("nearest", "bilinear", "bicubic", "lanczos"):
        problems.append(f"The interpolation “{how}” is not rebuilt: bicubic is used.")
        how = "bicubic"
    try:
        if mode == "squash":
            large = [math.floor(side / share) for side in (height, width)]
            steps = [Resize(large[0], "both", how, width=large[1]), CentreCrop(height, width)]
        elif mode == "center" and height == width:
            steps = [Resize(math.floor(height / share), "shorter", how), CentreCrop(height)]
        else:
            problems.append(
                f"Its size {height}×{width} with the crop “{mode}” is not rebuilt: only the "
                "numbers are."
            )
    except ParameterError as error:
        raise ReadError(name, str(error)) from None
    pipeline = pipeline_of(name, constants, *steps)
    title = "timm config.json"
    if isinstance(record.get("architecture"), str):
        title += f" ({record['architecture'][:60]})"
    named, more = known_as(constants)
    words = f"{title}: {pipeline.words() if pipeline else ''}. {constants.words('Given')}{named}"
    if missing:
        words += f" Not in the file, so timm's defaults: {', '.join(missing)}."
    return Imported(title, constants, words, (*problems, *more), pipeline)
