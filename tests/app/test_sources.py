"""What images are called on screen, and which place a row of their statistics speaks of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from app.sources import Collection, short_titles, statistics_numbers
from normviz.read import read


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


def test_rows_keep_their_place_beside_a_file_that_cannot_be_read():
    def file(level: int) -> bytes:
        stream = io.BytesIO()
        PillowImage.fromarray(np.full((4, 5), level, np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    broken = file(50)[:-20]
    uploads = [("a.png", file(10)), ("b.png", broken), ("c.png", file(90)), ("d.png", file(30))]
    photos = read(uploads)
    collection = Collection("places", "four files", photos, short_titles(photos.paths))
    numbers = statistics_numbers(collection)
    assert numbers is not None and numbers.value.images == 3
    found = {collection.titles[row.position]: row.mean[0] * 255 for row in numbers.value.rows}
    assert found == pytest.approx({"a.png": 10, "c.png": 90, "d.png": 30})
