"""Windows and the mapping to bytes."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.display import MAPPINGS, SCALES, Extent, describe, to_bytes, windows
from normviz.errors import ParameterError

PANELS = [
    Extent("a", -2.0, 1.0, (0.0, 1.0)),
    Extent("a", -1.0, 3.0, (0.0, 1.0)),
    Extent("b", 0.0, 200.0, (0.0, 255.0)),
]


@pytest.mark.parametrize(
    ("mapping", "scale", "expected"),
    [
        ("stretch", "own", [(-2, 1), (-1, 3), (0, 200)]),
        ("stretch", "method", [(-2, 3), (-2, 3), (0, 200)]),
        ("stretch", "same", [(-2, 200)] * 3),
        ("zero", "own", [(-2, 2), (-3, 3), (-200, 200)]),
        ("zero", "method", [(-3, 3), (-3, 3), (-200, 200)]),
        ("zero", "same", [(-200, 200)] * 3),
        ("clip", "own", [(0, 1), (0, 1), (0, 255)]),
        ("clip", "same", [(0, 255)] * 3),
    ],
)
def test_windows(mapping, scale, expected):
    assert windows(PANELS, mapping, scale) == expected


def test_flat_panels_and_none_have_windows_too():
    assert windows([Extent("a", 4.0, 4.0, (0, 1))], "stretch") == [(3.5, 4.5)]
    assert windows([Extent("a", 0.0, 0.0, (0, 1))], "zero") == [(-1.0, 1.0)]
    assert windows([], "stretch", "same") == []


def test_unknown_names_are_refused():
    with pytest.raises(ParameterError, match="stretch"):
        windows(PANELS, "magic")
    with pytest.raises(ParameterError, match="own"):
        windows(PANELS, "clip", "other")


def test_every_mapping_is_described_in_words_of_its_own():
    said = {describe(mapping, scale) for mapping in MAPPINGS for scale in SCALES}
    # Clipping to the method's own range is the same for one panel and for all of a method.
    assert len(said) == len(MAPPINGS) * len(SCALES) - 1
    assert all(sentence.endswith(".") for sentence in said)


def test_bytes_round_half_up_and_clip():
    values = np.array([-9.0, 0.0, 0.5 / 255, 0.49 / 255, 1.0, 7.0])
    assert to_bytes(values, (0.0, 1.0)).tolist() == [0, 0, 1, 0, 255, 255]
    levels = np.arange(256, dtype=np.float64)
    np.testing.assert_array_equal(to_bytes(levels, (0.0, 255.0)), levels)


def test_what_is_shown_stays_within_the_window_and_keeps_the_order():
    values = np.random.default_rng(0).normal(0, 3, 999).astype(np.float32)
    before = values.copy()
    window = (-2.5, 4.0)
    shown = to_bytes(values, window)
    np.testing.assert_array_equal(values, before)
    assert shown.dtype == np.uint8
    assert not shown[values <= window[0]].any() and (shown[values >= window[1]] == 255).all()
    assert (np.diff(shown[np.argsort(values)].astype(int)) >= 0).all()
    inside = (values > window[0]) & (values < window[1])
    back = window[0] + shown[inside] / 255 * 6.5
    np.testing.assert_allclose(back, values[inside], atol=6.5 / 255 / 2 + 1e-5)


def test_zero_at_grey_puts_zero_in_the_middle_of_every_panel():
    for scale in SCALES:
        for low, high in windows(PANELS, "zero", scale):
            assert low == -high
            assert to_bytes(np.zeros(1), (low, high))[0] == 128
    for reach in np.random.default_rng(0).uniform(0.001, 300, 2000):
        assert to_bytes(np.zeros(1), (-reach, reach))[0] == 128


@pytest.mark.parametrize("mapping", ["stretch", "zero"])
@pytest.mark.parametrize("scale", SCALES)
def test_no_value_is_cut_off_but_by_clip(mapping, scale):
    for extent, (low, high) in zip(PANELS, windows(PANELS, mapping, scale), strict=True):
        assert low <= extent.low and extent.high <= high
