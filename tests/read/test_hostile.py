"""Whatever bytes come, reading raises ReadError and nothing else, and takes little memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
import textwrap
import warnings
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
    encoded,
    grey_photo,
    idx,
    npy,
    npz,
    png16,
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
}
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def decode_all(name: str, data: bytes) -> int:
    """Read and decode everything; ReadError is the only exception that may come out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            photos = read((name, data), limits=LIMITS)
            list(photos)
    except ReadError as error:
        assert error.path == name or error.path.startswith((f"{name}/", f"{name}["))
        assert error.reason
        str(error).encode("utf-8")
        return 0
    for problem in photos.problems:
        assert problem.path and problem.reason
        str(problem).encode("utf-8")
    return len(photos)


def test_the_valid_files_are_valid():
    assert {name: bool(decode_all(name, data)) for name, data in VALID.items()} == dict.fromkeys(
        VALID, True
    )


@SETTINGS
@given(data=st.binary(max_size=600), name=st.sampled_from([*VALID, "a", "a.txt", "a.npz.gz"]))
def test_random_bytes(data, name):
    decode_all(name, data)


@SETTINGS
@given(data=st.binary(max_size=300), name=st.sampled_from(sorted(VALID)), keep=st.integers(1, 40))
def test_a_valid_beginning_and_random_bytes(data, name, keep):
    decode_all(name, VALID[name][:keep] + data)


@pytest.mark.parametrize("name", sorted(VALID))
@settings(parent=SETTINGS, max_examples=25)
@given(cut=st.floats(0, 1), edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255))))
def test_truncated_and_changed_files(name, cut, edits):
    data = bytearray(VALID[name])
    for place, value in edits:
        data[min(int(place * len(data)), len(data) - 1)] = value
    decode_all(name, bytes(data[: max(1, int(cut * len(data)))]))
    decode_all(name, bytes(data))


def test_bombs_cost_no_memory(tmp_path: Path):
    """The peak of a process of its own, which C libraries cannot hide from."""
    script = textwrap.dedent(
        """
        import io, lzma, resource, struct, sys, tarfile, zipfile, zlib
        import numpy as np
        from normviz.errors import ReadError
        from normviz.read import read
        from tests.read.making import grey_photo, npy_promising, png, png16, tarred, zipped

        class Zeros(io.RawIOBase):
            def __init__(self, size): self.left = size
            def readable(self): return True
            def readinto(self, into):
                n = min(len(into), self.left); into[:n] = bytes(n); self.left -= n; return n

        folder = sys.argv[1]
        read(("warm.png", grey_photo(1)))[0]
        list(read(("warm.zip", zipped({"a.png": grey_photo(1)}))))
        size = 2**30
        with zipfile.ZipFile(f"{folder}/zip.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
            with z.open(zipfile.ZipInfo("a.png"), "w") as member:
                for _ in range(100): member.write(bytes(2**20))
        for form in ("gz", "bz2", "xz"):
            with tarfile.open(f"{folder}/tar.tar.{form}", f"w:{form}") as t:
                info = tarfile.TarInfo("a.png"); info.size = 100 * 2**20
                t.addfile(info, io.BufferedReader(Zeros(info.size)))
        wide = png16(np.zeros((4, 7, 3), np.uint16))
        entries = (b"PK\\1\\2" + bytes(42)) * 400_000
        lie = open(f"{folder}/zip.zip", "rb").read()
        sources = [f"{folder}/zip.zip", *(f"{folder}/tar.tar.{f}" for f in ("gz", "bz2", "xz"))]
        sources += [
            ("lie.zip", lie.replace(struct.pack("<I", 100 * 2**20), struct.pack("<I", 500))),
            ("header.png", png(50_000, 50_000, 8, 2, b"")),
            ("wide.png", png(40_000, 40_000, 16, 6, b"")),
            ("text.png", png(1, 1, 8, 0, b"\\0\\0")[:33]
                + (lambda d: struct.pack(">I", len(d)) + b"zTXt" + d + struct.pack(">I",
                    zlib.crc32(b"zTXt" + d)))(b"a\\0\\0" + zlib.compress(bytes(2**28)))
                + png(1, 1, 8, 0, b"\\0\\0")[33:]),
            ("chunk.png", wide[:33] + b"\\x7f" + wide[34:-12]),
            ("promise.npy", npy_promising("(1000000, 1000000)")),
            ("promise.npz", zipped({"images.npy": npy_promising("(1000000, 1000000)")})),
            ("promise-idx3-ubyte", bytes([0, 0, 8, 3]) + b"\\xff" * 12),
            ("many.zip", entries + b"PK\\5\\6" + bytes(8) + struct.pack("<II", len(entries), 0)
                + bytes(2)),
        ]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for source in sources:
            name = source if isinstance(source, str) else source[0]
            photos = read(source, on_problem="collect")
            left = len(list(photos))
            assert left or photos.problems, name
            assert not left or name == "chunk.png", name
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(name.rsplit("/")[-1], after - before, photos.problems)
        """
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 13
    for line in lines:
        name, kilobytes, _ = line.split(" ", 2)
        assert int(kilobytes) < 40_000, (name, done.stdout)
