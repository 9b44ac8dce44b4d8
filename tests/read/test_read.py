from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

import normviz as nv
from normviz.errors import LimitError, ParameterError, ReadError
from normviz.read import Limits, Photos, Upload, read
from normviz.read.limits import size_text
from normviz.read.registry import KINDS
from tests.read.making import RGB, encoded, grey_photo, npy, tarred, zipped

GOOD = encoded(RGB)


def levels(photos: Photos) -> list[int]:
    return [int(image.pixels[0, 0, 0]) for image in photos]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for name, value in (("night/b.png", 2), ("day/a.png", 1), ("day/c.png", 3)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(grey_photo(value))
    return root


def test_one_image_by_path_by_pair_and_by_upload(tmp_path):
    (tmp_path / "a.png").write_bytes(GOOD)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), ("a.png", GOOD)):
        photos = read(source)
        assert len(photos) == 1
        assert np.array_equal(photos[0].pixels, RGB)
        assert np.array_equal(photos[-1].pixels, RGB)
        assert photos.labels == [None]
    assert read(Upload("a.png", GOOD)).paths == ["a.png"]
    assert read(("a.png", bytearray(GOOD))).nbytes == len(GOOD)
    with pytest.raises(IndexError, match="image 1 of 1"):
        photos[1]
    assert nv.read is read


def test_a_folder_gives_labels_and_sorted_paths(folder):
    photos = read(folder)
    assert photos.paths == [
        f"{folder}/{name}" for name in ("day/a.png", "day/c.png", "night/b.png")
    ]
    assert photos.labels == ["day", "day", "night"]
    assert levels(photos) == [1, 3, 2]
    assert (photos.path(1), photos.label(2), photos[2].label) == (photos.paths[1], "night", "night")
    assert photos.nbytes == 0


def test_a_folder_passes_over_other_files_and_names_bad_ones(folder):
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "day" / "empty.png").write_bytes(b"")
    (folder / "day" / "text.png").write_text("hello")
    np.save(folder / "stack.npy", np.full((2, 3, 5), 9, np.uint8))
    photos = read(folder)
    assert levels(photos) == [1, 3, 2, 9, 9]
    assert [Path(p.path).name for p in photos.problems] == ["empty.png", "text.png"]
    assert f"{folder}: 1 hidden file passed over" in photos.notes
    assert f"{folder}: 1 other file passed over" in photos.notes


def test_links_inside_a_folder_are_followed_only_inside(folder, tmp_path):
    (tmp_path / "secret.png").write_bytes(grey_photo(99))
    (folder / "day" / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "day" / "gone.png").symlink_to(folder / "nothing.png")
    (folder / "loop").symlink_to(folder)
    (folder / "night" / "in.png").symlink_to(folder / "day" / "a.png")
    photos = read(folder)
    assert levels(photos) == [1, 3, 2, 1]
    assert sorted(Path(p.path).name for p in photos.problems) == ["gone.png", "loop", "out.png"]
    assert all("a link that leads elsewhere" in p.reason for p in photos.problems)


def test_pipes_and_missing_files_do_not_hang(folder):
    os.mkfifo(folder / "pipe.png")
    photos = read(folder)
    assert [p.reason for p in photos.problems] == ["it is a device, pipe or socket, not a file"]
    with pytest.raises(ReadError, match="not a file"):
        read(folder / "pipe.png")
    with pytest.raises(ReadError, match=r"there is no such file or folder\. Check the path"):
        read(folder / "missing.png")
    with pytest.raises(ReadError, match="cannot be opened"):
        read("a\0b.png")


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(ReadError, match="it is empty"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ReadError, match="it holds no images"):
        read(tmp_path)


def test_several_sources_keep_their_order_and_collect_problems(folder):
    photos = read(
        [
            ("first.png", grey_photo(10)),
            ("bad.png", b"no image"),
            folder / "missing.png",
            ("set.zip", zipped({"cat/1.png": grey_photo(20), "dog/2.png": grey_photo(30)})),
            ("stack.npy", npy(np.full((2, 3, 5), 40, np.uint8))),
            ("last.png", grey_photo(50)),
            (".DS_Store", b"x"),
        ]
    )
    assert levels(photos) == [10, 20, 30, 40, 40, 50]
    assert photos.labels == [None, None, "cat", "dog", None, None, None]
    assert [p.path for p in photos.problems] == [f"{folder}/missing.png", "bad.png"]
    assert "1 hidden file passed over" in photos.notes


def test_uploaded_folders_give_labels():
    photos = read([("set/day/1.png", grey_photo(1)), ("set/night/2.png", grey_photo(2))])
    assert photos.labels == ["day", "night"]
    paths = read([("day/1.png", grey_photo(1)), ("day/2.png", grey_photo(2))])
    assert paths.labels == [None, None]


def test_one_bad_file_raises_or_is_collected_as_asked():
    with pytest.raises(ReadError, match=r"a\.png: the file is empty\. Copy or download it again\."):
        read(("a.png", b""))
    photos = read(("a.png", b""), on_problem="collect")
    assert (len(photos), [str(p) for p in photos.problems]) == (
        0,
        ["a.png: the file is empty. Copy or download it again."],
    )
    seen = []
    read([("a.png", b"")], on_problem=seen.append)
    assert [p.path for p in seen] == ["a.png"]
    with pytest.raises(ParameterError, match="got 'ignore'"):
        read(("a.png", b""), on_problem="ignore")


def test_one_truncated_file_raises_when_it_is_decoded():
    half = GOOD[:-30]
    photos = read(("half.png", half))
    for attempt in (lambda: photos[0], lambda: list(photos), lambda: photos[0]):
        with pytest.raises(ReadError, match=r"half\.png: the image is cut off"):
            attempt()
    assert len(photos.problems) == 1
    collected = read(("half.png", half), on_problem="collect")
    assert list(collected) == []
    assert [p.path for p in collected.problems] == ["half.png"]


def test_indices_stay_when_an_image_proves_unreadable():
    photos = read([("a.png", grey_photo(1)), ("b.png", GOOD[:-30]), ("c.png", grey_photo(3))])
    assert photos.problems == []
    assert [index for index, _ in photos.indexed()] == [0, 2]
    assert len(photos) == 3
    assert levels(photos) == [1, 3]
    with pytest.raises(ReadError):
        photos[1]
    assert [p.path for p in photos.problems] == ["b.png"]
    assert repr(photos) == "Photos(3 images, 1 problem)"


def test_a_large_image_is_refused_when_it_is_asked_for():
    with pytest.raises(LimitError, match="9 × 5 pixels"):
        read(("a.png", GOOD), limits=Limits(max_pixels_per_image=44))
    photos = read([("a.png", GOOD)], limits=Limits(max_pixels_per_image=44))
    assert list(photos) == []
    assert "NORMVIZ_MAX_PIXELS_PER_IMAGE" in photos.problems[0].remedy


@pytest.mark.parametrize("source", [b"bytes", 5, None, [b"bytes"], [3.5], np.zeros((2, 2))])
def test_what_is_no_source_is_refused_with_a_way_out(source):
    if isinstance(source, (list, np.ndarray)):
        problems = read(source).problems
        assert problems and "Give a path or a pair" in problems[0].remedy
    else:
        with pytest.raises(ReadError, match=r"Give a (path|pair)"):
            read(source)


def test_nothing_asked_for_is_an_empty_collection():
    photos = read([])
    assert (len(photos), list(photos), photos.paths, photos.problems) == (0, [], [], [])


def test_member_is_for_npz_only():
    with pytest.raises(ReadError, match=r"chooses an array of an \.npz file"):
        read(("a.png", GOOD), member="x")
    with pytest.raises(ParameterError):
        read([("a.png", GOOD)], member="x")


def test_threads_may_decode_at_once(tmp_path):
    data = tarred({f"{i}.png": grey_photo(i) for i in range(40)}, "gz")
    photos = read(("s.tar.gz", data))
    found: dict[int, int] = {}

    def work(start: int) -> None:
        for i in range(start, 40, 4):
            found[i] = int(photos[i].pixels[0, 0, 0])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: i for i in range(40)}


def test_limits_from_the_environment(monkeypatch):
    limits = Limits.from_environment(
        {"NORMVIZ_MAX_PIXELS_PER_IMAGE": " 44 ", "NORMVIZ_MAX_RATIO": ""}
    )
    assert limits == Limits(max_pixels_per_image=44)
    for junk in ("many", "-1", "0", "64M"):
        with pytest.raises(ParameterError, match="NORMVIZ_MAX_IMAGES"):
            Limits.from_environment({"NORMVIZ_MAX_IMAGES": junk})
    monkeypatch.setenv("NORMVIZ_MAX_PIXELS_PER_IMAGE", "44")
    with pytest.raises(LimitError):
        read(("a.png", GOOD))
    with pytest.raises(ParameterError, match="max_ratio must be a whole number"):
        Limits(max_ratio=0)


def test_limits_are_said_in_sentences():
    text = " ".join(Limits().sentences())
    for part in (
        "64 megapixels",
        "200 MB",
        "100,000 files",
        "2 GB",
        "200 times",
        "256 MB",
        "512 MB",
    ):
        assert part in text, part
    assert size_text(3 * 2**30) == "3 GB"


def test_every_kind_has_its_own_key_and_a_title():
    assert len({kind.key for kind in KINDS}) == len(KINDS) == 11
    assert all(kind.title for kind in KINDS)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_not_taken_for_the_folder_one_is_in(name):
    with pytest.raises(ReadError, match="the source is an empty name"):
        read(name)
