"""Sources at addresses: S3 (a moto server), HTTP, and fsspec's own memory."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from normviz.errors import LimitError, ReadError
from normviz.images import Image
from normviz.read import Limits, Parts, parts_of, read, remote
from tests.read.making import (
    encoded,
    found_in,
    grey_photo,
    idx,
    levels,
    npy,
    shard,
    table,
    tarred,
    zipped,
)

fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")

STACK = np.repeat(np.arange(7, dtype=np.uint8), 4 * 6).reshape(7, 4, 6)
FILES = {f"{'cat' if i % 2 else 'dog'}/{i}.jpg": encoded(
    np.full((8, 8, 3), 20 * i, np.uint8), "JPEG") for i in range(4)}  # fmt: skip
SAMPLES = {f"{i:03}": {"png": grey_photo(i), "cls": b"%d" % (i % 2)} for i in range(4)}
OBJECTS = {
    **{f"photos/{name}": data for name, data in FILES.items()},
    "set.zip": zipped(FILES),
    "set.tar": tarred(FILES),
    "set.tar.gz": tarred(FILES, "gz"),
    "w-0.tar": shard(SAMPLES),
    "w-1.tar": shard({f"b{key}": of for key, of in SAMPLES.items()}),
    "bad.tar": shard(SAMPLES)[:3500],
    "t.parquet": table(list(range(20)), [i % 2 for i in range(20)], ("no", "yes"), 6),
    "stack.npy": npy(STACK),
    "train-images-idx3-ubyte": idx(STACK),
    "list.txt": b"photos/dog/0.jpg\tleft\nw-0.tar\n",
    "hostile.txt": b"/etc/hostname\nfile:///etc/hostname\n../../a.png\nphotos/dog/0.jpg\n",
    "one.png": grey_photo(9),
}
NAMES = {
    "photos": ([f"photos/{n}" for n in sorted(FILES)], ["cat", "cat", "dog", "dog"]),
    "set.zip": ([f"set.zip/{n}" for n in FILES], ["dog", "cat"] * 2),
    "set.tar": ([f"set.tar/{n}" for n in FILES], ["dog", "cat"] * 2),
    "set.tar.gz": ([f"set.tar.gz/{n}" for n in FILES], ["dog", "cat"] * 2),
    "w-0.tar": ([f"w-0.tar/{n:03}.png" for n in range(4)], ["0", "1"] * 2),
    "t.parquet": ([f"t.parquet[{i}]" for i in range(20)], ["no", "yes"] * 10),
    "stack.npy": ([f"stack.npy[{i}]" for i in range(7)], [None] * 7),
    "train-images-idx3-ubyte": ([f"train-images-idx3-ubyte[{i}]" for i in range(7)], [None] * 7),
    "one.png": (["one.png"], [None]),
    "w-{0..1}.tar": (
        [f"w-0.tar/{n:03}.png" for n in range(4)] + [f"w-1.tar/b{n:03}.png" for n in range(4)],
        ["0", "1"] * 4,
    ),
    "list.txt": (
        ["photos/dog/0.jpg", *(f"w-0.tar/{n:03}.png" for n in range(4))],
        ["left", "0", "1", "0", "1"],
    ),
}
GLOBS = {"photos/**/*.jpg": NAMES["photos"], "photos/ca*/*.jpg": (
    [f"photos/cat/{i}.jpg" for i in (1, 3)], [None, None])}  # fmt: skip
STREAMED = ("set.tar", "set.tar.gz", "w-0.tar", "w-{0..1}.tar", "list.txt")


@pytest.fixture(scope="module")
def memory() -> Iterator[str]:
    storage = fsspec.filesystem("memory")
    for name, data in OBJECTS.items():
        storage.pipe_file(f"/bucket/{name}", data)
    yield "memory://bucket"
    storage.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A moto server on a free port, with the objects in a bucket."""
    server_of = pytest.importorskip("moto.server", reason="S3 is played by moto's server")
    pytest.importorskip("s3fs", reason="s3:// needs s3fs")
    with pytest.MonkeyPatch.context() as patch:
        server = server_of.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "testing")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setenv("NO_PROXY", "127.0.0.1")
            storage = fsspec.filesystem("s3")
            storage.mkdir("bucket")
            for name, data in OBJECTS.items():
                storage.pipe_file(f"bucket/{name}", data)
            yield "s3://bucket"
        finally:
            server.stop()
            fsspec.filesystem("s3").clear_instance_cache()


class Web(BaseHTTPRequestHandler):
    """Serves OBJECTS, with ranges; under /plain without them, /photos/ as a page of links."""

    asked: list[str] = []

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, with_body: bool) -> None:
        self.asked.append(self.path)
        path = self.path.partition("?")[0].lstrip("/")
        ranges = not path.startswith("plain/")
        path = path.removeprefix("plain/")
        if path in ("photos/cat", "photos/dog"):
            self.send_response(301)
            self.send_header("Location", f"/{path}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if path in ("photos/", "photos/cat/", "photos/dog/"):
            below = sorted({n.removeprefix(path).split("/")[0] for n in OBJECTS if path in n})
            links = [f"<a href='{n}{'' if '.' in n else '/'}'>x</a>" for n in below]
            links += ["<a href='/secret.png'>x</a>", "<a href='http://127.0.0.1:9/x.png'>x</a>"]
            data, status = "".join(links).encode(), 200
        elif path in OBJECTS:
            data, status = OBJECTS[path], 200
        else:
            data, status = b"", {"locked": 403, "gone": 410, "odd": 599}.get(path[:-4], 404)
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        whole = len(data)
        if asked and ranges and status == 200:
            first, _, last = asked.partition("-")
            start, stop = int(first), min(int(last or whole) + 1, whole)
            data, status = data[start:stop], 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{whole}")
        if ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="http:// needs aiohttp")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def found(parts: Parts) -> list[tuple[str, str | None]]:
    return [
        (image.path, image.label)
        for part in parts
        for image in found_in(pickle.loads(pickle.dumps(part)))
        if isinstance(image, Image)
    ]


@pytest.mark.parametrize("where", ["memory", "s3", "web"])
@pytest.mark.parametrize("name", [*NAMES, *GLOBS])
def test_every_kind_at_an_address(where, name, request):
    if where == "web" and "*" in name:
        pytest.skip("a web server lists no files")
    root = request.getfixturevalue(where)
    asked = f"{root}/{name}" + ("/" if where == "web" and name == "photos" else "")
    paths, labels = {**NAMES, **GLOBS}[name]
    photos = read(asked)
    assert photos.paths == [f"{root}/{path}" for path in paths]
    assert photos.labels == labels
    assert [image.label for image in photos] == labels
    assert photos.problems == []
    expected = [(f"{root}/{path}", label) for path, label in zip(paths, labels, strict=True)]
    parts = parts_of(asked, 3)
    assert found(parts) == expected
    assert parts.total == (None if name in STREAMED else len(paths))
    assert sorted(found(parts_of(asked, 3, seed=1)), key=str) == sorted(expected, key=str)


@pytest.fixture
def root() -> Iterator[None]:
    """Files that lie in the root of fsspec's memory, in no folder."""
    storage = fsspec.filesystem("memory")
    files = {
        "w-0.tar": OBJECTS["w-0.tar"],
        "w-1.tar": OBJECTS["w-1.tar"],
        "below/9.png": grey_photo(9),
    }
    files |= {f"{i}.png": grey_photo(i) for i in range(3)} | {"list.txt": b"0.png\nbelow/9.png\n"}
    for name, data in files.items():
        storage.pipe_file(f"/{name}", data)
    yield
    for name in files:
        storage.rm_file(f"/{name}")


@pytest.mark.parametrize("slashes", ["//", "///"])
@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("w-*.tar", NAMES["w-{0..1}.tar"][0]),
        ("w-{0..1}.tar", NAMES["w-{0..1}.tar"][0]),
        ("?.png", ["0.png", "1.png", "2.png"]),
        ("{2..2}.png", ["2.png"]),
        ("{0,below/9}.png", ["0.png", "below/9.png"]),
        ("*/9.png", ["below/9.png"]),
        ("{list.txt,1.png}", ["1.png"]),
        ("list.txt", ["0.png", "below/9.png"]),
        ("1.png", ["1.png"]),
    ],
)
def test_the_root_of_a_storage_is_a_folder_too(root, slashes, name, paths):
    asked = f"memory:{slashes}{name}"
    photos = read(asked)
    assert [path.replace("///", "//") for path in photos.paths] == [f"memory://{p}" for p in paths]
    expected = [int(p.rpartition(".")[0][-1]) for p in paths]
    assert levels(photos) == expected and levels(read([asked, asked])) == expected * 2
    parts = parts_of(asked, 2)
    assert [path for path, _ in found(parts)] == photos.paths
    assert "memory:" not in photos.labels and "" not in photos.labels


def test_the_whole_of_a_storage(root, memory):
    for asked in ("memory://", "memory:///"):
        photos = read(asked)
        at = [photos.paths.index(f"memory://{name}") for name in ("1.png", "below/9.png")]
        assert [photos.labels[i] for i in at] == [None, "below"]
        assert levels(photos[i] for i in at) == [1, 9]


@pytest.mark.parametrize("where", ["memory", "s3", "web"])
def test_the_pixels_are_those_of_the_file(where, request):
    root = request.getfixturevalue(where)
    assert levels(read(f"{root}/t.parquet")) == list(range(20))
    assert levels(read(f"{root}/w-{{0..1}}.tar")) == [0, 1, 2, 3] * 2
    assert levels(read([f"{root}/one.png", f"{root}/w-1.tar"])) == [9, 0, 1, 2, 3]
    assert levels(read(f"{root}/stack.npy")) == list(range(7))
    folder = read(f"{root}/photos" + ("/" if where == "web" else ""))
    assert [round(level / 20) for level in levels(folder)] == [1, 3, 0, 2]


@pytest.mark.parametrize("where", ["memory", "s3", "web"])
def test_what_is_missing_or_damaged_is_said(where, request):
    root = request.getfixturevalue(where)
    with pytest.raises(ReadError, match=r"there is no such file or folder\. Check the address"):
        read(f"{root}/none.png")
    photos = read([f"{root}/none.png", f"{root}/one.png"])
    assert (levels(photos), [p.path for p in photos.problems]) == ([9], [f"{root}/none.png"])
    (part,) = parts_of(f"{root}/bad.tar")
    shown = list(found_in(part))
    assert levels(i for i in shown if isinstance(i, Image)) == [0, 1]
    assert "damaged" in shown[-1].reason or "ends in the middle" in shown[-1].reason
    missing = parts_of(f"{root}/w-{{0..2}}.tar")
    last = [type(i).__name__ for i in found_in(missing[2])]
    assert last == ["Problem"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("locked.png", "its server answers with 403 (Forbidden). Check the address, the network"),
        ("locked.zip", "its server answers with 403 (Forbidden)."),
        ("odd.tar", "its server answers with 599."),
        ("gone.png", "there is no such file or folder. Check the address."),
        ("none/", "there is no such file or folder."),
    ],
)
def test_what_a_web_server_answers_is_said(web, name, said):
    with pytest.raises(ReadError) as caught:
        read(f"{web}/{name}")
    assert str(caught.value).startswith(f"{web}/{name}: {said}")


@pytest.mark.parametrize("name", ["none.zip", "none.png", "list.txt", "photos/", "*.png"])
def test_a_server_that_does_not_answer_is_no_missing_file(web, name):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        root = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(ReadError) as caught:
        read(f"{root}/{name}")
    assert str(caught.value).startswith(
        f"{root}/{name}: there is no answer from its server (Connection refused). Check the address"
    )
    photos = read([f"{root}/{name}", f"{web}/one.png"])
    assert [p.reason[:27] for p in photos.problems] == ["there is no answer from its"]


def test_a_server_that_is_not_found_is_said(web, monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ReadError, match=r"no answer from its server \(Name or service not known\)"):
        read("http://nowhere.invalid/none.zip")


def test_a_list_elsewhere_does_not_reach_this_machine(memory):
    photos = read(f"{memory}/hostile.txt")
    assert len(photos) == 1
    assert [p.path for p in photos.problems] == [
        "/etc/hostname",
        "file:///etc/hostname",
        "../../a.png",
    ]
    assert all("it leaves the place of the list" in p.reason for p in photos.problems)


def test_limits_hold_at_an_address(s3, web):
    for root in (s3, web):
        with pytest.raises(LimitError, match="a file"):
            read(f"{root}/one.png", limits=Limits(max_bytes_per_file=20))
        with pytest.raises(LimitError, match="of memory"):
            read(f"{root}/stack.npy", limits=Limits(max_memory_bytes=100))
        with pytest.raises(LimitError, match="more than 2 files"):
            read(f"{root}/set.zip", limits=Limits(max_files_per_archive=2))
    photos = read(f"{web}/{{one,none}}.png", limits=Limits(max_bytes_per_file=20))
    assert list(photos) == []
    assert ["the limit is" in p.reason for p in photos.problems] == [True, False]


def test_a_web_server_without_ranges_gives_whole_files_only(web):
    assert levels(read(f"{web}/plain/one.png")) == [9]
    assert levels(read(f"{web}/plain/stack.npy")) == list(range(7))


def test_a_web_page_leads_nowhere_else(web):
    Web.asked.clear()
    assert len(list(read(f"{web}/photos/"))) == 4
    assert not any("secret" in path for path in Web.asked)


def test_the_end_of_an_address_may_be_a_query(web):
    photos = read(f"{web}/one.png?token=1&x=*2")
    assert (levels(photos), photos.labels) == ([9], [None])
    assert levels(read(f"{web}/stack.npy?token=1")) == list(range(7))
    assert levels(read(f"{web}/{{one.png,stack.npy}}?token=1")) == [9, *range(7)]
    mixed = read(f"{web}/{{one.png?a=1,notes.md,photos/cat/1.jpg,one.png}}")
    assert [path.removeprefix(web) for path in mixed.paths] == [
        "/one.png?a=1", "/photos/cat/1.jpg", "/one.png",
    ]  # fmt: skip
    assert levels(i for i in found_in(parts_of(f"{web}/w-0.tar?token=1")[0])) == [0, 1, 2, 3]


def test_a_file_address_is_a_path(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(remote, "_storage", lambda *_: pytest.fail("not through fsspec"))
    (tmp_path / "a b.png").write_bytes(grey_photo(4))
    np.save(tmp_path / "x.npy", STACK)
    assert levels(read(f"file://{tmp_path}/a%20b.png")) == [4]
    assert read(f"file://{tmp_path}/x.npy").nbytes == 0
    assert len(read(f"file://{tmp_path}/*.png")) == 1


def test_nothing_is_copied_to_disk():
    for address in ("simplecache::s3://b/a.png", "filecache::http://x/a", "zip://a.png::s3://b/z"):
        with pytest.raises(ReadError):
            read(address)
    for address in ("zip://a.png::memory://b/z", "simplecache://b/a.png"):
        with pytest.raises(ReadError, match="a chain of addresses"):
            read(address)


def test_a_secret_in_an_address_is_not_shown(web):
    with_secret = web.replace("http://", "http://me:key@")
    for asked in ("one.png", "{one,two}.png", "w-{0..1}.tar"):
        assert "key" not in str([read(f"{with_secret}/{asked}").paths, parts_of(
            f"{with_secret}/{asked}").problems])  # fmt: skip
    with pytest.raises(ReadError) as caught:
        read(f"{with_secret}/none.png")
    assert "key" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch):
    with pytest.raises(
        ReadError, match=r"a\.png: it cannot be read \(Protocol not known: nonsense\)"
    ):
        read("nonsense://x/a.png")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(ReadError, match=r"reading s3:// needs a package .*normviz\[remote\]"):
        read("s3://bucket/a.png")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ReadError, match=r"needs the package fsspec, .*normviz\[remote\]"):
        read("s3://bucket/a.png")


def test_arrays_far_away_are_not_kept_by_the_listing(memory):
    storage = fsspec.filesystem("memory")
    storage.pipe_file("/bucket/big/1.npy", npy(np.full((50, 200, 100), 3, np.uint8)))
    try:
        parts = parts_of(f"{memory}/big", 64)
        assert sum(run.held for run in parts._runs) <= 1
        assert levels(found_in(parts[0])) == [3] * 50
        assert read(f"{memory}/big").nbytes >= 10**6
    finally:
        storage.rm("/bucket/big", recursive=True)


def test_tables_far_away_are_opened_several_at_a_time(memory):
    storage = fsspec.filesystem("memory")
    for at in range(20):
        storage.pipe_file(f"/bucket/tables/{at:02}.parquet", table([at, at + 100]))
    storage.pipe_file("/bucket/tables/10.parquet", b"PAR1 and nothing else")
    try:
        parts = parts_of(f"{memory}/tables/*.parquet")
        expected = [v for at in range(20) for v in (at, at + 100) if at != 10]
        assert levels(i for part in parts for i in found_in(part)) == expected
        assert [p.path for p in parts.problems] == [f"{memory}/tables/10.parquet"]
    finally:
        storage.rm("/bucket/tables", recursive=True)


def test_a_listing_that_leads_elsewhere_is_cut(monkeypatch):
    class Liar:
        def find(self, path: str, detail: bool) -> dict:
            names = ("b/set/1.png", "b/set/../2.png", "c/3.png", "b/set2/4.png", "b/set/")
            return {name: {"size": 1, "type": "file", "ETag": name} for name in names}

    monkeypatch.setattr(remote, "_storage", lambda *_: (Liar(), "b/set"))
    (only,) = remote.listed("s3://b/set", "s3://b/set")
    assert only[:2] == ("1.png", 1) and only[2] > 0


@pytest.mark.parametrize("where", ["memory", "s3"])
def test_a_file_that_was_written_anew_has_another_stamp(where, request):
    root = request.getfixturevalue(where)
    address = f"{root}/set.zip"
    storage, path = remote._storage(address, "x")
    before = remote.find(address, "x")
    assert before.stamp > 0 and remote.find(address, "x") == before
    data = storage.cat_file(path)
    try:
        storage.pipe_file(path, bytes(len(data)))
        storage.invalidate_cache()
        after = remote.find(address, "x")
        assert after.size == before.size and after.stamp != before.stamp
    finally:
        storage.pipe_file(path, data)
        storage.invalidate_cache()


@pytest.mark.parametrize("where", ["memory", "s3", "web"])
def test_no_more_is_fetched_than_asked_for(where, request):
    root = request.getfixturevalue(where)
    assert remote.content(f"{root}/set.zip", "x", 10) == OBJECTS["set.zip"][:10]
