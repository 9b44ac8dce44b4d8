"""What is said of a set, against sums written out here and against the scan's own estimate."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.images import image_of
from normviz.observe.dataset import (
    MEASURES,
    RANKS,
    between_share,
    by_label,
    convergence,
    convergence_words,
    exactness_words,
    label_share,
    label_words,
    near_duplicates,
    pictures_words,
    ranked,
    scatter_words,
    split_words,
    taken_words,
)
from normviz.observe.sentences import percent
from normviz.read.some import some
from normviz.samples import SAMPLES, load_sample
from normviz.statistics import scan
from normviz.statistics.estimate import FEWEST, estimate

RNG = np.random.default_rng(11)


def noise(height=9, width=7, mean=120, std=30, label=None):
    pixels = np.clip(RNG.normal(mean, std, (height, width, 3)), 0, 255).astype(np.uint8)
    return image_of(pixels, path=f"{mean}-{std}-{height}x{width}.png", label=label)


# From nearly black to nearly white, so that some of them are clipped.
MIXED = [noise(5 + at % 4, 6 + at % 7, 20 + 9 * at, 20 + at % 9) for at in range(24)]


def test_measures_are_those_of_the_pixels():
    rows = nv.scan(MIXED).rows
    assert (MIXED[0].pixels == 0).any() and (MIXED[-1].pixels == 255).any()
    for at, image in enumerate(MIXED):
        x = image.pixels.astype(float)
        found = {name: one.values(rows, 0.0, 255.0)[at] for name, one in MEASURES.items()}
        clipped = (x == 0).mean() * 100, (x == 255).mean() * 100
        expected = {
            "mean": x.mean(),
            "std": x.std(),
            "clipped": sum(clipped),
            "clipped_low": clipped[0],
            "clipped_high": clipped[1],
            "red_blue": x[..., 0].mean() - x[..., 2].mean(),
            "pixels": x.shape[0] * x.shape[1] / 1e6,
            "shape": x.shape[1] / x.shape[0],
        }
        sharpness = found.pop("sharpness")
        assert found == pytest.approx(expected, abs=1e-9)
        green = x[..., 1]
        steps = [(green[2:] - green[:-2]).ravel(), (green[:, 2:] - green[:, :-2]).ravel()]
        assert sharpness == pytest.approx(np.sqrt((np.concatenate(steps) ** 2).mean()), rel=1e-6)


def test_a_mean_counts_from_the_lowest_value_and_a_std_does_not():
    low = image_of(np.full((4, 4, 1), -0.5, np.float32), (-1.0, 1.0))
    rows = nv.scan([low]).rows
    assert MEASURES["mean"].values(rows, -1.0, 2.0) == pytest.approx([-0.5])
    assert MEASURES["std"].values(rows, -1.0, 2.0) == pytest.approx([0.0])


@pytest.mark.parametrize("rank", RANKS)
def test_ranks_begin_at_their_end(rank):
    images = [load_sample(key) for key in SAMPLES]
    rows = nv.scan(images).rows
    values = {
        "darkest": lambda x: x.mean(),
        "brightest": lambda x: -x.mean(),
        "flattest": lambda x: x.std(),
        "clipped": lambda x: -((x == 0) | (x == 255)).mean(),
        "blurriest": lambda x: (
            np.concatenate(
                [(x[2:, :, 1] - x[:-2, :, 1]).ravel(), (x[:, 2:, 1] - x[:, :-2, 1]).ravel()]
            )
            ** 2
        ).mean(),
    }[rank]
    order = sorted(range(len(images)), key=lambda at: values(images[at].pixels.astype(float)))
    assert ranked(rows, RANKS[rank]) == order
    assert ranked(rows, RANKS[rank], 3) == order[:3]


def test_near_duplicates_are_the_same_view_in_other_light_and_no_two_others():
    keys = list(SAMPLES)
    rows = nv.scan([load_sample(key) for key in keys]).rows
    found = [(keys[p.first], keys[p.second], p.bits) for p in near_duplicates(rows)]
    assert found == [
        ("forest_day", "forest_underexposed", 4),
        ("forest_day", "forest_overexposed", 6),
    ]


def test_near_duplicates_in_blocks_are_those_of_every_pair(monkeypatch):
    small = [noise(8, 8) for _ in range(20)]
    rows = nv.scan([*small, small[3], small[17]]).rows
    monkeypatch.setattr("normviz.observe.dataset._BLOCK", 5)
    expected = sorted(
        (bin(rows[a].fingerprint ^ rows[b].fingerprint).count("1"), a, b)
        for a in range(len(rows))
        for b in range(a + 1, len(rows))
    )
    near = expected[5][0]
    found = [(pair.bits, pair.first, pair.second) for pair in near_duplicates(rows, near)]
    assert found == [one for one in expected if one[0] <= near]
    assert found[:2] == [(0, 3, 20), (0, 17, 21)]


def test_flat_images_are_no_duplicates_of_each_other():
    flat = [image_of(np.full((8, 8), value, np.uint8)) for value in (0, 255)]
    assert near_duplicates(nv.scan(flat).rows) == []


def test_the_share_between_images_is_what_own_means_remove():
    statistics = nv.scan(MIXED)
    own = [image.pixels - image.pixels.mean(axis=(0, 1)) for image in MIXED]
    left = np.concatenate([x.reshape(-1, 3) for x in own]).var(axis=0)
    before = np.concatenate([image.pixels.reshape(-1, 3) for image in MIXED]).var(axis=0)
    np.testing.assert_allclose(between_share(statistics), 1 - left / before, rtol=1e-9)
    said = percent(1 - left.sum() / before.sum())
    assert split_words(statistics).startswith(f"{said} of the variance lies between images")


def test_one_image_and_one_value_have_no_split():
    assert "One image" in split_words(nv.scan([MIXED[0]]))
    assert "no variance" in split_words(nv.scan([image_of(np.full((3, 3), 7, np.uint8))] * 2))


def test_labels_with_the_numbers_of_their_pixels():
    images = [noise(mean=40 + 35 * at, label=label) for at, label in enumerate("bacabc")]
    statistics = nv.scan(images)
    found = by_label(statistics)
    assert [one.mean for one in found] == sorted(one.mean for one in found)
    for one in found:
        x = np.concatenate([i.pixels.ravel() for i in images if i.label == one.label])
        count = sum(i.label == one.label for i in images)
        assert (one.images, one.mean, one.std) == (
            count,
            pytest.approx(x.mean()),
            pytest.approx(x.std()),
        )
    means = {i: image.pixels.mean() for i, image in enumerate(images)}
    values = np.array(list(means.values()))
    within = sum(
        np.square(group - group.mean()).sum()
        for name in "abc"
        for group in [values[[i.label == name for i in images]]]
    )
    share = 1 - within / np.square(values - values.mean()).sum()
    assert label_share(statistics.rows) == pytest.approx(share)
    words = label_words(statistics)
    assert words.startswith(f"“{found[-1].label}” is brightest") and percent(share) in words


def test_the_running_mean_and_its_band_are_the_scans_own_estimate():
    final = nv.scan(MIXED)
    found = convergence(final, seed=4)
    order = np.random.default_rng(4).permutation(len(MIXED))
    assert found.images.tolist()[-1] == len(MIXED)
    for at, count in enumerate(found.images.tolist()):
        part = [MIXED[i] for i in order[:count]]
        np.testing.assert_allclose(found.mean[at], nv.scan(part).mean, rtol=1e-12)
        if count < FEWEST:
            assert np.isinf(found.half_width[at]).all()
            continue
        other = estimate(nv.scan(part)._across, "image", len(MIXED))
        np.testing.assert_allclose(found.half_width[at], other.mean * 255, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.mean[-1], final.mean, rtol=1e-12)
    assert "Images are the sample, not their pixels" in convergence_words(found, 3, 255)
    assert found.complete and "; the final value of " in convergence_words(found, 3, 255)
    few = convergence(nv.scan(MIXED[:4]))
    assert convergence_words(few, 3, 255).startswith("4 images are too few")
    assert few.complete and few.read == 4


def test_the_end_of_a_pass_that_was_stopped_is_no_final_value():
    part = list(scan(MIXED, seed=1, every=0, images_a_part=6))[1]
    found = convergence(part)
    assert (found.complete, found.read, found.of) == (False, 12, 24)
    np.testing.assert_allclose(found.final, part.mean, rtol=1e-12)
    words = convergence_words(found, 3, 255)
    assert "; the estimate from all 12 images read lies in that band for " in words
    assert "After 10 of 24 images" in words and "final" not in words


def test_the_band_covers_the_final_value_about_as_often_as_it_says():
    final = nv.scan(MIXED)
    covered = []
    for seed in range(400):
        found = convergence(final, seed)
        at = int(np.searchsorted(found.images, 12))
        covered.append(np.abs(found.mean[at] - found.final) <= found.half_width[at])
    # 95 % of 400 with three correlated channels: 0.022 is two standard errors of one.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_what_is_stopped_says_that_it_is_an_estimate():
    first = next(scan(MIXED, seed=1, every=0, images_a_part=4))
    assert taken_words(first, 24).startswith("an estimate (too few images for an interval")
    *_, partial, last = scan(MIXED, seed=1, every=0, images_a_part=6)
    assert partial.images == 24 and last.estimate is None
    half = list(scan(MIXED, seed=1, every=0, images_a_part=6))[1]
    words = taken_words(half, 24)
    assert words.startswith("an estimate (95 %: means ±0.") and words.endswith("12 of 24 images")
    assert exactness_words(half).startswith("An estimate from 12 images drawn at random: 95 %")
    assert (
        exactness_words(last) == f"Exact: every pixel of 24 images, {last.pixels:,} pixels a "
        "channel."
    )
    assert taken_words(last, 24) == "24 images"
    assert taken_words(last, 30) == "24 of 30 images"


def test_words_of_the_scatter_and_the_mean_image():
    rows = nv.scan(MIXED).rows
    titles = [image.path for image in MIXED]
    x = np.array([image.pixels.mean() for image in MIXED])
    y = np.array([image.pixels.std() for image in MIXED])
    r = np.corrcoef(x, y)[0, 1]
    far = int(np.argmax(((x - x.mean()) / x.std()) ** 2 + ((y - y.mean()) / y.std()) ** 2))
    words = scatter_words(rows, "mean", "std", (0.0, 255.0), titles)
    assert f"(r = {r:.2f} over 24 images)".replace("-", "−") in words and titles[far] in words
    half = np.tile(np.r_[np.zeros(4), np.full(4, 200)].astype(np.uint8), (8, 1))
    left = image_of(np.stack([half, half // 2, half // 4 + 100], axis=2))
    statistics = nv.scan([left, left], mean_image=8)
    words = pictures_words(statistics)
    assert words.startswith("Where in the picture a pixel lies accounts for 100.0 % of the")


def test_some_images_of_a_collection_are_scanned_as_if_they_were_all():
    kept = [5, 1, 20]
    one, other = nv.scan(some(MIXED, kept)), nv.scan([MIXED[at] for at in kept])
    assert one.mean.tolist() == other.mean.tolist() and one.images == 3
    photos = some(MIXED, kept)
    assert photos.paths == [MIXED[at].path for at in kept]
    assert [row.path for row in one.rows] == photos.paths
