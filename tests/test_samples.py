"""The bundled photos are there, are what the table says, and are licensed by name."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image as PillowImage

from normviz import samples
from normviz.errors import ParameterError, ReadError
from normviz.light import srgb_to_linear
from normviz.samples import (
    LABELLED_SET,
    SAMPLE_FOLDER,
    SAMPLE_SETS,
    SAMPLES,
    counterpart,
    load_sample,
)


@pytest.mark.parametrize("key", SAMPLES)
def test_every_photo_loads_as_8_bit_colour(key):
    image = load_sample(key)
    assert image.pixels.dtype == np.uint8 and image.channels == 3
    assert min(image.height, image.width) >= 280 and max(image.height, image.width) <= 512
    assert image.path == SAMPLES[key].file
    assert image.pixels.std() > 15


def test_channels_are_in_rgb_order():
    # The red cup: its photo has more red than blue by far (158 against 52 in its manifest).
    red, green, blue = load_sample("coffee").pixels.mean(axis=(0, 1))
    assert (red, green, blue) == pytest.approx((158.5, 85.8, 51.6), abs=1.5)


def test_the_table_and_the_folder_hold_the_same_photos():
    assert {sample.file for sample in SAMPLES.values()} == {
        path.name for path in SAMPLE_FOLDER.glob("*.jpg")
    }


def test_titles_and_files_are_unique():
    assert len({s.title for s in SAMPLES.values()}) == len(SAMPLES)
    assert len({s.file for s in SAMPLES.values()}) == len(SAMPLES)


def test_every_file_is_named_with_its_licence():
    text = (SAMPLE_FOLDER / "LICENSES.md").read_text(encoding="utf-8")
    shipped = [p.name for p in SAMPLE_FOLDER.iterdir() if p.suffix in {".jpg", ".zip"}]
    assert len(shipped) == 19
    assert [name for name in shipped if name not in text] == []


def test_everything_together_is_small():
    assert sum(p.stat().st_size for p in SAMPLE_FOLDER.iterdir()) < 6_000_000


def test_sets_name_photos_that_exist():
    assert SAMPLE_SETS["All photos"] == tuple(SAMPLES)
    for keys in SAMPLE_SETS.values():
        assert len(set(keys)) == len(keys) > 0
        assert set(keys) <= set(SAMPLES)


def test_day_and_night_comes_in_pairs():
    keys = SAMPLE_SETS["Day and night"]
    assert [counterpart(key) for key in keys[::2]] == list(keys[1::2])


def test_counterparts():
    assert counterpart("forest_day") == "forest_underexposed"
    assert counterpart("field_night_lifted") == "field_night"
    assert {k for k in SAMPLES if counterpart(k)} == {"forest_day", "field_night_lifted"}


@pytest.mark.parametrize(
    ("one", "other", "ev"),
    [
        ("forest_day", "forest_underexposed", -3.2),
        ("forest_day", "forest_overexposed", 1.8),
        ("field_night_lifted", "field_night", -2.8),
    ],
)
def test_photos_of_one_scene_differ_by_the_stated_exposure(one, other, ev):
    a, b = (srgb_to_linear(load_sample(key).pixels / 255) for key in (one, other))
    clear = (a > 0.03) & (a < 0.9) & (b > 0.03) & (b < 0.9)
    assert clear.sum() > 1000
    assert np.log2(np.median(b[clear] / a[clear])) == pytest.approx(ev, abs=0.05)
    assert f"{abs(ev)} EV" in SAMPLES[one].title + SAMPLES[other].title


def test_an_unknown_key_is_answered_with_the_known_ones():
    for ask in (load_sample, counterpart):
        with pytest.raises(ParameterError, match=r"no bundled photo 'cat'; there are forest_day, "):
            ask("cat")


def test_a_missing_folder_is_explained(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "SAMPLE_FOLDER", tmp_path / "sample_images")
    with pytest.raises(ReadError, match=r"folder sample_images .* is missing.*full copy"):
        load_sample("coffee")


def test_a_damaged_photo_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "SAMPLE_FOLDER", tmp_path)
    (tmp_path / "coffee.jpg").write_bytes(b"not a jpeg")
    with pytest.raises(ReadError, match=r"coffee\.jpg: this bundled photo is missing or damaged"):
        load_sample("coffee")
    with pytest.raises(ReadError, match=r"raccoon\.jpg: this bundled photo is missing or damaged"):
        load_sample("raccoon")


def test_the_labelled_set_has_ten_classes_lit_and_dark():
    found: dict[str, list[float]] = {}
    with zipfile.ZipFile(SAMPLE_FOLDER / LABELLED_SET) as archive:
        for name in archive.namelist():
            _, place, file = name.split("/")
            pixels = np.asarray(PillowImage.open(io.BytesIO(archive.read(name))))
            assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
            found.setdefault(place, []).append(pixels.mean())
            assert file.startswith(("lit_", "dark_"))
    assert len(found) == 10
    for means in found.values():
        assert len(means) == 14
        assert np.mean(means[10:]) < np.mean(means[:10]) - 15
