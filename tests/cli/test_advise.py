"""The shell's advice: what it says of a labelled set, of one without labels, and of bad ones."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz.cli.advise as command
from normviz.cli import main
from normviz.lab.advice import Advice, example
from normviz.samples import LABELLED_SET, SAMPLE_FOLDER


def filled(root, counts, level=lambda label, at: 40 + 30 * at % 150):
    """A folder a class with so many PNGs each."""
    rng = np.random.default_rng(0)
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for at in range(count):
            noise = rng.normal(level(label, at), 25, (18, 22, 3))
            pixels = np.clip(noise, 0, 255).astype(np.uint8)
            PillowImage.fromarray(pixels).save(root / label / f"{at:03}.png")
    return str(root)


def test_the_bundled_scenes_get_the_advice_that_is_kept(capsys, tmp_path):
    out = tmp_path / "advice.json"
    assert main(["advise", str(SAMPLE_FOLDER / LABELLED_SET), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    kept = example()[1]
    # Another machine may round otherwise; the answer is to be the same.
    record = json.loads(out.read_text("utf-8"))
    assert record["suits"] == kept.suits and said.startswith(record["headline"])
    assert record["brightness"]["explained"] == pytest.approx(kept.brightness.explained)
    assert "−2 EV" in said and "Own mean and std" in said
    assert Advice.of(record).words() == record["words"]


def test_without_labels_the_split_and_what_would_be_enough(capsys, many):
    assert main(["advise", str(many)]) == 0
    said = capsys.readouterr().out
    assert "only labels can tell" in said and "10 images in each" in said
    assert main(["advise", str(many), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["brightness"]["images"] == 80 and record["brightness"]["explained"] is None


def test_labels_that_are_too_few_are_said_and_the_split_is_given(capsys, tmp_path):
    assert main(["advise", filled(tmp_path / "set", {"cat": 12, "dog": 3})]) == 0
    said = capsys.readouterr()
    assert "No race can be run: The lab needs at least two classes of 10 images each" in said.out
    assert "only a race could tell, and these images allow none." in said.out
    assert "the largest with 12" in said.out
    assert "between images of one class" in said.out


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("most", [4000, 10])
def test_archives_are_measured_by_several_workers(kind, most, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "MOST", most)
    folder = filled(tmp_path / "set", {"cat": 9, "dog": 9})
    archive = shutil.make_archive(str(tmp_path / "set"), kind, folder)
    assert main(["advise", archive, "--workers", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["brightness"]["images"] == (18 if most > 18 else 9)
    assert found["brightness"]["classes"] == 2
    if most > 18:
        assert main(["advise", str(folder), "--workers", "1", "--json"]) == 0
        here = json.loads(capsys.readouterr().out)["brightness"]["split"]
        assert found["brightness"]["split"] == pytest.approx(here)


def test_an_image_over_the_limit_is_named_and_nothing_else_is_printed(capsys, tmp_path):
    folder = filled(tmp_path / "set", {"cat": 3, "dog": 3})
    PillowImage.new("1", (10_000, 9_500)).save(tmp_path / "set" / "dog" / "huge.png")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert main(["stats", str(folder)]) == 3
    assert not [one for one in warned if "decompression bomb" in str(one.message)]
    assert "10000 × 9500 pixels (95.0 megapixels), the limit is" in capsys.readouterr().err


def test_one_class_and_one_image(capsys, tmp_path):
    assert main(["advise", filled(tmp_path / "one", {"cat": 11})]) == 0
    # One folder alone is no label.
    assert "only labels can tell" in capsys.readouterr().out
    single = tmp_path / "single.png"
    PillowImage.new("RGB", (8, 8), (1, 2, 3)).save(single)
    assert main(["advise", str(single)]) == 2
    assert "at least two images" in capsys.readouterr().err


def test_unlabelled_trains_nothing(capsys, tmp_path):
    source = filled(tmp_path / "set", {"cat": 12, "dog": 12})
    assert main(["advise", source, "--unlabelled"]) == 0
    assert "only labels can tell" in capsys.readouterr().out


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(capsys, tmp_path):
    source = filled(tmp_path / "set", {"cat": 4, "dog": 4})
    (tmp_path / "set" / "cat" / "broken.png").write_bytes(b"\x89PNG no more")
    assert main(["advise", source]) == 3
    said = capsys.readouterr()
    assert "broken.png" in said.err and "of the 8" not in said.err
    assert "8 labelled images" in said.out


def test_of_many_images_some_are_measured_evenly(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "MOST", 10)
    source = filled(tmp_path / "set", {"a": 15, "b": 15}, level=lambda label, at: 100)
    (tmp_path / "set" / "b" / "zz.txt").write_text("no image")
    code = main(["advise", source, "--unlabelled", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert code in (0, 3) and record["brightness"]["images"] == 10
    with pytest.raises(KeyError):
        record["accuracy_percent"]


def test_no_place_for_the_answer_is_said_first(capsys, tmp_path):
    assert main(["advise", str(tmp_path), "--out", str(tmp_path / "none" / "x.json")]) == 1
    assert "there is no such folder" in capsys.readouterr().err
