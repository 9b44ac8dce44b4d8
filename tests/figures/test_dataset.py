"""The figures of a set hold the numbers that they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from normviz.figures.dataset import (
    MOST_COLOURED,
    MOST_LABELS_DRAWN,
    Points,
    image_scatter,
    label_dots,
    running_mean,
    variance_split,
)
from normviz.observe.dataset import Convergence, LabelNumbers


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    a, b = sorted((light(one), light(other)))
    return (b + 0.05) / (a + 0.05)


def points(labels):
    count = len(labels)
    numbers = np.arange(count, dtype=float)
    places = [3 + 2 * at for at in range(count)]
    titles = [f"{at}.png" for at in range(count)]
    return Points(places, titles, labels, numbers, numbers**2, "Mean (0–255)", "Std (0–255)")


def test_the_split_is_in_percent_of_each_channel():
    figure = variance_split(["R", "G"], np.array([30.0, 0.0]), np.array([10.0, 0.0]), dark=False)
    within, between = figure.data
    assert list(within.x) == [75.0, 0.0] and list(between.x) == [25.0, 0.0]
    assert within.name == "within images" and between.marker.pattern.shape == "/"
    assert list(within.text) == ["75.0 %", ""]


def test_points_keep_their_places_whatever_the_label():
    figure = image_scatter(points(["b", None, "a", "b"]), dark=True)
    assert [trace.name for trace in figure.data] == ["a", "b", "no label"]
    places = {int(row[0]): row[1] for trace in figure.data for row in trace.customdata}
    assert places == {3: "0.png (b)", 5: "1.png", 7: "2.png (a)", 9: "3.png (b)"}
    b = figure.data[1]
    assert list(b.x) == [0.0, 3.0] and list(b.y) == [0.0, 9.0]
    assert figure.layout.dragmode == "lasso" and figure.layout.xaxis.title.text == "Mean (0–255)"


def test_labels_differ_in_hue_and_in_shape_and_stand_out_on_both_pages():
    figure = image_scatter(points([f"l{at:02d}" for at in range(MOST_COLOURED)]), dark=False)
    colours = [trace.marker.color for trace in figure.data]
    assert len(set(colours)) == len({t.marker.symbol for t in figure.data}) == MOST_COLOURED
    assert all(contrast(c, page) >= 3 for c in colours for page in ("#ffffff", "#111315"))


def test_many_labels_are_drawn_alike():
    figure = image_scatter(points([f"{at}" for at in range(MOST_COLOURED + 1)]), dark=False)
    assert len(figure.data) == 1 and not figure.layout.showlegend
    assert figure.data[0].customdata[4][1] == "4.png (4)"


def test_labels_are_mean_and_std_and_of_many_both_ends():
    labels = [LabelNumbers(f"l{at:02d}", at + 1, 2.0 * at, 1.0 + at) for at in range(50)]
    few = label_dots(labels[:3], "0–255", dark=False).data[0]
    assert (list(few.x), list(few.error_x.array)) == ([0.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    assert list(few.y) == ["l00", "l01", "l02"]
    many = label_dots(labels, "0–255", dark=False).data[0]
    half = MOST_LABELS_DRAWN // 2
    assert list(many.y) == [one.label for one in labels[:half] + labels[-half:]]


@pytest.mark.parametrize("bands", [True, False])
def test_the_running_mean_has_its_band_and_its_end(bands):
    half = np.array([[np.inf], [4.0], [0.0]]) if bands else np.full((3, 1), np.inf)
    found = Convergence(
        np.array([1, 10, 20]), np.array([[9.0], [5.0], [6.0]]), half, np.array([6.0]), 20, 20, True
    )
    figure = running_mean(found, ["grey"], "0–255", dark=False)
    band, line, final = figure.data if bands else (None, *figure.data)
    assert list(line.y) == [9.0, 5.0, 6.0] and list(final.y) == [6.0, 6.0]
    if bands:
        assert list(band.x) == [10, 20, 20, 10] and list(band.y) == [9.0, 6.0, 6.0, 1.0]
        low, high = figure.layout.yaxis.range
        assert low < 1.0 and high > 9.0
    assert list(figure.layout.xaxis.tickvals) == [1, 2, 5, 10, 20]
    assert final.name == "final value"
    stopped = replace(found, of=90, complete=False)
    *_, end = running_mean(stopped, ["grey"], "0–255", dark=False).data
    assert end.name == "estimate from all 20 images read"
