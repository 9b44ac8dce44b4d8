"""Parquet tables of encoded images, as Hugging Face datasets write them, read by row group.

The images are a column of ``struct{bytes, path}`` or of plain bytes, the labels a column of text
or whole numbers, which the ``huggingface`` entry of the schema may give names to. Only the two
columns are read, row by row.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from normviz.errors import ReadError
from normviz.images import Image
from normviz.read.image import decode
from normviz.read.limits import Limits
from normviz.read.remote import BLOCK, error_text
from normviz.read.source import Kind, Listing, Origin, Run, Source, shown

MAGIC = b"PAR1"
LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "category", "cls", "y")
IMAGE_NAMES = ("image", "img", "images", "jpg", "png", "picture", "photo", "image_bytes", "bytes")
DAMAGED = "Write it again, or download it again if it was cut off"


class Columns(NamedTuple):
    """Which columns hold what; ``names`` are the classes that numbers stand for."""

    image: str
    is_struct: bool
    label: str | None = None
    names: tuple[str, ...] = ()


class _Reader:
    """One open table with its place in it: reading on is cheap, going back starts a group over."""

    def __init__(self, file: Any, columns: Columns) -> None:
        self._file, self._columns = file, columns
        self._group, self._next = -1, 0
        self._rows: Iterator[Any] = iter(())

    def row(self, group: int, row: int) -> tuple[Any, Any]:
        """Return the image's bytes and the label as they are stored."""
        if group != self._group or row < self._next:
            named = [name for name in (self._columns.image, self._columns.label) if name]
            # One row at a time: many rows may share one large value, which each would copy.
            self._rows = self._file.iter_batches(
                1, row_groups=[group], columns=named, use_threads=False
            )
            self._group, self._next = group, 0
        while self._next <= row:
            found = next(self._rows)
            self._next += 1
        data = found.column(self._columns.image)[0].as_py()
        if self._columns.is_struct:
            data = None if data is None else data["bytes"]
        if self._columns.label is None:
            return data, None
        return data, found.column(self._columns.label)[0].as_py()

    def labels(self) -> list[Any]:
        return self._file.read(columns=[self._columns.label]).column(0).to_pylist()


@dataclass(frozen=True, eq=False)
class TableRun(Run):
    """The images of one table, a row each; ``ends`` are the rows up to each row group's end."""

    source: Source
    limits: Limits
    columns: Columns
    ends: tuple[int, ...]
    origin: Origin | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: list[Any] = field(default_factory=list)  # the reader, then the labels, once needed

    @property
    def held(self) -> int:  # type: ignore[override]
        return self.source.held

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def path(self, index: int) -> str:
        return f"{self.source.name}[{index}]"

    def label(self, index: int) -> str | None:
        if self.columns.label is None:
            return None
        with self._lock:
            try:
                if len(self._open) < 2:
                    self._open[:] = [self._reader(), self._reader().labels()]
                return self._label(self._open[1][index])
            except ReadError:
                raise
            except Exception as error:
                raise _damaged(self.source.name, error) from None

    def image(self, index: int) -> Image:
        path = self.path(index)
        group = bisect_right(self.ends, index)
        with self._lock:
            try:
                data, label = self._reader().row(
                    group, index - (self.ends[group - 1] if group else 0)
                )
            except ReadError:
                raise
            except Exception as error:  # Arrow raises many types on damaged pages
                self._open.clear()
                raise _damaged(path, error) from None
        if not isinstance(data, bytes):
            raise ReadError(
                path,
                "the row holds no bytes of an image (a path alone is not followed)",
                "Write the images themselves into the table (embed them)",
            )
        return decode(data, path, self.limits, self._label(label))

    def _reader(self) -> _Reader:
        if not self._open:
            self._open.append(_Reader(_opened(self.source), self.columns))
        reader: _Reader = self._open[0]
        return reader

    def _label(self, value: Any) -> str | None:
        if value is None:
            return None
        names = self.columns.names
        if names and isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None  # −1: not labelled
        return shown(str(value)) or None


def _opened(source: Source) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        reason = "reading Parquet needs the package pyarrow, which is not installed"
        raise ReadError(source.name, reason, "pip install pyarrow") from None
    try:
        where: Any = source.path
        if source.data is not None:
            where = pyarrow.BufferReader(source.data)
        elif source.path is None:
            where = pyarrow.PythonFile(source.open(), mode="r")
        # With a buffer, and not fetched ahead, a column comes page by page, not as a whole.
        return pyarrow.parquet.ParquetFile(where, buffer_size=BLOCK, pre_buffer=False)
    except ReadError:
        raise
    except Exception as error:
        raise _damaged(source.name, error) from None


def _damaged(name: str, error: Exception) -> ReadError:
    return ReadError(name, f"the table is damaged ({shown(error_text(error))})", DAMAGED)


def _columns_of(schema: Any, name: str) -> Columns:
    import pyarrow.types as kinds

    features = _features(schema.metadata or {})

    def holds_bytes(kind: Any) -> bool:
        return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))

    def is_struct(kind: Any) -> bool:
        if not kinds.is_struct(kind):
            return False
        at = kind.get_field_index("bytes")
        return at >= 0 and holds_bytes(kind.field(at).type)

    def is_label(kind: Any) -> bool:
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        return bool(kinds.is_integer(kind) or kinds.is_string(kind) or kinds.is_large_string(kind))

    structs = {f.name for f in schema if is_struct(f.type)}
    usable = [f.name for f in schema if f.name in structs or holds_bytes(f.type)]
    if not usable:
        there = ", ".join(f"{shown(f.name)} {f.type}"[:60] for f in list(schema)[:12])
        raise ReadError(
            name,
            f"it holds no column of encoded images, but {there or 'no column at all'}",
            "Write the files' bytes as a column 'image', plain or as a struct with 'bytes'",
        )
    said = [n for n in usable if features.get(n, {}).get("_type") == "Image"]
    image = _first(said or usable, IMAGE_NAMES, structs)
    labels = [f.name for f in schema if is_label(f.type)]
    classes = [n for n in labels if features.get(n, {}).get("_type") == "ClassLabel"]
    known = [n for n in labels if n.lower() in LABEL_NAMES]
    label = _first(classes or known, LABEL_NAMES, set()) if classes or known else None
    names = features[label].get("names") if label is not None and label in classes else None
    names = names if isinstance(names, list) else []
    return Columns(image, image in structs, label, tuple(shown(str(n)) for n in names))


def _first(names: list[str], order: tuple[str, ...], before: set[str]) -> str:
    ranks = {name: rank for rank, name in enumerate(order)}
    return min(names, key=lambda n: (n not in before, ranks.get(n.lower(), len(ranks))))


def _features(metadata: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {k: v for k, v in found.items() if isinstance(v, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    source = source.seekable(limits)
    file = _opened(source)
    try:
        columns = _columns_of(file.schema_arrow, source.name)
        groups = [file.metadata.row_group(at) for at in range(file.num_row_groups)]
        for group in groups:
            for at in range(group.num_columns):
                chunk = group.column(at)
                if chunk.path_in_schema.split(".")[0] in (columns.image, columns.label):
                    unpacked, packed = chunk.total_uncompressed_size, chunk.total_compressed_size
                    limits.refuse_ratio(source.name, unpacked, packed)
        ends = tuple(accumulate(group.num_rows for group in groups))
    except ReadError:
        raise
    except Exception as error:
        raise _damaged(source.name, error) from None
    finally:
        file.close(force=True)
    if not ends or not ends[-1]:
        raise ReadError(source.name, "the table has no rows", "Write the images into it")
    limits.refuse_images(source.name, ends[-1])
    run = TableRun(source, limits, columns, ends)
    said = f"{source.name}: {len(run):,} images from {shown(columns.image)!r}"
    if columns.label is not None:
        said += f", labels from {shown(columns.label)!r}"
    return Listing(runs=[run], notes=[said])


KIND = Kind(
    "parquet",
    "Parquet tables of encoded images, as of Hugging Face (.parquet)",
    (".parquet",),
    lambda source, head: head.startswith(MAGIC) or source.suffix == ".parquet",
    _list_images,
)
