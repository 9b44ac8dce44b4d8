"""One row an image: its numbers by slow loops, and a sample that is fair and always the same."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from normviz.images import image_of
from normviz.statistics import DatasetStatistics, rows, scanned
from normviz.statistics.rows import KEPT, ROW_PERCENTILES, Row, kept
from tests.statistics.making import plain_images, random_images


@pytest.mark.parametrize("seed", range(3))
def test_a_row_is_what_numpy_says_of_the_pixels(seed):
    images = random_images(seed, count=12, floats=True)
    found = scanned(images).rows
    assert len(found) == 12
    for at, (row, image) in enumerate(zip(found, images, strict=True)):
        pixels = image.pixels.astype(np.float64)
        low, high = image.value_range
        fractions = (pixels - low) / (high - low)
        assert (row.position, row.path, row.label) == (at, image.path, image.label)
        assert (row.height, row.width, row.pixels) == (*pixels.shape[:2], pixels[..., 0].size)
        depth = {256: "8 bit", 65536: "16 bit", None: "float"}[image.levels]
        assert row.mode == f"{'RGB' if pixels.shape[2] == 3 else 'grey'} {depth}"
        exact = {} if image.levels is None else {"rtol": 0}
        np.testing.assert_allclose(row.sums, pixels.sum(axis=(0, 1)), **exact or {"rtol": 1e-12})
        np.testing.assert_allclose(
            row.squares, np.square(pixels).sum(axis=(0, 1)), **exact or {"rtol": 1e-12}
        )
        np.testing.assert_allclose(row.mean, fractions.mean(axis=(0, 1)), atol=1e-13)
        np.testing.assert_allclose(row.variance, fractions.var(axis=(0, 1)), atol=1e-13)
        np.testing.assert_allclose(row.low, fractions.min(axis=(0, 1)), atol=1e-15)
        np.testing.assert_allclose(row.high, fractions.max(axis=(0, 1)), atol=1e-15)
        # Of floats to one of 65,536 bins.
        bin_size = 1e-12 if image.levels else 1.01 / 65536
        wanted = np.percentile(fractions, ROW_PERCENTILES, axis=(0, 1))
        # Between two values in distant bins, the fraction of the way multiplies the bin's error.
        np.testing.assert_allclose(row.percentiles, wanted, rtol=0, atol=bin_size)
        np.testing.assert_allclose(row.clipped_low, (pixels <= low).mean(axis=(0, 1)), atol=1e-15)
        np.testing.assert_allclose(row.clipped_high, (pixels >= high).mean(axis=(0, 1)), atol=1e-15)
        assert row.sharpness == pytest.approx(slow_sharpness(fractions), rel=1e-5, abs=1e-7)


def slow_sharpness(fractions: np.ndarray) -> float:
    plane = fractions[:, :, fractions.shape[2] // 2].tolist()
    height, width = len(plane), len(plane[0])
    squares = []
    for y in range(height):
        for x in range(width):
            if y + 2 < height:
                squares.append((plane[y + 2][x] - plane[y][x]) ** 2)
            if x + 2 < width:
                squares.append((plane[y][x + 2] - plane[y][x]) ** 2)
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else 0.0


def test_the_fingerprint_says_where_it_gets_lighter():
    # 9 × 8 pixels are taken as they are: 64 comparisons of neighbours in a row.
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    bits = "".join(
        "1" if pixels[y, x, 1] < pixels[y, x + 1, 1] else "0" for y in range(8) for x in range(8)
    )
    assert scanned([image_of(pixels)]).rows[0].fingerprint == int(bits, 2)
    across = np.broadcast_to(np.arange(90, dtype=np.uint8), (80, 90))
    assert scanned([image_of(across)]).rows[0].fingerprint == 2**64 - 1
    assert scanned([image_of(across[:, ::-1])]).rows[0].fingerprint == 0


def test_nearly_equal_images_have_nearly_equal_fingerprints():
    noise = np.random.default_rng(3).integers(0, 256, (7, 9), dtype=np.uint8)
    photo = cv2.resize(noise, (300, 200), interpolation=cv2.INTER_CUBIC)
    brighter = np.clip(photo * 0.8 + 30, 0, 255).astype(np.uint8)
    smaller = cv2.resize(photo, (240, 160), interpolation=cv2.INTER_AREA)
    first, *others = (
        row.fingerprint
        for row in scanned([image_of(one) for one in (photo, brighter, smaller, photo.T)]).rows
    )
    apart = [(first ^ other).bit_count() for other in others]
    assert apart[0] <= 3 and apart[1] <= 6 and apart[2] > 15


def many_rows(count: int) -> list[Row]:
    (row,) = scanned(plain_images(1)).rows
    return [replace(row, position=at, path=f"{at}.png") for at in range(count)]


def test_the_same_rows_are_kept_whatever_the_order_and_the_split():
    every = many_rows(KEPT + 900)
    wanted = kept(every)
    assert len(wanted) == KEPT
    assert [row.position for row in wanted] == sorted(row.position for row in wanted)
    rng = np.random.default_rng(0)
    for _ in range(3):
        turned = [every[at] for at in rng.permutation(len(every))]
        cut = int(rng.integers(len(every)))
        assert kept(turned) == wanted
        assert kept((*kept(turned[:cut]), *kept(turned[cut:]))) == wanted
    left, right = (DatasetStatistics(rows=tuple(part)) for part in (every[:4000], every[4000:]))
    assert left.merge(right).rows == right.merge(left).rows == wanted


def test_up_to_as_many_all_are_kept():
    every = many_rows(50)
    assert kept(every[::-1], 50) == tuple(every) and len(kept(every, 49)) == 49


def test_every_place_is_kept_as_often():
    # 400 sets of 100 images, 20 kept of each: at each place 80 ± 8.
    (row,) = scanned(plain_images(1)).rows
    times = np.zeros(100)
    for of in range(400):
        every = [replace(row, position=at, path=f"set {of}/{at}.png") for at in range(100)]
        for one in kept(every, 20):
            times[one.position] += 1
    chi_square = ((times - 80) ** 2 / 80).sum()
    # 99 degrees of freedom, of which none is more than 2 of 1,000 from the middle.
    assert 58 < chi_square < 150
    assert times.sum() == 8000


def test_a_scan_keeps_the_same_sample_and_says_so(monkeypatch):
    monkeypatch.setattr(rows, "KEPT", 10)
    monkeypatch.setattr("normviz.statistics.scanning.KEPT", 10)
    monkeypatch.setattr(kept, "__defaults__", (10,))
    images = plain_images(60)
    stats = scanned(images)
    assert len(stats.rows) == 10 and not stats.all_rows and stats.images == 60
    assert scanned(images, seed=3, images_a_part=7).rows == stats.rows
    assert scanned(images[:9]).all_rows


def test_a_grey_row_stands_for_three_channels():
    (row,) = scanned([image_of(np.array([[0, 51]], np.uint8))]).rows
    mean, variance = row.spread(3)
    np.testing.assert_allclose(mean, [0.1] * 3)
    np.testing.assert_allclose(variance, [0.01] * 3)
