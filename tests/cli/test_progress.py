"""Progress, stopping and going on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest
from pyarrow import parquet

import normviz as nv
from normviz.cli import DONE, INTERRUPTED, main
from normviz.cli.progress import running
from normviz.images import image_of
from normviz.statistics.dataset import Reading
from normviz.statistics.engines import Processes


def in_terminal(arguments, when=None):
    """Run the command with its standard error on a terminal; Ctrl-C once ``when`` is seen there."""
    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "normviz", *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen, pressed = b"", False
    try:
        while True:
            try:
                some = os.read(own, 65536)
            except OSError:  # closed at the other end
                break
            if not some:
                break
            seen += some
            if when is not None and not pressed and re.search(when, seen):
                # As a terminal does: to all processes of the group.
                os.killpg(process.pid, signal.SIGINT)
                pressed = True
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(own)
    return process.returncode, out.decode(), seen.decode()


@pytest.fixture
def slow(many, tmp_path):
    """Options that make each image take a while, so that a stop comes before the end."""
    path = tmp_path / "slow.json"
    path.write_text(nv.Pipeline([nv.STEPS["resize"](900)]).to_json())
    return [str(many), "--pipeline", str(path)]


def test_a_bar_shows_rate_time_left_and_the_running_estimate(slow):
    code, out, seen = in_terminal(["stats", *slow, "--seed", "3", "--workers", "1"])
    assert code == DONE and out.startswith("after resize 900")
    assert re.search(r"\d+/80 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+( images/s|s/ images)", seen)
    assert re.search(r"mean R \.\d+ ± \.\d+, G \.\d+ ± \.\d+, B .*; std R \.\d+ ± \.\d+", seen)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stopped_scan_goes_on_from_its_checkpoint(slow, tmp_path, workers):
    out, kept = tmp_path / "out.json", tmp_path / "scan.sqlite"
    arguments = ["stats", *slow, "--out", str(out), "--seed", "3", "--workers", workers]
    arguments += ["--checkpoint", str(kept)]
    code, said, seen = in_terminal(arguments, rb" [1-9]\d*/80 ")
    assert code == INTERRUPTED and said == "" and not out.exists()
    assert "Traceback" not in seen and seen.count("Ctrl-C: at once") == 1
    (done,) = map(int, re.findall(r"stopped after (\d+) images of 80", seen))
    assert 0 < done < 80
    assert "no statistics were written. The estimate so far: mean R" in seen
    # A terminal breaks no line of 200 columns, but ends them with a carriage return.
    assert f"The same command goes on from {kept}." in seen
    assert main(arguments) == DONE
    stopped = json.loads(out.read_text())
    assert main([*arguments[:-2], "--out", str(tmp_path / "whole.json")]) == DONE
    assert stopped == json.loads((tmp_path / "whole.json").read_text())


def test_a_stop_without_a_checkpoint_says_what_would_have_kept_it(slow):
    code, _, seen = in_terminal(["stats", *slow, "--workers", "1"], rb" [1-9]\d*/80 ")
    assert code == INTERRUPTED
    assert "With --checkpoint FILE a scan can be gone on with." in seen
    assert "The estimate so far" not in seen  # in the source's own order it is none


def test_a_checkpoint_of_another_scan_is_refused(many, tmp_path, capsys):
    kept = str(tmp_path / "scan.sqlite")
    assert main(["stats", str(many), "--checkpoint", kept]) == DONE
    assert main(["stats", str(many), "--checkpoint", kept, "--resize", "9"]) == 1
    assert "this checkpoint is of another scan" in capsys.readouterr().err


def test_rows_are_whole_after_going_on(slow, tmp_path):
    rows = tmp_path / "rows.parquet"
    arguments = ["stats", *slow, "--rows", str(rows), "--workers", "1", "--json"]
    arguments += ["--checkpoint", str(tmp_path / "scan.sqlite")]
    code, _, _ = in_terminal(arguments, rb" [1-9]\d*/80 ")
    assert code == INTERRUPTED and not rows.exists()
    assert not list(tmp_path.glob(".normviz-*"))
    assert main(arguments) == DONE
    assert parquet.read_table(rows)["position"].to_pylist() == list(range(80))


def test_the_running_words_have_the_digits_that_are_known():
    images = [image_of(np.full((4, 4), at * 7, np.uint8)) for at in range(20)]
    stats = nv.scan(images).with_reading(Reading(False, 1000, "image", 1000))
    levels = np.arange(20) * 7 / 255
    half = 2.093 * levels.std(ddof=1) / np.sqrt(20) * np.sqrt(1 - 20 / 1000)
    assert running(stats).startswith(
        f"mean grey {levels.mean():.3f} ± {half:.3f}; std grey".replace("0.", ".")
    )
    assert "±" not in running(stats.with_reading(Reading(False, 1000)))


def test_no_bar_where_there_is_no_terminal(many, capsys):
    assert main(["stats", str(many)]) == DONE
    assert capsys.readouterr().err == ""


def test_time_is_not_spent_on_what_is_not_shown(many, monkeypatch):
    def refused(_):
        raise AssertionError("an estimate was made for nobody")

    monkeypatch.setattr("normviz.cli.progress.running", refused)
    assert main(["stats", str(many), "--seed", "1"]) == DONE


def answer_to_ctrl_c(_):
    return signal.getsignal(signal.SIGINT)


def test_workers_leave_ctrl_c_to_the_process_that_asked():
    found = [answer for _, answer in Processes(1).results(answer_to_ctrl_c, iter([0]))]
    assert found == [signal.SIG_IGN]
