"""Each case of ``libraries`` run beside our definition, where its library is installed."""

from __future__ import annotations

import os
from importlib import metadata

import pytest

import normviz as nv
from tests.parity.case import Case, apart
from tests.parity.libraries import CASES, LIBRARIES
from tests.parity.table import DOCUMENT, ELSEWHERE, pinned, shown, written

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Stated numbers have two digits.
ROUNDED = 0.06


def name_of(case: Case) -> str:
    return f"{case.library.title} {case.method} {case.theirs.__name__}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_agrees_or_differs_as_stated(case):
    case.library.needed()
    if not case.because:
        assert case.measured <= case.gap
        return
    assert case.measured == pytest.approx(case.gap, rel=ROUNDED)
    if case.stated is not None:
        for given in case.inputs:
            assert apart(case.theirs(given), case.stated(given)) <= case.within


def test_a_formula_says_more_than_the_number():
    # One that differs by less than its formula may miss by would say nothing.
    for case in CASES:
        if case.stated is not None:
            assert case.because and 2 * case.within < case.gap, name_of(case)


def test_every_method_is_compared_or_says_where_it_is_checked():
    compared = {case.method for case in CASES}
    catalogue = {*nv.METHODS, *nv.FEATURE_NORMS}
    assert compared <= catalogue
    assert set(ELSEWHERE) == catalogue - compared


def test_cases_are_told_apart():
    names = [name_of(case) for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("gap", "text"),
    [(350.0, "350"), (0.23, "0.23"), (0.0039, "0.0039"), (4.1e-7, "4.1e-7"), (1e-12, "1e-12")],
)
def test_numbers_are_written_short(gap, text):
    assert shown(gap) == text


def test_the_document_is_what_the_cases_say():
    assert DOCUMENT.read_text(encoding="utf-8") == written(), "run python -m tests.parity.table"


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.title)
def test_the_document_names_the_version_that_ran(library):
    library.needed()
    if library.name in pinned():
        assert metadata.version(library.name).partition("+")[0] == pinned()[library.name]
