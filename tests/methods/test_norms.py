"""Global contrast normalization and unit norms against their sources, by hand and by library."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.samples import load_sample

COFFEE = load_sample("coffee").pixels


def photo(height=9, width=7, channels=3, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 230, (height, width, channels), dtype=np.uint8)


def pylearn2(row: list[float], scale=1.0, use_std=False, sqrt_bias=0.0, min_divisor=1e-8):
    """global_contrast_normalize for one example, summed one by one from its description."""
    mean = sum(row) / len(row)
    centred = [value - mean for value in row]
    contrast = sum(value * value for value in centred)
    if use_std:
        contrast /= len(row) - 1
    divisor = (sqrt_bias + contrast) ** 0.5 / scale
    if divisor < min_divisor:
        divisor = 1.0
    return [value / divisor for value in centred]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("input", [255, 1])
@pytest.mark.parametrize("scale", [1.0, 55.0])
@pytest.mark.parametrize("bias", [0.0, 10.0])
@pytest.mark.parametrize("contrast", ["std", "norm"])
def test_gcn_is_pylearn2s(contrast, bias, scale, input, dtype):
    pixels = photo()
    x = pixels * (input / 255)
    expected = pylearn2(x.ravel().tolist(), scale, contrast == "std", bias)
    method = nv.METHODS["gcn"](contrast=contrast, bias=bias, scale=scale, input=input).fit()
    factor = {np.uint8: 1.0, np.uint16: 257.0, np.float32: 1 / 255}[dtype]
    done = method((pixels * factor).astype(dtype))
    np.testing.assert_allclose(done.ravel(), expected, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(method.reference(pixels).ravel(), expected, rtol=1e-9, atol=1e-12)


def test_the_defaults_are_those_of_coates_2011():
    # bsxfun(@rdivide, bsxfun(@minus, patches, mean(patches,2)), sqrt(var(patches,[],2)+10))
    patch = photo(6, 6)
    x = patch.astype(float)
    expected = (x - x.mean()) / np.sqrt(x.var(ddof=1) + 10)
    np.testing.assert_allclose(nv.METHODS["gcn"]().fit().reference(patch), expected, rtol=1e-12)


def test_gcn_leaves_the_noise_of_flat_images_small():
    faint = np.full((10, 10, 3), 100, np.uint8)
    faint[::2] = 101  # std 0.5 on 0–255: variance 0.25 against a bias of 10
    assert nv.METHODS["gcn"]().fit()(faint).std() == pytest.approx(0.5 / np.sqrt(10.25), rel=1e-2)
    assert nv.METHODS["gcn"](bias=0.0).fit()(faint).std() == pytest.approx(1, rel=1e-2)


def test_gcn_divides_by_nothing_below_its_smallest_divisor():
    flat = np.full((4, 4, 3), 77, np.uint8)
    for contrast in ("std", "norm"):
        for input in (255, 1):
            method = nv.METHODS["gcn"](contrast=contrast, bias=0.0, input=input).fit()
            assert np.abs(method.reference(flat)).max() < 1e-12
            one = method(np.array([[[9]]], np.uint8))
            assert one.item() == 0  # pylearn2's variance of one value is NaN
    # A contrast of 5e-9 is below 1e-8 and stays as it is; at twenty times the scale it is not.
    faint = np.zeros((1, 4, 1))
    faint[0, 0] = 5e-9
    away = faint - faint.mean()
    kept = nv.METHODS["gcn"](contrast="norm", bias=0.0, input=1).fit()
    np.testing.assert_allclose(kept.reference(faint), away, rtol=1e-6)
    divided = nv.METHODS["gcn"](contrast="norm", bias=0.0, input=1, scale=0.1).fit()
    length = np.sqrt((away**2).sum())
    np.testing.assert_allclose(divided.reference(faint), away * 0.1 / length, rtol=1e-6)


def test_without_a_bias_gcn_promises_more():
    assert nv.METHODS["gcn"].about.invariances == {"offset"}
    loose = nv.METHODS["gcn"](bias=0.0)
    assert loose.about.invariances == {"gain", "offset"}
    u = photo() / 255
    base = loose.fit().reference(u, (0, 4))
    np.testing.assert_allclose(loose.fit().reference(1.9 * u + 0.7, (0, 4)), base, atol=1e-9)


def test_tensorflow_divides_by_the_std_with_n():
    x = photo(32, 32)
    ours = nv.METHODS["gcn"](bias=0.0).fit().reference(x)
    theirs = nv.METHODS["image_standardize"]().fit().reference(x)
    np.testing.assert_allclose(ours / theirs, np.sqrt(1 - 1 / 3072), rtol=1e-9)
    assert np.sqrt(1 - 1 / 3072) == pytest.approx(0.99984, abs=5e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_unit_norms_by_hand(dtype):
    # 2² + 3² + 6² = 7²
    pixels = np.array([[[20, 30, 60]]])
    factor = {np.uint8: 1.0, np.uint16: 257.0, np.float32: 1 / 255}[dtype]
    given = (pixels * factor).astype(dtype)
    np.testing.assert_allclose(
        nv.METHODS["unit_l2"]().fit()(given), [[[2 / 7, 3 / 7, 6 / 7]]], rtol=1e-6
    )
    np.testing.assert_allclose(
        nv.METHODS["unit_max"]().fit()(given), [[[1 / 3, 1 / 2, 1]]], rtol=1e-6
    )


def test_dot_products_of_unit_images_are_cosines():
    a, b = photo(seed=1), photo(seed=2)
    unit = nv.METHODS["unit_l2"]().fit()
    x, y = a.astype(float).ravel(), b.astype(float).ravel()
    cosine = x @ y / np.sqrt((x @ x) * (y @ y))
    assert unit.reference(a).ravel() @ unit.reference(b).ravel() == pytest.approx(cosine, rel=1e-12)
    assert unit.reference(a).ravel() @ unit.reference(a).ravel() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("key", ["unit_l2", "unit_max"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_black_stays_black(key, dtype):
    black = np.zeros((3, 4, 3), dtype)
    method = nv.METHODS[key]().fit()
    assert not method(black).any() and not method.reference(black).any()


def test_flat_becomes_one_over_the_root_of_the_size():
    flat = np.full((4, 5, 3), 90, np.uint8)
    np.testing.assert_allclose(nv.METHODS["unit_l2"]().fit()(flat), 60**-0.5, rtol=1e-6)
    np.testing.assert_allclose(nv.METHODS["unit_max"]().fit()(flat), 1, rtol=1e-6)


@pytest.mark.parametrize(("key", "norm"), [("unit_l2", cv2.NORM_L2), ("unit_max", cv2.NORM_INF)])
def test_opencv_normalize(key, norm):
    theirs = cv2.normalize(COFFEE, None, 1, 0, norm, dtype=cv2.CV_32F)
    np.testing.assert_allclose(nv.METHODS[key]().fit()(COFFEE), theirs, rtol=1e-6)


def test_scikit_learn_normalize_of_one_row():
    preprocessing = pytest.importorskip(
        "sklearn.preprocessing", reason="scikit-learn is not installed"
    )
    for key, norm in (("unit_l2", "l2"), ("unit_max", "max")):
        for pixels in (COFFEE, np.zeros_like(COFFEE)):
            row = preprocessing.normalize(pixels.reshape(1, -1).astype(float), norm)
            ours = nv.METHODS[key]().fit().reference(pixels)
            np.testing.assert_allclose(ours.ravel(), row[0], rtol=1e-12)


def test_pytorch_normalizes_each_pixel_by_its_channels_by_default():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tensor = torch.from_numpy(COFFEE.transpose(2, 0, 1).copy()).double()[None]
    each = torch.nn.functional.normalize(tensor)
    np.testing.assert_allclose((each**2).sum(dim=1)[tensor.sum(dim=1) > 0], 1, rtol=1e-9)
    whole = torch.nn.functional.normalize(tensor, dim=(1, 2, 3))[0].numpy().transpose(1, 2, 0)
    ours = nv.METHODS["unit_l2"]().fit().reference(COFFEE)
    np.testing.assert_allclose(ours, whole, rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"contrast": "norm", "bias": 0.0, "scale": 55.0}, {"input": 1}, {"bias": 0.0}],
    ids=str,
)
def test_numpy_code_of_every_choice(parameters, channels):
    fitted = nv.METHODS["gcn"](**parameters).fit()
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    for pixels in (photo(), np.full((3, 3, 3), 8, np.uint8), photo(1, 1)[:, :, :1]):
        pixels = pixels[:, :, :channels]
        done = scope["normalize"](pixels)
        np.testing.assert_allclose(done, fitted(pixels), rtol=1e-5, atol=1e-6)
