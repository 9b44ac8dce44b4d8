"""A scan that was killed goes on where it stopped, and ends with the same bits."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from normviz.errors import NormvizError
from normviz.pipeline import STEPS, Pipeline
from normviz.read import read
from normviz.statistics import PatchPlan, Processes, scan, scanned
from normviz.statistics.checkpoint import Checkpoint
from normviz.statistics.dataset import DatasetStatistics
from normviz.statistics.rows import Row
from normviz.statistics.scanning import Task, _plan
from normviz.statistics.stored import to_text
from tests.statistics.making import Slow, folder_of, logged, none_left, plain_images, random_images

PLAN = {"mean_image": 4, "patches": PatchPlan(3, 5), "images_a_part": 4}

# What the subprocess runs: folder, checkpoint, log, workers; prints the statistics at the end.
SCRIPT = """
import sys
from normviz.read import read
from normviz.statistics import PatchPlan, Processes, scanned, scanning
from normviz.statistics.stored import to_text
from tests.statistics.making import Slow

if __name__ == "__main__":
    folder, checkpoint, log, workers = sys.argv[1:]
    scanning._RECORD_EVERY = 0.1
    engine = Processes(int(workers)) if workers != "0" else None
    stats = scanned(read(folder), mean_image=4, patches=PatchPlan(3, 5), images_a_part=4,
        checkpoint=checkpoint, engine=engine, transform=Slow(0.03, log))
    print(to_text(stats))
"""


def started(script: Path, *arguments: object) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("workers", [0, 2])
def test_after_kill_9_a_second_run_goes_on_and_ends_with_the_same_bits(tmp_path, workers):
    names = folder_of(tmp_path / "photos", 60)
    script, log, file = tmp_path / "run.py", tmp_path / "log", tmp_path / "scan.checkpoint"
    script.write_text(SCRIPT)
    arguments = (tmp_path / "photos", file, log, workers)
    first = started(script, *arguments)
    until = time.monotonic() + 40
    while not (log.exists() and len(logged(log)) > 30) and time.monotonic() < until:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = logged(log)
    assert 30 < len(before) < 60
    # Its workers do not go on without it.
    assert none_left({process for process, _ in before})
    log.unlink()
    second = started(script, *arguments)
    text, _ = second.communicate(timeout=60)
    measured = [name for _, name in logged(log)]
    assert second.returncode == 0 and set(measured) < set(names)
    assert 1 <= len(measured) < len(names)
    wanted = scanned(read(str(tmp_path / "photos")), transform=Slow(0), **PLAN)
    assert text.strip() == to_text(wanted) and wanted.images == 60
    # A third run has nothing left to measure.
    log.unlink()
    text, _ = started(script, *arguments).communicate(timeout=60)
    assert text.strip() == to_text(wanted) and not log.exists()


def stopped_after(images, parts: int, **options) -> DatasetStatistics:
    """Scan and stop at a snapshot; what is done is in the file."""
    running = scan(images, every=0.0, **options)
    for _ in range(parts):
        stats = next(running)
    running.close()
    return stats


@pytest.mark.parametrize("workers", [None, 2])
def test_rows_come_complete_and_in_order_after_a_resume(tmp_path, workers):
    images = random_images(3, count=40)
    file = tmp_path / "checkpoint"
    engine = Processes(workers) if workers else None
    first: list[Row] = []
    stopped = stopped_after(
        images, 3, checkpoint=file, on_rows=first.extend, engine=engine, seed=4, **PLAN
    )
    assert 0 < stopped.images < 40 and len(first) >= stopped.images
    again: list[Row] = []
    found = scanned(images, checkpoint=file, on_rows=again.extend, engine=engine, seed=4, **PLAN)
    whole: list[Row] = []
    wanted = scanned(images, on_rows=whole.extend, seed=4, **PLAN)
    assert again == whole and len(again) == 40
    assert again[: len(first)] == first
    assert to_text(found) == to_text(wanted)


def test_any_engine_goes_on_with_it(tmp_path):
    images, file = plain_images(70), tmp_path / "checkpoint"
    stopped = stopped_after(images, 1, checkpoint=file)
    assert 0 < stopped.images < 70
    found = scanned(images, checkpoint=file, engine=_Counting())
    assert to_text(found) == to_text(scanned(images))
    assert found.images - _Counting.images == stopped.images


class _Counting(Processes):
    images = 0

    def __init__(self) -> None:
        super().__init__(1)

    def results(self, work, parts):
        for count, found in super().results(work, parts):
            _Counting.images += found.statistics.images
            yield count, found


@pytest.mark.parametrize(
    "changed",
    [
        {"mean_image": 5},
        {"patches": PatchPlan(3, 6)},
        {"seed": 1},
        {"transform": Slow(0.0)},
        {"images_a_part": 3},
        {"on_rows": print},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_plan_is_refused(tmp_path, changed):
    images, file = plain_images(20), tmp_path / "checkpoint"
    stopped_after(images, 2, checkpoint=file, **PLAN)
    with pytest.raises(NormvizError, match="is of another scan: other or changed images"):
        scanned(images, checkpoint=file, **{**PLAN, **changed})
    # And the file is as good as before.
    assert scanned(images, checkpoint=file, **PLAN).images == 20


@pytest.mark.parametrize("kind", ["folder", "pattern", "list", "npy", "shards"])
def test_files_that_were_changed_since_are_refused(tmp_path, kind):
    folder, file = tmp_path / "photos", tmp_path / "checkpoint"
    names = folder_of(folder, 12)
    stack = np.stack([image.pixels for image in plain_images(12)])
    if kind == "npy":
        source, changed = tmp_path / "stack.npy", tmp_path / "stack.npy"
        np.save(source, stack)
    elif kind == "shards":
        source, changed = str(tmp_path / "shard-*.tar"), tmp_path / "shard-0.tar"
        with tarfile.open(changed, "w") as shard:
            for name in names:
                shard.add(folder / name, name)
    else:
        changed = folder / names[3]
        source = {"folder": folder, "pattern": str(folder / "*.png"), "list": tmp_path / "a.txt"}[
            kind
        ]
        (tmp_path / "a.txt").write_text("".join(f"photos/{name}\n" for name in names))
    known = scanned(source, checkpoint=file)
    assert known.images == 12 and to_text(scanned(source, checkpoint=file)) == to_text(known)
    # The same name and size, other bytes.
    found = changed.stat()
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    os.utime(changed, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000))
    with pytest.raises(NormvizError, match="other or changed images"):
        scanned(source, checkpoint=file)


def test_a_function_is_known_by_its_name_and_a_pipeline_by_all_its_numbers():
    def plan(transform):
        return _plan(_Parts(), Task(None, None, transform, False), None, False)

    def make():
        def transform(image):
            return image

        return transform

    one, other = make(), make()
    assert one is not other and plan(one) == plan(other)
    assert plan(one) != plan(plain_images)
    scale = [Pipeline([STEPS["scale"](value)]).fit() for value in (1 / 255, 1 / 255, 1 / 256)]
    assert plan(scale[0]) == plan(scale[1]) != plan(scale[2])


class _Parts(list):
    identity = "a set"


def test_what_is_no_checkpoint_is_refused_in_words(tmp_path):
    images = plain_images(4)

    def refused(path: Path) -> str:
        with pytest.raises(NormvizError) as error:
            scanned(images, checkpoint=path)
        assert str(error.value).startswith(f"{path}: ")
        return str(error.value)

    text = tmp_path / "text"
    text.write_text("These are notes of mine.\n" * 200)
    assert "cannot be used as a checkpoint (file is not a database)" in refused(text)
    assert text.read_text().startswith("These are notes")
    assert "cannot be used as a checkpoint" in refused(tmp_path / "nowhere" / "file")
    assert "cannot be used as a checkpoint" in refused(tmp_path)

    foreign = tmp_path / "foreign"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE scan (x)")
    database.close()
    before = foreign.read_bytes()
    assert "this is a database of something else. Name another file." in refused(foreign)
    assert foreign.read_bytes() == before

    damaged = tmp_path / "damaged"
    scanned(images, checkpoint=damaged)
    with sqlite3.connect(damaged) as database:
        database.execute("UPDATE scan SET statistics = substr(statistics, 1, 300)")
    database.close()
    assert "damaged ones" in refused(damaged) and "Name another file." in refused(damaged)

    cut = tmp_path / "cut"
    scanned(plain_images(400), checkpoint=cut, on_rows=len)
    data = cut.read_bytes()
    assert len(data) > 20_000
    cut.write_bytes(data[:6000])
    assert "cannot be used as a checkpoint" in refused(cut)


def test_a_checkpoint_in_use_is_refused(tmp_path):
    images, file = plain_images(12), tmp_path / "checkpoint"
    for _ in range(2):
        # A new file, then one that was begun.
        running = scan(images, checkpoint=file, every=0.0, images_a_part=2)
        next(running)
        with pytest.raises(NormvizError, match="another scan is writing to this checkpoint"):
            scanned(images, checkpoint=file, images_a_part=2, engine=_Unused())
        running.close()
    assert scanned(images, checkpoint=file, images_a_part=2).images == 12


class _Unused:
    def results(self, work, parts):
        raise AssertionError("it is refused before anything is measured")


def test_an_iterator_has_no_checkpoint(tmp_path):
    with pytest.raises(NormvizError, match="can be read once, in its own order"):
        scanned(iter(plain_images(2)), checkpoint=tmp_path / "file")


def test_only_whole_records_are_in_the_file(tmp_path):
    path = tmp_path / "file"
    whole = scanned(plain_images(3), mean_image=2)
    file = Checkpoint(path, "plan")
    file.record(2, whole, [(0, whole.rows[:2]), (1, whole.rows[2:])])
    with pytest.raises(NormvizError, match="datatype mismatch"):
        file.record(4, DatasetStatistics.empty(), [(0, ()), ("no number", ())])
    file.close()
    again = Checkpoint(path, "plan")
    assert again.done == 2 and to_text(again.statistics) == to_text(whole)
    assert [len(rows) for rows in again.rows()] == [2, 1]
    assert tuple(row for rows in again.rows() for row in rows) == whole.rows
    again.close()


def test_a_part_that_is_written_twice_is_there_once(tmp_path):
    """As after an interruption between the file's record and the memory of it."""
    path = tmp_path / "file"
    whole = scanned(plain_images(3), mean_image=2)
    file = Checkpoint(path, "plan")
    for _ in range(2):
        file.record(2, whole, [(0, whole.rows[:2]), (1, whole.rows[2:])])
    assert [len(rows) for rows in file.rows()] == [2, 1]
    file.close()


def test_an_interruption_while_a_part_is_added_counts_it_once(tmp_path):
    images = plain_images(6)
    whole = scanned(images, checkpoint=tmp_path / "whole", images_a_part=1)
    interrupted = []

    def on_rows(rows):
        if rows[0].position == 3 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt

    options = {"checkpoint": tmp_path / "file", "images_a_part": 1}
    with pytest.raises(KeyboardInterrupt):
        scanned(images, on_rows=on_rows, **options)
    rows = []
    again = scanned(images, on_rows=rows.extend, **options)
    assert to_text(again) == to_text(whole)
    assert [row.position for row in rows] == [0, 1, 2, 3, 4, 5]
