"""Statistics as text and back: whole, to the last bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from normviz.errors import ParameterError
from normviz.read import Problem
from normviz.statistics import DatasetStatistics, PatchPlan, scanned
from normviz.statistics.stored import FORMAT, from_text, row_of, row_record, to_text
from tests.statistics.making import plain_images, random_images


class _Photos(list):
    problems = (Problem("a.jpg", "it is cut off", "Copy it again"), Problem("b", "no image"))


@pytest.mark.parametrize("floats", [False, True])
def test_all_of_it_comes_back(floats):
    images = _Photos(random_images(2, 25, floats))
    stats = scanned(images, mean_image=4, patches=PatchPlan(2, 3))
    again = from_text(to_text(stats))
    assert to_text(again) == to_text(stats)
    assert again.rows == stats.rows and again.problems == stats.problems
    assert again.across == stats.across and again.unreadable == 2
    assert list(again.by_label) == list(stats.by_label) == ["cat", "dog"]
    for name in ("mean", "covariance", "low", "high", "fraction_mean_image", "fraction_std_image"):
        assert getattr(again, name).tobytes() == getattr(stats, name).tobytes()
    assert again.std.pooled.tobytes() == stats.std.pooled.tobytes()
    assert again.patch_moments.products.tobytes() == stats.patch_moments.products.tobytes()
    for label, part in stats.by_label.items():
        assert again.by_label[label].mean.tobytes() == part.mean.tobytes()
    # And it can be added to.
    assert to_text(again.merge(stats)) == to_text(stats.merge(again))
    assert again.merge(stats).images == 50


def test_an_empty_one_and_units_come_back():
    empty = DatasetStatistics.empty(3, PatchPlan(2, 2))
    again = from_text(to_text(empty))
    assert (again.side, again.plan, again.images) == (3, PatchPlan(2, 2), 0)
    unit = scanned(plain_images(4)).as_unit()
    assert from_text(to_text(unit)).units == unit.units and unit.units.images == 1


@pytest.mark.parametrize("side", [2, 8])
def test_the_mean_image_comes_back_in_the_images_own_size_or_squeezed(side):
    stats = scanned(plain_images(3), mean_image=side)
    again = from_text(to_text(stats))
    assert again.mean_image_is_squeezed == stats.mean_image_is_squeezed == (side == 2)
    np.testing.assert_array_equal(again.fraction_mean_image, stats.fraction_mean_image)
    np.testing.assert_array_equal(again.fraction_std_image, stats.fraction_std_image)
    assert to_text(again) == to_text(stats)


def test_a_former_format_is_named():
    with pytest.raises(ParameterError, match="stored in format 1, this version reads 2"):
        from_text('{"format": 1}')


def test_the_order_of_adding_does_not_show():
    one, other = (scanned(random_images(seed, 1)) for seed in (0, 3))
    assert one.parts.keys() != other.parts.keys()
    assert to_text(one.merge(other)) == to_text(other.merge(one))


def test_rows_come_back_whole():
    for row in scanned(random_images(1, 9, floats=True)).rows:
        assert row_of(json.loads(json.dumps(row_record(row)))) == row


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", "null", "7", "not json", '{"format": 2}', '{"format": 2, "parts": 3}'],
)
def test_what_is_not_stored_statistics_is_refused(text):
    with pytest.raises(ParameterError, match="no stored statistics, or damaged ones"):
        from_text(text)


def test_every_piece_that_is_missing_or_of_another_kind_is_refused():
    record = json.loads(to_text(scanned(plain_images(2), mean_image=2, patches=PatchPlan(2, 2))))
    for name in record:
        if name == "format":
            continue
        without = {key: value for key, value in record.items() if key != name}
        with pytest.raises(ParameterError, match="damaged"):
            from_text(json.dumps(without))
    packed = record["parts"][0][4]["table"]
    for at, wrong in (
        (0, "|O"),
        (0, "<i2"),
        (0, "<u8"),
        (1, [3, 255]),
        (2, packed[2][:40]),
        (2, "%%%"),
    ):
        broken = json.loads(json.dumps(record))
        broken["parts"][0][4]["table"][at] = wrong
        with pytest.raises(ParameterError, match="damaged"):
            from_text(json.dumps(broken))


def test_another_format_is_said():
    with pytest.raises(ParameterError, match=f"format 99, this version reads {FORMAT}"):
        from_text(json.dumps({"format": 99}))


def test_integers_beyond_64_bits_keep_all_their_digits():
    stats = scanned(plain_images(3))
    large = stats
    for _ in range(70):
        large = DatasetStatistics(parts={}, across={k: a.merge(a) for k, a in large.across.items()})
    assert large.across[3].terms[0].s == stats.across[3].terms[0].s << 70
    assert from_text(to_text(large)).across == large.across
    assert large.images == 3 << 70
