"""Whatever bytes arrive: numbers that can be used, or a sentence; never another exception."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import normviz as nv
from normviz.errors import NormvizError
from normviz.imports import MeanImage, read_normalization
from tests.imports.making import binaryproto, mean_image, npy
from tests.imports.test_configs import BLIP, CLIP, CONVNEXT, TIMM, VIT

NAMES = st.sampled_from(["", "mean.binaryproto", "mean.npy", "preprocessor_config.json", "a.txt"])
TEXTS = (
    "Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])",
    "A.Normalize(mean=[x / 255 for x in (1, 2, 3)], std=(0.5,) * 3, max_pixel_value=255.0)",
    "img_norm_cfg = dict(mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0], to_rgb=False)",
    "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.017",
    "preprocess_input(x, mode='caffe')",
    "mean, std = stats = [.1, .2, .3], (.4, .5, .6)\nmean /= 2\nNormalize(*stats, **{'a': std})",
)
VALID = [
    binaryproto(mean_image(4, 5)),
    binaryproto(mean_image(4, 5), legacy=False, packed=False),
    npy(mean_image(4, 5)),
    npy(mean_image(4, 5).transpose(1, 2, 0)),
    *(text.encode() for text in (CLIP, VIT, CONVNEXT, BLIP, json.dumps(TIMM), *TEXTS)),
]


OUTCOMES = ("said", "usable")


def outcome(name, data):
    """ "said" for what is refused with a sentence, "usable" for what was read and then used."""
    try:
        found = read_normalization(name, data)
    except NormvizError as error:
        assert str(error).endswith(".") and len(str(error)) < 1500
        return "said"
    numbers = found.numbers
    assert numbers.channels in (1, 3) and found.words and found.kind
    assert np.isfinite(numbers.fraction_mean).all() and (numbers.fraction_std != 0).all()
    key = "dataset_mean_image" if isinstance(numbers, MeanImage) else "dataset_mean"
    done = nv.METHODS[key]().fit(numbers)(np.full((3, 4, 3), 7, np.uint8))
    assert np.isfinite(done).all()
    if found.pipeline is not None:
        assert nv.pipeline.from_json(found.pipeline.to_json()) == found.pipeline
    return "usable"


@settings(max_examples=300, deadline=2000)
@given(name=NAMES, data=st.binary(max_size=200))
def test_any_bytes(name, data):
    assert outcome(name, data) in OUTCOMES


@settings(max_examples=300, deadline=2000)
@given(name=NAMES, text=st.text(max_size=200))
def test_any_text(name, text):
    assert outcome(name, text) in OUTCOMES


@settings(max_examples=500, deadline=2000)
@given(
    name=NAMES,
    data=st.sampled_from(VALID),
    cut=st.floats(0, 1),
    at=st.floats(0, 1),
    put=st.binary(max_size=6),
    drop=st.integers(0, 6),
)
def test_real_files_with_a_piece_changed_or_cut_off(name, data, cut, at, put, drop):
    data = data[: max(1, round(cut * len(data)))] if cut < 0.9 else data
    place = round(at * len(data))
    assert outcome(name, data[:place] + put + data[place + drop :]) in OUTCOMES


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
KEYS = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "crop_pct", "do_rescale",
    "rescale_factor", "rescale_offset", "do_normalize", "image_mean", "image_std",
    "do_convert_rgb", "do_flip_channel_order", "image_processor_type", "mean", "std",
    "input_size", "interpolation", "crop_mode", "pretrained_cfg", "transform",
    "__class_fullname__", "max_pixel_value", "normalization", "include_top",
    "feature_extractor_type", "max_size", "keep_aspect_ratio", "ensure_multiple_of",
    "size_divisor", "pad_size", "do_pad",
)  # fmt: skip
SIZES = st.sampled_from([{"shortest_edge": 30}, {"height": 20, "width": 30}, 16, [8, 9]])
KINDS = (
    "CLIP", "ConvNext", "Levit", "PoolFormer", "Perceiver", "DPT", "Detr", "Yolos", "GLPN",
    "Swin2SR", "X", "",
)  # fmt: skip
TYPES = st.sampled_from([f"{kind}ImageProcessor" for kind in KINDS])


@settings(max_examples=500, deadline=2000)
@given(
    record=st.dictionaries(st.sampled_from(KEYS), VALUES | SIZES | TYPES, max_size=8),
    base=st.sampled_from(
        [{}, json.loads(CLIP), json.loads(CONVNEXT), TIMM, TIMM["pretrained_cfg"]]
    ),
)
def test_json_with_any_values(record, base):
    assert outcome("config.json", json.dumps({**base, **record})) in OUTCOMES
