"""Local methods against slow loops from their formulas, hand-worked numbers and other libraries."""

from __future__ import annotations

import itertools
import os

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.errors import ParameterError
from normviz.samples import load_sample

os.environ.setdefault("KERAS_BACKEND", "torch")

WINDOWED = ("lcn_subtractive", "lcn_divisive", "lcn", "divisive")


def photo(height=12, width=15, channels=3, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(5, 240, (height, width, channels), dtype=np.uint8)


def mirrored(i: int, n: int) -> int:
    """The pixel that stands for one outside of the image: the edge itself is not repeated."""
    while n > 1 and not 0 <= i < n:
        i = -i if i < 0 else 2 * (n - 1) - i
    return i if n > 1 else 0


def neighbours(x: np.ndarray, h: int, w: int, half: int):
    """(row offset, column offset, values of all channels) for a square window around a pixel."""
    for p, q in itertools.product(range(-half, half + 1), repeat=2):
        yield p, q, x[mirrored(h + p, x.shape[0]), mirrored(w + q, x.shape[1])]


def gaussian_pool(x: np.ndarray, size: int, over: str) -> np.ndarray:
    """Σ w∗x by loops, for all channels together or for each."""
    half, sigma = size // 2, size / 4
    out = np.empty_like(x)
    for h, w in np.ndindex(x.shape[:2]):
        total, weights = np.zeros(x.shape[2]), 0.0
        for p, q, values in neighbours(x, h, w, half):
            weight = np.exp(-(p * p + q * q) / (2 * sigma**2))
            total += weight * values
            weights += weight
        mean = total / weights
        out[h, w] = mean.mean() if over == "across" else mean
    return out


def divided(v: np.ndarray, size: int, over: str) -> np.ndarray:
    sigma = np.sqrt(gaussian_pool(v * v, size, over))
    return v / np.maximum(sigma.mean(axis=(0, 1)), sigma)


# The last image is smaller than the window: its border is mirrored more than once.
@pytest.mark.parametrize(("window", "size"), [(3, (12, 15)), (9, (12, 15)), (9, (3, 2))])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("over", ["across", "each"])
def test_windowed_methods_are_their_formulas(window, size, channels, over):
    pixels = photo(*size, channels)
    x = pixels / 255
    chosen = {"window": window, "over": over}

    def ours(key, **more):
        fitted = nv.METHODS[key](**chosen, **more).fit()
        np.testing.assert_allclose(fitted(pixels), fitted.reference(pixels), rtol=1e-5, atol=1e-5)
        return fitted.reference(pixels)

    v = x - gaussian_pool(x, window, over)
    np.testing.assert_allclose(ours("lcn_subtractive"), v, atol=1e-12)
    np.testing.assert_allclose(ours("lcn_divisive"), divided(x, window, over), rtol=1e-11)
    np.testing.assert_allclose(ours("lcn"), divided(v, window, over), rtol=1e-9, atol=1e-11)
    for n, sigma in ((2.0, 0.1), (3.5, 0.4)):
        pool = gaussian_pool(x**n, window, over)
        expected = x**n / (sigma**n + pool)
        np.testing.assert_allclose(ours("divisive", n=n, sigma=sigma), expected, rtol=1e-11)


@pytest.mark.parametrize(("window", "size"), [(3, (12, 15)), (9, (12, 15)), (9, (3, 2))])
@pytest.mark.parametrize("channels", [1, 3])
def test_local_standardize_is_mean_and_std_of_the_window(window, size, channels):
    pixels = photo(*size, channels)
    # In part flat, in part one level apart, which is below the floor
    pixels[: size[0] // 2] = pixels[0, 0]
    pixels[: size[0] // 2 : 3, ::3] += 1
    x, floor = pixels / 255, 0.01
    expected, bites = np.empty_like(x), False
    for h, w in np.ndindex(x.shape[:2]):
        values = np.array([value for _, _, value in neighbours(x, h, w, window // 2)])
        std = values.std(axis=0)
        bites |= bool(((std > 0) & (std < floor)).any())
        expected[h, w] = (x[h, w] - values.mean(axis=0)) / np.maximum(std, floor)
    assert bites or window > min(size)
    fitted = nv.METHODS["local_standardize"](window=window, epsilon=floor).fit()
    np.testing.assert_allclose(fitted.reference(pixels), expected, atol=1e-10)
    np.testing.assert_allclose(fitted(pixels), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fitted(pixels.astype(np.uint16) * 257), expected, atol=1e-5)


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("scale", [1, 255])
def test_lrn_is_the_formula_of_alexnet(n, scale):
    pixels = photo()
    a = pixels / 255 * scale
    k, alpha, beta = 1.5, 3e-4, 0.6
    expected = np.empty_like(a)
    for h, w, i in np.ndindex(a.shape):
        first, last = max(0, i - n // 2), min(a.shape[2] - 1, i + n // 2)
        total = sum(a[h, w, j] ** 2 for j in range(first, last + 1))
        expected[h, w, i] = a[h, w, i] / (k + alpha * total) ** beta
    fitted = nv.METHODS["lrn"](n=n, k=k, alpha=alpha, beta=beta, scale=scale).fit()
    np.testing.assert_allclose(fitted.reference(pixels), expected, rtol=1e-12)
    np.testing.assert_allclose(fitted(pixels), expected, rtol=2e-6)


def test_lrn_by_hand():
    default = nv.METHODS["lrn"]()
    assert (default.n, default.k, default.alpha, default.beta) == (5, 2.0, 1e-4, 0.75)
    # 2 + 1e-4 · (30² + 40²) = 2.25; 2.25^0.75 = 1.837117
    done = default.fit().reference(np.array([[[0, 30, 40]]], np.uint8))[0, 0]
    np.testing.assert_allclose(done, [0, 30 / 1.837117, 40 / 1.837117], rtol=1e-6)
    grey = default.fit().reference(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2))
    assert grey[0, :, 0].argmax() == 115 and grey.max() == pytest.approx(30.1, abs=0.05)
    assert "rises to 30.1 at 115" in default.about.flat


@pytest.mark.parametrize("key", ["lcn_divisive", "lcn", "lcn_subtractive"])
def test_each_channel_alone_sees_no_gain_or_offset_of_a_channel(key):
    method = nv.METHODS[key](over="each").fit()
    together = nv.METHODS[key]().fit()
    u = photo() / 255 / 4
    gain, offset = np.array([0.5, 1.0, 3.0]), np.array([0.0, 0.1, 0.2])
    if key != "lcn_divisive":
        base = method.reference(u)
        np.testing.assert_allclose(method.reference(u + offset), base, atol=1e-9)
        assert np.abs(together.reference(u + offset) - together.reference(u)).max() > 0.05
    if key != "lcn_subtractive":
        base = method.reference(u)
        np.testing.assert_allclose(method.reference(u * gain), base, rtol=1e-9, atol=1e-9)
        assert np.abs(together.reference(u * gain) - together.reference(u)).max() > 0.05


@pytest.mark.parametrize("key", WINDOWED)
@pytest.mark.parametrize("parameters", [{}, {"window": 63}])
def test_each_channel_alone_is_the_method_on_grey_images(key, parameters):
    pixels = photo()
    each = nv.METHODS[key](over="each", **parameters).fit()
    grey = nv.METHODS[key](**parameters).fit()
    planes = [grey.reference(pixels[:, :, c : c + 1]) for c in range(3)]
    np.testing.assert_allclose(each.reference(pixels), np.concatenate(planes, axis=2), atol=1e-9)


@pytest.mark.parametrize("window", [3, 9, 63])
def test_a_flat_channel_has_no_contrast_whatever_its_colour(window):
    rng = np.random.default_rng(window)
    for colour in rng.integers(0, 256, (20, 3), dtype=np.uint8):
        for dtype in (np.uint8, np.uint16, np.float32):
            scaled = colour / 255 if dtype == np.float32 else colour
            flat = np.full((20, 31, 3), scaled, dtype)
            for key in ("lcn_subtractive", "lcn", "local_standardize"):
                over = {} if key == "local_standardize" else {"over": "each"}
                fitted = nv.METHODS[key](window=window, **over).fit()
                np.testing.assert_allclose(fitted(flat), 0, atol=1e-6, err_msg=f"{key} {colour}")
    # … also beside channels that do have contrast
    some = photo(20, 31)
    some[:, :, 1] = 173
    for key in ("lcn_subtractive", "lcn"):
        done = nv.METHODS[key](window=window, over="each").fit()(some)
        np.testing.assert_allclose(done[:, :, 1], 0, atol=1e-6)
        assert np.abs(done[:, :, ::2]).max() > 0.1


def test_flat_images_become_what_is_said_of_them():
    colour = np.full((6, 8, 3), (20, 60, 100), np.uint8)
    u = np.array([20, 60, 100]) / 255

    def done(key, pixels=colour, **parameters):
        return nv.METHODS[key](**parameters).fit()(pixels)

    np.testing.assert_allclose(
        done("lcn_divisive"), np.broadcast_to(u, (6, 8, 3)) / np.sqrt((u**2).mean()), rtol=1e-6
    )
    np.testing.assert_allclose(done("lcn_divisive", over="each"), 1, rtol=1e-6)
    response = u**2 / (0.01 + u**2)
    np.testing.assert_allclose(done("divisive", over="each")[3, 4], response, rtol=1e-6)
    np.testing.assert_allclose(done("divisive")[3, 4], u**2 / (0.01 + (u**2).mean()), rtol=1e-6)
    black = np.zeros_like(colour)
    for key in (*WINDOWED, "local_standardize", "lrn"):
        assert not done(key, black).any(), key
    # Floats whose range starts elsewhere are rounded on their way to fractions.
    low = np.full((6, 8, 3), -0.75, np.float32)
    assert np.abs(nv.METHODS["lcn_divisive"]().fit()(low, (-0.75, 0.3))).max() < 1e-6


def test_negative_rounding_has_no_response():
    # float32 may undershoot the declared range a little; a power of it would be NaN.
    pixels = np.array([[[-3e-8], [0.5]]], np.float32)
    assert np.isfinite(nv.METHODS["divisive"](n=1.5).fit()(pixels)).all()


def test_bytes_of_nearly_flat_windows_keep_their_digits():
    pixels = np.full((41, 50, 3), 250, np.uint8)
    pixels[20, 25] = 251  # one level in a window of 225: s = 1/15 level
    fitted = nv.METHODS["local_standardize"](epsilon=1e-6).fit()
    done = fitted(pixels)
    np.testing.assert_allclose(
        done[20, 25], (1 - 1 / 225) / np.sqrt(1 / 225 - 1 / 225**2), rtol=1e-6
    )
    np.testing.assert_allclose(done, fitted.reference(pixels), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("key", [*WINDOWED, "local_standardize"])
def test_an_even_window_is_refused(key):
    with pytest.raises(ParameterError, match="Window is an odd number of pixels; got 10"):
        nv.METHODS[key](window=10)


def test_an_even_number_of_channels_is_refused():
    with pytest.raises(ParameterError, match="n is an odd number of channels; got 4"):
        nv.METHODS["lrn"](n=4)


VARIANTS = [
    *((key, {"over": "each", "window": 5}) for key in WINDOWED),
    ("divisive", {"n": 1.5, "sigma": 0.3, "window": 63}),
    ("local_standardize", {"window": 7, "epsilon": 0.02}),
    ("lrn", {"n": 3, "k": 1.0, "alpha": 0.01, "beta": 0.5}),
    ("lrn", {"n": 1, "scale": 1}),
]
CODE_IMAGES = {
    "photo": photo(),
    "small": photo(3, 2),
    "grey": photo(channels=1),
    "flat": np.full((6, 9, 3), (7, 77, 200), np.uint8),
    "black": np.zeros((4, 5, 3), np.uint8),
    "a black channel": photo() * np.array([1, 0, 1], np.uint8),
}


@pytest.mark.parametrize("target", ["numpy", "torchvision", "keras"])
@pytest.mark.parametrize(("key", "parameters"), VARIANTS)
def test_code_of_every_variant_gives_the_same_result(target, key, parameters):
    if target == "torchvision":
        torch = pytest.importorskip("torch")
    if target == "keras":
        pytest.importorskip("keras")
    fitted = nv.METHODS[key](**parameters).fit()
    scope: dict = {}
    exec(fitted.code(target), scope)
    for name, image in CODE_IMAGES.items():
        if target == "torchvision":
            tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())
            done = scope["normalize"](tensor).numpy().transpose(1, 2, 0)
        else:
            done = np.asarray(scope["normalize"](image))
        ours = fitted(image)
        scale = max(1.0, float(np.abs(ours).max()))
        assert done.dtype == np.float32
        np.testing.assert_allclose(
            done.reshape(ours.shape), ours, rtol=1e-5, atol=2e-6 * scale, err_msg=name
        )


def test_scipy_uniform_filter_gives_the_same_local_standardization():
    ndimage = pytest.importorskip("scipy.ndimage")
    pixels = load_sample("coffee").pixels[::2, ::2]
    x = pixels / 255
    mean = ndimage.uniform_filter(x, (15, 15, 1), mode="mirror")
    square = ndimage.uniform_filter(x * x, (15, 15, 1), mode="mirror")
    std = np.sqrt(np.maximum(square - mean**2, 0))
    expected = (x - mean) / np.maximum(std, 1e-4)
    ours = nv.METHODS["local_standardize"]().fit()
    np.testing.assert_allclose(ours.reference(pixels), expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ours(pixels), expected, rtol=1e-6, atol=1e-6)


def test_scipy_gaussian_filter_gives_the_same_lcn():
    ndimage = pytest.importorskip("scipy.ndimage")
    pixels = load_sample("coffee").pixels[::2, ::2]
    x = pixels / 255

    def pool(values):
        # radius 4 and σ 9/4: the window of 9
        return ndimage.gaussian_filter(values, 9 / 4, mode="mirror", radius=4, axes=(0, 1))

    v = x - pool(x.mean(axis=2, keepdims=True))
    sigma = np.sqrt(pool((v * v).mean(axis=2, keepdims=True)))
    ours = nv.METHODS["lcn"]().fit().reference(pixels)
    np.testing.assert_allclose(ours, v / np.maximum(sigma.mean(), sigma), rtol=1e-9, atol=1e-11)


# What is said of other libraries, with the numbers it is said with -------------------------------


def said(key: str) -> str:
    return " ".join(text for _, text in nv.METHODS[key].about.libraries)


def zero_padded(x: np.ndarray, size: int, sigma: float) -> np.ndarray:
    offsets = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    done = cv2.sepFilter2D(x, -1, weights, weights, borderType=cv2.BORDER_CONSTANT)
    return done.reshape(x.shape)


def test_torch7_differs_as_stated():
    # Its published source, written out: a mean over space and channels with borders of 0.
    pixels = load_sample("forest_day").pixels
    x = pixels / 255
    coefficient = zero_padded(np.ones((*x.shape[:2], 1)), 9, 9 / 4)
    inside = np.s_[4:-4, 4:-4]

    def pool(values):
        return zero_padded(values.mean(axis=2, keepdims=True), 9, 9 / 4)

    ours = {key: nv.METHODS[key]().fit().reference(pixels) for key in WINDOWED[:3]}
    v = x - pool(x) / coefficient
    away = np.abs(v - ours["lcn_subtractive"])
    assert away[inside].max() < 1e-14 and away.max() == pytest.approx(0.043, abs=5e-4)
    assert "0.043" in said("lcn_subtractive")

    sigma = np.sqrt(pool(x * x)) / coefficient
    assert coefficient[0, 0, 0] == pytest.approx(0.35, abs=5e-3)
    assert np.sqrt(coefficient[0, 0, 0]) == pytest.approx(0.59, abs=5e-3)
    y = x / np.maximum(sigma, 1e-4)
    means = y.mean(), ours["lcn_divisive"].mean()
    assert means == (pytest.approx(0.95, abs=5e-3), pytest.approx(0.82, abs=5e-3))
    assert "mean 0.95, here 0.82" in said("lcn_divisive")

    local = np.sqrt(cv2.GaussianBlur((v * v).mean(axis=2), (9, 9), 9 / 4, borderType=4))[inside]
    away = ours["lcn"][inside] / (v[inside] / local[..., None])
    assert (local < local.mean()).mean() == pytest.approx(0.53, abs=0.01)
    assert 1 / np.nanmin(np.where(v[inside] == 0, np.nan, away)) == pytest.approx(78, abs=1)
    assert "53 %" in said("lcn") and "78 times" in said("lcn")


def test_pylearn2_differs_as_stated():
    pixels = load_sample("forest_day").pixels
    x = pixels / 255
    sigma = np.sqrt(zero_padded(x * x, 9, 2.0))
    divisor = np.maximum(np.maximum(sigma.mean(axis=(0, 1)), sigma), 1e-4)
    theirs = (x - zero_padded(x, 9, 2.0)) / divisor
    ours = nv.METHODS["lcn"](over="each").fit().reference(pixels)
    assert theirs.std() == pytest.approx(0.10, abs=5e-3)
    assert ours.std() == pytest.approx(0.73, abs=5e-3)
    assert "std 0.10, here 0.73" in said("lcn")


def test_opencv_in_float32_and_brisque_differ_as_stated():
    pixels = load_sample("forest_day").pixels
    box = {"ksize": (15, 15), "ddepth": cv2.CV_32F, "borderType": cv2.BORDER_REFLECT_101}
    u = (pixels / 255).astype(np.float32)
    mean = cv2.boxFilter(u, **box)
    variance = cv2.sqrBoxFilter(u, **box) - mean * mean
    theirs = (u - mean) / np.maximum(np.sqrt(np.maximum(variance, 0)), np.float32(1e-4))
    away = np.abs(theirs - nv.METHODS["local_standardize"]().fit().reference(pixels)).max()
    # Which digits are lost depends on the processor's order of adding.
    assert 0.01 < away < 0.1 and "0.036 stds" in said("local_standardize")

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(float)
    blur = {"ksize": (7, 7), "sigmaX": 7 / 6}
    mean = cv2.GaussianBlur(grey, **blur)
    std = np.sqrt(np.abs(cv2.GaussianBlur(grey * grey, **blur) - mean * mean))
    assert ((grey - mean) / (std + 1)).std() == pytest.approx(0.44, abs=5e-3)
    ours = nv.METHODS["local_standardize"](window=7).fit().reference(pixels)
    assert ours.std() == pytest.approx(0.73, abs=5e-3)
    assert "std 0.44, here 0.73" in said("local_standardize")


def test_gdn_is_the_root_of_divisive_normalization():
    # y = x / √(β + Σ γ x²) with β = σ² and γ = 1/C, on an image of one colour.
    x = np.array([0.2, 0.5, 0.7])
    gdn = x / np.sqrt(0.1**2 + (x**2).mean())
    flat = np.broadcast_to(x, (9, 9, 3)).copy()
    ours = nv.METHODS["divisive"](n=2.0, sigma=0.1).fit().reference(flat)
    np.testing.assert_allclose(ours[4, 4], gdn**2, rtol=1e-12)


def grey_out(k: float, alpha: float, beta: float, grey: float = 128.0) -> float:
    """y of a grey pixel of three channels, all of them in the window."""
    return grey / (k + alpha * 3 * grey**2) ** beta


def test_pytorch_lrn_agrees_and_differs_as_stated():
    torch = pytest.importorskip("torch")
    lrn = torch.nn.functional.local_response_norm
    pixels = load_sample("forest_day").pixels
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float64))[None]
    for n in (1, 3, 5, 7):
        theirs = lrn(tensor, n, alpha=n * 1e-4, beta=0.75, k=2.0)[0].numpy().transpose(1, 2, 0)
        ours = nv.METHODS["lrn"](n=n).fit().reference(pixels)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, err_msg=str(n))
    grey = torch.full((1, 3, 1, 1), 128.0, dtype=torch.float64)
    same = lrn(grey, 5, alpha=1e-4, beta=0.75, k=2.0)[0, 1].item()
    assert same == pytest.approx(grey_out(2, 1e-4 / 5, 0.75)) == pytest.approx(56.4, abs=0.05)
    default = lrn(grey, 5)[0, 1].item()
    assert default == pytest.approx(grey_out(1, 1e-4 / 5, 0.75)) == pytest.approx(76.6, abs=0.05)
    ours = nv.METHODS["lrn"]().fit()(np.full((1, 1, 3), 128, np.uint8))
    assert ours[0, 0, 1] == pytest.approx(30.0, abs=0.05)
    assert all(number in said("lrn") for number in ("56.4", "76.6", "30.0"))


def test_onnx_lrn_divides_alpha_by_n_as_stated():
    helper = pytest.importorskip("onnx.helper")
    evaluator = pytest.importorskip("onnx.reference")
    node = helper.make_node("LRN", ["x"], ["y"], size=5)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "lrn", [value("x", 1, [3, 3, 1, 2])], [value("y", 1, [3, 3, 1, 2])]
    )
    run = evaluator.ReferenceEvaluator(helper.make_model(graph)).run
    # Three images: onnx's evaluator goes through as many channels as there are images.
    x = np.full((3, 3, 1, 2), 128, np.float32)
    np.testing.assert_allclose(run(None, {"x": x})[0], 76.6, atol=0.05)
    ours = nv.METHODS["lrn"](k=1.0, alpha=2e-5).fit()(np.full((1, 2, 3), 128, np.uint8))
    np.testing.assert_allclose(run(None, {"x": x})[0][:1], ours.transpose(2, 0, 1)[None], rtol=1e-5)


def test_tensorflow_lrn_defaults_give_what_is_stated():
    # Its documented formula: x / (bias + alpha · Σ x²)^beta, no division by the window.
    for grey in (128.0, 255.0):
        assert grey_out(1, 1, 0.5, grey) == pytest.approx(0.577, abs=5e-4)
    assert "0.577" in said("lrn")
    tensorflow = pytest.importorskip("tensorflow")
    x = np.full((1, 1, 1, 3), 128, np.float32)
    assert tensorflow.nn.lrn(x).numpy()[0, 0, 0, 0] == pytest.approx(0.577, abs=5e-4)
    ours = nv.METHODS["lrn"]().fit()(x[0].astype(np.uint8))
    theirs = tensorflow.nn.lrn(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75).numpy()[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("key", ["lcn_subtractive", "lcn_divisive", "lcn", "divisive"])
def test_each_channel_alone_is_said_to_be(key):
    about = nv.METHODS[key](over="each").about
    assert about.reduces == ("h", "w") and nv.METHODS[key]().about.reduces == ("h", "w", "C")
    assert "all channels" not in about.summary and "p,q,k" not in about.formula
    flat = np.full((5, 7, 3), (9, 90, 200), np.uint8)
    done = nv.METHODS[key](over="each").fit().reference(flat)
    if key != "divisive":
        value = 1 if key == "lcn_divisive" else 0
        assert f"becomes {value}" in about.flat
        np.testing.assert_allclose(done, value, atol=1e-12)
