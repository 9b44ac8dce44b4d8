"""Steps and known pipelines against the libraries themselves, and their stated differences.

PyTorch, torchvision, Keras and Albumentations are no dependencies: without one of them its tests
are skipped by name.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.images import BYTE_RANGE, UNIT_RANGE
from normviz.pipeline import KNOWN, Pipeline
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.values import MeanStd, Scale, ToBytes
from normviz.samples import load_sample
from tests.methods.test_code_in_libraries import torchvision_runs
from tests.pipeline.test_code import CASES, PHOTOS

os.environ.setdefault("KERAS_BACKEND", "torch")

PHOTO = load_sample("forest_day")  # 480×320


def tensor_of(pixels):
    torch, _ = torchvision_runs()
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def array_of(tensor) -> np.ndarray:
    return tensor.numpy().transpose(1, 2, 0)


def v2():
    torchvision_runs()
    from torchvision.transforms import v2

    return v2


@pytest.mark.parametrize("name", sorted(set(CASES) - {"local"}))
def test_torchvision_code_does_the_same(name, tmp_path, monkeypatch):
    torch, _ = torchvision_runs()
    fitted = CASES[name].fit(PHOTOS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipeline.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code("torchvision"), scope)
    # torchvision resizes bytes with its own rounding: a level or two (stated), before what follows.
    resizes = sum(isinstance(step, Resize) for step in fitted.pipeline.steps)
    nearest = any(getattr(step, "interpolation", "") == "nearest" for step in fitted.pipeline.steps)
    for image in PHOTOS:
        tensor = tensor_of(image.pixels)
        before = tensor.clone()
        done = scope["preprocess"](tensor)
        assert done.dtype == torch.float32 and torch.equal(tensor, before)
        ours = fitted(image)
        difference = np.abs(array_of(done) - ours)
        unit = 255.0 if np.abs(ours).max() > 20 else 1.0
        if nearest:
            assert np.mean(difference.max(axis=2) > 1e-5 * unit) < 2 / 7, name
            continue
        level = unit / 255 / 0.225
        assert difference.max() <= (6.1 * level if resizes else 2e-6 * unit), name
        assert np.mean(difference) <= (0.35 * level if resizes else 1e-6 * unit), name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(64, 48), (17, 11), (9, 30), (4, 4)])
@pytest.mark.parametrize("crop", [4, 7, 10, 31])
def test_centre_crop_is_torchvisions(crop, size, channels):
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 256, (*size, channels), dtype=np.uint8)
    theirs = array_of(v2().CenterCrop(crop)(tensor_of(pixels)))
    np.testing.assert_array_equal(CentreCrop(crop).run(pixels, None), theirs)


@pytest.mark.parametrize("size", [(320, 480), (33, 50), (50, 33), (7, 7), (3, 700)])
@pytest.mark.parametrize("side", ["shorter", "longer"])
def test_sizes_are_torchvisions(size, side):
    pixels = np.zeros((*size, 1), np.float32)
    resize = v2().Resize(19) if side == "shorter" else v2().Resize(None, max_size=300)
    step = Resize(19) if side == "shorter" else Resize(300, "longer")
    assert step.run(pixels, None).shape == array_of(resize(tensor_of(pixels))).shape


# Pillow's filters are torchvision's with antialias=True, OpenCV's those without.
@pytest.mark.parametrize("size", [(256, 384), (32, 48), (400, 600)])
@pytest.mark.parametrize(
    ("interpolation", "library", "mode", "levels"),
    [
        ("bilinear", "pillow", "BILINEAR", 2),
        ("bicubic", "pillow", "BICUBIC", 2),
        ("bilinear", "opencv", "BILINEAR", 1),
        ("bicubic", "opencv", "BICUBIC", 6),
        ("nearest", "opencv", "NEAREST", 0),
    ],
)
def test_resize_is_torchvisions(size, interpolation, library, mode, levels):
    tv = v2()
    resize = tv.Resize(size, tv.InterpolationMode[mode], antialias=library == "pillow")
    step = Resize(size[0], "both", interpolation, library, size[1])
    floats = PHOTO.pixels.astype(np.float32)
    theirs = array_of(resize(tensor_of(floats)))
    np.testing.assert_allclose(step.run(floats, None), theirs, atol=0.01)
    theirs = array_of(resize(tensor_of(PHOTO.pixels))).astype(int)
    difference = np.abs(step.run(PHOTO.pixels, None).astype(int) - theirs)
    assert difference.max() <= levels
    assert np.mean(difference > 1) < 0.02


def test_resize_on_pil_images_is_the_same_to_the_bit():
    tv = v2()
    picture = PillowImage.fromarray(PHOTO.pixels)
    for mode, interpolation in (("BILINEAR", "bilinear"), ("BICUBIC", "bicubic"), ("BOX", "area")):
        theirs = np.asarray(tv.Resize(70, tv.InterpolationMode[mode])(picture))
        ours = Resize(70, interpolation=interpolation).run(PHOTO.pixels, None)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalize_is_torchvisions(dtype):
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = PHOTO.pixels.astype(dtype)
    theirs = array_of(v2().Normalize(mean, std)(tensor_of(pixels).float()))
    np.testing.assert_allclose(MeanStd(mean, std).run(pixels, None), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("key", "weights"), [("resnet50", "IMAGENET1K_V1"), ("resnet50_v2", "IMAGENET1K_V2")]
)
def test_torchvisions_own_preset(key, weights):
    torchvision_runs()
    from torchvision.models import ResNet50_Weights

    fitted = KNOWN[key].pipeline.fit()
    for image in PHOTOS:
        theirs = ResNet50_Weights[weights].transforms()(PillowImage.fromarray(image.pixels))
        np.testing.assert_allclose(fitted(image), array_of(theirs), rtol=1e-5, atol=2e-6)


# OpenAI's and Meta's files, and timm's for 299 / 0.875: the same Compose with other numbers.
@pytest.mark.parametrize(
    ("key", "resize", "crop"),
    [("clip_vit_b32", 224, 224), ("dinov2", 256, 224), ("inception_v3_timm", 341, 299)],
)
def test_compose_of_the_published_code(key, resize, crop):
    torchvision_runs()
    from torchvision import transforms as T

    mean, std = {
        "clip_vit_b32": (
            (0.48145466, 0.4578275, 0.40821073),
            (0.26862954, 0.26130258, 0.27577711),
        ),
        "dinov2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "inception_v3_timm": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    }[key]
    theirs = T.Compose(
        [
            T.Resize(resize, interpolation=T.InterpolationMode.BICUBIC),
            T.CenterCrop(crop),
            lambda picture: picture.convert("RGB"),
            T.ToTensor(),
            T.Normalize(mean, std),
        ]
    )
    fitted = KNOWN[key].pipeline.fit()
    for image in (*PHOTOS, nv.image_of(PHOTOS[0].pixels[..., 1])):
        squeezed = image.pixels[..., 0] if image.channels == 1 else image.pixels
        done = array_of(theirs(PillowImage.fromarray(squeezed)))
        np.testing.assert_allclose(fitted(image), done, rtol=1e-5, atol=2e-6)


def test_hugging_faces_formula():
    """As image_transforms.py does it: Pillow on bytes, ·1/255 in float64, mean and std."""
    picture = PillowImage.fromarray(PHOTO.pixels).resize((224, 224), resample=2)
    x = (np.array(picture).astype(np.float64) * 0.00392156862745098).astype(np.float32)
    theirs = (x - np.float32(0.5)) / np.float32(0.5)
    ours = KNOWN["vit_b16_hf"].pipeline.fit()(PHOTO)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("key", "module"),
    [
        ("vgg16_keras", "vgg16"),
        ("vgg16_keras", "resnet"),
        ("mobilenet_v2_keras", "mobilenet_v2"),
        ("mobilenet_v2_keras", "inception_v3"),
    ],
)
def test_keras_own_functions(key, module, tmp_path):
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    PillowImage.fromarray(PHOTO.pixels).save(tmp_path / "photo.png")
    picture = keras.utils.load_img(tmp_path / "photo.png", target_size=(224, 224))
    x = keras.utils.img_to_array(picture, data_format="channels_last")
    own = getattr(keras.applications, module).preprocess_input
    theirs = own(x, data_format="channels_last")
    ours = KNOWN[key].pipeline.fit()(PHOTO)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-5)


# Stated in the words of the steps.


def test_pillow_and_opencv_differ_as_stated():
    x = PHOTO.pixels
    for size, most, mean in (((256, 384), 18, 0.7), ((32, 48), 115, 14)):
        ours, theirs = (
            Resize(size[0], "both", "bilinear", library, size[1]).run(x, None).astype(float)
            for library in ("pillow", "opencv")
        )
        assert abs(np.abs(ours - theirs).max() - most) <= 2
        assert abs(np.abs(ours - theirs).mean() - mean) <= 0.5
    assert (round(theirs.std(), 1), round(ours.std(), 1)) == (55.2, 48.7)
    floats = x.astype(np.float32)
    assert abs(Resize(256, interpolation="bicubic").run(floats, None).max() - 264.5) < 0.1
    grown = [
        Resize(400, "both", "bicubic", library, 600).run(x, None).astype(float)
        for library in ("pillow", "opencv")
    ]
    assert np.abs(grown[0] - grown[1]).max() == 11
    for size, most in (((256, 384), 72), ((32, 48), 1)):
        ours, theirs = (
            Resize(size[0], "both", "area", library, size[1]).run(x, None).astype(float)
            for library in ("pillow", "opencv")
        )
        assert np.abs(ours - theirs).max() == most


def test_half_an_odd_margin_is_rounded_elsewhere():
    A = pytest.importorskip("albumentations", reason="albumentations is not installed")
    for length in range(5, 16):
        line = np.arange(length, dtype=np.uint8)[:, None, None].repeat(length, 1)
        ours = CentreCrop(4).run(line, None)[0, 0, 0]
        theirs = A.CenterCrop(4, 4)(image=line)["image"][0, 0, 0]
        assert theirs == (length - 4) // 2
        assert ours - theirs == ((length - 4) % 4 == 3)
    small = np.zeros((3, 3, 1), np.uint8)
    with pytest.raises(Exception, match="exceeds image dimensions"):
        A.CenterCrop(4, 4)(image=small)
    wide = np.zeros((333, 502, 3), np.uint8)
    assert A.SmallestMaxSize(256)(image=wide)["image"].shape == (256, 386, 3)


def test_bytes_are_made_by_cutting_off_elsewhere():
    torch, _ = torchvision_runs()
    to_bytes = v2().ToDtype(torch.uint8, scale=True)
    u = np.linspace(0, 1, 200001, dtype=np.float32).reshape(1, -1, 1)
    ours = ToBytes().run(u, UNIT_RANGE).astype(int)
    difference = ours - array_of(to_bytes(tensor_of(u)))
    assert abs(np.mean(difference != 0) - 0.25) < 0.01
    assert set(np.unique(difference[u < 0.49])) == {0, 1}
    assert set(np.unique(difference[u > 0.51])) == {-1, 0}
    assert to_bytes(torch.tensor([0.5])).item() == 127 and ours[u == 0.5].tolist() == [128]


def test_hugging_face_cuts_off():
    """(image * 255) as float32, then astype(uint8), as image_transforms.py does it."""

    def cut(fractions):
        return (fractions.astype(np.float64) * 255).astype(np.float32).astype(np.uint8)

    levels = np.arange(256, dtype=np.uint8).reshape(1, -1, 1)
    np.testing.assert_array_equal(cut(Scale().run(levels, BYTE_RANGE)), levels)
    u = np.random.default_rng(0).random((100, 100, 1), np.float32)
    lower = ToBytes().run(u, UNIT_RANGE).astype(int) - cut(u)
    assert set(np.unique(lower)) == {0, 1} and abs(lower.mean() - 0.5) < 0.02


def test_a_second_to_dtype_changes_nothing_and_a_second_scale_does():
    torch, _ = torchvision_runs()
    scale = v2().ToDtype(torch.float32, scale=True)
    once = scale(tensor_of(PHOTO.pixels))
    assert torch.equal(scale(once), once)
    ours = Pipeline([Scale(), Scale()]).fit()(PHOTO)
    assert ours.max() == pytest.approx(1 / 255)


def test_albumentations_scales_mean_and_std_itself():
    A = pytest.importorskip("albumentations", reason="albumentations is not installed")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    theirs = A.Normalize(mean, std)(image=PHOTO.pixels)["image"]
    ours = Pipeline([Scale(), MeanStd(mean, std)]).fit()(PHOTO)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
