"""Constants as text: run as they stand, each gives (x − mean) / std of the set that they are of."""

from __future__ import annotations

import json

import numpy as np
import pytest

import normviz as nv
from normviz.export.constants import CONSTANTS_FOR, constants_text
from normviz.images import image_of
from normviz.imports import read_normalization
from normviz.statistics import scan
from tests.methods.test_code_in_libraries import torchvision_runs

RNG = np.random.default_rng(3)
COLOUR = [
    image_of((RNG.random((13, 17, 3)) * [250, 140, 60] + [5, 20, 100]).astype(np.uint8))
    for _ in range(3)
]
GREY = [image_of(RNG.integers(30, 90, (11, 7, 1), dtype=np.uint8)) for _ in range(2)]
SETS = {"colour": COLOUR, "grey": GREY}


def run(text: str, name: str = "normalize"):
    found: dict = {}
    exec(text, found)
    return found[name]


def expected(images, pixels):
    """(x − mean) / std from the pixels themselves, ``(H, W, C)``."""
    values = np.concatenate([image.pixels.reshape(-1, image.channels) for image in images])
    return (pixels - values.mean(axis=0)) / values.std(axis=0)


@pytest.mark.parametrize("kind", SETS)
def test_torchvision(kind):
    torchvision_runs()
    torch = pytest.importorskip("torch")
    images = SETS[kind]
    normalize = run(constants_text(nv.scan(images), "torchvision"))
    pixels = images[0].pixels
    found = normalize(torch.from_numpy(pixels.transpose(2, 0, 1).copy())).numpy()
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected(images, pixels), atol=3e-5)


@pytest.mark.parametrize("kind", SETS)
def test_keras(kind):
    pytest.importorskip("keras")
    images = SETS[kind]
    normalize = run(constants_text(nv.scan(images), "keras"))
    pixels = images[0].pixels
    found = np.asarray(normalize(pixels[None].astype(np.float32)))[0]
    np.testing.assert_allclose(found, expected(images, pixels), atol=3e-5)


@pytest.mark.parametrize("kind", SETS)
def test_albumentations(kind):
    pytest.importorskip("albumentations")
    images = SETS[kind]
    normalize = run(constants_text(nv.scan(images), "albumentations"))
    pixels = images[0].pixels
    found = normalize(pixels).reshape(pixels.shape)
    np.testing.assert_allclose(found, expected(images, pixels), atol=3e-5)


def test_timm():
    timm = pytest.importorskip("timm")
    text = constants_text(nv.scan(COLOUR), "timm")
    config = run(text, "config")
    assert config["mean"] == pytest.approx(tuple(nv.scan(COLOUR).fraction_mean), rel=1e-5)
    assert config["std"] == pytest.approx(tuple(nv.scan(COLOUR).fraction_std), rel=1e-5)
    assert timm is not None


@pytest.mark.parametrize("kind", SETS)
def test_caffe_is_blue_first_on_bytes_and_divides_by_nothing(kind):
    images = SETS[kind]
    text = constants_text(nv.scan(images), "caffe")
    pixels = images[0].pixels
    values = np.concatenate([image.pixels.reshape(-1, image.channels) for image in images])
    found = run(text)(pixels)
    wanted = (pixels - values.mean(axis=0))[..., ::-1].transpose(2, 0, 1)
    assert found.dtype == np.float32 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=5e-4)
    lines = [line for line in text.splitlines() if "transform_param" in line]
    inside = lines[0].split("{")[1].split("}")[0].split()
    assert [float(v) for v in inside[1::2]] == pytest.approx(values.mean(axis=0)[::-1], rel=1e-5)


@pytest.mark.parametrize("target", ["torchvision", "albumentations"])
def test_our_own_reader_takes_the_text_for_the_same_constants(target):
    statistics = nv.scan(COLOUR)
    text = constants_text(statistics, target)
    line = {
        "torchvision": "v2.Normalize(mean=MEAN, std=STD)",
        "albumentations": "A.Normalize(mean=MEAN, std=STD, max_pixel_value=255.0)",
    }[target]
    named: dict = {}
    for one in text.splitlines():
        if one.startswith(("MEAN", "STD")):
            exec(one, named)
    said = line.replace("MEAN", str(named["MEAN"])).replace("STD", str(named["STD"]))
    found = read_normalization("constants", said).numbers
    np.testing.assert_allclose(found.fraction_mean, statistics.fraction_mean, rtol=1e-5)
    np.testing.assert_allclose(found.fraction_std, statistics.fraction_std, rtol=1e-5)


def test_json_holds_every_std_at_full_precision():
    statistics = nv.scan(COLOUR)
    record = json.loads(constants_text(statistics, "json", "three pictures"))
    assert record["mean"] == statistics.mean.tolist()
    assert record["std"]["pooled"] == statistics.std.pooled.tolist()
    assert record["std"]["rms_of_images"] == statistics.std.rms_of_images.tolist()
    assert record["std"]["mean_of_images"] == statistics.std.mean_of_images.tolist()
    assert (record["exact"], record["images"], record["order"]) == (True, 3, "channels R, G, B")


@pytest.mark.parametrize("target", CONSTANTS_FOR)
def test_an_estimate_says_that_it_is_one_and_how_far_off_it_may_be(target):
    many = [image_of(RNG.integers(0, 250, (4, 5, 3), dtype=np.uint8)) for _ in range(40)]
    half = list(scan(many, seed=1, every=0, images_a_part=10))[1]
    text = constants_text(half, target)
    if target == "json":
        record = json.loads(text)
        assert record["exact"] is False and record["estimate"]["count"] == 20
        assert record["estimate"]["half_width_mean"] == pytest.approx(half.estimate.mean * 255)
    else:
        assert "An estimate from 20 images" in text and "Exact" not in text
        assert f"±{half.estimate.mean.max():.3g}" in text


def test_a_channel_of_one_value_is_divided_by_one():
    flat = image_of(np.full((4, 4, 3), 51, np.uint8))
    text = constants_text(nv.scan([flat]), "albumentations")
    assert "STD = (1, 1, 1)" in text and "it is divided by 1" in text
