"""Keras: the modes of ``preprocess_input``, and which architecture uses which."""

from __future__ import annotations

import re

from normviz.imports.found import Imported, pipeline_of
from normviz.presets import PRESETS, ChannelConstants

MODES: dict[str, tuple[ChannelConstants, str]] = {
    "caffe": (
        PRESETS["vgg"],
        "turns RGB to BGR and subtracts ImageNet's mean colour, without scaling",
    ),
    "tf": (PRESETS["half"], "scales 0…255 to −1…1"),
    "torch": (PRESETS["imagenet"], "divides by 255, then by ImageNet's mean and std"),
}
_NOTHING = ChannelConstants((0.0,) * 3, (1.0,) * 3, 255, "RGB")

# Modules of keras.applications (Keras 3.15) and what their preprocess_input does.
_CAFFE = ("vgg16", "vgg19", "resnet", "resnet50", "resnet101", "resnet152")
_TORCH = ("densenet", "densenet121", "densenet169", "densenet201")
_TF = (
    "inceptionv3", "inceptionresnetv2", "mobilenet", "mobilenetv2", "nasnet", "nasnetlarge",
    "nasnetmobile", "resnetv2", "resnet50v2", "resnet101v2", "resnet152v2", "xception",
)  # fmt: skip
_INSIDE = {
    "convnext": "ConvNeXt normalizes with ImageNet's mean and std on 0–255 in its first layer",
    "efficientnetv2": "EfficientNetV2 B0 to B3 divide by 255 and normalize with ImageNet's mean "
    "and std in their first layers; S, M and L do x/128 − 1 there",
    "efficientnet": "EfficientNet divides by 255 and normalizes in its first layers",
    "mobilenetv3": "MobileNetV3 does x/127.5 − 1 in its first layer",
    # keras/applications/regnet.py and resnet_rs.py of Keras 2; Keras 3 has neither.
    "regnet": "RegNet divides by 255 in its first layer, and does not normalize",
    "resnetrs": "ResNet-RS divides by 255 and normalizes with ImageNet's mean and std in its first "
    "layers",
}
_VARIANTS = {
    "regnet": r"[xy](002|004|006|008|016|032|040|064|080|120|160|320)",
    "resnetrs": r"(50|101|152|200|270|350|420)",
}
_LETTERS = r"(b[0-7]|[sml]|tiny|small|base|large|xlarge)"


_CODE = re.compile(r"\bapplications\.(\w{1,40})|preprocess_input\(.{0,80}mode=[\"'](\w{1,10})")


def read_code(name: str, text: str) -> Imported | None:
    """Return what Keras does for a module or a mode that code imports or calls; else None."""
    for match in _CODE.finditer(text):
        if found := read_name(name, match[2] or match[1]):
            return found
    return None


def read_name(name: str, text: str) -> Imported | None:
    """Return what Keras does for a mode or an architecture; None for any other word.

    >>> read_name("", "caffe").numbers.order
    'BGR'
    """
    word = re.sub(r"[^a-z0-9]", "", text.lower().removeprefix("mode").strip(" ='\"“”:"))
    word = word.removeprefix("keras").removeprefix("applications").removesuffix("preprocessinput")
    mode, module = word if word in MODES else "", ""
    for members, own in ((_CAFFE, "caffe"), (_TORCH, "torch"), (_TF, "tf")):
        if word in members:
            mode, module = own, text.strip()
    if mode:
        constants, does = MODES[mode]
        kind = f"Keras preprocess_input, mode “{mode}”"
        who = f"{module} in Keras uses the mode “{mode}”, which" if module else f"{kind}:"
        return Imported(
            kind,
            constants,
            f"{who} {does}. {constants.words()}",
            pipeline=pipeline_of(name, constants),
        )
    for module, inside in _INSIDE.items():
        if word == module or re.fullmatch(module + _VARIANTS.get(module, _LETTERS), word):
            return Imported(
                "Keras preprocess_input that does nothing",
                _NOTHING,
                f"{text.strip()} in Keras takes pixels of 0–255 as they are: its preprocess_input "
                f"returns what it gets. {inside}.",
                ("With include_preprocessing=False those first layers are left out, and the "
                 "network wants their result.",) if module != "efficientnet" else (),
                pipeline_of(name, _NOTHING),
            )  # fmt: skip
    return None
