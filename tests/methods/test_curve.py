"""Gamma, logarithm, equalization and matching against slow counts and other libraries."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

import normviz as nv
from normviz.errors import NotFittedError
from normviz.presets import PRESETS
from normviz.samples import load_sample

COFFEE, NIGHT = load_sample("coffee").pixels, load_sample("field_night").pixels
ALL_LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)


def photo(height=17, width=11, channels=3, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.gamma(2, 25, (height, width, channels)) % 256).astype(np.uint8)


def matched_to(*references: np.ndarray):
    images = [nv.image_of(one) for one in references]
    return nv.METHODS["match_histogram"]().fit(nv.scan(images))


# --- curves with numbers of their own ---------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.1, 0.45, 1.0, 2.2, 10.0])
def test_gamma_is_the_power_of_each_level(gamma):
    expected = [(level / 255) ** gamma for level in range(256)]
    fitted = nv.METHODS["gamma"](gamma=gamma).fit()
    np.testing.assert_allclose(fitted(ALL_LEVELS).ravel(), expected, rtol=1e-6)
    words = fitted(ALL_LEVELS.astype(np.uint16) * 257)
    np.testing.assert_allclose(words.ravel(), expected, rtol=1e-6)
    np.testing.assert_allclose(fitted.inverse(fitted.reference(ALL_LEVELS)), ALL_LEVELS, atol=1e-9)


@pytest.mark.parametrize("strength", [0.01, 1.0, 255.0, 10_000.0])
def test_logarithm_runs_from_0_to_1(strength):
    expected = [math.log(1 + strength * v / 255) / math.log(1 + strength) for v in range(256)]
    fitted = nv.METHODS["logarithm"](strength=strength).fit()
    np.testing.assert_allclose(fitted(ALL_LEVELS).ravel(), expected, rtol=1e-6)
    np.testing.assert_allclose(fitted.inverse(fitted.reference(ALL_LEVELS)), ALL_LEVELS, atol=1e-9)


def test_the_default_logarithm_is_log1p_of_bytes():
    ours = nv.METHODS["logarithm"]().fit().reference(ALL_LEVELS)
    assert math.log(256) == pytest.approx(5.545, abs=5e-4)
    np.testing.assert_allclose(ours * math.log(256), np.log1p(ALL_LEVELS.astype(float)), rtol=1e-12)


@pytest.mark.parametrize("key", ["gamma", "logarithm"])
def test_values_that_round_just_below_black_stay_finite(key):
    pixels = np.full((1, 2, 1), -5e-7, np.float32)
    assert (nv.METHODS[key]().fit()(pixels) == 0).all()


def test_scikit_image_gamma_and_logarithm():
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    ours = 255 * nv.METHODS["gamma"](gamma=0.45).fit().reference(COFFEE)
    gap = np.abs(exposure.adjust_gamma(COFFEE, 0.45) - ours).max()
    assert 0.4 < gap <= 0.5
    u = COFFEE / 255
    logarithm = nv.METHODS["logarithm"](strength=1.0).fit().reference(COFFEE)
    np.testing.assert_allclose(exposure.adjust_log(u), logarithm, atol=1e-9)
    less = 255 * logarithm - exposure.adjust_log(COFFEE)
    assert less.min() > -1e-9 and 0.9 < less.max() < 1


def test_pytorch_gamma_on_floats_and_on_bytes():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    kornia = pytest.importorskip("kornia.enhance", reason="Kornia is not installed")
    tensor = torch.from_numpy(COFFEE.transpose(2, 0, 1).copy()).float() / 255
    for key, parameters, theirs in (
        ("gamma", {"gamma": 0.45}, kornia.adjust_gamma(tensor, 0.45)),
        ("logarithm", {"strength": 1.0}, kornia.adjust_log(tensor)),
    ):
        ours = nv.METHODS[key](**parameters).fit()(COFFEE)
        np.testing.assert_allclose(ours, theirs.numpy().transpose(1, 2, 0), atol=1e-6)
    functional = torchvision_functional()
    theirs = functional.adjust_gamma(tensor, 0.45).numpy().transpose(1, 2, 0)
    ours = nv.METHODS["gamma"](gamma=0.45).fit()(COFFEE)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    tensor = torch.from_numpy(COFFEE.transpose(2, 0, 1).copy())
    away = 255 * ours - functional.adjust_gamma(tensor, 0.45).numpy().transpose(1, 2, 0)
    assert 0.9 < np.abs(away).max() < 1


def torchvision_functional():
    from tests.methods.test_code_in_libraries import torchvision_runs

    torchvision_runs()
    import torchvision.transforms.v2.functional as functional

    return functional


def test_albumentations_gamma_is_in_per_cent_and_cut_off():
    A = pytest.importorskip("albumentations", reason="Albumentations is not installed")
    theirs = A.RandomGamma(gamma_limit=(45, 45), p=1.0)(image=COFFEE)["image"]
    less = 255 * nv.METHODS["gamma"](gamma=0.45).fit().reference(COFFEE) - theirs
    assert less.min() > -0.01 and 0.9 < less.max() <= 1


# --- equalization -----------------------------------------------------------------------------


def equalized_by_counting(plane: np.ndarray) -> np.ndarray:
    """The formula, pixel by pixel: shares of pixels that are no larger."""
    values = plane.ravel().tolist()
    first = sum(value <= min(values) for value in values)
    shares = [(sum(o <= v for o in values) - first) / (len(values) - first) for v in values]
    return np.array(shares).reshape(plane.shape)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_equalization_is_the_formula_at_every_depth(dtype):
    rng = np.random.default_rng(3)
    pixels = rng.gamma(2, 0.1, (9, 7, 3)).clip(0, 1)  # at 16 bits and floats nearly all differ
    pixels = (pixels * {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]).astype(dtype)
    expected = np.stack([equalized_by_counting(pixels[..., c]) for c in range(3)], axis=2)
    fitted = nv.METHODS["equalize"]().fit()
    np.testing.assert_allclose(fitted.reference(pixels), expected, rtol=1e-12)
    np.testing.assert_allclose(fitted(pixels), expected, atol=1e-7)


def test_equalized_16_bits_keep_more_than_256_shades():
    pixels = np.random.default_rng(0).integers(30000, 30900, (60, 50, 1)).astype(np.uint16)
    assert len(np.unique(nv.METHODS["equalize"]().fit()(pixels))) == len(np.unique(pixels)) > 800


@pytest.mark.parametrize("pixels", [COFFEE, NIGHT, photo()], ids=["coffee", "night", "noise"])
def test_opencv_rounds_the_same_to_bytes(pixels):
    ours = 255 * nv.METHODS["equalize"]().fit().reference(pixels)
    theirs = np.stack([cv2.equalizeHist(plane.copy()) for plane in np.moveaxis(pixels, 2, 0)], 2)
    assert np.abs(theirs - ours).max() <= 0.5 + 1e-4  # OpenCV multiplies in float32


def test_a_flat_channel_becomes_0_where_opencv_leaves_it():
    flat = np.full((5, 6, 1), 90, np.uint8)
    assert not nv.METHODS["equalize"]().fit()(flat).any()
    assert (cv2.equalizeHist(flat) == 90).all()


@pytest.mark.parametrize(("pixels", "levels"), [(COFFEE, 6), (NIGHT, 59)], ids=["coffee", "night"])
def test_pillow_counts_the_pixels_below_a_value_in_whole_steps(pixels, levels):
    theirs = np.asarray(ImageOps.equalize(PillowImage.fromarray(pixels)))
    away = np.abs(theirs - 255 * nv.METHODS["equalize"]().fit().reference(pixels)).max()
    assert away == pytest.approx(levels, abs=0.5)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    kornia = pytest.importorskip("kornia.enhance", reason="Kornia is not installed")
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    found = torchvision_functional().equalize(tensor).numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(found, theirs)
    found = kornia.equalize(tensor.float() / 255).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(found * 255, theirs, atol=1e-4)


def test_scikit_image_keeps_the_share_of_the_darkest_value():
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    ours = nv.METHODS["equalize"]().fit().reference(COFFEE)
    first = (COFFEE.min(axis=(0, 1)) == COFFEE).mean(axis=(0, 1))
    assert first.max() == first[2] == pytest.approx(0.038, abs=5e-4)
    theirs = np.stack([exposure.equalize_hist(COFFEE[..., c]) for c in range(3)], axis=2)
    np.testing.assert_allclose(theirs, first + (1 - first) * ours, atol=1e-9)
    assert np.abs(theirs - ours).max() == pytest.approx(0.038, abs=5e-4)
    assert np.abs(exposure.equalize_hist(COFFEE) - ours).max() == pytest.approx(0.40, abs=5e-3)


def test_monai_equalizes_all_channels_by_one_histogram():
    transforms = pytest.importorskip("monai.transforms", reason="MONAI is not installed")
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    planes = COFFEE.transpose(2, 0, 1).astype(np.float32)
    theirs = transforms.HistogramNormalize(num_bins=256, min=0, max=1)(planes)
    whole = exposure.equalize_hist(COFFEE).transpose(2, 0, 1)
    np.testing.assert_allclose(np.asarray(theirs), whole, atol=0.02)  # its bins are 255/256 wide


def luma_by_opencv(pixels: np.ndarray) -> np.ndarray:
    ycc = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    planes = list(cv2.split(ycc))
    planes[0] = cv2.equalizeHist(planes[0])
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB)


@pytest.mark.parametrize("factor", [1, 257])
def test_luma_is_opencvs_recipe_to_the_byte(factor):
    luma = nv.METHODS["equalize"](of="luma").fit()
    for pixels in (COFFEE, photo(), np.full((4, 5, 3), (200, 0, 31), np.uint8)):
        given = pixels if factor == 1 else pixels.astype(np.uint16) * np.uint16(factor)
        for done in (luma(given), luma.reference(given), luma((pixels / 255).astype(np.float32))):
            np.testing.assert_allclose(done * 255, luma_by_opencv(pixels), atol=1e-4)
    # Of more depth, the nearest of 256 levels counts.
    for nearby in (-100, 100):
        words = (COFFEE * 257.0 + nearby).clip(0, 65535).astype(np.uint16)
        np.testing.assert_allclose(luma(words) * 255, luma_by_opencv(COFFEE), atol=1e-4)
    grey = COFFEE[:, :, :1]
    theirs = cv2.equalizeHist(grey)[..., np.newaxis]
    np.testing.assert_allclose(luma(grey) * 255, theirs, atol=1e-4)


def test_luma_promises_less_and_keeps_flat_images():
    method = nv.METHODS["equalize"](of="luma")
    assert method.about.invariances == frozenset()
    assert "curve" in nv.METHODS["equalize"]().about.invariances
    assert method.fit().table(nv.image_statistics(nv.image_of(COFFEE))) is None
    for colour in ((90, 90, 90), (200, 0, 31), (12, 250, 128)):
        flat = np.full((6, 9, 3), colour, np.uint8)
        assert np.abs(method.fit()(flat) * 255 - flat).max() <= 1.001


def test_albumentations_equalizes_luma_to_the_same_bytes():
    A = pytest.importorskip("albumentations", reason="Albumentations is not installed")
    theirs = A.Equalize(mode="cv", by_channels=False, p=1.0)(image=COFFEE)["image"]
    ours = nv.METHODS["equalize"](of="luma").fit()
    np.testing.assert_allclose(ours(COFFEE) * 255, theirs, atol=1e-4)
    theirs = A.Equalize(mode="cv", by_channels=True, p=1.0)(image=COFFEE)["image"]
    assert np.abs(nv.METHODS["equalize"]().fit()(COFFEE) * 255 - theirs).max() <= 0.5 + 1e-4
    scope: dict = {}
    exec(ours.code("albumentations"), scope)
    for pixels in (COFFEE, COFFEE[:, :, :1], np.full((5, 6, 3), 77, np.uint8)):
        np.testing.assert_allclose(scope["normalize"](pixels), ours(pixels), atol=1e-6)


# --- matching ---------------------------------------------------------------------------------


def matched_by_sorting(plane: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """G⁻¹(F(x)) for one channel, one pixel after another."""
    known = sorted(reference.ravel().tolist())
    values = sorted(set(known))
    shares = [sum(o <= v for o in known) / len(known) for v in values]
    out = []
    for x in plane.ravel().tolist():
        share = np.mean(plane <= x)
        above = next(i for i, s in enumerate(shares) if s >= share - 1e-12)
        if above == 0:
            out.append(values[0])
            continue
        low, high = shares[above - 1], shares[above]
        step = (share - low) / (high - low)
        out.append(values[above - 1] + step * (values[above] - values[above - 1]))
    return np.array(out, float).reshape(plane.shape)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_matching_is_the_formula_and_takes_images_of_other_depths(dtype):
    pixels, reference = photo(6, 7, seed=1), photo(8, 5, seed=2)
    expected = [matched_by_sorting(pixels[..., c], reference[..., c]) for c in range(3)]
    factor = {np.uint8: 1.0, np.uint16: 257.0, np.float32: 1 / 255}[dtype]
    done = matched_to(reference)((pixels * factor).astype(dtype))
    np.testing.assert_allclose(done * 255, np.stack(expected, axis=2), atol=1e-4)


def test_scikit_image_matches_alike_and_cuts_colour_off_to_bytes():
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    ours = 255 * matched_to(NIGHT).reference(COFFEE)
    for c in range(3):
        theirs = exposure.match_histograms(COFFEE[..., c], NIGHT[..., c])
        np.testing.assert_allclose(ours[..., c], theirs, atol=1e-9)
    cut = exposure.match_histograms(COFFEE, NIGHT, channel_axis=2)
    less = ours - cut
    assert less.min() > -1e-9 and 0.9 < less.max() < 1


def test_an_image_matched_to_itself_stays():
    np.testing.assert_allclose(matched_to(COFFEE)(COFFEE) * 255, COFFEE, atol=1e-4)


def test_a_set_is_the_histogram_of_all_its_pixels():
    parts = [photo(5, 9, seed=4), photo(20, 3, seed=5), photo(1, 1, seed=6)]
    joined = np.concatenate([part.reshape(1, -1, 3) for part in parts], axis=1)
    done, whole = matched_to(*parts), matched_to(joined)
    np.testing.assert_allclose(done.reference(COFFEE), whole.reference(COFFEE), atol=1e-12)


def test_grey_images_in_a_set_count_for_every_channel():
    grey, colour = photo(4, 6, channels=1, seed=7), photo(3, 5, seed=8)
    done = matched_to(grey, colour).reference(COFFEE)
    as_colour = matched_to(np.repeat(grey, 3, axis=2), colour).reference(COFFEE)
    np.testing.assert_allclose(done, as_colour, atol=1e-12)


def test_a_grey_reference_serves_every_channel():
    grey = photo(4, 6, channels=1, seed=7)
    fitted = matched_to(grey)
    assert fitted.constants["value"].shape[1] == 1
    three = matched_to(np.repeat(grey, 3, axis=2))
    np.testing.assert_allclose(fitted(COFFEE), three(COFFEE), rtol=1e-6)
    assert fitted(COFFEE[:, :, :1]).shape == (341, 512, 1)


def test_a_set_of_several_depths_is_matched_by_fractions():
    first, second = photo(5, 5, seed=1), photo(6, 4, seed=2)
    mixed = matched_to(first, second.astype(np.uint16) * np.uint16(257))
    np.testing.assert_allclose(
        mixed.reference(COFFEE), matched_to(first, second).reference(COFFEE), atol=1e-12
    )
    floats = matched_to((first / 255).astype(np.float32))
    exact = matched_to(first).reference(COFFEE)
    assert np.abs(floats.reference(COFFEE) - exact).max() < 1 / 65536


def test_a_set_of_16_bits_is_kept_at_a_modest_size_with_true_shares():
    rng = np.random.default_rng(0)
    smooth = rng.gamma(2, 3000, (300, 300, 1)).clip(0, 65535)
    smooth[:60] = 1234  # a fifth of the pixels have one value
    smooth[60:63] = rng.integers(50000, 65536, (3, 300, 1))  # a long sparse tail
    words = smooth.astype(np.uint16)
    fitted = matched_to(words)
    value, share = fitted.constants["value"][:, 0], fitted.constants["share"][:, 0]
    assert len(value) <= 2048 < len(np.unique(words))
    assert value[0] == words.min() / 65535 and value[-1] == words.max() / 65535
    true = np.searchsorted(np.sort(words.ravel()), np.rint(value * 65535), side="right")
    np.testing.assert_allclose(share, true / words.size, rtol=1e-12)
    kept = np.interp(np.unique(words) / 65535, value, share)
    all_true = np.searchsorted(np.sort(words.ravel()), np.unique(words), side="right") / words.size
    assert np.abs(kept - all_true).max() < 1 / 1024
    assert len(matched_to(*[np.repeat(words, 3, axis=2)]).to_json()) < 300_000
    few = (words // 32).astype(np.uint16)
    assert len(matched_to(few).constants["value"]) == len(np.unique(few)) <= 2048


def test_a_preset_has_no_histogram():
    with pytest.raises(NotFittedError, match="needs a histogram, and a preset holds only"):
        nv.METHODS["match_histogram"]().fit(PRESETS["imagenet"])


def test_a_flat_channel_becomes_the_highest_value_of_the_set():
    reference = photo(seed=3)
    done = matched_to(reference)(np.full((3, 4, 3), 17, np.uint8))
    expected = np.broadcast_to(reference.max(axis=(0, 1)) / 255, done.shape)
    np.testing.assert_allclose(done, expected, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("key", "parameters"),
    [("gamma", {}), ("logarithm", {}), ("equalize", {}), ("equalize", {"of": "luma"})],
)
def test_numpy_code_of_every_choice(key, parameters, channels):
    fitted = nv.METHODS[key](**parameters).fit()
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    for pixels in (photo(), COFFEE[::3, ::2], np.full((3, 3, 3), 8, np.uint8), photo(1, 1)):
        pixels = pixels[:, :, :channels]
        done = scope["normalize"](pixels)
        assert done.dtype == np.float32
        np.testing.assert_allclose(done, fitted(pixels), rtol=1e-5, atol=1e-6)


def test_matching_code_serves_colour_by_a_grey_reference(tmp_path, monkeypatch):
    fitted = matched_to(photo(channels=1))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    np.testing.assert_allclose(scope["normalize"](COFFEE), fitted(COFFEE), atol=1e-6)
