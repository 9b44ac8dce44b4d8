"""The Pipelines and In-network pages against the package's own numbers."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

import normviz as nv
from normviz.imports import read_normalization
from normviz.methods import FEATURE_NORMS, compare_train_eval
from normviz.observe.sentences import number
from normviz.pipeline import KNOWN, order_effect, remarks, statistics_along
from normviz.samples import SAMPLE_SETS, SAMPLES, load_sample
from tests.browser.conftest import settled
from tests.browser.screen import feature_maps, numbers_on_screen
from tests.imports.making import binaryproto, mean_image, npy

pytestmark = pytest.mark.browser

NAMES = SAMPLE_SETS["Day and night"]
PHOTOS = [load_sample(key) for key in NAMES]
RESNET = KNOWN["resnet50"].pipeline


def test_the_first_pipeline_is_a_real_models_and_its_numbers_are_true(open_page):
    page = open_page("/pipelines")
    result = RESNET.fit(PHOTOS)(PHOTOS[0])
    said = page.locator("h4").inner_text()
    assert f"into {result.shape[1]} × {result.shape[0]} px" in said
    assert f"{result.min():.3g} to {result.max():.3g}".replace("-", "−") in said
    assert page.locator("[data-testid=stImage] img").count() == len(RESNET.steps) + 1
    rows = page.locator("[data-testid=stMarkdown] table").first.locator("tbody tr")
    for row, one in zip(rows.all(), statistics_along(RESNET, PHOTOS), strict=True):
        cells = row.locator("td").all_inner_texts()
        assert cells[0] == one.after
        mean, std = (
            ", ".join(f"{v:.4g}".replace("-", "−") for v in x) for x in (one.mean, one.std)
        )
        assert cells[1:3] == [mean, std]


def test_swapped_steps_are_remarked_on_and_the_address_brings_them_back(open_page):
    page = open_page("/pipelines")
    page.get_by_role("button", name="Move step 5 up").click()
    page.wait_for_function("() => location.search.includes('pipeline=')")
    settled(page)
    steps = [*RESNET.steps]
    steps[3], steps[4] = steps[4], steps[3]
    swapped = nv.Pipeline(tuple(steps))
    for said in remarks(swapped):
        assert page.get_by_text(said).count() == 1
    result = swapped.fit()(PHOTOS[0])
    ends = f"{result.min():.3g} to {result.max():.3g}".replace("-", "−")
    assert ends in page.locator("h4").inner_text()
    again = open_page(page.url.partition("//")[2].partition("/")[1] + page.url.split("/", 3)[3])
    assert ends in again.locator("h4").inner_text()


def test_another_order_is_told_in_numbers(open_page):
    page = open_page("/pipelines")
    steps = [*RESNET.steps]
    steps[3], steps[4] = steps[4], steps[3]
    effect = order_effect(PHOTOS, RESNET, nv.Pipeline(tuple(steps)))
    assert page.get_by_text(effect.sentence.replace("-", "−")).count() == 1
    assert "differ by" in effect.sentence


def test_parameters_change_the_steps_and_nonsense_is_named(open_page):
    page = open_page("/pipelines")
    box = page.get_by_role("textbox", name="Std", exact=True)
    box.fill("0.5")
    page.keyboard.press("Tab")
    page.wait_for_function("() => location.search.includes('pipeline=')")
    settled(page)
    steps = [*RESNET.steps[:-1], nv.STEPS["mean_std"]((0.485, 0.456, 0.406), (0.5,))]
    result = nv.Pipeline(tuple(steps)).fit()(PHOTOS[0])
    assert f"{result.min():.3g} to {result.max():.3g}".replace("-", "−") in (
        page.locator("h4").inner_text()
    )
    box.fill("many")
    page.keyboard.press("Tab")
    page.get_by_text("is no list of numbers").wait_for()
    settled(page)
    assert box.input_value() == "0.5"


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"format": "normviz-pipeline/1", "steps": [{"step": "magic"}]}']
)
def test_a_damaged_pipeline_in_the_address_gets_a_sentence(open_page, text):
    page = open_page(f"/pipelines?{urlencode({'pipeline': text})}")
    settled(page)
    assert page.locator("h4").count() == 1
    assert (page.get_by_text("These steps cannot be read").count() == 1) == bool(text)


def test_more_steps_than_a_page_draws_are_refused_with_the_number(open_page):
    record = json.loads(RESNET.to_json())
    record["steps"] += [record["steps"][2]] * 8
    page = open_page(f"/pipelines?{urlencode({'pipeline': json.dumps(record)})}")
    settled(page)
    assert page.get_by_text("13 are more than this page draws (12).").count() == 1
    assert "stays as it is" in page.locator("h4").inner_text()


def test_a_step_that_cannot_work_leaves_those_before_it(open_page):
    record = json.loads(RESNET.to_json())
    record["steps"].append({"step": "normalize", "method": "scale_11"})
    page = open_page(f"/pipelines?{urlencode({'pipeline': json.dumps(record)})}")
    settled(page)
    assert page.get_by_text("needs values with a lowest and a highest possible value").count() == 1
    assert page.locator("[data-testid=stImage] img").count() == len(RESNET.steps) + 1


CLIP = f"Preset: {nv.PRESETS['clip'].title}"
ROCKET = f"One photo: {SAMPLES['rocket'].title}"
ZSCORE = nv.Pipeline(
    (nv.STEPS["resize"](64), nv.STEPS["normalize"](nv.METHODS["dataset_zscore"]()))
)
MEAN_IMAGE = nv.Pipeline(
    (nv.STEPS["resize"](64), nv.STEPS["normalize"](nv.METHODS["dataset_mean_image"]()))
)


def assert_on_screen(page, fitted) -> None:
    """The result of the first photo, and the set after each step, are the package's."""
    result = fitted(PHOTOS[0])
    ends = f"{result.min():.3g} to {result.max():.3g}".replace("-", "−")
    assert page.locator("h4").inner_text().endswith(f"px with values {ends}.")
    rows = page.locator("[data-testid=stMarkdown] table").first.locator("tbody tr")
    for row, one in zip(rows.all(), statistics_along(fitted, PHOTOS), strict=True):
        listed = [", ".join(f"{v:.4g}".replace("-", "−") for v in x) for x in (one.mean, one.std)]
        assert row.locator("td").all_inner_texts() == [one.after, *listed]


@pytest.mark.parametrize(
    ("fit_on", "numbers", "words"),
    [
        (
            "The loaded images",
            PHOTOS,
            "Step 2 is fitted on {} images of sample photos “Day and night”, as",
        ),
        (CLIP, nv.PRESETS["clip"], "Step 2 takes its numbers from preset CLIP"),
        (ROCKET, [load_sample("rocket")], "Step 2 is fitted on 1 image of the sample"),
    ],
)
def test_steps_are_fitted_on_what_the_sidebar_says(open_page, fit_on, numbers, words):
    chosen = {"pipeline": ZSCORE.to_json(), "fit": fit_on}
    page = open_page("/pipelines?" + urlencode(chosen))
    fitted = ZSCORE.fit(numbers)
    assert_on_screen(page, fitted)
    assert page.get_by_text(words.format(len(PHOTOS))).count() == 1
    # The other order is fitted on the same.
    swapped = nv.Pipeline(ZSCORE.steps[::-1])
    effect = order_effect(PHOTOS, fitted, swapped.fit(numbers))
    assert page.get_by_text(effect.sentence.replace("-", "−")).count() == 1


def test_a_preset_has_no_mean_image_and_the_page_says_so(open_page):
    chosen = {"pipeline": MEAN_IMAGE.to_json(), "fit": CLIP}
    page = open_page("/pipelines?" + urlencode(chosen))
    said = "needs a mean image, and a preset holds only one number a channel."
    assert page.get_by_text(said).count() == 1
    assert page.locator("[data-testid=stImage] img").count() == 2
    whitening = {"step": "normalize", "method": "colour_zca"}
    record = {"format": "normviz-pipeline/1", "steps": [whitening]}
    chosen = {"pipeline": json.dumps(record), "fit": CLIP}
    page = open_page("/pipelines?" + urlencode(chosen))
    assert page.get_by_text("is fitted on images, and “preset CLIP").count() == 1


@pytest.mark.parametrize("kind", ["mean.binaryproto", "mean.npy"])
def test_an_imported_mean_image_is_a_fitted_pipeline(open_page, kind):
    caffe = mean_image(96, 96)
    data = binaryproto(caffe) if kind.endswith("proto") else npy(caffe)
    page = open_page("/pipelines")
    page.get_by_text("As JSON, or from a file").click()
    file = {"name": kind, "mimeType": "application/octet-stream", "buffer": data}
    page.locator(".st-key-pipeline_file input[type=file]").set_input_files(file)
    page.get_by_text(f"takes its numbers from the mean image of {kind}").wait_for()
    settled(page)
    found = read_normalization(kind, data)
    fitted = found.pipeline.fit(found.numbers)
    assert_on_screen(page, fitted)
    assert page.get_by_text("both sides become 96 px").count() == 1
    page.get_by_text("Code that does the same").click()
    page.get_by_text('json.load(file)["fitted"][3]["constants"]').first.wait_for()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Steps and fitted numbers (JSON)").click()
    kept = nv.pipeline.from_json(Path(taken.value.path()).read_text(encoding="utf-8"))
    assert kept == fitted
    # Without it the steps are fitted on the loaded images.
    page.get_by_text(f"Fit on the mean image of {kind}").click()
    page.get_by_text("Step 4 is fitted on").wait_for()
    settled(page)
    assert_on_screen(page, found.pipeline.fit(PHOTOS))


def test_feature_maps_hold_the_packages_numbers(open_page):
    page = open_page("/network?" + urlencode({"channel": 14}))
    maps = feature_maps(PHOTOS)
    screen = numbers_on_screen(page)
    for name in ("batch_norm", "layer_norm", "instance_norm", "group_norm"):
        done = FEATURE_NORMS[name]()(maps)[..., 13]
        for row, plane in enumerate(done):
            assert screen[row, name, "map", "mean"] == pytest.approx(plane.mean(), abs=1e-4)
            assert screen[row, name, "map", "max"] == pytest.approx(plane.max(), rel=1e-4)
    assert SAMPLES[NAMES[0]].title in page.locator("h4").inner_text()


def test_running_averages_on_screen_are_the_packages(open_page):
    page = open_page("/network?momentum=0.3&batch=3&norm_seed=5&channel=14")
    page.wait_for_selector(".st-key-train_and_eval .js-plotly-plot")
    plane = feature_maps(PHOTOS)[..., 13:14]
    draws = np.random.default_rng(5).integers(0, len(PHOTOS), (60, 3))
    steps = list(compare_train_eval((plane[drawn] for drawn in draws), 0.3))
    drawn = page.evaluate(
        """() => document.querySelector('.st-key-train_and_eval .js-plotly-plot').data
             .map((trace) => [...trace.y])"""
    )
    np.testing.assert_allclose(drawn[0], [s.batch_mean[0] for s in steps], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(drawn[1], [s.running_mean[0] for s in steps], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(drawn[10], [s.eval_std[0] for s in steps], rtol=1e-4, atol=1e-5)
    said = page.get_by_text("After 60 batches of 3").inner_text()
    assert f"running mean of channel 14 is {number(steps[-1].running_mean[0])} and" in said


def test_what_a_norm_does_not_see_is_said(open_page):
    page = open_page("/network")
    for name in ("batch_norm", "layer_norm", "instance_norm", "group_norm"):
        words = f"Does not see {FEATURE_NORMS[name]().unseen}."
        assert page.get_by_text(words, exact=True).count() == 1
    # ε is a part of the promise, so the tables beside it do not say that it is broken.
    assert page.get_by_text("by ε alone").count() > 0
    assert page.get_by_text("against the promise").count() == 0
    words = "for each image and group of channels, taken over all positions."
    assert page.get_by_text(words).count() == 1


@pytest.mark.parametrize("width", [1600, 390])
def test_formulas_and_names_of_axes_are_whole_and_readable(open_page, width):
    names = [kind.about.short for kind in FEATURE_NORMS.values()]
    for four in (names[:4], names[4:]):
        page = open_page("/network?" + urlencode({"norms": four}, doseq=True), width=width)
        page.wait_for_selector(".katex-display", state="attached")
        formulas = page.locator(".katex-display").evaluate_all(
            """all => all.map((box) => {
                 const edge = box.getBoundingClientRect();
                 return [...box.querySelectorAll('.katex-html > .base')].every((base) => {
                   const own = base.getBoundingClientRect();
                   return own.left >= edge.left - 1 && own.right <= edge.right + 1;
                 });
               })"""
        )
        assert formulas == [True] * 4
        sizes = page.locator("[class*=st-key-axes_] svg").evaluate_all(
            """all => all.map((svg) => {
                 const size = parseFloat(getComputedStyle(svg.querySelector('text')).fontSize);
                 return size * svg.clientWidth / 450;
               })"""
        )
        assert len(sizes) == 4 and min(sizes) > 12


@pytest.mark.parametrize(("width", "dark"), [(1600, True), (390, False)])
@pytest.mark.parametrize("path", ["/pipelines", "/network", "/methods?method=Group+normalization"])
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, path, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(path, width=width, height=1000, dark=dark)
    found = axe.Axe().run(page).response
    tried = {rule["id"] for rule in found["passes"] + found["incomplete"]}
    assert {"color-contrast", "button-name", "label"} <= tried
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )


@pytest.mark.parametrize(("width", "first"), [(390, "pictures"), (1280, "steps")])
def test_a_phone_shows_the_pictures_before_the_steps(open_page, width, first):
    page = open_page("/pipelines", width=width, height=844)
    page.locator("[data-testid=stImage] img").first.wait_for()
    top = {
        name: page.locator(selector).first.bounding_box()
        for name, selector in (
            ("pictures", ".st-key-pipeline_result [data-testid=stImage]"),
            ("steps", ".st-key-step_0"),
            ("further", ".st-key-pipeline_further"),
        )
    }
    if first == "pictures":
        assert 0 < top["pictures"]["y"] < 844
        assert top["pictures"]["y"] < top["steps"]["y"] < top["further"]["y"]
    else:
        assert top["steps"]["x"] + top["steps"]["width"] < top["pictures"]["x"]


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/methods?method=Dataset+mean+and+std+per+channel", 2),
        ("/methods?method=Group+normalization", 2),
        ("/network", 5),
    ],
)
def test_a_phone_shows_picture_and_result_whole_or_says_that_they_are_swiped(
    open_page, path, columns
):
    page = open_page(path, width=390, height=844)
    cells = page.locator("[data-row]:visible").evaluate_all(
        """all => all.map((cell) => {
             const box = cell.getBoundingClientRect();
             return [Math.round(box.top), Math.round(box.left), Math.round(box.right)];
           })"""
    )
    first = [cell for cell in cells if cell[0] == cells[0][0]]
    assert len(first) == columns
    said = page.locator(".grid-viewer .bar").first.evaluate(
        "(bar) => getComputedStyle(bar, '::after').content"
    )
    if columns == 2:
        assert all(left >= 0 and right <= 390 and right - left > 150 for _, left, right in first)
        assert said == "none"
        # Numbers stay within their panels.
        assert page.locator("[data-row] table").evaluate_all(
            "all => all.every((table) => table.scrollWidth <= table.clientWidth)"
        )
    else:
        assert first[1][2] > 390
        assert "Swipe for all" in said
