"""The exported code is run in the libraries it is written for, where they are installed.

PyTorch, torchvision, Albumentations and Keras are no dependencies: without one of them its tests
are skipped by name.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

import normviz as nv

os.environ.setdefault("KERAS_BACKEND", "torch")


def photo(height=48, width=36, channels=3, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    shade = 110 + 60 * np.sin(x / 7)[..., None]
    shade = shade + 40 * np.cos(y[..., None] / 9 + np.arange(channels))
    return np.clip(shade + rng.normal(0, 12, (height, width, channels)), 0, 255).astype(np.uint8)


IMAGES = {
    "photo": photo(),
    "one row": photo(1, 5),
    "flat": np.full((6, 9, 3), 77, np.uint8),
    "a black channel": photo() * np.array([1, 0, 1], np.uint8),
}


def torchvision_runs():
    """Import torchvision also where its compiled operators are missing: transforms need none."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torchvision_runs.library = library  # it must stay alive
        import torchvision
    except ImportError:
        pytest.skip("torchvision is not installed")
    return torch, torchvision


def in_torchvision(normalize, image):
    torch, _ = torchvision_runs()
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())
    before = tensor.clone()
    done = normalize(tensor)
    assert done.dtype == torch.float32 and torch.equal(tensor, before)
    return done.numpy().transpose(1, 2, 0)


def in_albumentations(normalize, image):
    return normalize(image)


def in_keras(normalize, image):
    import keras

    done = normalize(image)
    assert keras.backend.standardize_dtype(done.dtype) == "float32"
    return keras.ops.convert_to_numpy(done)


RUN = {"torchvision": in_torchvision, "albumentations": in_albumentations, "keras": in_keras}


@pytest.fixture(params=RUN)
def target(request):
    if request.param == "torchvision":
        torchvision_runs()
    else:
        pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return request.param


def ends():
    """Every method at each choice, or at the ends, of each of its parameters."""
    for key, kind in nv.METHODS.items():
        for field in dataclasses.fields(kind):
            facts = field.metadata
            # Presets differ in their numbers only, and in the order of their channels (below).
            if field.name != "preset":
                for value in facts["choices"] or (facts["low"], facts["high"]):
                    if value != field.default:
                        yield key, {field.name: value}


CASES = [(key, {}) for key in nv.METHODS] + [
    ("percentile_stretch", {"over": "channel", "beyond": "keep"}),
    ("robust", {"scale": "mad_normal", "over": "channel"}),
    ("gcn", {"contrast": "norm", "bias": 0.0, "scale": 55.0}),
    ("clahe", {"plane": "luma", "clip_limit": 0.0}),
    ("published", {"preset": "vgg"}),
    ("published", {"preset": "vgg", "order": "network"}),
    ("published", {"preset": "detectron2_std", "order": "network"}),
    *ends(),
]


@pytest.mark.parametrize(("key", "parameters"), CASES)
def test_library_code_gives_the_same_result(target, key, parameters, tmp_path, monkeypatch):
    images = [nv.image_of(photo(seed=seed)) for seed in (1, 2, 3)]
    method = nv.METHODS[key](**parameters)
    wants_images = method.about.fits_on == "images"
    fitted = method.fit(images if wants_images else nv.scan(images, mean_image=16))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code(target), scope)
    for name, image in IMAGES.items():
        before = image.copy()
        done = RUN[target](scope["normalize"], image)
        ours = fitted(image)
        assert done.dtype == np.float32 and done.shape == ours.shape
        # Libraries compute in float32: seven digits of the largest value.
        scale = max(1.0, float(np.abs(ours).max()))
        np.testing.assert_allclose(done, ours, rtol=1e-5, atol=2e-6 * scale, err_msg=name)
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("key", ["dataset_zscore", "dataset_mean", "scale_11", "grey_world"])
def test_library_code_takes_grey_images(target, key):
    grey = [nv.image_of(photo(channels=1, seed=seed)) for seed in (1, 2)]
    fitted = nv.METHODS[key]().fit(nv.scan(grey))
    scope: dict = {}
    exec(fitted.code(target), scope)
    done = RUN[target](scope["normalize"], grey[0].pixels)
    ours = fitted(grey[0].pixels)
    np.testing.assert_allclose(done.reshape(ours.shape), ours, rtol=1e-5, atol=1e-4)


def test_albumentations_own_image_modes_differ_as_the_comment_says():
    A = pytest.importorskip("albumentations", reason="albumentations is not installed")
    image = photo()
    x = image.astype(float)
    for key, mode, axes in (
        ("image_standardize", "image", None),
        ("image_channel_standardize", "image_per_channel", (0, 1)),
    ):
        code = nv.METHODS[key]().fit().code("albumentations")
        assert f'normalization="{mode}") differs' in code and "1e-4" in code
        theirs = A.Normalize(normalization=mode)(image=image)["image"]
        stated = (x - x.mean(axis=axes)) / (x.std(axis=axes) + 1e-4)
        np.testing.assert_allclose(theirs, np.clip(stated, -20, 20), rtol=1e-4, atol=1e-5)


def test_keras_code_runs_on_tensorflow_too():
    # Keras's default backend, and stricter about types than the one the tests run on.
    pytest.importorskip("keras", reason="Keras is not installed")
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    command += ["-k", "keras and library_code"]
    done = subprocess.run(
        command,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:]
