"""Files of every kind on screen: read for what they are, or refused in one sentence."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.display import to_bytes
from normviz.imports import read_normalization
from normviz.light import Light, relight
from normviz.presets import PRESETS
from normviz.samples import SAMPLE_SETS, load_sample
from tests.browser.conftest import drawn, settled
from tests.browser.screen import (
    DEFAULT,
    assert_same,
    colours_on_screen,
    expected,
    numbers_on_screen,
)
from tests.browser.test_views import chart

pytestmark = pytest.mark.browser

UPLOAD = "/?source=My+files"


def upload(page, *files: tuple[str, bytes]) -> None:
    """Hand files to the page's first uploader and wait until it has answered."""
    payloads = [
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        for name, data in files
    ]
    page.locator("input[type=file]").first.set_input_files(payloads)
    page.wait_for_timeout(500)
    drawn(page)


def npy(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def png(pixels) -> bytes:
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG whose header promises 60,000 × 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def climbing() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../outside.png", png(np.zeros((4, 4, 3), np.uint8)))
    return stream.getvalue()


PHOTO = np.random.default_rng(5).integers(0, 256, (21, 34, 3), dtype=np.uint8)
WITH_NAN = np.full((4, 5, 3), 0.5, np.float32)
WITH_NAN[2, 3, 1] = np.nan


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(open_page):
    page = open_page(UPLOAD)
    refused = {
        "orders.npy": (npy(np.array([{"a": 1}]), allow_pickle=True), "pickle"),
        "data_batch_1": (pickle.dumps({b"data": 1}), "pickle"),
        "bomb.png": (bomb(), "megapixel"),
        "climbing.zip": (climbing(), "outside"),
        "cut.zip": (b"PK\x03\x04 and no more", "zip"),
        "nan.npy": (npy(WITH_NAN), "NaN"),
        "notes.txt": (b"no image at all", "image"),
    }
    upload(page, ("good.png", png(PHOTO)), *((name, data) for name, (data, _) in refused.items()))
    image = nv.image_of(PHOTO)
    assert_same(numbers_on_screen(page), expected([image], DEFAULT, [image]))
    box = page.get_by_test_id("stExpander").filter(has_text="could not be read")
    assert f"{len(refused)} files could not be read" in box.inner_text()
    assert box.get_by_text("nan.npy").first.is_visible()
    told = {}
    for sentence in box.get_by_test_id("stText").all_inner_texts():
        told |= {name: sentence for name in refused if name in sentence}
    assert told.keys() == refused.keys()
    for name, (_, reason) in refused.items():
        assert reason.lower() in told[name].lower(), told[name]
    # The value that is no number is named by its place: row 2, column 3, channel 1.
    assert "2" in told["nan.npy"] and "3" in told["nan.npy"]
    assert page.get_by_test_id("stException").count() == 0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.png", b"\x89PNG\r\n\x1a\n"),
        ("empty.npy", npy(np.zeros((0, 5, 3), np.uint8))),
        ("signed.npy", npy(np.full((4, 5, 3), -3, np.int8))),
    ],
)
def test_nothing_readable_leaves_a_page_that_says_so(open_page, name, data):
    page = open_page(UPLOAD)
    page.locator("input[type=file]").first.set_input_files(
        [{"name": name, "mimeType": "application/octet-stream", "buffer": data}]
    )
    page.get_by_text("No image here could be read").wait_for()
    assert name in page.get_by_test_id("stText").first.inner_text()
    assert page.get_by_test_id("stException").count() == 0


def test_of_many_unreadable_files_the_first_is_named_before_the_list_is_opened(open_page):
    page = open_page(UPLOAD)
    bad = [(f"bad{at:02}.png", b"no image") for at in range(12)]
    upload(page, ("good.png", png(PHOTO)), *bad)
    box = page.get_by_test_id("stExpander").filter(has_text="could not be read")
    assert "12 files could not be read, first bad00.png" in box.inner_text()
    assert not box.get_by_text("bad11.png").first.is_visible()


def test_the_night_of_a_photo_alone_is_the_same_photo_simulated(open_page):
    page = open_page(f"{UPLOAD}&hist=Day+against+night&bins=16&before=Hidden")
    upload(page, ("only.png", png(PHOTO)))
    page.get_by_text("against the same image simulated at −3 EV (filled)").wait_for()
    data = chart(page, "histograms")["data"]
    for name, light in (("R, day", Light()), ("R, night", Light(ev=-3))):
        counts = nv.image_statistics(relight(nv.image_of(PHOTO), light)).summary.table[0]
        trace = next(trace for trace in data if trace["name"] == name)
        borders = np.append(np.arange(256) - 0.5, 255.5) / 255
        reached = np.interp(trace["x"], borders, np.append(0, np.cumsum(counts)))
        shares = 100 * np.diff(reached) / counts.sum()
        np.testing.assert_allclose(trace["y"][:-1], shares, rtol=1e-3, atol=1e-3)


def test_a_photo_of_one_colour_is_said_to_be_one_where_nothing_can_be_compared(open_page):
    page = open_page(UPLOAD)
    upload(page, ("flat.png", png(np.full((30, 40, 3), 77, np.uint8))))
    page.get_by_text("is one colour everywhere: filters find nothing in it to compare").wait_for()
    notes = page.locator(".note").all_inner_texts()
    assert all("one value everywhere, drawn mid-grey" in note for note in notes)
    assert page.locator(".st-key-firing").count() == 0


def test_small_images_of_one_size_keep_it_for_their_mean_image(open_page):
    stack = np.random.default_rng(6).integers(0, 256, (9, 8, 10), dtype=np.uint8)
    methods = ("dataset_mean_image", "dataset_pixel_zscore")
    titles = [nv.METHODS[key]().about.short for key in methods]
    page = open_page(f"{UPLOAD}&{urlencode({'methods': titles}, doseq=True)}")
    upload(page, ("digits.npy", npy(stack)))
    numbers = numbers_on_screen(page)
    values = stack / 255
    centred = 255 * (values - values.mean(axis=0))
    standard = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1 / 255)
    for row in range(4):
        for method, done in zip(methods, (centred, standard), strict=True):
            for stat, of in (("min", np.min), ("mean", np.mean), ("std", np.std), ("max", np.max)):
                shown = numbers[row, method, "grey", stat]
                assert shown == pytest.approx(of(done[row]), rel=1e-5, abs=1e-5), (
                    row,
                    method,
                    stat,
                )


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.png",
        "[click](javascript:alert(1)) **bold** $x^2$ :red[a].png",
        "=HYPERLINK('x').png",
        "снимок 🌃 ﷽.png",
    ],
)
def test_a_file_name_is_shown_letter_by_letter(open_page, name):
    page = open_page(UPLOAD)
    upload(page, (name, png(PHOTO)), ("plain.png", png(PHOTO // 2)))
    title = page.locator(".about b").first
    assert title.inner_text() == name
    # The headline speaks of both images, in words that Markdown made nothing of.
    heading = page.locator("h4").first
    assert f"“{name}”" in heading.inner_text()
    assert heading.locator("a[href^='javascript'], img, strong, .katex").count() == 0


def test_files_are_kept_while_the_samples_are_looked_at(open_page):
    pixels = np.random.default_rng(2).integers(0, 256, (13, 19), dtype=np.uint8)
    page = open_page(UPLOAD)
    upload(page, ("mine.png", png(pixels)))
    screen = numbers_on_screen(page)
    page.get_by_role("radio", name="Sample photos").click()
    page.get_by_text("Your files are kept").wait_for()
    drawn(page)
    assert numbers_on_screen(page).keys() != screen.keys()
    page.get_by_role("radio", name="My files").click()
    page.get_by_text("Your files are kept").wait_for(state="detached")
    drawn(page)
    assert numbers_on_screen(page) == screen
    assert page.get_by_text("mine.png").count()
    # Let go, they are gone.
    page.get_by_role("button", name="Remove mine.png").click()
    settled(page)
    page.get_by_role("radio", name="Sample photos").click()
    settled(page)
    assert page.get_by_text("Your files are kept").count() == 0


@pytest.mark.parametrize("kind", ["16 bit", "float", "grey"])
def test_other_pixels_than_bytes_are_read_for_what_they_are(open_page, kind):
    rng = np.random.default_rng(8)
    if kind == "16 bit":
        pixels = rng.integers(0, 65536, (13, 19), dtype=np.uint16)
        name, data = "deep.png", png(pixels)
        image = nv.image_of(pixels)
    elif kind == "float":
        pixels = rng.uniform(0, 1, (13, 19, 3)).astype(np.float32)
        name, data = "unit.npy", npy(pixels)
        image = nv.image_of(pixels)
    else:
        pixels = rng.integers(0, 256, (13, 19), dtype=np.uint8)
        name, data = "grey.png", png(pixels)
        image = nv.image_of(pixels)
    page = open_page(UPLOAD)
    upload(page, (name, data))
    assert_same(numbers_on_screen(page), expected([image], DEFAULT, [image]))
    page.wait_for_timeout(2500)
    # Every pixel is measured already: nothing goes on behind the page.
    precision = "in float64" if kind == "float" else "exact"
    notes = set(page.locator(".note").all_inner_texts())
    assert notes == {f"{precision}, all 19 × 13 px"}
    assert page.get_by_text("Measuring every pixel").count() == 0
    # The pixel under the pointer, before and after, against the package.
    stats = nv.scan([image], mean_image=224)
    for method in ("scale_01", "lcn"):
        canvas = page.locator(f"[data-column={method}] canvas").first
        canvas.scroll_into_view_if_needed()
        canvas.hover()
        readout = page.locator(f"[data-column={method}] [data-testid=readout]").first
        x, y = (int(readout.get_attribute(f"data-{axis}")) for axis in "xy")
        before, after = (
            [float(v) for v in readout.get_attribute(f"data-{when}").split()]
            for when in ("before", "after")
        )
        values = nv.METHODS[method]().fit(stats)(image.pixels, image.value_range)
        step = float(np.ptp(values)) / 65535
        span = image.value_range.span
        np.testing.assert_allclose(before, image.pixels[y, x], atol=span / 65535)
        np.testing.assert_allclose(after, values[y, x], atol=max(step, 2e-5))


@pytest.mark.parametrize("kind", ["grey", "colour in another light", "16 bit grey", "float colour"])
def test_the_colours_of_the_pictures_are_those_of_the_mapping(open_page, kind):
    rng = np.random.default_rng(17)
    shape = (13, 19) if "grey" in kind else (13, 19, 3)
    light = Light(ev=-1.0, kelvin=9000.0) if "light" in kind else Light()
    if "float" in kind:
        pixels = rng.uniform(0, 1, shape).astype(np.float32)
    else:
        depth = np.uint16 if "16 bit" in kind else np.uint8
        pixels = rng.integers(0, np.iinfo(depth).max, shape, depth, endpoint=True)
        # The channels differ, so that one in another's place is seen.
        pixels //= np.array([1, 3, 2] if len(shape) == 3 else 1, depth)
    image = nv.image_of(pixels)
    page = open_page(
        UPLOAD + (f"&ev={light.ev}&kelvin={light.kelvin:g}" if "light" in kind else "")
    )
    upload(page, ("picture.npy", npy(pixels)))
    stats, seen = nv.scan([image], mean_image=224), relight(image, light)
    colours = colours_on_screen(page, 13, 19)
    assert colours.keys() == set(DEFAULT)
    for name, shown in colours.items():
        values = nv.METHODS[name]().fit(stats)(seen.pixels, seen.value_range).astype(np.float64)
        # The default mapping: black is the lowest value of the method's panels, white the highest.
        package = to_bytes(values, (float(values.min()), float(values.max())))
        away = np.abs(shown.astype(int) - package)
        # Values that are no gain and bias travel in 65,536 steps, which may round the other way.
        assert away.max() <= 1 and (away > 0).mean() < 0.02, name


def test_a_large_photo_is_measured_on_every_pixel_behind_the_page(open_page):
    day = np.asarray(load_sample("forest_day").pixels)
    pixels = np.tile(day, (4, 4, 1))[:1200, :1600]
    pixels = np.clip(pixels + np.random.default_rng(3).normal(0, 9, pixels.shape), 0, 255)
    image = nv.image_of(pixels.astype(np.uint8))
    page = open_page(UPLOAD)
    upload(page, ("large.png", png(image.pixels)))
    assert "shown as a reduced copy of 640 × 480 px" in page.locator(".about").first.inner_text()
    note = page.locator("[data-column=lcn] .note")
    note.filter(has_text="exact, all 1600 × 1200 px").wait_for()
    settled(page)
    assert_same(numbers_on_screen(page), expected([image], DEFAULT, [image]))
    # A step of the light: the copy at once, then every pixel again.
    page.locator("input[type=range][aria-label='Exposure (EV)']").press("ArrowLeft")
    note.filter(has_text="measured on 640 × 480 px").wait_for()
    note.filter(has_text="exact, all 1600 × 1200 px").wait_for()
    settled(page)
    package = expected([image], DEFAULT, [image], Light(ev=-0.25))
    assert_same(numbers_on_screen(page), package)


def test_fit_on_another_set_and_on_a_preset(open_page):
    page = open_page("/?methods=dataset+mean%2C+std&methods=own+mean&fit=Another+set%3A+my+files")
    assert page.get_by_text("Upload the images to fit on").count() >= 1
    other = np.random.default_rng(9).integers(0, 90, (9, 9, 3), dtype=np.uint8)
    upload(page, ("other.png", png(other)))
    page.wait_for_selector("[data-column=dataset_zscore] [data-stat]", state="attached")
    settled(page)
    photos = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
    package = expected(photos, ("dataset_zscore", "image_mean"), [nv.image_of(other)])
    assert_same(numbers_on_screen(page), package)


def test_constants_from_a_text_and_a_mean_image_from_a_file(open_page, tmp_path):
    text = "A.Normalize(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))"
    query = {"fit": "Constants from a file or a text", "constants": text}
    query |= {"methods": ["dataset mean, std", "mean image"]}
    page = open_page("/?" + urlencode(query, doseq=True))
    photo = load_sample(SAMPLE_SETS["Day and night"][0])
    done = nv.METHODS["dataset_zscore"]().fit(PRESETS["cifar10_folklore"])(photo.pixels)
    screen = numbers_on_screen(page)
    assert screen[0, "dataset_zscore", "G", "mean"] == pytest.approx(done[..., 1].mean(), abs=1e-4)
    assert page.get_by_text("Folklore").count() >= 1
    assert page.get_by_text("needs a mean image").count() >= 1

    mean = np.random.default_rng(0).uniform(90, 130, (3, 256, 256)).astype(np.float32)
    np.save(tmp_path / "ilsvrc_2012_mean.npy", mean)
    place = page.locator(".st-key-constants_file input[type=file]")
    place.set_input_files(str(tmp_path / "ilsvrc_2012_mean.npy"))
    page.get_by_text("BGR").first.wait_for()
    drawn(page)
    rgb = mean[::-1].transpose(1, 2, 0)
    shown = cv2.resize(rgb, photo.pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    expected = photo.pixels - shown
    screen = numbers_on_screen(page)
    for at, channel in enumerate("RGB"):
        found = screen[0, "dataset_mean_image", channel, "mean"]
        assert found == pytest.approx(expected[..., at].mean(), abs=1e-3)

    (tmp_path / "holiday.npy").write_bytes(b"not an array")
    place.set_input_files(str(tmp_path / "holiday.npy"))
    page.get_by_text("no mean and std were found").first.wait_for()


def test_steps_come_from_another_librarys_config(open_page, tmp_path):
    config = {"size": 224, "resample": 3, "crop_size": 224, "do_center_crop": True}
    config |= {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "do_normalize": True}
    config |= {"do_resize": True, "feature_extractor_type": "CLIPFeatureExtractor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    page = open_page("/pipelines")
    page.get_by_text("As JSON, or from a file").click()
    place = page.locator(".st-key-pipeline_file input[type=file]")
    place.set_input_files(str(tmp_path / "preprocessor_config.json"))
    page.wait_for_function("() => location.search.includes('pipeline=')")
    settled(page)
    photo = load_sample(SAMPLE_SETS["Day and night"][0])
    steps = read_normalization("preprocessor_config.json", json.dumps(config)).pipeline
    result = steps.fit()(photo)
    ends = f"{result.min():.3g} to {result.max():.3g}".replace("-", "−")
    assert ends in page.locator("h4").inner_text()
