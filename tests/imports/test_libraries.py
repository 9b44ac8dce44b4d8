"""Against the libraries themselves, where they are installed."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import normviz as nv
from normviz.imports import read_normalization
from normviz.samples import load_sample
from tests.methods.test_code_in_libraries import photo, torchvision_runs

os.environ.setdefault("KERAS_BACKEND", "torch")

PAIRS = [
    ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ([0.1307], [0.3081]),
]


def ours(found, image):
    """What the import makes of bytes: z-score on its numbers, channels as in the image."""
    return nv.METHODS["dataset_zscore"]().fit(found.numbers)(image)


@pytest.mark.parametrize(("mean", "std"), PAIRS)
def test_torchvision_repr(mean, std):
    torch, _ = torchvision_runs()
    from torchvision import transforms
    from torchvision.transforms import v2

    image = photo()
    for kind in (transforms.Normalize, v2.Normalize):
        for given in (
            (mean, std),
            tuple(map(torch.tensor, (mean, std))),
            map(np.array, (mean, std)),
        ):
            theirs = kind(*given)
            tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float() / 255
            done = theirs(tensor).numpy().transpose(1, 2, 0)
            for text in (repr(theirs), repr(transforms.Compose([theirs]))):
                np.testing.assert_allclose(
                    ours(read_normalization("", text), image), done, rtol=1e-4, atol=1e-4
                )


def test_torchvision_weights():
    _, torchvision = torchvision_runs()
    from PIL import Image

    image = load_sample("coffee")
    for weights in (
        torchvision.models.ResNet50_Weights.DEFAULT,
        torchvision.models.EfficientNet_V2_L_Weights.DEFAULT,
        torchvision.models.ViT_B_16_Weights.IMAGENET1K_V1,
    ):
        theirs = weights.transforms()
        found = read_normalization("", repr(theirs))
        done = theirs(Image.fromarray(image.pixels)).numpy().transpose(1, 2, 0)
        np.testing.assert_allclose(found.pipeline.fit()(image), done, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)},
        {"mean": 0.5, "std": 0.25},
        {"mean": (104.0, 117.0, 123.0), "std": (1.0, 2.0, 3.0), "max_pixel_value": 1.0},
        {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "max_pixel_value": 127.5},
    ],
)
def test_albumentations_repr_and_dictionary(given):
    A = pytest.importorskip("albumentations", reason="albumentations is not installed")
    image, theirs = photo(), A.Normalize(**given)
    deep = A.Compose([A.Resize(9, 9), A.OneOf([A.Blur()]), A.Sequential([theirs])])
    done = theirs(image=image)["image"]
    for text in (
        repr(theirs),
        json.dumps(A.to_dict(theirs)),
        json.dumps(A.to_dict(deep)),
        repr(deep),
    ):
        found = read_normalization("", text)
        assert found.kind == "Albumentations Normalize"
        np.testing.assert_allclose(ours(found, image), done, rtol=1e-4, atol=1e-4)


def test_keras_preprocess_input():
    keras = pytest.importorskip("keras", reason="keras is not installed")
    image = photo(16, 16)
    modules = [
        name
        for name in dir(keras.applications)
        if hasattr(getattr(keras.applications, name), "preprocess_input")
    ]
    assert len(modules) > 12
    for name in modules:
        if name == "imagenet_utils":
            continue
        theirs = getattr(keras.applications, name).preprocess_input(image.astype(np.float32))
        found = read_normalization("", name)
        done = found.pipeline.fit()(nv.image_of(image))
        np.testing.assert_allclose(done, theirs, rtol=1e-5, atol=1e-4, err_msg=name)
    for mode in ("caffe", "tf", "torch"):
        utils = keras.applications.imagenet_utils
        theirs = utils.preprocess_input(image.astype(np.float32), mode=mode)
        done = read_normalization("", mode).pipeline.fit()(nv.image_of(image))
        np.testing.assert_allclose(done, theirs, rtol=1e-5, atol=1e-4, err_msg=mode)


def test_every_keras_model_is_known_by_its_name():
    keras = pytest.importorskip("keras", reason="keras is not installed")
    names = [
        name
        for name in dir(keras.applications)
        if name[0].isupper() and callable(getattr(keras.applications, name))
    ]
    assert len(names) > 30
    for name in names:
        module = getattr(keras.applications, name).__module__.rsplit(".", 1)[-1]
        one, other = read_normalization("", name), read_normalization("", module)
        assert one.pipeline == other.pipeline, name


PROCESSORS = (
    "CLIP", "Bit", "Blip", "ViT", "Siglip", "DeiT", "Beit", "ConvNext", "EfficientNet",
    "MobileNetV1", "MobileNetV2", "MobileViT", "Levit", "Segformer", "PoolFormer", "DPT",
)  # fmt: skip


def _transformers():
    torchvision_runs()  # transformers imports torchvision where that is installed
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.mark.parametrize("kind", PROCESSORS)
def test_hugging_face_image_processors(kind):
    """Both the file with all keys and the bare one, whose gaps the library's defaults fill."""
    transformers = _transformers()
    image = load_sample("coffee")
    make = getattr(transformers, f"{kind}ImageProcessor")
    tried = 0
    for given in ({}, {"size": 224}, {"size": {"shortest_edge": 200}}, {"resample": 0}):
        try:
            theirs = make(**given)
            done = theirs(image.pixels, return_tensors="np")["pixel_values"][0]
        except (ValueError, KeyError):
            continue  # this processor takes no such size
        tried += 1
        bare = json.dumps({"image_processor_type": f"{kind}ImageProcessor", **given})
        for text in (bare, theirs.to_json_string()):
            found = read_normalization("preprocessor_config.json", text)
            assert found.problems == ()
            made = found.pipeline.fit()(image)
            np.testing.assert_allclose(made, done.transpose(1, 2, 0), rtol=1e-5, atol=1e-5)
    assert tried >= 2


def _processed(kind, image, **given):
    """What transformers makes of the image, and the import of the file that it would save."""
    transformers = _transformers()
    theirs = getattr(transformers, f"{kind}ImageProcessor")(**given)
    done = theirs(image.pixels, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    bare = json.dumps({"image_processor_type": f"{kind}ImageProcessor", **given})
    found = [read_normalization("", text) for text in (bare, theirs.to_json_string())]
    assert found[0].pipeline == found[1].pipeline and found[0].problems == found[1].problems
    return done, found[0]


@pytest.mark.parametrize("given", [{}, {"crop_pct": 0.97}, {"size": 200, "crop_pct": 1.0}])
def test_hugging_face_crop_pct(given):
    done, found = _processed("PoolFormer", load_sample("coffee"), **given)
    assert found.problems == ()
    np.testing.assert_allclose(found.pipeline.fit()(load_sample("coffee")), done, atol=1e-5)
    squeezed = {**given, "size": {"height": 250, "width": 300}}
    done, found = _processed("PoolFormer", load_sample("coffee"), **squeezed)
    np.testing.assert_allclose(found.pipeline.fit()(load_sample("coffee")), done, atol=1e-5)


@pytest.mark.parametrize("given", [{}, {"size": 300}, {"size": 400, "max_size": 700}])
@pytest.mark.parametrize("kind", ["Detr", "ConditionalDetr", "DeformableDetr"])
def test_hugging_face_detection_keeps_the_proportions(kind, given):
    image = load_sample("coffee")
    done, found = _processed(kind, image, **given)
    assert len(found.problems) == 1 and "The longer side is kept to" in found.problems[0]
    np.testing.assert_allclose(found.pipeline.fit()(image), done, rtol=1e-5, atol=1e-5)


def test_hugging_face_sizes_of_which_multiples_are_named():
    """Where the sides are multiples already, nothing is left out."""
    pixels = load_sample("coffee").pixels[:256, :384]
    image = nv.image_of(pixels)
    for kind, given, part in (
        ("Yolos", {"size": 512}, "multiples of 16"),
        ("GLPN", {}, "multiples of 32"),
        ("DPT", {"size": 128, "keep_aspect_ratio": True}, "nearest pixel"),
        ("DPT", {"size": 128, "keep_aspect_ratio": True, "ensure_multiple_of": 32}, "of 32"),
    ):
        done, found = _processed(kind, image, **given)
        assert any(part in problem for problem in found.problems)
        np.testing.assert_allclose(found.pipeline.fit()(image), done, rtol=1e-5, atol=1e-5)
    done, found = _processed("DPT", image, size=200, ensure_multiple_of=32)
    assert found.problems == ()
    np.testing.assert_allclose(found.pipeline.fit()(image), done, rtol=1e-5, atol=1e-5)


def test_hugging_face_padding_leaves_the_picture_as_it_is():
    image = nv.image_of(load_sample("coffee").pixels[:50, :70])
    done, found = _processed("Swin2SR", image)
    assert done.shape[:2] == (56, 72) and "next multiple of 8" in found.problems[0]
    np.testing.assert_allclose(found.pipeline.fit()(image), done[:50, :70], rtol=1e-5, atol=1e-6)


def test_hugging_face_crop_before_resizing():
    image = load_sample("coffee")
    # 224 of 256 pixels: nothing is resized, so that the order does not count.
    small = nv.image_of(image.pixels[:256, :384])
    done, found = _processed("Perceiver", small)
    assert len(found.problems) == 1 and "It crops before it resizes" in found.problems[0]
    np.testing.assert_allclose(found.pipeline.fit()(small), done, rtol=1e-5, atol=1e-5)
    done, found = _processed("Perceiver", image)
    assert np.abs(found.pipeline.fit()(image) - done).mean() < 0.06  # of a std of 1
    whole, found = _processed("Perceiver", image, do_center_crop=False)
    assert found.problems == ()
    np.testing.assert_allclose(found.pipeline.fit()(image), whole, rtol=1e-5, atol=1e-5)
