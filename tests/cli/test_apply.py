"""`apply`: what it writes, and the codes it ends with."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.cli import DONE, FAILED, PARTLY, USAGE, main
from normviz.pipeline import from_json as pipeline_from_json
from tests.cli.conftest import pipeline_file


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


def shards_of(folder, out, *more):
    arguments = ["apply", str(folder), "--method", "dataset_zscore", "--out", str(out), *more]
    assert main(arguments) == DONE
    listed = [json.loads(line) for line in (out / "images.jsonl").read_text().splitlines()]
    return json.loads((out / "manifest.json").read_text()), listed


def test_npz_shards_hold_what_the_method_returns(many, tmp_path):
    out = tmp_path / "out"
    manifest, listed = shards_of(
        many, out, "--format", "npz", "--shard-size", "33", "--workers", "2"
    )
    assert manifest["count"] == 80 and [s["images"] for s in manifest["shards"]] == [33, 33, 14]
    photos = nv.read(str(many))
    expected = nv.METHODS["dataset_zscore"]().fit(nv.scan(photos))
    packed = [np.load(out / shard["file"], allow_pickle=False) for shard in manifest["shards"]]
    images = np.concatenate([arrays["images"] for arrays in packed])
    np.testing.assert_array_equal(images, np.stack([expected(p.pixels) for p in photos]))
    assert [entry["source"] for entry in listed] == photos.paths
    fitted = nv.from_json((out / "fitted.json").read_text())
    np.testing.assert_array_equal(images[7], fitted(photos[7].pixels))


def test_zarr_holds_what_the_pipeline_returns(folder, tmp_path):
    zarr = pytest.importorskip("zarr")
    path = pipeline_file(tmp_path, nv.STEPS["resize"](8), nv.STEPS["centre_crop"](6))
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--pipeline", path, "--format", "zarr", "--out", str(out)]
    assert main(arguments) == DONE
    assert json.loads((out / "manifest.json").read_text())["listed_in"] == "images.jsonl"
    fitted = pipeline_from_json((out / "pipeline.json").read_text())
    root = zarr.open_group(str(out / "normalized.zarr"), mode="r")
    expected = np.stack([fitted(photo) for photo in nv.read(str(folder))])
    np.testing.assert_array_equal(root["images"][:], expected)
    assert root.attrs["label_names"] == ["cat", "dog"] and root["labels"][:].tolist() == [0, 1]


def test_zarr_of_several_sizes_is_refused_with_a_way_out(folder, tmp_path, capsys):
    pytest.importorskip("zarr")
    out = tmp_path / "out"
    arguments = ["apply", str(folder), "--method", "lcn", "--format", "zarr", "--out", str(out)]
    assert main(arguments) == FAILED
    assert "Resize and crop in a --pipeline, or choose --format npz" in capsys.readouterr().err
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    "more", [[], ["--format", "npz"], ["--format", "npz", "--shard-size", "9"]]
)
def test_hostile_names_stay_inside_of_the_folder(tmp_path, more):
    hostile = ["../../up.png", "/etc/absolute.png", "a/../../b.png", "con.png", "x" * 200 + ".png"]
    hostile += ["-rf $(x)/..;`y`.png", "manifest.json/a.png", "new\nline.png"]
    file = io.BytesIO()
    PillowImage.fromarray(np.zeros((4, 4), np.uint8)).save(file, "PNG")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in hostile:
            archive.writestr(name, file.getvalue())
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "in" / "out"
    arguments = ["apply", str(tmp_path / "set.zip"), "--method", "scale_01", "--out", str(out)]
    assert main([*arguments, *more]) == PARTLY
    made = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert made[:2] == [tmp_path / "in", out] and len(made) > 3
    for path in made[2:]:
        assert path.parent == out and re.fullmatch(r"[\w-]+\.[a-z]+", path.name)
        assert len(path.name) < 120


def test_what_cannot_be_read_leaves_no_hole_in_the_shards(many, tmp_path, capsys):
    (many / "40.png").write_bytes(b"no image")
    out = tmp_path / "out"
    arguments = ["apply", str(many), "--method", "scale_01", "--format", "npz"]
    assert main([*arguments, "--shard-size", "50", "--out", str(out)]) == PARTLY
    assert "40.png" in capsys.readouterr().err
    with np.load(out / "normalized-00000.npz", allow_pickle=False) as arrays:
        assert arrays["images"].shape == (50, 24, 32, 3)
        assert [path[-6:] for path in arrays["paths"][39:41]] == ["39.png", "41.png"]


def test_a_pipeline_is_fitted_by_workers_to_the_same_numbers(many, tmp_path):
    zscore = nv.STEPS["normalize"](nv.METHODS["dataset_zscore"]())
    path = pipeline_file(tmp_path, nv.STEPS["resize"](8), zscore)
    for name, workers in (("one", "1"), ("two", "2")):
        arguments = ["apply", str(many), "--pipeline", path, "--workers", workers]
        assert main([*arguments, "--out", str(tmp_path / name)]) == DONE
    one, two = ((tmp_path / n / "pipeline.json").read_text() for n in ("one", "two"))
    pipeline = nv.Pipeline((nv.STEPS["resize"](8), zscore))
    assert one == two == pipeline.fit(nv.read(str(many))).to_json() + "\n"
