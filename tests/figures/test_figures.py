"""Figures hold the numbers they were given, on the axes that were asked for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from normviz.figures import (
    ActivationRow,
    HistogramColumn,
    activation_ranges,
    component_bars,
    firing_day_night,
    histogram_row,
)
from normviz.figures.theme import METHOD_COLOURS, template
from normviz.methods import METHODS
from normviz.observe.activations import activation_range
from normviz.observe.ranges import Histogram


def histograms(low, high, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(channels):
        shares = rng.uniform(0.1, 1, 8)
        made.append(Histogram(np.linspace(low, high, 9), shares / shares.sum()))
    return made


def columns(count=3, names=("R", "G", "B"), **more):
    return [
        HistogramColumn(f"m{at}", "#123456", "u", names, histograms(-at - 1, at + 1, at), **more)
        for at in range(count)
    ]


def test_steps_hold_edges_and_shares_in_percent():
    given = columns(2)
    figure = histogram_row(given)
    assert len(figure.data) == 6
    for at, trace in enumerate(figure.data):
        histogram = given[at // 3].after[at % 3]
        np.testing.assert_allclose(trace.x, histogram.edges, rtol=1e-6)
        np.testing.assert_allclose(trace.y[:-1], 100 * histogram.shares, rtol=1e-6)
        assert trace.line.shape == "hv"
    assert [trace.line.dash for trace in figure.data[:3]] == ["solid", "dash", "dot"]
    assert {trace.xaxis for trace in figure.data} == {"x", "x2"}


def test_own_shared_and_logarithmic_axes():
    own = histogram_row(columns())
    assert [tuple(own.layout[f"xaxis{n}"].range) for n in ("", 2, 3)] == [(-1, 1), (-2, 2), (-3, 3)]
    shared = histogram_row(columns(), shared_x=True, log_y=True)
    assert {tuple(shared.layout[f"xaxis{n}"].range) for n in ("", 2, 3)} == {(-3, 3)}
    assert shared.layout.yaxis.type == "log" and own.layout.yaxis.type == "linear"


def test_before_is_laid_over_the_plot_or_set_apart():
    given = columns(2, before=histograms(0, 255, 9))
    over = histogram_row(given)
    behind = [trace for trace in over.data if "before" in trace.name]
    assert len(behind) == 2
    np.testing.assert_allclose(behind[0].x[[0, 8]], [-1, 1])
    assert np.isnan(behind[0].x[9]) and len(behind[0].x) == 30
    expected = [100 * share for share in given[0].before[1].shares]
    np.testing.assert_allclose(behind[0].y[10:18], expected, rtol=1e-6)
    assert behind[0].name == "before (0–255 from edge to edge)"
    apart = histogram_row(given, apart=True)
    behind = [trace for trace in apart.data if "before" in trace.name]
    np.testing.assert_allclose(behind[0].x[[0, -1]], [0, 255])
    assert apart.layout.yaxis2.domain[0] > apart.layout.yaxis.domain[1]


def test_night_is_filled_and_legend_stands_once():
    figure = histogram_row(columns(3, night=histograms(-1, 1, 4)))
    nights = [trace for trace in figure.data if "night" in trace.name]
    assert len(nights) == 9 and all(trace.fill == "tozeroy" for trace in nights)
    assert sum(bool(trace.showlegend) for trace in figure.data) == 6


def test_channels_that_are_no_longer_the_images_are_named_and_drawn_as_such():
    figure = histogram_row([*columns(1), *columns(1, names=("B", "G", "R"))])
    colours = [trace.line.color for trace in figure.data]
    assert [trace.name for trace in figure.data] == ["R", "G", "B", "B", "G", "R"]
    assert colours[:3] == colours[:2:-1]
    assert sum(bool(trace.showlegend) for trace in figure.data) == 3
    figure = histogram_row([*columns(1), *columns(1, names=("l", "α", "β"))])
    assert len({trace.line.color for trace in figure.data}) == 6
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert shown == ["R", "G", "B", "1st channel", "2nd channel", "3rd channel"]
    assert figure.data[-1].hovertemplate.startswith("β, after")


def test_columns_divide_the_width_evenly():
    figure = histogram_row(columns(6))
    domains = [figure.layout[f"xaxis{n}"].domain for n in ("", 2, 3, 4, 5, 6)]
    widths = [high - low for low, high in domains]
    np.testing.assert_allclose(widths, widths[0])
    assert domains[0][0] == 0 and domains[-1][1] == pytest.approx(1)
    assert all(b[0] > a[1] for a, b in pairwise(domains))


def row(key, scale, shift, difference):
    pre = np.random.default_rng(0).normal(shift, scale, (6, 6, 4)).astype(np.float32)
    day, night = activation_range(pre), activation_range(pre / 4)
    return ActivationRow(key, key, METHOD_COLOURS[key], day, night, difference)


ROWS = [row("lcn", 2.0, 0.5, 0.7), row("scale_01", 1.0, -0.5, 0.1), row("none", 90.0, 0.1, None)]


def bars(figure):
    """Start, end and place of the bars by (day or night, 0 thin … 2 wide), a method each."""
    (trace,) = [trace for trace in figure.data if trace.type == "bar"]
    keys = [(label, at) for label in ("day", "night") for at in range(3)]
    found = (trace.base, np.add(trace.base, trace.x), trace.y)
    return [dict(zip(keys, np.reshape(values, (6, -1)), strict=True)) for values in found]


def test_ranges_are_the_measured_ones_and_sorted():
    figure = activation_ranges(ROWS, sort_by="difference", relative=False, dark=False)
    starts, ends, places = bars(figure)
    order = [ROWS[2], ROWS[1], ROWS[0]]
    np.testing.assert_allclose(starts["day", 0], [r.day.min for r in order])
    np.testing.assert_allclose(ends["day", 0], [r.day.max for r in order], rtol=1e-6)
    np.testing.assert_allclose(starts["night", 1], [r.night.p1 for r in order])
    np.testing.assert_allclose(ends["night", 2], [r.night.p75 for r in order], rtol=1e-6)
    for at in range(3):
        assert (places["day", at] < [0, 1, 2]).all() and (places["night", at] > [0, 1, 2]).all()
    assert figure.layout.yaxis.ticktext[2] == "lcn<br>|night − day| 0.70 stds"
    assert "filter weight" in figure.layout.xaxis.title.text


def test_relative_ranges_are_in_stds_by_day():
    figure = activation_ranges(ROWS, sort_by="menu", relative=True, dark=True)
    starts, _, _ = bars(figure)
    np.testing.assert_allclose(starts["day", 2], [r.day.p25 / r.day.std for r in ROWS])
    assert "stds by day" in figure.layout.xaxis.title.text


def test_firing_shares_carry_their_numbers():
    figure = firing_day_night(ROWS, sort_by="firing", dark=False)
    order = sorted(ROWS, key=lambda r: r.day.firing)
    day = next(trace for trace in figure.data if trace.name == "day")
    np.testing.assert_allclose(day.x, [100 * r.day.firing for r in order])
    assert day.text[0] == f"{100 * order[0].day.firing:.1f} %"
    night = next(trace for trace in figure.data if trace.name == "night")
    assert day.marker.symbol != night.marker.symbol
    # A phone's plot is 175 px wide; a label takes 50 px beside its point.
    low, high = figure.layout.xaxis.range
    points = [*day.x, *night.x]
    assert min(min(points) - low, high - max(points)) / (high - low) > 50 / 175


def test_the_template_is_the_projects_own():
    for dark in (False, True):
        figure = histogram_row(columns(1), dark=dark)
        assert figure.layout.template == template(dark)
    assert template(True) != template(False)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("key", METHODS)
def test_every_method_has_a_colour_seen_on_both_backgrounds(key):
    for background in ("#ffffff", "#111315"):
        assert contrast(METHOD_COLOURS[key], background) >= 3.0
    assert list(METHOD_COLOURS) == list(METHODS)
    assert len(set(METHOD_COLOURS.values())) == len(METHODS)


def test_component_bars_show_the_values_and_name_both_axes():
    figure = component_bars(np.array([[1.5], [-0.25]]), "#123456", dark=False)
    (bars,) = figure.data
    assert list(bars.x) == [1, 2] and list(bars.y) == [1.5, -0.25]
    assert bars.marker.color == "#123456" and not bars.showlegend
    assert figure.layout.xaxis.title.text.startswith("principal component")
    assert figure.layout.yaxis.title.text == "value (dataset stds)"
    three = component_bars(np.ones((130, 3)), "#123456", dark=True)
    assert [bars.name for bars in three.data] == ["R", "G", "B"]
    assert {bars.marker.color for bars in three.data}.isdisjoint({"#123456"})
