"""How two results differ: against NumPy's own least squares and correlation."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.errors import ShapeError
from normviz.observe.difference import difference
from normviz.observe.sentences import significant, two_methods

RNG = np.random.default_rng(0)
A = RNG.normal(2, 3, (13, 7, 3))
B = 0.5 * A**2 - A + RNG.normal(0, 0.3, A.shape)


def test_numbers_are_those_of_numpy():
    found = difference(A, B)
    away = np.abs(B - A)
    assert found.mean == pytest.approx(away.mean())
    assert found.largest == away[found.row, found.column, found.channel] == away.max()
    gain, offset = np.polyfit(A.ravel(), B.ravel(), 1)
    assert (found.gain, found.offset) == (pytest.approx(gain), pytest.approx(offset))
    assert found.explained == pytest.approx(np.corrcoef(A.ravel(), B.ravel())[0, 1] ** 2)
    assert 0.1 < found.explained < 0.9


def test_a_line_is_found_to_be_one_and_said_to_be():
    found = difference(A, -3 * A + 4)
    assert (found.gain, found.offset) == (pytest.approx(-3), pytest.approx(4))
    assert found.explained == pytest.approx(1)
    said = two_methods("a", "b", "Photo", found)
    assert "only by a gain of −3.00 and an offset of 4.00" in said
    assert "another picture" in two_methods("a", "b", "Photo", difference(A, B))
    assert two_methods("a", "b", "Photo", difference(A, A)).endswith("the very same values.")


def test_flat_results_divide_by_nothing():
    flat = np.full(A.shape, 2.0)
    to_flat, from_flat = difference(A, flat), difference(flat, A)
    assert (to_flat.gain, to_flat.offset, to_flat.explained) == (0, 2, 1)
    assert (from_flat.gain, from_flat.explained) == (0, 0)
    assert from_flat.offset == pytest.approx(A.mean())


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\(13, 7, 3\), \(13, 7, 1\)"):
        difference(A, A[..., :1])


def test_small_differences_keep_three_digits():
    assert significant(0.0000123456) == "1.23e−05"
    assert significant(0.012) == "0.012" and significant(0.5) == "0.50"
