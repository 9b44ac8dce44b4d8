"""CLAHE against a slow one written from its description, and the two clip limits."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.methods.clahe import opencv_clip_limit, opencv_tile, skimage_clip_limit
from normviz.samples import load_sample

COFFEE = load_sample("coffee").pixels
NIGHT = load_sample("field_night").pixels


def grey(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., np.newaxis]


def slow_clahe(plane: np.ndarray, limit: float, tiles: int) -> np.ndarray:
    """Tiles, clipped histograms, curves and blending, from the words of OpenCV's class."""
    height, width = plane.shape
    tall, wide = opencv_tile(height, width, tiles)
    # Beyond the border the image is mirrored without repeating the edge.
    more = ((0, tall * tiles - height), (0, wide * tiles - width))
    padded = np.pad(plane, more, mode="reflect")
    area = tall * wide
    curves = np.empty((tiles, tiles, 256))
    for row in range(tiles):
        for column in range(tiles):
            tile = padded[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            counts = np.bincount(tile.ravel(), minlength=256)
            if limit > 0:
                highest = max(int(limit * area / 256), 1)
                over = int(np.maximum(counts - highest, 0).sum())
                counts = np.minimum(counts, highest) + over // 256
                rest = over % 256
                if rest:
                    counts[:: max(256 // rest, 1)][:rest] += 1
            # In float32 as there, since many products lie just at a half.
            scaled = np.cumsum(counts).astype(np.float32) * np.float32(255 / area)
            curves[row, column] = np.rint(scaled).clip(0, 255)
    y = np.arange(height) / tall - 0.5
    x = np.arange(width) / wide - 0.5
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    out = np.zeros((height, width))
    for down in (0, 1):
        for right in (0, 1):
            weight_y = (y - top) if down else 1 - (y - top)
            weight_x = (x - left) if right else 1 - (x - left)
            rows = np.clip(top + down, 0, tiles - 1)[:, np.newaxis]
            columns = np.clip(left + right, 0, tiles - 1)[np.newaxis]
            out += weight_y[:, np.newaxis] * weight_x * curves[rows, columns, plane]
    return out


@pytest.mark.parametrize(("limit", "tiles"), [(0.0, 8), (2.0, 8), (40.0, 8), (3.3, 5), (2.0, 1)])
@pytest.mark.parametrize("shape", [(64, 96), (61, 80), (80, 61), (53, 37)])
def test_a_grey_image_is_the_slow_definition(shape, limit, tiles):
    plane = np.ascontiguousarray(grey(COFFEE)[: shape[0] * 2 : 2, : shape[1] * 2 : 2])
    done = nv.METHODS["clahe"](clip_limit=limit, tiles=tiles).fit()(plane)[..., 0] * 255
    slow = slow_clahe(plane[..., 0], limit, tiles)
    # Half a level of rounding, and float32 weights.
    assert np.abs(done - slow).max() <= 0.501


@pytest.mark.parametrize("factor", [1, 257])
@pytest.mark.parametrize(
    ("plane", "there", "back", "channel"),
    [
        ("lab", cv2.COLOR_RGB2LAB, cv2.COLOR_LAB2RGB, 0),
        ("hsv", cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB, 2),
        ("luma", cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB, 0),
    ],
)
def test_colour_is_opencvs_recipe_to_the_byte(plane, there, back, channel, factor):
    planes = list(cv2.split(cv2.cvtColor(COFFEE, there)))
    planes[channel] = cv2.createCLAHE(3.0, (6, 6)).apply(planes[channel])
    expected = cv2.cvtColor(cv2.merge(planes), back)
    assert np.abs(expected.astype(int) - COFFEE).max() > 20
    fitted = nv.METHODS["clahe"](clip_limit=3.0, tiles=6, plane=plane).fit()
    given = COFFEE if factor == 1 else COFFEE.astype(np.uint16) * np.uint16(factor)
    for done in (fitted(given), fitted.reference(given), fitted((COFFEE / 255).astype("f4"))):
        np.testing.assert_allclose(done * 255, expected, atol=1e-4)


def test_without_a_limit_and_tiles_it_is_equalization_with_the_share_of_the_darkest():
    plane = grey(COFFEE)
    done = nv.METHODS["clahe"](clip_limit=0.0, tiles=1).fit()(plane) * 255
    shares = np.searchsorted(np.sort(plane.ravel()), plane, side="right") / plane.size
    assert np.abs(done - 255 * shares).max() <= 0.501


def test_flat_images_get_as_light_as_is_said():
    for limit, level in ((2.0, 3), (40.0, 41), (0.0, 255)):
        black = np.zeros((512, 512, 1), np.uint8)
        done = nv.METHODS["clahe"](clip_limit=limit).fit()(black) * 255
        np.testing.assert_allclose(done, level, atol=1e-4)
    tiny = np.full((6, 9, 1), 90, np.uint8)
    np.testing.assert_allclose(nv.METHODS["clahe"]().fit()(tiny), 1)


def test_8_bits_alone_move_colours_as_far_as_is_said():
    steps = np.arange(256, dtype=np.uint8)
    for (there, back), most, mean in (
        ((cv2.COLOR_RGB2LAB, cv2.COLOR_LAB2RGB), 27, 0.70),
        ((cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB), 6, 0.55),
        ((cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB), 1, 0.38),
    ):
        largest, total = 0, 0
        for red in steps:
            plane = np.empty((256, 256, 3), np.uint8)
            plane[..., 0], plane[..., 1], plane[..., 2] = red, steps[:, np.newaxis], steps
            away = cv2.absdiff(cv2.cvtColor(cv2.cvtColor(plane, there), back), plane)
            largest, total = max(largest, int(away.max())), total + int(away.sum())
        assert largest == most and total / (3 * 256**3) == pytest.approx(mean, abs=6e-3)


@pytest.fixture
def cuts(monkeypatch) -> set[int]:
    """Where scikit-image cuts the histograms of its tiles, in pixels, as it comes to it."""
    inside = pytest.importorskip("skimage.exposure._adapthist")
    found: set[int] = set()
    clip = inside.clip_histogram

    def spy(hist, clip_limit):
        found.add(clip_limit)
        return clip(hist, clip_limit)

    monkeypatch.setattr(inside, "clip_histogram", spy)
    return found


SHAPES = [(512, 512, 8, None), (341, 512, 8, None), (320, 480, 8, (37, 50)), (97, 64, 5, None)]


@pytest.mark.parametrize(("height", "width", "tiles", "kernel"), SHAPES)
@pytest.mark.parametrize("limit", [0.003, 0.01, 0.025, 0.5, 1.0])
def test_a_converted_limit_cuts_the_same_share_of_a_tile(height, width, tiles, kernel, limit):
    here = opencv_clip_limit(limit, height, width, tiles, kernel)
    assert skimage_clip_limit(here, height, width, tiles, kernel) == pytest.approx(limit, rel=1e-12)
    area = math.prod(opencv_tile(height, width, tiles))
    share = math.prod(kernel or (height // 8, width // 8))
    # Pixels a bin before rounding, in OpenCV's words and in scikit-image's.
    assert here * area / 256 == pytest.approx(limit * share, rel=1e-12)


def test_limits_of_equal_tiles_differ_by_256():
    assert opencv_clip_limit(0.01, 512, 512) == pytest.approx(2.56)
    assert skimage_clip_limit(40.0, 512, 512) == pytest.approx(40 / 256)
    assert opencv_clip_limit(0.0, 50, 60) == skimage_clip_limit(0.0, 50, 60) == 0


@pytest.mark.parametrize(("height", "width", "tiles", "kernel"), SHAPES)
def test_scikit_image_cuts_where_the_converted_limit_does(height, width, tiles, kernel, cuts):
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    plane = cv2.resize(grey(COFFEE), (width, height))
    for limit in (0.003, 0.01, 0.025):
        cuts.clear()
        exposure.equalize_adapthist(plane, kernel, clip_limit=limit)
        area = math.prod(opencv_tile(height, width, tiles))
        here = opencv_clip_limit(limit, height, width, tiles, kernel)
        # Rounded down to whole pixels, as OpenCV does; a hair more so that 41.0 stays 41.
        assert cuts == {max(int(here * area / 256 * (1 + 1e-12)), 1)}


def test_scikit_image_differs_by_what_is_said():
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    plane = grey(NIGHT)
    theirs = exposure.equalize_adapthist(plane[..., 0], clip_limit=0.01)
    limit = opencv_clip_limit(0.01, *plane.shape[:2])
    ours = nv.METHODS["clahe"](clip_limit=limit).fit()(plane)[..., 0]
    assert np.abs(ours - theirs).mean() == pytest.approx(0.017, abs=1e-3)
    assert np.abs(ours - theirs).max() == pytest.approx(0.078, abs=2e-3)
    default = nv.METHODS["clahe"](clip_limit=40.0).fit()(plane)[..., 0]
    assert np.abs(default - theirs).mean() == pytest.approx(0.27, abs=0.01)
    # Not local: light added in one corner changes the picture in the other.
    lit = plane // 2
    lit[:8, :8] = 255

    def far(method, before, after):
        return np.abs(method(before) - method(after))[200:, 300:].max()

    assert far(nv.METHODS["clahe"](clip_limit=limit).fit(), plane // 2, lit) == 0
    assert far(lambda x: exposure.equalize_adapthist(x[..., 0]), plane // 2, lit) > 0.02


def test_kornia_has_its_tiles_half_a_pixel_away():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    kornia = pytest.importorskip("kornia.enhance", reason="Kornia is not installed")
    for pixels, mean in ((NIGHT, 0.0012), (COFFEE, 0.0075)):
        plane = grey(pixels)[..., 0]
        limit = opencv_clip_limit(0.01, *plane.shape)
        tensor = torch.from_numpy(plane / 255)[np.newaxis]
        theirs = kornia.equalize_clahe(tensor, limit, (8, 8))[0].numpy()
        ours = nv.METHODS["clahe"](clip_limit=limit).fit()(plane[..., np.newaxis])[..., 0]
        assert np.abs(ours - theirs).mean() == pytest.approx(mean, abs=2e-4)
        if pixels is NIGHT:
            assert np.abs(ours - theirs).max() == pytest.approx(0.008, abs=5e-4)


def test_albumentations_makes_the_same_bytes():
    A = pytest.importorskip("albumentations", reason="Albumentations is not installed")
    for limit, tiles in ((2.0, 8), (40.0, 5)):
        step = A.CLAHE(clip_limit=(limit, limit), tile_grid_size=(tiles, tiles), p=1.0)
        ours = nv.METHODS["clahe"](clip_limit=limit, tiles=tiles).fit()
        for pixels in (COFFEE, grey(COFFEE)):
            theirs = step(image=pixels)["image"].reshape(pixels.shape)
            np.testing.assert_allclose(ours(pixels) * 255, theirs, atol=1e-4)
        scope: dict = {}
        exec(ours.code("albumentations"), scope)
        for pixels in (COFFEE, grey(COFFEE), np.full((6, 9, 3), 77, np.uint8)):
            np.testing.assert_allclose(scope["normalize"](pixels), ours(pixels), atol=1e-6)


def test_albumentations_own_step_is_written_only_where_it_does_the_same():
    own = nv.METHODS["clahe"]().fit().code("albumentations")
    assert "A.CLAHE(" in own
    for parameters in ({"plane": "hsv"}, {"plane": "luma"}, {"clip_limit": 0.5}):
        wrapped = nv.METHODS["clahe"](**parameters).fit().code("albumentations")
        assert "A.CLAHE(" not in wrapped and "A.Lambda(" in wrapped


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("plane", ["lab", "hsv", "luma"])
def test_numpy_code_of_every_choice(plane, channels):
    fitted = nv.METHODS["clahe"](plane=plane, clip_limit=1.5, tiles=3).fit()
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    for pixels in (COFFEE, COFFEE[5:70:3, 4:41:2], np.full((4, 5, 3), 9, np.uint8)):
        pixels = pixels[:, :, :channels]
        done = scope["normalize"](pixels)
        assert done.dtype == np.float32
        np.testing.assert_allclose(done, fitted(pixels), atol=1e-6)


def test_the_sentence_gives_the_limit_that_scikit_image_takes():
    # 8 tiles of 60 × 40 px here and there: a bin cut at 4 mean heights is cut at 4 / 256.
    said = nv.METHODS["clahe"](clip_limit=4.0).limit_sentence(480, 320)
    assert "Clip limit 4 here and in OpenCV is 0.0156 in scikit-image on 320 × 480 px" in said
    assert said.endswith("its default of 0.01 is 2.56 here.")
    # 4 tiles a side hold four times as many pixels as its eighths.
    said = nv.METHODS["clahe"](clip_limit=4.0, tiles=4).limit_sentence(480, 320)
    assert "is 0.0625 in scikit-image" in said and "0.01 is 0.64 here" in said
    assert "0 is no limit" in nv.METHODS["clahe"](clip_limit=0.0).limit_sentence(480, 320)


def test_scikit_image_cuts_at_the_sentences_limit(cuts):
    exposure = pytest.importorskip("skimage.exposure", reason="scikit-image is not installed")
    plane = cv2.resize(grey(COFFEE), (320, 480))
    said = nv.METHODS["clahe"](clip_limit=4.0).limit_sentence(*plane.shape)
    there = float(said.split(" is ")[1].split(" in scikit-image")[0])
    exposure.equalize_adapthist(plane, clip_limit=there)
    # OpenCV cuts at ⌊4 · 2400 / 256⌋ pixels.
    assert cuts == {37}
