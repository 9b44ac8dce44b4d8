"""The code of a pipeline is run and does what the pipeline does."""

from __future__ import annotations

import ast

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.errors import ParameterError
from normviz.imports.found import MeanImage
from normviz.pipeline import KNOWN, Pipeline
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import ChannelOrder, Clip, MeanStd, Scale, ToBytes, ToRGB
from normviz.samples import load_sample

PHOTOS = [load_sample(name) for name in ("coffee", "rocket", "chelsea")]


def method(key, **parameters):
    return Normalize(nv.METHODS[key](**parameters))


CASES = {key: known.pipeline for key, known in KNOWN.items()} | {
    "nothing": Pipeline(),
    "bytes": Pipeline([Resize(60, "longer"), CentreCrop(70)]),
    "floats resized": Pipeline([Scale(), Resize(40), Resize(33, "both", "bicubic")]),
    "opencv": Pipeline([Resize(50, library="opencv"), Scale(), Resize(20, library="opencv")]),
    "opencv bicubic": Pipeline([Resize(50, interpolation="bicubic", library="opencv")]),
    "clip": Pipeline([CentreCrop(40), Clip(10, 200), Scale(-2.0, 3.0), ChannelOrder()]),
    "8 bits": Pipeline([Scale(), ToBytes(), MeanStd(3, 2)]),
    "dataset": Pipeline([Resize(40), method("dataset_zscore")]),
    "dataset, fractions": Pipeline([Scale(2.0, -5.0), method("dataset_mean"), CentreCrop(30)]),
    "image": Pipeline([Resize(40), method("image_standardize"), CentreCrop(30)]),
    "grey world": Pipeline([ToRGB(), CentreCrop(64), method("grey_world"), Clip(0, 2)]),
    "published": Pipeline([method("published", preset="vgg"), ChannelOrder()]),
    "local": Pipeline([Resize(40), method("lcn", window=5)]),
    "mean image": Pipeline(
        [Resize(40), method("dataset_mean_image", placement="crop"), Clip(0, 90)]
    ),
    "pixel z-score": Pipeline(
        [CentreCrop(50), ChannelOrder(), method("dataset_pixel_zscore", epsilon=0.2)]
    ),
}


@pytest.fixture
def preprocess(tmp_path, monkeypatch):
    """A function that runs a fitted pipeline's code where its JSON lies beside it."""
    monkeypatch.chdir(tmp_path)

    def defined(fitted, target="numpy"):
        (tmp_path / "pipeline.json").write_text(fitted.to_json())
        scope: dict = {}
        exec(fitted.code(target), scope)
        return scope["preprocess"]

    return defined


@pytest.mark.parametrize("name", CASES)
def test_numpy_code_does_the_same(name, preprocess):
    fitted = CASES[name].fit(PHOTOS)
    run = preprocess(fitted)
    for image in (*PHOTOS, nv.image_of(PHOTOS[0].pixels[:1, :9])):
        before = image.pixels.copy()
        done, ours = run(image.pixels), fitted(image)
        assert done.dtype == np.float32 and done.shape == ours.shape
        scale = max(1.0, float(np.abs(ours).max()))
        np.testing.assert_allclose(done, ours, rtol=1e-5, atol=2e-6 * scale)
        np.testing.assert_array_equal(image.pixels, before)


def test_numpy_code_rounds_to_the_same_level_but_at_halves(preprocess):
    """Resized bytes fall on halves often, where the last bit of a float32 decides the level."""
    before = Pipeline([Resize(40), Scale(), Resize(30)])
    fitted = Pipeline([*before.steps, ToBytes(), MeanStd(3, 2)]).fit()
    run = preprocess(fitted)
    for image in PHOTOS:
        done, ours = run(image.pixels), fitted(image)
        levels = before.fit()(image).astype(np.float64) * 255
        from_half = np.abs(levels - np.floor(levels) - 0.5)
        assert np.array_equal(ours, (np.rint(levels) - 3) / 2)
        assert np.array_equal(done[from_half > 1e-4], ours[from_half > 1e-4])
        assert np.abs(done - ours).max() <= 0.5


@pytest.mark.parametrize(
    "name", ["vit_b16_hf", "bytes", "floats resized", "opencv", "image", "mean image"]
)
def test_numpy_code_takes_grey_images(name, preprocess):
    grey = [nv.image_of(photo.pixels[..., :1]) for photo in PHOTOS]
    fitted = CASES[name].fit(grey)
    done, ours = preprocess(fitted)(grey[0].pixels), fitted(grey[0])
    np.testing.assert_allclose(done, ours, rtol=1e-5, atol=2e-6 * max(1, np.abs(ours).max()))


@pytest.mark.parametrize("order", ["BGR", "RGB"])
def test_numpy_code_reads_an_imported_mean_image_from_the_json(order, preprocess):
    values = np.random.default_rng(4).uniform(90, 130, (256, 256, 3))
    fitted = KNOWN["caffenet"].pipeline.fit(MeanImage(values, order, 255))
    run = preprocess(fitted)
    in_bgr = values if order == "BGR" else values[..., ::-1]
    for image in PHOTOS:
        bgr = cv2.resize(image.pixels, (256, 256), interpolation=cv2.INTER_LINEAR)[..., ::-1]
        # Caffe's (256 − 227) / 2, rounded down.
        caffe = (bgr - in_bgr)[14:241, 14:241]
        np.testing.assert_allclose(fitted(image), caffe, atol=3e-5)
        np.testing.assert_allclose(run(image.pixels), caffe, atol=3e-5)


@pytest.mark.parametrize("target", ["numpy", "torchvision"])
@pytest.mark.parametrize("name", CASES)
def test_code_is_tidy_python(name, target):
    text = CASES[name].fit(PHOTOS).code(target)
    tree = ast.parse(text)
    assert text.endswith("\n") and not text.startswith("\n")
    longest = max(len(line) for line in text.splitlines() if "# " not in line)
    assert longest <= 100, text
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    bound = [name.asname or name.name for node in imports for name in node.names]
    assert set(bound) <= used and len(set(bound)) == len(bound), text
    names = [
        (bound != "json", isinstance(node, ast.ImportFrom), ast.unparse(node))
        for node, bound in zip(imports, bound, strict=True)
    ]
    assert names == sorted(names)


def test_what_has_no_code_is_refused_with_its_step():
    with pytest.raises(ParameterError, match="no code for 'keras'; there is numpy, torchvision"):
        Pipeline().fit().code("keras")
    area = Pipeline([Scale(), Resize(8, interpolation="area")]).fit()
    with pytest.raises(ParameterError, match=r"step 2 “resize 8 .* has no code for PyTorch"):
        area.code("torchvision")
    small = Pipeline([Resize(8), method("dataset_mean_image"), Clip(0, 9), ToBytes()])
    stored = Pipeline([*small.steps, method("dataset_mean_image")]).fit(PHOTOS)
    with pytest.raises(ParameterError, match=r"step 5 “normalize: mean image” has no code for Num"):
        stored.code()
    on_floats = Pipeline([Scale(), method("image_standardize")]).fit()
    with pytest.raises(ParameterError, match=r"step 2 “normalize: .* has no code for NumPy"):
        on_floats.code()
    twice = Pipeline([method("lcn"), Clip(0, 1), ToBytes(), method("lcn")]).fit()
    with pytest.raises(ParameterError, match=r"step 4 “normalize: LCN” has no code for NumPy"):
        twice.code()
