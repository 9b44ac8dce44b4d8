"""The engines: the same bits with each, whatever is killed, and nothing left behind."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from normviz.errors import NormvizError, ParameterError
from normviz.read import read
from normviz.statistics import Dask, PatchPlan, Pool, Processes, scan, scanned
from normviz.statistics.engines import Here
from normviz.statistics.stored import to_text
from tests.statistics.making import (
    KillsItsProcess,
    Refuses,
    Slow,
    alive,
    folder_of,
    logged,
    none_left,
    plain_images,
    random_images,
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
PLAN = {"mean_image": 4, "patches": PatchPlan(3, 5)}


@pytest.fixture(scope="module")
def dask() -> Iterator[Dask]:
    pytest.importorskip("distributed")
    with Dask(workers=2) as engine:
        yield engine


@pytest.fixture(params=["processes", "dask"])
def workers(request):
    """An engine whose workers are processes."""
    return Processes(2) if request.param == "processes" else request.getfixturevalue("dask")


def test_every_engine_gives_the_same_bits(dask):
    images = random_images(5, count=40, floats=True)
    wanted = to_text(scanned(images, engine=Here(), images_a_part=3, **PLAN))
    integers = random_images(6, count=40)
    wanted_integers = to_text(scanned(integers, **PLAN))
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(1) as processes:
        for engine in (threads, Pool(threads, ahead=2), processes, Processes(2)):
            assert to_text(scanned(images, engine=engine, images_a_part=3, **PLAN)) == wanted
            assert to_text(scanned(integers, engine=engine, **PLAN)) == wanted_integers
    for size in (1, 30):
        found = scanned(integers, engine=dask, images_a_part=size, **PLAN)
        assert to_text(found) == wanted_integers
    # The float parts themselves are merged in another grouping; all that is told is the same.
    for name in ("mean", "fraction_std", "covariance", "low", "high", "fraction_mean_image"):
        told = [getattr(scanned(images, engine=engine, **PLAN), name) for engine in (None, dask)]
        assert told[0].tobytes() == told[1].tobytes()


def test_a_worker_that_is_killed_changes_no_bit(workers, tmp_path):
    folder_of(tmp_path / "photos", 40)
    (tmp_path / "flags").mkdir()
    photos = read(str(tmp_path / "photos"))
    wanted = to_text(scanned(photos, **PLAN))
    for times in (1, 2):
        kills = KillsItsProcess("0017.png", str(tmp_path / "flags"), times)
        found = scanned(photos, engine=workers, images_a_part=4, transform=kills, **PLAN)
        assert to_text(found) == wanted and found.images == 40
        assert len(list((tmp_path / "flags").iterdir())) == times


def test_of_a_part_that_ends_every_worker_one_image_is_lost(workers, tmp_path):
    names = folder_of(tmp_path / "photos", 12)
    (tmp_path / "flags").mkdir()
    photos = read(str(tmp_path / "photos"))
    kills = KillsItsProcess("0009.png", str(tmp_path / "flags"))
    found = scanned(photos, engine=workers, images_a_part=4, transform=kills)
    assert found.images == 11 and found.unreadable == 1
    others = [name for name in names if name != "0009.png"]
    assert [Path(row.path).name for row in found.rows] == others
    (problem,) = found.problems
    assert "every process that read it was ended" in problem.reason
    # Named by the key of its part, which is that of one image by now.
    assert problem.path in ("9", "0009.png") or problem.path.endswith("0009.png")
    without = [photos[at] for at in range(12) if at != 9]
    assert found.mean.tolist() == scanned(without).mean.tolist()


def test_an_error_of_normviz_is_a_problem_of_one_image(workers):
    images = plain_images(20)
    refuses = Refuses("0007.png", expected=True)
    found = scanned(images, engine=workers, images_a_part=4, transform=refuses)
    assert found.images == 19 and found.unreadable == 1
    assert found.problems[0].path == "0007.png"
    assert found.problems[0].reason == "0007.png is not to my taste"
    assert to_text(found) == to_text(scanned(images, transform=refuses))


def test_an_unexpected_error_comes_out_and_leaves_no_process(tmp_path):
    log = tmp_path / "log"
    images = plain_images(60)
    transform = _Both(Slow(0.01, str(log)), Refuses("0021.png", expected=False))
    with pytest.raises(ZeroDivisionError, match="a fault in a transform"):
        scanned(images, engine=Processes(2), images_a_part=4, transform=transform)
    processes = {process for process, _ in logged(log)}
    assert processes and none_left(processes)


def test_an_unexpected_error_comes_out_of_dask_too(dask):
    with pytest.raises(ZeroDivisionError, match="a fault in a transform"):
        scanned(plain_images(9), engine=dask, transform=Refuses("0002.png", expected=False))
    assert scanned(plain_images(9), engine=dask).images == 9


class _Both:
    def __init__(self, *of) -> None:
        self.of = of

    def __call__(self, image):
        for one in self.of:
            image = one(image)
        return image


@pytest.mark.parametrize("engine", [Processes, Dask])
def test_stopped_early_nothing_is_left(engine, tmp_path):
    if engine is Dask:
        pytest.importorskip("distributed")
    log = tmp_path / "log"
    images = plain_images(200)
    slow = Slow(0.1, str(log))
    running = scan(images, engine=engine(workers=2), images_a_part=1, transform=slow, every=0.0)
    # Until both workers are at work.
    for _ in running:
        if len({process for process, _ in logged(log)}) == 2:
            break
    before = len(logged(log))
    assert before < 150
    start = time.monotonic()
    running.close()
    assert time.monotonic() - start < 8
    processes = {process for process, _ in logged(log)}
    assert len(processes) == 2 and none_left(processes)
    assert len(logged(log)) <= before + 6


def test_a_long_part_is_not_waited_for(tmp_path):
    log = tmp_path / "log"
    images = plain_images(3)
    parts = scan(images, engine=Processes(2), images_a_part=1, transform=_SlowAfter(str(log)))
    with pytest.raises(_Stop):
        for _ in _stopping(parts, log):
            pass
    assert none_left({process for process, _ in logged(log)})


class _Stop(Exception):
    pass


def _stopping(parts, log):
    """As Ctrl-C does: stop while a worker is at a part that takes a minute."""
    try:
        for stats in parts:
            yield stats
            raise _Stop
    finally:
        start = time.monotonic()
        parts.close()
        assert time.monotonic() - start < 5


class _SlowAfter:
    def __init__(self, log: str) -> None:
        self.log = log

    def __call__(self, image):
        return Slow(0.3 if image.path == "0000.png" else 60, self.log)(image)


def test_what_cannot_be_sent_is_refused_in_words(dask):
    for engine in (Processes(1), dask):
        with pytest.raises(ParameterError, match="cannot be sent to another process"):
            scanned(plain_images(2), engine=engine, transform=lambda image: image)


def test_numbers_of_workers_are_checked():
    with pytest.raises(ParameterError, match="at least one process"):
        Processes(0)
    with pytest.raises(ParameterError, match="at least one worker"):
        Dask(workers=0)
    with pytest.raises(ParameterError, match="a scheduler has its own workers"):
        Dask("tcp://127.0.0.1:1", workers=2)


def test_an_executor_that_broke_is_said(tmp_path):
    (tmp_path / "flags").mkdir()
    kills = KillsItsProcess("0001.png", str(tmp_path / "flags"))
    with (
        ProcessPoolExecutor(1) as executor,
        pytest.raises(NormvizError, match="with a checkpoint it goes on where it stopped"),
    ):
        scanned(plain_images(4), engine=executor, images_a_part=1, transform=kills)


def test_an_executor_is_not_shut_down():
    with ThreadPoolExecutor(1) as threads:
        assert scanned(plain_images(3), engine=threads).images == 3
        assert threads.submit(int, "7").result() == 7


@pytest.mark.parametrize(
    "address",
    [
        "rubbish",
        "tcp://",
        "host:8786",
        "tcp://host",
        "tcp://host:x",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://::1:8786",
        "tcp://a b:1",
        "tcp://me@host:8786",
        "tcp://host:8786/path",
        "",
    ],
)
def test_what_is_no_address_of_a_scheduler_is_refused(address):
    with pytest.raises(ParameterError, match="is no address of a Dask scheduler: give protocol"):
        Dask(address)


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "tls://a-b.c_d:1", "tcp://[fe80::1%eth0]:65535", "ws://h:80"]
)
def test_an_address_of_a_scheduler_is_asked_as_it_is(monkeypatch, address):
    pytest.importorskip("distributed")
    asked = []

    def nobody(scheduler):
        asked.append(scheduler)
        raise NormvizError("nobody answers")

    monkeypatch.setattr("normviz.statistics.on_dask._refuse_no_answer", nobody)
    with pytest.raises(NormvizError, match="nobody answers"):
        scanned(plain_images(2), engine=Dask(address))
    assert asked == [address]


def test_no_scheduler_at_an_address_is_said(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("normviz.statistics.on_dask._ANSWER", 0.5)

    def never(*_, **__):
        raise AssertionError("a client that is not answered hangs when it is collected")

    monkeypatch.setattr(distributed, "Client", never)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for address in ("tcp://127.0.0.1:1", f"tcp://127.0.0.1:{silent.getsockname()[1]}"):
            with pytest.raises(NormvizError, match=r"scheduler answers there within 0\.5 s"):
                scanned(plain_images(2), engine=Dask(address))
    for address, why in (("nowhere://x:1", "unknown address scheme"), ("tls://h:1", "TLS expects")):
        with pytest.raises(NormvizError, match=f"can be spoken to there .{why}"):
            scanned(plain_images(2), engine=Dask(address))


def test_a_scheduler_by_its_address_and_one_without_workers(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("normviz.statistics.on_dask._WORKER", 0.5)
    options = dict(
        processes=False, protocol="tcp", dashboard_address="127.0.0.1:0", host="127.0.0.1"
    )
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        images = random_images(1, count=40)
        found = scanned(images, engine=Dask(cluster.scheduler_address), images_a_part=2)
        assert to_text(found) == to_text(scanned(images))
        # The cluster is not ours to shut down.
        assert scanned(images, engine=Dask(cluster.scheduler_address)).images == 40
    with (
        distributed.LocalCluster(n_workers=0, **options) as cluster,
        pytest.raises(NormvizError, match="has no workers"),
    ):
        scanned(images, engine=Dask(cluster.scheduler_address))


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NormvizError, match=r'pip install "normviz\[dask\]"'):
        scanned(plain_images(2), engine=Dask())


def test_alive_knows_an_ended_process():
    import subprocess

    done = subprocess.Popen(["true"])
    done.wait()
    assert not alive(done.pid) and alive(1)


FAULTS = """
import resource, sys
import numpy as np
from normviz.statistics.engines import keep_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        one, two = np.ones(10**6, np.uint8), np.ones(10**6, np.uint8)
        del one, two
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults()
keep_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="its limits are glibc's")
def test_the_memory_of_an_image_is_kept_for_the_next():
    """As Dask starts its workers: memory goes back to the system at once."""
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", FAULTS]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    given_back, kept = map(int, run.stdout.split())
    # A million bytes are 245 pages.
    assert given_back > 100 * 245 and kept < 100


class Plain:
    """Work that is its part's own number, and has nothing to rescue."""

    together = 1

    def __call__(self, part):
        return part

    def halves(self, part):
        return (part,)

    def lost(self, part):
        return None


class Large(Plain):
    def __call__(self, part):
        return bytes(20_000_000)


class EndsWhileSending(Plain):
    """Work whose first process is killed while its result is on the way."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __call__(self, part):
        if part == 2 and not self.flag.exists():
            self.flag.touch()
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
            return bytes(300_000_000)
        return part


def test_a_process_killed_while_it_sends_its_result_holds_nothing_up(tmp_path):
    work = EndsWhileSending(tmp_path / "flag")
    found = [result for _, result in Processes(2).results(work, iter(range(6)))]
    assert [len(one) if isinstance(one, bytes) else one for one in found] == list(range(6))


def test_closing_while_results_are_sent_holds_nothing_up(tmp_path):
    for _ in range(5):
        running = Processes(2).results(Large(), iter(range(100)))
        assert len(next(running)[1]) == 20_000_000
        running.close()
