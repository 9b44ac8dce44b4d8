"""Archives: zip and tar (plain, gzip, bzip2, xz), read member by member and never unpacked to disk.

Sizes that an archive declares are checked first and never trusted: bytes are counted as they come
out. Members that climb out, lead elsewhere or are encrypted are named and passed over.
"""

from __future__ import annotations

import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import BinaryIO

from normviz.errors import LimitError, ReadError
from normviz.read.inflate import FORMS, Inflated, form_of
from normviz.read.limits import Limits, size_text
from normviz.read.source import Kind, Listing, Problem, Source, shown

ZIP_HEADS = (b"PK\x03\x04", b"PK\x05\x06")
STEP = 64 * 1024
TAR_HEADER_BYTES = 16 * 2**20
DAMAGED = "Pack it again, or download it again if it was cut off"


def open_zip(source: Source, limits: Limits) -> zipfile.ZipFile:
    """Open a zip after counting its entries, so that a hostile directory costs no memory."""
    refuse_size(source, limits)
    with source.open() as stream:
        _refuse_zip_entries(stream, source.name, limits)
    try:
        return zipfile.ZipFile(source.path if source.path is not None else source.open())
    except Exception as error:  # zipfile raises many types on damaged files
        raise ReadError(source.name, f"the zip is damaged ({_text(error)})", DAMAGED) from None


def refuse_size(source: Source, limits: Limits) -> None:
    """Raise :class:`LimitError` for an archive that is too large even packed."""
    if source.size > limits.max_unpacked_bytes:
        raise LimitError(
            source.name,
            f"the archive has {size_text(source.size)}, the limit is "
            f"{size_text(limits.max_unpacked_bytes)}",
            "Split it, or raise NORMVIZ_MAX_UNPACKED_BYTES",
        )


def _refuse_zip_entries(stream: BinaryIO, name: str, limits: Limits) -> None:
    # Every entry of the directory starts with this mark, so their count bounds the entries from
    # above, whatever the zip says itself.
    mark, count, rest = b"PK\x01\x02", 0, b""
    while block := stream.read(2**20):
        block = rest + block
        count += block.count(mark)
        rest = block[-3:]
        if count > limits.max_files_per_archive:
            raise _too_many(name, limits)


def _too_many(name: str, limits: Limits) -> LimitError:
    return LimitError(
        name,
        f"the archive holds more than {limits.max_files_per_archive:,} files",
        "Split it, or raise NORMVIZ_MAX_FILES_PER_ARCHIVE",
    )


def unpacked_member(
    bundle: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    path: str,
    limits: Limits,
    size: int | None = None,
) -> bytes:
    """Unpack one member of a zip (or its first ``size`` bytes), counting what comes out.

    Raises :class:`ReadError` when it is encrypted, damaged, packed in a way that is not opened
    here, or larger than allowed.
    """
    refuse_zip_member(info, path)
    if size is None:
        limits.refuse_file_bytes(path, info.file_size)
    most = limits.max_bytes_per_file if size is None else size
    data = bytearray()
    try:
        with bundle.open(info) as stream:
            while len(data) < most:
                block = stream.read(min(STEP, most - len(data)))
                if not block:
                    break
                data += block
                limits.refuse_ratio(path, len(data), info.compress_size)
            if size is None and stream.read(1):
                limits.refuse_file_bytes(path, len(data) + 1)
    except ReadError:
        raise
    except Exception as error:  # zlib, struct, EOF and zipfile errors of a damaged member
        raise ReadError(path, f"it is damaged in the archive ({_text(error)})", DAMAGED) from None
    return bytes(data)


def refuse_zip_member(info: zipfile.ZipInfo, path: str) -> None:
    """Raise :class:`ReadError` for a member that must not or cannot be unpacked."""
    if info.flag_bits & 0x1:
        raise ReadError(path, "it is encrypted", "Pack it without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # bzip2 and LZMA members are unpacked by zipfile without a bound on what comes out.
        raise ReadError(
            path,
            f"it is packed with method {info.compress_type}, only stored and deflated are opened",
            "Pack it again with the usual zip compression",
        )


def member_parts(raw: str, path: str) -> tuple[str, ...]:
    """Return the folders and the file of a member's name; a name that climbs out is refused.

    >>> member_parts("./set/cat/1.jpg", "set.zip/1.jpg")
    ('set', 'cat', '1.jpg')
    """
    reason = ""
    if "\0" in raw:
        reason = "its name holds a zero byte"
    elif "\\" in raw:
        reason = "its name holds backslashes"
    elif raw.startswith("/"):
        reason = "its name is an absolute path"
    elif len(raw) > 1 and raw[1] == ":" and raw[0].isalpha():
        reason = "its name starts with a drive letter"
    elif ".." in raw.split("/"):
        reason = "its name climbs out of the archive (..)"
    if reason:
        raise ReadError(path, reason, "Pack it again with plain relative names")
    return tuple(shown(part) for part in PurePosixPath(raw).parts)


class _Members:
    """Collects the members of one archive; what all kinds of archive refuse is refused here."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self.listing = Listing(inside=[])
        self._seen: set[tuple[str, ...]] = set()
        self._count = 0

    def path(self, raw: str) -> str:
        return f"{self.name}/{shown(raw)}"

    def count(self) -> None:
        self._count += 1
        if self._count > self.limits.max_files_per_archive:
            raise _too_many(self.name, self.limits)

    def refuse(self, error: ReadError) -> None:
        self.listing.problems.append(Problem.of(error))

    def add(self, raw: str, size: int, fetch: Callable[[], bytes]) -> None:
        path = self.path(raw)
        try:
            parts = member_parts(raw, path)
            if not parts:
                return
            if parts in self._seen:
                raise ReadError(
                    path, "there is another member of this name", "Give each its own name"
                )
        except ReadError as error:
            self.refuse(error)
            return
        self._seen.add(parts)
        assert self.listing.inside is not None
        self.listing.inside.append(Source(path, size, fetch=fetch, inner=parts))


def _list_zip(source: Source, limits: Limits) -> Listing:
    source = source.in_memory(limits)
    bundle = open_zip(source, limits)
    members = _Members(source.name, limits)
    for info in bundle.infolist():
        members.count()
        path = members.path(info.orig_filename)
        mode = info.external_attr >> 16
        if info.orig_filename.endswith("/"):  # is_dir() fails on an empty name
            continue
        if stat.S_IFMT(mode) and not stat.S_ISREG(mode):
            members.refuse(_not_a_file(path, "a symbolic link" if stat.S_ISLNK(mode) else ""))
            continue
        try:
            refuse_zip_member(info, path)
            limits.refuse_ratio(path, info.file_size, info.compress_size)
        except ReadError as error:
            members.refuse(error)
            continue

        def fetch(info: zipfile.ZipInfo = info, path: str = path) -> bytes:
            return unpacked_member(bundle, info, path, limits)

        members.add(info.orig_filename, info.file_size, fetch)
    members.listing.held = source.held
    return members.listing


def _not_a_file(path: str, what: str) -> ReadError:
    return ReadError(
        path,
        f"it is {what or 'a device, pipe or other special file'}, not a file",
        "Pack the file itself",
    )


class _TarStream:
    """What tarfile reads headers from: single reads stay small, whatever a header declares."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int) -> bytes:
        if size > TAR_HEADER_BYTES:
            raise LimitError(
                self._name, f"the archive has a header of {size_text(size)}", "Pack it again"
            )
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


def _list_tar(source: Source, limits: Limits) -> Listing:
    source = source.in_memory(limits)
    refuse_size(source, limits)
    form = form_of(source.head())
    packed = Inflated(source.open(), form, source.name, limits) if form else None
    stream: BinaryIO = packed or source.open()  # type: ignore[assignment]
    lock = threading.Lock()
    members = _Members(source.name, limits)

    def content(path: str, offset: int, size: int) -> bytes:
        limits.refuse_file_bytes(path, size)
        # One stream is kept for a packed tar: reading on is cheap, going back starts over.
        with lock:
            try:
                if packed is not None:
                    packed.seek(offset)
                    data = _exactly(packed, size)
                else:
                    with source.open() as plain:
                        plain.seek(offset)
                        data = plain.read(size)
            except ReadError as error:
                raise ReadError(path, error.reason, error.remedy) from None
            except (OSError, ValueError) as error:
                raise ReadError(path, f"it cannot be read ({_text(error)})", DAMAGED) from None
        if len(data) < size:
            raise ReadError(path, "the archive ends in the middle of it", DAMAGED)
        return data

    try:
        _list_tar_members(_TarStream(stream, source.name), members, content)
    finally:
        if packed is None:
            stream.close()
    members.listing.held = source.held
    return members.listing


def _exactly(stream: Inflated, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        block = stream.read(min(STEP, size - len(data)))
        if not block:
            break
        data += block
    return bytes(data)


def _list_tar_members(
    stream: _TarStream, members: _Members, content: Callable[[str, int, int], bytes]
) -> None:
    name, found = members.name, 0
    try:
        tar = tarfile.TarFile(fileobj=stream)  # type: ignore[arg-type]
    except ReadError:
        raise
    except Exception as error:  # tarfile raises many types on damaged files
        reason = f"it is no tar archive, or damaged at its start ({_text(error)})"
        raise ReadError(name, reason, DAMAGED) from None
    while True:
        try:
            info = tar.next()
        except LimitError:
            raise
        except Exception as error:
            members.refuse(_tar_ends(name, found, _text(error)))
            return
        if info is None:
            break
        tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
        found += 1
        members.count()
        path = members.path(info.name)
        if info.isdir():
            continue
        if info.issym() or info.islnk():
            members.refuse(_not_a_file(path, "a symbolic link" if info.issym() else "a hard link"))
        elif not info.isreg() or info.issparse():
            members.refuse(_not_a_file(path, "a sparse file" if info.issparse() else ""))
        else:

            def fetch(path: str = path, offset: int = info.offset_data, size: int = info.size):
                return content(path, offset, size)

            members.add(info.name, info.size, fetch)
    try:
        stream.seek(tar.offset)
        end = stream.read(tarfile.BLOCKSIZE)
    except ReadError as error:
        members.refuse(_tar_ends(name, found, error.reason))
        return
    if end.strip(b"\0"):
        # tarfile takes a damaged header for the end of the archive.
        members.refuse(_tar_ends(name, found, "a header in it is wrong"))


def _tar_ends(name: str, found: int, reason: str) -> ReadError:
    return ReadError(name, f"the archive is damaged after {found:,} files ({reason})", DAMAGED)


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    if source.head().startswith(ZIP_HEADS) or source.suffix == ".zip":
        return _list_zip(source, limits)
    return _list_tar(source, limits)


def _text(error: Exception) -> str:
    return shown(str(error).split("\n")[0].rstrip(".")[:160]) or type(error).__name__


def _recognises(source: Source, head: bytes) -> bool:
    return (
        head.startswith(ZIP_HEADS)
        or head[257:262] == b"ustar"
        or form_of(head) is not None
        or source.suffix in SUFFIXES
    )


SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", *(f".{form}" for form in FORMS))
KIND = Kind(
    "archive",
    "archives of images (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)",
    SUFFIXES,
    _recognises,
    _list_images,
)
