"""``Normalize(mean=…, std=…)`` of torchvision and Albumentations, and mean and std in a config."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from normviz.errors import ParameterError, ReadError
from normviz.imports.assigned import Assignments
from normviz.imports.expression import balanced, numbers_in, parsed_call, parsed_value
from normviz.imports.found import Imported, constants_from, known_as, pipeline_of
from normviz.pipeline.base import Step
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.presets import PRESETS

_CALL = re.compile(r"(?<![\w.])((?:\w+\.)*)Normalize\s*(?=\()")
_PRESET = re.compile(r"(?<![\w.])(Image|Video)Classification\s*(?=\()")
# Bounded repeats: an unbounded one takes quadratic time on a long word.
_ASSIGNED = r"(?i)\b\w{{0,40}}?(?:{})(?:_\w{{1,10}})?[\"']?\s{{0,40}}[=:]\s*"
_MEAN = re.compile(_ASSIGNED.format("means?"))
_STD = re.compile(_ASSIGNED.format("std|stds|stdev|stddev"))
_NUMBER = r"[-+\d.eE]{1,24}"
_MEAN_VALUE = re.compile(rf"\bmean_value\s{{0,40}}:\s{{0,40}}(\[[^\]]{{0,400}}\]|{_NUMBER})")
_CAFFE_SCALE = re.compile(rf"\bscale\s{{0,40}}:\s{{0,40}}({_NUMBER})")
_TO_RGB = re.compile(r"(?:bgr_to_rgb|to_rgb)\s*[=:]\s*(True|False|true|false)")
_BY_MODE = {
    "image": "image_standardize",
    "image_per_channel": "image_channel_standardize",
    "min_max": "min_max",
    "min_max_per_channel": "channel_min_max",
}
_DEFAULTS = {
    "mean": PRESETS["imagenet"].mean,
    "std": PRESETS["imagenet"].std,
    "max_pixel_value": 255.0,
    "normalization": "standard",
}


def read_text(name: str, text: str, order: str = "") -> Imported | None:
    """Return what a call or a config says; None where there is no mean and std in it."""
    if match := _PRESET.search(text):
        return _weights_transform(name, balanced(text, match.end()), match[1])
    calls = list(_CALL.finditer(text))
    if calls:
        assigned = Assignments(text)
        found = [_one_call(name, text, match, order, assigned) for match in calls[:20]]
        first = found[0]
        if any(other.words != first.words for other in found[1:]):
            more = "The text holds several Normalize that differ: the first is used."
            return replace(first, problems=(*first.problems, more))
        return first
    return _prototxt(name, text, order) or _config(name, text, order)


def from_albumentations(name: str, record: dict[str, Any], order: str = "") -> Imported:
    """Return the Normalize of what ``A.to_dict`` wrote, however deep it stands."""
    queue, seen = [record], 0
    while queue and seen < 1000:
        one, seen = queue.pop(0), seen + 1
        if str(one.get("__class_fullname__", "")).rsplit(".", 1)[-1] == "Normalize":
            return albumentations_normalize(name, one, order)
        inner = one.get("transforms", [])
        both = [one.get("transform"), *(inner if isinstance(inner, list) else [])]
        queue += [each for each in both if isinstance(each, dict)]
    raise ReadError(name, "it holds Albumentations transforms, but no Normalize among them")


def albumentations_normalize(name: str, given: dict[str, Any], order: str = "") -> Imported:
    """Return the numbers of A.Normalize: y = (x − mean · max) / (std · max)."""
    defaults = [
        f"{key} {_shown(default)}"
        for key, default in _DEFAULTS.items()
        if key != "normalization" and given.get(key) is None
    ]
    used = {
        key: given.get(key) if given.get(key) is not None else _DEFAULTS[key] for key in _DEFAULTS
    }
    mode = used["normalization"]
    if mode != "standard":
        method = _BY_MODE.get(str(mode))
        instead = f"Use the method “{method}” instead" if method else "Use another mode"
        raise ReadError(
            name,
            f"its normalization={str(mode)[:40]!r} takes mean and std from each image, so there "
            "are no numbers to import",
            instead,
        )
    mean, std = _required(name, used["mean"], "mean"), _required(name, used["std"], "std")
    largest = _required(name, used["max_pixel_value"], "max_pixel_value")
    if len(largest) != 1 or largest[0] <= 0:
        raise ReadError(name, "max_pixel_value must be one number above 0")
    problems = []
    if largest[0] == 1 and max(mean) > 2:
        constants = constants_from(name, mean, std, 255, order or "RGB")
        how = "max_pixel_value 1 leaves the numbers as they are, which are for 0–255."
    elif largest[0] in (1, 255, 65535):
        constants = constants_from(name, mean, std, 1, order or "RGB")
        how = f"mean and std are fractions of max_pixel_value {largest[0]:g}"
        how += "." if largest[0] == 255 else ", taken as the white of the images it is for."
    else:
        constants = constants_from(name, mean, std, 255 / largest[0], order or "RGB")
        how = f"mean and std are times max_pixel_value {largest[0]:g}, on pixels of 0–255."
        problems.append(
            f"max_pixel_value {largest[0]:g} is the white of no common image type: 255 for 8 "
            "bits, 65535 for 16, 1 for floats."
        )
    words, more = known_as(constants)
    kind = "Albumentations Normalize"
    sentences = f"{kind}: {how} {constants.words('Given')}{words}"
    if defaults:
        sentences += f" Not given, so Albumentations' defaults: {'; '.join(defaults)}."
    pipeline = pipeline_of(name, constants)
    return Imported(kind, constants, sentences, (*problems, *more), pipeline)


def read_record(name: str, record: dict[str, Any], order: str = "") -> Imported | None:
    """Return mean and std of a JSON object that has both; None where one is missing."""
    by_key = {str(key).lower(): value for key, value in record.items()}
    mean, std = by_key.get("mean"), by_key.get("std")
    if isinstance(std, dict):
        std = std.get("pooled")  # as "normviz stats" writes it
    if mean is None or std is None:
        return None
    numbers = _required(name, mean, "mean"), _required(name, std, "std")
    return _plain(name, "mean and std in JSON", *numbers, order=order)


def _one_call(name: str, text: str, match: re.Match, order: str, assigned: Assignments) -> Imported:
    inside = balanced(text, match.end())
    if not inside:
        raise ReadError(name, "a “Normalize(” is not closed", "Paste the whole call")
    if len(inside) > 4000:
        raise ReadError(name, "a Normalize(…) is longer than 4,000 characters")
    try:
        plain, named = parsed_call(inside, assigned, match.start())
    except ValueError as error:
        raise ReadError(
            name,
            f"Normalize(…) cannot be read: {error}",
            "Write the numbers themselves, such as Normalize(mean=[0.485, 0.456, 0.406], "
            "std=[0.229, 0.224, 0.225])",
        ) from None
    by_name = {"max_pixel_value", "normalization", "p", "always_apply"} & named.keys()
    if by_name or match[1] in ("A.", "albumentations.") or "albumentations" in text:
        keys = ("mean", "std", "max_pixel_value", "normalization")
        return albumentations_normalize(
            name, {**dict(zip(keys, plain, strict=False)), **named}, order
        )
    given = {**dict(zip(("mean", "std"), plain, strict=False)), **named}
    mean, std = (_required(name, given.get(key), key) for key in ("mean", "std"))
    return _plain(name, "torchvision Normalize", mean, std, order)


def _plain(
    name: str, kind: str, mean: tuple[float, ...], std: tuple[float, ...], order: str
) -> Imported:
    """Numbers of a library that does no ÷ 255 of its own: their size tells the range."""
    problems: list[str] = []
    large = max(map(abs, (*mean, *std))) > 2
    constants = constants_from(name, mean, std, 255 if large else 1, order or "RGB")
    if large:
        how = "numbers of this size are for pixels of 0–255, not divided before."
    else:
        how = "numbers of this size are for fractions 0–1."
    if min(mean) < 0:
        problems.append(
            "A mean below 0 is none of pixels: this is probably the inverse of a normalization, "
            "for viewing."
        )
    words, more = known_as(constants)
    return Imported(
        kind,
        constants,
        f"{kind}: {how} {constants.words('Given')}{words}",
        (*problems, *more),
        pipeline_of(name, constants),
    )


def _weights_transform(name: str, inside: str, which: str) -> Imported:
    """torchvision's ImageClassification(…) as ``weights.transforms()`` prints it."""
    given: dict[str, Any] = {}
    for key in ("mean", "std", "crop_size", "resize_size"):
        if match := re.search(rf"\b{key}=", inside):
            start = match.end()
            text = balanced(inside, start) if inside[start : start + 1] in "([" else ""
            given[key] = _numbers_of(name, text or re.split(r"[,\n)]", inside[start:])[0], key)
    kind = f"torchvision {which}Classification"
    preset = PRESETS["imagenet" if which == "Image" else "kinetics"]
    mean, std = given.get("mean", preset.mean), given.get("std", preset.std)
    found = _plain(name, kind, mean, std, "")
    crop, resize = given.get("crop_size"), given.get("resize_size", (256.0,))
    interpolation = re.search(r"interpolation=(?:InterpolationMode\.)?(\w+)", inside)
    mode = interpolation[1].lower() if interpolation else "bilinear"
    if crop is None or which == "Video" or len(crop) != 1 or len(resize) != 1:
        return found
    steps: tuple[Step, ...]
    try:
        steps = (Resize(int(resize[0]), interpolation=mode), CentreCrop(int(crop[0])))
    except ParameterError as error:
        raise ReadError(name, str(error)) from None
    constants = constants_from(name, mean, std, 1)
    pipeline = pipeline_of(name, constants, *steps)
    return Imported(kind, found.numbers, found.words, found.problems, pipeline)


def _config(name: str, text: str, order: str) -> Imported | None:
    """A mean and a std under these names, as in MMDetection's configs or a module's constants."""
    given = {}
    for key, pattern in (("mean", _MEAN), ("std", _STD)):
        match = pattern.search(text)
        if match is None:
            continue
        rest = text[match.end() : match.end() + 4000]
        whole = re.match(r"[\w.]*(?=[(\[])", rest)
        bracket = balanced(rest, whole.end()) if whole else ""
        if whole and not bracket and (inner := re.search(r"[(\[]\s*[-\d.]", rest[:100])):
            # Cut off in the middle of np.array([…], …): the list itself may be whole.
            whole, bracket = re.match("", rest), balanced(rest, inner.start())
        value = (whole[0] + bracket) if whole and bracket else re.split(r"[,\n;)}]", rest)[0]
        tail = rest[len(value) :].split("\n")[0] if bracket else ""
        if operation := re.match(r"\s*[*/]\s*[\d.]+", tail):
            value += operation[0]
        given[key] = _numbers_of(name, value, key)
    if "mean" not in given:
        return None
    kind = "mean and std in a text"
    problems: tuple[str, ...] = ()
    if "std" not in given:
        if max(map(abs, given["mean"])) <= 2:
            raise ReadError(name, "it has a mean and no std", "Add std = [0.5, 0.5, 0.5]")
        given["std"] = (1.0,)
        problems = ("It has a mean and no std: a std of 1 is taken, as Caffe's models do.",)
    turned = _TO_RGB.search(text)
    if turned and not order:
        order = "RGB" if turned[1].lower() == "true" else "BGR"
    if not order and re.search(r"(?i)\bbgr\b", text) and not re.search(r"(?i)\brgb\b", text):
        order = "BGR"
    found = _plain(name, kind, given["mean"], given["std"], order)
    return replace(found, problems=(*problems, *found.problems))


def _prototxt(name: str, text: str, order: str) -> Imported | None:
    """``transform_param { mean_value: 104 … scale: 0.017 }`` of Caffe: y = (x − mean) · scale.

    Protocol buffers write a repeated field as ``mean_value: [104, 117, 123]`` too.
    """
    values = re.split(r"[\[\],\s]+", " ".join(_MEAN_VALUE.findall(text)).strip(" []"))
    if values == [""]:
        return None
    if len(values) % 3 == 0:
        # The same three stand there once for training and once for testing.
        values = values[:3]
    scale = _CAFFE_SCALE.search(text)
    try:
        mean = [float(value) for value in values]
        std = [1 / float(scale[1])] if scale else [1.0]
    except (ValueError, ZeroDivisionError):
        raise ReadError(name, "a mean_value or the scale of it is no number above 0") from None
    constants = constants_from(name, mean, std, 255, order or "BGR")
    named, more = known_as(constants)
    words = f"Caffe mean_value: BGR on 0–255, as Caffe reads images. {constants.words('Given')}"
    return Imported(
        "Caffe mean_value", constants, words + named, more, pipeline_of(name, constants)
    )


def _numbers_of(name: str, text: str, key: str) -> tuple[float, ...]:
    try:
        return _required(name, parsed_value(text), key)
    except ValueError as error:
        raise ReadError(
            name, f"its {key} cannot be read: {error}", f"Write it as {key} = [0.5, 0.5, 0.5]"
        ) from None


def _required(name: str, value: Any, key: str) -> tuple[float, ...]:
    found = numbers_in(value)
    if found is None:
        raise ReadError(
            name,
            f"its {key} is {_shown(value)}, not one number or a list of them",
            f"Write it as {key}=[0.5, 0.5, 0.5]",
        )
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, (tuple, list)):
        return ", ".join(str(one)[:20] for one in value[:4])
    return str(value)[:40]
