"""What is taken away is what was measured, under names that can do no harm."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.export import (
    Panel,
    file_name,
    npz_of,
    png_bytes,
    small_webp,
    statistics_csv,
    statistics_json,
    zip_of,
)
from normviz.observe.ranges import observe


@pytest.fixture
def panel():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = nv.image_of(pixels)
    fitted = nv.METHODS["image_standardize"]().fit()
    found = observe(image, nv.image_statistics(image), fitted)
    names = ("R", "G", "B")
    return Panel("=cmd|'/C calc'!A1.png", "@cat", "image_standardize", "image stds", names, found)


def test_csv_holds_full_precision_and_no_formula(panel):
    rows = list(csv.DictReader(io.StringIO(statistics_csv([panel]))))
    assert [row["channel"] for row in rows] == ["R", "G", "B"]
    assert [float(row["mean"]) for row in rows] == panel.ranges.mean.tolist()
    assert [float(row["max"]) for row in rows] == panel.ranges.high.tolist()
    assert rows[0]["image"].startswith("'=") and rows[0]["label"] == "'@cat"
    assert (rows[0]["height"], rows[0]["width"], rows[0]["exact"]) == ("5", "7", "yes")
    rows = list(csv.DictReader(io.StringIO(statistics_csv([panel], {"ev": -3.0, "on": "=a()"}))))
    assert {(row["ev"], row["on"]) for row in rows} == {("-3.0", "'=a()")}


def test_json_holds_the_numbers_and_the_facts(panel):
    record = json.loads(statistics_json([panel], {"light": {"ev": -3}}))
    assert record["light"] == {"ev": -3}
    assert record["panels"][0]["std"] == panel.ranges.std.tolist()
    assert record["panels"][0]["image"].startswith("=cmd")


@pytest.mark.parametrize(
    "title", ["../../etc/passwd", "C:\\x\\y", "a/b", "\x00", "", "…", "x" * 500, "-rf"]
)
def test_file_names_are_plain(title):
    name = file_name(7, title, "lcn", "png")
    assert name.startswith("0007-") and name.endswith("-lcn.png") and len(name) < 90
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
    assert ".." not in name


def test_png_is_the_display_mapping():
    values = np.array([[[-1.0], [0.0], [3.0]]])
    with PillowImage.open(io.BytesIO(png_bytes(values, (-1.0, 1.0)))) as picture:
        assert np.asarray(picture).tolist() == [[0, 128, 255]]
    colour = np.random.default_rng(0).uniform(0, 1, (4, 5, 3))
    with PillowImage.open(io.BytesIO(png_bytes(colour, (0.0, 1.0)))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.floor(colour * 255 + 0.5))


def test_npz_and_zip_give_back_their_members_and_the_same_bytes_each_time():
    arrays = [
        ("one", np.arange(6, dtype=np.float32).reshape(1, 2, 3)),
        ("two", np.zeros((2, 2, 1))),
    ]
    data = npz_of(iter(arrays))
    with np.load(io.BytesIO(data), allow_pickle=False) as loaded:
        for name, array in arrays:
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype
    assert data == npz_of(iter(arrays))
    packed = zip_of(iter([("a.txt", b"1"), ("b.txt", b"22")]))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {n: archive.read(n) for n in archive.namelist()} == {"a.txt": b"1", "b.txt": b"22"}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_webp_is_the_picture_nearly(channels):
    smooth = np.add.outer(np.arange(40), 2 * np.arange(60)).astype(np.uint8)
    pixels = np.stack([smooth, 255 - smooth, smooth // 2][:channels], axis=2)
    with PillowImage.open(io.BytesIO(small_webp(pixels))) as picture:
        assert picture.format == "WEBP" and picture.size == (60, 40)
        shown = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(shown - pixels).mean() < 3
