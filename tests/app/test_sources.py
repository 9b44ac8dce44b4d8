"""What images are called on screen."""

from __future__ import annotations

import pytest

from app.sources import short_titles


@pytest.mark.parametrize(
    ("paths", "titles"),
    [
        ([], []),
        (["a.png", "b.png"], ["a.png", "b.png"]),
        (["a.zip/1.png", "b.zip/1.png"], ["a.zip/1.png", "b.zip/1.png"]),
        (["s.zip/cat/1.png", "s.zip/car/1.png"], ["cat/1.png", "car/1.png"]),
        (["s.zip/cat/1.png", "s.zip/2.png"], ["cat/1.png", "2.png"]),
        (["s.zip/a.npy[0]", "s.zip/a.npy[1]"], ["a.npy[0]", "a.npy[1]"]),
        (["x/s.zip/1.png", "mine.png"], ["x/s.zip/1.png", "mine.png"]),
    ],
)
def test_titles_leave_out_what_all_paths_share(paths, titles):
    assert short_titles(paths) == titles
    assert len(set(titles)) == len(set(paths))
