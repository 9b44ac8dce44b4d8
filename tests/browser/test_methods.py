"""The Methods page: gallery, one method, two methods, against the package's own numbers."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import pytest

import normviz as nv
from normviz.methods import FEATURE_NORMS
from normviz.methods.code import TARGETS
from normviz.methods.whitening import PLACES
from normviz.observe.difference import difference
from normviz.observe.sentences import two_methods
from normviz.presets import MEAN_IMAGES, PRESETS
from normviz.samples import SAMPLE_SETS, SAMPLES, load_sample
from tests.browser.conftest import settled
from tests.browser.screen import feature_maps, numbers_on_screen

pytestmark = pytest.mark.browser

NAMES = SAMPLE_SETS["Day and night"]
PHOTOS = [load_sample(key) for key in NAMES]


def address(method="", versus="", **more) -> str:
    titles = {"method": method, "versus": versus}
    kinds = {**nv.METHODS, **FEATURE_NORMS}
    query = {name: kinds[key].about.title for name, key in titles.items() if key}
    return f"/methods?{urlencode({**query, **more})}"


def fit(key: str, **parameters):
    method = nv.METHODS[key](**parameters)
    wants_images = method.about.fits_on == "images"
    return method.fit(PHOTOS if wants_images else nv.scan(PHOTOS, mean_image=224))


def assert_numbers(screen, key, values):
    for at, channel in enumerate("RGB"):
        for stat, value in (
            ("min", values[..., at].min()),
            ("mean", values[..., at].mean(dtype=np.float64)),
            ("std", values[..., at].std(dtype=np.float64)),
            ("max", values[..., at].max()),
        ):
            assert screen[0, key, channel, stat] == pytest.approx(float(value), rel=1e-5, abs=1e-5)


def test_the_gallery_shows_every_method_and_finds_them_by_words(open_page):
    page = open_page("/methods")
    cards = page.locator(".st-key-gallery [data-key]")
    everything = [*nv.METHODS, *FEATURE_NORMS]
    assert cards.evaluate_all("all => all.map((card) => card.dataset.key)") == everything
    loaded = cards.locator("img").evaluate_all(
        "all => Promise.all(all.map((i) => i.decode().then(() => i.naturalWidth)))"
    )
    assert len(loaded) == len(everything) and min(loaded) > 100
    page.get_by_label("Search methods").fill("jarrett lcn")
    visible = ".st-key-gallery [data-key]:not([hidden])"
    found = page.locator(visible).evaluate_all("all => all.map((card) => card.dataset.key)")
    assert "lcn" in found and "scale_01" not in found
    assert page.get_by_text(f"{len(found)} of {len(everything)} methods").count() == 1
    page.get_by_label("Search methods").fill("no such words")
    assert page.get_by_text("No method is found by these words.").count() == 1
    page.get_by_label("Search methods").fill("")
    page.get_by_role("button", name="Colour", exact=True).click()
    found = page.locator(visible).evaluate_all("all => all.map((card) => card.dataset.key)")
    assert "grey_world" in found and "lcn" not in found


def test_a_card_opens_its_method_by_keyboard_and_the_way_back(open_page):
    page = open_page("/methods")
    page.locator("[data-key=grey_world]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-drawn]", state="attached")
    page.wait_for_function("() => location.search.includes('method=Grey-world')")
    settled(page)
    assert_numbers(numbers_on_screen(page), "grey_world", fit("grey_world")(PHOTOS[0].pixels))
    page.get_by_role("button", name="All methods").click()
    page.wait_for_selector(".st-key-gallery [data-key]", state="attached")


def test_parameters_change_the_picture_and_stand_in_the_address(open_page):
    page = open_page(address("lcn", picture=f"3. {SAMPLES[NAMES[2]].title}"))
    scene = PHOTOS[2]
    assert_numbers(numbers_on_screen(page), "lcn", fit("lcn")(scene.pixels))
    page.locator("input[type=range][aria-label='Window (px)']").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.search.includes('lcn.window=11')")
    settled(page)
    assert_numbers(numbers_on_screen(page), "lcn", fit("lcn", window=11)(scene.pixels))


def test_two_methods_and_the_numbers_between_them(open_page):
    page = open_page(address("image_standardize", "dataset_zscore"))
    first, second = (fit(key)(PHOTOS[0].pixels) for key in ("image_standardize", "dataset_zscore"))
    said = page.locator("h4").inner_text()
    title, found = SAMPLES[NAMES[0]].title, difference(first, second)
    words = two_methods("own mean, std", "dataset mean, std", title, found)
    assert said == words
    assert_numbers(numbers_on_screen(page), "difference", second - first)


def changes(page) -> list[str]:
    rows = page.locator("[data-testid=stMarkdown] table tbody tr")
    return rows.locator("td:last-child").all_inner_texts()


@pytest.mark.parametrize(
    ("key", "unseen"),
    [("image_standardize", {0, 1}), ("grey_world", {4}), ("dataset_zscore", set())],
)
def test_the_table_of_what_is_seen_is_the_promise(open_page, key, unseen):
    page = open_page(address(key))
    found = changes(page)
    assert len(found) == 6
    assert {at for at, text in enumerate(found) if text == "nothing, as promised"} == unseen
    assert all(text.endswith(" %") for at, text in enumerate(found) if at not in unseen)


@pytest.mark.parametrize(
    ("key", "shared"),
    # Of 4 images × 3 channels × 6 positions.
    [
        ("image_standardize", 3 * 6),
        ("image_channel_standardize", 6),
        ("dataset_zscore", 4 * 6),
        ("dataset_mean_image", 4),
        ("batch_zscore", 2 * 6),
        ("lcn", 3 * 3),
        ("scale_01", 1),
    ],
)
def test_the_block_marks_what_shares_its_numbers_and_turns(open_page, key, shared):
    page = open_page(address(key))
    block = page.locator(f".st-key-axes_{key} svg")
    assert block.locator("polygon.shared.front").count() == shared
    assert block.locator("polygon.front").count() == 4 * 3 * 6
    assert "for each" in block.get_attribute("aria-label") or shared == 1
    before = block.locator("polygon").first.get_attribute("points")
    block.focus()
    page.keyboard.press("ArrowRight")
    assert block.locator("polygon").first.get_attribute("points") != before


@pytest.mark.parametrize("target", TARGETS)
def test_the_code_shown_is_the_packages(open_page, target):
    page = open_page(address("grey_world", code_target=TARGETS[target]))
    page.get_by_text("Code: grey world").click()
    page.locator("[data-testid=stCode] code").first.wait_for()
    settled(page)
    if target != "numpy":
        page.get_by_role("combobox", name="In", exact=False).last.click()
        page.get_by_role("option", name=TARGETS[target], exact=True).click()
        settled(page)
    shown = page.locator("[data-testid=stCode] code").first.inner_text()
    assert shown.strip() == fit("grey_world").code(target).strip()


def test_a_whitening_states_its_memory_and_where_epsilon_is_added(open_page):
    singular = PLACES["singular"]
    page = open_page(address("image_zca", **{"image_zca.place": singular}))
    memory = nv.METHODS["image_zca"]().memory_sentence(len(PHOTOS))
    assert "about 481 kB" in memory
    assert page.get_by_text(f"Image ZCA whitening, ε {singular}. {memory}").count() == 1


def test_small_values_have_digits_in_the_headline(open_page):
    page = open_page(address("unit_l2"))
    done = fit("unit_l2")(PHOTOS[0].pixels).astype(np.float64)
    said = page.locator("h4").inner_text()
    assert f"to {done.max():.5f} (" in said
    assert said.endswith(f"with mean {done.mean():.5f} and std {done.std():.5f}.")


def test_what_cannot_be_fitted_is_said_not_thrown(open_page):
    page = open_page(address("dataset_mean_image", fit="Preset: CLIP (OpenAI)"))
    assert "a preset holds only one number" in page.locator("h4").inner_text()


def test_choices_hold_from_page_to_page(open_page):
    page = open_page("/?ev=-2")
    page.get_by_role("link", name="Methods").click()
    page.wait_for_selector(".st-key-gallery [data-key]", state="attached")
    settled(page)
    assert "ev=-2" in page.url and "/methods" in page.url
    page.get_by_role("link", name="Compare").click()
    page.wait_for_selector(".st-key-downloads", state="attached")
    settled(page)
    slider = page.locator("input[type=range][aria-label='Exposure (EV)']")
    assert "ev=-2" in page.url and slider.input_value() == "-2"


@pytest.mark.parametrize(("width", "dark"), [(1600, False), (1280, True), (390, False)])
@pytest.mark.parametrize("method", ["", "lcn"])
def test_nothing_sticks_out_and_axe_core_finds_no_barrier(open_page, method, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(address(method), width=width, height=1000, dark=dark)
    found = axe.Axe().run(page).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    )


def test_a_published_preset_says_its_numbers_and_a_wrong_one_that_it_is(open_page):
    wrong = PRESETS["imagenet_reversed"]
    page = open_page(address("published", **{"published.preset": wrong.title}))
    assert page.get_by_role("alert").inner_text().endswith(wrong.note)
    numbers = nv.METHODS["published"]("imagenet_reversed").fit()(PHOTOS[0].pixels)
    assert_numbers(numbers_on_screen(page), "published", numbers)
    page.get_by_text(f"All {len(PRESETS)} presets").click()
    page.wait_for_selector("[data-testid=stDataFrame] canvas", state="attached")
    page = open_page(address("dataset_mean_image"))
    for one in MEAN_IMAGES.values():
        assert page.get_by_text(one.words()).count() == 1


def test_a_norm_of_feature_maps_is_found_and_opens_as_the_others_do(open_page):
    page = open_page("/methods")
    page.get_by_label("Search methods").fill("group norm")
    visible = page.locator(".st-key-gallery [data-key]:not([hidden])")
    found = visible.evaluate_all("all => all.map((card) => card.dataset.key)")
    assert "group_norm" in found and "grey_world" not in found
    page.locator("[data-key=group_norm]").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('method=Group+normalization')")
    page.wait_for_selector(".st-key-axes_group_norm svg", state="attached")
    settled(page)
    done = FEATURE_NORMS["group_norm"]()(feature_maps(PHOTOS))[0, ..., 13]
    screen = numbers_on_screen(page)
    for stat in ("min", "mean", "std", "max"):
        value = float(getattr(done.astype(np.float64), stat)())
        assert screen[0, "group_norm", "map", stat] == pytest.approx(value, rel=1e-4, abs=1e-4)
    about = FEATURE_NORMS["group_norm"].about
    for library, text in about.libraries:
        assert page.get_by_text(f"{library}: {text}").count() == 1
    assert page.get_by_role("link", name=about.sources[0].text).count() == 1
    assert page.locator(".katex-display").count() == 1
    assert changes(page)[:2] == ["nothing, as promised"] * 2
    # Two of three channels, all six positions of one image.
    assert page.locator(".st-key-axes_group_norm polygon.shared.front").count() == 2 * 6
    page.get_by_text("Code: group norm").click()
    page.locator("[data-testid=stCode] code").first.wait_for()
    shown = page.locator("[data-testid=stCode] code").first.inner_text()
    assert shown.strip() == FEATURE_NORMS["group_norm"]().code("numpy").strip()
    page.get_by_role("button", name="All methods").click()
    page.wait_for_selector(".st-key-gallery [data-key]", state="attached")


def test_two_norms_and_the_numbers_between_them(open_page):
    photo = f"2. {SAMPLES[NAMES[1]].title}"
    page = open_page(address("batch_norm", "instance_norm", picture=photo))
    # The image that is looked at leads; the others of the set make the batch.
    maps = feature_maps([PHOTOS[1], PHOTOS[0], *PHOTOS[2:]])
    first, second = (FEATURE_NORMS[name]()(maps)[0] for name in ("batch_norm", "instance_norm"))
    found = difference(first[..., 13:14], second[..., 13:14])
    title = SAMPLES[NAMES[1]].title
    said = two_methods("batch norm", "instance norm", f"{title}, channel 14", found)
    assert page.locator("h4").inner_text() == said
    whole = two_methods("batch norm", "instance norm", title, difference(first, second))
    assert page.get_by_text(f"Over all 32 channels: {whole}").count() == 1
    away = float((second - first)[..., 13].max())
    assert numbers_on_screen(page)[0, "difference", "map", "max"] == pytest.approx(away, rel=1e-4)


def test_the_other_convention_of_the_clip_limit_follows_the_slider(open_page):
    page = open_page(address("clahe", **{"clahe.clip_limit": 4}))
    photo = PHOTOS[0]

    def said(limit: float) -> str:
        return nv.METHODS["clahe"](clip_limit=limit).limit_sentence(photo.height, photo.width)

    assert page.get_by_text(said(4.0), exact=True).count() == 1
    page.locator("input[type=range][aria-label='Clip limit']").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text(said(4.5), exact=True).wait_for()


def test_a_covariance_joins_channels_in_words_and_block(open_page):
    page = open_page(address("colour_zca"))
    block = page.locator(".st-key-axes_colour_zca svg")
    assert block.locator("polygon.shared.front").count() == 4 * 3 * 6
    assert "a covariance of all of them with one another" in block.get_attribute("aria-label")


def test_image_pca_shows_its_components_as_bars(open_page):
    page = open_page(address("image_pca"))
    page.wait_for_selector(".st-key-components .js-plotly-plot", state="attached")
    fitted = fit("image_pca")
    photo = PHOTOS[0].pixels
    expected = fitted.method.components_of(photo / 255, fitted.constants)[:, 0]
    drawn = page.evaluate(
        "() => [...document.querySelector('.st-key-components .js-plotly-plot').data[0].y]"
    )
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)
    np.testing.assert_allclose(fitted(photo)[0, ::15][:1, :3].ravel()[:3], expected, rtol=1e-4)
