"""A visitor's first run draws pictures alone, unless the browser has them already."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.views import grid

APP = Path(__file__).resolve().parents[2] / "app" / "main.py"


@pytest.fixture
def visit(monkeypatch):
    """A function that opens the app in a browser which says whether it has drawn the pictures."""
    # AppTest leaves its script as the main module, which processes started later would run.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])

    def opened(has_drawn: bool) -> AppTest:
        monkeypatch.setattr(grid, "draw", lambda *_: has_drawn)
        return AppTest.from_file(APP, default_timeout=120).run()

    return opened


def labels(app: AppTest) -> list[str]:
    return [slider.label for slider in app.sidebar.slider]


def test_the_first_run_waits_for_the_pictures(visit):
    assert labels(visit(False)) == []


def test_a_new_session_of_a_page_that_has_its_pictures_gets_its_controls(visit):
    # As after a long sleep: the browser will not say again that it has drawn them.
    app = visit(True)
    assert "Exposure (EV)" in labels(app)
    assert not app.exception
