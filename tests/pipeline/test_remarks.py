"""Pipelines tell of the mistakes that people make, and keep silent where there is none."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.images import UNIT_RANGE, WORD_RANGE
from normviz.pipeline import (
    BYTES,
    KNOWN,
    MEASURED_AFTER_RESIZE,
    MEASURED_AT_FULL_SIZE,
    Kind,
    Pipeline,
    remarks,
)
from normviz.pipeline.base import FLOAT
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import ChannelOrder, Clip, MeanStd, Scale, ToBytes, ToRGB

UNIT = Kind(FLOAT, UNIT_RANGE)
BGR = (103.939, 116.779, 123.68)
RGB = BGR[::-1]
ZSCORE = Normalize(nv.METHODS["dataset_zscore"]())


@pytest.mark.parametrize("key", KNOWN)
def test_published_preprocessing_has_nothing_against_itself(key):
    assert remarks(KNOWN[key].pipeline) == ()


@pytest.mark.parametrize(
    ("steps", "kind", "sentence"),
    [
        (
            [Scale(), Resize(8), Scale()],
            BYTES,
            "Step 3 “÷ 255” is given 0…1, not 0…255: step 1 “÷ 255” rescaled already, and what "
            "comes out is 0…0.00392157.",
        ),
        (
            [Scale(), MeanStd(0.5, 0.5)],
            UNIT,
            "Step 1 “÷ 255” is given 0…1, not 0…255: they are fractions already, and what comes "
            "out is 0…0.00392157.",
        ),
        (
            [Normalize(nv.METHODS["scale_01"]()), Scale()],
            BYTES,
            "Step 2 “÷ 255” is given 0…1, not 0…255: step 1 “normalize: [0, 1]” rescaled already, "
            "and what comes out is 0…0.00392157.",
        ),
        (
            [Scale(), MeanStd(0.5, 0.5), Scale()],
            BYTES,
            "Step 3 “÷ 255” rescales what step 2 “− (0.5) ÷ (0.5)” has normalized already: the "
            "values are divided by 255 once more.",
        ),
        (
            [MeanStd()],
            BYTES,
            "Step 1 “− (0.485, 0.456, 0.406) ÷ (0.229, 0.224, 0.225)” has numbers for fractions "
            "0…1, and values of 0…255 arrive: white becomes 1111. Scale by 1/255 before it.",
        ),
        (
            [MeanStd()],
            Kind(np.dtype(np.uint16), WORD_RANGE),
            "Step 1 “− (0.485, 0.456, 0.406) ÷ (0.229, 0.224, 0.225)” has numbers for fractions "
            "0…1, and values of 0…65535 arrive: white becomes 2.862e+05. Scale by "
            "1/65535 before it.",
        ),
        (
            [Scale(), MeanStd(RGB, 1)],
            BYTES,
            "Step 2 “− (123.7, 116.8, 103.9)” has numbers for 0…255, and values of 0…1 arrive: "
            "the picture all but vanishes in the subtraction. Leave the scaling out, or divide "
            "mean and std by 255.",
        ),
        (
            [Scale(), MeanStd(), MeanStd()],
            BYTES,
            "Step 3 “− (0.485, 0.456, 0.406) ÷ (0.229, 0.224, 0.225)” normalizes what step 2 "
            "“− (0.485, 0.456, 0.406) ÷ (0.229, 0.224, 0.225)” has normalized already.",
        ),
        (
            [ZSCORE, Clip(-1, 1), Normalize(nv.METHODS["lcn"]())],
            BYTES,
            "Step 3 “normalize: LCN” normalizes what step 1 “normalize: dataset mean, std” has "
            "normalized already.",
        ),
        (
            [Scale(), MeanStd(), Resize(8)],
            BYTES,
            "Step 3 “resize 8 (shorter side, bilinear, Pillow)” resizes what step 2 “− (0.485, "
            "0.456, 0.406) ÷ (0.229, 0.224, 0.225)” has normalized; published models resize the "
            "8-bit picture, which rounds to whole levels (and clips bicubic).",
        ),
        (
            [ZSCORE, CentreCrop(8)],
            BYTES,
            "Step 2 “centre crop 8” comes after step 1 “normalize: dataset mean, std”, whose "
            "numbers are of the whole picture at the size it had there; what the network sees has "
            "another mean and std.",
        ),
        (
            [MeanStd(BGR, 1)],
            BYTES,
            f"Step 1 “− (103.9, 116.8, 123.7)” has the mean of {nv.PRESETS['vgg'].title} in BGR "
            "order, and RGB arrives: red and blue are mixed up. Put RGB ↔ BGR before it, or "
            "reverse its numbers.",
        ),
        (
            [ChannelOrder(), Scale(), MeanStd()],
            BYTES,
            "Step 3 “− (0.485, 0.456, 0.406) ÷ (0.229, 0.224, 0.225)” has the mean of "
            f"{nv.PRESETS['imagenet'].title} in RGB order, and BGR arrives: red and blue are mixed "
            "up. Leave RGB ↔ BGR out, or reverse its numbers.",
        ),
        (
            [ChannelOrder(), Normalize(nv.METHODS["published"]())],
            BYTES,
            "Step 2 “normalize: preset” takes RGB, and step 1 “RGB ↔ BGR” has turned the "
            "channels: red and blue are mixed up. Turn them after it.",
        ),
        (
            [ChannelOrder(), ChannelOrder()],
            BYTES,
            "Step 2 “RGB ↔ BGR” turns back the channels that step 1 “RGB ↔ BGR” has turned.",
        ),
        (
            [Resize(200), CentreCrop(224)],
            BYTES,
            "Step 2 “centre crop 224” is larger than the 200 pixels that are there: the rest is "
            "filled with zeros, which is black at this step.",
        ),
        (
            [Resize(8, "both"), Scale(1 / 127.5, -1), CentreCrop(9)],
            BYTES,
            "Step 3 “centre crop 9” is larger than the 8 pixels that are there: the rest is "
            "filled with zeros, which is not black at this step.",
        ),
        (
            [MeanStd(100, 50), ToBytes(), Resize(8)],
            BYTES,
            "Step 2 “round to 8 bits” needs values with a lowest and a highest possible value, and "
            "after step 1 “− (100) ÷ (50)” there is none. Move it before that step, or put a clip "
            "step between them.",
        ),
    ],
)
def test_each_mistake_is_one_sentence(steps, kind, sentence):
    assert remarks(Pipeline(steps), kind) == (sentence,)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([], BYTES),
        ([MeanStd()], UNIT),
        ([MeanStd(RGB, 1)], BYTES),
        ([ChannelOrder(), MeanStd(BGR, 1)], BYTES),
        ([ChannelOrder(), ChannelOrder(), MeanStd(BGR, 1)], BYTES),
        ([Scale(), Clip(0, 1), Scale(255.0), Scale()], BYTES),
        ([Scale(), Scale(2.0, -1.0)], BYTES),
        ([Scale(), MeanStd(0.5, 0.5)], BYTES),
        ([Scale(), MeanStd(0, 1)], BYTES),
        ([MeanStd(0, 1)], BYTES),
        ([MeanStd(0.5, 255)], BYTES),
        ([Scale(), MeanStd(), CentreCrop(8)], BYTES),
        ([Resize(256, "longer"), CentreCrop(224)], BYTES),
        ([CentreCrop(224), Resize(32), ToRGB()], BYTES),
        ([Normalize(nv.METHODS["scale_11"]()), Resize(8)], BYTES),
        ([Resize(8), Normalize(nv.METHODS["published"](preset="vgg")), ChannelOrder()], BYTES),
        # A mean image is cut where the picture is.
        ([Resize(8, "both"), Normalize(nv.METHODS["dataset_mean_image"]()), CentreCrop(6)], BYTES),
    ],
)
def test_there_is_nothing_to_say_of_these(steps, kind):
    said = [one for one in remarks(Pipeline(steps), kind) if "turns back" not in one]
    if steps[:2] == [ChannelOrder(), ChannelOrder()]:
        # Turned twice it is RGB again, for which these numbers are reversed.
        assert len(said) == 1 and "in BGR order, and RGB arrives" in said[0]
    else:
        assert said == []


def test_the_ready_pair_shows_the_mistake_and_its_remedy():
    (said,) = remarks(MEASURED_AT_FULL_SIZE)
    assert "whose numbers are of the whole picture at the size it had there" in said
    assert remarks(MEASURED_AFTER_RESIZE) == ()
