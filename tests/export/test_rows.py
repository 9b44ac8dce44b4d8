"""Rows of images as Parquet: what is in them, how much is held, and what is left after a fault."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from pyarrow import parquet

import normviz as nv
from normviz.errors import NormvizError
from normviz.export import rows_file
from normviz.images import image_of
from normviz.statistics.rows import ROW_PERCENTILES

RNG = np.random.default_rng(8)
IMAGES = [
    image_of(RNG.integers(0, 256, (12, 17, 3), np.uint8), path="colour.png", label="a"),
    image_of(RNG.integers(0, 65536, (9, 10), np.uint16), path="deep.png"),
    image_of(RNG.random((8, 9, 3)).astype(np.float32) * 4 - 1, (-1, 3), path="float.npy"),
]


def written(path, images):
    with rows_file(path) as take:
        nv.scan(images, on_rows=take)
    return parquet.read_table(path).to_pylist()


def test_every_column_is_what_numpy_says(tmp_path):
    rows = written(tmp_path / "rows.parquet", IMAGES)
    assert [row["position"] for row in rows] == [0, 1, 2]
    assert [row["path"] for row in rows] == ["colour.png", "deep.png", "float.npy"]
    assert [row["label"] for row in rows] == ["a", None, None]
    assert [row["mode"] for row in rows] == ["RGB 8 bit", "grey 16 bit", "RGB float"]
    for row, image in zip(rows, IMAGES, strict=True):
        low, high = image.value_range
        assert (row["value_low"], row["value_high"]) == (low, high)
        assert (row["height"], row["width"]) == image.pixels.shape[:2]
        assert row["pixels"] == image.height * image.width
        names = ["grey"] if image.channels == 1 else ["r", "g", "b"]
        for at, name in enumerate(names):
            levels = image.pixels[..., at]
            share = (levels.astype(float) - low) / (high - low)
            if image.levels:
                whole = levels.astype(object)
                assert row[f"sum_{name}"] == whole.sum()
                assert row[f"sum_of_squares_{name}"] == (whole**2).sum()
            else:
                assert row[f"sum_{name}"] is None and row[f"sum_of_squares_{name}"] is None
            assert row[f"mean_{name}"] == pytest.approx(share.mean(), rel=1e-9)
            assert row[f"std_{name}"] == pytest.approx(share.std(), rel=1e-6)
            assert row[f"min_{name}"] == pytest.approx(share.min(), abs=1e-12)
            assert row[f"max_{name}"] == pytest.approx(share.max(), abs=1e-12)
            assert row[f"clipped_low_{name}"] == (levels == low).mean()
            assert row[f"clipped_high_{name}"] == (levels == high).mean()
            for q in ROW_PERCENTILES:
                # Floats are counted in bins.
                near = np.percentile(share, q)
                assert row[f"p{q:g}_{name}"] == pytest.approx(near, abs=0.01)
        absent = {"r", "g", "b", "grey"} - set(names)
        assert all(row[f"{c}_{n}"] is None for n in absent for c in ("sum", "mean", "p99"))


def test_fingerprints_and_sharpness_are_those_of_the_rows(tmp_path):
    rows = written(tmp_path / "rows.parquet", IMAGES)
    kept = nv.scan(IMAGES).rows
    assert [row["fingerprint"] for row in rows] == [row.fingerprint for row in kept]
    assert [row["sharpness"] for row in rows] == [row.sharpness for row in kept]
    schema = parquet.read_schema(tmp_path / "rows.parquet")
    assert str(schema.field("fingerprint").type) == "uint64"
    assert str(schema.field("sum_of_squares_r").type) == "int64"
    facts = json.loads(schema.metadata[b"normviz"])
    assert "fractions of the value range" in facts["unit"]


def test_rows_are_written_in_groups_and_few_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr("normviz.export.rows.ROWS_A_GROUP", 4)
    some = [image_of(np.full((8, 9), at, np.uint8), path=f"{at}") for at in range(11)]
    rows = written(tmp_path / "rows.parquet", some)
    assert [row["sum_grey"] for row in rows] == [72 * at for at in range(11)]
    found = parquet.ParquetFile(tmp_path / "rows.parquet").metadata
    groups = [found.row_group(at).num_rows for at in range(found.num_row_groups)]
    assert groups == [4, 4, 3]


def test_whole_sums_beyond_a_double_are_exact(tmp_path):
    (row,) = nv.scan(IMAGES[1:2]).rows
    large = 2**62 + 1
    huge = type(row)(**{**vars(row), "squares": (large,)})
    with rows_file(tmp_path / "rows.parquet") as take:
        take([huge, type(row)(**{**vars(row), "squares": (2**63,)})])
    column = parquet.read_table(tmp_path / "rows.parquet")["sum_of_squares_grey"].to_pylist()
    assert column == [large, None]


def test_a_name_that_is_no_text_is_escaped(tmp_path):
    odd = image_of(np.zeros((8, 9), np.uint8), path="caf\udce9.png", label="\udcff")
    (row,) = written(tmp_path / "rows.parquet", [odd])
    assert (row["path"], row["label"]) == ("caf\\udce9.png", "\\udcff")


def test_a_fault_leaves_no_file_and_an_older_one_alone(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), rows_file(path) as take:
        take(nv.scan(IMAGES).rows)
        raise RuntimeError
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("rows.parquet", b"older")]


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NormvizError, match="pip install pyarrow"), rows_file(tmp_path / "a"):
        pass
    assert not list(tmp_path.iterdir())
