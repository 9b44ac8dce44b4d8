"""Published constants: plausible, sourced, and in the order that methods use."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.pipeline import remarks
from normviz.presets import MEAN_IMAGES, PRESETS, ChannelConstants


@pytest.mark.parametrize("key", PRESETS)
def test_presets_are_whole(key):
    preset = PRESETS[key]
    assert preset.key == key and preset.title and preset.source and preset.family
    assert len(preset.mean) == len(preset.std) == preset.channels in (1, 3)
    assert preset.scale in (1, 255) and preset.order in ("RGB", "BGR", "grey")
    assert (preset.order == "grey") == (preset.channels == 1)
    if key != "unit":
        assert ((preset.fraction_mean > 0.1) & (preset.fraction_mean < 0.6)).all()
        assert (preset.fraction_std > 0).all() and (preset.fraction_std < 0.503).all()
    assert not preset.url or preset.url.startswith("https://")


# As their sources print them, in their own order and scale.
PUBLISHED = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,) * 3, (0.5,) * 3),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "dpn": ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3),
    "efficientnet_lite": ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    "vgg": ((103.939, 116.779, 123.68), (1, 1, 1)),
    "vgg_torchvision": ((0.48235, 0.45882, 0.40784), (1 / 255,) * 3),
    "googlenet": ((104, 117, 123), (1, 1, 1)),
    "ilsvrc_mean_pixel": ((104.00698793, 116.66876762, 122.67891434), (1, 1, 1)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet_255": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "detectron2": ((103.53, 116.28, 123.675), (1, 1, 1)),
    "detectron2_std": ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
    "faster_rcnn": ((102.9801, 115.9465, 122.7717), (1, 1, 1)),
    "centernet": ((0.40789654, 0.44719302, 0.47026115), (0.28863828, 0.27408164, 0.27809835)),
    "vggface": ((93.5940, 104.7624, 129.1863), (1, 1, 1)),
    "vggface2": ((91.4953, 103.8827, 131.0912), (1, 1, 1)),
    "mtcnn": ((127.5,) * 3, (128.0,) * 3),
    "kinetics": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    "slowfast": ((0.45,) * 3, (0.225,) * 3),
    "csn": ((110.2008, 100.63983, 95.99475), (58.14765, 56.46975, 55.332195)),
    "dinov3_satellite": ((0.430, 0.411, 0.296), (0.213, 0.156, 0.143)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "svhn_extra": (
        (109.9 / 255, 109.7 / 255, 113.8 / 255),
        (50.1 / 255, 50.6 / 255, 50.8 / 255),
    ),
    "stl10": ((0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713)),
    "tiny_imagenet": ((0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)),
    "cifar10_folklore": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100_folklore": ((0.5071, 0.4866, 0.4409), (0.2009, 0.1984, 0.2023)),
    "tiny_imagenet_folklore": ((0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262)),
    "stl10_folklore": ((0.4467, 0.4398, 0.4066), (0.2242, 0.2215, 0.2239)),
    "imagenet_reversed": ((0.406, 0.456, 0.485), (0.225, 0.224, 0.229)),
}
BGR_ON_255 = {
    "vgg", "googlenet", "ilsvrc_mean_pixel", "detectron2", "detectron2_std", "faster_rcnn",
    "vggface", "vggface2",
}  # fmt: skip
RGB_ON_255 = {"efficientnet_lite", "imagenet_255", "mtcnn", "csn"}


def test_numbers_are_those_published():
    assert {key: (p.mean, p.std) for key, p in PRESETS.items()} == PUBLISHED
    assert {key for key, p in PRESETS.items() if p.order == "BGR"} == BGR_ON_255 | {"centernet"}
    assert {key for key, p in PRESETS.items() if p.scale == 255} == BGR_ON_255 | RGB_ON_255


@pytest.mark.parametrize(
    ("key", "network"),
    [
        # timm/models/efficientnet.py: tf_efficientnet_lite0.in1k has mean and std (0.5, 0.5, 0.5)
        ("half", "ViT, SigLIP and EfficientNet-Lite (tf) in timm"),
        ("efficientnet_lite", "timm's takes 0.5 / 0.5"),
        # MobileNetV2 stands under both: the checkpoint decides.
        ("imagenet", "mobilenetv2_100.ra_in1k"),
        ("half", "Keras mode “tf” (MobileNet and V2,"),
    ],
)
def test_networks_stand_with_the_numbers_of_their_checkpoints(key, network):
    assert network in PRESETS[key].models


# Of these no primary source is known, or none could be read.
SECOND_HAND = {
    "ilsvrc_mean_pixel", "cifar10", "fashion_mnist", "svhn", "stl10", "tiny_imagenet",
    "tiny_imagenet_folklore", "stl10_folklore", "imagenet_reversed",
}  # fmt: skip


@pytest.mark.parametrize("key", PRESETS)
def test_second_hand_numbers_are_called_reported(key):
    assert ("reported" in PRESETS[key].source) == (key in SECOND_HAND)
    if key not in SECOND_HAND:
        # A repository with a path in it, or a gist.
        assert PRESETS[key].url and ("/" in PRESETS[key].source or "gist" in PRESETS[key].source)


def test_titles_are_told_apart_in_a_menu():
    everything = [*PRESETS.values(), *MEAN_IMAGES.values()]
    assert len({preset.title for preset in everything}) == len(everything)
    families = [preset.family for preset in PRESETS.values()]
    # Members of a family stand together, and folklore last.
    changes = [a for a, b in zip(families, [*families[1:], ""], strict=True) if a != b]
    assert len(changes) == len(set(families)) and "Folklore" in changes[-1]


def test_presets_say_the_same_where_they_are_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)

    def done(key, order="rgb"):
        return nv.METHODS["published"](preset=key, order=order).fit()(pixels)

    np.testing.assert_allclose(done("half"), nv.METHODS["scale_11"]().fit()(pixels), atol=1e-6)
    np.testing.assert_allclose(done("unit"), nv.METHODS["scale_01"]().fit()(pixels), atol=1e-6)
    # Rounded to whole levels by torchvision, which makes them GoogLeNet's.
    np.testing.assert_allclose(done("vgg"), done("vgg_torchvision"), atol=0.75)
    np.testing.assert_allclose(done("googlenet"), done("vgg_torchvision"), atol=2e-3)
    for same in ("imagenet_255", "detectron2_std"):
        np.testing.assert_allclose(done("imagenet"), done(same), atol=1e-5)
    np.testing.assert_allclose(done("kinetics"), done("csn"), atol=1e-5)
    np.testing.assert_allclose(
        done("detectron2_std", "network"), done("imagenet_255")[..., ::-1], atol=1e-5
    )


def test_bgr_numbers_are_turned_round():
    np.testing.assert_allclose(PRESETS["vgg"].fraction_mean * 255, [123.68, 116.779, 103.939])
    np.testing.assert_allclose(
        PRESETS["vgg"].fraction_mean, PRESETS["vgg_torchvision"].fraction_mean, atol=0.003
    )
    photos = [key for key, p in PRESETS.items() if p.channels == 3 and not p.folklore]
    for key in set(photos) - {"svhn", "svhn_extra"}:  # house numbers are blue
        red, _, blue = PRESETS[key].fraction_mean
        assert red >= blue, key


def test_the_conversion_is_said_in_one_sentence():
    assert PRESETS["vgg"].words() == (
        "Published for BGR on 0–255: mean 103.939, 116.779, 123.68, std 1; here as RGB on 0–1: "
        "mean 0.4850, 0.4580, 0.4076, std 0.003922."
    )
    assert PRESETS["imagenet_255"].words().startswith("Published for RGB on 0–255: mean 123.675")
    assert PRESETS["imagenet"].words() == (
        "Published for RGB on 0–1, as used here: mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225."
    )
    assert "grey on 0–1, as used here: mean 0.1307, std 0.3081" in PRESETS["mnist"].words()
    bgr = ChannelConstants((0.0, 51.0, 255.0), (1.0, 1.0, 255.0), 255, "BGR")
    assert "here as RGB on 0–1: mean 1.0000, 0.2000, 0.0000, std 1.0000, 0.003922" in bgr.words()


@pytest.mark.parametrize("key", [key for key, p in PRESETS.items() if p.folklore])
def test_folklore_is_called_so(key):
    assert "folklore" in PRESETS[key].title.lower() and PRESETS[key].note.startswith("Folklore:")
    assert PRESETS[key].family.startswith("Folklore")
    right = PRESETS.get(key.removesuffix("_folklore"))
    if right is not None and key != "imagenet_reversed":
        assert (PRESETS[key].fraction_std < 0.9 * right.fraction_std).all()
        np.testing.assert_allclose(PRESETS[key].fraction_mean, right.fraction_mean, atol=2e-4)


def test_reversed_constants_leave_the_cast_that_the_note_says():
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    wrong, right = (
        nv.METHODS["published"](preset=key).fit()(ends) for key in ("imagenet_reversed", "imagenet")
    )
    np.testing.assert_allclose((wrong - right)[0, :, 0], [0.31, 0.39], atol=0.005)
    np.testing.assert_allclose((wrong - right)[0, :, 2], [-0.31, -0.39], atol=0.005)


def test_right_pipelines_are_not_accused_by_folklore():
    steps = nv.STEPS
    for turned in ((), (steps["channel_order"](),)):
        order = -1 if turned else 1
        mean, std = (
            values[::order] for values in (PRESETS["imagenet"].mean, PRESETS["imagenet"].std)
        )
        pipeline = nv.Pipeline((*turned, steps["scale"](), steps["mean_std"](mean, std)))
        assert remarks(pipeline) == ()


@pytest.mark.parametrize("key", MEAN_IMAGES)
def test_mean_images_say_which_file_to_import(key):
    preset = MEAN_IMAGES[key]
    assert preset.key == key and key not in PRESETS and preset.url.startswith("https://")
    assert preset.order == "BGR" and preset.scale == 255
    for file in preset.files:
        assert file in preset.words() and file.endswith((".binaryproto", ".npy"))
    assert f"{preset.height}×{preset.width} (BGR, 0–255), which is not bundled" in preset.words()
