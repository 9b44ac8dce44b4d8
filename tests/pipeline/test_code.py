"""The code of a pipeline is run and does what the pipeline does."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import normviz as nv
from normviz.errors import ParameterError
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
}


@pytest.mark.parametrize("name", CASES)
def test_numpy_code_does_the_same(name):
    fitted = CASES[name].fit(PHOTOS)
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    for image in (*PHOTOS, nv.image_of(PHOTOS[0].pixels[:1, :9])):
        before = image.pixels.copy()
        done, ours = scope["preprocess"](image.pixels), fitted(image)
        assert done.dtype == np.float32 and done.shape == ours.shape
        scale = max(1.0, float(np.abs(ours).max()))
        np.testing.assert_allclose(done, ours, rtol=1e-5, atol=2e-6 * scale)
        np.testing.assert_array_equal(image.pixels, before)


def test_numpy_code_rounds_to_the_same_level_but_at_halves():
    """Resized bytes fall on halves often, where the last bit of a float32 decides the level."""
    before = Pipeline([Resize(40), Scale(), Resize(30)])
    fitted = Pipeline([*before.steps, ToBytes(), MeanStd(3, 2)]).fit()
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    for image in PHOTOS:
        done, ours = scope["preprocess"](image.pixels), fitted(image)
        levels = before.fit()(image).astype(np.float64) * 255
        from_half = np.abs(levels - np.floor(levels) - 0.5)
        assert np.array_equal(ours, (np.rint(levels) - 3) / 2)
        assert np.array_equal(done[from_half > 1e-4], ours[from_half > 1e-4])
        assert np.abs(done - ours).max() <= 0.5


@pytest.mark.parametrize("name", ["vit_b16_hf", "bytes", "floats resized", "opencv", "image"])
def test_numpy_code_takes_grey_images(name):
    grey = [nv.image_of(photo.pixels[..., :1]) for photo in PHOTOS]
    fitted = CASES[name].fit(grey)
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    done, ours = scope["preprocess"](grey[0].pixels), fitted(grey[0])
    np.testing.assert_allclose(done, ours, rtol=1e-5, atol=2e-6 * max(1, np.abs(ours).max()))


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
    names = [(isinstance(node, ast.ImportFrom), ast.unparse(node)) for node in imports]
    assert names == sorted(names)


def test_what_has_no_code_is_refused_with_its_step():
    with pytest.raises(ParameterError, match="no code for 'keras'; there is numpy, torchvision"):
        Pipeline().fit().code("keras")
    area = Pipeline([Scale(), Resize(8, interpolation="area")]).fit()
    with pytest.raises(ParameterError, match=r"step 2 “resize 8 .* has no code for PyTorch"):
        area.code("torchvision")
    stored = Pipeline([method("dataset_mean_image")]).fit(PHOTOS)
    with pytest.raises(ParameterError, match=r"step 1 “normalize: mean image” has no code for Num"):
        stored.code()
    on_floats = Pipeline([Scale(), method("image_standardize")]).fit()
    with pytest.raises(ParameterError, match=r"step 2 “normalize: .* has no code for NumPy"):
        on_floats.code()
    twice = Pipeline([method("lcn"), Clip(0, 1), ToBytes(), method("lcn")]).fit()
    with pytest.raises(ParameterError, match=r"step 4 “normalize: LCN” has no code for NumPy"):
        twice.code()
