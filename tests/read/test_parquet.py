"""Parquet tables of encoded images: the layout of Hugging Face, and plain columns."""

from __future__ import annotations

import io
import json
import sys

import pytest

from normviz.errors import LimitError, ReadError
from normviz.read import Limits, read
from tests.read.making import grey_photo, levels, table, zipped

pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")


def written(columns: dict, features: dict | None = None, **options) -> bytes:
    made = pyarrow.table(columns)
    if features is not None:
        said = {"huggingface": json.dumps({"info": {"features": features}})}
        made = made.replace_schema_metadata(said)
    file = io.BytesIO()
    parquet.write_table(made, file, **options)
    return file.getvalue()


@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_the_layout_of_hugging_face(on_disk, rows, tmp_path):
    data = table(list(range(20)), [i % 3 - 1 for i in range(20)], ("cat", "dog"), rows)
    (tmp_path / "t.parquet").write_bytes(data)
    photos = read(tmp_path / "t.parquet" if on_disk else ("t.parquet", data))
    assert len(photos) == 20
    assert photos.paths[7].endswith("t.parquet[7]")
    assert levels(photos) == list(range(20))
    assert levels(photos[i] for i in (19, 0, 9, 8, 10)) == [19, 0, 9, 8, 10]
    assert photos.labels[:6] == [None, "cat", "dog", None, "cat", "dog"]
    assert [image.label for image in photos] == photos.labels
    assert photos.notes[0].endswith("t.parquet: 20 images from 'image', labels from 'label'")
    assert photos.nbytes == (0 if on_disk else len(data))


def test_plain_bytes_with_text_or_numbers_as_labels():
    assert read(("t.parquet", table([4, 5], ["a", None], plain=True))).labels == ["a", None]
    assert read(("t.parquet", table([4, 5], [3, 0], plain=True))).labels == ["3", "0"]
    photos = read(("t.parquet", table([4, 5])))
    assert (levels(photos), photos.labels) == ([4, 5], [None, None])
    of_words = pyarrow.array(["a", "b"]).dictionary_encode()
    data = written({"jpg": [grey_photo(1), grey_photo(2)], "class": of_words})
    assert read(("t.parquet", data)).labels == ["a", "b"]


def test_the_described_columns_win_over_their_names():
    photos = [grey_photo(1), grey_photo(2)]
    columns = {"image": [b"x", b"y"], "scan": photos, "label": [1, 2], "kind": [1, 0]}
    features = {
        "scan": {"_type": "Image"},
        "kind": {"_type": "ClassLabel", "names": ["no", "yes"]},
        "label": {"_type": "Value"},
    }
    found = read(("t.parquet", written(columns, features)))
    assert (levels(found), found.labels) == ([1, 2], ["yes", "no"])


def test_rows_without_an_image_are_problems_and_the_others_go_on():
    rows = [
        {"bytes": grey_photo(1), "path": "a.png"},
        {"bytes": None, "path": "/etc/secret.png"},
        {"bytes": b"no image", "path": "c.png"},
        {"bytes": grey_photo(4), "path": None},
        None,
    ]
    photos = read(("t.parquet", written({"image": rows})))
    assert levels(photos) == [1, 4]
    assert [(p.path, p.reason[:40]) for p in photos.problems] == [
        ("t.parquet[1]", "the row holds no bytes of an image (a pa"),
        ("t.parquet[2]", "it is text (“no image…”), not an image"),
        ("t.parquet[4]", "the row holds no bytes of an image (a pa"),
    ]


def test_a_table_in_a_folder_or_archive(tmp_path):
    (tmp_path / "t.parquet").write_bytes(table([4, 5], ["a", "b"]))
    (tmp_path / "1.png").write_bytes(grey_photo(1))
    assert (levels(read(tmp_path)), read(tmp_path).labels) == ([1, 4, 5], [None, "a", "b"])
    assert levels(read(("s.zip", zipped({"t.parquet": table([4, 5])})))) == [4, 5]


def test_what_is_no_table_of_images_says_what_there_is():
    with pytest.raises(ReadError, match=r"no column of encoded images, but n int64, s string"):
        read(("t.parquet", written({"n": [1], "s": ["a"]})))
    with pytest.raises(ReadError, match="the table has no rows"):
        read(("t.parquet", written({"image": pyarrow.array([], pyarrow.binary())})))
    with pytest.raises(ReadError, match="the table is damaged"):
        read(("t.parquet", table([1, 2])[:-20]))
    with pytest.raises(LimitError, match="it holds 3 images, the limit is 2"):
        read(("t.parquet", table([1, 2, 3])), limits=Limits(max_images=2))
    # Run lengths and a compression on top: 64 MB out of some kilobytes.
    same = written({"image": [bytes(2**20)] * 64}, compression="zstd", use_dictionary=False)
    with pytest.raises(LimitError, match="archive bomb"):
        read(("t.parquet", same))


def test_a_damaged_page_costs_its_row_group_only():
    data = bytearray(table(list(range(30)), rows_a_group=10))
    group = parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(0)
    at = group.dictionary_page_offset or group.data_page_offset
    data[at : at + group.total_compressed_size] = bytes(group.total_compressed_size)
    photos = read(("t.parquet", bytes(data)))
    assert levels(photos) == [*range(10), *range(20, 30)]
    assert [p.path for p in photos.problems] == [f"t.parquet[{at}]" for at in range(10, 20)]
    assert all("the table is damaged" in p.reason for p in photos.problems)


def test_only_a_few_rows_are_held(monkeypatch):
    photos = read(("t.parquet", table(list(range(200)), rows_a_group=200)))
    before = pyarrow.total_allocated_bytes()
    assert levels(photos) == list(range(200))
    assert pyarrow.total_allocated_bytes() - before < 2**20


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    (tmp_path / "t.parquet").write_bytes(table([1]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReadError, match=r"needs the package pyarrow.* pip install pyarrow"):
        read(tmp_path / "t.parquet")
