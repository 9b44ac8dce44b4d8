"""Caffe's mean images, encoded by the protobuf library, against what Caffe does with them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.errors import NotFittedError, ReadError
from normviz.imports import read_normalization
from normviz.pipeline import remarks
from tests.imports.making import binaryproto, blob_class, mean_image, npy

PHOTO = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("double", [True, False])
def test_a_binaryproto_gives_what_caffe_subtracts(legacy, packed, double):
    caffe = mean_image()
    data = binaryproto(caffe, legacy=legacy, packed=packed, double=double)
    found = read_normalization("mean.binaryproto", data)
    assert found.numbers.channels == 3 and found.problems == ()
    done = nv.METHODS["dataset_mean_image"]().fit(found.numbers)(PHOTO)
    # Caffe: blob = BGR of the image − mean; turned back to RGB here.
    blob = PHOTO[..., ::-1].transpose(2, 0, 1).astype(np.float64) - caffe
    np.testing.assert_allclose(done, blob.transpose(1, 2, 0)[..., ::-1], atol=2e-5)


def test_an_npy_of_channels_first_is_the_same_as_the_binaryproto():
    caffe = mean_image()
    one = read_normalization("mean.binaryproto", binaryproto(caffe)).numbers
    for array in (caffe, caffe[np.newaxis], caffe.astype(np.float64), np.asfortranarray(caffe)):
        other = read_normalization("ilsvrc_2012_mean.npy", npy(array)).numbers
        np.testing.assert_allclose(one.fraction_mean_image, other.fraction_mean_image, atol=1e-9)


def test_order_and_range_are_said_and_can_be_said_otherwise():
    caffe = mean_image()
    as_bgr = read_normalization("m.npy", npy(caffe))
    assert "taken as BGR (as Caffe stores it: channels come first) on 0–255" in as_bgr.words
    assert "Here it is RGB on 0–1" in as_bgr.words
    as_rgb = read_normalization("m.npy", npy(caffe), order="RGB")
    np.testing.assert_array_equal(
        as_rgb.numbers.fraction_mean_image, as_bgr.numbers.fraction_mean_image[..., ::-1]
    )
    assert "may be BGR" in as_rgb.problems[0]
    assert read_normalization("m.binaryproto", binaryproto(caffe[::-1])).problems != ()


def test_channels_last_is_rgb_and_fractions_are_fractions():
    rgb = (mean_image()[::-1].transpose(1, 2, 0) / 255).astype(np.float64)
    found = read_normalization("m.npy", npy(rgb))
    np.testing.assert_array_equal(found.numbers.fraction_mean_image, rgb)
    assert "taken as RGB (since channels come last) on 0–1" in found.words
    np.testing.assert_allclose(found.numbers.fraction_std, 1)


def test_grey_and_one_colour():
    grey = read_normalization("m.npy", npy(np.full((4, 6), 100.0)))
    assert grey.numbers.channels == 1 and "grey on 0–255" in grey.words
    assert nv.METHODS["dataset_mean_image"]().fit(grey.numbers)(PHOTO)[0, 0, 0] == pytest.approx(
        float(PHOTO[0, 0, 0]) - 100
    )
    colour = read_normalization("m.npy", npy(np.array([104.0, 117.0, 123.0])))
    assert colour.words.startswith("One mean colour")
    np.testing.assert_allclose(colour.numbers.fraction_mean * 255, [123, 117, 104])


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_a_mean_image_is_a_pipeline_in_caffes_order(size):
    caffe = mean_image(*size)
    found = read_normalization("mean.binaryproto", binaryproto(caffe))
    picture = np.random.default_rng(2).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    # convert_imageset: OpenCV reads BGR and resizes bytes; then DataTransformer subtracts.
    blob = cv2.resize(picture[..., ::-1], size[::-1]).astype(np.float64) - caffe.transpose(1, 2, 0)
    done = found.pipeline.fit(found.numbers)(nv.image_of(picture))
    np.testing.assert_allclose(done, blob, atol=3e-5)
    shown = "16 px" if size[0] == size[1] else "12×20 px"
    assert f"both sides become {shown}" in found.words
    assert "then RGB turns to BGR and the mean image is subtracted" in found.words
    assert remarks(found.pipeline) == ()
    grey = found.pipeline.fit(found.numbers)(nv.image_of(picture[..., :1]))
    assert grey.shape == (*size, 3)


def test_the_pipeline_follows_the_files_order_range_and_channels():
    rgb = mean_image(16, 16)[::-1].transpose(1, 2, 0) / 255
    found = read_normalization("m.npy", npy(rgb))
    picture = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    done = found.pipeline.fit(found.numbers)(nv.image_of(picture))
    np.testing.assert_allclose(done, picture / 255 - rgb, atol=2e-7)
    assert "then the mean image is subtracted" in found.words
    grey = read_normalization("m.npy", npy(np.full((4, 6), 100.0)))
    done = grey.pipeline.fit(grey.numbers)(nv.image_of(np.full((4, 6), 130, np.uint8)))
    np.testing.assert_allclose(done, np.full((4, 6, 1), 30.0), atol=2e-5)
    colour = read_normalization("m.npy", npy(np.array([104.0, 117.0, 123.0])))
    assert not colour.pipeline.fits_on
    np.testing.assert_allclose(
        colour.pipeline.fit()(nv.image_of(picture)),
        picture[..., ::-1] - np.array([104.0, 117.0, 123.0]),
        atol=2e-5,
    )


def test_the_dataset_methods_take_it():
    caffe = mean_image()
    numbers = read_normalization("mean.binaryproto", binaryproto(caffe)).numbers
    colour = caffe.mean(axis=(1, 2), dtype=np.float64)[::-1]
    mean = nv.METHODS["dataset_mean"]().fit(numbers)
    np.testing.assert_allclose(mean(PHOTO), PHOTO - colour, atol=2e-5)
    # Without a std in the file, it is 1 on 0–255: the same difference.
    score = nv.METHODS["dataset_zscore"]().fit(numbers)
    np.testing.assert_allclose(score(PHOTO), PHOTO - colour, atol=2e-5)
    with pytest.raises(NotFittedError, match="nothing of the spread at each position"):
        nv.METHODS["dataset_pixel_zscore"]().fit(numbers)
    with pytest.raises(ValueError, match="read-only"):
        numbers.fraction_mean_image[0] = 0


def test_crop_cuts_what_caffe_cuts():
    """Caffe crops image and mean image at (256 − 227) / 2 = 14; a cropped image meets that part."""
    caffe = mean_image(256, 256)
    whole = np.random.default_rng(3).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    numbers = read_normalization("mean.binaryproto", binaryproto(caffe)).numbers
    crop = nv.METHODS["dataset_mean_image"](placement="crop").fit(numbers)
    blob = (whole[..., ::-1].transpose(2, 0, 1) - caffe.astype(np.float64))[:, 14:241, 14:241]
    done = crop(whole[14:241, 14:241])
    np.testing.assert_allclose(done, blob.transpose(1, 2, 0)[..., ::-1], atol=3e-5)
    resized = nv.METHODS["dataset_mean_image"]().fit(numbers)(whole[14:241, 14:241])
    assert np.abs(resized - done).max() > 1


def test_resize_averages_and_crop_does_not_by_hand():
    mean = np.arange(16.0).reshape(4, 4)
    numbers = read_normalization("m.npy", npy(mean)).numbers
    black = np.zeros((2, 2, 1), np.uint8)
    resized = nv.METHODS["dataset_mean_image"]().fit(numbers)(black)[..., 0]
    np.testing.assert_allclose(-resized, [[2.5, 4.5], [10.5, 12.5]], atol=1e-5)
    cropped = nv.METHODS["dataset_mean_image"](placement="crop").fit(numbers)(black)[..., 0]
    np.testing.assert_allclose(-cropped, [[5, 6], [9, 10]], atol=1e-5)
    # An odd margin leaves the smaller half above and left, as Caffe's integer division does.
    odd = nv.METHODS["dataset_mean_image"](placement="crop").fit(numbers)(black[:1, :1])[..., 0]
    np.testing.assert_allclose(-odd, [[5]], atol=1e-5)


def test_a_crop_for_a_larger_image_is_enlarged_in_proportion_first():
    mean = np.repeat(np.array([[10.0, 20.0]]), 2, axis=0)
    numbers = read_normalization("m.npy", npy(mean)).numbers
    fitted = nv.METHODS["dataset_mean_image"](placement="crop").fit(numbers)
    wide = -fitted(np.zeros((2, 4, 1), np.uint8))[..., 0]
    # Enlarged to 4×4 and cut to its two middle rows: linear between the two columns.
    np.testing.assert_allclose(wide, [[10, 12.5, 17.5, 20]] * 2, atol=1e-5)


@pytest.mark.parametrize("size", [(5, 7), (12, 12), (12, 30), (40, 9), (1, 1)])
@pytest.mark.parametrize("key", ["dataset_mean_image", "dataset_pixel_zscore"])
def test_code_for_the_crop_does_the_same(key, size, tmp_path, monkeypatch):
    stats = nv.scan([nv.image_of(PHOTO), nv.image_of(PHOTO[::-1])], mean_image=12)
    fitted = nv.METHODS[key](placement="crop").fit(stats)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    image = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
    ours = fitted(image)
    np.testing.assert_allclose(scope["normalize"](image), ours, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(fitted.inverse(ours), image, atol=1e-3)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 5, 6)), r"shape \(4, 5, 6\) is not that of a mean image"),
        (np.zeros((2, 3, 5, 5)), "is not that of a mean image"),
        (np.zeros(5), "is not that of a mean image"),
        (np.full((3, 4, 4), 300.0), "run from 300 to 300"),
        (np.full((3, 4, 4), -3.0), "run from -3 to -3"),
        (np.full((3, 4, 4), np.nan), "not finite"),
        (np.zeros((3, 4, 4), bool), "true and false"),
        (np.zeros((1, 1, 5000)), "larger than 4096 pixels a side"),
        (np.array([["a"]]), "which are not pixels"),
    ],
)
def test_other_arrays_are_refused_with_a_sentence(array, said):
    with pytest.raises(ReadError, match=said):
        read_normalization("m.npy", npy(array))


def test_a_pickle_is_never_opened():
    with pytest.raises(ReadError, match="Python objects"):
        read_normalization("m.npy", npy(np.array([{}], dtype=object), allow_pickle=True))


def _blob(**fields) -> bytes:
    blob = blob_class()()
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(blob, name).extend(value)
        else:
            setattr(blob, name, value)
    return blob.SerializeToString()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00\x01\x02", "is no BlobProto.*number 0"),
        (b"\x2a\xff\xff\xff\xff\x0f" + b"\x00" * 8, "longer than the file"),
        (b"\x2a", "ends within a number"),
        (b"\xff" * 40, "longer than 64 bits"),
        (b"\x0b\x0c", "unknown type 3"),
        (_blob(num=1, channels=3, height=2, width=2, data=[1.0] * 11), "1×3×2×2 and holds 11"),
        (_blob(num=1, channels=3, height=10**9, width=10**9, data=[1.0]), "holds 1 numbers"),
        (_blob(num=2, channels=3, height=1, width=1, data=[1.0] * 6), "not that of one image"),
        (_blob(num=1, channels=2, height=1, width=1, data=[1.0] * 2), "not that of one image"),
        (_blob(data=[1.0] * 12), "no shape"),
        (_blob(num=1, channels=3, height=1, width=1), "holds 0 numbers"),
        (b"\x2a\x03abc" + _blob(num=1, channels=1, height=1, width=1), "middle of one"),
        (_blob(num=1, channels=1, height=1, width=1, data=[-5.0]), "from -5 to -5"),
        (_blob(num=1, channels=1, height=1, width=1, data=[float("nan")]), "not finite"),
        (b"\x3a\x02\x08\x01" * 2, "longer than that of an image"),
        (b"\x3a\xc8\x01" + b"\x08\x01" * 100, "longer than that of an image"),
    ],
)
def test_damaged_binaryprotos_are_refused_with_a_sentence(data, said):
    with pytest.raises(ReadError, match=said):
        read_normalization("mean.binaryproto", data)
