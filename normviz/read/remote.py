"""Addresses such as ``s3://bucket/photos``: opened through fsspec, which is an optional package.

Nothing is copied to disk: wrappers that keep a local copy are refused, parts of a file are asked
for by range, and what comes is counted against the limits.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from http import HTTPStatus
from socket import gaierror
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import unquote

from normviz.errors import ReadError

BLOCK = 4 * 2**20
# By these names storages tell a file's version: S3, Google Storage, web servers, memory and disks.
_VERSIONS = (
    "ETag",
    "etag",
    "md5Hash",
    "LastModified",
    "Last-Modified",
    "updated",
    "mtime",
    "created",
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_CHAINS = ("filecache", "simplecache", "blockcache", "cached", "reference", "dir", "zip", "tar")
_CHECK = "Check the address, the network and the credentials"
WAY = "pip install 'normviz[remote]' installs fsspec with S3, Google Storage and HTTP"


class Found(NamedTuple):
    """What an address leads to; ``size`` is −1 where the server does not say, ``stamp`` 0."""

    size: int
    is_folder: bool
    stamp: int = 0


def scheme_of(text: str) -> str:
    """Return the scheme of an address in lower case, empty for anything else.

    >>> scheme_of("s3://bucket/a.jpg"), scheme_of("photos/a.jpg")
    ('s3', '')
    """
    found = _SCHEME.match(text)
    return found[1].lower() if found else ""


def local_path(address: str) -> str | None:
    """Return the path behind a ``file://`` address, None for any other.

    >>> local_path("file:///data/a%20b.jpg"), local_path("s3://bucket/a.jpg")
    ('/data/a b.jpg', None)
    """
    if scheme_of(address) not in ("file", "local"):
        return None
    return unquote(address.partition("://")[2].removeprefix("localhost"))


def split(address: str) -> tuple[str, str]:
    """Return the folder of an address and the name in it; the root of a storage is a folder too.

    >>> split("s3://bucket/a.tar"), split("memory://a.tar"), split("memory:///d/a.tar")
    (('s3://bucket', 'a.tar'), ('memory://', 'a.tar'), ('memory:///d', 'a.tar'))
    """
    folder, slash, name = address.rpartition("/")
    return (f"{folder}/" if folder.endswith(":/") else folder or slash), name


def joined(folder: str, name: str) -> str:
    """Return the path or address of a name in a folder.

    >>> joined("s3://bucket/", "a.tar"), joined("memory://", "a.tar"), joined("photos", "a.tar")
    ('s3://bucket/a.tar', 'memory://a.tar', 'photos/a.tar')
    """
    start = folder.rstrip("/")
    return f"{start}//{name}" if "://" in folder and start.endswith(":") else f"{start}/{name}"


def is_web(address: str) -> bool:
    return scheme_of(address) in ("http", "https")


def without_secret(address: str) -> str:
    """Return the address without the user and password that may stand in it.

    >>> without_secret("https://me:key@host/a.jpg")
    'https://host/a.jpg'
    """
    return re.sub(r"(?<=://)[^/@]*@", "", address, count=1)


def _storage(address: str, name: str) -> tuple[Any, str]:
    """Return the file system of an address and the path in it."""
    scheme = scheme_of(address)
    if "::" in address or scheme in _CHAINS:
        raise ReadError(
            name,
            "it is a chain of addresses, which may copy files to this machine's disk",
            "Give the plain address of the file or folder",
        )
    try:
        import fsspec
    except ImportError:
        reason = f"reading {scheme}:// needs the package fsspec, which is not installed"
        raise ReadError(name, reason, WAY) from None
    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        reason = f"reading {scheme}:// needs a package that is not installed ({error_text(error)})"
        raise ReadError(name, reason, WAY) from None
    except Exception as error:
        raise _failed(name, error) from None


def find(address: str, name: str) -> Found:
    """Ask what lies at an address; raises :class:`ReadError` when nothing does."""
    storage, path = _storage(address, name)
    try:
        if is_web(address) and address.partition("?")[0].endswith("/"):
            return Found(0, True)  # a web server does not say, by custom it is a folder
        info = storage.info(path)
    except Exception as error:
        raise _failed(name, error) from None
    return Found(_size(info), info.get("type") == "directory", _stamp(info))


def listed(address: str, name: str) -> list[tuple[str, int, int]]:
    """Return relative name, size and stamp of every file below an address, ordered by name."""
    return _below(address, name, "find", address)


def matching(root: str, pattern: str, name: str) -> list[tuple[str, int, int]]:
    """Return the same of the files that ``pattern`` (an address with ``*``) matches."""
    return _below(root, name, "glob", pattern)


def _below(root: str, name: str, verb: str, what: str) -> list[tuple[str, int, int]]:
    storage, path = _storage(root, name)
    _, asked = _storage(what, name)
    try:
        entries = getattr(storage, verb)(asked, detail=True)
        if not entries and is_web(root):
            # Of a page that does not come nothing is found, without a word.
            storage.info(path)
    except Exception as error:
        raise _failed(name, error) from None
    # Some storages begin their paths with a slash; at the root of others there is none.
    start = "" if not path.strip("/") else path.rstrip("/") + "/"
    found = []
    for entry, info in entries.items():
        # A web page may link anywhere; only what lies below the address is its content.
        inside = entry.startswith(start) and ".." not in entry.split("/")
        if inside and entry != start and info.get("type") != "directory":
            found.append((entry[len(start) :].lstrip("/"), _size(info), _stamp(info)))
    return sorted(found)


def opened(address: str, name: str) -> BinaryIO:
    """Return a stream that can be read from any place of the file at an address."""
    storage, path = _storage(address, name)
    try:
        stream = storage.open(path, "rb", block_size=BLOCK)
    except Exception as error:
        raise _failed(name, error) from None
    return io.BufferedReader(_Stream(stream, name), 64 * 1024)


def content(address: str, name: str, most: int) -> bytes:
    """Return the file at an address, at most ``most`` bytes of it."""
    storage, path = _storage(address, name)
    try:
        if not is_web(address):
            return storage.cat_file(path, start=0, end=most)
        data = bytearray()
        # A server that knows no ranges would send all of it; so it is counted as it comes.
        with storage.open(path, "rb", block_size=0) as stream:
            while len(data) < most:
                block = stream.read(min(BLOCK, most - len(data)))
                if not block:
                    break
                data += block
        return bytes(data)
    except Exception as error:
        raise _failed(name, error) from None


class _Stream(io.RawIOBase):
    """A remote file whose failures, of many types, come as :class:`ReadError`."""

    def __init__(self, stream: Any, name: str) -> None:
        super().__init__()
        self._stream, self._name = stream, name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._stream.tell())

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        try:
            return int(self._stream.seek(position, whence))
        except Exception as error:
            raise _failed(self._name, error) from None

    def readinto(self, into: Any) -> int:
        try:
            data = self._stream.read(len(into))
        except Exception as error:
            raise _failed(self._name, error) from None
        into[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _size(info: dict[str, Any]) -> int:
    size = info.get("size")
    return size if isinstance(size, int) else -1


def _stamp(info: dict[str, Any]) -> int:
    """What a storage says of a file's version, as a number."""
    said = [info[key] for key in _VERSIONS if info.get(key)]
    if not said:
        return 0
    return int.from_bytes(blake2b(repr(said).encode(), digest_size=7).digest(), "big")


def _failed(name: str, error: Exception) -> ReadError:
    if isinstance(error, ReadError):
        return error
    if (reason := _from_server(error)) is not None:
        return ReadError(name, reason, _CHECK)
    if isinstance(error, FileNotFoundError):
        return ReadError(name, "there is no such file or folder", "Check the address")
    if "range requests" in str(error):
        return ReadError(
            name,
            "its web server gives whole files only, and parts of this one are needed",
            "Download it first, or use a server that knows range requests",
        )
    return ReadError(name, f"it cannot be read ({error_text(error)})", _CHECK)


def _from_server(error: Exception) -> str | None:
    """Say what a web server answers, or that it does not; None where it has no such file, and for
    anything else.

    fsspec calls whatever goes wrong there a file that is not found, and keeps the reason as cause.
    """
    chain = list(_causes(error))
    for one in reversed(chain):
        if isinstance(one, TimeoutError):
            return "there is no answer from its server in time"
        if isinstance(one, gaierror):
            return f"there is no answer from its server ({one.strerror})"
        if isinstance(one, ConnectionError) and one.errno:
            return f"there is no answer from its server ({os.strerror(one.errno)})"
    for one in chain:
        if type(one).__module__.partition(".")[0] != "aiohttp":
            continue
        status = getattr(one, "status", None)
        if status is None:
            return f"it cannot be read ({error_text(one)})"
        if status not in (404, 410):
            known = status in HTTPStatus.__members__.values()
            words = f" ({HTTPStatus(status).phrase})" if known else ""
            return f"its server answers with {status}{words}"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def error_text(error: BaseException) -> str:
    """Return the first line of an error, printable and short."""
    text = str(error).strip().split("\n")[0].rstrip(".")[:160]
    return "".join(c for c in text if c.isprintable()) or type(error).__name__
