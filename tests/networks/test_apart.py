"""Work in a process of its own: bounded, its errors in words, nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from normviz.errors import LimitError, ParameterError, ReadError, ShapeError
from normviz.networks import load
from normviz.networks.apart import apart
from normviz.read.limits import MEGABYTE, Limits
from tests.networks import working
from tests.networks.making import model_of, node, small, written

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux bounds memory")


def ended(pid: int, within: float = 5.0) -> bool:
    """Whether a process is gone, not even a zombie of it left."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def limits(megabytes: int = 500, seconds: int = 30) -> Limits:
    return Limits(max_model_memory_bytes=megabytes * MEGABYTE, max_model_seconds=seconds)


def test_records_come_as_they_are_made():
    assert list(apart(working.counting, 5)) == [0, 1, 2, 3, 4]
    assert list(apart(working.counting, 0)) == []
    began = time.monotonic()
    records = apart(working.sleeping, 60)
    assert next(records) == "begun"
    assert time.monotonic() - began < 30
    records.close()


def test_large_arguments_and_records_travel():
    found = list(apart(working.arrays, 3, 3_000_000))
    for index, array in enumerate(found):
        np.testing.assert_array_equal(array, np.full(3_000_000, index, np.float32))


def test_it_is_another_process_and_no_main_script_is_run_again():
    records = apart(working.own_process)
    pid, parent = next(records)
    assert parent == os.getpid() != pid
    records.close()
    ((name, tests),) = apart(working.main_modules)
    assert (name, tests) == ("normviz.networks.apart", False)


@LINUX
def test_too_much_memory_is_said():
    records = apart(working.allocating, 600 * MEGABYTE, name="net.onnx", limits=limits(500))
    assert next(records) == "begun"
    with pytest.raises(LimitError) as caught:
        next(records)
    assert str(caught.value) == (
        "net.onnx: the model needs more than 500 MB of memory. Use a smaller version of the "
        "network or smaller images, or raise NORMVIZ_MAX_MODEL_MEMORY_BYTES."
    )
    enough = apart(working.allocating, 400 * MEGABYTE, limits=limits(500))
    assert list(enough) == ["begun", 400 * MEGABYTE]


def test_too_much_time_is_said_and_the_process_is_killed():
    began = time.monotonic()
    records = apart(working.sleeping, 60, name="net.onnx", limits=limits(seconds=2))
    with pytest.raises(LimitError) as caught:
        list(records)
    assert str(caught.value).startswith("net.onnx: the model took longer than 2 s. Use fewer")
    assert time.monotonic() - began < 10


def test_time_adds_up_over_the_records_without_that_of_the_reader():
    with pytest.raises(LimitError, match="took longer than 3 s"):
        list(apart(working.stepping, 100, 0.1, limits=limits(seconds=3)))
    found = []
    for step in apart(working.stepping, 4, 0.01, limits=limits(seconds=3)):
        found.append(step)
        time.sleep(1)
    assert found == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGABRT, "SIGABRT")]
)
def test_a_process_that_dies_is_said(number, name):
    records = apart(working.killing, int(number), name="net.onnx")
    assert next(records) == "begun"
    with pytest.raises(ReadError, match=rf"net.onnx: running the model .* \(by {name}\); the app"):
        next(records)


def test_a_crash_and_an_exit_are_said():
    with pytest.raises(ReadError, match="by SIGSEGV"):
        list(apart(working.crashing))
    with pytest.raises(ReadError, match="with code 7"):
        list(apart(working.leaving, 7))


def test_our_errors_arrive_as_they_were_raised():
    records = apart(working.refusing)
    assert next(records) == 1
    with pytest.raises(ReadError) as caught:
        next(records)
    assert type(caught.value) is ReadError
    assert (caught.value.path, caught.value.remedy) == ("net.onnx", "Try another")
    assert str(caught.value) == "net.onnx: it is odd. Try another."
    with pytest.raises(LimitError, match=r"net.onnx: it is large\."):
        list(apart(working.bounding))
    with pytest.raises(ShapeError, match="not this shape"):
        list(apart(working.misshaping))


def test_other_errors_arrive_with_where_they_came_from():
    with pytest.raises(ZeroDivisionError, match="by nothing") as caught:
        list(apart(working.failing, True))
    assert "working.py" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match=r"working\.py"):
        list(apart(working.failing, False))


def test_what_it_prints_is_dropped(capfd):
    assert list(apart(working.printing)) == ["", "printed"]
    assert capfd.readouterr() == ("", "")


def test_closed_early_the_process_is_gone_at_once():
    records = apart(working.own_process)
    pid, _ = next(records)
    began = time.monotonic()
    records.close()
    assert time.monotonic() - began < 2
    assert ended(pid, 0.1)


def test_a_forgotten_iterator_ends_its_process():
    records = apart(working.own_process)
    pid, _ = next(records)
    del records
    gc.collect()
    assert ended(pid)


def test_a_network_runs_there_as_here():
    network = load(written(small()))
    expected = network.run(np.zeros((1, 8, 8, 3), np.float32), ["y"])["y"].sum()
    found = list(apart(working.running, written(small()), "s.onnx", 8, 2))
    assert found == ["opened", float(expected), float(expected)]


def test_nothing_is_left_behind():
    before = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        list(apart(working.counting, 3))
        with pytest.raises(ReadError):
            list(apart(working.leaving, 1))
        next(apart(working.counting, 3))
    gc.collect()
    time.sleep(0.2)
    assert (set(threading.enumerate()), len(os.listdir("/proc/self/fd"))) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_it_ends_with_the_process_that_asked():
    code = (
        "from normviz.networks.apart import apart\n"
        "from tests.networks import working\n"
        "import os\n"
        "records = apart(working.own_process)\n"
        "print(next(records)[0], flush=True)\n"
        "os._exit(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended(int(done.stdout))


def test_work_that_cannot_be_imported_is_refused():
    def inside():
        yield 1

    with pytest.raises(ParameterError, match="inside cannot be imported by its name"):
        next(apart(inside))
    with pytest.raises(ParameterError, match="cannot be imported"):
        next(apart(lambda: iter([1])))


def expanding(gigabytes: float) -> bytes:
    """A small file that asks for so much memory: one number repeated."""
    shape = np.array([int(gigabytes * 2**28)])
    nodes = [
        node("ConstantOfShape", "shape", "many", value=numpy_helper.from_array(np.ones(1, "f4"))),
        node("ReduceSum", "many", "sum", keepdims=0),
        node("Add", "x sum", "y"),
    ]
    return written(model_of(nodes, {"shape": shape}))


@LINUX
@pytest.mark.parametrize("gigabytes", [1, 30, 100_000])
def test_a_small_model_that_asks_for_much_memory_is_said(gigabytes):
    records = apart(
        working.running, expanding(gigabytes), "bomb.onnx", 8, name="bomb.onnx", limits=limits(500)
    )
    assert next(records) == "opened"
    with pytest.raises(LimitError, match=r"bomb.onnx: the model needs more than 500 MB of memory"):
        next(records)


@LINUX
def test_a_model_that_repeats_its_image_without_end_is_said():
    nodes = [node("Expand", "x shape", "many"), node("Abs", "many", "y")]
    model = written(model_of(nodes, {"shape": np.array([2**20, 3, 8, 8])}))
    with pytest.raises(LimitError, match="needs more than 500 MB"):
        list(apart(working.running, model, "bomb.onnx", 8, limits=limits(500)))


@LINUX
def test_a_model_within_its_bounds_runs():
    found = list(apart(working.running, expanding(0.1), "b.onnx", 8, limits=limits(500)))
    assert found == ["opened", pytest.approx(0.1 * 2**28 * 3 * 64, rel=1e-3)]
