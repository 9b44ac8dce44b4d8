"""Archives: zip and tar (plain, gzip, bzip2, xz), read member by member and never unpacked to disk.

Sizes that an archive declares are checked first and never trusted: bytes are counted as they come
out. Members that climb out, lead elsewhere or are encrypted are named and passed over.
"""

from __future__ import annotations

import json
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import PurePosixPath
from typing import BinaryIO

from normviz.errors import LimitError, ReadError
from normviz.read.inflate import FORMS, Inflated, form_of
from normviz.read.limits import Limits, size_text
from normviz.read.source import Kind, Listing, Problem, Source, shown

ZIP_HEADS = (b"PK\x03\x04", b"PK\x05\x06")
STEP = 64 * 1024
TAR_HEADER_BYTES = 16 * 2**20
ENTRY_BYTES = 1024
LABEL_BYTES = 2**20
DAMAGED = "Pack it again, or download it again if it was cut off"


def open_zip(source: Source, limits: Limits) -> zipfile.ZipFile:
    """Open a zip; its entries are counted first, so that a hostile directory costs no memory."""
    refuse_size(source, limits)
    stream = source.open()
    try:
        return _Zip(_ZipStream(stream, source.name, limits))
    except ReadError:
        stream.close()
        raise
    except Exception as error:  # zipfile raises many types on damaged files
        stream.close()
        raise ReadError(source.name, f"the zip is damaged ({_text(error)})", DAMAGED) from None


class _ZipStream:
    """What zipfile reads from: the directory, which it takes in one read, is looked at before."""

    def __init__(self, stream: BinaryIO, name: str, limits: Limits) -> None:
        self._stream, self._name, self._limits = stream, name, limits
        self._counts = True

    def stop_counting(self) -> None:
        self._counts = False

    def read(self, size: int = -1) -> bytes:
        if not self._counts:
            return self._stream.read(size)
        most = self._limits.max_files_per_archive
        if size > most * ENTRY_BYTES:
            raise _too_many(self._name, self._limits)
        data = self._stream.read(size)
        # Every entry starts with this mark, so their count bounds the entries from above.
        if data.count(b"PK\x01\x02") > most:
            raise _too_many(self._name, self._limits)
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()


class _Zip(zipfile.ZipFile):
    def __init__(self, stream: _ZipStream) -> None:
        super().__init__(stream)  # type: ignore[arg-type]
        stream.stop_counting()
        self._under = stream

    def close(self) -> None:
        super().close()
        if hasattr(self, "_under"):
            self._under.close()


def refuse_size(source: Source, limits: Limits) -> None:
    """Raise :class:`LimitError` for an archive that is too large even packed."""
    if source.size > limits.max_unpacked_bytes:
        raise LimitError(
            source.name,
            f"the archive has {size_text(source.size)}, the limit is "
            f"{size_text(limits.max_unpacked_bytes)}",
            "Split it, or raise NORMVIZ_MAX_UNPACKED_BYTES",
        )


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
        self.inside: list[Source] = []
        self.listing = Listing(inside=self.inside)
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
        self.inside.append(Source(path, size, fetch=fetch, inner=parts))


def _list_zip(source: Source, limits: Limits) -> Listing:
    source = source.seekable(limits)
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


class TarStream:
    """What tarfile reads headers from: single reads stay small, whatever a header declares."""

    def __init__(self, source: Source, limits: Limits) -> None:
        refuse_size(source, limits)
        form = form_of(source.head())
        self.name = source.name
        self.packed = Inflated(source.open(), form, source.name, limits) if form else None
        self._stream: BinaryIO = self.packed or source.open()  # type: ignore[assignment]

    def read(self, size: int) -> bytes:
        if size > TAR_HEADER_BYTES:
            raise LimitError(
                self.name, f"the archive has a header of {size_text(size)}", "Pack it again"
            )
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._stream.close()

    def member(self, path: str, offset: int, size: int) -> bytes:
        """Return the bytes of a member, in small steps; raises :class:`ReadError` with its path."""
        data = bytearray()
        try:
            self._stream.seek(offset)
            while len(data) < size:
                block = self._stream.read(min(STEP, size - len(data)))
                if not block:
                    raise ReadError(path, "the archive ends in the middle of it", DAMAGED)
                data += block
        except ReadError as error:
            raise ReadError(path, error.reason, error.remedy) from None
        except (OSError, ValueError) as error:
            raise ReadError(path, f"it cannot be read ({_text(error)})", DAMAGED) from None
        return bytes(data)


def _list_tar(source: Source, limits: Limits) -> Listing:
    source = source.seekable(limits)
    stream = TarStream(source, limits)
    # One stream is kept for a packed or a remote tar: reading on is cheap, going back starts over.
    kept = stream if stream.packed is not None or source.address else None
    lock = threading.Lock()
    members = _Members(source.name, limits)
    sample = Sample()

    def content(path: str, offset: int, size: int) -> bytes:
        limits.refuse_file_bytes(path, size)
        if kept is not None:
            with lock:
                return kept.member(path, offset, size)
        with closing(TarStream(source, limits)) as plain:
            return plain.member(path, offset, size)

    def finish() -> None:
        label = sample.label
        if label is not None:
            for at in range(first, len(members.inside)):
                members.inside[at] = replace(members.inside[at], label=label)

    first = 0
    try:
        for entry in tar_entries(stream, limits):
            if isinstance(entry, ReadError):
                members.refuse(entry)
                continue
            if not sample.holds(entry.name):
                finish()
                sample, first = Sample(entry.name), len(members.inside)
            path, offset, size = members.path(entry.name), entry.offset_data, entry.size
            if sample.is_label(entry.name, size):
                try:
                    sample.take(entry.name, stream.member(path, offset, size))
                except ReadError as error:
                    members.refuse(error)
                continue

            def fetch(path: str = path, offset: int = offset, size: int = size) -> bytes:
                return content(path, offset, size)

            members.add(entry.name, size, fetch)
        finish()
    finally:
        if kept is None:
            stream.close()
    members.listing.held = source.held
    return members.listing


class Sample:
    """Consecutive members of one name up to its first dot, as WebDataset writes them.

    The label is what ``key.cls`` holds, else the ``"label"`` of ``key.json``.

    >>> sample = Sample("0/a.jpg")
    >>> sample.take("0/a.cls", b"7")
    >>> sample.holds("0/a.seg.png"), sample.holds("0/b.jpg"), sample.label
    (True, False, '7')
    """

    def __init__(self, raw: str = "") -> None:
        self._key, _ = _key_and_ending(raw)
        self._said: dict[str, str] = {}

    @property
    def label(self) -> str | None:
        return self._said.get("cls", self._said.get("json"))

    def holds(self, raw: str) -> bool:
        return _key_and_ending(raw)[0] == self._key

    def is_label(self, raw: str, size: int) -> bool:
        return _key_and_ending(raw)[1] in ("cls", "json") and size <= LABEL_BYTES

    def take(self, raw: str, data: bytes) -> None:
        """Read the label from one member, if it holds one."""
        ending = _key_and_ending(raw)[1]
        text = data.decode("utf-8", "backslashreplace").strip()
        if ending == "json":
            try:
                found = json.loads(text)
                found = found.get("label") if isinstance(found, dict) else None
            except (ValueError, RecursionError):
                found = None
            text = str(found) if isinstance(found, (str, int)) else ""
        if text:
            self._said[ending] = shown(text)


def _key_and_ending(raw: str) -> tuple[str, str]:
    folder, _, name = raw.rpartition("/")
    key, _, ending = name.partition(".")
    return f"{folder}/{key}", ending.lower()


def tar_entries(stream: TarStream, limits: Limits) -> Iterator[tarfile.TarInfo | ReadError]:
    """Yield the header of every regular file of a tar, and an error for what is refused.

    Where the archive is damaged the last thing yielded is the error that says so. Raises
    :class:`LimitError` for too many members and :class:`ReadError` for what is no tar at all.
    """
    name, found = stream.name, 0
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
            yield _tar_ends(name, found, _text(error))
            return
        if info is None:
            break
        tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
        found += 1
        if found > limits.max_files_per_archive:
            raise _too_many(name, limits)
        path = f"{name}/{shown(info.name)}"
        if info.isdir():
            continue
        if info.issym() or info.islnk():
            yield _not_a_file(path, "a symbolic link" if info.issym() else "a hard link")
        elif not info.isreg() or info.issparse():
            yield _not_a_file(path, "a sparse file" if info.issparse() else "")
        else:
            yield info
    try:
        stream.seek(tar.offset)
        end = stream.read(tarfile.BLOCKSIZE)
    except ReadError as error:
        yield _tar_ends(name, found, error.reason)
        return
    if end.strip(b"\0"):
        # tarfile takes a damaged header for the end of the archive.
        yield _tar_ends(name, found, "a header in it is wrong")


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


def is_tar_by_name(source: Source) -> bool:
    """Tell a tar by the ending of its name; a lone ``.gz`` may be anything."""
    return source.stem.endswith(TAR_SUFFIXES)


TAR_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz", *(f".tar.{form}" for form in FORMS))
SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", *(f".{form}" for form in FORMS))
KIND = Kind(
    "archive",
    "archives of images (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)",
    SUFFIXES,
    _recognises,
    _list_images,
)
