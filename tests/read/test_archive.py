from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from normviz.errors import LimitError, ReadError
from normviz.read import Limits, read
from normviz.read.inflate import Inflated
from tests.read.making import BYTES_SET, encoded, grey_photo, npy, npz, tarred, zipped

PHOTOS = {"cat/1.png": grey_photo(1), "cat/2.png": grey_photo(2), "dog/3.png": grey_photo(3)}
PACKERS = {
    "set.zip": lambda members: zipped(members),
    "set.tar": lambda members: tarred(members),
    "set.tar.gz": lambda members: tarred(members, "gz"),
    "set.tgz": lambda members: tarred(members, "gz"),
    "set.tar.bz2": lambda members: tarred(members, "bz2"),
    "set.tar.xz": lambda members: tarred(members, "xz"),
}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("on_disk", [True, False])
def test_every_archive_gives_its_images_with_class_folders(name, on_disk, tmp_path):
    data = PACKERS[name](PHOTOS)
    if on_disk:
        (tmp_path / name).write_bytes(data)
    photos = read(tmp_path / name if on_disk else (name, data))
    assert [path.rpartition("set")[2] for path in photos.paths] == [
        f"{name.removeprefix('set')}/{member}" for member in PHOTOS
    ]
    assert photos.labels == ["cat", "cat", "dog"]
    assert [int(image.pixels[0, 0, 0]) for image in photos] == [1, 2, 3]
    # Backwards too, which a compressed tar does not do by itself.
    assert [int(photos[i].pixels[0, 0, 0]) for i in (2, 0, 1)] == [3, 1, 2]
    assert photos[0].label == "cat"
    assert photos.problems == []
    assert photos.notes == ("labels from the names of folders: cat 2, dog 1",)
    assert photos.nbytes == (0 if on_disk else len(data))
    assert sorted(tmp_path.iterdir()) == ([tmp_path / name] if on_disk else [])


def test_labels_are_the_immediate_folder_whatever_wraps_it():
    wrapped = {f"set/train/{name}": data for name, data in PHOTOS.items()}
    assert read(("s.zip", zipped(wrapped))).labels == ["cat", "cat", "dog"]
    one_folder = {f"holiday/{i}.png": grey_photo(i) for i in range(3)}
    assert read(("s.zip", zipped(one_folder))).labels == [None, None, None]
    mixed = {"0.png": grey_photo(0), "cat/1.png": grey_photo(1)}
    assert read(("s.zip", zipped(mixed))).labels == [None, "cat"]


def test_hidden_and_other_files_are_counted_and_not_problems():
    members = {
        **PHOTOS, "__MACOSX/cat/._1.png": b"x", ".DS_Store": b"x", "cat/Thumbs.db": b"x",
        "README.txt": b"x", "cat/list.csv": b"x",
    }  # fmt: skip
    for name, pack in (("s.zip", zipped), ("s.tar", tarred)):
        photos = read((name, pack(members)))
        assert len(photos) == 3
        assert photos.problems == []
        assert f"{name}: 3 hidden files passed over" in photos.notes
        assert f"{name}: 2 other files passed over" in photos.notes


def test_a_damaged_member_is_a_problem_and_the_others_go_on():
    members = {**PHOTOS, "cat/bad.jpg": b"not a photo", "cat/empty.png": b"", "dog/x.heic": b"x"}
    photos = read(("s.zip", zipped(members)))
    assert [p.path for p in photos.problems] == ["s.zip/cat/empty.png", "s.zip/dog/x.heic"]
    assert len(list(photos)) == 3
    assert len(photos) == 4
    assert [p.path for p in photos.problems][-1] == "s.zip/cat/bad.jpg"
    assert photos.problems[1].remedy == "Export it as JPEG or PNG"
    list(photos)
    assert len(photos.problems) == 3


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("../../evil.png", "its name climbs out of the archive (..)"),
        ("cat/../../evil.png", "its name climbs out of the archive (..)"),
        ("/etc/evil.png", "its name is an absolute path"),
        ("C:/evil.png", "its name starts with a drive letter"),
        ("..\\evil.png", "its name holds backslashes"),
        ("\\\\server\\evil.png", "its name holds backslashes"),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_climb_out_are_refused(raw, reason, pack):
    name = "s.zip" if pack is zipped else "s.tar"
    photos = read((name, pack({raw: grey_photo(9), **PHOTOS})))
    assert len(photos) == 3
    assert [(p.path, p.reason) for p in photos.problems] == [(f"{name}/{raw}", reason)]
    assert photos.problems[0].remedy


def test_a_zero_byte_in_a_name_is_refused():
    data = zipped({"a#.png": grey_photo(1), **PHOTOS}).replace(b"a#.png", b"a\0.png")
    photos = read(("s.zip", data))
    assert [p.reason for p in photos.problems] == ["its name holds a zero byte"]
    assert len(photos) == 3


def _info(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_links_and_devices_in_a_tar_are_refused():
    extra = (
        _info("s.png", tarfile.SYMTYPE, "/etc/passwd"),
        _info("h.png", tarfile.LNKTYPE, "cat/1.png"),
        _info("d.png", tarfile.CHRTYPE),
        _info("f.png", tarfile.FIFOTYPE),
    )
    photos = read(("s.tar.gz", tarred(PHOTOS, "gz", extra)))
    assert [(p.path, p.reason) for p in photos.problems] == [
        ("s.tar.gz/s.png", "it is a symbolic link, not a file"),
        ("s.tar.gz/h.png", "it is a hard link, not a file"),
        ("s.tar.gz/d.png", "it is a device, pipe or other special file, not a file"),
        ("s.tar.gz/f.png", "it is a device, pipe or other special file, not a file"),
    ]
    assert len(photos) == 3


def test_a_symbolic_link_in_a_zip_is_refused():
    file = io.BytesIO(zipped(PHOTOS))
    with zipfile.ZipFile(file, "a") as bundle:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = 0o120777 << 16
        bundle.writestr(info, "/etc/passwd")
    photos = read(("s.zip", file.getvalue()))
    assert [p.reason for p in photos.problems] == ["it is a symbolic link, not a file"]


def test_encrypted_members_are_named():
    data = bytearray(zipped(PHOTOS))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    photos = read(("s.zip", bytes(data)))
    assert [(p.path, p.reason) for p in photos.problems] == [("s.zip/cat/1.png", "it is encrypted")]
    assert photos.problems[0].remedy == "Pack it without a password"
    assert len(list(photos)) == 2


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        bundle.writestr("a.png", grey_photo(1))
        bundle.writestr("a.png", grey_photo(2))
    photos = read(("s.zip", file.getvalue()))
    assert [int(image.pixels[0, 0, 0]) for image in photos] == [1]
    assert photos.problems[0].reason == "there is another member of this name"


def test_packing_methods_without_a_bound_are_refused():
    photos = read(("s.zip", zipped(PHOTOS, zipfile.ZIP_LZMA)))
    assert len(photos) == 0
    assert "method 14, only stored and deflated" in photos.problems[0].reason
    assert len(read(("s.zip", zipped(PHOTOS, zipfile.ZIP_STORED)))) == 3


def test_an_archive_inside_is_named_and_not_opened():
    photos = read(("s.zip", zipped({**PHOTOS, "inner.zip": zipped(PHOTOS)})))
    assert len(photos) == 3
    assert photos.problems[0].reason == "it is an archive inside, which is not opened"


def test_arrays_inside_are_read():
    inside = {"set/a.npy": npy(BYTES_SET), "set/b.npz": npz(images=BYTES_SET), **PHOTOS}
    photos = read(("s.zip", zipped(inside)))
    assert photos.paths[3:] == [
        "s.zip/set/a.npy[0]", "s.zip/set/a.npy[1]",
        "s.zip/set/b.npz/images[0]", "s.zip/set/b.npz/images[1]",
    ]  # fmt: skip
    assert np.array_equal(photos[4].pixels, BYTES_SET[1])
    held = read(("s.zip", zipped(inside)), limits=Limits(max_memory_bytes=150))
    assert len(held) == 3
    assert [p.path for p in held.problems] == ["s.zip/set/a.npy", "s.zip/set/b.npz"]
    assert all("NORMVIZ_MAX_MEMORY_BYTES" in p.remedy for p in held.problems)
    # Each fits by itself, both together do not.
    limits = Limits(max_memory_bytes=len(inside["set/b.npz"]) + 100)
    both = read(("s.zip", zipped(inside)), limits=limits)
    assert [p.path for p in both.problems] == ["s.zip/set/b.npz"]


def test_a_pickle_inside_is_a_problem():
    photos = read(("s.zip", zipped({**PHOTOS, "w/model.pt": b"x", "data_batch_1": b"\x80\x02"})))
    assert [p.path for p in photos.problems] == ["s.zip/w/model.pt", "s.zip/data_batch_1"]
    assert all("Python pickle" in p.reason for p in photos.problems)
    assert "cifar-10-binary.tar.gz" in photos.problems[1].remedy


@pytest.mark.parametrize("name", PACKERS)
def test_too_many_files_are_refused(name):
    data = PACKERS[name]({f"{i}.png": b"x" for i in range(30)})
    with pytest.raises(LimitError, match="holds more than 29 files"):
        read((name, data), limits=Limits(max_files_per_archive=29))
    assert len(read((name, data), limits=Limits(max_files_per_archive=30))) == 30


@pytest.mark.parametrize("name", PACKERS)
def test_too_many_unpacked_bytes_are_refused(name):
    noise = np.random.default_rng(0).integers(0, 16, 40_000, dtype=np.uint8).tobytes()
    data = PACKERS[name]({"a.png": noise, "b.png": noise})
    reason = "the archive has" if name == "set.tar" else r"unpacks to more than 58\.6 kB"
    with pytest.raises(LimitError, match=reason):
        read((name, data), limits=Limits(max_unpacked_bytes=60_000))


@pytest.mark.parametrize("name", ["set.tar.gz", "set.tar.bz2", "set.tar.xz"])
def test_a_tar_bomb_is_refused_by_what_comes_out(name):
    data = PACKERS[name]({"a.png": bytes(3_000_000)})
    with pytest.raises(LimitError, match="archive bomb"):
        read((name, data), limits=Limits(ratio_applies_above=1_000_000))


def test_a_zip_bomb_is_refused_before_and_while_unpacking():
    data = zipped({"a.png": bytes(30_000_000), "b.png": grey_photo(1)})
    photos = read(("s.zip", data))
    assert [p.path for p in photos.problems] == ["s.zip/a.png"]
    assert "archive bomb" in photos.problems[0].reason
    assert len(photos) == 1
    # The same with a lie about its size: unpacking stops at what was declared and finds it out.
    lying = data.replace(struct.pack("<I", 30_000_000), struct.pack("<I", 500))
    assert lying != data
    photos = read(("s.zip", lying))
    assert len(list(photos)) == 1
    assert photos.problems[0].path == "s.zip/a.png"


def test_one_member_may_not_be_too_large():
    members = {"a.png": np.random.default_rng(0).bytes(5000), "b.png": grey_photo(1)}
    for name, pack in PACKERS.items():
        photos = read((name, pack(members)), limits=Limits(max_bytes_per_file=4000))
        assert [p.path for p in photos.problems] == [f"{name}/a.png"]
        assert "the limit is 3.91 kB a file" in photos.problems[0].reason


def test_empty_archives_and_archives_without_images():
    for name, pack in PACKERS.items():
        with pytest.raises(ReadError, match="it is empty"):
            read((name, pack({})))
        with pytest.raises(ReadError, match="it holds no images"):
            read((name, pack({"a.txt": b"x"})))


def test_damaged_archives_are_named():
    for name, pack in PACKERS.items():
        data = pack({f"{i}.png": np.random.default_rng(i).bytes(3000) for i in range(9)})
        photos = read((name, data[: len(data) // 2]), on_problem="collect")
        assert photos.problems, name
        assert photos.problems[-1].path == name
        assert "damaged" in photos.problems[-1].reason
        with pytest.raises(ReadError):
            read((name, b"nonsense" * 200))


def test_a_tar_with_a_damaged_header_is_not_taken_for_complete():
    data = bytearray(tarred({"a.png": grey_photo(1), "b.png": grey_photo(2)}))
    data[1024:1100] = b"\xff" * 76
    photos = read(("s.tar", bytes(data)))
    assert [int(image.pixels[0, 0, 0]) for image in photos] == [1]
    assert photos.problems[0].reason.startswith("the archive is damaged after 1 files")


def test_several_compressed_streams_after_each_other():
    whole = tarred(PHOTOS)
    data = gzip.compress(whole[:700]) + gzip.compress(whole[700:]) + bytes(64)
    assert len(list(read(("s.tar.gz", data)))) == 3


def test_an_inflated_stream_counts_what_comes_out():
    packed = io.BytesIO(gzip.compress(np.random.default_rng(0).bytes(5000)))
    stream = Inflated(packed, "gz", "a.gz", Limits(max_unpacked_bytes=4999))
    with pytest.raises(LimitError, match=r"a\.gz: it unpacks to more than 4\.88 kB"):
        stream.read(5000)
    whole = Inflated(packed, "gz", "a.gz", Limits(max_unpacked_bytes=5000))
    first = whole.read(3000) + whole.read(9999)
    whole.seek(100)
    assert first[100:120] == whole.read(20)
    assert (len(first), whole.tell()) == (5000, 120)


def test_a_large_declared_dictionary_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**30}]
    data = lzma.compress(tarred(PHOTOS), filters=filters)
    with pytest.raises(ReadError, match="xz compression is damaged"):
        read(("s.tar.xz", data))


def test_a_huge_tar_header_is_refused():
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(10240)
    with pytest.raises(LimitError, match="has a header of 8"):
        read(("s.tar", data))


def test_names_that_are_no_text_can_still_be_shown():
    data = tarred({"b\udcff\n.png": grey_photo(4), "c.png": encoded(np.zeros((2, 2), np.uint8))})
    photos = read(("s.tar", data))
    assert photos.paths[0] == "s.tar/b\\udcff\\x0a.png"
    assert photos[0].pixels[0, 0, 0] == 4
    "".join(photos.paths).encode("utf-8")
