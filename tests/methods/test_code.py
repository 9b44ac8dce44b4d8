"""The exported code is run, and compared with the method that it was written from."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import normviz as nv
from normviz.errors import ParameterError
from normviz.methods.code import TARGETS
from normviz.samples import load_sample

PHOTOS = [load_sample(key) for key in ("forest_day", "coffee")]
STATS = nv.scan(PHOTOS, mean_image=16)


def fit(key, **parameters):
    method = nv.METHODS[key](**parameters)
    return method.fit(PHOTOS if method.about.fits_on == "images" else STATS)


@pytest.mark.parametrize("key", nv.METHODS)
def test_numpy_code_gives_the_same_result(key, tmp_path, monkeypatch):
    fitted = fit(key)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    photo = load_sample("forest_day").pixels
    for pixels in (
        photo,
        load_sample("coffee").pixels,
        photo[:1, :5],
        photo * np.array([1, 0, 1], np.uint8),
        np.full((6, 9, 3), 77, np.uint8),
    ):
        done = scope["normalize"](pixels)
        assert done.dtype == np.float32
        ours = fitted(pixels)
        np.testing.assert_allclose(done, ours, rtol=1e-5, atol=1e-6 * max(1, np.abs(ours).max()))


@pytest.mark.parametrize("key", nv.METHODS)
def test_every_method_has_code_for_every_library(key):
    fitted = fit(key)
    assert fitted.code_targets() == tuple(TARGETS)
    for target in TARGETS:
        assert "normalize" in fitted.code(target)


def test_code_keeps_the_digits_of_a_set_of_one_colour():
    flat = nv.scan([nv.image_of(np.full((3, 3, 3), (10, 77, 201), np.uint8))])
    fitted = nv.METHODS["dataset_zscore"]().fit(flat)  # divides by 1e-7
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    pixels = np.full((2, 2, 3), (10, 77, 202), np.uint8)
    done = scope["normalize"](pixels)
    np.testing.assert_allclose(done, fitted(pixels), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("key", ["dataset_mean_image", "dataset_pixel_zscore", "lcn", "grey_world"])
def test_numpy_code_takes_grey_images(key, tmp_path, monkeypatch):
    grey = [nv.image_of(load_sample(name).pixels[::4, ::4, :1]) for name in ("coffee", "rocket")]
    fitted = nv.METHODS[key]().fit(nv.scan(grey, mean_image=8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    done = scope["normalize"](grey[0].pixels)
    np.testing.assert_allclose(done, fitted(grey[0].pixels), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("key", ["dataset_mean_image", "dataset_pixel_zscore", "dataset_zscore"])
def test_code_fitted_on_grey_does_colour_as_the_method_does(key, tmp_path, monkeypatch):
    grey = [nv.image_of(load_sample(name).pixels[::4, ::4, :1]) for name in ("coffee", "rocket")]
    fitted = nv.METHODS[key]().fit(nv.scan(grey, mean_image=8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    pixels = load_sample("coffee").pixels
    np.testing.assert_allclose(scope["normalize"](pixels), fitted(pixels), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("target", ["numpy", "torchvision", "albumentations"])
def test_mean_and_std_have_one_number_a_channel_each(target):
    # One gain for all channels and a bias for each: libraries want lists of one length.
    code = fit("dataset_mean").code(target)
    scope: dict = {}
    exec("\n".join(line for line in code.splitlines() if line[:4] in ("MEAN", "STD ")), scope)
    assert len(scope["MEAN"]) == len(scope["STD"]) == 3


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("key", nv.METHODS)
def test_all_code_is_python_that_defines_normalize(key, target):
    fitted = fit(key)
    text = fitted.code(target)
    names = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {name.id for name in node.targets if isinstance(name, ast.Name)}
    assert "normalize" in names
    assert max(map(len, text.splitlines())) <= 100 and text.endswith("\n")


def test_unknown_targets_are_refused_with_those_there_are():
    with pytest.raises(ParameterError, match="'jax'; there is numpy, torchvision"):
        nv.METHODS["scale_01"]().fit().code("jax")


def test_bgr_preset_says_how_to_turn_the_channels():
    assert "takes BGR" in nv.METHODS["published"](preset="vgg").fit().code("torchvision")
    assert "BGR" not in nv.METHODS["published"](preset="imagenet").fit().code("torchvision")


def test_the_code_turns_the_channels_where_the_method_does():
    fitted = nv.METHODS["published"](preset="detectron2_std", order="network").fit()
    pixels = load_sample("coffee").pixels
    done = (pixels[..., ::-1] - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]
    np.testing.assert_allclose(fitted(pixels), done, atol=1e-5)
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    np.testing.assert_allclose(scope["normalize"](pixels), done, atol=1e-5)
    for target in TARGETS:
        assert "The result is B, G, R" in fitted.code(target)
    plain = nv.METHODS["published"](preset="imagenet", order="network").fit()
    rgb = nv.METHODS["published"](preset="imagenet").fit()
    assert plain.code("keras") == rgb.code("keras") and plain.affine(
        nv.image_statistics(load_sample("coffee"))
    )
    np.testing.assert_allclose(fitted.inverse(done), pixels, atol=1e-9)


def test_constants_stand_in_the_library_code():
    code = nv.METHODS["published"](preset="imagenet").fit().code("torchvision")
    assert "MEAN = [0.485, 0.456, 0.406]" in code and "STD = [0.229, 0.224, 0.225]" in code
