"""What all commands share: help, wrong usage, one sentence for a failure."""

from __future__ import annotations

import json

import numpy as np
import pytest

import normviz as nv
from normviz.cli import DONE, FAILED, USAGE, main


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("stats nowhere.zip", FAILED, "nowhere.zip: there is no such file or folder"),
        ("stats x --mean-image 8", USAGE, "--mean-image is written beside --out FILE; give both."),
        ("stats x --out no/where.json", FAILED, "there is no such folder"),
        ("apply x --method magic --out o", USAGE, "there is no method 'magic'"),
        ("apply x --method lcn --set window=8 --out o", USAGE, "odd number of pixels; got 8"),
        ("apply x --method lcn --set window=wide --out o", USAGE, "whole number from 3 to 63"),
        ("apply x --method lcn --set w=8 --out o", USAGE, "lcn has window"),
        ("apply x --method lcn --set window --out o", USAGE, "write NAME=VALUE"),
        ("apply x --out o", USAGE, "one of the arguments --method --pipeline is required"),
        ("apply x --method lcn --pipeline known:dinov2 --out o", USAGE, "not allowed with"),
        ("apply x --pipeline known:dinov2 --set size=8 --out o", USAGE, "--set is for --method"),
        ("apply x --pipeline known:mine --out o", USAGE, "no known:mine; there are resnet50, "),
        ("apply x --pipeline nowhere.json --out o", FAILED, "nowhere.json: No such file"),
        ("stats x --resize 0", USAGE, "a whole number from 1 to 4096, not '0'"),
        ("stats x --library opencv", USAGE, "--library says how to --resize; give both."),
        ("stats x --crop 9 --pipeline known:dinov2", USAGE, "are steps of a pipeline; put them"),
        ("stats x --until 1.5", USAGE, "a number above 0 and below 1, not '1.5'"),
        ("stats x --until nan", USAGE, "a number above 0 and below 1, not 'nan'"),
        ("stats x --workers 0", USAGE, "a whole number from 1 to 1024, not '0'"),
        ("stats x --patches 4", USAGE, "--patches is written beside --out FILE; give both."),
        ("stats x --rows no/rows.parquet", FAILED, "no: there is no such folder"),
        (
            "stats x --rows a --out ./a",
            USAGE,
            "--out and --rows name one file, a; give each",
        ),
        ("stats x --checkpoint a --out a", USAGE, "--out and --checkpoint name one file, a;"),
        ("stats x --checkpoint a --rows a", USAGE, "--rows and --checkpoint name one file, a;"),
        (
            "stats x --out a --rows a.npz --mean-image 4",
            USAGE,
            "--rows and the arrays beside --out",
        ),
        ("stats y @a --out a", USAGE, "--out would be written over a, which is read; name another"),
        ("stats x --pipeline a --rows a", USAGE, "--rows would be written over a, which is read"),
        ("inspect a.onnx --out a.onnx", USAGE, "--out would be written over a.onnx"),
        ("advise a.zip --out a.zip", USAGE, "--out would be written over a.zip"),
        ("apply x --method lcn --out o --shard-size 4", USAGE, "is for --format npz and zarr"),
        ("compare a.json b.json", FAILED, "a.json: No such file"),
        ("stats x --pipeline known:mine", USAGE, "there is no known:mine"),
    ],
)
def test_failures_are_one_sentence(arguments, code, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == code
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_source_is_not_written_over_whatever_it_is_called(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("set.npy", np.zeros((3, 4, 4, 3), np.uint8))
    (tmp_path / "link.npy").symlink_to("set.npy")
    kept = (tmp_path / "set.npy").read_bytes()
    for source in ("link.npy", f"file://{tmp_path}/set.npy", str(tmp_path / "set.npy")):
        for option in ("--out", "--rows", "--checkpoint"):
            assert main(["stats", source, option, "set.npy"]) == USAGE
            assert f"{option} would be written over" in capsys.readouterr().err
    assert (tmp_path / "set.npy").read_bytes() == kept
    # An output may lie in the folder that is read.
    assert main(["stats", str(tmp_path), "--out", "set.json", "--rows", "rows.parquet"]) == DONE


def test_wrong_usage_and_help(capsys):
    assert main([]) == USAGE
    assert main(["stats", "x", "--frobnicate"]) == USAGE
    for command in ("app", "stats", "compare", "apply", "methods"):
        assert main([command, "--help"]) == DONE
        said = capsys.readouterr().out
        assert f"python -m normviz {command}" in said and "130 interrupted" in said


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"{}", "expected a pipeline"), (b"\xff\xfe", "this is no text; a pipeline is JSON")],
)
def test_a_file_that_is_no_pipeline_is_named(tmp_path, capsys, data, sentence):
    (tmp_path / "steps.json").write_bytes(data)
    path = str(tmp_path / "steps.json")
    assert main(["stats", "x", "--pipeline", path]) == USAGE
    assert f"steps.json: {sentence}" in capsys.readouterr().err


def test_methods_lists_the_registry(capsys):
    assert main(["methods", "--json"]) == DONE
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(nv.METHODS)
    lcn = next(entry for entry in listed if entry["name"] == "lcn")
    assert lcn["parameters"] == {"window": 9, "over": "across"}
