"""The Activations page: what is drawn over depth, in the table and guessed, against the package."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import pytest

import normviz as nv
from normviz.light import Light, relight
from normviz.methods.kernels import affine
from normviz.networks import centre_view, mobilenet_v2_network
from normviz.observe.network import Feed, record_network
from normviz.observe.sentences import number
from normviz.samples import SAMPLE_SETS, load_sample
from tests.browser.conftest import settled
from tests.browser.screen import numbers_on_screen
from tests.browser.test_views import chart

pytestmark = pytest.mark.browser

PHOTOS = [load_sample(key) for key in SAMPLE_SETS["Day and night"]]
METHODS = ("scale_01", "image_standardize")
LAYER = 2


def address(*methods: str, **more) -> str:
    query = [("methods", nv.METHODS[name].about.short) for name in methods or METHODS]
    return "/activations?" + urlencode([*query, *more.items()])


def feed(name: str, light: Light | None = None) -> Feed:
    """The photos under a method, normalized with their numbers at full size."""
    fitted = nv.METHODS[name]().fit()

    def image(at: int) -> np.ndarray:
        seen = relight(PHOTOS[at], light) if light else PHOTOS[at]
        pair = fitted.affine(nv.image_statistics(seen))
        return affine(centre_view(seen.pixels, 224, 224), pair.gain, pair.bias)

    return Feed(name, len(PHOTOS), image)


def recorded(*feeds: Feed):
    *_, last = record_network(mobilenet_v2_network(), feeds)
    found = {record.name: record for record in record_network(mobilenet_v2_network(), feeds)}
    assert found[last.name].images == len(PHOTOS)
    return found


def table(page, key: str) -> list[list[str]]:
    rows = page.locator(f".st-key-{key} table tr")
    cells = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    return [[text.replace("\u00a0", " ") for text in row] for row in cells]


def test_lines_table_and_guesses_are_those_of_the_package(open_page):
    page = open_page(address(lit="As loaded", layer_at=LAYER))
    found = recorded(feed("published"), feed("scale_01"), feed("image_standardize"))
    lines = {line["name"]: line["y"] for line in chart(page, "depth_left")["data"]}
    for title, name in (("[0, 1]", "scale_01"), ("own mean, std", "image_standardize")):
        wanted = [layer.layer_std for layer in found[name].layers]
        assert lines[title] == pytest.approx(wanted, rel=1e-5), title
    assert len(lines) == 3
    head, trained, fraction, own = table(page, "layer_table")
    for row, name in ((trained, "published"), (fraction, "scale_01"), (own, "image_standardize")):
        one = found[name].layers[LAYER - 1]
        at = dict(zip(head, row, strict=True))
        assert at["mean"] == number(one.layer_mean, one.layer_std), name
        assert at["max"] == number(one.layer_high, one.layer_std)
        assert at["fire"] == f"{100 * one.layer_firing:.1f} %"
        assert at["saturated"] == f"{100 * one.layer_saturated:.1f} %"
    labels = mobilenet_v2_network().labels
    guesses = table(page, "guesses_table")
    for place, row in enumerate(guesses[1:5]):
        for text, name in zip(row[1:], ("published", *METHODS), strict=True):
            guess = found[name].predictions[place]
            assert text == f"{labels[guess.classes[0]]} {100 * guess.probabilities[0]:.0f} %"
    assert "own mean, std” keeps the channels nearest" in page.locator("h4").inner_text()


def test_percentiles_of_the_opened_layer_are_exact(open_page):
    page = open_page(address("scale_01", lit="As loaded", layer_at=LAYER))
    network, one = mobilenet_v2_network(), feed("scale_01")
    page.get_by_text("Every number is of all units of the layer (or channel), exact").wait_for()
    tap = network.layers[LAYER - 1].tap
    values = [network.run(one.image(at)[np.newaxis], [tap])[tap] for at in range(one.count)]
    low, middle, high = np.percentile(np.concatenate(values).astype(np.float64), [1, 50, 99])
    std = float(np.concatenate(values).std())
    head, _, last = table(page, "layer_table")
    row = dict(zip(head, last, strict=True))
    assert row["under"] == "[0, 1]"
    assert [row[name] for name in ("1 %", "median", "99 %")] == [
        number(float(v), std) for v in (low, middle, high)
    ]


def test_maps_share_one_scale_or_have_a_method_s_own(open_page):
    network = mobilenet_v2_network()
    tap = network.layers[LAYER - 1].tap
    planes = {
        name: network.run(feed(name).image(0)[np.newaxis], [tap])[tap][0, 0] for name in METHODS
    }
    for scale, said in (("One for all", "all alike"), ("A method's own", "each method")):
        page = open_page(address(lit="As loaded", layer_at=LAYER, maps_scale=scale))
        page.wait_for_selector("[data-column=scale_01] [data-stat]", state="attached")
        settled(page)
        assert said in page.get_by_test_id("display-label").inner_text()
        screen = numbers_on_screen(page)
        for name, plane in planes.items():
            assert screen[0, name, "map", "max"] == pytest.approx(float(plane.max()), rel=1e-4)


def test_a_channel_s_numbers_are_its_own(open_page):
    page = open_page(
        address(
            "scale_01", lit="As loaded", layer_at=LAYER, layer_channel=5, numbers_of="Channel 5"
        )
    )
    page.get_by_text("Every number is of all units of the layer (or channel), exact").wait_for()
    network, one = mobilenet_v2_network(), feed("scale_01")
    tap = network.layers[LAYER - 1].tap
    values = [network.run(one.image(at)[np.newaxis], [tap])[tap][:, 4] for at in range(one.count)]
    every = np.concatenate(values).astype(np.float64)
    head, _, last = table(page, "layer_table")
    row = dict(zip(head, last, strict=True))
    wanted = {
        "min": every.min(),
        "1 %": np.percentile(every, 1),
        "median": np.median(every),
        "99 %": np.percentile(every, 99),
        "mean": every.mean(),
        "std": every.std(),
    }
    assert {name: row[name] for name in wanted} == {
        name: number(float(value), float(every.std())) for name, value in wanted.items()
    }
    assert row["fire"] == f"{100 * (every > 0).mean():.1f} %"


def test_both_lights_and_the_exposure_slider(open_page):
    page = open_page(address("scale_01", ev="-2"))
    found = recorded(feed("scale_01", Light(ev=-2.0)))
    lines = {line["name"]: line["y"] for line in chart(page, "depth_left")["data"]}
    assert set(lines) == {
        f"{name}, {light}"
        for name in ("as trained (ImageNet's constants)", "[0, 1]")
        for light in ("as loaded", "−2 EV")
    }
    wanted = [layer.layer_std for layer in found["scale_01"].layers]
    assert lines["[0, 1], −2 EV"] == pytest.approx(wanted, rel=1e-5)


def test_clicks_open_layers_and_channels_and_the_address_brings_them_back(open_page):
    page = open_page(address(lit="As loaded", layer_channel=40))
    page.locator(".st-key-depth_left .point").nth(29).click(force=True)
    page.get_by_text("Layer 30, “features.10.conv.2”").wait_for()
    settled(page)
    page.locator(".st-key-channel_shifts .point").nth(9).click(force=True)
    page.get_by_text("Filter of channel 10").wait_for()
    settled(page)
    assert "layer_at=30" in page.url and "layer_channel=10" in page.url
    again = open_page("/activations?" + page.url.partition("?")[2])
    again.get_by_text("Filter of channel 10").wait_for()
    again.get_by_text("Layer 30, “features.10.conv.2”").wait_for()


@pytest.mark.parametrize(
    ("net", "said"),
    [
        ("A random stack, as before training", "20 layers, He, ReLU, seed 0"),
        ("The lab's small net, trained now", "trained for 250 steps on 16 × 16 px patches"),
    ],
)
def test_small_networks_are_measured_too(open_page, net, said):
    page = open_page(address(net=net, lit="As loaded"))
    assert said in page.locator("[data-testid=stMain]").inner_text()
    assert len(chart(page, "depth_left")["data"]) == 2
    assert len(table(page, "layer_table")) == 3


def test_a_layer_of_a_deep_network_becomes_the_last_of_a_shallow_one(open_page):
    page = open_page(address(lit="As loaded", layer_at=50, layer_channel=300))
    page.get_by_text("Layer 50, “").wait_for()
    page.get_by_role("combobox", name="Network").click()
    page.get_by_role("option", name="The lab's small net").click()
    page.get_by_text("Layer 3, “layer8”: Gemm, 10 channels").wait_for()
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0


def test_junk_in_the_address_falls_back(open_page):
    page = open_page(
        address(net="nonsense", lit="x", left="y", layer_at="-7", layer_channel="9999", of="z")
    )
    page.get_by_text("Layer 1, “features.0.0”").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1600, True)])
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(address(), width=width, dark=dark)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )
