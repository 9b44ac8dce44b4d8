"""The Dataset page: numbers, selection, exclusion and the way to Compare, against the package."""

from __future__ import annotations

import io
import json
import zipfile
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from app.sources import LABELLED
from normviz.export.constants import CONSTANTS_FOR, constants_text
from normviz.observe.dataset import (
    RANKS,
    convergence,
    convergence_words,
    label_words,
    near_duplicates,
    ranked,
    split_words,
)
from normviz.samples import LABELLED_SET, SAMPLE_FOLDER, SAMPLE_SETS, SAMPLES, load_sample
from tests.browser.conftest import drawn, settled
from tests.browser.screen import assert_same, expected, numbers_on_screen
from tests.browser.test_views import chart

pytestmark = pytest.mark.browser

NAMES = SAMPLE_SETS["All photos"]
PHOTOS = [load_sample(key) for key in NAMES]
TITLES = [SAMPLES[key].title for key in NAMES]
SCENES = nv.read(SAMPLE_FOLDER / LABELLED_SET)


def address(photos=LABELLED, **more) -> str:
    return "/dataset?" + urlencode({"photos": photos, **more})


def code(page) -> str:
    block = page.locator("[data-testid=stCode] code").first
    block.wait_for()
    return block.inner_text().strip()


def selected(page) -> list[str]:
    return page.locator(".st-key-selected img").evaluate_all("all => all.map((i) => i.alt)")


def select_rows(page, count: int) -> None:
    """Select the first rows of the ranked table with the keyboard alone."""
    table = page.locator("[class*=st-key-ranked_] canvas").first
    table.scroll_into_view_if_needed()
    page.locator("[class*=st-key-ranked_] [tabindex='0']").first.focus()
    for at in range(count):
        if at:
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Shift+Space" if not at else "Control+Shift+Space")
    page.locator(".st-key-selected_actions").wait_for()
    settled(page)


def lasso(page, box) -> None:
    """Draw around the part of the scatter between two corners, as shares of the plot."""
    plot = page.locator(".st-key-scatter .nsewdrag").first
    plot.scroll_into_view_if_needed()
    area = plot.bounding_box()
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    places = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    settled(page)


def points(page) -> dict[str, tuple[float, float]]:
    """Title → the place of its point on screen, as shares of the plot."""
    found = page.evaluate(
        """() => {
          const gd = document.querySelector('.st-key-scatter .js-plotly-plot');
          const { xaxis, yaxis } = gd._fullLayout, out = [];
          for (const trace of gd._fullData)
            Array.from(trace.x).forEach((x, at) => out.push([trace.customdata[at][1],
              xaxis.c2p(x) / xaxis._length, yaxis.c2p(trace.y[at]) / yaxis._length]));
          return out;
        }"""
    )
    return {title: (x, y) for title, x, y in found}


@pytest.mark.parametrize("target", CONSTANTS_FOR)
def test_the_constants_on_screen_are_the_packages(open_page, target):
    page = open_page(address("Day and night", constants_for=CONSTANTS_FOR[target]))
    photos = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
    stats = nv.scan(photos, mean_image=224)
    assert code(page) == constants_text(stats, target, "sample photos “Day and night”").strip()
    if target == "json":
        assert json.loads(code(page))["std"]["pooled"] == stats.std.pooled.tolist()
    cells = page.locator("[data-testid=stMarkdown] table").first.inner_text()
    assert "std, pooled" in cells and f"{stats.std.rms_of_images[1]:.5g}" in cells
    assert page.get_by_text("Exact: every pixel of 4 images").count() == 1


def test_every_view_speaks_the_packages_numbers(open_page):
    page = open_page(address())
    stats = nv.scan(SCENES, mean_image=224)
    body = page.locator(".stMainBlockContainer").inner_text()
    assert split_words(stats) in body and label_words(stats) in body
    found = convergence(stats)
    assert convergence_words(found, 3, 255) in body
    shown = chart(page, "variance_split")["data"]
    share = 100 * stats.variance.between / (stats.variance.within + stats.variance.between)
    np.testing.assert_allclose(shown[1]["x"], share, rtol=1e-9)
    lines = {t["name"]: t for t in chart(page, "convergence")["data"] if t["name"] in "RGB"}
    np.testing.assert_allclose(lines["G"]["y"], found.mean[:, 1], rtol=1e-6)
    dots = chart(page, "label_dots")["data"][0]
    assert len(dots["x"]) == 10 and max(dots["x"]) == pytest.approx(
        np.mean([i.pixels.mean() for i in SCENES if i.label == "courtyard"])
    )
    histogram = chart(page, "dataset_histogram")["data"][0]
    counts = stats.histogram[0]
    np.testing.assert_allclose(histogram["y"][:256], 100 * counts / counts.sum(), rtol=1e-5)
    order = ranked(stats.rows, RANKS["darkest"], 6)
    strip = page.locator(".st-key-strip_darkest img")
    assert strip.evaluate_all("all => all.map((i) => +i.dataset.at)") == order
    pair = near_duplicates(stats.rows)[0]
    alike = page.locator(".st-key-strip_alike img").evaluate_all(
        "all => all.map((i) => +i.dataset.at)"
    )
    assert alike[:2] == [pair.first, pair.second]
    loaded = page.locator(".nv-strip img").evaluate_all(
        "all => Promise.all(all.map((i) => i.decode().then(() => i.naturalWidth)))"
    )
    assert set(loaded) == {32}


def test_what_is_drawn_around_shows_below_and_is_what_compare_shows(open_page):
    page = open_page(address("All photos"), width=1600)
    area = (0.01, 0.01, 0.3, 0.99)
    dark = {title for title, (x, _) in points(page).items() if x < 0.3}
    assert 1 < len(dark) < 5
    lasso(page, area)
    assert set(selected(page)) == dark
    page.get_by_role("link", name="Look at them in Compare").click()
    page.wait_for_selector(".st-key-downloads", state="attached")
    settled(page)
    assert "/dataset" not in page.url and "photos=All" in page.url
    places = [at for at, title in enumerate(TITLES) if title in dark]
    methods = ("scale_01", "dataset_mean", "dataset_zscore", "image_mean", "image_standardize")
    screen = {k: v for k, v in numbers_on_screen(page).items() if k[1] in methods}
    assert_same(screen, expected([PHOTOS[at] for at in places], methods, PHOTOS))
    page.get_by_role("button", name="Show all images again").click()
    settled(page)
    drawn(page)
    assert page.get_by_text(f"Page of images (1 to 5; {len(PHOTOS)} images)").count() == 1


def test_rows_are_selected_by_keyboard_and_excluded_from_every_number(open_page):
    page = open_page(address("All photos", constants_for="JSON"))
    rows = nv.scan(PHOTOS).rows
    out = ranked(rows, RANKS["darkest"], 1)
    select_rows(page, 1)
    assert selected(page) == [TITLES[at] for at in out]
    with page.expect_download() as got:
        page.get_by_role("button", name="List of paths").click()
    listed = got.value.path().read_text().splitlines()
    assert listed == [PHOTOS[at].path for at in out]
    page.get_by_role("button", name="Exclude from the fit").click()
    page.locator(".st-key-excluded").wait_for()
    settled(page)
    left = nv.scan([photo for at, photo in enumerate(PHOTOS) if at not in out], mean_image=224)
    assert json.loads(code(page))["mean"] == left.mean.tolist()
    assert "1 image is excluded" in page.locator(".st-key-excluded").inner_text()
    sidebar = page.locator("[data-testid=stSidebar]").inner_text()
    assert f"{left.fraction_mean[0]:.4g}" in sidebar and "without 1 excluded" in sidebar
    page.get_by_role("button", name="Take them back in").click()
    page.locator(".st-key-excluded").wait_for(state="detached")
    settled(page)
    assert json.loads(code(page))["mean"] == nv.scan(PHOTOS).mean.tolist()


def test_the_address_brings_back_the_view(open_page):
    page = open_page(
        address(x="Sharpness", y="Red − blue", rank="Blurriest", read_seed=7, log_y="true")
    )
    stats = nv.scan(SCENES)
    assert convergence_words(convergence(stats, 7), 3, 255) in page.inner_text("body")
    titles = page.locator(".st-key-scatter .g-xtitle, .st-key-scatter .g-ytitle")
    titles.first.wait_for(state="attached")
    assert titles.all_text_contents() == ["Sharpness (0–255)", "Red − blue (0–255)"]
    assert chart(page, "dataset_histogram")["log"]
    assert page.get_by_role("radio", name="Blurriest").get_attribute("aria-checked") == "true"


def test_a_button_opens_the_labelled_set(open_page):
    page = open_page("/dataset")
    page.get_by_role("button", name="Open “Scenes").click()
    page.locator(".st-key-label_dots .trace").first.wait_for(state="attached")
    settled(page)
    assert page.locator("h4").inner_text().startswith("140 images with 10 labels")


def test_an_upload_of_grey_files_and_one_that_is_none(open_page):
    page = open_page("/dataset?source=My+files")
    rng = np.random.default_rng(2)
    pixels = [rng.integers(0, 256, (9, 12), dtype=np.uint8) for _ in range(30)]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for at, one in enumerate(pixels):
            file = io.BytesIO()
            PillowImage.fromarray(one).save(file, "PNG")
            archive.writestr(f"set/{'ab'[at % 2]}/<b>{at:02d}.png", file.getvalue())
        archive.writestr("set/a/broken.png", b"\x89PNG\r\n\x1a\n")
    page.locator("input[type=file]").first.set_input_files(
        [{"name": "set.zip", "mimeType": "application/zip", "buffer": stream.getvalue()}]
    )
    page.get_by_text("30 images with 2 labels").wait_for()
    settled(page)
    text = code(page)
    mean = np.stack(pixels).mean() / 255
    assert f"MEAN = [{mean:.6g}]" in text
    assert "1 file could not be read" in page.inner_text("body")
    assert page.get_by_test_id("stException").count() == 0
    # File names are text, whatever is in them.
    strip = page.locator(".st-key-strip_darkest img").first
    assert "<b>" in strip.get_attribute("alt")


def many_arrays() -> tuple[np.ndarray, dict]:
    """Small images that take some seconds to scan, and the same as a file to upload."""
    rng = np.random.default_rng(8)
    pixels = rng.integers(0, 256, (6000, 40, 40, 3), dtype=np.uint8)
    pixels = (pixels * rng.random((6000, 1, 1, 1))).astype(np.uint8)
    stream = io.BytesIO()
    np.save(stream, pixels)
    file = {"name": "many.npy", "mimeType": "application/octet-stream"}
    return pixels, {**file, "buffer": stream.getvalue()}


def first_in_sight(page) -> float:
    """How far below the header the page begins, in pixels."""
    return page.evaluate(
        """() => {
          const main = document.querySelector('.stMainBlockContainer');
          const edge = main.getBoundingClientRect().top + parseFloat(
            getComputedStyle(main).paddingTop);
          const shown = Array.from(main.querySelector('.stVerticalBlock').children)
            .map((one) => one.getBoundingClientRect()).filter((at) => at.height);
          return Math.min(...shown.map((at) => at.top)) - edge;
        }"""
    )


@pytest.mark.parametrize("path", ["/", "/dataset"])
def test_the_bar_of_a_scan_is_in_sight_on_a_phone_and_leaves_no_gap(open_page, path):
    page = open_page(f"{path}?source=My+files", width=390, height=800)
    assert first_in_sight(page) == 0
    page.locator("input[type=file]").first.set_input_files([many_arrays()[1]])
    bar = page.locator(".stMainBlockContainer .st-key-scanning")
    bar.get_by_text("Mean so far (95 %): R ").wait_for()
    stop = page.get_by_role("button", name="Stop here")
    top = bar.bounding_box()["y"]
    assert first_in_sight(page) == 0 and 40 < top < 70
    # However far down the page is read.
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 900)")
    assert bar.bounding_box()["y"] == pytest.approx(top, abs=1)
    box = stop.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] < 300
    stop.click()
    bar.wait_for(state="detached")
    drawn(page)
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")
    assert first_in_sight(page) == 0


def test_a_scan_that_is_stopped_leaves_an_estimate_that_says_so_everywhere(open_page):
    page = open_page("/dataset?source=My+files&constants_for=JSON")
    pixels, file = many_arrays()
    page.locator("input[type=file]").first.set_input_files([file])
    page.locator(".st-key-scanning").get_by_text("Mean so far (95 %): R ").wait_for()
    page.locator(".st-key-scanning").get_by_text("images/s").wait_for()
    page.get_by_role("button", name="Stop here").click()
    page.get_by_text("An estimate from").first.wait_for()
    settled(page)
    record = json.loads(code(page))
    count = record["estimate"]["count"]
    assert not record["exact"] and 10 < count < 6000 and record["estimate"]["of"] == 6000
    half = np.array(record["estimate"]["half_width_mean"])
    # Three intervals of 95 %, widened by half: further off than that is one in hundreds.
    assert (np.abs(np.array(record["mean"]) - pixels.mean(axis=(0, 1, 2))) < 1.5 * half).all()
    words = f"from {count:,} of 6,000 images of your file"
    assert words in page.locator("[data-testid=stSidebar]").inner_text()
    end = f"the estimate from all {count:,} images read"
    body = page.locator(".stMainBlockContainer").inner_text()
    assert f"{end} lies in that band" in body and "final value" not in body
    assert chart(page, "convergence")["data"][-1]["name"] == end.removeprefix("the ")
    page.get_by_role("link", name="Compare", exact=True).click()
    page.wait_for_selector(".st-key-downloads", state="attached")
    assert words in page.locator("[data-testid=stSidebar]").inner_text()


@pytest.mark.parametrize(("width", "dark"), [(1600, False), (1280, True), (390, False)])
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(address(), width=width, height=1000, dark=dark)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )
