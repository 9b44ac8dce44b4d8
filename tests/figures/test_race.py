"""The figures of a race hold the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.figures.race import (
    Bar,
    RaceLine,
    accuracy_bars,
    colour_of,
    filter_sheet,
    race_curves,
    rate_map,
)
from normviz.figures.theme import METHOD_COLOURS
from normviz.lab.course import Line
from normviz.lab.evidence import Effect
from normviz.lab.normalizations import NORMALIZATIONS

CALM = Line((10, 20, 30), (2.0, 1.5, 1.0), (1.9, 1.4, 0.8), (2.1, 1.7, 1.3), None, 0)
WILD = Line((10,), (5.0,), (4.0,), (9.0,), 20, 3)
GONE = Line((), (), (), (), 10, 4)


def curves(*lines: Line, **more):
    drawn = [RaceLine(f"m{at}", "#2a66c8", line) for at, line in enumerate(lines)]
    return race_curves(drawn, unit="loss", steps=30, dark=False, **more)


def test_a_line_is_the_mean_and_its_band_goes_from_lowest_to_highest():
    band, line = curves(CALM).data
    assert list(line.x) == [10, 20, 30] and list(line.y) == [2.0, 1.5, 1.0]
    assert list(band.x) == [10, 20, 30, 30, 20, 10]
    assert list(band.y) == [2.1, 1.7, 1.3, 0.8, 1.4, 1.9]
    assert band.fillcolor == "rgba(42,102,200,0.16)" and line.line.color == "#2a66c8"


def test_a_diverged_line_ends_with_a_cross_within_the_picture():
    figure = curves(CALM, WILD, GONE, top=3.0)
    marks = {t.name: t for t in figure.data if t.name.endswith("diverged")}
    assert set(marks) == {"m1 diverged", "m2 diverged"}
    assert marks["m1 diverged"].marker.symbol == "x"
    assert (marks["m1 diverged"].x, marks["m1 diverged"].y) == ((10,), (3.0,))
    assert (marks["m2 diverged"].x, marks["m2 diverged"].y) == ((10,), (3.0,))
    assert "3 diverged by step 20" in marks["m1 diverged"].hovertemplate
    assert figure.layout.yaxis.range == (0, 3.0)


def test_values_far_apart_are_on_a_log_scale_unless_the_picture_has_a_top():
    far = Line((10, 20), (1.0, 500.0), (1.0, 400.0), (1.0, 600.0), None, 0)
    assert curves(CALM, far).layout.yaxis.type == "log"
    assert "(log scale)" in curves(CALM, far).layout.yaxis.title.text
    assert curves(CALM, far, top=3.0).layout.yaxis.range == (0, 3.0)
    assert curves(CALM).layout.yaxis.type is None


def test_shares_are_percent_and_a_level_is_drawn_only_within_the_picture():
    figure = curves(CALM, percent=True)
    assert list(figure.data[1].y) == [200.0, 150.0, 100.0]
    assert curves(CALM, level=(2.0, "guessing")).layout.annotations[0].text == "guessing"
    assert curves(CALM, level=(2.0, "guessing")).layout.shapes[0].y0 == 2.0
    assert not curves(CALM, level=(9.0, "guessing")).layout.shapes


def test_bars_hold_means_intervals_and_every_seed():
    effect = Effect("a", 40.0, 35.0, 45.0, 2, 0.1, 2.0)
    lonely = Effect("b", 50.0, -np.inf, np.inf, 1, 1.0, 2.0)
    bars = [Bar("a", "#2a66c8", effect, [38.0, 42.0]), Bar("b", "#d55e00", lonely, [50.0])]
    figure = accuracy_bars(bars, 10.0, dark=True)
    drawn, dots = figure.data
    assert list(drawn.x) == [40.0, 50.0] and list(drawn.y) == ["a", "b"]
    assert list(drawn.error_x.array) == [5.0, 0.0]
    assert list(drawn.marker.color) == ["#2a66c8", "#d55e00"]
    assert list(dots.x) == [38.0, 42.0, 50.0] and list(dots.y) == ["a", "a", "b"]
    assert figure.layout.shapes[0].x0 == 10.0 and figure.layout.xaxis.range == (0, 60)


@pytest.mark.parametrize("dark", [False, True])
def test_the_map_says_what_diverged(dark):
    losses = np.array([[1.25, np.inf], [0.5, 2.0]])
    figure = rate_map(
        losses, np.array([[40.0, 10.0], [60.0, 20.0]]), ["a", "b"], (0.1, 1.0), 2.3, dark=dark
    )
    (heat,) = figure.data
    assert heat.z[0][0] == 1.25 and np.isnan(heat.z[0][1]) and heat.zmax == 2.3
    assert heat.text.tolist() == [["1.25", ""], ["0.50", "2.00"]]
    assert heat.customdata[1][0] == 60.0 and list(heat.x) == ["0.1", "1"]
    (note,) = figure.layout.annotations
    assert (note.x, note.y, note.text) == (1, 0, "diverged")


def test_filters_lie_in_rows_of_four_with_zero_as_grey():
    weights = np.zeros((2, 2, 3, 5))
    weights[0, 1, 2, 4] = -4.0
    weights[1, 0, 0, 1] = 2.0
    sheet = filter_sheet(weights)
    assert sheet.shape == (5, 11, 3) and sheet.dtype == np.uint8
    assert sheet[3, 1].tolist() == [128, 128, 0]
    assert sheet[1, 3].tolist() == [191, 128, 128]
    assert filter_sheet(np.full((2, 2, 1, 1), np.nan)).ravel().tolist() == [128] * 4


def test_every_method_of_the_lab_has_a_colour_of_its_own():
    colours = [colour_of(name) for name in NORMALIZATIONS]
    assert len(set(colours)) == len(colours)
    for name, one in NORMALIZATIONS.items():
        if one.method is not None:
            assert colour_of(name) in METHOD_COLOURS.values()
    assert colour_of("ds_z") == METHOD_COLOURS["dataset_zscore"]


def test_a_map_without_accuracies_marks_what_diverged_and_tells_of_losses_alone():
    losses = np.array([[2.3, np.nan]])
    figure = rate_map(losses, None, ["Levels ÷ 255"], [0.01, 1.0], 2.302, dark=False)
    (heat,) = figure.data
    assert heat.text[0][0] == "2.30" and list(heat.x) == ["0.01", "1"]
    assert heat.z[0][0] == 2.3 and np.isnan(heat.z[0][1])
    assert [note.text for note in figure.layout.annotations] == ["diverged"]
    assert "right" not in heat.hovertemplate
