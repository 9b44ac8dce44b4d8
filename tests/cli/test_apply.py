"""The shell's commands: what they print and write, and the codes they end with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.cli import DONE, FAILED, PARTLY, USAGE, main
from normviz.pipeline import from_json as pipeline_from_json


@pytest.fixture
def folder(tmp_path):
    """Two PNGs in class folders."""
    rng = np.random.default_rng(3)
    for at, label in enumerate(("cat", "dog")):
        (tmp_path / "set" / label).mkdir(parents=True)
        pixels = rng.integers(0, 256, (9 + at, 13, 3), dtype=np.uint8)
        PillowImage.fromarray(pixels).save(tmp_path / "set" / label / f"{at}.png")
    return tmp_path / "set"


def test_stats_writes_the_documented_record(folder, tmp_path, capsys):
    out = tmp_path / "stats.json"
    assert main(["stats", str(folder), "--out", str(out)]) == DONE
    record = json.loads(out.read_text())
    photos = list(nv.read(str(folder)))
    pixels = np.concatenate([photo.pixels.reshape(-1, 3) for photo in photos]).astype(float)
    np.testing.assert_allclose(record["mean"], pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(record["std"]["pooled"], pixels.std(axis=0), rtol=1e-12)
    stds = [photo.pixels.reshape(-1, 3).std(axis=0) for photo in photos]
    np.testing.assert_allclose(record["std"]["mean_of_images"], np.mean(stds, axis=0), rtol=1e-9)
    total = np.add(record["variance"]["within"], record["variance"]["between"])
    np.testing.assert_allclose(total, pixels.var(axis=0), rtol=1e-9)
    assert record["images"] == 2 and record["unreadable"] == 0 and record["channels"] == 3
    assert record["value_range"] == [0, 255]
    assert record["min"] == pixels.min(axis=0).tolist()
    assert record["percentiles"]["50"] == np.median(pixels, axis=0).tolist()
    assert "transform" in record and sorted(p.name for p in tmp_path.iterdir()) == [
        "set",
        "stats.json",
    ]


def test_stats_prints_a_table_with_ready_constants(folder, capsys):
    assert main(["stats", str(folder)]) == DONE
    said = capsys.readouterr().out
    stats = nv.scan(nv.read(str(folder)))
    assert f"mean=[{stats.fraction_mean[0]:.6g}, " in said
    assert "std, mean of images" in said and "variance between images" in said


def test_an_unreadable_file_is_named_and_the_others_go_on(folder, capsys):
    (folder / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    assert main(["stats", str(folder), "--json"]) == PARTLY
    said = capsys.readouterr()
    assert json.loads(said.out)["images"] == 2 and json.loads(said.out)["unreadable"] == 1
    assert "broken.png" in said.err and "Traceback" not in said.err


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
        ("stats x --pipeline known:mine", USAGE, "there is no known:mine"),
    ],
)
def test_failures_are_one_sentence(arguments, code, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == code
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "fit_on", "sentence"),
    [
        ("scale_01", "preset:imagenet", "takes no numbers from a set"),
        ("dataset_zscore", "preset:imagined", "there is no preset:imagined"),
    ],
)
def test_a_source_of_numbers_that_cannot_be_is_wrong_usage(
    folder, tmp_path, capsys, method, fit_on, sentence
):
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--method", method, "--fit-on", fit_on, "--out", str(out)]
    assert main(arguments) == USAGE
    assert sentence in capsys.readouterr().err and not out.exists()


def test_wrong_usage_and_help(capsys):
    assert main([]) == USAGE
    assert main(["stats", "x", "--frobnicate"]) == USAGE
    for command in ("app", "stats", "compare", "apply", "methods"):
        assert main([command, "--help"]) == DONE
        said = capsys.readouterr().out
        assert f"python -m normviz {command}" in said and "130 interrupted" in said


def test_apply_writes_what_the_method_returns(folder, tmp_path):
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--method", "dataset_zscore", "--out", str(out)]
    assert main(arguments) == DONE
    manifest = json.loads((out / "manifest.json").read_text())
    fitted = nv.from_json((out / "fitted.json").read_text())
    photos = nv.read(str(folder))
    expected = nv.METHODS["dataset_zscore"]().fit(nv.scan(photos))
    assert [entry["label"] for entry in manifest["images"]] == ["cat", "dog"]
    for entry, photo in zip(manifest["images"], photos, strict=True):
        values = np.load(out / entry["file"], allow_pickle=False)
        np.testing.assert_array_equal(values, expected(photo.pixels))
        np.testing.assert_array_equal(values, fitted(photo.pixels))
    assert main(arguments) == FAILED  # the folder has files in it now
    assert main([*arguments, "--force"]) == DONE


def test_apply_fits_on_a_preset_and_writes_pictures(folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--method", "dataset_zscore", "--out", str(out)]
    assert main([*arguments, "--fit-on", "preset:imagenet", "--format", "png", "--json"]) == DONE
    manifest = json.loads(capsys.readouterr().out)
    photo = nv.read(str(folder))[0]
    values = nv.METHODS["published"]().fit()(photo.pixels)
    low, high = manifest["images"][0]["black_white"]
    assert (low, high) == (float(values.min()), float(values.max()))
    with PillowImage.open(out / manifest["images"][0]["file"]) as picture:
        shown = np.asarray(picture)
    np.testing.assert_array_equal(shown, np.floor((values - low) / (high - low) * 255 + 0.5))


def test_apply_fits_on_images_where_a_method_needs_them(folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--method", "colour_zca", "--out"]
    assert main([*arguments, str(out)]) == DONE
    photos = list(nv.read(str(folder)))
    expected = nv.METHODS["colour_zca"]().fit(photos)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["fitted_on"] == "2 of these images, as copies of up to 512 px"
    for entry, photo in zip(manifest["images"], photos, strict=True):
        values = np.load(out / entry["file"], allow_pickle=False)
        np.testing.assert_array_equal(values, expected(photo.pixels))
    assert main([*arguments, str(tmp_path / "b"), "--fit-on", "preset:imagenet"]) == FAILED
    assert "preset:imagenet" in capsys.readouterr().err


def test_apply_packs_floats_into_one_file(folder, tmp_path):
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--method", "lcn", "--set", "window=5", "--out", str(out)]
    assert main([*arguments, "--format", "npz"]) == DONE
    assert sorted(path.name for path in out.iterdir()) == [
        "fitted.json",
        "manifest.json",
        "normalized.npz",
    ]
    entries = json.loads((out / "manifest.json").read_text())["images"]
    with np.load(out / "normalized.npz", allow_pickle=False) as packed:
        for entry, photo in zip(entries, nv.read(str(folder)), strict=True):
            expected = nv.METHODS["lcn"](window=5).fit()(photo.pixels)
            np.testing.assert_array_equal(packed[entry["array"]], expected)


def test_grey_and_colour_in_one_set_get_the_channels_that_the_numbers_have(tmp_path):
    for name, shape in {"grey": (9, 13), "set/a": (9, 13), "set/b": (9, 13, 3)}.items():
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        PillowImage.fromarray(np.full(shape, 40, np.uint8)).save(path)
    arguments = ["apply", str(tmp_path / "set"), "--method", "dataset_mean", "--out"]
    on_grey = [*arguments, str(tmp_path / "1"), "--fit-on", str(tmp_path / "grey.png")]
    assert main(on_grey) == DONE and main([*arguments, str(tmp_path / "3")]) == DONE
    shapes = {
        fitted: [
            entry["shape"]
            for entry in json.loads((tmp_path / fitted / "manifest.json").read_text())["images"]
        ]
        for fitted in ("1", "3")
    }
    assert shapes == {"1": [[9, 13, 1], [9, 13, 3]], "3": [[9, 13, 3], [9, 13, 3]]}


def test_a_mean_image_is_written_beside_the_record(folder, tmp_path):
    out = tmp_path / "stats.json"
    assert main(["stats", str(folder), "--out", str(out), "--mean-image", "8"]) == DONE
    stats = nv.scan(nv.read(str(folder)), mean_image=8)
    with np.load(tmp_path / "stats.npz", allow_pickle=False) as images:
        np.testing.assert_array_equal(images["mean"], stats.fraction_mean_image)
        np.testing.assert_array_equal(images["std"], stats.fraction_std_image)
        assert images["mean"].shape == (8, 8, 3)


def pipeline_file(tmp_path, *steps):
    path = tmp_path / "steps.json"
    path.write_text(nv.Pipeline(steps).to_json())
    return str(path)


def test_stats_measures_what_comes_out_of_a_pipeline(folder, tmp_path, capsys):
    steps = nv.STEPS["resize"](8), nv.STEPS["centre_crop"](6)
    path = pipeline_file(tmp_path, *steps)
    assert main(["stats", str(folder), "--pipeline", path, "--json"]) == DONE
    record = json.loads(capsys.readouterr().out)
    fitted = nv.Pipeline(steps).fit()
    photos = list(nv.read(str(folder)))
    pixels = np.concatenate([fitted(photo).reshape(-1, 3) for photo in photos]).astype(float)
    np.testing.assert_allclose(record["mean"], pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(record["std"]["pooled"], pixels.std(axis=0), rtol=1e-12)
    assert record["exact"] and record["value_range"] == [0, 255] and record["images"] == 2
    words = "resize 8 (shorter side, bilinear, Pillow) → centre crop 6"
    assert record["transform"] == words
    assert [step["step"] for step in record["pipeline"]["steps"]] == ["resize", "centre_crop"]
    assert main(["stats", str(folder), "--pipeline", path]) == DONE
    said = capsys.readouterr().out
    assert said.startswith(f"after {words}\n2 images") and "torchvision, on fractions" in said


def test_stats_fits_a_pipeline_and_needs_no_value_range(folder, tmp_path, capsys):
    zscore = nv.STEPS["normalize"](nv.METHODS["dataset_zscore"]())
    path = pipeline_file(tmp_path, nv.STEPS["resize"](8), zscore)
    out = tmp_path / "stats.json"
    assert main(["stats", str(folder), "--pipeline", path, "--out", str(out)]) == DONE
    record = json.loads(out.read_text())
    np.testing.assert_allclose(record["mean"], 0, atol=1e-6)
    np.testing.assert_allclose(record["std"]["pooled"], 1, rtol=1e-6)
    assert record["value_range"] == [min(record["min"]), max(record["max"])]
    assert main(["stats", str(folder), "--pipeline", path]) == DONE
    assert "torchvision" not in capsys.readouterr().out


def test_apply_runs_a_pipeline_and_keeps_it_fitted(folder, tmp_path):
    zscore = nv.STEPS["normalize"](nv.METHODS["dataset_zscore"]())
    path = pipeline_file(tmp_path, nv.STEPS["resize"](8), zscore)
    arguments = ["apply", str(folder), "--pipeline", path, "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == DONE
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["fitted_on"] == "these images" and manifest["transform"].startswith("resize 8")
    stored = tmp_path / "out" / "pipeline.json"
    fitted = pipeline_from_json(stored.read_text())
    photos = nv.read(str(folder))
    for entry, photo in zip(manifest["images"], photos, strict=True):
        values = np.load(tmp_path / "out" / entry["file"], allow_pickle=False)
        np.testing.assert_array_equal(values, fitted(photo))
    # Fitted once, used on others: the numbers stay.
    one = str(folder / "cat")
    for number, more in enumerate(([], ["--fit-on", str(folder)])):
        source = str(stored) if not more else path
        out = str(tmp_path / f"again{number}")
        assert main(["apply", one, "--pipeline", source, "--out", out, *more]) == DONE
        (file,) = json.loads((tmp_path / f"again{number}" / "manifest.json").read_text())["images"]
        values = np.load(tmp_path / f"again{number}" / file["file"], allow_pickle=False)
        np.testing.assert_array_equal(values, fitted(photos[0]))


def test_apply_knows_published_preprocessing(folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--pipeline", "known:resnet50", "--format", "png"]
    assert main([*arguments, "--out", str(out)]) == DONE
    entries = json.loads((out / "manifest.json").read_text())["images"]
    assert [entry["shape"] for entry in entries] == [[224, 224, 3]] * 2
    with PillowImage.open(out / entries[0]["file"]) as picture:
        assert picture.size == (224, 224)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("steps", "fit_on", "code", "sentence"),
    [
        (["scale", "scale"], None, DONE, "Step 2 “÷ 255” is given 0…1, not 0…255"),
        (["mean_std", "to_uint8"], None, USAGE, "Step 2 “round to 8 bits” needs values with"),
        (["scale"], "preset:imagenet", USAGE, "takes no numbers from a set; leave --fit-on out"),
        (["normalize"], "preset:imagenet", USAGE, "a pipeline is fitted on images"),
    ],
)
def test_what_a_pipeline_says_against_itself(
    folder, tmp_path, capsys, steps, fit_on, code, sentence
):
    made = [nv.STEPS[key]() for key in steps]
    if steps == ["normalize"]:
        made = [nv.STEPS["normalize"](nv.METHODS["dataset_mean"]())]
    arguments = ["apply", str(folder), "--pipeline", pipeline_file(tmp_path, *made)]
    arguments += ["--out", str(tmp_path / "out")] + (["--fit-on", fit_on] if fit_on else [])
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert said.count(sentence) == 1 and "Traceback" not in said


def test_a_grey_image_in_a_colour_pipeline_is_named(tmp_path, capsys):
    PillowImage.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "grey.png")
    path = pipeline_file(tmp_path, nv.STEPS["scale"](), nv.STEPS["mean_std"]())
    out = str(tmp_path / "out")
    assert main(["apply", str(tmp_path / "grey.png"), "--pipeline", path, "--out", out]) == FAILED
    said = capsys.readouterr().err
    assert "grey.png: Mean and std is for 3 channels" in said and "“to RGB” before it" in said


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
