"""The main job in a real browser: numbers on screen against the package's own."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.light import Light
from normviz.observe.ranges import observe
from normviz.samples import SAMPLE_SETS, load_sample
from tests.browser.conftest import ARTIFACTS, drawn, settled
from tests.browser.screen import DEFAULT, assert_same, expected, numbers_on_screen

pytestmark = pytest.mark.browser


def test_first_screen_shows_normalized_photos_and_true_numbers(open_page):
    page = open_page()
    photos = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
    assert_same(numbers_on_screen(page), expected(photos, DEFAULT, photos))
    heading = page.locator("h4").first.inner_text()
    assert "darker than" in heading and "equal (0.00 and" in heading


def test_pictures_come_first_and_are_those_of_the_controls(open_page):
    page = open_page()
    order: list[str] = []

    def listen(socket) -> None:
        def sent(frame) -> None:
            if b'"drawn"' in as_bytes(frame):
                order.append("drawn")

        def received(frame) -> None:
            if b"Exposure (EV)" in as_bytes(frame):
                order.append("slider")

        socket.on("framesent", sent)
        socket.on("framereceived", received)

    page.on("websocket", listen)
    page.reload()
    drawn(page)
    assert order[:2] == ["drawn", "slider"]
    # What the controls say is what was drawn without them: nothing else came.
    assert page.evaluate("() => performance.getEntriesByName('normviz-message').length") == 1
    order.clear()
    page.goto(page.url.split("?")[0] + "?ev=-2")
    drawn(page)
    assert order[:2] == ["slider", "drawn"]


def as_bytes(frame: bytes | str) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode()


def test_exposure_slider_changes_pictures_and_numbers(open_page):
    page = open_page("/?ev=-2")
    photos = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
    assert_same(numbers_on_screen(page), expected(photos, DEFAULT, photos, Light(ev=-2)))
    page.locator("input[type=range][aria-label='Exposure (EV)']").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => location.search.includes('ev=-2.25')")
    settled(page)
    assert_same(numbers_on_screen(page), expected(photos, DEFAULT, photos, Light(ev=-2.25)))


def test_upload_of_a_photo_and_of_a_zip(open_page, tmp_path):
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    PillowImage.fromarray(photo).save(tmp_path / "mine.png")
    page = open_page()
    page.get_by_text("My files", exact=True).first.click()
    settled(page)
    page.locator("input[type=file]").first.set_input_files(str(tmp_path / "mine.png"))
    page.get_by_text("53 × 37 px").first.wait_for()
    drawn(page)
    image = nv.image_of(photo)
    assert_same(numbers_on_screen(page), expected([image], DEFAULT, [image]))

    stream = io.BytesIO()
    members = []
    with zipfile.ZipFile(stream, "w") as archive:
        for at, label in enumerate(("cat", "dog")):
            pixels = rng.integers(0, 256, (20 + at, 31, 3), dtype=np.uint8)
            one = io.BytesIO()
            PillowImage.fromarray(pixels).save(one, "PNG")
            archive.writestr(f"{label}/{at}.png", one.getvalue())
            members.append(nv.image_of(pixels))
        archive.writestr("cat/broken.png", b"\x89PNG\r\n\x1a\n not really")
    (tmp_path / "set.zip").write_bytes(stream.getvalue())
    page = open_page("/?source=My+files")
    page.locator("input[type=file]").first.set_input_files(str(tmp_path / "set.zip"))
    page.get_by_text("31 × 21 px").first.wait_for()
    drawn(page)
    assert page.get_by_text("1 file could not be read").count() == 1
    assert page.get_by_text("broken.png").count() >= 1
    assert_same(numbers_on_screen(page), expected(members, DEFAULT, members))


def test_junk_in_the_address_falls_back_to_defaults(open_page):
    page = open_page("/?ev=banana&methods=nonsense&map=<script>&page=-7&fit=preset:x")
    screen = numbers_on_screen(page)
    assert {method for _, method, _, _ in screen} <= set(nv.METHODS)
    photos = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
    shown = sorted({method for _, method, _, _ in screen}, key=list(nv.METHODS).index)
    assert_same(screen, expected(photos, shown, photos))


def test_address_brings_back_the_view(open_page):
    shown = [("photos", "One scene, three exposures"), ("ev", "1.5"), ("kelvin", "3000")]
    names = ("dataset_zscore", "grey_world")
    shown += [("methods", nv.METHODS[name].about.short) for name in names]
    shown += [("map", "Zero at grey"), ("scale", "Same scale")]
    path = "/?" + urlencode(shown)
    first, second = open_page(path), open_page(path)
    light = Light(ev=1.5, kelvin=3000)
    photos = [load_sample(key) for key in SAMPLE_SETS["One scene, three exposures"]]
    package = expected(photos, ("dataset_zscore", "grey_world"), photos, light)
    assert_same(numbers_on_screen(first), package)
    assert_same(numbers_on_screen(second), package)
    labels = [page.get_by_test_id("display-label").inner_text() for page in (first, second)]
    assert labels[0] == labels[1] and labels[0].startswith("Zero at grey, all alike")
    assert first.url == second.url


def test_a_parameter_is_kept_when_its_expander_is_closed(open_page):
    page = open_page("/?" + urlencode([("methods", nv.METHODS["lcn"].about.short)]))
    photos = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
    window = page.locator("input[type=range][aria-label='Window (px)']")
    expander = page.locator("summary", has_text="Parameters")
    expander.click()
    window.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.search.includes('lcn.window=11')")
    settled(page)
    wider = {}
    for row, photo in enumerate(photos):
        method = nv.METHODS["lcn"](window=11)
        found = observe(photo, nv.image_statistics(photo), method.fit(None))
        wider |= {
            (row, "lcn", channel, "max"): float(value)
            for channel, value in zip("RGB", found.high, strict=True)
        }

    def on_screen():
        numbers = numbers_on_screen(page)
        return {place: value for place, value in numbers.items() if place[3] == "max"}

    assert_same(on_screen(), wider)
    expander.click()
    settled(page)
    page.locator("input[type=range][aria-label='Exposure (EV)']").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.search.includes('ev=0.25')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => !location.search.includes('ev=')")
    settled(page)
    assert_same(on_screen(), wider)
    again = open_page(page.url[page.url.index("/?") :])
    assert "lcn.window=11" in again.url


def test_screenshots_for_the_readme(open_page):
    folder = Path(os.environ.get("NORMVIZ_SCREENSHOTS") or ARTIFACTS)
    folder.mkdir(exist_ok=True)
    for name, path, width, height, dark in (
        ("compare", "/", 1280, 900, False),
        ("compare_dark", "/", 1280, 900, True),
        ("compare_wide", "/", 1600, 1000, False),
        ("compare_phone", "/", 390, 844, False),
        ("methods", "/methods", 1280, 900, False),
    ):
        page = open_page(path, width=width, height=height, dark=dark)
        picture = folder / f"{name}.png"
        page.screenshot(path=str(picture))
        with PillowImage.open(picture) as image:
            assert image.size == (width, height)
            colours = image.convert("RGB").getcolors(maxcolors=1 << 24)
            assert colours is not None and len(colours) > 500


def test_the_address_forgets_an_option_that_went_with_its_photos(open_page):
    page = open_page("/?scene=2.+Field+at+night%2C+exposed+2.8+EV+longer")
    scene = page.locator(".st-key-scene input")
    assert scene.input_value().startswith("2. Field")
    for photos in ("People and things", "Day and night"):
        page.locator(".st-key-photos input").click()
        page.get_by_role("option", name=photos).click()
        settled(page)
        drawn(page)
    settled(page)
    assert scene.input_value().startswith("1. Forest")
    assert "scene" not in page.url


def test_a_change_of_theme_reaches_all_charts(open_page):
    page = open_page("/?log_y=true")
    for dark, ink in ((True, "#eceff1"), (False, "#1a1a1a")):
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.wait_for_function(
            """ink => {
              const charts = [...document.querySelectorAll('.js-plotly-plot')];
              return charts.length === 3
                && charts.every((chart) => chart._fullLayout?.font?.color === ink);
            }""",
            arg=ink,
        )
    settled(page)
    assert "log_y=true" in page.url
