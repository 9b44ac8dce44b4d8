"""Hugging Face's and timm's config files, as published, and what the libraries make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import normviz as nv
from normviz.errors import ReadError
from normviz.imports import read_normalization
from normviz.pipeline import KNOWN
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.values import ChannelOrder, MeanStd, Scale, ToRGB
from normviz.presets import PRESETS
from normviz.samples import load_sample

# Q-Future/Q-Align on GitHub, whose 448 stands at 224 in openai/clip-vit-base-patch32
CLIP = """{
  "crop_size": 448,
  "do_center_crop": true,
  "do_normalize": true,
  "do_resize": true,
  "feature_extractor_type": "CLIPFeatureExtractor",
  "image_mean": [
    0.48145466,
    0.4578275,
    0.40821073
  ],
  "image_std": [
    0.26862954,
    0.26130258,
    0.27577711
  ],
  "resample": 3,
  "size": 448
}
"""

# google/vit-base-patch16-224-in21k, as JalajBaghwala/Image-to-caption-genrator on GitHub has it
VIT = """{
  "do_normalize": true,
  "do_resize": true,
  "feature_extractor_type": "ViTFeatureExtractor",
  "image_mean": [
    0.5,
    0.5,
    0.5
  ],
  "image_std": [
    0.5,
    0.5,
    0.5
  ],
  "resample": 2,
  "size": 224
}
"""

# danielmakulidwah-debug/cropdoctor-model on GitHub, fine-tuned from a ConvNeXt-style checkpoint
CONVNEXT = """{
  "_valid_processor_keys": [
    "images",
    "do_resize",
    "size",
    "crop_pct",
    "resample",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "return_tensors",
    "data_format",
    "input_data_format"
  ],
  "crop_pct": 0.875,
  "do_normalize": true,
  "do_rescale": true,
  "do_resize": true,
  "image_mean": [
    0.485,
    0.456,
    0.406
  ],
  "image_processor_type": "ConvNextFeatureExtractor",
  "image_std": [
    0.229,
    0.224,
    0.225
  ],
  "resample": 3,
  "rescale_factor": 0.00392156862745098,
  "size": {
    "shortest_edge": 224
  }
}
"""

# BlipImageProcessor().to_json_string(), transformers 4.57.6
BLIP = """{
  "do_convert_rgb": true,
  "do_normalize": true,
  "do_rescale": true,
  "do_resize": true,
  "image_mean": [
    0.48145466,
    0.4578275,
    0.40821073
  ],
  "image_processor_type": "BlipImageProcessor",
  "image_std": [
    0.26862954,
    0.26130258,
    0.27577711
  ],
  "resample": 3,
  "rescale_factor": 0.00392156862745098,
  "size": {
    "height": 384,
    "width": 384
  }
}
"""

_CLIP = PRESETS["clip"].mean, PRESETS["clip"].std
_IMAGENET = PRESETS["imagenet"].mean, PRESETS["imagenet"].std
_CENTRE_448 = (Resize(448, interpolation="bicubic"), CentreCrop(448))

PUBLISHED = {
    "clip": (CLIP, (ToRGB(), *_CENTRE_448, Scale(), MeanStd(*_CLIP))),
    "vit": (VIT, (*KNOWN["vit_b16_hf"].pipeline.steps[:-1], MeanStd((0.5,) * 3, (0.5,) * 3))),
    "convnext": (
        CONVNEXT,
        (
            ToRGB(),
            Resize(256, interpolation="bicubic"),
            CentreCrop(224),
            Scale(),
            MeanStd(*_IMAGENET),
        ),
    ),
    "blip": (
        BLIP,
        (ToRGB(), Resize(384, "both", "bicubic"), Scale(), MeanStd(*_CLIP)),
    ),
}


@pytest.mark.parametrize("key", PUBLISHED)
def test_published_files_give_their_steps_and_numbers(key):
    text, steps = PUBLISHED[key]
    found = read_normalization("preprocessor_config.json", text.encode())
    assert found.pipeline.steps == steps and found.problems == ()
    own = json.loads(text)
    np.testing.assert_allclose(found.numbers.fraction_mean, own["image_mean"])
    np.testing.assert_allclose(found.numbers.fraction_std, own["image_std"])


def test_defaults_are_said():
    found = read_normalization("preprocessor_config.json", VIT)
    assert "the library's defaults: do_rescale true, rescale_factor 0.003922." in found.words
    full = read_normalization("preprocessor_config.json", BLIP)
    assert "defaults" not in full.words


def _config(**keys) -> str:
    return json.dumps({"image_processor_type": "ViTImageProcessor", **keys})


def test_rescaling_alone_and_none_at_all():
    plain = read_normalization("", _config(do_rescale=False, do_normalize=False))
    np.testing.assert_allclose(plain.numbers.fraction_std, 1 / 255)
    assert not plain.numbers.fraction_mean.any()
    offset = {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False}
    half = read_normalization("", _config(**offset))
    np.testing.assert_allclose(half.numbers.fraction_mean, 0.5, rtol=1e-6)
    np.testing.assert_allclose(half.numbers.fraction_std, 0.5, rtol=1e-6)
    raw = read_normalization("", _config(do_rescale=False, image_mean=[127.5], image_std=127.5))
    np.testing.assert_allclose(raw.numbers.fraction_mean, 0.5)


@pytest.mark.parametrize(
    "config",
    [
        _config(),
        _config(do_rescale=False),
        _config(do_normalize=False),
        _config(rescale_factor=1 / 127.5, rescale_offset=True),
        _config(image_mean=0.4, image_std=[0.2]),
        _config(do_flip_channel_order=True, image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 1, 2]),
        '{"image_processor_type": "EfficientNetImageProcessor"}',
        '{"image_processor_type": "MobileViTImageProcessor"}',
    ],
)
def test_the_numbers_are_those_of_the_steps(config):
    """What the numbers say, after the steps that only change the size, is what all steps do."""
    found = read_normalization("", config)
    image = load_sample("coffee")
    steps = found.pipeline.steps
    sizes = [step for step in steps if isinstance(step, (ToRGB, Resize, CentreCrop))]
    small = nv.Pipeline(sizes).fit()(image).astype(np.uint8)
    mean, std = found.numbers.fraction_mean, found.numbers.fraction_std
    ours = (small / 255 - mean) / std
    done = found.pipeline.fit()(image)
    if any(isinstance(step, ChannelOrder) for step in steps):
        done = done[..., ::-1]
    np.testing.assert_allclose(done, ours, rtol=1e-4, atol=1e-4 * np.abs(ours).max())


def test_what_is_not_rebuilt_is_said():
    keys = {"size": {"shortest_edge": 800, "longest_edge": 1333}, "do_pad": True, "resample": 5}
    keys |= {"image_mean": [0.5], "image_std": [0.5], "do_resize": True, "do_convert_rgb": False}
    keys |= {"ensure_multiple_of": 1, "keep_aspect_ratio": False, "pad_size": None}
    text = json.dumps({"image_processor_type": "Mask2FormerImageProcessor", **keys})
    said = " ".join(read_normalization("", text).problems)
    for part in ("processor Mask2Former", "1333", "“do_pad”", "resample 5", "do_convert_rgb"):
        assert part in said
    assert not any(key in said for key in ("ensure_multiple_of", "keep_aspect", "pad_size"))
    unnamed = read_normalization("", '{"image_mean": [0.5], "image_std": [0.5], "size": 224}')
    assert "without a name" in unnamed.problems[0] and "both sides" in unnamed.problems[1]
    # Resize(1) without a size in the file would be invented.
    bare = read_normalization("", '{"image_mean": [0.5], "image_std": [0.5]}')
    assert bare.pipeline.steps == (ToRGB(), Scale(), MeanStd((0.5,), (0.5,)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_config(size="large"), "its size is large"),
        (_config(size={"max_height": 1}), "its size has the keys max_height"),
        (_config(size={"height": 1e300, "width": 2}), "its size has the height"),
        (_config(size={"height": 0, "width": 2}), "Resize: Size"),
        (_config(size=1e9), "its size has the height"),
        (_config(do_resize="yes"), "its do_resize is yes, not true or false"),
        (_config(rescale_factor="x"), "its rescale_factor is x, not a number"),
        (_config(rescale_factor=0), "leaves no picture"),
        (_config(image_std=[0, 1, 1]), "divide by zero"),
        (_config(image_mean=[1] * 4), "4 mean"),
        (_config(image_mean="x"), "its image_mean is x"),
        (_config(image_mean=[float("nan")]), "its image_mean is nan"),
        ('{"do_normalize": true}', "it normalizes, but has no image_mean.*without a name are not"),
        (
            '{"image_processor_type": "XImageProcessor", "do_rescale": true}',
            "does not say do_normalize, but has no image_mean.*image processor X are not known",
        ),
        ('{"image_mean": [0.5]}', "its image_std is missing, not a list"),
        (
            '{"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000}',
            "it prepares sound, not images",
        ),
        (
            '{"image_processor_type": "PoolFormerImageProcessor", "crop_pct": 0}',
            "its crop_pct is 0, not a share",
        ),
        (
            '{"image_processor_type": "DPTImageProcessor", "ensure_multiple_of": 0.5}',
            "its ensure_multiple_of is 0.5, not a whole number",
        ),
        (
            '{"image_processor_type": "DPTImageProcessor", "ensure_multiple_of": 800}',
            "Resize: Size",
        ),
        (
            '{"image_processor_type": "GLPNImageProcessor", "size_divisor": "x"}',
            "size_divisor is x",
        ),
        (
            '{"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 9}',
            "crop_pct",
        ),
        ('{"do_center_crop": true, "image_mean": [0.5], "image_std": [1]}', "crop_size is missing"),
        ('{"do_resize": true, "image_mean": [0.5], "image_std": [1]}', "its size is missing"),
    ],
)
def test_damaged_configs_are_refused_with_a_sentence(text, said):
    with pytest.raises(ReadError, match=said):
        read_normalization("preprocessor_config.json", text)


# As the feature extractors wrote them, before there were image processors.
OLD_MOBILEVIT = {
    "crop_size": 256,
    "do_center_crop": True,
    "do_flip_channel_order": True,
    "do_resize": True,
    "feature_extractor_type": "MobileViTFeatureExtractor",
    "resample": 2,
    "size": 288,
}
OLD_GLPN = {
    "do_rescale": True,
    "do_resize": True,
    "feature_extractor_type": "GLPNFeatureExtractor",
    "resample": 2,
    "size_divisor": 32,
}
OLD_DPT = {
    "do_normalize": True,
    "do_resize": True,
    "ensure_multiple_of": 32,
    "feature_extractor_type": "DPTFeatureExtractor",
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "keep_aspect_ratio": True,
    "resample": 2,
    "size": 384,
}
_FRACTIONS = (ToRGB(), Scale())
_STANDARD = MeanStd(*_IMAGENET)


@pytest.mark.parametrize(
    ("record", "steps", "said"),
    [
        (
            OLD_MOBILEVIT,
            (ToRGB(), Resize(288), CentreCrop(256), Scale(), ChannelOrder()),
            (),
        ),
        (OLD_GLPN, _FRACTIONS, ("down to multiples of 32",)),
        (dict(OLD_GLPN, do_resize=False), _FRACTIONS, ()),
        (
            {"image_processor_type": "Swin2SRImageProcessor", "pad_size": 16},
            _FRACTIONS,
            ("at the right and below there, up to the next multiple of 16",),
        ),
        ({"image_processor_type": "Swin2SRImageProcessor", "do_pad": False}, _FRACTIONS, ()),
        (
            {"image_processor_type": "PoolFormerImageProcessor", "crop_pct": 0.95, "resample": 2},
            (ToRGB(), Resize(235), CentreCrop(224), Scale(), _STANDARD),
            (),
        ),
        (
            OLD_DPT,
            (ToRGB(), Resize(384), Scale(), MeanStd((0.5,) * 3, (0.5,) * 3)),
            ("rounded to the nearest multiple of 32 there, and of an image smaller than 384×384",),
        ),
        (
            dict(OLD_DPT, size=[390, 300]),
            (ToRGB(), Resize(384, "both", width=288), Scale(), MeanStd((0.5,) * 3, (0.5,) * 3)),
            ("“keep_aspect_ratio” is not rebuilt for 384×288",),
        ),
        (
            {"feature_extractor_type": "YolosFeatureExtractor", "size": 512, "max_size": 864},
            (ToRGB(), Resize(512), Scale(), _STANDARD),
            ("longer side is kept to 864", "multiples of 16 there"),
        ),
        (
            {"image_processor_type": "DetrImageProcessor", "size": 600, "pad_size": {"height": 9}},
            (ToRGB(), Resize(600), Scale(), _STANDARD),
            ("longer side is kept to 1333", "“pad_size” (height 9) is not rebuilt"),
        ),
        (
            {"feature_extractor_type": "PerceiverFeatureExtractor", "size": 224, "crop_size": 256},
            (ToRGB(), Resize(256, interpolation="bicubic"), CentreCrop(224), Scale(), _STANDARD),
            ("It crops before it resizes",),
        ),
        (
            {"image_processor_type": "PerceiverImageProcessor", "size": [20, 30], "resample": 2},
            (ToRGB(), Resize(20, "both", width=30), Scale(), _STANDARD),
            ("The crop before resizing is not rebuilt",),
        ),
        (
            {"image_processor_type": "PerceiverImageProcessor", "do_resize": False},
            (*_FRACTIONS, _STANDARD),
            ("is not rebuilt without a resize",),
        ),
        (
            {
                "image_processor_type": "ViTImageProcessor", "size": 384, "crop_pct": 0.9,
                "max_size": 500, "size_divisor": 14, "keep_aspect_ratio": True,
                "ensure_multiple_of": 14,
            },
            (ToRGB(), Resize(384, "both"), Scale(), MeanStd((0.5,) * 3, (0.5,) * 3)),
            tuple(f"“{key}”" for key in (
                "crop_pct", "max_size", "size_divisor", "keep_aspect_ratio", "ensure_multiple_of",
            )),
        ),
        (
            {"image_processor_type": "ViTImageProcessor", "do_resize": False, "crop_pct": 0.9},
            (*_FRACTIONS, MeanStd((0.5,) * 3, (0.5,) * 3)),
            (),
        ),
    ],
)  # fmt: skip
def test_what_a_file_says_of_the_size_is_rebuilt_or_named(record, steps, said):
    found = read_normalization("preprocessor_config.json", json.dumps(record))
    assert found.pipeline.steps == steps
    assert len(found.problems) == len(said)
    for problem, part in zip(found.problems, said, strict=True):
        assert part in problem


def test_crop_pct_of_convnext_counts_below_384_only():
    text = CONVNEXT.replace('"shortest_edge": 224', '"shortest_edge": 384')
    found = read_normalization("preprocessor_config.json", text)
    assert found.pipeline.steps[1:3] == (Resize(384, "both", "bicubic"), Scale())
    assert "From a size of 384 on its crop_pct has no effect." in found.words


# timm/inception_v3.tf_adv_in1k: 299, bicubic, Inception mean and std; the shape of timm's files.
TIMM = {
    "architecture": "inception_v3",
    "num_classes": 1000,
    "pretrained_cfg": {
        "tag": "tf_adv_in1k",
        "input_size": [3, 299, 299],
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    },
}


def test_timm_configs_give_the_evaluation_steps():
    found = read_normalization("config.json", json.dumps(TIMM))
    known = KNOWN["inception_v3_timm"].pipeline.steps
    assert found.pipeline.steps[:-1] == known[:-1]
    assert found.pipeline.steps[-1] == MeanStd((0.5,) * 3, (0.5,) * 3)
    assert "timm's defaults: crop_mode" in found.words
    own = dict(TIMM["pretrained_cfg"], crop_mode="squash", crop_pct=1.0, interpolation="random")
    squash = read_normalization("config.json", json.dumps(own))
    assert squash.pipeline.steps[1:3] == (
        Resize(299, "both", "bicubic", width=299),
        CentreCrop(299, 299),
    )
    assert "“random”" in squash.problems[0]
    border = dict(own, crop_mode="border", interpolation="bicubic")
    said = read_normalization("config.json", json.dumps(border))
    assert "only the numbers are" in said.problems[0] and len(said.pipeline.steps) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"crop_pct": 0}, "crop_pct is 0"),
        ({"input_size": [3, 299]}, "its input_size"),
        ({"input_size": [3, 99999, 99999]}, "Resize: Size"),
        ({"mean": "x"}, "its mean is x"),
        ({"std": [0, 0, 0]}, "divide by zero"),
    ],
)
def test_damaged_timm_configs_are_refused_with_a_sentence(change, said):
    text = json.dumps({**TIMM, "pretrained_cfg": {**TIMM["pretrained_cfg"], **change}})
    with pytest.raises(ReadError, match=said):
        read_normalization("config.json", text)
