"""What the methods' pages say of libraries beyond the cases: facts without a picture to compare."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

import normviz as nv
from tests.methods.test_code_in_libraries import torchvision_runs
from tests.parity.libraries import CASES, LIBRARIES

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def said(key: str) -> str:
    return " ".join(f"{who}: {what}" for who, what in nv.METHODS[key].about.libraries)


@pytest.mark.parametrize("key", nv.METHODS)
def test_every_page_has_a_word_on_libraries(key):
    assert said(key)


# What each library is called in the texts, beside its title.
CALLED = {
    "OpenCV": ("cv2",),
    "PyTorch": ("torch.nn",),
    "Transformers": ("transformers",),
    "scikit-learn": ("sklearn",),
    "scikit-image": ("skimage",),
    "TensorFlow": ("tf.",),
    "Pillow": ("PIL",),
    "Kornia": ("kornia",),
    "Keras": ("keras",),
    "SciPy": ("scipy",),
    "MONAI": ("monai",),
    "Albumentations": ("albumentations",),
}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.because and case.method in nv.METHODS]
)
def test_the_page_names_each_library_that_differs(case):
    names = (case.library.title, *CALLED.get(case.library.title, ()))
    assert any(name in said(case.method) for name in names), case.method


def test_libraries_are_told_apart():
    titles = [library.title for library in LIBRARIES]
    assert len(set(titles)) == len(titles) and set(CALLED) <= set(titles)


def test_std_of_zero():
    torch, _ = torchvision_runs()
    from torchvision.transforms import v2

    with pytest.raises(ValueError, match="std evaluated to zero"):
        v2.Normalize([0.5], [0.0])(torch.zeros(1, 2, 2))
    assert "torchvision refuses" in said("dataset_zscore")
    A = pytest.importorskip("albumentations")
    white = np.full((2, 2, 3), 255, np.uint8)
    with np.errstate(divide="ignore"):
        done = A.Normalize(mean=[0.5] * 3, std=[0.0] * 3)(image=white)["image"]
    assert np.isinf(done).all() and "Albumentations gives infinity" in said("dataset_zscore")


def test_a_std_of_zero_counts_as_one():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    same = np.full((5, 2), 7.0)
    assert preprocessing.StandardScaler().fit(same).transform(same + 3).tolist() == [[3, 3]] * 5
    transforms = pytest.importorskip("monai.transforms")
    planes = np.full((3, 2, 2), 7, np.float32)
    options = {"subtrahend": [1, 1, 1], "divisor": [0, 1, 1], "channel_wise": True}
    done = np.asarray(transforms.NormalizeIntensity(**options)(planes))
    assert (done == 6).all()
    for key in ("dataset_zscore", "image_standardize", "image_channel_standardize"):
        assert "a std of 0 counts as 1" in said(key)


def test_tensorflow_leaves_floats_as_they_are():
    tf = pytest.importorskip("tensorflow")
    done = tf.image.convert_image_dtype(np.array([200.0], np.float32), tf.float32).numpy()
    assert done == [200.0] and "200.0 stays 200.0" in said("scale_01")
    words = tf.image.convert_image_dtype(np.array([65535], np.uint16), tf.float32).numpy()
    assert words == [1.0] and "type's maximum" in said("scale_01")


def test_sixteen_bits_divided_by_255():
    A = pytest.importorskip("albumentations")
    words = np.full((2, 2, 3), 65535, np.uint16)
    assert A.ToFloat(max_value=255, p=1.0)(image=words)["image"].max() == 257
    assert "16 bits then end at 257" in said("scale_01")


def test_blob_from_image_subtracts_first():
    x = np.full((1, 1, 3), 100, np.uint8)
    done = cv2.dnn.blobFromImage(x, 0.5, mean=(10.0, 20.0, 30.0)).ravel()
    assert done.tolist() == [45, 40, 35]


def test_efficientnet_lite():
    gap = (np.array([0, 255]) - 127) / 128 - (np.array([0, 255]) / 127.5 - 1)
    np.testing.assert_allclose(gap, [0.0078, 0], atol=5e-5)
    assert "0.008 higher at black, the same at white" in said("scale_11")


def test_torchvisions_vgg():
    _, torchvision = torchvision_runs()
    weights = torchvision.models.VGG16_Weights
    classify, features = (
        weights.IMAGENET1K_V1.transforms(),
        weights.IMAGENET1K_FEATURES.transforms(),
    )
    assert classify.std == [0.229, 0.224, 0.225]
    np.testing.assert_allclose(np.multiply(features.mean, 255), [123, 116.28, 104], atol=1)
    np.testing.assert_allclose(np.multiply(features.std, 255), 1, rtol=1e-6)


def test_processors_without_a_file():
    torchvision_runs()
    transformers = pytest.importorskip("transformers")
    for name in ("ViT", "ConvNext", "DeiT", "Beit", "EfficientNet"):
        processor = getattr(transformers, f"{name}ImageProcessor")()
        assert [*processor.image_mean, *processor.image_std] == [0.5] * 6, name


def test_epsilons_within_the_root():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(0.5, 0.29, (1, 3, 64, 64))
    done = torch.nn.functional.instance_norm(torch.from_numpy(x)).numpy()
    exact = (x - x.mean((2, 3), keepdims=True)) / x.std((2, 3), keepdims=True)
    assert np.median(1 - done / exact) == pytest.approx(6e-5, rel=0.1)
    assert "std 0.29 the result is 6e-5 smaller" in said("image_channel_standardize")
    assert 1 - 0.25 / np.sqrt(0.25**2 + 1e-3) == pytest.approx(0.008, abs=5e-4)
    assert "0.8 % smaller" in said("batch_zscore")
