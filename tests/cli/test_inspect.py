import json
from pathlib import Path

import normviz.networks
from normviz.cli import main
from normviz.samples import SAMPLE_FOLDER

MODEL = str(Path(normviz.networks.__file__).parent / "mobilenet_v2.onnx")


def test_text_says_what_is_expected(capsys, tmp_path):
    out = tmp_path / "verdict.json"
    images = f"{SAMPLE_FOLDER}/c*.jpg"
    assert main(["inspect", MODEL, "--images", images, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "expects" in said and "ImageNet (torchvision, timm, DINOv2)" in said
    assert "def normalize(image):" in said
    record = json.loads(out.read_text("utf-8"))
    assert record["photos"] == 4 and record["layout"] == "NCHW"


def test_what_is_no_model_is_said_in_a_sentence(capsys, tmp_path):
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"no model at all")
    assert main(["inspect", str(junk)]) == 1
    assert "junk.onnx: " in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "none.onnx")]) == 1
    assert "none.onnx" in capsys.readouterr().err


def test_a_size_against_the_file_is_refused(capsys):
    assert main(["inspect", MODEL, "--size", "100"]) == 1
    assert "fixed height of 224" in capsys.readouterr().err


def test_labels_give_the_accuracy_and_classes_their_names(capsys, tmp_path):
    classes = Path(normviz.networks.__file__).parent / "imagenet_labels.txt"
    for folder, file in (
        ("espresso", "coffee.jpg"),
        ("967", "coffee.jpg"),
        ("tench", "rocket.jpg"),
    ):
        place = tmp_path / "images" / folder
        place.mkdir(parents=True)
        (place / file).write_bytes((SAMPLE_FOLDER / file).read_bytes())
    asked = ["inspect", MODEL, "--images", str(tmp_path / "images"), "--classes", str(classes)]
    assert main([*asked, "--as-they-are", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    right = next(row for row in record["candidates"] if row["key"] == "imagenet")
    assert right["accuracy"] == 2 / 3
    assert right["top5"][0][0][0] == "espresso"
    assert main([*asked[:-1], str(tmp_path / "none.txt")]) == 1
    assert "none.txt: it cannot be read as text" in capsys.readouterr().err


def test_a_model_that_needs_too_much_is_refused_before_it_is_run_here(capsys, monkeypatch):
    monkeypatch.setenv("NORMVIZ_MAX_MODEL_MEMORY_BYTES", "20000000")
    assert main(["inspect", MODEL]) == 1
    assert "the model needs more than" in capsys.readouterr().err
