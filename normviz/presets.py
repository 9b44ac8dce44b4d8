"""Published constants, each with its source, channel order and value range.

Only presets that are one gain and bias a channel stand here. Numbers are stored as published;
``fraction_mean`` and ``fraction_std`` give them for RGB fractions 0…1, which is what methods use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Preset:
    """One published pair of mean and std: y = (x − mean) / std on x in 0…``scale``.

    >>> PRESETS["vgg"].fraction_mean.round(4)
    array([0.485 , 0.458 , 0.4076])
    """

    key: str
    title: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: int
    """The input's largest value: 1 or 255."""
    order: str
    """"RGB", "BGR" or "grey": the order of the numbers, and of the network's input."""
    source: str
    note: str = ""

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def fraction_mean(self) -> np.ndarray:
        return self._rgb(self.mean) / self.scale

    @property
    def fraction_std(self) -> np.ndarray:
        return self._rgb(self.std) / self.scale

    def _rgb(self, values: tuple[float, ...]) -> np.ndarray:
        return np.array(values[::-1] if self.order == "BGR" else values, np.float64)


def _listed(*presets: Preset) -> dict[str, Preset]:
    return {preset.key: preset for preset in presets}


_TIMM = "timm/data/constants.py"
_REPORTED = "widely reported, no primary source known"

PRESETS: dict[str, Preset] = _listed(
    Preset(
        "imagenet",
        "ImageNet (torchvision, timm, DINOv2)",
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        1,
        "RGB",
        _TIMM,
        "Its std is probably a mean of per-image stds of a lost subset (pytorch/vision#1439).",
    ),
    Preset(
        "vgg",
        "VGG-16/19 (Caffe)",
        (103.939, 116.779, 123.68),
        (1.0, 1.0, 1.0),
        255,
        "BGR",
        "K. Simonyan's model card, gist 211839e770f7b538e2d8",
        "Mean pixel only; the network takes BGR.",
    ),
    Preset(
        "vgg_torchvision",
        "VGG-16 features, SSD300 (torchvision)",
        (0.48235, 0.45882, 0.40784),
        (1 / 255, 1 / 255, 1 / 255),
        1,
        "RGB",
        "torchvision models/vgg.py, models/detection/ssd.py",
        "The same subtraction as VGG's in RGB: dividing by 1/255 returns to 0–255.",
    ),
    Preset(
        "googlenet",
        "GoogLeNet (Caffe)",
        (104.0, 117.0, 123.0),
        (1.0, 1.0, 1.0),
        255,
        "BGR",
        "Caffe models/bvlc_googlenet",
        "Mean pixel only; the network takes BGR.",
    ),
    Preset(
        "half",
        "0.5 / 0.5 (Inception; ViT and SigLIP in timm)",
        (0.5, 0.5, 0.5),
        (0.5, 0.5, 0.5),
        1,
        "RGB",
        _TIMM,
        "The same as scaling to [−1, 1].",
    ),
    Preset(
        "dpn",
        "DPN",
        (124 / 255, 117 / 255, 104 / 255),
        (1 / (0.0167 * 255), 1 / (0.0167 * 255), 1 / (0.0167 * 255)),
        1,
        "RGB",
        _TIMM,
    ),
    Preset(
        "clip",
        "CLIP (OpenAI)",
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
        1,
        "RGB",
        _TIMM,
    ),
    Preset(
        "cifar10",
        "CIFAR-10",
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        1,
        "RGB",
        "kuangliu/pytorch-cifar#129 (reported)",
        "Pooled std.",
    ),
    Preset(
        "cifar10_folklore",
        "CIFAR-10, folklore std",
        (0.4914, 0.4822, 0.4465),
        (0.2023, 0.1994, 0.2010),
        1,
        "RGB",
        "Widely copied; see kuangliu/pytorch-cifar#129",
        "Folklore: this std is the mean of per-image stds, not the pooled std.",
    ),
    Preset(
        "cifar100",
        "CIFAR-100",
        (0.5071, 0.4867, 0.4408),
        (0.2675, 0.2565, 0.2761),
        1,
        "RGB",
        _REPORTED,
    ),
    Preset("mnist", "MNIST", (0.1307,), (0.3081,), 1, "grey", _REPORTED),
    Preset("fashion_mnist", "Fashion-MNIST", (0.2860,), (0.3530,), 1, "grey", _REPORTED),
    Preset(
        "svhn",
        "SVHN",
        (0.4377, 0.4438, 0.4728),
        (0.1980, 0.2010, 0.1970),
        1,
        "RGB",
        _REPORTED,
    ),
    Preset(
        "stl10",
        "STL-10",
        (0.4467, 0.4398, 0.4066),
        (0.2603, 0.2566, 0.2713),
        1,
        "RGB",
        _REPORTED,
    ),
)
