"""The Advise page: an example at once, the race on labelled images, and images without labels."""

from __future__ import annotations

import io
import json
import zipfile
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image as PillowImage

from app.sources import LABELLED
from normviz.lab.advice import AdviceSpec, advise, example
from normviz.lab.normalizations import NORMALIZATIONS
from normviz.lab.own_images import OwnImages
from normviz.lab.split import brightness_of
from normviz.read import read
from normviz.statistics import scanned
from tests.browser.conftest import settled
from tests.browser.test_activations import table
from tests.browser.test_uploads import upload
from tests.browser.test_views import chart

pytestmark = pytest.mark.browser

SCENES = "/advise?" + urlencode({"photos": LABELLED})


def archive(counts) -> bytes:
    """A zip with a folder a class; the classes differ in brightness alone."""
    rng, packed = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for place, (label, count) in enumerate(counts.items()):
            for at in range(count):
                noise = rng.normal(60 + 70 * place, 20, (18, 20, 3))
                data = io.BytesIO()
                pixels = np.clip(noise, 0, 255).astype(np.uint8)
                PillowImage.fromarray(pixels).save(data, "png")
                file.writestr(f"set/{label}/{at:03}.png", data.getvalue())
    return packed.getvalue()


def test_without_labels_the_split_and_an_example_are_there(open_page):
    page = open_page("/advise")
    page.get_by_text("With labels it can tell: an example").wait_for()
    settled(page)
    heads = page.locator("h4").all_inner_texts()
    assert "only labels can tell" in heads[0] and heads[1] == example()[1].headline
    bars = chart(page, "split_own")["data"]
    assert sum(bar["x"][0] for bar in bars) == pytest.approx(100)
    assert [bar["name"].split(":")[0] for bar in bars] == ["within images", "between images"]
    assert page.get_by_role("button", name="Run the race").count() == 0


def test_the_labelled_scenes_are_as_computed_beforehand(open_page):
    page = open_page(SCENES)
    page.get_by_text("Computed beforehand on").wait_for()
    settled(page)
    kept = example()[1]
    assert page.locator("h4").inner_text() == kept.headline
    lines = {one["name"]: one["y"] for one in chart(page, "by_light_own")["data"]}
    for key in kept.spec.methods:
        expected = [float(np.mean(own)) for own in kept.accuracy[key]]
        assert lines[NORMALIZATIONS[key].title] == pytest.approx(expected)
    rows = table(page, "advice_effects_own")[1:]
    effects = list(kept.effects.values())
    assert [row[0] for row in rows] == [effect.what for effect in effects]
    assert rows[0][1] == f"{effects[0].mean:.2f} points"
    # The code is of what the race speaks for.
    assert "x.mean()" in page.locator("[data-testid=stCode]").inner_text()


def test_a_race_on_uploaded_classes_says_what_the_package_says(open_page):
    page = open_page("/advise?" + urlencode({"source": "My files"}))
    data = archive({"dark": 14, "light": 16})
    upload(page, ("set.zip", data))
    page.get_by_role("button", name="Run the race").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Run the race").click()
    page.get_by_text("Right, by the light of the test").wait_for()
    settled(page)
    photos = read(("set.zip", data))
    *_, expected = advise(brightness_of(scanned(photos).rows), OwnImages.of(photos), AdviceSpec())
    assert page.locator("h4").inner_text() == expected.headline
    assert "Brightness carries the label here: keep dataset statistics" in expected.headline
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Advice as JSON").click()
    record = json.loads(waiting.value.path().read_text("utf-8"))
    assert record["words"] == expected.words()
    # Other seeds are another race.
    page.get_by_label("First seed", exact=True).fill("5")
    page.get_by_label("First seed", exact=True).press("Enter")
    page.get_by_text("Right, by the light of the test").wait_for(state="detached")
    assert "only a race can tell" in page.locator("h4").inner_text()


def test_classes_that_are_too_small_get_their_sentence(open_page):
    page = open_page("/advise?" + urlencode({"source": "My files"}))
    upload(page, ("set.zip", archive({"dark": 14, "light": 4})))
    page.get_by_text("needs at least two classes of 10 images each").wait_for()
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert "these images allow none" in page.locator("h4").first.inner_text()
    assert len(chart(page, "split_own")["data"]) == 3


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(SCENES, width=width, dark=dark)
    page.get_by_text("Computed beforehand on").wait_for()
    settled(page)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )
