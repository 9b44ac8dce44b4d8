"""Viewer, charts, downloads, widths and keyboard of Compare, each against the package."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.display import to_bytes
from normviz.images import image_of
from normviz.light import Light, relight
from normviz.methods.published import ORDERS
from normviz.networks import mobilenet_v2, network_view, pre_activations
from normviz.observe.activations import day_night
from normviz.observe.ranges import observe
from normviz.presets import PRESETS
from normviz.samples import SAMPLE_SETS, load_sample
from tests.browser.conftest import settled
from tests.browser.screen import DEFAULT, assert_same, expected, numbers_on_screen

pytestmark = pytest.mark.browser

PHOTOS = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]


def address(*names, **more) -> str:
    shown = [("methods", nv.METHODS[name].about.short) for name in names]
    return "/?" + urlencode([*shown, *more.items()])


def fitted(name):
    return nv.METHODS[name]().fit(nv.scan(PHOTOS, mean_image=224))


def pixel_read(page, method, row=0):
    """(x, y, before, after) of the pixel that a panel reads."""
    readout = page.locator(f"[data-column={method}] [data-testid=readout]").nth(row)
    facts = readout.evaluate("element => ({ ...element.dataset })")
    numbers = ([float(v) for v in facts[when].split()] for when in ("before", "after"))
    return int(facts["x"]), int(facts["y"]), *numbers


def chart(page, key):
    """The data and the layout of a chart as the browser holds them, arrays decoded."""
    page.wait_for_selector(f".st-key-{key} .js-plotly-plot .trace", state="attached")
    return page.evaluate(
        """key => {
          const chart = document.querySelector(`.st-key-${key} .js-plotly-plot`);
          const plain = (value) => ArrayBuffer.isView(value) ? Array.from(value)
            : value && value._inputArray ? Array.from(value._inputArray) : value;
          const data = chart._fullData.map((trace) => ({
            name: trace.name, type: trace.type, fill: trace.fill, axis: trace.xaxis,
            x: plain(trace.x), y: plain(trace.y), base: plain(trace.base),
          }));
          const ticks = chart._fullLayout.yaxis.ticktext;
          return { data, ticks, log: chart._fullLayout.yaxis.type === 'log',
                   ranges: Object.keys(chart._fullLayout).filter((k) => /^xaxis/.test(k))
                     .map((k) => chart._fullLayout[k].range) };
        }""",
        key,
    )


def test_zoom_moves_all_panels_and_survives_a_change_of_method(open_page):
    page = open_page(address("scale_01", "dataset_zscore", "image_mean"))
    factor = page.get_by_label("Zoom factor")
    assert factor.inner_text() == "1.0×"
    canvas = page.locator("[data-column=scale_01] canvas").first
    canvas.dblclick(position={"x": 30, "y": 20})
    assert factor.inner_text() == "4.0×"
    canvas.hover(position={"x": 30, "y": 20})
    seen = pixel_read(page, "scale_01")
    # Under another method, at the same place of its panel, lies the same pixel.
    page.locator("[data-column=image_mean] canvas").first.hover(position={"x": 30, "y": 20})
    assert pixel_read(page, "image_mean")[:2] == seen[:2]
    page.locator("[data-tag]").filter(has_text="dataset mean, std").get_by_role("button").click()
    page.locator("[data-column=dataset_zscore]").first.wait_for(state="detached")
    settled(page)
    assert factor.inner_text() == "4.0×"
    canvas.hover(position={"x": 30, "y": 20})
    again = pixel_read(page, "scale_01")
    # One column less makes the panels wider: what lies under a place may move by a pixel or two.
    assert np.abs(np.subtract(again[:2], seen[:2])).max() <= 40
    page.get_by_role("button", name="Show whole pictures").click()
    assert factor.inner_text() == "1.0×"


def test_a_pixel_is_read_before_and_after_under_every_method(open_page):
    page = open_page(address(*DEFAULT, ev=-1.5, kelvin=4000))
    light = Light(ev=-1.5, kelvin=4000)
    page.locator("[data-column=scale_01] canvas").nth(1).hover(position={"x": 41, "y": 23})
    seen = relight(PHOTOS[1], light)
    for method in DEFAULT:
        x, y, before, after = pixel_read(page, method, row=1)
        values = fitted(method)(seen.pixels, seen.value_range)
        assert before == seen.pixels[y, x].tolist()
        step = float(np.ptp(values)) / 65535
        np.testing.assert_allclose(after, values[y, x], rtol=1e-5, atol=step)


def test_noise_is_the_packages_own(open_page):
    names = ("scale_01", "image_standardize", "lcn")
    page = open_page(address(*names, noise=4.5, light_seed=7))
    package = expected(PHOTOS, names, PHOTOS, Light(noise=4.5, seed=7))
    assert_same(numbers_on_screen(page), package)


def test_histograms_show_the_counted_shares(open_page):
    page = open_page(address("dataset_zscore", "lcn", bins=32, before="Hidden"))
    shown = chart(page, "histograms")
    for at, name in enumerate(("dataset_zscore", "lcn")):
        image = PHOTOS[0]
        found = observe(image, nv.image_statistics(image), fitted(name)).histograms(32)
        for channel, histogram in enumerate(found):
            trace = shown["data"][3 * at + channel]
            np.testing.assert_allclose(trace["x"], histogram.edges, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(trace["y"][:-1], 100 * histogram.shares, rtol=1e-5)
    assert not shown["log"] and shown["ranges"][0] != shown["ranges"][1]
    page.get_by_text("Log scale").click()
    settled(page)
    page.get_by_text("Same x for all").click()
    settled(page)
    shown = chart(page, "histograms")
    assert shown["log"] and shown["ranges"][0] == shown["ranges"][1]


@pytest.mark.parametrize(
    ("scope", "days", "nights"),
    [("All shown", range(len(PHOTOS)), ()), ("Day against night", (0, 2), (1, 3))],
)
def test_histograms_of_several_images(open_page, scope, days, nights):
    page = open_page(address("scale_01", hist=scope, before="Apart", bins=16))
    data = chart(page, "histograms")["data"]
    levels = np.arange(256)
    for places, what in ((days, ", day" if nights else ""), (nights, ", night")):
        if not places:
            assert not any("night" in trace["name"] for trace in data)
            continue
        pixels = np.concatenate([PHOTOS[at].pixels.reshape(-1, 3) for at in places])
        for channel, name in enumerate("RGB"):
            (trace,) = [trace for trace in data if trace["name"] == f"{name}{what}"]
            counts = np.bincount(pixels[:, channel], minlength=256)
            # A level fills the width of one level, so bins take their part of it.
            borders = np.append(levels - 0.5, 255.5) / 255
            reached = np.interp(trace["x"], borders, np.append(0, np.cumsum(counts)))
            shares = 100 * np.diff(reached) / len(pixels)
            np.testing.assert_allclose(trace["y"][:-1], shares, rtol=1e-3, atol=1e-3)
            assert (trace["fill"] == "tozeroy") == (what == ", night")
    assert sum("before" in trace["name"] for trace in data) == 3


def test_activations_are_the_packages_own_and_sorted(open_page):
    page = open_page(address("scale_01", "dataset_zscore", "image_mean", ev=-2))
    layer = mobilenet_v2()
    night = relight(PHOTOS[0], Light(ev=-2))
    found = {}
    for name in ("scale_01", "dataset_zscore", "image_mean"):
        received = []
        for image in (PHOTOS[0], night):
            pair = fitted(name).affine(nv.image_statistics(image))
            small = image_of(network_view(image.pixels))
            received.append(pre_activations(layer, small.pixels * pair.gain + pair.bias))
        found[name] = day_night(*(z.astype(np.float32) for z in received))
    order = sorted(found, key=lambda name: found[name].difference)
    shown = chart(page, "firing")
    by_name = {trace["name"]: trace for trace in shown["data"]}
    for label in ("day", "night"):
        firing = [100 * getattr(found[name], label).firing for name in order]
        np.testing.assert_allclose(by_name[label]["x"], firing, rtol=1e-4)
    assert [text.split("<br>")[0] for text in shown["ticks"]] == [
        nv.METHODS[name].about.short for name in order
    ]
    for text, name in zip(shown["ticks"], order, strict=True):
        assert text.endswith(f"{found[name].difference:.2f} stds")
    (bars,) = [t for t in chart(page, "activation_ranges")["data"] if t["type"] == "bar"]
    lowest = [found[name].day.min / found[name].day.std for name in order]
    np.testing.assert_allclose(bars["base"][:3], lowest, rtol=1e-3)


def taken(page, label) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    with open(waiting.value.path(), "rb") as stream:
        return stream.read()


def test_what_is_taken_away_is_what_is_shown(open_page):
    names = ("dataset_zscore", "lcn")
    page = open_page(address(*names, ev=-1, map="Zero at grey", scale="Same scale"))
    light = Light(ev=-1)
    values = {}
    for row, photo in enumerate(PHOTOS):
        seen = relight(photo, light)
        for name in names:
            values[row, name] = fitted(name)(seen.pixels, seen.value_range)
    reach = max(float(np.abs(v).max()) for v in values.values())

    with zipfile.ZipFile(io.BytesIO(taken(page, "Pictures as shown"))) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["light"]["ev"] == -1 and manifest["display"].startswith("Zero at grey")
        assert len(manifest["pictures"]) == len(values)
        for entry, (_, array) in zip(manifest["pictures"], sorted(values.items()), strict=True):
            with PillowImage.open(io.BytesIO(archive.read(entry["file"]))) as picture:
                np.testing.assert_array_equal(
                    np.asarray(picture), to_bytes(array, tuple(entry["black_white"]))
                )
            np.testing.assert_allclose(entry["black_white"], [-reach, reach], rtol=1e-5)

    with np.load(io.BytesIO(taken(page, "Floats")), allow_pickle=False) as arrays:
        assert len(arrays.files) == len(values)
        for name, (_, array) in zip(arrays.files, sorted(values.items()), strict=True):
            np.testing.assert_array_equal(arrays[name], array)

    rows = list(csv.DictReader(io.StringIO(taken(page, "Statistics (CSV)").decode())))
    screen = numbers_on_screen(page)
    assert len(rows) == 3 * len(values)
    for place, line in enumerate(rows):
        row = place // (3 * len(names))
        for stat in ("min", "mean", "std", "max"):
            shown = screen[row, line["method"], line["channel"], stat]
            assert float(line[stat]) == pytest.approx(shown, rel=1e-9, abs=1e-12)
    record = json.loads(taken(page, "Statistics (JSON)"))
    assert [panel["method"] for panel in record["panels"]] == list(names) * len(PHOTOS)
    assert record["panels"][0]["mean"] == [float(line["mean"]) for line in rows[:3]]


def test_the_code_on_screen_does_the_same(open_page):
    page = open_page(address("dataset_zscore"))
    page.get_by_text("Code that does the same").click()
    code = page.locator("[data-testid=stCode] code").first
    code.wait_for()
    settled(page)
    space: dict = {}
    exec(compile(code.inner_text().replace("\xa0", " "), "shown", "exec"), space)
    np.testing.assert_allclose(
        space["normalize"](PHOTOS[0].pixels),
        fitted("dataset_zscore")(PHOTOS[0].pixels),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280, 1600])
def test_nothing_is_wider_than_the_page(open_page, width, dark):
    page = open_page("/", width=width, height=900, dark=dark)
    page.wait_for_selector(".st-key-firing .js-plotly-plot")
    settled(page)
    beyond = page.evaluate(
        """() => {
          const main = document.querySelector('[data-testid=stMain]');
          const inside = (element) => element.closest('.st-key-grid');
          const found = [...main.querySelectorAll('*')].filter((element) => {
            const box = element.getBoundingClientRect();
            return box.width && box.right > innerWidth + 1 && !inside(element);
          });
          return [document.documentElement.scrollWidth - innerWidth, found.map((e) => e.className)];
        }"""
    )
    assert beyond == [0, []]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_core_finds_no_barrier(open_page, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page("/", width=width, height=900, dark=dark)
    page.wait_for_selector(".st-key-firing .js-plotly-plot")
    page.get_by_text("Code that does the same").click()
    page.locator("[data-testid=stCode] code").first.wait_for()
    settled(page)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []


def test_the_viewer_works_by_keyboard(open_page):
    page = open_page(address("scale_01", "image_mean"))
    page.locator("[data-column=scale_01] canvas").first.focus()
    page.keyboard.press("ArrowRight")
    x, y, before, _ = pixel_read(page, "scale_01")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    moved = pixel_read(page, "scale_01")
    assert moved[:2] == (x + 1, y + 1)
    assert before == PHOTOS[0].pixels[y, x].tolist()
    # What is read is said to a screen reader, too.
    page.get_by_role("status").filter(has_text=f"x {x + 1}, y {y + 1}").wait_for(state="attached")
    page.keyboard.press("+")
    assert page.get_by_label("Zoom factor").inner_text() == "1.5×"
    page.keyboard.press("0")
    assert page.get_by_label("Zoom factor").inner_text() == "1.0×"
    page.keyboard.press("Control+ArrowRight")
    assert page.locator("[data-column=image_mean] canvas:focus").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("[data-testid=readout][data-x]").count() == 0


def test_channels_that_are_turned_round_are_headed_so(open_page):
    order = {"published.preset": PRESETS["vgg"].title, "published.order": ORDERS["network"]}
    page = open_page(address("scale_01", "published", "opponent", **order))
    package = nv.METHODS["published"]("vgg", order="network").fit()(PHOTOS[0].pixels)
    numbers = numbers_on_screen(page)
    for c, channel in enumerate("BGR"):
        assert numbers[0, "published", channel, "mean"] == pytest.approx(package[..., c].mean())
    page.locator("[data-column=published] canvas").first.hover(position={"x": 41, "y": 23})
    x, y, before, _ = pixel_read(page, "published")
    # Under B stands what was read in R, said so.
    cells = page.locator("[data-column=published] [data-testid=readout] tr").first.locator("td")
    red, green, blue = PHOTOS[0].pixels[y, x].tolist()
    assert before == [red, green, blue]
    assert cells.all_inner_texts() == [f"R {red}", f"{green}", f"B {blue}"]
    heads = page.locator("[data-column=opponent] thead").first.locator("th")
    assert heads.all_inner_texts() == ["O₁", "O₂", "O₃"]
    note = page.locator("[data-column=opponent] .note").first.inner_text()
    assert note.endswith("O₁, O₂, O₃ drawn as R, G, B")
    names = [trace["name"] for trace in chart(page, "histograms")["data"]]
    assert names.count("B") == 2 and names.count("3rd channel") == 1


def test_compare_states_a_whitenings_memory_beside_its_methods(open_page):
    page = open_page("/?methods=image+ZCA&methods=CLAHE&image_zca.side=16")
    memory = nv.METHODS["image_zca"](side=16).memory_sentence(len(PHOTOS))
    said = page.locator("[data-testid=stSidebar]").get_by_text(memory)
    assert said.count() == 1 and "Image ZCA whitening, ε on eigenvalues" in said.inner_text()
