"""The trained network that comes with normviz, and the names of ImageNet's classes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from normviz.networks.network import Network
from normviz.networks.onnx_file import open_onnx

FOLDER = Path(__file__).resolve().parent


@cache
def mobilenet_v2_network() -> Network:
    """Return MobileNetV2 as trained on ImageNet, whole, each BatchNorm apart.

    torchvision's mobilenet_v2-b0353104 (BSD-3-Clause), convolutions and classifier rounded to
    float16. It expects RGB fractions under ImageNet's mean and std, 224 × 224.

    >>> len(mobilenet_v2_network().batch_norms)
    52
    """
    model = open_onnx(FOLDER / "mobilenet_v2.onnx")
    return Network(model, "MobileNetV2", labels=imagenet_labels())


@cache
def imagenet_labels() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, in the order of networks' outputs.

    >>> imagenet_labels()[281]
    'tabby cat'
    """
    text = (FOLDER / "imagenet_labels.txt").read_text("utf-8")
    return tuple(text.splitlines())
