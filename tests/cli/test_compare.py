"""`compare`: what it prints, and the codes it ends with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from normviz.cli import DONE, FAILED, USAGE, main
from normviz.observe.compare_sets import SetRecord, compare_sets


@pytest.fixture
def records(many, tmp_path, capsys):
    """The measured set, and the same with every pixel 40 levels lighter."""
    (tmp_path / "lighter").mkdir()
    for path in many.iterdir():
        with PillowImage.open(path) as picture:
            pixels = np.minimum(np.asarray(picture).astype(int) + 40, 255).astype(np.uint8)
        PillowImage.fromarray(pixels).save(tmp_path / "lighter" / path.name)
    paths = []
    for name in ("many", "lighter"):
        paths.append(str(tmp_path / f"{name}.json"))
        assert main(["stats", str(tmp_path / name), "--out", paths[-1]]) == DONE
    return paths


def test_the_json_has_what_the_computation_gives(records, capsys):
    assert main(["compare", *records, "--json"]) == DONE
    said = json.loads(capsys.readouterr().out)
    pair = []
    for path in records:
        with open(path) as stream:
            pair.append(SetRecord.of(json.load(stream), path))
    expected = compare_sets(*pair)
    assert said == json.loads(json.dumps(expected.to_dict()))
    assert said["channels"][0]["difference"] == pytest.approx(40 / 255, rel=1e-9)
    assert said["thresholds"] == {"negligible": 0.1, "small": 0.5, "medium": 0.8, "large": None}


def test_the_table_has_a_line_a_channel_and_verdicts(records, capsys):
    assert main(["compare", *records]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{records[0]}: 80 images, none: every pixel of every image at its own size"
    cells = next(line for line in lines if line.startswith("G  ")).split()
    assert len(cells) == 9 and cells[1] == "0.1569"
    assert sum(line.startswith(("R: ", "G: ", "B: ")) for line in lines) == 3
    assert lines[-1].startswith("The largest difference is ")


def test_an_estimate_is_called_one(records, many, tmp_path, capsys):
    # 112 images: an estimate is trusted from 100 on.
    for at in range(32):
        pixels = np.full((24, 32, 3), 120 + at % 3, np.uint8)
        PillowImage.fromarray(pixels).save(many / f"more{at}.png")
    part = str(tmp_path / "part.json")
    assert main(["stats", str(many), "--until", "0.2", "--out", part]) == DONE
    with open(part) as stream:
        record = json.load(stream)
    count = record["images"]
    assert not record["complete"] and count < 112
    assert main(["compare", records[0], part]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"{part}: an estimate from {count} of 112 images, none: every pixel")
    assert main(["compare", records[0], part, "--json"]) == DONE
    first, second = json.loads(capsys.readouterr().out)["taken"]
    assert first["complete"] and not second["complete"]
    assert (second["count"], second["of"]) == (count, 112)


def test_a_gate_for_scripts(records, capsys):
    assert main(["compare", records[0], records[1], "--fail-above", "0.5"]) == FAILED
    assert "the largest d is" in capsys.readouterr().err
    assert main(["compare", records[0], records[1], "--fail-above", "9"]) == DONE
    assert main(["compare", records[0], records[0], "--fail-above", "0.0001"]) == DONE
    assert main(["compare", *records, "--fail-above", "0"]) == USAGE


def test_what_cannot_be_compared_is_one_sentence(records, many, tmp_path, capsys):
    other = str(tmp_path / "small.json")
    assert main(["stats", str(many), "--resize", "9", "--out", other]) == DONE
    (tmp_path / "no.json").write_bytes(b"\xff{")
    for second, code, sentence in (
        (other, USAGE, "measured under different transforms"),
        (str(tmp_path / "no.json"), USAGE, "no.json: this is no JSON"),
        (str(tmp_path / "nowhere.json"), FAILED, "nowhere.json: No such file"),
    ):
        assert main(["compare", records[0], second]) == code
        said = capsys.readouterr().err
        assert sentence in said and "Traceback" not in said


def test_help_explains_both_effect_sizes(capsys):
    assert main(["compare", "--help"]) == DONE
    said = capsys.readouterr().out
    assert "pooled stds of the pixels" in said and "an image being the unit" in said
    assert "Cohen 1988" in said
