"""Labels in tar shards, as WebDataset writes them beside each image."""

from __future__ import annotations

import pytest

from normviz.read import read
from tests.read.making import grey_photo, levels, shard, tarred


@pytest.mark.parametrize("form", ["", "gz"])
def test_labels_come_from_the_sample(form):
    samples = {
        "000": {"png": grey_photo(0), "cls": b"7\n"},
        "001": {"cls": b"cat", "png": grey_photo(1), "seg.png": grey_photo(11)},
        "002": {"json": b'{"label": "dog", "x": [1]}', "jpg": grey_photo(2)},
        "003": {"json": b'{"label": "dog"}', "cls": b"owl", "png": grey_photo(3)},
        "004": {"png": grey_photo(4), "json": b'{"label": 5}', "txt": b"a photo of a cat"},
        "005": {"png": grey_photo(5)},
        "006": {"png": grey_photo(6), "json": b"[" * 100_000},
        "007": {"png": grey_photo(7), "json": b'{"label": {"a": 1}}', "cls": b" "},
    }
    photos = read((f"s.tar{form and '.' + form}", shard(samples, form)))
    assert levels(photos) == [0, 1, 11, 2, 3, 4, 5, 6, 7]
    assert photos.labels == ["7", "cat", "cat", "dog", "owl", "5", None, None, None]
    assert [image.label for image in photos] == photos.labels
    assert photos.problems == []


def test_a_label_belongs_to_the_members_beside_it_only():
    members = {"a.png": grey_photo(1), "b.png": grey_photo(2), "a.cls": b"far"}
    assert read(("s.tar", tarred(members))).labels == [None, None]
    folders = {"x/a.png": grey_photo(1), "x/a.cls": b"1", "y/a.png": grey_photo(2)}
    assert read(("s.tar", tarred(folders))).labels == ["1", None]
