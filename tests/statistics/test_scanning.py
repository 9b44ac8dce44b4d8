"""Scanning: the same bits however the work is cut, and stopping once enough is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normviz.errors import NormvizError, ParameterError, ReadError
from normviz.images import image_of
from normviz.read import Problem, parts_of
from normviz.statistics import DatasetStatistics, PatchPlan, Processes, scan, scanned
from normviz.statistics.dataset import Reading
from normviz.statistics.engines import Here
from normviz.statistics.scanning import _PARTS_TOGETHER, FEWEST_FOR_UNTIL, Found, Task, _is_look
from normviz.statistics.stored import to_text
from tests.statistics.making import plain_images, random_images

PLAN = {"mean_image": 5, "patches": PatchPlan(3, 4)}

# What of float images is added in float64, and so depends on the grouping in its last bits.
ROUNDED = {"mean", "squares"}


def one_by_one(images) -> list[DatasetStatistics]:
    """The statistics of each image alone, at its place."""
    task = Task(PLAN["mean_image"], PLAN["patches"], None, False)
    found = [task(part) for part in parts_of(images, 1)]
    return [_with_rows(one) for one in found]


def _with_rows(found: Found) -> DatasetStatistics:
    return replace(found.statistics, rows=found.rows)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 14), data=st.data())
def test_any_order_split_and_tree_gives_the_same_bits_in_everything(seed, count, data):
    images = random_images(seed, count)
    wanted = to_text(scanned(images, **PLAN))
    size = data.draw(st.integers(1, 6))
    assert to_text(scanned(images, images_a_part=size, **PLAN)) == wanted
    assert to_text(scanned(images, seed=data.draw(st.integers(0, 9)), **PLAN)) == wanted
    # A random tree: two of the heap are taken out, and their sum is put back.
    heap = data.draw(st.permutations(one_by_one(images)))
    heap.append(DatasetStatistics.empty(*PLAN.values()))
    while len(heap) > 1:
        left = heap.pop(data.draw(st.integers(0, len(heap) - 1)))
        right = heap.pop(data.draw(st.integers(0, len(heap) - 1)))
        heap.append(left.merge(right))
    assert to_text(heap[0]) == wanted
    assert _estimate(heap[0]) == _estimate(scanned(images, **PLAN))


def _estimate(stats: DatasetStatistics) -> dict | None:
    found = stats.with_reading(Reading(False, 1000, "image", 1000)).estimate
    return None if found is None else found.to_dict(1.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 12), data=st.data())
def test_of_floats_all_that_is_told_is_free_of_the_order_and_moments_keep_their_bound(
    seed, count, data
):
    images = random_images(seed, count, floats=True)
    whole = scanned(images, **PLAN)
    heap = data.draw(st.permutations(one_by_one(images)))
    while len(heap) > 1:
        left = heap.pop(data.draw(st.integers(0, len(heap) - 1)))
        right = heap.pop(data.draw(st.integers(0, len(heap) - 1)))
        heap.append(left.merge(right))
    (other,) = heap
    for name in ("mean", "fraction_mean", "fraction_std", "covariance", "low", "high"):
        assert getattr(other, name).tobytes() == getattr(whole, name).tobytes(), name
    for name in ("pooled", "rms_of_images", "mean_of_images"):
        assert getattr(other.std, name).tobytes() == getattr(whole.std, name).tobytes(), name
    assert other.variance.within.tobytes() == whole.variance.within.tobytes()
    assert other.variance.between.tobytes() == whole.variance.between.tobytes()
    assert other.fraction_mean_image.tobytes() == whole.fraction_mean_image.tobytes()
    assert other.rows == whole.rows and _estimate(other) == _estimate(whole)
    assert (other.percentiles is None) == (whole.percentiles is None)
    for q, values in (whole.percentiles or {}).items():
        assert other.percentiles[q].tobytes() == values.tobytes()
    for key, part in whole.parts.items():
        if key.levels:
            assert other.parts[key].table.tobytes() == part.table.tobytes()
            continue
        bound = 1e-15 * count * max(map(abs, key.value_range))
        np.testing.assert_allclose(other.parts[key].mean, part.mean, rtol=0, atol=bound)
        np.testing.assert_allclose(other.parts[key].variance, part.variance, rtol=1e-12, atol=bound)
        np.testing.assert_array_equal(other.parts[key].table, part.table)


@dataclass(frozen=True)
class _Fails:
    """A transform that refuses, as one of ours or as a reader does."""

    error: Exception = field(default_factory=lambda: NormvizError("too flat."))

    def __call__(self, image):
        if image.path == "0001.png":
            raise self.error
        return image


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (NormvizError("too flat."), Problem("0001.png", "too flat")),
        (
            ReadError("0001.png", "it is cut off", "Copy it again"),
            Problem("0001.png", "it is cut off", "Copy it again"),
        ),
    ],
)
def test_an_image_that_a_transform_refuses_is_a_problem(error, problem):
    found = scanned(plain_images(3), transform=_Fails(error))
    assert found.images == 2 and found.problems == (problem,)
    assert str(found.problems[0]).count("0001.png") == 1


def test_a_transform_is_done_before_measuring():
    found = scanned(plain_images(4), transform=_Inverted())
    wanted = 255 - scanned(plain_images(4)).mean
    np.testing.assert_allclose(found.mean, wanted, rtol=1e-13)


class _Inverted:
    def __call__(self, image):
        return image_of(255 - image.pixels, path=image.path)


MANY = plain_images(3000, side=4)


@pytest.fixture(scope="module")
def until():
    return scanned(MANY, until=0.02, seed=5)


def test_until_stops_early_with_an_estimate_that_says_what_it_is(until):
    assert FEWEST_FOR_UNTIL <= until.images < 800
    assert until.images % 32 == 0 and _is_look(until.images // 32)
    reading, estimate = until.reading, until.estimate
    assert (reading.complete, reading.total, reading.unit, reading.units) == (
        False,
        3000,
        "image",
        3000,
    )
    assert (estimate.unit, estimate.count, estimate.of) == ("image", until.images, 3000)
    assert 0.01 < estimate.widest <= 0.02
    record = until.to_dict()
    assert record["complete"] is False and record["estimate"]["confidence"] == 0.95
    assert record["estimate"]["half_width_mean"] == (estimate.mean * 255).tolist()
    whole = scanned(MANY)
    assert (abs(until.fraction_mean - whole.fraction_mean) < 2 * estimate.mean).all()
    assert whole.estimate is None and whole.reading.complete
    # The look before it was not enough.
    earlier = max(look for look in range(1, until.images // 32) if _is_look(look))
    before = next(
        stats
        for stats in scan(MANY, seed=5, images_a_part=32, every=0.0)
        if stats.images == 32 * earlier
    )
    assert before.estimate.widest > 0.02 or before.images < FEWEST_FOR_UNTIL


def test_until_gives_the_same_bits_with_one_worker_and_with_two(until):
    for engine in (Here(), Processes(1), Processes(2)):
        again = scanned(MANY, until=0.02, seed=5, engine=engine)
        assert to_text(again) == to_text(until) and again.reading == until.reading
        # The first number of images at which it may stop is that of four parts of 32.
        assert scanned(MANY, until=0.1, seed=5, engine=engine).images == 128
    other = scanned(MANY, until=0.02, seed=6)
    assert to_text(other) != to_text(until)
    assert to_text(scanned(MANY, until=0.02)) == to_text(scanned(MANY, until=0.02, seed=0))


def test_until_goes_on_from_a_checkpoint_to_the_same_bits(until, tmp_path):
    file = tmp_path / "checkpoint"
    for _ in range(3):
        running = scan(MANY, until=0.02, seed=5, checkpoint=file, every=0.0)
        next(running)
        running.close()
    # Done: a further scan ends at once, with what is known.
    found = [scanned(MANY, until=0.02, seed=5, checkpoint=file) for _ in range(2)]
    assert [to_text(one) for one in found] == [to_text(until)] * 2
    # And a closer one goes on from there.
    closer = scanned(MANY, until=0.01, seed=5, checkpoint=file)
    assert closer.images > until.images
    assert to_text(closer) == to_text(scanned(MANY, until=0.01, seed=5))


def test_until_reads_all_where_only_that_is_enough():
    found = scanned(MANY[:150], until=1e-6)
    assert found.images == 150 and found.reading.complete and found.estimate is None


@pytest.mark.parametrize("until", [0, 1, -0.5, 2.0])
def test_until_is_a_share_of_the_range(until):
    with pytest.raises(ParameterError, match="a share of the value range between 0 and 1"):
        scanned(MANY[:2], until=until)


def test_looks_are_at_growing_sizes():
    looks = [parts for parts in range(1, 10**5) if _is_look(parts)]
    assert looks[:20] == [*range(1, 17), 18, 20, 22, 24]
    growth = np.divide(looks[16:], looks[15:-1])
    assert growth.min() > 1.06 and growth.max() < 1.126


def shards(images, a_shard: int):
    parts = parts_of(images, a_shard)
    parts.unit = "shard"
    return parts


def test_shards_are_the_units_of_an_estimate_whatever_they_hold():
    images = plain_images(240)
    snapshots = list(scan(shards(images, 4), seed=0, every=0.0))
    half = snapshots[29]
    assert half.images == 120 and half.units.images == 30
    assert (half.estimate.unit, half.estimate.count, half.estimate.of) == ("shard", 30, 60)
    # By hand: the ratio estimate of 30 shards of 192 pixels… of which 64 a channel.
    sums = np.array(
        [
            np.sum([one.pixels[..., 0].sum() / 255 for one in images[at : at + 4]])
            for at in range(0, 120, 4)
        ]
    )
    n = 4 * 64
    error = np.sqrt(np.var(sums, ddof=1) / 30) / n * np.sqrt(1 - 30 / 60)
    assert half.estimate.mean[0] == pytest.approx(2.0452 * error, rel=1e-3)


def test_halves_of_a_shard_are_one_shard():
    images = plain_images(8)
    task = Task(None, None, None, by_shard=True)
    (part,) = parts_of(images, 8)
    halves = [task(half) for half in part.halves()]
    whole = task.whole(halves)
    assert whole.statistics.units == task(part).statistics.units
    assert whole.statistics.units.images == 1 and task.joined(halves).statistics.units.images == 2
    assert whole.rows == task(part).rows


def test_a_lost_part_is_counted_and_named():
    (part,) = parts_of(plain_images(1), 1)
    lost = Task(3, None, None, by_shard=True).lost(part)
    assert lost.statistics.images == 0 and lost.statistics.unreadable == 1
    assert lost.statistics.units is None and lost.rows == ()
    assert "ended by the system" in str(lost.statistics.problems[0])


def test_rows_are_given_in_the_order_in_which_they_are_read():
    given_rows: list = []
    images = plain_images(50)
    found = scanned(images, on_rows=given_rows.extend, seed=1, images_a_part=4)
    assert sorted(row.position for row in given_rows) == list(range(50))
    assert [row.position for row in given_rows] != list(range(50))
    assert [row.position for row in found.rows] == list(range(50))
    assert all(row.path == images[row.position].path for row in given_rows)


def test_parts_are_joined_only_where_nothing_is_decided_in_between():
    seen = []

    class Spy(Here):
        def results(self, work, parts):
            seen.append(work.together)
            yield from super().results(work, parts)

    scanned(plain_images(3), engine=Spy())
    scanned(plain_images(3), engine=Spy(), until=0.5)
    assert seen == [_PARTS_TOGETHER, 1]
