"""The lab's figures hold the numbers that they are given, and the two weights are exact."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.figures.lessons import (
    LAB_COLOURS,
    bars,
    channel_shares,
    curves,
    descent,
    histogram,
    loss_surface,
    nuisance_points,
    split_bars,
    surface_of,
    title_of,
)
from normviz.lab import NORMALIZATIONS


def test_every_normalization_of_the_lab_has_its_own_colour():
    assert set(LAB_COLOURS) == set(NORMALIZATIONS)
    assert len(set(LAB_COLOURS.values())) == len(LAB_COLOURS)


def test_curves_hold_means_and_bands_and_leave_out_what_diverged():
    lines = {"ds_z": [[1.0, 0.5], [None, None], [3.0, 0.25]]}
    figure = curves([-3, 0, 3], lines, "EV", "right (%)", dark=False, reference=("best", [4, 4, 4]))
    band, line, best = figure.data
    assert list(line.y) == [1.0, None, 3.0] and line.name == title_of("ds_z")
    assert list(band.x) == [-3, 3, 3, -3] and list(band.y) == [1.5, 3.25, 2.75, 0.5]
    assert best.name == "best" and list(best.y) == [4, 4, 4]
    assert figure.layout.xaxis.title.text == "EV" and figure.layout.yaxis.title.text == "right (%)"


def test_bars_are_grouped_with_their_spread():
    groups = {"day": {"raw1": [50.0, 2.0], "ds_z": [49.0, 1.0]}, "night": {"raw1": [51.0, 3.0]}}
    figure = bars(groups, "units that fire (%)", dark=True)
    assert [trace.name for trace in figure.data] == [title_of("raw1"), title_of("ds_z")]
    assert list(figure.data[0].y) == [50.0, 51.0] and list(figure.data[1].y) == [49.0, None]
    assert list(figure.data[0].error_y.array) == [2.0, 3.0]


def test_on_a_log_scale_a_spread_is_a_factor():
    """Twice and half as much are as far away; a band never reaches 0."""
    figure = bars({"": {"raw1": [100.0, 2.0], "ds_z": [None, None]}}, "x", dark=True, log=True)
    assert figure.layout.yaxis.type == "log"
    assert list(figure.data[0].error_y.array) == [100.0]
    assert list(figure.data[0].error_y.arrayminus) == [50.0]
    assert list(figure.data[1].y) == [None] and list(figure.data[1].error_y.array) == [0.0]
    lines = {"error": [[0.1, 4.0], [0.2, 1.0]]}
    band, line = curves([1, 2], lines, "n", "y (log scale)", dark=False, log_y=True).data
    assert list(band.y) == pytest.approx([0.4, 0.2, 0.2, 0.025])
    assert "×÷" in line.hovertemplate


def test_points_are_shares_in_percent_against_the_gain():
    point = {"set": "photos", "sigma": 1.0, "share": [0.8, 0], "correlation": [0.5, 0]}
    points = [point | {"gap": [-2.0, 1.0]}, point | {"set": "surfaces", "gap": [3.0, 1.0]}]
    figure = nuisance_points(points, "share", dark=False)
    assert [trace.name for trace in figure.data] == ["photos", "surfaces"]
    assert figure.data[0].x[0] == 80.0 and figure.data[1].y[0] == 3.0
    assert nuisance_points(points, "correlation", dark=False).data[0].x[0] == 50.0


@pytest.mark.parametrize("offset", [0.0, 0.7, 2.5])
def test_the_surface_is_that_of_inputs_with_this_mean(offset):
    """The Hessian is E[x xᵀ], the path obeys (I − lr H) a step; both written out."""
    hessian, best = surface_of(offset)
    x = np.random.default_rng(0).normal(offset, 1, (400_000, 2))
    x[:, 1] = np.random.default_rng(1).normal(offset, 1, 400_000)
    assert hessian == pytest.approx(x.T @ x / len(x), abs=0.02 * (1 + offset**2))
    small, large = np.linalg.eigvalsh(hessian)
    assert (small, large) == pytest.approx((1, 1 + 2 * offset**2))
    path = descent(offset, 0.9, 5)
    once = np.eye(2) - 0.9 / large * hessian
    wanted = np.linalg.matrix_power(once, 5) @ (path[0] - best)
    assert path[-1] - best == pytest.approx(wanted)
    far = descent(offset, 2.2, 40)
    assert np.abs(far[-1] - best).max() > np.abs(far[0] - best).max()
    figure = loss_surface(offset, 0.9, 5, dark=False)
    assert list(figure.data[1].x) == pytest.approx(path[:, 0])


def test_histogram_split_and_shares():
    figure = histogram(np.array([0.1, 0.1, 0.9]), ("mean", 0.4), "x", (0.0, 1.0), dark=False)
    assert sum(figure.data[0].y) == pytest.approx(100) and figure.layout.shapes[0].x0 == 0.4
    split = split_bars({"photos": (0.6, 0.1)}, dark=False)
    assert [trace.x[0] for trace in split.data] == [60.0, 10.0]
    shares = {"raw1": {"shares": [[0.5, 0.01], [0.3, 0.02], [0.2, 0.03]]}}
    figure = channel_shares(shares, dark=False)
    assert [trace.y[0] for trace in figure.data] == [0.5, 0.3, 0.2]
