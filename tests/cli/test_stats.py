"""`stats`: what it prints and writes, and the codes it ends with."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import sys

import numpy as np
import pytest
from PIL import Image as PillowImage
from pyarrow import parquet

import normviz as nv
from normviz.cli import DONE, FAILED, PARTLY, USAGE, main
from normviz.statistics import PatchPlan
from normviz.statistics.engines import Here
from tests.cli.conftest import pipeline_file


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


def test_a_mean_image_is_written_beside_the_record(folder, tmp_path):
    out = tmp_path / "stats.json"
    assert main(["stats", str(folder), "--out", str(out), "--mean-image", "8"]) == DONE
    stats = nv.scan(nv.read(str(folder)), mean_image=8)
    with np.load(tmp_path / "stats.npz", allow_pickle=False) as images:
        np.testing.assert_array_equal(images["mean"], stats.fraction_mean_image)
        np.testing.assert_array_equal(images["std"], stats.fraction_std_image)
        assert images["mean"].shape == (8, 8, 3)
    said = json.loads(out.read_text())["mean_image"]
    assert (said["height"], said["width"], said["squeezed"]) == (8, 8, True)


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


def measured(folder, *more):
    """The record that ``stats --json`` gives, and the pixels of each image."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(["stats", str(folder), "--json", *more])
    assert code == DONE
    return json.loads(said.getvalue())


def test_the_record_is_the_same_whatever_the_engine(many):
    """Processes, threads, this process and a pool of one's own choice: the same to the bit."""
    alone = measured(many, "--workers", "1")
    assert alone == measured(many, "--workers", "2", "--engine", "processes")
    assert alone == measured(many, "--engine", "threads", "--workers", "3")
    assert alone == measured(many)


def test_a_record_made_from_a_size_is_that_of_the_same_steps(many):
    size = ["--resize", "20", "--crop", "16", "--interpolation", "bicubic", "--library", "opencv"]
    record = measured(many, *size, "--workers", "2")
    steps = (
        nv.STEPS["resize"](20, interpolation="bicubic", library="opencv"),
        nv.STEPS["centre_crop"](16),
    )
    fitted = nv.Pipeline(steps).fit()
    pixels = np.stack([fitted(photo) for photo in nv.read(str(many))]).astype(float)
    np.testing.assert_allclose(record["mean"], pixels.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(record["std"]["pooled"], pixels.std(axis=(0, 1, 2)), rtol=1e-12)
    words = "resize 20 (shorter side, bicubic, OpenCV) → centre crop 16"
    assert record["transform"] == words and record["pixels"] == 80 * 256
    own = measured(many)
    assert own["transform"].startswith("none: every pixel") and own["pixels"] == 80 * 24 * 32


def test_the_standard_error_is_that_of_images_not_of_pixels(many):
    record = measured(many)
    images = np.stack([photo.pixels for photo in nv.read(str(many))]).astype(float)
    means = images.mean(axis=(1, 2))
    expected = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    sample = record["as_sample"]
    assert (sample["unit"], sample["count"]) == ("image", 80)
    np.testing.assert_allclose(sample["standard_error_mean"], expected, rtol=1e-9)
    assert record["reading"]["said"] == (
        "Every pixel of 80 images: exact, summed in whole numbers."
    )
    assert record["complete"] and "estimate" not in record


def test_until_stops_early_and_says_that_it_is_an_estimate(many, capsys):
    # 112 images: an estimate is trusted from 100 on.
    for at in range(32):
        pixels = np.full((24, 32, 3), 120 + at % 3, np.uint8)
        PillowImage.fromarray(pixels).save(many / f"more{at}.png")
    record = measured(many, "--until", "0.2")
    assert 100 <= record["images"] < 112 and not record["complete"]
    assert record["reading"]["of"] == 112 and record["reading"]["seed"] == 0
    half = np.array(record["estimate"]["half_width_mean"])
    assert (half > 0).all() and (half < 0.2 * 255).all()
    assert record["estimate"]["count"] == record["images"]
    said = record["reading"]["said"]
    assert f"from {record['images']} images of 112, drawn at random (seed 0)" in said
    assert "Images are the sampling unit, not pixels" in said
    assert main(["stats", str(many), "--until", "0.2", "--seed", "0"]) == DONE
    table = capsys.readouterr().out
    assert said in table and "exact" not in table
    line = next(line for line in table.splitlines() if line.startswith("  ±"))
    assert line.split()[1] == f"{half[0]:.4f}"
    assert measured(many, "--until", "0.2", "--seed", "9")["mean"] != record["mean"]


def test_the_table_has_covariance_correlation_and_labels(folder, capsys):
    assert main(["stats", str(folder)]) == DONE
    lines = {line[:24].strip(): line[24:].split() for line in capsys.readouterr().out.splitlines()}
    photos = list(nv.read(str(folder)))
    pixels = np.concatenate([photo.pixels.reshape(-1, 3) for photo in photos]).astype(float)
    for name, values in (
        ("covariance", np.cov(pixels.T, ddof=0)),
        ("correlation", np.corrcoef(pixels.T)),
    ):
        assert lines[name] == [f"{values[i, j]:.4f}" for i, j in ((0, 1), (0, 2), (1, 2))]
    for label, photo in zip(("cat", "dog"), photos, strict=True):
        own = photo.pixels.reshape(-1, 3).astype(float)
        numbers = [*own.mean(axis=0), *own.std(axis=0)]
        assert lines[f"{label:16}{1:>8}"] == [f"{value:.4f}" for value in numbers]


def test_labels_are_many_or_few(tmp_path, capsys):
    for at in range(21):
        (tmp_path / f"label{at}").mkdir()
        PillowImage.fromarray(np.full((4, 4), at, np.uint8)).save(tmp_path / f"label{at}" / "a.png")
    assert main(["stats", str(tmp_path)]) == DONE
    said = capsys.readouterr().out
    assert "21 labels; the JSON has their numbers" in said and "label7" not in said


def test_what_cannot_be_read_is_listed_within_bounds(folder, tmp_path, capsys, monkeypatch):
    for at in range(25):
        (folder / "cat" / f"broken{at:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    out = tmp_path / "stats.json"
    assert main(["stats", str(folder), "--out", str(out)]) == PARTLY
    said = capsys.readouterr().err
    assert said.count("broken") == 20 and "5 more could not be read." in said
    record = json.loads(out.read_text())
    assert record["unreadable"] == 25 and len(record["problems"]) == 25
    assert record["problems"][3]["path"].endswith("broken03.png")
    assert record["problems"][3]["reason"] and "problems_said" not in record
    for name in ("normviz.statistics.dataset.MOST_PROBLEMS", "normviz.cli.stats.MOST_PROBLEMS"):
        monkeypatch.setattr(name, 10)
    assert main(["stats", str(folder), "--out", str(out)]) == PARTLY
    record = json.loads(out.read_text())
    assert len(record["problems"]) == 10
    assert record["problems_said"] == "the first 10 of 25 by path"


def test_patches_are_written_beside_the_record(many, tmp_path):
    out = tmp_path / "stats.json"
    arguments = ["stats", str(many), "--out", str(out), "--patches", "3", "--mean-image", "5"]
    assert main(arguments) == DONE
    expected = nv.scan(nv.read(str(many)), patches=PatchPlan(3)).patch_moments
    with np.load(tmp_path / "stats.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["mean", "patch_covariance", "patch_mean", "std"]
        np.testing.assert_array_equal(arrays["patch_mean"], expected.mean)
        np.testing.assert_array_equal(arrays["patch_covariance"], expected.covariance)
        assert arrays["patch_covariance"].shape == (27, 27)
    assert json.loads(out.read_text())["patches"]["count"] == 80 * 32


def test_patches_that_no_image_holds_are_said_and_the_rest_is_written(folder, tmp_path, capsys):
    out = tmp_path / "stats.json"
    assert main(["stats", str(folder), "--out", str(out), "--patches", "32"]) == DONE
    assert "no 8- or 16-bit image holds a patch of 32 × 32" in capsys.readouterr().err
    assert json.loads(out.read_text())["images"] == 2 and not (tmp_path / "stats.npz").exists()


def test_small_sources_start_no_pool(many, monkeypatch):
    def refused(*_):
        raise AssertionError("a pool was made")

    monkeypatch.setattr("normviz.cli.engine.Processes", refused)
    assert measured(many)["images"] == 80
    # What takes long is worth one: the clock here runs a second a look.
    clock = itertools.count()
    monkeypatch.setattr("normviz.cli.engine.time.perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr("normviz.cli.engine._cores", lambda: 2)
    with pytest.raises(AssertionError, match="a pool was made"):
        main(["stats", str(many)])


def test_dask_is_asked_for_with_its_options(many, monkeypatch, capsys):
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "distributed", None)
        assert main(["stats", str(many), "--engine", "dask"]) == FAILED
        assert 'pip install "normviz[dask]"' in capsys.readouterr().err
    assert main(["stats", str(many), "--engine", "dask", "--scheduler", "rubbish"]) == USAGE
    assert "'rubbish' is no address of a Dask scheduler" in capsys.readouterr().err
    given = []

    class StandIn(Here):
        def __init__(self, scheduler, workers):
            given.append((scheduler, workers))

        def __enter__(self):
            given.append("entered")
            return self

        def __exit__(self, *_):
            given.append("left")

    monkeypatch.setattr("normviz.cli.engine.Dask", StandIn)
    arguments = ["--engine", "dask", "--scheduler", "tcp://one:8786", "--workers", "3"]
    assert measured(many, *arguments) == measured(many)
    assert given == [("tcp://one:8786", 3), "entered", "left"]


def test_dask_measures_the_same(many):
    pytest.importorskip("distributed")
    assert measured(many, "--engine", "dask", "--workers", "2") == measured(many)


def test_rows_are_those_of_the_images(many, tmp_path):
    table = tmp_path / "rows.parquet"
    PillowImage.fromarray(np.arange(72, dtype=np.uint8).reshape(8, 9)).save(many / "grey.png")
    assert measured(many, "--rows", str(table), "--workers", "2")["images"] == 81
    rows = parquet.read_table(table).to_pylist()
    photos = list(nv.read(str(many)))
    assert [row["path"] for row in rows] == [photo.path for photo in photos]
    for row, photo in zip(rows, photos, strict=True):
        names = ["grey"] if photo.channels == 1 else ["r", "g", "b"]
        pixels = photo.pixels.reshape(-1, photo.channels).astype(np.int64)
        assert [row[f"sum_{name}"] for name in names] == pixels.sum(axis=0).tolist()
        squares = (pixels**2).sum(axis=0).tolist()
        assert [row[f"sum_of_squares_{name}"] for name in names] == squares
        assert row["pixels"] == len(pixels) == row["height"] * row["width"]
        empty = {"grey", "r", "g", "b"} - set(names)
        assert all(row[f"{column}_{name}"] is None for name in empty for column in ("sum", "p50"))
