"""The figures over depth hold the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.figures.depth import (
    MOST_SHIFT,
    DepthLine,
    by_depth,
    channel_shifts,
    filter_picture,
    shift_map,
)
from normviz.observe.depth import MEASURES
from normviz.observe.network import NetworkRecord
from normviz.observe.recorder import LayerRecord

RNG = np.random.default_rng(2)


def record(scale: float) -> NetworkRecord:
    layers = tuple(
        LayerRecord.of(scale * RNG.normal(size=(2, channels, 5, 4))) for channels in (3, 6, 2)
    )
    return NetworkRecord("feed", 2, layers, ())


def test_lines_hold_the_measure_of_every_layer():
    one, other = record(1.0), record(30.0)
    lines = [DepthLine("one", "#2a66c8", one), DepthLine("other", "#d55e00", other, "dot")]
    figure = by_depth(lines, MEASURES["std"], one, ["a", "b", "c"], opened=1, dark=False)
    assert [trace.name for trace in figure.data] == ["one", "other"]
    assert list(figure.data[1].y) == [layer.layer_std for layer in other.layers]
    assert list(figure.data[0].x) == [1, 2, 3] and list(figure.data[0].customdata) == [
        "a",
        "b",
        "c",
    ]
    assert figure.data[1].line.dash == "dot" and figure.layout.yaxis.type == "log"
    assert "(log scale)" in figure.layout.yaxis.title.text
    assert figure.layout.shapes[0].x0 == 2


def test_a_range_has_two_lines_a_feed_and_the_reference_no_shift():
    one, other = record(1.0), record(2.0)
    lines = [DepthLine("one", "#2a66c8", one), DepthLine("other", "#d55e00", other)]
    names = ["a", "b", "c"]
    figure = by_depth(lines, MEASURES["range"], one, names, opened=None, dark=True)
    assert len(figure.data) == 4 and [t.showlegend for t in figure.data] == [True, False] * 2
    assert all(low < high for low, high in zip(figure.data[0].y, figure.data[1].y, strict=True))
    figure = by_depth(lines, MEASURES["shift"], one, names, opened=None, dark=True)
    assert list(figure.data[0].y) == [None] * 3 and all(v > 0 for v in figure.data[1].y)
    assert not figure.layout.shapes


def test_the_map_is_one_scale_with_its_ends_named():
    values = np.array([[-5.0, 0.0], [np.nan, 1.0]])
    channels = np.array([[3, 0], [1, 2]])
    figure = shift_map(values, channels, ["a", "b"], "as trained", opened=0, dark=False)
    (heat,) = figure.data
    assert heat.zmin == -MOST_SHIFT and heat.zmax == MOST_SHIFT
    assert heat.colorbar.ticktext[0] == "≤ −3" and heat.z[0][0] == -5.0
    assert heat.customdata[0][0][0] == 4 and heat.customdata[1][1][1] == "b"


def test_channels_are_numbered_from_one_and_the_opened_one_is_marked():
    figure = channel_shifts(np.array([0.5, -1.0]), "#2a66c8", "LCN", opened=1, dark=False)
    assert list(figure.data[0].x) == [1, 2] and list(figure.data[0].y) == [0.5, -1.0]
    assert list(figure.data[1].x) == [2] and list(figure.data[1].y) == [-1.0]


@pytest.mark.parametrize("dark", [False, True])
def test_filters_are_pictures_grids_or_bars(dark):
    colour = RNG.normal(size=(3, 3, 3))
    (image,) = filter_picture(colour, "R, G, B", dark=dark).data
    assert image.type == "image" and image.z.shape == (3, 3, 3)
    strongest = np.unravel_index(np.abs(colour).argmax(), colour.shape)
    value = image.z[strongest[1]][strongest[2]][strongest[0]]
    assert value in (0, 255) and (value == 255) == (colour[strongest] > 0)
    (grid,) = filter_picture(RNG.normal(size=(5, 3, 3)), "input channel", dark=dark).data
    assert grid.type == "heatmap" and grid.zmin == -grid.zmax
    weights = np.array([0.1, -3.0, 2.0])[:, np.newaxis, np.newaxis]
    (bars,) = filter_picture(np.repeat(weights, 2, 0), "input channel", dark=dark).data
    assert bars.type == "bar" and list(bars.x)[:2] == ["3", "4"] and bars.y[0] == -3.0
