"""Names that stand for several files: patterns, braces and list files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from normviz.errors import LimitError, ReadError
from normviz.read import Limits, parts_of, pattern, read, remote
from normviz.read.pattern import expanded
from tests.read.making import grey_photo, levels, npy, shard, zipped


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, value in (("a/1.png", 1), ("a/2.png", 2), ("b/3.png", 3), ("b/c/4.png", 4)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(grey_photo(value))
    return tmp_path


def test_a_glob_gives_its_files_in_the_order_of_names(root, monkeypatch):
    photos = read(f"{root}/**/*.png")
    assert photos.paths == [f"{root}/{n}" for n in ("a/1.png", "a/2.png", "b/3.png", "b/c/4.png")]
    assert photos.labels == ["a", "a", "b", "c"]
    assert levels(photos) == [1, 2, 3, 4]
    assert levels(read(root / "b" / "?.png")) == [3]
    assert read(f"{root}/a/*.png").labels == [None, None]
    monkeypatch.chdir(root)
    assert read("*/[13].png").paths == ["a/1.png", "b/3.png"]
    assert levels(read("{a,b}/*.png")) == [1, 2, 3]


def test_a_file_of_a_strange_name_is_meant_before_the_pattern(root):
    (root / "x[1].png").write_bytes(grey_photo(7))
    (root / "@y.png").write_bytes(grey_photo(8))
    assert levels(read(f"{root}/x[1].png")) == [7]
    assert levels(read(root / "@y.png")) == [8]


def test_a_glob_opens_archives_that_match_and_passes_over_folders(root):
    (root / "a" / "set.zip").write_bytes(zipped({"1.png": grey_photo(8)}))
    (root / "a" / "x.npy").write_bytes(npy(np.full((2, 3, 5), 9, np.uint8)))
    assert levels(read(f"{root}/a/*")) == [1, 2, 8, 9, 9]
    with pytest.raises(ReadError, match="no file matches it"):
        read(f"{root}/*.jpg")


def test_two_stars_do_not_follow_links_out(root, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere")
    (secret / "s.png").write_bytes(grey_photo(99))
    (root / "b" / "out").symlink_to(secret)
    photos = read(f"{root}/b/**/*.png")
    assert levels(photos) == [3, 4]
    assert [p.reason for p in photos.problems] == [
        "a link on its way leads elsewhere, which ** does not follow"
    ]


def test_braces_count_as_in_webdataset():
    assert list(expanded("s-{000000..000002}.tar", 9)) == [f"s-{i:06}.tar" for i in range(3)]
    assert list(expanded("{9..11}", 9)) == ["9", "10", "11"]
    assert list(expanded("a{b,}{0..1}", 9)) == ["ab0", "ab1", "a0", "a1"]
    with pytest.raises(ReadError, match=r"stand for 1,000,000,000 names, the limit is 5"):
        list(expanded("{0..999999999}", 5))
    with pytest.raises(ReadError, match="the smaller number first"):
        list(expanded("{3..1}", 5))


def test_a_missing_shard_is_a_problem_and_the_others_go_on(tmp_path):
    for at in (0, 2):
        samples = {"k": {"png": grey_photo(at), "cls": b"x"}}
        (tmp_path / f"s-{at}.tar").write_bytes(shard(samples))
    photos = read(f"{tmp_path}/s-{{0..2}}.tar")
    assert (levels(photos), photos.labels) == ([0, 2], ["x", "x"])
    assert [(Path(p.path).name, p.reason) for p in photos.problems] == [
        ("s-1.tar", "there is no such file or folder")
    ]
    with pytest.raises(ReadError, match="none of its 3 files can be opened"):
        read(f"{tmp_path}/t-{{0..2}}.tar")


def test_a_list_file_names_paths_and_labels(root):
    text = f"# two\n\n a/1.png \tleft\n{root}/b/3.png\t\n./a/2.png\tr i\n"
    for name in ("l.txt", "l.lst", "l.names"):
        (root / name).write_text(text)
    for given in (root / "l.txt", root / "l.lst", f"@{root}/l.names"):
        photos = read(given)
        assert photos.paths == [f"{root}/{n}" for n in ("a/1.png", "b/3.png", "a/2.png")]
        assert photos.labels == ["left", None, "r i"]
        assert [image.label for image in photos] == ["left", None, "r i"]
        assert levels(photos) == [1, 3, 2]


def test_a_list_without_labels_takes_the_names_of_folders(root):
    (root / "l.txt").write_bytes("\ufeffa/1.png\r\nb/3.png\r\n".encode())
    assert read(root / "l.txt").labels == ["a", "b"]


def test_what_a_list_names_in_vain_is_a_problem(root):
    (root / "l.txt").write_text("a/1.png\nnone.png\na\na/1.pickle\nnotes.md\n")
    (root / "a" / "1.pickle").write_bytes(b"x")
    (root / "notes.md").write_text("x")
    photos = read(root / "l.txt")
    assert levels(photos) == [1]
    assert [p.reason for p in photos.problems] == [
        "there is no such file or folder",
        "it is a folder, and files are listed here",
        "it is a Python pickle, which can run code when opened",
    ]
    assert photos.notes == (f"{root}/l.txt: 1 other file passed over",)


def test_what_is_no_list_is_refused(root):
    (root / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ReadError, match="the list is empty"):
        read(root / "empty.txt")
    (root / "letter.txt").write_text("Dear all,\nno photo here\n")
    with pytest.raises(ReadError, match=r"none of its 2 files can be opened \(first .*Dear all"):
        read(root / "letter.txt")
    (root / "long.lst").write_text("a" * 20_000)
    with pytest.raises(ReadError, match="it is no list of paths"):
        read(root / "long.lst")
    with pytest.raises(ReadError, match="it is no list of paths"):
        read(f"@{root}/a/1.png")
    (root / "many.txt").write_text("a/1.png\n" * 4)
    with pytest.raises(LimitError, match="it holds 4 images, the limit is 3"):
        read(root / "many.txt", limits=Limits(max_images=3))


@pytest.mark.parametrize("line", ["{root}/a/1.png", "file://{root}/a/1.png", "http://127.0.0.1:9/"])
@pytest.mark.parametrize("name", ["l.txt", "l.lst", "@l.txt", "s3://b/l.txt", "*.png", "http://x/"])
def test_an_upload_reads_no_file_and_no_address(root, name, line, monkeypatch):
    monkeypatch.setattr(remote, "_storage", lambda *_: pytest.fail("a fetch"))
    monkeypatch.setattr(pattern, "_add_named", lambda *_: pytest.fail("a file"))
    photos = read([(name, line.format(root=root).encode())])
    assert list(photos) == []
    (problem,) = photos.problems
    if name.endswith((".txt", ".lst")):
        assert "never when it is uploaded" in problem.reason
        assert problem.remedy == "Upload the images themselves, or an archive of them"


def test_a_list_in_an_archive_or_folder_is_passed_over(root):
    (root / "a" / "l.txt").write_text(f"{root}/b/3.png\n")
    assert levels(read(root / "a")) == [1, 2]
    photos = read(("s.zip", zipped({"1.png": grey_photo(5), "l.txt": b"/etc/passwd\n"})))
    assert (levels(photos), photos.problems) == ([5], [])


def test_archives_of_one_class_each_are_labelled_together(tmp_path):
    for at, name in enumerate(("cat", "dog")):
        (tmp_path / f"{name}.zip").write_bytes(zipped({f"{name}/1.png": grey_photo(at)}))
    assert read(f"{tmp_path}/*.zip").labels == ["cat", "dog"]
    assert read([tmp_path / "cat.zip", tmp_path / "dog.zip"]).labels == ["cat", "dog"]
    parts = parts_of(f"{tmp_path}/*.zip")
    assert [image.label for _, image in parts[0].images()] == ["cat", "dog"]
