"""Parts give the images of ``read``, in its order or as a permutation, wherever they are opened."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from normviz.errors import ParameterError, ReadError
from normviz.images import Image, image_of
from normviz.read import Limits, Part, Parts, Photos, Problem, parts_of, read
from normviz.read import parts as parts_module
from tests.read.making import (
    encoded,
    found_in,
    grey_photo,
    idx,
    levels,
    npy,
    npz,
    shard,
    table,
    tarred,
    zipped,
)

STACK = np.repeat(np.arange(7, dtype=np.uint8), 4 * 6).reshape(7, 4, 6)
FILES = {f"{'day' if i % 3 else 'night'}/{i:02}.png": grey_photo(i) for i in range(9)}


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def wds(first: int, form: str = "") -> bytes:
    five = range(first, first + 5)
    return shard({f"{i:04}": {"png": grey_photo(i), "cls": b"%d" % (i % 2)} for i in five}, form)


def sources(root: Path) -> dict[str, object]:
    """One source of every kind, on disk."""
    write(root / "folder", FILES)
    mixed = {
        **FILES, "stack.npy": npy(STACK), "set.npz": npz(images=STACK, labels=np.arange(7)),
        "train-images-idx3-ubyte": idx(STACK),
        "train-labels-idx1-ubyte": idx(STACK[:, 0, 0].copy()),
        "t.parquet": table(list(range(30, 37)), list("abcdefg")), "bad.png": b"no image",
        "cifar.bin": bytes(3073 * 3), "notes.md": b"x", ".hidden.png": b"x",
    }  # fmt: skip
    write(root / "mixed", mixed)
    members = {**FILES, "stack.npy": npy(STACK), "empty.png": b"", "bad.png": b"no image"}
    write(root, {"set.zip": zipped(members), "set.tar": tarred(members), "one.png": grey_photo(8)})
    write(root, {"set.tgz": tarred(FILES, "gz"), "w.tar": wds(0), "w.tar.xz": wds(5, "xz")})
    write(root, {f"w-{i:02}.tar": wds(10 * i) for i in range(3)})
    lines = (
        "# mine\nfolder/day/01.png\tleft\n\nfolder/day/02.png\tright\nset.zip\nmixed/stack.npy\n"
    )
    write(
        root, {"list.txt": lines.encode(), "all.lst": b"w-00.tar\nw-01.tar\nfolder/night/00.png\n"}
    )
    write(root, {"day.zip": zipped({"x/1.png": grey_photo(1)})})
    return {
        "folder": root / "folder",
        "mixed folder": root / "mixed",
        "zip": root / "set.zip",
        "tar": root / "set.tar",
        "packed tar": root / "set.tgz",
        "webdataset": root / "w.tar",
        "packed webdataset": root / "w.tar.xz",
        "shards": f"{root}/w-{{00..02}}.tar",
        "glob": f"{root}/folder/**/*.png",
        "glob of all": f"{root}/mixed/*",
        "list": root / "list.txt",
        "list of shards": f"@{root}/all.lst",
        "npy": root / "mixed/stack.npy",
        "npz": root / "mixed/set.npz",
        "cifar": root / "mixed/cifar.bin",
        "parquet": root / "mixed/t.parquet",
        "idx pair": [root / f"mixed/train-{n}-ubyte" for n in ("images-idx3", "labels-idx1")],
        "one image": root / "one.png",
        "several": [root / "set.zip", root / "one.png", root / "folder", root / "day.zip"],
        "uploads": [("a/1.png", grey_photo(1)), ("b.zip", zipped(FILES)), root / "one.png"],
    }


KINDS = [
    "folder", "mixed folder", "zip", "tar", "packed tar", "webdataset", "packed webdataset",
    "shards", "glob", "glob of all", "list", "list of shards", "npy", "npz", "cifar", "parquet",
    "idx pair", "one image", "several", "uploads",
]  # fmt: skip
STREAMED = ("packed tar", "packed webdataset", "shards", "list of shards")
BY_GROUP = (*STREAMED, "mixed folder", "glob of all", "parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, object]:
    return sources(tmp_path_factory.mktemp("sources"))


Row = tuple[str, str | None, int, tuple[str, ...]]


def rows(images: Iterator[Image | Problem] | Photos) -> list[Row]:
    return [
        (image.path, image.label, int(image.pixels.astype(int).sum()), image.notes)
        for image in images
        if isinstance(image, Image)
    ]


def all_images(parts: Parts) -> Iterator[Image | Problem]:
    for part in parts:
        yield from found_in(part)


HELD = """
import sys
from normviz.read import parts_of
def held():
    with open("/proc/self/status") as status:
        return max(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
before = held()
parts = parts_of(sys.argv[1], seed=1)
print(sum(1 for _ in parts[0].images()), held() - before)
"""
PEAK = HELD.replace("RssAnon", "VmHWM")
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory read on Linux")


def in_a_process(code: str, *given: str) -> list[int]:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, *given], cwd=root, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


def test_the_list_of_kinds_is_whole(made):
    assert list(made) == KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 4, 64])
def test_parts_joined_are_what_read_gives(made, kind, size):
    photos = read(made[kind])
    expected = rows(photos)
    parts = parts_of(made[kind], size)
    found = list(all_images(parts))
    assert rows(found) == expected
    assert len(expected) >= 1
    decoding = photos.problems[len(read(made[kind]).problems) :]
    problems = [p for p in found if isinstance(p, Problem)]
    assert sorted([*problems, *parts.problems]) == sorted(photos.problems)
    assert [p for p in problems if p in decoding] == decoding
    counts = [part.count for part in parts]
    if kind in STREAMED:
        assert (parts.total, parts.unit) == (None, "shard")
    else:
        assert parts.total == len(photos) == sum(counts)
        assert parts.unit == ("shard" if kind in BY_GROUP else "image")
    if kind not in BY_GROUP:
        assert counts[:-1] == [size] * (len(counts) - 1)
        assert len(counts) == -(-len(photos) // size)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_permutes_the_same_images(made, kind):
    natural, first = parts_of(made[kind], 3), parts_of(made[kind], 3, seed=1)
    again, other = parts_of(made[kind], 3, seed=1), parts_of(made[kind], 3, seed=2)
    expected, found = rows(all_images(natural)), rows(all_images(first))
    assert Counter(found) == Counter(expected)
    assert rows(all_images(again)) == found
    assert again.identity == first.identity
    assert len({natural.identity, first.identity, other.identity}) == 3
    if len(natural) > 3:
        assert found != expected
        assert rows(all_images(other)) != found


def test_a_seeded_part_is_a_sample_of_all_in_the_order_of_reading(made):
    parts = parts_of(made["folder"], 4, seed=5)
    order = np.random.default_rng(5).permutation(9)
    paths = read(made["folder"]).paths
    for at, part in enumerate(parts):
        chosen = sorted(order[4 * at : 4 * at + 4])
        assert [image.path for image in found_in(part)] == [paths[i] for i in chosen]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "uploads"])
@pytest.mark.parametrize("seed", [None, 3])
def test_parts_travel(made, kind, seed):
    parts = parts_of(made[kind], 4, seed)
    expected = [rows(found_in(part)) for part in parts]
    copies = [pickle.loads(pickle.dumps(part)) for part in parts]
    assert copies == list(parts)
    assert [hash(part) for part in copies] == [hash(part) for part in parts]
    assert [rows(found_in(part)) for part in copies] == expected
    assert len({part.key for part in parts}) == len(parts)
    assert max(len(pickle.dumps(part)) for part in parts) < 4000


def test_parts_are_read_in_another_process(made, tmp_path):
    parts = parts_of(made["several"], 4, seed=1)
    (tmp_path / "parts").write_bytes(pickle.dumps(list(parts)))
    code = (
        "import pickle, sys; parts = pickle.load(open(sys.argv[1], 'rb'))\n"
        "for part in parts:\n"
        "    for _, image in part.images(): print(image.path, getattr(image, 'label', 'problem'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "parts")],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    images = [i for i in all_images(parts) if isinstance(i, Image)]
    lines = [line for line in done.stdout.splitlines() if not line.endswith(" problem")]
    assert lines == [f"{image.path} {image.label}" for image in images]


def test_photos_are_cut_for_threads(made):
    photos = read(made["zip"])
    parts = parts_of(photos, 4)
    assert isinstance(parts[0], Part)
    assert rows(all_images(parts)) == rows(read(made["zip"]))
    assert parts.total == len(photos)
    assert [p.path for p in parts.problems] == [p.path for p in read(made["zip"]).problems]
    assert sorted(rows(all_images(parts_of(photos, 4, seed=2)))) == sorted(rows(photos))


def test_labels_travel_from_every_place(made):
    def labels(kind: str) -> list[str | None]:
        return [i.label for i in all_images(parts_of(made[kind], 4)) if isinstance(i, Image)]

    assert labels("folder") == ["day"] * 6 + ["night"] * 3
    assert labels("webdataset") == ["0", "1", "0", "1", "0"]
    assert labels("shards") == ["0", "1", "0", "1", "0"] * 3
    assert labels("idx pair") == labels("npz") == list("0123456")
    assert labels("parquet") == list("abcdefg")
    assert labels("list")[:2] == ["left", "right"]
    assert labels("several").count("x") == 1


def test_the_identity_is_that_of_names_sizes_labels_and_cut(tmp_path):
    root = write(tmp_path / "set", FILES)
    first = parts_of(root).identity
    assert parts_of(root).identity == first
    assert parts_of(root, 32).identity != first
    assert parts_of(root, limits=Limits(max_ratio=7)).identity != first
    (root / "day/01.png").write_bytes(grey_photo(1) + b" ")
    longer = parts_of(root).identity
    (root / "day/01.png").rename(root / "day/0a.png")
    renamed = parts_of(root).identity
    assert len({first, longer, renamed}) == 3
    one, two = (parts_of([("a.png", grey_photo(i))]).identity for i in (1, 2))
    assert one != two


def test_a_damaged_shard_is_a_problem_in_its_place(tmp_path):
    good = {f"w-{i}.tar": wds(10 * i) for i in range(3)}
    write(tmp_path, {**good, "w-1.tar": good["w-1.tar"][:3000]})
    (tmp_path / "w-2.tar").write_bytes(b"no tar at all, but long enough" * 30)
    found = list(all_images(parts_of(f"{tmp_path}/w-*.tar")))
    assert levels(i for i in found if isinstance(i, Image))[:6] == [0, 1, 2, 3, 4, 10]
    said = [(Path(p.path).name, p.reason) for p in found if isinstance(p, Problem)]
    assert said[0][0].startswith("w-1.tar") or "w-1.tar" in found[6].path
    assert "no tar archive" in said[-1][1]
    assert parts_of(f"{tmp_path}/w-*.tar").problems == ()


def test_hostile_members_of_a_shard_are_refused(tmp_path):
    link = tarfile.TarInfo("s.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members = {"../../a.png": grey_photo(1), "/etc/b.png": grey_photo(2), "c.png": grey_photo(3)}
    write(tmp_path, {"1.tar": tarred(members, "", (link,)), "2.tar": wds(0)})
    (part, _) = parts_of(f"{tmp_path}/*.tar")
    found = list(found_in(part))
    assert levels(i for i in found if isinstance(i, Image)) == [3]
    assert [p.reason for p in found if isinstance(p, Problem)] == [
        "its name climbs out of the archive (..)",
        "its name is an absolute path",
        "it is a symbolic link, not a file",
    ]


def test_limits_hold_in_a_streamed_shard(tmp_path):
    big = encoded(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    write(tmp_path, {"1.tar": tarred({"a.png": big, "b.png": grey_photo(2)}), "2.tar": wds(0)})

    def said(**limits: int) -> list[str]:
        part = parts_of(f"{tmp_path}/*.tar", limits=Limits(**limits))[0]
        return [p.reason for p in found_in(part) if isinstance(p, Problem)]

    assert said() == []
    assert "a file" in said(max_bytes_per_file=10_000)[0]
    assert "megapixels" in said(max_pixels_per_image=100)[0]
    assert "more than 1 files" in said(max_files_per_archive=1)[0]
    assert "the archive has" in said(max_unpacked_bytes=9000)[0]


def test_a_container_that_changed_or_went_away_is_said(tmp_path):
    write(tmp_path, {"a.zip": zipped(FILES), "b.npy": npy(STACK)})
    first, second = parts_of(tmp_path / "a.zip"), parts_of(tmp_path / "b.npy")
    assert [len(part.pieces) for part in (first[0], second[0])] == [1, 1]
    (tmp_path / "a.zip").write_bytes(zipped({f"x/{name}": data for name, data in FILES.items()}))
    (tmp_path / "b.npy").unlink()
    assert [p.reason for p in found_in(first[0])] == ["it has changed since it was listed"]
    assert [p.reason for p in found_in(second[0])] == [
        "it cannot be opened (No such file or directory)"
    ]


def test_containers_are_opened_once_and_few_are_kept(tmp_path, monkeypatch):
    write(tmp_path, {f"{i}.zip": zipped(FILES) for i in range(4)})
    parts = parts_of([tmp_path / f"{i}.zip" for i in range(4)], 3)
    opened = []
    open_as = parts_module.registry.open_as
    monkeypatch.setattr(
        parts_module.registry, "open_as", lambda *given: opened.append(given[1]) or open_as(*given)
    )
    parts_module._kept.clear()
    assert len(rows(all_images(parts))) == 36
    assert [Path(source.name).name for source in opened] == ["0.zip", "1.zip", "2.zip", "3.zip"]
    assert len(parts_module._kept) == 2
    os.utime(tmp_path / "3.zip", ns=(1, 1))
    list(found_in(parts[-1]))
    assert len(opened) == 5


def test_row_groups_are_not_cut_small_and_large_ones_are(tmp_path):
    write(tmp_path, {"t.parquet": table(list(range(30)), rows_a_group=10)})
    assert [p.count for p in parts_of(tmp_path / "t.parquet", 4)] == [10, 10, 10]
    assert [p.count for p in parts_of(tmp_path / "t.parquet", 2)] == [2] * 15
    seeded = parts_of(tmp_path / "t.parquet", 4, seed=0)
    assert sorted(levels(found_in(seeded[0]))) in [list(range(at, at + 10)) for at in (0, 10, 20)]


def test_a_single_unreadable_source_raises_as_in_read(tmp_path):
    with pytest.raises(ReadError, match="there is no such file"):
        parts_of(tmp_path / "none")
    assert [p.reason for p in parts_of([tmp_path / "none"]).problems] == [
        "there is no such file or folder"
    ]
    with pytest.raises(ParameterError, match="images_a_part must be at least 1, got 0"):
        parts_of(tmp_path, 0)
    assert (len(parts_of([])), parts_of([]).total, list(parts_of([]))) == (0, 0, [])


@linux
def test_an_array_on_disk_is_mapped_and_not_read(tmp_path):
    np.save(tmp_path / "big.npy", np.lib.stride_tricks.as_strided(
        np.zeros(1, np.uint8), (3000, 100, 100, 3), (0, 0, 0, 0)))  # fmt: skip
    count, kilobytes = in_a_process(HELD, str(tmp_path / "big.npy"))
    assert count == 64
    assert kilobytes < 20_000  # the array has 90 MB


@linux
def test_a_shard_is_never_held(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    photo = encoded(noise, "BMP")
    counts, peaks = [], []
    for number in (10, 200):
        members = {f"{i}.bmp": photo for i in range(number)}
        (tmp_path / f"{number}.tar.gz").write_bytes(tarred(members, "gz"))
        count, peak = in_a_process(PEAK, f"{tmp_path}/{number}.tar.gz")
        counts.append(count)
        peaks.append(peak)
    assert counts == [10, 200]
    assert peaks[1] < peaks[0] + 10_000  # kB; the larger one unpacks to 96 MB


def test_a_listed_file_takes_little_memory(tmp_path):
    root = write(tmp_path, {f"c{i % 5}/photo_{i:09}.jpg": b"x" for i in range(3000)})
    parts_of(root)
    tracemalloc.start()
    parts = parts_of(root, seed=1)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parts.total == 3000
    assert held / 3000 < 200
    assert peak / 3000 < 400


@pytest.mark.parametrize("seed", [None, 4])
def test_every_image_knows_its_place_in_the_source(made, seed):
    for name in ("folder", "mixed folder"):
        parts = parts_of(made[name], images_a_part=4, seed=seed)
        photos = read(made[name], on_problem="collect")
        places = [place for part in parts for place, _ in part.images()]
        assert sorted(places) == list(range(len(photos)))
        for part in parts:
            for place, image in part.images():
                assert image.path == photos.path(place)


@pytest.mark.parametrize("seed", [None, 4])
def test_halves_hold_the_same_images_down_to_one(made, seed):
    def halved(part: Part) -> list[Part]:
        halves = part.halves()
        return [part] if len(halves) == 1 else [one for half in halves for one in halved(half)]

    for name in ("folder", "mixed folder"):
        for part in parts_of(made[name], images_a_part=5, seed=seed):
            singles = halved(part)
            assert len(singles) == part.count and len({one.key for one in singles}) == part.count
            found = [(place, image.path) for one in singles for place, image in one.images()]
            assert found == [(place, image.path) for place, image in part.images()]
            assert all(one.count == 1 for one in singles)
            if name == "folder":
                assert [one.name for one in singles] == [path for _, path in found]


def test_images_in_memory_are_a_source():
    images = [image_of(np.full((2, 2), level, np.uint8), path=f"{level}") for level in range(5)]
    parts = parts_of(images, images_a_part=2, seed=1)
    assert parts.total == 5 and parts.unit == "image" and len(parts) == 3
    found = [pair for part in parts for pair in part.images()]
    assert sorted((place, image.path) for place, image in found) == [(i, f"{i}") for i in range(5)]
    assert parts.identity != parts_of(images[::-1], images_a_part=2, seed=1).identity
    assert len(parts_of([])) == 0


@pytest.mark.parametrize("seed", [None, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_another_size_are_those_of_a_new_listing(made, kind, seed, monkeypatch):
    parts, wanted = (parts_of(made[kind], size, seed) for size in (5, 2))
    monkeypatch.setattr(parts_module, "listed", None)  # nothing is listed again
    found = parts.in_parts_of(2)
    assert found.identity == wanted.identity != parts.identity
    assert [(part.key, part.positions) for part in found] == [
        (part.key, part.positions) for part in wanted
    ]
    assert rows(all_images(found)) == rows(all_images(wanted))
    assert (found.total, found.unit, found.problems) == (wanted.total, wanted.unit, wanted.problems)
    assert found.in_parts_of(2) is found
