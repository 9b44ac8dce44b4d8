"""The Inspect page, and networks that visitors bring, against the package."""

from __future__ import annotations

import io
import json
from urllib.parse import urlencode

import numpy as np
import pytest

from normviz.inspection import guesses_under, verdict_of
from normviz.networks import mobilenet_v2_network
from normviz.networks.bundled import FOLDER
from normviz.samples import SAMPLE_SETS, SAMPLES, load_sample
from tests.browser.conftest import settled
from tests.browser.test_activations import table
from tests.networks.making import model_of, node, small

pytestmark = pytest.mark.browser

ODD = set(SAMPLE_SETS["Far from everyday"])
PHOTOS = [load_sample(key) for key in SAMPLES if key not in ODD][:16]
UPLOAD = {"net": "My ONNX file"}


def address(page: str, **more) -> str:
    return f"/{page}?" + urlencode(more)


def bring(page, name: str, data: bytes) -> None:
    page.locator(".st-key-net_file input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


@pytest.fixture(scope="module")
def verdict():
    return verdict_of(mobilenet_v2_network(), PHOTOS)


def test_the_verdict_its_table_code_and_json_are_the_package_s(open_page, verdict):
    page = open_page(address("inspect"))
    words = verdict.words()
    assert page.locator("h4").inner_text() == words[0]
    said = page.locator("[data-testid=stMain]").inner_text()
    assert all(line in said for line in words)
    head, first, *others = table(page, "candidates_table")
    assert len(others) + 1 == len(verdict.rows)
    own = verdict.rows[0]
    at = dict(zip(head, first, strict=True))
    assert at["fed as"] == own.title and at["distance"] == f"{own.distance:.3g}"
    assert (
        at["first in"] == f"{100 * own.support:.0f} %"
        and at["entropy"] == f"{own.entropy:.2f} bits"
    )
    code = page.locator("[data-testid=stCode] code").first.inner_text().strip()
    assert code == verdict.code("numpy").strip()
    with page.expect_download() as download:
        page.get_by_role("button", name="Verdict as JSON").click()
    written = json.loads(download.value.path().read_text("utf-8"))
    wanted = json.loads(json.dumps(verdict.to_dict()))
    assert written["verdict"] == wanted["verdict"]
    assert written["verdict"]["key"] == "imagenet" and written["verdict"]["order"] == "RGB"


def test_the_guesses_under_any_candidate_can_be_had(open_page, verdict):
    other = next(row for row in reversed(verdict.rows) if not row.top5)
    page = open_page(address("inspect"))
    before = table(page, "top5_table")
    page = open_page(address("inspect", also_as=other.title))
    settled(page)
    after = table(page, "top5_table")
    found = guesses_under(mobilenet_v2_network(), PHOTOS, 0, other)
    assert after[:-1] == before
    assert after[-1] == [other.title, *(f"{name} {100 * p:.0f} %" for name, p in found)]


def test_an_uploaded_network_is_inspected_and_measured(open_page, verdict):
    page = open_page(address("inspect", **UPLOAD))
    bring(page, "mine.onnx", (FOLDER / "mobilenet_v2.onnx").read_bytes())
    page.get_by_text("mine.onnx expects RGB, NCHW: ImageNet").first.wait_for()
    settled(page)
    page.get_by_role("link", name="Activations", exact=True).click()
    page.wait_for_selector(".st-key-layer_table table")
    settled(page)
    assert "Your mine.onnx: input: N×3×224×224 (NCHW), float32" in page.locator(
        "[data-testid=stMain]"
    ).inner_text().replace("\n", " ")


BAD = {
    "holiday.png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "this is no ONNX model"),
    "net.pt": (b"PK\x03\x04" + bytes(60), "this is a zip, as PyTorch saves models"),
    "net.tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(40), "this is a TensorFlow Lite model"),
    "cut.onnx": (small().SerializeToString()[:200], "cut off or damaged"),
    "mine.onnx": (
        model_of(
            [node("Mine", "x", "y", domain="my.own")], domains={"my.own": 1}
        ).SerializeToString(),
        "operators that are not of the ONNX standard: my.own.Mine",
    ),
    "grows.onnx": (
        model_of(
            [node("Expand", "x shape", "many"), node("Abs", "many", "y")],
            {"shape": np.array([2**23, 3, 8, 8])},
        ).SerializeToString(),
        "the model needs more than 2 GB of memory",
    ),
}


@pytest.mark.parametrize("page_name", ["inspect", "activations"])
def test_files_that_are_no_network_get_their_sentence_and_the_app_goes_on(open_page, page_name):
    page = open_page(address(page_name, **UPLOAD))
    for name, (data, said) in BAD.items():
        bring(page, name, data)
        page.locator("[data-testid=stAlert]").filter(has_text=said).wait_for()
        assert page.locator("[data-testid=stException]").count() == 0
    empty = model_of([node("Abs", "x", "y")]).SerializeToString()
    bring(page, "empty.onnx", empty)
    page.get_by_text("empty.onnx").first.wait_for()
    settled(page)
    bring(page, "small.onnx", small().SerializeToString())
    page.get_by_text("small.onnx").first.wait_for()
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0


def test_an_open_size_is_asked_for(open_page):
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("Relu", "a", "r"),
        node("GlobalAveragePool", "r", "y"),
    ]
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    open_size = model_of(nodes, {"w": weights}, shape=("N", 3, "h", "w"))
    page = open_page(address("activations", net_size=40, **UPLOAD))
    buffer = io.BytesIO(open_size.SerializeToString())
    bring(page, "any.onnx", buffer.getvalue())
    page.get_by_role("spinbutton", name="Side (px)").wait_for()
    page.wait_for_selector(".st-key-layer_table table")
    settled(page)
    assert "N×3×40×40" in page.locator("[data-testid=stMain]").inner_text()


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1600, False)])
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(address("inspect"), width=width, height=1000, dark=dark)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )
