"""Second moments of patches against a slow loop over the same places."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.errors import LimitError, NotFittedError, ParameterError
from normviz.images import image_of
from normviz.statistics import PatchPlan, scanned
from normviz.statistics.patches import PatchSums
from tests.statistics.making import random_images

PLAN = PatchPlan(3, 7)


def slow_vectors(image, plan: PatchPlan, seed: bytes) -> list[np.ndarray]:
    """The patches at the same drawn places, one after the other, as fractions."""
    draw = np.random.default_rng(list(seed))
    tops = draw.integers(image.height - plan.side + 1, size=plan.per_image)
    lefts = draw.integers(image.width - plan.side + 1, size=plan.per_image)
    return [
        image.pixels[top : top + plan.side, left : left + plan.side].astype(float).ravel()
        / (image.levels - 1)
        for top, left in zip(tops, lefts, strict=True)
    ]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_moments_are_those_of_the_drawn_patches(kind, channels):
    rng = np.random.default_rng(0)
    top = np.iinfo(kind).max
    images = [
        image_of(rng.integers(0, top + 1, (5 + at, 9 - at, channels)).astype(kind), path=f"{at}")
        for at in range(5)
    ]
    stats = scanned(images, patches=PLAN)
    vectors = np.array(
        [
            vector
            for image, row in zip(images, stats.rows, strict=True)
            for vector in slow_vectors(image, PLAN, row.rank)
        ]
    )
    moments = stats.patch_moments
    assert moments.count == len(vectors) == 35 and vectors.shape[1] == 9 * channels
    np.testing.assert_allclose(moments.mean, vectors.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(
        moments.covariance, np.cov(vectors.T, ddof=0), rtol=1e-11, atol=1e-15
    )


def test_grey_and_colour_of_both_depths_are_put_together():
    images = [image for image in random_images(8, 40) if min(image.height, image.width) >= 3]
    assert len({(image.channels, image.levels) for image in images}) == 4
    stats = scanned(images, patches=PLAN)
    vectors = np.array(
        [
            np.repeat(vector, 3 // image.channels)
            for image, row in zip(images, stats.rows, strict=True)
            for vector in slow_vectors(image, PLAN, row.rank)
        ]
    )
    np.testing.assert_allclose(stats.patch_moments.mean, vectors.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        stats.patch_moments.covariance, np.cov(vectors.T, ddof=0), rtol=1e-9, atol=1e-14
    )


def test_places_are_drawn_by_the_name_and_cover_the_image():
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    one, other = (image_of(pixels, path=path) for path in ("a.png", "b.png"))
    plan = PatchPlan(1, 4096)
    first = scanned([one], patches=plan).patch_sums[1, 255]
    assert first.sums.item() != scanned([other], patches=plan).patch_sums[1, 255].sums.item()
    # 4,096 draws of 48 equal places: a mean of 23.5 ± 0.22 levels.
    assert abs(first.sums.item() / 4096 - 23.5) < 1


def test_images_without_patches():
    small, real = np.zeros((2, 9), np.uint8), np.zeros((9, 9), np.float32)
    for pixels in (small, real):
        with pytest.raises(NotFittedError, match=r"hold no patches"):
            scanned([image_of(pixels)], patches=PLAN).patch_moments  # noqa: B018
    exact = scanned([image_of(np.full((3, 3), 255, np.uint8))], patches=PLAN).patch_moments
    assert exact.mean.tolist() == [1.0] * 9 and not exact.covariance.any()


def test_white_words_stay_whole():
    plan = PatchPlan(1, 4096)
    sums = PatchSums.of(image_of(np.full((4, 4), 65535, np.uint16)), plan, b"seed")
    assert sums.products.item() == 4096 * 65535**2
    many = PatchSums(65535, 2**31 - 4096, sums.sums * (2**19 - 1), sums.products * (2**19 - 1))
    full = many.merge(sums)
    assert full.products.item() == 2**31 * 65535**2
    assert full.moments.mean.item() == 1.0 and full.moments.covariance.item() == 0.0
    with pytest.raises(LimitError, match="too many to sum"):
        full.merge(sums)


@pytest.mark.parametrize(("side", "count"), [(0, 1), (33, 1), (8, 0), (8, 4097)])
def test_a_plan_has_limits(side, count):
    with pytest.raises(ParameterError, match="1 to 32 px a side and 1 to 4,096 an image"):
        PatchPlan(side, count)
