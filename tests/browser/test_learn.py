"""The Learn page: every step is drawn, guesses are judged, and a live run replaces the stored."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from app.lessons import LESSONS
from app.views.lesson_figures import two_surfaces
from normviz.lab import CLAIMS, EXPERIMENTS, precomputed, stability, steadiness
from normviz.lab.sights import shadow_left
from normviz.samples import SAMPLES, load_sample
from tests.browser.conftest import settled
from tests.browser.screen import assert_same, expected, numbers_on_screen
from tests.browser.test_activations import table
from tests.browser.test_advise import archive
from tests.browser.test_uploads import upload
from tests.browser.test_views import chart

pytestmark = pytest.mark.browser


def address(step: int, **more) -> str:
    return "/learn?" + urlencode({"step": LESSONS[step - 1].key, **more})


def turn_to(page, step: str) -> None:
    """Choose a step in the menu, which closes where the page is drawn anew meanwhile."""
    for patience in (8_000, 60_000):
        page.locator(".st-key-lesson_controls input").first.fill(step)
        try:
            page.get_by_role("option", name=step).click(timeout=patience)
            return
        except PlaywrightTimeout:
            page.keyboard.press("Escape")
    raise AssertionError(f"the menu does not offer {step!r}")


def test_all_steps_are_drawn_one_after_the_other(open_page):
    page = open_page(address(1))
    for lesson in LESSONS:
        page.locator("h4").filter(has_text=lesson.title).wait_for()
        assert f"step={lesson.key}" in page.url
        # Each step asks anew.
        page.get_by_text("Guess, then see what is found.").wait_for()
        page.get_by_text("Show the result without a guess").click()
        for key in lesson.experiments or (lesson.key,):
            page.wait_for_selector(f".st-key-figure_{key} .js-plotly-plot", state="attached")
        settled(page)
        assert page.locator("[data-testid=stException]").count() == 0, lesson.key
        page.get_by_role("button", name="Next").click()
    page.wait_for_selector(".st-key-claims_table table")
    rows = table(page, "claims_table")[1:]
    results = precomputed().results
    said = [(one.number, key) for one in CLAIMS.values() for key in (one.experiment, *one.also)]
    assert len(rows) == len(said) == 17
    for row, (claim, key) in zip(rows, said, strict=True):
        word = next(v["word"] for v in results[key]["verdicts"] if v["claim"] == claim)
        assert row[0] == f"{claim}" and row[3] == EXPERIMENTS[key].title
        assert row[4] == steadiness(key, claim, word)[0]
        assert row[5] == f"{stability()[key][claim][word]} of 20"


def test_a_guess_is_asked_for_before_the_result_and_judged(open_page):
    page = open_page(address(5))
    page.get_by_text("Guess, then see what is found.").wait_for()
    assert page.locator(".st-key-figure_shift").count() == 0
    after = page.get_by_text("a dark test image is a dark input")
    assert after.count() == 0
    page.get_by_text("The dataset's", exact=True).click()
    page.get_by_text("Not so. The image's own").wait_for()
    after.wait_for()
    lines = {line["name"]: line["y"] for line in chart(page, "figure_shift")["data"]}
    stored = precomputed().results["shift"]["tables"]["accuracy"]["img_z"][0]
    assert lines["Own mean and std"] == [pair[0] for pair in stored]
    page.get_by_text("The image's own", exact=True).click()
    page.get_by_text("As you expected:").wait_for()


def test_a_sight_decides_where_nothing_is_trained(open_page):
    page = open_page(address(10))
    page.get_by_text("Both alike", exact=True).click()
    page.get_by_text("Not so. Local contrast normalization: shadow left").wait_for()
    bars = {one["name"]: one["y"] for one in chart(page, "figure_local")["data"]}
    means = shadow_left([load_sample(key) for key in SAMPLES]).means()
    assert list(bars.values()) == [pytest.approx([mean]) for mean, _ in means.values()]


def test_the_mean_image_of_crops_is_as_flat_on_screen_as_in_the_experiment(open_page):
    page = open_page(address(8, lesson_images=600))
    crops = page.get_by_text("Random crops of photos: varies by").inner_text()
    stored = precomputed().results["mean_image"]["tables"]["crops"]["relief"][0]
    assert float(re.search(r"by ([\d.]+) stds", crops)[1]) == pytest.approx(stored, abs=0.02)


def test_choosing_another_step_takes_the_guess_back(open_page):
    page = open_page(address(5))
    page.get_by_text("The dataset's", exact=True).click()
    page.get_by_text("Not so. The image's own").wait_for()
    page.locator(".st-key-lesson_controls input").first.click()
    page.get_by_role("option", name=LESSONS[5].title).click()
    page.locator("h4").filter(has_text=LESSONS[5].title).wait_for()
    page.get_by_text("Guess, then see what is found.").wait_for()
    assert f"step={LESSONS[5].key}" in page.url


def test_a_live_run_with_other_seeds_replaces_what_was_stored(open_page):
    page = open_page(address(7, revealed="true", seed_batch_statistics=50))
    page.wait_for_selector(".st-key-figure_batch_statistics .js-plotly-plot", state="attached")
    page.locator(".st-key-run_now_batch_statistics button").click()
    page.get_by_text("Run now on patches of ten photos, seeds 50 to 55").wait_for(timeout=90_000)
    settled(page)
    lines = {line["name"]: line["y"] for line in chart(page, "figure_batch_statistics")["data"]}
    stored = precomputed().results["batch_statistics"]["tables"]["mean_error"]
    assert lines["error of the mean"] != [pair[0] for pair in stored]
    assert lines["error of the mean"] == pytest.approx([pair[0] for pair in stored], rel=0.2)
    page.get_by_role("button", name="Back to what was computed beforehand").click()
    settled(page)
    lines = {line["name"]: line["y"] for line in chart(page, "figure_batch_statistics")["data"]}
    assert lines["error of the mean"] == [pair[0] for pair in stored]
    # What was run now is marked among all claims, and comes back at once.
    page.locator(".st-key-run_now_batch_statistics button").click()
    page.get_by_text("Run now on patches of ten photos, seeds 50 to 55").wait_for(timeout=90_000)
    settled(page)
    page.mouse.wheel(0, -9000)
    turn_to(page, "All claims")
    page.wait_for_selector(".st-key-claims_table table")
    marked = [row for row in table(page, "claims_table") if "run now on" in row[4]]
    assert [row[0] for row in marked] == ["10"]
    assert marked[0][4].endswith("(run now on patches of ten photos, seeds 50 to 55)")
    assert marked[0][5] == "20 of 20"


def test_experiments_of_made_sets_run_on_my_images_and_say_how(open_page):
    mine = {"source": "My files", "images_signal": "My images", "images_mean_image": "My images"}
    page = open_page(address(6, revealed="true", **mine))
    upload(page, ("set.zip", archive({"dark": 20, "light": 20})))
    page.get_by_text("Your images' own labels do not count here").wait_for()
    page = open_page(address(8, revealed="true", **mine))
    upload(page, ("set.zip", archive({"dark": 20, "light": 20})))
    page.get_by_text("Your images stand alone here").wait_for()
    page.locator(".st-key-run_now_mean_image button").click()
    page.get_by_text("Run now on own images (40 in 2 classes)").wait_for(timeout=90_000)
    settled(page)
    drawn = chart(page, "figure_mean_image")["data"]
    assert [bar["x"] for bar in drawn] == [["your images"]] * 2
    said = page.locator(".st-key-effects_mean_image_13").inner_text()
    assert "relief of the mean image, these images" in said
    # A guess is about the experiment's own set, and is judged by that still.
    page.get_by_text("Yes, more often", exact=True).click()
    page.get_by_text("Not so. As often: accuracy, mean image less channel mean, random").wait_for()
    turn_to(page, "All claims")
    page.wait_for_selector(".st-key-claims_table table")
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0
    marked = [row for row in table(page, "claims_table") if "run now on own images" in row[4]]
    assert [row[0] for row in marked] == ["4", "13"]
    assert "relief of the mean image, these images" in marked[1][6]


def test_files_that_cannot_be_used_are_named_where_they_would_be_run_on(open_page):
    page = open_page(address(5, revealed="true", source="My files", images_shift="My images"))
    upload(page, ("set.zip", archive({"dark": 12, "light": 3})), ("notes.png", b"no picture"))
    page.get_by_text("needs at least two classes of 10 images each").wait_for()
    settled(page)
    said = page.locator("[data-testid=stMain]").inner_text()
    assert "1 file could not be read" in said and "notes.png" in said
    assert "this set has 15 images in 2 classes, the largest with 12" in said
    # Nothing is to be run on them; the step's other experiment has its own set still.
    assert page.locator(".st-key-run_now_shift").count() == 0
    assert page.locator(".st-key-run_now_nuisance").count() == 1


def test_a_run_shows_its_curves_and_can_be_cancelled(open_page):
    page = open_page(address(4, revealed="true", seed_one_rate=70))
    page.wait_for_selector(".st-key-figure_one_rate .js-plotly-plot", state="attached")
    page.locator(".st-key-run_now_one_rate button").click()
    page.wait_for_selector(".st-key-running_one_rate .js-plotly-plot", state="attached")
    assert page.locator(".st-key-figure_one_rate").count() == 0
    page.locator(".st-key-cancel_one_rate button").click()
    page.wait_for_selector(".st-key-run_now_one_rate", state="attached")
    page.wait_for_selector(".st-key-figure_one_rate .js-plotly-plot", state="attached")
    settled(page)
    # Nothing goes on behind it.
    page.wait_for_timeout(1500)
    assert page.locator(".st-key-cancel_one_rate").count() == 0
    assert page.get_by_text("Computed beforehand on").count() == 1


def test_statistics_of_two_surfaces_follow_the_albedo(open_page):
    methods = ("scale_01", "dataset_zscore", "image_mean", "image_standardize")
    for albedo in (0.5, 0.25):
        page = open_page(address(6, albedo=albedo))
        page.wait_for_selector("[data-column=dataset_zscore] [data-stat]", state="attached")
        pair = two_surfaces(albedo)
        assert_same(numbers_on_screen(page), expected(pair, methods, pair))


def test_classroom_hides_the_sidebar_and_enlarges(open_page):
    page = open_page(address(3))
    size = page.locator("h4").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert page.locator("[data-testid=stSidebar]").is_visible()

    def tick(page) -> float:
        one = page.locator(".st-key-live_centring .xtick text").first
        one.wait_for(state="attached")
        return one.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")

    small = tick(page)
    page.get_by_text("Classroom", exact=True).click()
    settled(page)
    assert not page.locator("[data-testid=stSidebar]").is_visible()
    large = page.locator("h4").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert large > 1.2 * size and "classroom=true" in page.url
    assert tick(page) > 1.2 * small
    pictures = open_page(address(5, classroom="true"))
    cell = pictures.locator("[data-stat]").first
    cell.wait_for(state="attached")
    assert cell.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 15
    again = open_page(address(3, classroom="true"))
    assert not again.locator("[data-testid=stSidebar]").is_visible()


def test_junk_in_the_address_begins_with_the_first_step(open_page):
    page = open_page("/learn?step=nonsense&lesson_ev=abc&offset=99")
    page.locator("h4").filter(has_text=LESSONS[0].title).wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_on_a_phone_claims_are_cards_and_the_map_of_rates_scrolls(open_page):
    page = open_page("/learn?step=claims", width=390, height=844)
    cell = page.locator(".st-key-claims_table td").last
    cell.wait_for()
    box = cell.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["width"] > 250
    page = open_page(address(4, revealed="true"), width=390, height=844)
    page.wait_for_selector(".st-key-figure_one_rate .js-plotly-plot", state="attached")
    assert page.locator(".st-key-figure_one_rate .main-svg").first.bounding_box()["width"] > 600
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )


@pytest.mark.parametrize(
    ("step", "width", "dark"), [(5, 390, False), (3, 1600, True), ("claims", 390, True)]
)
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, step, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    path = address(step, revealed="true") if isinstance(step, int) else f"/learn?step={step}"
    page = open_page(path, width=width, height=1000, dark=dark)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )
