"""A set's mean and std as text for the libraries that want them, each as that library wants it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from normviz.observe.dataset import exactness_words
from normviz.statistics import DatasetStatistics

CONSTANTS_FOR = {
    "torchvision": "torchvision",
    "keras": "Keras",
    "albumentations": "Albumentations",
    "timm": "timm",
    "caffe": "Caffe",
    "json": "JSON",
}


def constants_text(statistics: DatasetStatistics, target: str, whose: str = "") -> str:
    """Return the mean and pooled std as text that runs as it stands in library ``target``.

    Every text but JSON and timm's defines ``normalize`` for 8-bit pixels in RGB order: arrays
    ``(H, W, C)``, for torchvision tensors ``(C, H, W)``. ``whose`` names the images.
    """
    said = f"Mean and pooled std{f' of {whose}' if whose else ''}. {exactness_words(statistics)}"
    if target == "json":
        return _json(statistics, whose)
    mean, std = statistics.fraction_mean, statistics.fraction_std
    head = "".join(f"# {line}\n" for line in _wrapped(said))
    if not std.all():
        head += "# A channel of one value only has no std; it is divided by 1.\n"
        std = np.where(std > 0, std, 1.0)
    return _TEXTS[target](head, mean, std)


def _torchvision(head: str, mean: np.ndarray, std: np.ndarray) -> str:
    return f"""import torch
from torchvision.transforms import v2

{head}# Of values in 0…1, {_order(mean)}: scale first, then normalize.
MEAN = {_listed(mean)}
STD = {_listed(std)}

normalize = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
"""


def _keras(head: str, mean: np.ndarray, std: np.ndarray) -> str:
    return f"""import keras

{head}# Of values in 0…255, {_order(mean)}: no Rescaling before it. Keras takes the variance.
MEAN = {_listed(mean * 255)}
VARIANCE = {_listed((std * 255) ** 2)}

normalize = keras.layers.Normalization(axis=-1, mean=MEAN, variance=VARIANCE)
"""


def _albumentations(head: str, mean: np.ndarray, std: np.ndarray) -> str:
    return f"""import albumentations as A

{head}# Of values in 0…1, {_order(mean)}; it divides by max_pixel_value itself (65535 for 16 bit).
MEAN = {_tuple(mean)}
STD = {_tuple(std)}

transform = A.Normalize(mean=MEAN, std=STD, max_pixel_value=255.0)


def normalize(image):
    return transform(image=image)["image"]
"""


def _timm(head: str, mean: np.ndarray, std: np.ndarray) -> str:
    return f"""import timm

{head}# Of values in 0…1, {_order(mean)}; the transform scales to 0…1 before it normalizes.
MEAN = {_tuple(mean)}
STD = {_tuple(std)}

constants = dict(mean=MEAN, std=STD)
model = timm.create_model("resnet50", in_chans={len(mean)}, pretrained_cfg_overlay=constants)
config = timm.data.resolve_model_data_config(model)
transform = timm.data.create_transform(**config, is_training=False)
"""


def _caffe(head: str, mean: np.ndarray, std: np.ndarray) -> str:
    numbers = mean[::-1] * 255
    values = " ".join(f"mean_value: {_digits(value)}" for value in numbers)
    order = "channels B, G, R" if len(mean) == 3 else "one channel"
    return f"""import numpy as np

{head}# Caffe: values in 0…255, {order}; the mean is subtracted and nothing is divided by.
# In a prototxt: transform_param {{ {values} }}
MEAN = {_listed(numbers)}


def normalize(image):
    # RGB to BGR, then (H, W, C) to (C, H, W)
    bgr = image[..., ::-1].astype(np.float32)
    return (bgr - np.array(MEAN, np.float32)).transpose(2, 0, 1)
"""


_TEXTS = {
    "torchvision": _torchvision,
    "keras": _keras,
    "albumentations": _albumentations,
    "timm": _timm,
    "caffe": _caffe,
}


def _json(statistics: DatasetStatistics, whose: str) -> str:
    stds = statistics.std
    record = {
        "images_of": whose,
        "images": statistics.images,
        "pixels": statistics.pixels,
        "exact": statistics.exact and statistics.estimate is None,
        "order": _order(statistics.mean),
        "value_range": list(statistics.value_range),
        "mean": statistics.mean.tolist(),
        "std": {
            "pooled": stds.pooled.tolist(),
            "rms_of_images": stds.rms_of_images.tolist(),
            "mean_of_images": stds.mean_of_images.tolist(),
        },
        "fraction_mean": statistics.fraction_mean.tolist(),
        "fraction_std": statistics.fraction_std.tolist(),
    }
    if statistics.estimate is not None:
        record["estimate"] = statistics.estimate.to_dict(statistics.value_range.span)
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)


def _order(values: Sequence[float] | np.ndarray) -> str:
    return "channels R, G, B" if len(values) == 3 else "one channel"


def _digits(value: float) -> str:
    return f"{value:.6g}"


def _listed(values: np.ndarray) -> str:
    return f"[{', '.join(map(_digits, values))}]"


def _tuple(values: np.ndarray) -> str:
    """
    >>> _tuple(np.array([0.5]))
    '(0.5,)'
    """
    return f"({', '.join(map(_digits, values))}{',' if len(values) == 1 else ''})"


def _wrapped(text: str, width: int = 72) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
