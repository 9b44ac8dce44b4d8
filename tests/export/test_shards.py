"""Normalized sets in shards: what is in them, how much is held, where they are written."""

from __future__ import annotations

import gc
import json
import os
import sys
import weakref

import numpy as np
import pytest

from normviz.errors import NormvizError
from normviz.export import Normalized, file_name, write_npz_shards, write_zarr


def normalized(count, shape=lambda at: (5, 7, 3)):
    rng = np.random.default_rng(1)
    for at in range(count):
        path, label = f"../../{at}/../\udce9.png", ("cat", None, "dog")[at % 3]
        values = rng.normal(size=shape(at)).astype(np.float32)
        yield Normalized(file_name(at, path, "lcn", ""), path, label, ("a note",), values)


def listing(folder):
    return [json.loads(line) for line in (folder / "images.jsonl").read_text().splitlines()]


def test_npz_shards_hold_the_images_in_order(tmp_path):
    shards = write_npz_shards(tmp_path / "out", normalized(8), 3)
    assert [shard["images"] for shard in shards] == [3, 3, 2]
    assert shards[2] == {"file": "normalized-00002.npz", "images": 2, "shape": [5, 7, 3]}
    listed = listing(tmp_path / "out")
    assert len(listed) == 8
    for at, (entry, one) in enumerate(zip(listed, normalized(8), strict=True)):
        assert (entry["file"], entry["at"]) == (f"normalized-{at // 3:05d}.npz", at % 3)
        assert (entry["source"], entry["label"]) == (one.path, one.label)
        with np.load(tmp_path / "out" / entry["file"], allow_pickle=False) as arrays:
            assert sorted(arrays) == ["images", "labels", "paths"]
            np.testing.assert_array_equal(arrays["images"][entry["at"]], one.values)
            assert arrays["images"].dtype == np.float32
            assert arrays["labels"][entry["at"]] == (one.label or "")
            assert arrays["paths"][entry["at"]] == one.path.replace("\udce9", "\\udce9")


def test_a_shard_of_several_sizes_has_an_array_an_image(tmp_path):
    def shape(at):
        return (5, 7 if at != 4 else 8, 3)

    shards = write_npz_shards(tmp_path, normalized(6, shape), 3)
    assert [shard["shape"] for shard in shards] == [[5, 7, 3], None]
    ones = list(normalized(6, shape))
    with np.load(tmp_path / "normalized-00001.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == sorted([*(one.name for one in ones[3:]), "labels", "paths"])
        for one, entry in zip(ones[3:], listing(tmp_path)[3:], strict=True):
            np.testing.assert_array_equal(arrays[entry["array"]], one.values)
            assert entry["at"] is None and entry["shape"] == list(one.values.shape)


def test_zarr_is_one_array_with_a_chunk_an_image(tmp_path):
    zarr = pytest.importorskip("zarr")
    (shard,) = write_zarr(tmp_path, normalized(8), 3)
    assert shard == {
        "file": "normalized.zarr",
        "array": "images",
        "images": 8,
        "shape": [5, 7, 3],
    }
    root = zarr.open_group(str(tmp_path / "normalized.zarr"), mode="r")
    ones = list(normalized(8))
    np.testing.assert_array_equal(root["images"][:], np.stack([one.values for one in ones]))
    assert root["images"].chunks == (1, 5, 7, 3) and root["images"].shards == (3, 5, 7, 3)
    assert root.attrs["label_names"] == ["cat", "dog"]
    assert root["labels"][:].tolist() == [0, -1, 1, 0, -1, 1, 0, -1]
    assert [entry["at"] for entry in listing(tmp_path)] == list(range(8))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.jsonl", "normalized.zarr"]


@pytest.mark.parametrize("at", [1, 5])
def test_zarr_refuses_several_sizes_and_leaves_nothing(tmp_path, at):
    pytest.importorskip("zarr")
    odd = normalized(8, lambda index: (5, 7 if index != at else 8, 3))
    with pytest.raises(NormvizError, match=r"is 5 × 8 × 3 and the first image 5 × 7 × 3"):
        write_zarr(tmp_path, odd, 3)
    assert not list(tmp_path.iterdir())


def test_zarr_takes_the_place_of_an_older_one_and_follows_no_link(tmp_path):
    pytest.importorskip("zarr")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("kept")
    out = tmp_path / "out"
    out.mkdir()
    os.symlink(tmp_path / "elsewhere", out / "normalized.zarr")
    for count in (2, 4):
        (shard,) = write_zarr(out, normalized(count), 3)
        assert shard["images"] == count and not (out / "normalized.zarr").is_symlink()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["precious"]


def test_a_missing_zarr_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(NormvizError, match="pip install zarr"):
        write_zarr(tmp_path, normalized(1), 3)


@pytest.mark.parametrize("write", [write_npz_shards, write_zarr])
def test_no_more_than_a_shard_is_held(tmp_path, write):
    if write is write_zarr:
        pytest.importorskip("zarr")
    made: list[weakref.ref] = []
    most = 0

    def watched():
        nonlocal most
        for one in normalized(20):
            made.append(weakref.ref(one.values))
            gc.collect()
            most = max(most, sum(ref() is not None for ref in made))
            yield one
            del one

    write(tmp_path, watched(), 4)
    # One shard, and the one image that is being made.
    assert 4 <= most <= 5


def test_no_images_make_no_folder(tmp_path):
    assert write_npz_shards(tmp_path / "out", iter(()), 4) == []
    assert not (tmp_path / "out").exists()
