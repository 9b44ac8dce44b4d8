"""Whatever bytes come, reading raises ReadError and nothing else, and takes little memory."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from normviz.errors import ReadError
from normviz.read import Limits, read
from tests.read.making import (
    BYTES_SET,
    GREY,
    RGB,
    chunk,
    encoded,
    grey_photo,
    idx,
    npy,
    npy_promising,
    npz,
    png,
    png16,
    shard,
    table,
    tarred,
    zipped,
)

LIMITS = Limits(max_pixels_per_image=10**6, max_unpacked_bytes=10**7, max_memory_bytes=10**7)
PHOTOS = {"cat/1.png": grey_photo(1), "dog/2.png": grey_photo(2)}
WORDS = np.arange(4 * 7 * 3, dtype=np.uint16).reshape(4, 7, 3) * 700
VALID = {
    "a.jpg": encoded(RGB, "JPEG"),
    "a.png": encoded(RGB),
    "wide.png": png16(WORDS),
    "a.webp": encoded(RGB, "WEBP"),
    "a.tif": encoded(RGB, "TIFF"),
    "float.tif": encoded(GREY.astype(np.float32), "TIFF"),
    "a.bmp": encoded(RGB, "BMP"),
    "a.gif": encoded(GREY, "GIF"),
    "a.ppm": encoded(RGB, "PPM"),
    "a.jp2": encoded(RGB, "JPEG2000"),
    "a.avif": encoded(RGB, "AVIF"),
    "a.npy": npy(BYTES_SET),
    "a.npz": npz(images=BYTES_SET, labels=np.array([1, 2])),
    "a-images-idx3-ubyte": idx(BYTES_SET[:, :, :, 0].copy()),
    "a.idx.gz": gzip.compress(idx(BYTES_SET[:, :, :, 0].copy())),
    "a.zip": zipped({**PHOTOS, "a.npy": npy(BYTES_SET)}),
    "a.tar": tarred(PHOTOS),
    "a.tar.gz": tarred(PHOTOS, "gz"),
    "a.tar.bz2": tarred(PHOTOS, "bz2"),
    "a.tar.xz": tarred(PHOTOS, "xz"),
    "a.bin": bytes(3073 * 2),
    "w.tar": shard({"0": {"png": grey_photo(1), "json": b'{"label": "x"}', "cls": b"1"}}),
    "a.parquet": table([1, 2, 3], [0, 1, 0], ("no", "yes"), 2),
}
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def decode_all(name: str, data: bytes) -> tuple[int, int, int]:
    """Read and decode everything; ReadError is the only exception that may come out.

    Returns how many images were listed, decoded, and refused.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            photos = read((name, data), limits=LIMITS)
            images = list(photos)
    except ReadError as error:
        assert error.path == name or error.path.startswith((f"{name}/", f"{name}["))
        assert error.reason
        str(error).encode("utf-8")
        return 0, 0, 1
    for problem in photos.problems:
        assert problem.path and problem.reason
        str(problem).encode("utf-8")
    for image in images:
        assert image.channels in (1, 3) and image.pixels.size
        assert image.pixels.dtype in (np.uint8, np.uint16, np.float32)
        assert np.isfinite(image.pixels).all() and not image.pixels.flags.writeable
    return len(photos), len(images), len(photos.problems)


def none_is_lost(name: str, data: bytes) -> bool:
    """Whether each image that is listed was decoded or named as a problem."""
    listed, decoded, refused = decode_all(name, data)
    return decoded <= listed <= decoded + refused


def test_the_valid_files_are_valid():
    assert {name: decode_all(name, data)[1] > 0 for name, data in VALID.items()} == dict.fromkeys(
        VALID, True
    )


@SETTINGS
@given(data=st.binary(max_size=600), name=st.sampled_from([*VALID, "a", "a.txt", "a.npz.gz"]))
def test_random_bytes(data, name):
    assert none_is_lost(name, data)


@SETTINGS
@given(data=st.binary(max_size=300), name=st.sampled_from(sorted(VALID)), keep=st.integers(1, 40))
def test_a_valid_beginning_and_random_bytes(data, name, keep):
    assert none_is_lost(name, VALID[name][:keep] + data)


@pytest.mark.parametrize("name", sorted(VALID))
@settings(parent=SETTINGS, max_examples=25)
@given(cut=st.floats(0, 1), edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255))))
def test_truncated_and_changed_files(name, cut, edits):
    data = bytearray(VALID[name])
    for place, value in edits:
        data[min(int(place * len(data)), len(data) - 1)] = value
    assert none_is_lost(name, bytes(data[: max(1, int(cut * len(data)))]))
    assert none_is_lost(name, bytes(data))


class Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, into) -> int:
        size = min(len(into), self.left)
        into[:size] = bytes(size)
        self.left -= size
        return size


def bombs(folder: Path) -> dict[str, str]:
    """Write files that ask for 100 MB to terabytes; return what must be said of each."""
    size = 100 * 2**20
    with (
        zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle,
        bundle.open("a.png", "w") as member,
    ):
        for _ in range(100):
            member.write(bytes(2**20))
    said = {"bomb.zip": "archive bomb"}
    for form in ("gz", "bz2", "xz"):
        with tarfile.open(folder / f"bomb.tar.{form}", f"w:{form}") as bundle:
            info = tarfile.TarInfo("a.png")
            info.size = size
            bundle.addfile(info, io.BufferedReader(Zeros(size)))
        said[f"bomb.tar.{form}"] = "archive bomb"
    honest = (folder / "bomb.zip").read_bytes()
    entries = (b"PK\1\2" + bytes(42)) * 400_000
    one, wide = png(1, 1, 8, 0, b"\0\0"), png16(np.zeros((4, 7, 3), np.uint16))
    promise = npy_promising("(1000000, 1000000)")
    made = {
        "lie.zip": (honest.replace(struct.pack("<I", size), struct.pack("<I", 500)), "damaged"),
        "header.png": (png(50_000, 50_000, 8, 2, b""), "megapixels"),
        "wide.png": (png(40_000, 40_000, 16, 6, b""), "megapixels"),
        "text.png": (
            one[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27))) + one[33:],
            "damaged",
        ),
        "chunk.png": (wide[:33] + b"\x7f" + wide[34:-12], "16 bits a channel reduced to 8"),
        "promise.npy": (promise, "promises 1,000,000,000,000 bytes"),
        "promise.npz": (zipped({"images.npy": promise}), "promises 1,000,000,000,000 bytes"),
        "promise-idx3-ubyte": (bytes([0, 0, 8, 3]) + b"\xff" * 12, "promises 79,228,162,458"),
        "many.zip": (
            entries + b"PK\5\6" + bytes(8) + struct.pack("<IIH", len(entries), 0, 0),
            "more than 100,000 files",
        ),
    }
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    zeros = pyarrow.table({"image": [bytes(2**20)] * 100})
    parquet.write_table(zeros, folder / "bomb.parquet", compression="zstd", use_dictionary=False)
    said["bomb.parquet"] = "archive bomb"
    for name, (data, what) in made.items():
        (folder / name).write_bytes(data)
        said[name] = what
    return said


READ_ONE = """
import sys
import pyarrow.parquet  # a library's own size is no cost of a file
from normviz.read import read

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

read(sys.argv[1], on_problem="collect")[0]
for path in sys.argv[2:]:
    before = peak()
    photos = read(path, on_problem="collect")
    notes = [note for image in photos for note in image.notes]
    print(path.rsplit("/")[-1], peak() - before, photos.problems, notes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read on Linux")
def test_bombs_cost_no_memory(tmp_path: Path):
    """The peak of a process of its own, which C libraries cannot hide from."""
    said = bombs(tmp_path)
    (tmp_path / "warm.png").write_bytes(png16(WORDS))
    root = Path(__file__).resolve().parents[2]
    paths = [str(tmp_path / name) for name in ("warm.png", *said)]
    done = subprocess.run(
        [sys.executable, "-c", READ_ONE, *paths],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len(lines) == len(said)
    for line in lines:
        name, kilobytes, rest = line.split(" ", 2)
        assert said[name] in rest
        assert int(kilobytes) < 20_000, line
