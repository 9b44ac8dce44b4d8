"""The message to the browser: what goes in comes out, and what does not fit is named."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app import viewer
from app.viewer import AffineCell, Column, MessageCell, Numbers, Row, ValuesCell, packed

HEIGHT, WIDTH = 5, 7
RNG = np.random.default_rng(4)
PIXELS = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
VALUES = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3)).astype("<u2")
LIGHT = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
NUMBERS = tuple(Numbers(name, -1.5, 0.1, 0.3, 2.0) for name in "RGB")

COLUMNS = (Column("zscore", "z-score", "#2a66c8", "dataset"), Column("lcn", "LCN", "#00936b"))
ROW = Row(
    key="0-abc",
    title="<b>Day & night</b>.png",
    caption="7 × 5 px",
    height=HEIGHT,
    width=WIDTH,
    channels=3,
    source=PIXELS.tobytes(),
    source_format="raw8",
    levels=LIGHT.tobytes(),
    unit="0–255",
)
AFFINE = AffineCell((0.1, 1 / 3, 3.0), (-1.0, 0.0, 1e-17), (-2.0, 2.0), NUMBERS, "exact", 2)
VALUED = ValuesCell(VALUES.tobytes(), -2.5, 1 / 65535, (-1.0, 1.0), NUMBERS, "on the copy", 3)
CELLS = {("0-abc", "zscore"): AFFINE, ("0-abc", "lcn"): VALUED}


def message_of(rows=(ROW,), cells=CELLS, columns=COLUMNS):
    message, parts = packed(columns, rows, cells, "Stretch, each panel")
    return json.loads(json.dumps(message, allow_nan=False)), parts


def test_columns_and_rows_come_out_as_they_went_in():
    message, parts = message_of()
    assert message["label"] == "Stretch, each panel"
    assert message["columns"] == [
        {"key": "zscore", "title": "z-score", "colour": "#2a66c8", "subtitle": "dataset"},
        {"key": "lcn", "title": "LCN", "colour": "#00936b", "subtitle": ""},
    ]
    (row,) = message["rows"]
    assert (row["key"], row["title"]) == ("0-abc", "<b>Day & night</b>.png")
    assert (row["caption"], row["unit"], row["format"]) == ("7 × 5 px", "0–255", "raw8")
    assert (row["height"], row["width"], row["channels"]) == (5, 7, 3)
    assert row["before"] == [0.0, 1.0, 0]
    source = np.frombuffer(parts[row["source"]], np.uint8).reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(source, PIXELS)
    light = np.frombuffer(b64decode(row["levels"]), np.uint8).reshape(256, 3)
    np.testing.assert_array_equal(light, LIGHT)


def test_numbers_come_out_to_the_last_bit():
    message, parts = message_of()
    affine, valued = message["cells"][0]
    assert affine == {
        "kind": "affine",
        "gain": [0.1, 1 / 3, 3.0],
        "bias": [-1.0, 0.0, 1e-17],
        "window": [-2.0, 2.0],
        "numbers": [[name, -1.5, 0.1, 0.3, 2.0] for name in "RGB"],
        "note": "exact",
        "digits": 2,
    }
    assert (valued["kind"], valued["low"], valued["step"]) == ("values", -2.5, 1 / 65535)
    assert (valued["window"], valued["note"], valued["digits"]) == ([-1.0, 1.0], "on the copy", 3)
    values = np.frombuffer(parts[valued["values"]], "<u2").reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(values, VALUES)


def test_a_part_is_named_by_its_content_and_kept_once():
    again = replace(ROW, key="1-abc", levels=None)
    cells = {(key, name): CELLS["0-abc", name] for key in ("0-abc", "1-abc") for _, name in CELLS}
    message, parts = message_of((ROW, again), cells)
    assert message["rows"][0]["source"] == message["rows"][1]["source"]
    assert len(parts) == 2
    assert all(len(digest) == 32 for digest in parts)
    other = replace(ROW, source=bytes(reversed(ROW.source)))
    assert message_of((other,))[0]["rows"][0]["source"] not in parts


def test_only_the_source_travels_for_gain_and_bias():
    _, parts = message_of(columns=COLUMNS[:1])
    assert list(parts.values()) == [ROW.source]


def test_a_message_cell_and_numpy_numbers():
    cell = replace(AFFINE, gain=tuple(np.float32([0.5, 0.25, 2.0])))
    cells = {("0-abc", "zscore"): MessageCell("Not fitted."), ("0-abc", "lcn"): cell}
    message, _ = message_of(cells=cells)
    assert message["cells"][0][0] == {"kind": "message", "text": "Not fitted."}
    assert message["cells"][0][1]["gain"] == [0.5, 0.25, 2.0]


def test_sixteen_bits_and_one_channel():
    levels = RNG.integers(0, 65536, (HEIGHT, WIDTH, 1)).astype("<u2")
    row = replace(ROW, channels=1, source=levels.tobytes(), source_format="raw16", levels=None)
    cell = AffineCell((2.0,), (0.5,), (0.0, 1.0), (Numbers("grey", 0, 1, 2, 3),), "exact", 0)
    message, parts = message_of((row,), {("0-abc", "zscore"): cell}, COLUMNS[:1])
    assert message["rows"][0]["levels"] is None
    found = np.frombuffer(parts[message["rows"][0]["source"]], "<u2")
    np.testing.assert_array_equal(found, levels.ravel())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": PIXELS.tobytes()[:-1]}, r"source of “<b>Day .*104 bytes, expected 105"),
        ({"source": b"", "source_format": "webp"}, "source of “<b>Day .* is empty"),
        ({"source_format": "raw16", "levels": None}, "105 bytes, expected 210"),
        ({"source_format": "jpeg"}, "'jpeg' is none of webp, png, raw8, raw16"),
        ({"channels": 4}, "4 channels, expected 1 or 3"),
        ({"levels": LIGHT.tobytes()[:256]}, "light table of “<b>Day .*256 bytes"),
        ({"source": VALUES.tobytes(), "source_format": "raw16"}, "light table is for 8-bit"),
    ],
)
def test_a_source_that_does_not_fit_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        message_of((replace(ROW, **change),))


@pytest.mark.parametrize(
    ("name", "cell", "said"),
    [
        ("lcn", replace(VALUED, values=VALUES.tobytes()[2:]), "208 bytes, expected 210"),
        ("lcn", replace(VALUED, step=float("nan")), "low and step .* not finite"),
        ("zscore", replace(AFFINE, gain=(1.0,)), "gain holds 1 values, expected 3"),
        ("zscore", replace(AFFINE, bias=(0.0, 0.0, float("inf"))), "bias .* not finite"),
        ("zscore", replace(AFFINE, window=(1.0, 1.0)), "black is not below"),
        ("zscore", replace(AFFINE, numbers=NUMBERS[:2]), "2 numbers for 3 channels"),
    ],
)
def test_a_cell_that_does_not_fit_is_named(name, cell, said):
    title = {"lcn": "LCN", "zscore": "z-score"}[name]
    with pytest.raises(ValueError, match=f"^“<b>Day & night</b>.png” under {title}: .*{said}"):
        message_of(cells={**CELLS, ("0-abc", name): cell})


def test_a_missing_cell_and_a_key_given_twice_are_named():
    with pytest.raises(ValueError, match="under LCN: there is no cell"):
        message_of(cells={("0-abc", "zscore"): AFFINE})
    with pytest.raises(ValueError, match="each row needs its own key; given twice: 0-abc"):
        message_of((ROW, ROW))
    with pytest.raises(ValueError, match="each column needs its own key; given twice: lcn"):
        message_of(columns=(COLUMNS[1], COLUMNS[1]))


def sent_of(monkeypatch, *shown):
    """What reaches the browser: key → {digest: bytes} of each element with parts, and the grid."""
    mounted = []

    def component(data, key, **state):
        mounted.append((data, key))
        return SimpleNamespace(**state.get("default", {}))

    monkeypatch.setattr(viewer, "_COMPONENT", component)
    assert viewer.show(*shown, display_label="Clip", key="grid") is False
    *bundles, (message, key) = mounted
    assert key == "grid" == message["key"]
    found = {}
    for bundle, name in bundles:
        parts = found[name] = {}
        while bundle:
            size = int.from_bytes(bundle[32:36], "little")
            parts[bundle[:32].decode()] = bundle[36 : 36 + size]
            bundle = bundle[36 + size :]
    return found, message


def test_parts_reach_the_browser_behind_their_digests(monkeypatch):
    other = replace(ROW, key="1-def", source=PIXELS[::-1].tobytes())
    again = replace(VALUED, values=VALUES[::-1].tobytes())
    cells = {**CELLS, ("1-def", "zscore"): AFFINE, ("1-def", "lcn"): again}
    found, message = sent_of(monkeypatch, COLUMNS, (ROW, other), cells)
    sources = {row["source"]: row["key"] for row in message["rows"]}
    assert [sources[digest] for digest in found["grid-pictures"]] == ["0-abc", "1-def"]
    assert list(found["grid-pictures"].values()) == [ROW.source, other.source]
    values = [row[1]["values"] for row in message["cells"]]
    assert found["grid-values-lcn"] == dict(zip(values, (VALUED.values, again.values), strict=True))
    assert len(found) == 2


def test_a_part_travels_once_and_with_its_own_method(monkeypatch):
    third = Column("clahe", "CLAHE", "#777777")
    cells = {**CELLS, ("0-abc", "clahe"): replace(VALUED, values=VALUES[::-1].tobytes())}
    found, _ = sent_of(monkeypatch, (*COLUMNS, third), (ROW,), cells)
    assert {name: list(parts.values()) for name, parts in found.items()} == {
        "grid-pictures": [ROW.source],
        "grid-values-lcn": [VALUED.values],
        "grid-values-clahe": [VALUES[::-1].tobytes()],
    }
    twice = {**CELLS, ("0-abc", "clahe"): VALUED}
    found, _ = sent_of(monkeypatch, (*COLUMNS, third), (ROW,), twice)
    assert [list(parts.values()) for parts in found.values()] == [[ROW.source], [VALUED.values]]


def test_a_grid_of_affine_panels_sends_pictures_alone(monkeypatch):
    found, _ = sent_of(monkeypatch, COLUMNS[:1], (ROW,), CELLS)
    assert list(found) == ["grid-pictures"]
