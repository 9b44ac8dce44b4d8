"""``preprocessor_config.json`` of Hugging Face: the numbers, and the steps in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.errors import ParameterError, ReadError
from normviz.imports.expression import numbers_in
from normviz.imports.found import Imported, constants_from, known_as
from normviz.pipeline.base import Step
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.pipeline import Pipeline
from normviz.pipeline.values import ChannelOrder, MeanStd, Scale, ToRGB
from normviz.presets import PRESETS, ChannelConstants

_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "area"}
_NAMES = {"box": 4, "nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "hamming": 5}

_HALF, _IMAGENET, _CLIP = (PRESETS[key] for key in ("half", "imagenet", "clip"))


@dataclass(frozen=True)
class _Processor:
    """What an image processor of transformers 4.57 does when its file leaves a key out."""

    size: Mapping[str, int]
    resample: int
    numbers: ChannelConstants | None
    crop: int = 0
    """Side of the crop; 0: it has none."""
    crops: bool = True
    flips: bool = False
    rule: str = ""
    """"convnext", "levit", "efficientnet" …: a step of its own."""


_SHORTEST, _LONGEST, _BOTH = "shortest_edge", "longest_edge", ("height", "width")


def _square(side: int) -> dict[str, int]:
    return dict.fromkeys(_BOTH, side)


_PROCESSORS: dict[str, _Processor] = {
    "clip": _Processor({_SHORTEST: 224}, 3, _CLIP, crop=224),
    "bit": _Processor({_SHORTEST: 224}, 3, _CLIP, crop=224),
    "blip": _Processor(_square(384), 3, _CLIP),
    "vit": _Processor(_square(224), 2, _HALF),
    "siglip": _Processor(_square(224), 3, _HALF),
    "deit": _Processor(_square(256), 3, _HALF, crop=224),
    "beit": _Processor(_square(256), 3, _HALF, crop=224),
    "convnext": _Processor({_SHORTEST: 384}, 2, _HALF, rule="convnext"),
    "efficientnet": _Processor(_square(346), 0, _HALF, crop=289, crops=False, rule="efficientnet"),
    "mobilenetv1": _Processor({_SHORTEST: 256}, 2, _HALF, crop=224),
    "mobilenetv2": _Processor({_SHORTEST: 256}, 2, _HALF, crop=224),
    "mobilevit": _Processor({_SHORTEST: 224}, 2, None, crop=256, flips=True),
    "levit": _Processor({_SHORTEST: 224}, 3, _IMAGENET, crop=224, rule="levit"),
    "segformer": _Processor(_square(512), 2, _IMAGENET),
    "poolformer": _Processor({_SHORTEST: 224}, 3, _IMAGENET, crop=224, rule="poolformer"),
    "perceiver": _Processor(_square(224), 3, _IMAGENET, crop=256, rule="perceiver"),
    "dpt": _Processor(_square(384), 3, _HALF, rule="dpt"),
    "detr": _Processor({_SHORTEST: 800, _LONGEST: 1333}, 2, _IMAGENET, rule="detr"),
    "conditionaldetr": _Processor({_SHORTEST: 800, _LONGEST: 1333}, 2, _IMAGENET, rule="detr"),
    "deformabledetr": _Processor({_SHORTEST: 800, _LONGEST: 1333}, 2, _IMAGENET, rule="detr"),
    "yolos": _Processor({_SHORTEST: 800, _LONGEST: 1333}, 2, _IMAGENET, rule="yolos"),
    "glpn": _Processor({}, 2, None, rule="glpn"),
    "swin2sr": _Processor({}, 2, None, rule="swin2sr"),
}
_TYPE = re.compile(r"(ImageProcessor|FeatureExtractor)(Fast|Pil)?$")
_REBUILT = {
    "do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb",
    "do_flip_channel_order", "do_reduce_labels", "do_convert_annotations",
}  # fmt: skip
_OF_RESIZING = ("max_size", "keep_aspect_ratio", "ensure_multiple_of", "crop_pct")
_OF_PADDING = ("size_divisor", "pad_size")


class _Config:
    """The file's keys; ``said`` collects the defaults that had to be taken."""

    def __init__(self, name: str, record: Mapping[str, Any], kind: str) -> None:
        self.name, self.record, self.kind = name, record, kind
        self.said: list[str] = []
        self.notes: list[str] = []
        self.asked: set[str] = set()

    def get(self, key: str, default: Any) -> Any:
        self.asked.add(key)
        value = self.record.get(key)
        if value is None and default is not None:
            said = f"{key} {_shown(default)}"
            self.said += [said] if said not in self.said else []
            return default
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise ReadError(self.name, f"its {key} is {_shown(value)}, not true or false")
        return value

    def number(self, key: str, default: float) -> float:
        value = numbers_in(self.get(key, default))
        if value is None or len(value) != 1:
            raise ReadError(self.name, f"its {key} is {_shown(self.record.get(key))}, not a number")
        return value[0]

    def whole(self, key: str, default: int) -> int:
        value = self.number(key, default)
        if value != int(value) or not 1 <= value <= 1e6:
            raise ReadError(self.name, f"its {key} is {value:g}, not a whole number from 1")
        return int(value)

    def list(self, key: str, default: Any) -> tuple[float, ...]:
        given = self.record.get(key)
        value = numbers_in(self.get(key, default))
        if value is None:
            said = "missing" if given is None else _shown(given)
            raise ReadError(
                self.name,
                f"its {key} is {said}, not a list of numbers",
                f'Give "{key}": [0.5, 0.5, 0.5]',
            )
        return value


def is_config(record: Mapping[str, Any]) -> bool:
    keys = {
        "image_mean", "image_std", "image_processor_type", "feature_extractor_type",
        "do_normalize", "do_rescale",
    }  # fmt: skip
    return bool(keys & record.keys())


def read_config(name: str, record: Mapping[str, Any]) -> Imported:
    """Return numbers and steps of a ``preprocessor_config.json``.

    A key that is missing takes the default of its image processor, and the words say so. Raises
    :class:`ReadError` for a value of the wrong kind.
    """
    given = record.get("image_processor_type") or record.get("feature_extractor_type")
    kind = _TYPE.sub("", str(given)) if isinstance(given, str) else ""
    known = _PROCESSORS.get(kind.lower())
    config = _Config(name, record, kind)
    problems: list[str] = []
    whose = f"the image processor {kind[:60]}" if kind else "an image processor without a name"
    if known is None:
        _refuse_without_numbers(config, whose)
        problems.append(
            f"The defaults of {whose} are not known here: only what the file says is rebuilt."
        )
        if isinstance(record.get("size"), (int, float)):
            problems.append("A size of one number is taken as both sides, as ViT takes it.")
    try:
        steps = _geometry(config, known, problems)
        constants, values = _values(config, known)
        pipeline = Pipeline((ToRGB(), *steps, *values))
    except ParameterError as error:
        raise ReadError(name, str(error)) from None
    problems += _left_out(config)
    if record.get("do_convert_rgb") is False:
        problems.append(
            "do_convert_rgb is false: the library leaves grey images as they are; here they are "
            "repeated into R, G and B."
        )
    title = f"Hugging Face preprocessor_config.json{f' ({kind})' if kind else ''}"
    named, more = known_as(constants)
    words = f"{title}: {pipeline.words()}. {constants.words('Given')}{named}"
    words += "".join(f" {note}" for note in config.notes)
    if config.said:
        words += f" Not in the file, so the library's defaults: {', '.join(config.said)}."
    return Imported(title, constants, words, (*problems, *more), pipeline)


def _left_out(config: _Config) -> list[str]:
    """A sentence for each key that changes the picture, and that nothing has asked for."""
    record, found = config.record, []
    for key, value in record.items():
        if key in config.asked or value is None or value is False:
            continue
        if key.startswith("do_") and key not in _REBUILT and value is True:
            found.append(f"“{str(key)[:40]}” is not rebuilt here.")
        resizes = key in _OF_RESIZING and record.get("do_resize") is not False
        pads = key in _OF_PADDING and record.get("do_pad") is not False
        if (resizes or pads) and (key, value) != ("ensure_multiple_of", 1):
            found.append(f"“{key}” ({_shown(value)}) is not rebuilt here.")
    return found


def _refuse_without_numbers(config: _Config, whose: str) -> None:
    """Refuse a file without mean and std where it cannot be known what stands in for them."""
    record = config.record
    if "sampling_rate" in record:
        raise ReadError(config.name, "it prepares sound, not images: it has a sampling_rate")
    if record.get("image_mean") is None and record.get("do_normalize") is not False:
        does = "it normalizes" if record.get("do_normalize") else "it does not say do_normalize"
        raise ReadError(
            config.name,
            f"{does}, but has no image_mean, and the defaults of {whose} are not known here",
            'Add "image_mean": [0.5, 0.5, 0.5] and "image_std", or "do_normalize": false',
        )


def _geometry(config: _Config, known: _Processor | None, problems: list[str]) -> list[Step]:
    if known is not None and not known.size:
        _say_what_depends_on_the_image(config, known, problems)
        return []
    record = config.record
    if known is None and "size" not in record and not record.get("do_resize"):
        resizes = False
    else:
        resizes = config.flag("do_resize", True)
    crops_by_default = bool(known and known.crop and known.crops)
    crops = config.flag("do_center_crop", crops_by_default) if known and known.crop else bool(
        record.get("do_center_crop", False)
    )  # fmt: skip
    rule = known.rule if known else ""
    if rule in ("detr", "yolos") and record.get("pad_size") is None and config.flag("do_pad", True):
        config.notes.append("do_pad fills up to the largest image of a batch: one stays as it is.")
    if rule == "perceiver" and crops and not resizes:
        crops = False
        problems.append("The crop, a share of the shorter side, is not rebuilt without a resize.")
    steps: list[Step] = []
    if resizes:
        size = config.get("size", dict(known.size) if known else None)
        if size is None:
            raise ReadError(config.name, "it resizes, but its size is missing")
        sides = _sides(config, "size", size, square=known is None or _SHORTEST not in known.size)
        if rule in ("detr", "yolos") and not isinstance(size, (dict, list)):
            sides[_LONGEST] = config.whole("max_size", 1333)
        resample = _resample(config, known, problems)
        if rule == "perceiver" and crops:
            return _cropped_first(config, sides, resample, problems)
        steps += _resized(config, known, sides, resample, problems)
    if crops:
        size = config.get("crop_size", known.crop if known else None)
        if size is None:
            raise ReadError(config.name, "it crops the centre, but its crop_size is missing")
        sides = _sides(config, "crop_size", size, square=True)
        side = sides.get(_SHORTEST)
        height, width = sides.get("height", side), sides.get("width", side)
        if height is None or width is None:
            raise ReadError(config.name, "its crop_size needs a height and a width")
        steps.append(CentreCrop(height, 0 if width == height else width))
    return steps


def _resized(
    config: _Config,
    known: _Processor | None,
    sides: dict[str, int],
    resample: str,
    problems: list[str],
) -> list[Step]:
    rule = known.rule if known else ""
    if "height" in sides and "width" in sides:
        height, width = sides["height"], sides["width"]
        if rule == "dpt":
            return _kept_in_proportion(config, height, width, resample, problems)
        if rule == "poolformer" and (share := _share(config, 0.9)):
            height, width = int(height / share), int(width / share)
            if height == width:
                return [Resize(height, "shorter", resample)]
        return [Resize(height, "both", resample, width=0 if width == height else width)]
    if _SHORTEST in sides:
        side = sides[_SHORTEST]
        if _LONGEST in sides:
            problems.append(
                f"The longer side is kept to {sides[_LONGEST]} there: elongated images "
                "become smaller than here."
            )
        if rule == "yolos":
            problems.append(
                "Both sides are rounded down to multiples of 16 there, which is not rebuilt here."
            )
        if rule == "poolformer":
            return [Resize(int(side / (_share(config, 0.9) or 1)), "shorter", resample)]
        if rule == "levit":
            return [Resize(int(256 / 224 * side), "shorter", resample)]
        if rule == "convnext" and side < 384:
            share = _share(config, 224 / 256) or 224 / 256
            return [Resize(int(side / share), "shorter", resample), CentreCrop(side)]
        if rule == "convnext":
            if config.record.get("crop_pct") is not None:
                config.asked.add("crop_pct")
                config.notes.append("From a size of 384 on its crop_pct has no effect.")
            return [Resize(side, "both", resample)]
        return [Resize(side, "shorter", resample)]
    if _LONGEST in sides:
        problems.append("The other side is rounded down here; the library may round to nearest.")
        return [Resize(sides[_LONGEST], "longer", resample)]
    raise ReadError(
        config.name,
        f"its size has the keys {_keys(config.record.get('size'))}",
        "It takes height and width, shortest_edge or longest_edge",
    )


def _share(config: _Config, default: float) -> float | None:
    """crop_pct, the share of the resized picture that is kept; None where the file says null."""
    if "crop_pct" in config.record and config.record["crop_pct"] is None:
        return None
    share = config.number("crop_pct", default)
    if not 0.05 <= share <= 1:
        raise ReadError(config.name, f"its crop_pct is {share:g}, not a share up to 1")
    return share


def _kept_in_proportion(
    config: _Config, height: int, width: int, resample: str, problems: list[str]
) -> list[Step]:
    """DPT: both sides to multiples of a number, squeezed or scaled as little as can be."""
    multiple = config.whole("ensure_multiple_of", 1)
    height, width = (round(side / multiple) * multiple for side in (height, width))
    if not config.flag("keep_aspect_ratio", False):
        return [Resize(height, "both", resample, width=0 if width == height else width)]
    nearest = f"the nearest multiple of {multiple}" if multiple > 1 else "the nearest pixel"
    if height != width:
        problems.append(
            f"“keep_aspect_ratio” is not rebuilt for {height}×{width}: here the picture is "
            f"squeezed; there the other side is in proportion, to {nearest}."
        )
        return [Resize(height, "both", resample, width=width)]
    problems.append(
        f"“keep_aspect_ratio” is rebuilt but for two things: the longer side is rounded to "
        f"{nearest} there, and of an image smaller than {height}×{height} it is the longer side "
        f"that becomes {height}."
    )
    return [Resize(height, "shorter", resample)]


def _cropped_first(
    config: _Config, sides: dict[str, int], resample: str, problems: list[str]
) -> list[Step]:
    """Perceiver: size / crop_size of the shorter side is cut out, then resized to size."""
    around = _sides(config, "crop_size", config.get("crop_size", _square(256)), square=True)
    height, width = (sides.get(side, 0) for side in _BOTH)
    if not height == width <= around.get("height", 0) == around.get("width", 0):
        problems.append("The crop before resizing is not rebuilt: the whole picture is squeezed.")
        return _resized(config, None, sides, resample, problems)
    problems.append(
        "It crops before it resizes; here the picture is resized first, which shifts it by less "
        "than a pixel."
    )
    return [Resize(around["height"], "shorter", resample), CentreCrop(height)]


def _say_what_depends_on_the_image(config: _Config, known: _Processor, problems: list[str]) -> None:
    config.asked.add("size_divisor")
    if known.rule == "glpn" and config.flag("do_resize", True):
        multiple = config.whole("size_divisor", 32)
        problems.append(
            f"Both sides are resized there, down to multiples of {multiple}, which no step here "
            "does: the picture keeps its size."
        )
    if known.rule == "swin2sr" and config.flag("do_pad", True):
        old = "size_divisor" not in config.record and "pad_size" in config.record
        multiple = config.whole("pad_size" if old else "size_divisor", 8)
        problems.append(
            "Mirrored pixels are added at the right and below there, up to the next multiple of "
            f"{multiple}, which no step here does: the picture keeps its size."
        )


def _values(config: _Config, known: _Processor | None) -> tuple[ChannelConstants, list[Step]]:
    """The numbers as they stand, and the steps from rescaling on."""
    factor, offset = 1.0, 0.0
    steps: list[Step] = []
    if config.flag("do_rescale", True):
        factor = config.number("rescale_factor", 1 / 255)
        if abs(factor * 255 - 1) < 1e-6:
            factor = 1 / 255
        if not 1e-6 < factor < 1e6:
            raise ReadError(config.name, f"its rescale_factor of {factor:g} leaves no picture")
        if config.record.get("rescale_offset") is True:
            offset = -1.0
        steps.append(Scale(factor, offset))
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    default = known.numbers if known else None
    if (known is None or default) and config.flag("do_normalize", True):
        mean = config.list("image_mean", default.mean if default else None)
        std = config.list("image_std", default.std if default else None)
        constants_from(config.name, mean, std, 1)  # refuses what cannot be divided by
        steps.append(MeanStd(mean, std))
    rule = known.rule if known else ""
    if rule == "efficientnet" and config.flag("include_top", True):
        again = config.list("image_std", default.std if default else None)
        constants_from(config.name, (0.0,), again, 1)
        steps.append(MeanStd((0.0,), again))
        std = tuple((np.array(std) * np.array(again)).tolist())
        config.notes.append("include_top divides by image_std a second time.")
    order = "RGB"
    flips = bool(known and known.flips)
    if flips or "do_flip_channel_order" in config.record:
        flips = config.flag("do_flip_channel_order", flips)
    if flips:
        steps.append(ChannelOrder())
        order, mean, std = "BGR", mean[::-1], std[::-1]
    scale = 1 if factor == 1 / 255 else 255 * factor
    numbers = constants_from(config.name, [m - offset for m in mean], std, scale, order)
    return numbers, steps


def _sides(config: _Config, key: str, size: Any, *, square: bool) -> dict[str, int]:
    """``size`` as the dictionary that ``get_size_dict`` makes of it."""
    if isinstance(size, bool):
        size = None
    if isinstance(size, (int, float)):
        size = dict.fromkeys(_BOTH, size) if square else {_SHORTEST: size}
    elif isinstance(size, list) and len(size) == 2:
        size = dict(zip(_BOTH, size, strict=True))
    if not isinstance(size, dict):
        raise ReadError(
            config.name,
            f"its {key} is {_shown(size)}",
            'Give 224, {"shortest_edge": 224} or {"height": 224, "width": 224}',
        )
    sides = {}
    for side in (*_BOTH, _SHORTEST, _LONGEST):
        value = size.get(side)
        if value is None:
            continue
        whole = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (
            not whole
            or value != value
            or abs(value) == float("inf")
            or value != int(value)
            or abs(value) > 1e6
        ):
            raise ReadError(config.name, f"its {key} has the {side} {_shown(value)}")
        sides[side] = int(value)
    return sides


def _resample(config: _Config, known: _Processor | None, problems: list[str]) -> str:
    value = config.get("resample", known.resample if known else 2)
    if isinstance(value, str):
        value = _NAMES.get(value.lower(), value)
    if isinstance(value, int) and not isinstance(value, bool) and value in _RESAMPLE:
        return _RESAMPLE[value]
    problems.append(f"The filter resample {_shown(value)} is not rebuilt: bilinear is used.")
    return "bilinear"


def _keys(size: Any) -> str:
    return ", ".join(str(key)[:20] for key in list(size)[:4]) if isinstance(size, dict) else ""


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(_shown(one) for one in value[:4])
    if isinstance(value, dict):
        return ", ".join(f"{str(k)[:20]} {str(v)[:20]}" for k, v in list(value.items())[:4])
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:60]
