"""The Train page: the stored race at once, a live one with the package's numbers, its buttons."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import pytest

from normviz.lab.contest import RaceSpec, race
from normviz.lab.course import Course, sentence, short_title, stored
from normviz.lab.labelled import DIGITS
from tests.browser.conftest import settled
from tests.browser.test_activations import table
from tests.browser.test_views import chart

pytestmark = pytest.mark.browser

TINY = RaceSpec(
    seeds=(7, 8),
    methods=("raw1", "img_z"),
    optimizer="adam",
    rates=(0.01,),
    norm="batch",
    steps=30,
    batch=16,
    test_shift=-1.0,
)
TINY_ADDRESS = "/train?" + urlencode(
    [
        *(("race", short_title(name)) for name in TINY.methods),
        ("race_set", "Digits"),
        ("optimizer", "Adam"),
        ("rate", "0.01"),
        ("norm_layers", "Batch"),
        ("steps", "30"),
        ("race_batch", "16"),
        ("test_shift", "-1"),
        ("seeds", "2"),
        ("first_seed", "7"),
    ]
)


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def curves(page, key="race_loss"):
    """Each method's mean line as the browser holds it."""
    titles = {short_title(name) for name in RaceSpec().methods}
    return {one["name"]: one["y"] for one in chart(page, key)["data"] if one["name"] in titles}


def expected(spec, source) -> Course:
    course = Course(spec, source.name)
    for news in race(spec, source):
        course = course.after(news)
    return course


def headline(page) -> str:
    return page.locator("h4").inner_text()


def test_the_stored_race_is_on_screen_at_once(open_page):
    page = open_page("/train")
    kept = stored()
    course = kept.course
    assert headline(page) == sentence(course, course.best(), "raw1")
    origin = page.get_by_text(f"Computed beforehand on {kept.date}")
    assert "seeds 0 to 5. Start runs it" in origin.inner_text()
    lines = curves(page)
    for at, name in enumerate(course.spec.methods):
        assert lines[short_title(name)] == pytest.approx(course.line(at, 0).mean, rel=1e-6)
    bars = chart(page, "race_accuracy")["data"][0]
    assert bars["x"] == pytest.approx([one.mean for one in course.means((0,) * 4)])
    head, *rows = table(page, "race_table")
    assert head[-3] == "against [0, 1]" and len(rows) == 4
    differences = course.differences((0,) * 4, "raw1")
    for row, one in zip(rows[1:], differences, strict=True):
        assert row[4].startswith(f"{one.mean:+.1f} ± ".replace("-", "−"))
        assert row[5] == f"{one.p:.3f}"
    pictures = page.locator(".nv-filters img")
    assert pictures.count() == 8
    assert pictures.first.evaluate("image => image.naturalWidth") == 23


def test_a_race_is_stepped_paused_finished_and_reset(open_page):
    page = open_page(TINY_ADDRESS)
    course = expected(TINY, DIGITS)
    page.get_by_text("Your settings differ from it: Start runs yours.").wait_for()
    button(page, "Step").click()
    page.get_by_text("Your race, paused at step 10").wait_for()
    settled(page)
    # It stays there.
    page.wait_for_timeout(700)
    lines = curves(page)
    assert set(lines) == {"[0, 1]", "own mean, std"}
    assert lines["[0, 1]"] == pytest.approx([course.rounds[0].loss[0, 0].mean()], rel=1e-6)
    button(page, "Go on").click()
    page.get_by_text("Your race, run in").wait_for()
    settled(page)
    assert headline(page) == sentence(course, (0, 0), "raw1")
    for key, measure in (("race_loss", "loss"), ("race_firing", "firing"), ("race_std", "std")):
        factor = 100 if measure == "firing" else 1
        for at, name in enumerate(TINY.methods):
            wanted = factor * np.array(course.line(at, 0, measure).mean)
            assert curves(page, key)[short_title(name)] == pytest.approx(wanted, rel=1e-6)
    means = [one.mean for one in course.means((0, 0))]
    assert chart(page, "race_accuracy")["data"][0]["x"] == pytest.approx(means)
    one = course.differences((0, 0), "raw1")[0]
    _, _, row = table(page, "race_table")
    difference = f"{one.mean:+.1f} points".replace("-", "−")
    assert row[4:] == [difference, "–", "too few seeds to say"]
    assert button(page, "Step").is_disabled() and button(page, "Start").is_enabled()
    # Other settings and back: nothing is run again.
    page.get_by_text("SGD", exact=True).click()
    page.get_by_text("Your settings differ from it: Start runs yours.").wait_for()
    page.get_by_text("Adam", exact=True).click()
    page.get_by_text("Your race, run in").wait_for()
    settled(page)
    assert headline(page) == sentence(course, (0, 0), "raw1")
    button(page, "Reset").click()
    page.get_by_text("Your settings differ from it: Start runs yours.").wait_for()
    assert headline(page) == sentence(stored().course, (0,) * 4, "raw1")


def test_a_running_race_is_paused_by_its_button_by_leaving_and_by_settings(open_page):
    # Half a minute of rounds, so that it does not end meanwhile.
    long = {"steps": 600, "seeds": 12, "race": "[0, 1]", "rate": "All, 0.001 to 1"}
    page = open_page("/train?" + urlencode(long))
    button(page, "Start").click()
    page.get_by_text("Your race, running").wait_for()
    first = page.locator("h4").inner_text()
    assert first.startswith("Step ") and " of 600: [0, 1] has a training loss of" in first
    page.wait_for_function("said => document.querySelector('h4').innerText !== said", arg=first)
    button(page, "Pause").click()
    page.get_by_text("Your race, paused at step").wait_for()
    settled(page)
    held = headline(page)
    page.wait_for_timeout(1200)
    assert headline(page) == held
    button(page, "Go on").click()
    page.get_by_text("Your race, running").wait_for()
    page.get_by_role("link", name="Methods").click()
    page.locator(".st-key-gallery").wait_for()
    page.get_by_role("link", name="Train").click()
    page.get_by_text("Your race, paused at step").wait_for()
    button(page, "Go on").click()
    page.get_by_text("Your race, running").wait_for()
    page.get_by_text("Digits", exact=True).click()
    page.get_by_text("Your settings differ from it: Start runs yours.").wait_for()
    assert button(page, "Reset").is_disabled()
    page.get_by_text("Photo patches", exact=True).click()
    page.get_by_text("Your race, paused at step").wait_for()


def test_a_grid_of_rates_shows_what_diverged(open_page):
    page = open_page(
        "/train?"
        + urlencode(
            [
                ("race", "0–255"),
                ("race", "own mean, std"),
                ("race_set", "Digits"),
                ("rate", "All, 0.001 to 1"),
                ("rate_shown", "1"),
                ("steps", 20),
                ("seeds", 2),
            ]
        )
    )
    button(page, "Start").click()
    page.get_by_text("Your race, run in").wait_for()
    settled(page)
    spec = RaceSpec(
        seeds=(0, 1),
        methods=("raw255", "img_z"),
        rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        steps=20,
    )
    course = expected(spec, DIGITS)
    line = course.line(0, 6)
    assert line.diverged
    (entry, *_) = page.locator(".st-key-race_legend .nv-key").all_inner_texts()
    assert entry.startswith("0–255 at 1 ")
    assert entry.endswith(f"× diverged by step {line.ended} ({line.diverged} of 2 seeds)")
    assert "0–255 diverged" in [one["name"] for one in chart(page, "race_loss")["data"]]
    drawn = page.evaluate(
        "() => document.querySelector('.st-key-race_rates .js-plotly-plot')._fullLayout"
        ".annotations.length"
    )
    assert drawn == int(np.isinf(course.losses()).sum()) > 0


def test_junk_in_the_address_falls_back(open_page):
    page = open_page(
        "/train?race=x&race_set=y&optimizer=z&rate=nan&norm_layers=q&steps=-5&seeds=1e9&"
        "first_seed=a&train_sigma=99&race_batch=0&rate_shown=7&race_against=none"
    )
    assert page.locator("[data-testid=stException]").count() == 0
    assert headline(page) == sentence(stored().course, (0,) * 4, "raw1")
    # Each setting is its default, so the race that Start would run is the one on screen.
    page.get_by_text("Start runs it before your eyes.").wait_for()
    assert button(page, "Start").is_enabled()


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1600, False)])
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page("/train", width=width, dark=dark)
    page.get_by_text("Light, steps and seeds").click()
    page.get_by_label("First seed").wait_for()
    settled(page)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )
