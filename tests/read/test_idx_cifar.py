from __future__ import annotations

import gzip
import lzma

import numpy as np
import pytest

from normviz.errors import LimitError, ReadError
from normviz.read import Limits, read
from tests.read.making import RNG, grey_photo, idx, tarred, zipped

DIGITS = RNG.integers(0, 256, (6, 4, 5), dtype=np.uint8)
NUMBERS = np.array([3, 1, 4, 1, 5, 9], np.uint8)


def test_idx_images_on_disk_and_in_memory(tmp_path):
    data = idx(DIGITS)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(data)
    for source in (("train-images-idx3-ubyte", data), tmp_path / "train-images-idx3-ubyte"):
        photos = read(source)
        assert len(photos) == 6
        assert np.array_equal(photos[5].pixels[:, :, 0], DIGITS[5])
        assert photos.labels == [None] * 6
    assert photos.nbytes == 0


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compressed_idx(pack):
    photos = read(("t10k-images-idx3-ubyte.gz", pack(idx(DIGITS))))
    assert np.array_equal(photos[2].pixels[:, :, 0], DIGITS[2])
    with pytest.raises(LimitError, match="NORMVIZ_MAX_MEMORY_BYTES"):
        read(("a.gz", pack(idx(DIGITS))), limits=Limits(max_memory_bytes=100))


def test_idx_labels_find_their_images_by_name_and_number():
    files = {
        "train-labels-idx1-ubyte.gz": gzip.compress(idx(NUMBERS)),
        "t10k-images-idx3-ubyte.gz": gzip.compress(idx(DIGITS)),
        "train-images-idx3-ubyte.gz": gzip.compress(idx(255 - DIGITS)),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(idx(NUMBERS[::-1].copy())),
    }
    sources = (
        list(files.items()),
        ("mnist.zip", zipped(files)),
        ("mnist.tar.gz", tarred({f"raw/{name}": data for name, data in files.items()}, "gz")),
    )
    for source in sources:
        photos = read(source)
        assert len(photos) == 12
        assert photos.labels == [*"951413", *"314159"]
        assert np.array_equal(photos[6].pixels[:, :, 0], 255 - DIGITS[0])
        assert photos.problems == []


def test_idx_labels_alone_or_of_another_length():
    with pytest.raises(ReadError, match="a list of 6 labels without their images"):
        read(("train-labels-idx1-ubyte", idx(NUMBERS)))
    photos = read([("a-images-ubyte", idx(DIGITS)), ("a-labels-ubyte", idx(NUMBERS[:5]))])
    assert len(photos) == 6
    assert [p.path for p in photos.problems] == ["a-labels-ubyte"]


def test_idx_of_other_types():
    words = np.array([[[0, 300], [5, 65535]]], np.int32)
    assert read(("a.idx", idx(words)))[0].pixels.ravel().tolist() == [0, 300, 5, 65535]
    halves = np.array([[[0, 0.5], [0.25, 1]]], np.float64)
    image = read(("a.idx", idx(halves)))[0]
    assert image.value_range == (0, 1)
    assert image.pixels.ravel().tolist() == [0, 0.5, 0.25, 1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (idx(DIGITS)[:-1], "promises 120 bytes of numbers, the file holds 119"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "promises 79,228,162,458,924,105,385,300,197,375"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 1]), "its header is cut off"),
        (bytes([0, 0, 8, 3]) + bytes(12), "holds no image"),
        (bytes([0, 0, 7, 3]) + bytes(60), "does not start with the magic number of IDX"),
    ],
)
def test_damaged_idx(data, reason):
    photos = read(("z.zip", zipped({"a-images-idx3-ubyte": data, "b.png": grey_photo(1)})))
    assert len(photos) == 1
    assert photos.problems[0].path == "z.zip/a-images-idx3-ubyte"
    assert reason in photos.problems[0].reason


def records(labels: list[list[int]], pixels: np.ndarray) -> bytes:
    first_channels = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    return np.hstack([np.array(labels, np.uint8), first_channels]).tobytes()


COLOUR = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def test_cifar_10_binary(tmp_path):
    data = records([[9], [0], [3]], COLOUR)
    (tmp_path / "data_batch_1.bin").write_bytes(data)
    for source in (("data_batch_1.bin", data), tmp_path / "data_batch_1.bin"):
        photos = read(source)
        assert photos.labels == ["truck", "airplane", "cat"]
        assert all(np.array_equal(photos[i].pixels, COLOUR[i]) for i in range(3))
    assert "3 images of CIFAR-10, 32 × 32 RGB" in photos.notes[0]


def test_cifar_100_binary_takes_the_fine_label():
    photos = read(("train.bin", records([[19, 99], [0, 7], [2, 13]], COLOUR)))
    assert photos.labels == ["99", "7", "13"]
    assert np.array_equal(photos[1].pixels, COLOUR[1])


def test_cifar_that_is_none():
    with pytest.raises(ReadError, match="its 5,000 bytes are no CIFAR records"):
        read(("x.bin", bytes(5000)))
    with pytest.raises(ReadError, match="are no CIFAR records"):
        read(("x.bin", records([[10], [0], [0]], COLOUR)))
    many = np.zeros((500, 32, 32, 3), np.uint8)
    labels = [[0]] * 499 + [[11]]
    with pytest.raises(ReadError, match="record 499 has the label 11"):
        read(("x.bin", records(labels, many)))


@pytest.mark.parametrize(
    ("name", "data", "remedy"),
    [
        ("data_batch_1", b"\x80\x02}q\x01(U\x0bbatch_labelq\x02", "cifar-10-binary"),
        ("images.pkl", b"anything", "numpy.savez"),
        ("weights.pt", zipped({"archive/data.pkl": b"x"}), "numpy.savez"),
        ("weights.pth", b"\x80\x04\x95", "numpy.savez"),
        ("a.joblib", b"x", "numpy.savez"),
        ("renamed.npz.txt", b"\x80\x05\x95\x00", "numpy.savez"),
        ("renamed.jpg", b"\x80\x03}q\x00.", "numpy.savez"),
        ("old", b"(dp0\nS'data'\n", "numpy.savez"),
    ],
)
def test_pickles_are_refused_by_content_and_name(name, data, remedy):
    with pytest.raises(ReadError) as caught:
        read((name, data))
    assert caught.value.reason == "it is a Python pickle, which can run code when opened"
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.rar", b"Rar!\x1a\x07", "an archive of a kind that is not opened here"),
        ("a.pdf", b"%PDF-1.7", "a document, not pixels"),
        ("photo.jpg", b"%PDF-1.7", "a document, not pixels"),
        ("photo.jpg", b"\0\0\0\x18ftypheic\0\0", "a HEIC photo"),
        ("a.svg", b"<svg></svg>", "a drawing (SVG), not pixels"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "a MATLAB or HDF5 file"),
        ("a.nef", b"MM\0*", "a camera's raw file"),
    ],
)
def test_foreign_formats_are_named_with_a_way_out(name, data, what):
    with pytest.raises(ReadError) as caught:
        read((name, data))
    assert caught.value.reason == f"it is {what}"
    assert caught.value.remedy
