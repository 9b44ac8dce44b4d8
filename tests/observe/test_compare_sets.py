"""Effect sizes between two sets, against their definitions on the pixels themselves."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import normviz as nv
from normviz.errors import ParameterError
from normviz.images import image_of
from normviz.observe.compare_sets import SetRecord, compare_sets, total_variation, wasserstein, word


def images(seed, count, low, contrast, dtype=np.uint8):
    """Images of one size whose brightness differs."""
    rng = np.random.default_rng(seed)
    top = 255 if dtype == np.uint8 else 65535
    levels = [
        np.clip(rng.normal(low + rng.normal(0, 20), contrast, (11, 7, 3)), 0, 255) / 255 * top
        for _ in range(count)
    ]
    return np.stack(levels).astype(dtype)


def record(stack, **more):
    return {**nv.scan([image_of(one) for one in stack]).to_dict(), **more}


def test_effects_are_their_definitions_on_the_pixels():
    a, b = images(1, 14, 100, 30), images(2, 23, 120, 45)
    found = compare_sets(SetRecord.of(record(a), "a"), SetRecord.of(record(b), "b"))
    for at, one in enumerate(found.channels):
        x, y = (stack[..., at].reshape(len(stack), -1) / 255 for stack in (a, b))
        difference = y.mean() - x.mean()
        assert one.channel == "RGB"[at]
        assert one.difference == pytest.approx(difference, rel=1e-12)
        n, m = x.size, y.size
        pooled = math.sqrt((n * x.var() + m * y.var()) / (n + m))
        assert one.d_pixels == pytest.approx(difference / pooled, rel=1e-9)
        # Cohen 1988: the means of the images are the sample.
        p, q = x.mean(axis=1), y.mean(axis=1)
        spread = math.sqrt((13 * p.var(ddof=1) + 22 * q.var(ddof=1)) / (14 + 23 - 2))
        assert one.d_images == pytest.approx(difference / spread, rel=1e-9)
        assert one.log_std_ratio == pytest.approx(math.log(y.std() / x.std()), rel=1e-9)
        # Welch's t test, with the two-sided 5 % point of its degrees of freedom.
        s, t = p.var(ddof=1) / 14, q.var(ddof=1) / 23
        assert one.t == pytest.approx(difference / math.sqrt(s + t), rel=1e-9)
        freedom = (s + t) ** 2 / (s**2 / 13 + t**2 / 22)
        quantile = {26: 2.0555, 27: 2.0518, 28: 2.0484, 29: 2.0452, 30: 2.0423, 31: 2.0395}
        quantile |= {32: 2.0369, 33: 2.0345, 34: 2.0322, 35: 2.0301}
        width = quantile[int(freedom)] * math.sqrt(s + t)
        assert one.half_width == pytest.approx(width, rel=1e-4)


def test_distances_of_histograms_are_those_of_the_levels():
    a, b = images(1, 12, 100, 30), images(2, 12, 120, 45)
    found = compare_sets(SetRecord.of(record(a), "a"), SetRecord.of(record(b), "b"))
    for at, one in enumerate(found.channels):
        x, y = (np.sort(stack[..., at].ravel()) / 255 for stack in (a, b))
        # Of as many values in both: the mean distance of the sorted ones.
        assert one.wasserstein == pytest.approx(np.abs(x - y).mean(), rel=1e-9)
        p, q = (np.bincount(s[..., at].ravel(), minlength=256) / x.size for s in (a, b))
        assert one.total_variation == pytest.approx(np.abs(p - q).sum() / 2, rel=1e-12)


def test_sets_of_other_depths_are_compared_as_fractions():
    words = images(3, 12, 90, 30, np.uint16)
    bytes_ = (words >> 8).astype(np.uint8)
    found = compare_sets(SetRecord.of(record(bytes_), "a"), SetRecord.of(record(words), "b"))
    x, y = bytes_ / 255, words / 65535
    for at, one in enumerate(found.channels):
        assert one.difference == pytest.approx(y[..., at].mean() - x[..., at].mean(), abs=1e-12)
        assert abs(one.d_pixels) < 0.02 and one.total_variation == 0
    assert "0…255 and 0…65535" in found.notes[0] and "fractions" in found.notes[0]
    assert found.verdict.startswith("Alike")


def test_few_images_have_no_interval_and_it_is_said():
    a, b = images(1, 9, 100, 30), images(2, 30, 100, 30)
    found = compare_sets(SetRecord.of(record(a), "a"), SetRecord.of(record(b), "b"))
    assert found.channels[0].half_width is None and found.channels[0].t is None
    assert any("it takes 10 images" in note for note in found.notes)
    assert "too few images" in found.channels[0].verdict
    one = SetRecord.of(record(a[:1]), "one")
    assert compare_sets(one, one).channels[0].d_images is None


def test_stored_standard_errors_are_taken_where_there_are_some():
    a = images(1, 12, 100, 30)
    sample = {"unit": "shard", "count": 12, "standard_error_mean": [5.1, 5.1, 5.1]}
    first = SetRecord.of(record(a, as_sample=sample), "a")
    found = compare_sets(first, SetRecord.of(record(a + 10), "b")).channels[0]
    between = (a[..., 0].mean(axis=(1, 2)) / 255).var(ddof=1) / 12
    assert found.t == pytest.approx(found.difference / math.sqrt(0.02**2 + between), rel=1e-9)
    assert first.unit == "shard"


def test_a_difference_without_any_spread_is_infinite_and_large():
    flat = [np.full((12, 4, 4, 1), value, np.uint8) for value in (10, 20)]
    pair = [SetRecord.of(record(stack), name) for stack, name in zip(flat, "ab", strict=True)]
    found = compare_sets(*pair)
    assert found.channels[0].d_pixels == math.inf == found.largest_d
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))["channels"][0]
    assert told["d_pixels"] is None and told["words"]["d_pixels"] == "large"
    assert "infinitely many stds of pixels (large)" in told["verdict"]
    assert compare_sets(pair[0], pair[0]).channels[0].verdict == (
        "grey: mean and std are the same."
    )


def test_verdicts_say_how_large_and_whether_by_chance():
    a = images(1, 40, 100, 30)
    alike = compare_sets(SetRecord.of(record(a), "a"), SetRecord.of(record(a[::-1]), "b"))
    assert alike.verdict == "Alike: no difference of mean or std reaches 0.1 stds."
    found = compare_sets(
        SetRecord.of(record(a), "a"), SetRecord.of(record(images(2, 40, 140, 30)), "b")
    )
    first = found.channels[0]
    assert "higher" in first.verdict and "(large)" in first.verdict
    assert f"more than chance (± {first.half_width:.4f})" in first.verdict
    worst = max(abs(one.d_images) for one in found.channels)
    assert f"The largest difference is large ({worst:.2f}, channel " in found.verdict


@pytest.mark.parametrize(
    ("effect", "said"),
    [(0.0999, "negligible"), (-0.1, "small"), (0.4999, "small"), (0.5, "medium"), (-0.8, "large")],
)
def test_words_change_at_the_stated_bounds(effect, said):
    assert word(effect) == said


def test_distances_of_hand_made_histograms():
    a, b = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.5, 0.25, 0.25])
    assert total_variation(a, b) == 0.5
    assert wasserstein(a, b, 1.0) == 0.5 + 0.5 + 0.25


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"transform": "resize 8"}, "measured under different transforms: none"),
        ({"pipeline": {"steps": []}}, "the same steps with different numbers"),
    ],
)
def test_sets_measured_in_other_ways_are_refused(change, sentence):
    a = images(1, 3, 100, 30)
    first, second = SetRecord.of(record(a), "a"), SetRecord.of(record(a, **change), "b")
    with pytest.raises(ParameterError, match=sentence):
        compare_sets(first, second)
    grey = SetRecord.of(record(a[..., :1]), "grey")
    with pytest.raises(ParameterError, match="have 3 and 1 channels"):
        compare_sets(first, grey)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [1, 2]},
        {"mean": [1, 2, None]},
        {"mean": "abc"},
        {"std": []},
        {"value_range": [0, 0]},
        {"value_range": [0, math.inf]},
        {"channels": 2},
        {"images": 0},
        {"histogram": [[1] * 255] * 3},
        {"histogram": [[0] * 256] * 3},
        {"as_sample": {"standard_error_mean": [1, 1, 1]}},
    ],
)
def test_a_record_that_is_none_is_named(change):
    with pytest.raises(ParameterError, match=r"^x.json: this is no record of `normviz stats"):
        SetRecord.of(record(images(1, 3, 100, 30), **change), "x.json")
    with pytest.raises(ParameterError, match=r"^x\.json"):
        SetRecord.of([1], "x.json")


def test_a_record_that_is_an_estimate_says_so():
    shots = [image_of(one) for one in images(5, 40, 100, 30)]
    part = next(nv.statistics.scan(shots, seed=1, every=0, images_a_part=12))
    whole = {**nv.scan(shots).to_dict(), "reading": {"images": 40, "of": 40}}
    found = compare_sets(SetRecord.of(whole, "a"), SetRecord.of(part.to_dict(), "b"))
    assert [one.words for one in found.taken] == [
        "40 images",
        "an estimate from 12 of 40 images",
    ]
    first, second = json.loads(json.dumps(found.to_dict()))["taken"]
    assert (first["complete"], first["images"], first["unit"]) == (True, 40, None)
    assert second == {
        "images": 12,
        "of": 40,
        "complete": False,
        "unit": "image",
        "count": 12,
        "units": 40,
        "said": "an estimate from 12 of 40 images",
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"estimate": {"unit": "image", "count": 12, "of": None}}, "an estimate from 12 images"),
        (
            {
                "estimate": {"unit": "shard", "count": 3, "of": 1000},
                "reading": {"images": 12, "of": 4000},
            },
            "an estimate from 12 of 4,000 images, in 3 of 1,000 shards",
        ),
        ({}, "a part of the set, 12 images"),
    ],
)
def test_what_a_part_of_a_set_is_called(more, words):
    part = record(images(5, 12, 100, 30), complete=False, **more)
    assert SetRecord.of(part, "a").taken.words == words


@pytest.mark.parametrize(
    "more",
    [
        {"complete": "no"},
        {"complete": False, "estimate": {"unit": "image"}},
        {"complete": False, "estimate": {"unit": "pixel", "count": 2, "of": 3}},
        {"complete": False, "estimate": {"unit": "image", "count": 2, "of": math.inf}},
        {"complete": False, "estimate": [1]},
        {"reading": 7},
    ],
)
def test_an_estimate_that_is_none_is_refused(more):
    with pytest.raises(ParameterError, match="a: this is no record"):
        SetRecord.of(record(images(5, 12, 100, 30), **more), "a")
