"""NumPy's files: ``.npy`` (memory-mapped when it lies on disk) and ``.npz``, never a pickle.

A header's promise (shape × bytes of a number) is compared with the bytes that are there before
anything is allocated.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy_format

from normviz.errors import ReadError
from normviz.read.archive import open_zip, unpacked_member
from normviz.read.arrays import (
    array_run,
    refuse_dtype,
    refuse_empty,
    refuse_promise,
    with_labels,
)
from normviz.read.limits import Limits
from normviz.read.source import Kind, Listing, Problem, Source, shown

NPY_MAGIC = b"\x93NUMPY"
HEADER_BYTES = 20_000
IMAGE_NAMES = (
    "images", "image", "x", "data", "arr_0", "xtr", "x_train", "xtrain", "train_x",
    "train_images", "images_train", "imgs", "pixels", "features", "xte", "x_test", "xtest",
    "test_images",
)  # fmt: skip
LABEL_NAMES = (
    "labels", "label", "y", "targets", "target", "arr_1", "ytr", "y_train", "ytrain", "train_y",
    "train_labels", "labels_train", "classes",
)  # fmt: skip
CLASS_NAMES = ("names", "class_names", "label_names", "classes", "categories", "target_names")


@dataclass(frozen=True)
class Header:
    """What an ``.npy`` file says of itself before its numbers start at ``offset``."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    offset: int

    @property
    def order(self) -> Literal["C", "F"]:
        return "F" if self.fortran_order else "C"

    @property
    def promised(self) -> int:
        # Python's integers: the product of a hostile shape overflows NumPy's.
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(head: bytes, name: str) -> Header:
    """Parse the header of an ``.npy`` file from its first bytes.

    Raises :class:`ReadError` for another or damaged header.
    """
    stream = io.BytesIO(head)
    try:
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            shape, fortran_order, dtype = npy_format.read_array_header_1_0(stream)
        else:
            # Version 3 differs from 2 in the encoding of field names only, and those are refused.
            shape, fortran_order, dtype = npy_format.read_array_header_2_0(stream)
        if not all(isinstance(side, int) and side >= 0 for side in shape):
            raise ValueError(f"shape {shape}")
    except Exception as error:  # whatever a hostile header makes NumPy's parser raise
        raise ReadError(
            name,
            f"its NumPy header is damaged ({_first_line(error)})",
            "Save it again with numpy.save",
        ) from None
    return Header(tuple(map(int, shape)), bool(fortran_order), dtype, stream.tell())


def read_npy(source: Source, limits: Limits) -> np.ndarray:
    """Return the array of an ``.npy`` file, read-only: mapped from disk, or over its bytes."""
    source = source.in_memory(limits)
    header = _usable_header(source.head(HEADER_BYTES), source.size, source.name)
    order = header.order
    if source.path is not None:
        try:
            return np.memmap(
                source.path, header.dtype, "r", header.offset, header.shape, order=order
            )
        except (OSError, ValueError) as error:
            raise ReadError(
                source.name,
                f"it cannot be mapped into memory ({_first_line(error)})",
                "Check that you may read it",
            ) from None
    assert source.data is not None
    count = math.prod(header.shape)
    flat = np.frombuffer(source.data, header.dtype, count, header.offset)
    return flat.reshape(header.shape, order=order)


def _usable_header(head: bytes, size: int, name: str) -> Header:
    header = read_header(head, name)
    refuse_dtype(header.dtype, name)
    refuse_empty(header.shape, name)
    refuse_promise(header.promised, size - header.offset, name)
    return header


def _list_npy(source: Source, limits: Limits, member: str | None) -> Listing:
    run, notes = array_run(read_npy(source, limits), source.name, limits)
    return Listing(runs=[run], notes=list(notes))


@dataclass(frozen=True)
class _Member:
    """One array of an ``.npz`` file, by its key and header; its numbers are not read yet."""

    key: str
    info: zipfile.ZipInfo
    header: Header


def _list_npz(source: Source, limits: Limits, member: str | None) -> Listing:
    source = source.in_memory(limits)
    with open_zip(source, limits) as bundle:
        arrays, problems = _members(bundle, source.name, limits)
        chosen, others = _chosen(arrays, member, problems, source.name)
        array = _array(bundle, chosen, source.name, limits)
        name = f"{source.name}/{chosen.key}"
        run, notes = array_run(array, name, limits)
        labels, said, wrong = _labels(bundle, chosen, arrays, len(run), source.name, limits)
    problems += wrong
    if labels is not None:
        run = with_labels(run, labels)
    listing = Listing(runs=[run], problems=problems, notes=[*notes, *said])
    if others:
        listing.notes.append(
            f"{source.name}: {chosen.key!r} is shown; it also holds images in "
            f"{', '.join(repr(other.key) for other in others)} (choose one with member=…)"
        )
    return listing


def _members(
    bundle: zipfile.ZipFile, name: str, limits: Limits
) -> tuple[list[_Member], list[Problem]]:
    found: list[_Member] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for info in bundle.infolist():
        path = f"{name}/{shown(info.filename)}"
        key = shown(PurePosixPath(info.filename).name)
        if not key.endswith(".npy"):
            continue
        key = key.removesuffix(".npy")
        if key in seen:
            problems.append(
                Problem(path, "there is another array of this name", "Give each its own name")
            )
            continue
        seen.add(key)
        try:
            head = unpacked_member(bundle, info, path, limits, HEADER_BYTES)
            header = read_header(head, path)
            if header.dtype.hasobject:
                refuse_dtype(header.dtype, path)
            refuse_promise(header.promised, info.file_size - header.offset, path)
        except ReadError as error:
            problems.append(Problem.of(error))
            continue
        found.append(_Member(key, info, header))
    return found, problems


def _chosen(
    arrays: list[_Member], member: str | None, problems: list[Problem], name: str
) -> tuple[_Member, list[_Member]]:
    """Return the array to show and the other ones that could be shown."""
    if member is not None:
        for array in arrays:
            if array.key == member.removesuffix(".npy"):
                return array, []
        for problem in problems:
            if problem.path == f"{name}/{member.removesuffix('.npy')}.npy":
                raise ReadError(*problem)
        raise ReadError(
            name,
            f"it holds no array {member!r}",
            f"Choose one of {', '.join(array.key for array in arrays) or 'none'}",
        )
    numeric = [a for a in arrays if a.header.dtype.kind in "buif"]
    images = [a for a in numeric if len(a.header.shape) in (3, 4) and _holds(a)]
    if not images:
        images = [a for a in numeric if len(a.header.shape) == 2 and min(a.header.shape) > 1]
        images = [a for a in images if a.key.lower() not in LABEL_NAMES][:1]
    if not images and len(problems) == 1:
        raise ReadError(*problems[0])
    if not images:
        there = ", ".join(f"{a.key} {a.header.shape}" for a in arrays) or "no array at all"
        if problems:
            there += f" ({len(problems)} more cannot be read)"
        raise ReadError(
            name,
            f"it holds no array of images, but {there}",
            "Save the images as (images, height, width) or (images, height, width, 3) "
            "under the name 'images'",
        )
    ranks = {key: rank for rank, key in enumerate(IMAGE_NAMES)}
    first = min(images, key=lambda a: ranks.get(a.key.lower(), len(ranks)))
    return first, [a for a in images if a is not first]


def _holds(array: _Member) -> bool:
    return 0 not in array.header.shape


def _array(bundle: zipfile.ZipFile, member: _Member, name: str, limits: Limits) -> np.ndarray:
    """Read one array of the bundle, under the limits; nothing is allocated on its word alone."""
    path = f"{name}/{member.key}"
    refuse_empty(member.header.shape, path)
    size = member.header.offset + member.header.promised
    limits.refuse_memory(path, size)
    data = unpacked_member(bundle, member.info, path, limits, size)
    refuse_promise(member.header.promised, len(data) - member.header.offset, path)
    count = math.prod(member.header.shape)
    flat = np.frombuffer(data, member.header.dtype, count, member.header.offset)
    return flat.reshape(member.header.shape, order=member.header.order)


def _labels(
    bundle: zipfile.ZipFile,
    chosen: _Member,
    arrays: list[_Member],
    count: int,
    name: str,
    limits: Limits,
) -> tuple[Sequence[str] | None, list[str], list[Problem]]:
    """Find the labels that belong to an array of images, and the names of the classes."""
    expected = _label_names_of(chosen.key.lower())
    ranks = {key: rank for rank, key in enumerate((*expected, *LABEL_NAMES))}
    fitting = [
        a
        for a in arrays
        if a is not chosen and count > 1 and _could_be(a, count, a.key.lower() in ranks)
    ]
    if not fitting:
        # Of one image alone nobody asks for the label.
        named = [a for a in arrays if a is not chosen and a.key.lower() in ranks and count > 1]
        return None, [_unfitting(a, count, name) for a in named], []
    fitting.sort(key=lambda a: ranks.get(a.key.lower(), len(ranks)))
    first = fitting[0]
    if first.key.lower() not in ranks and len(fitting) > 1:
        return None, [f"{name}: several arrays could be the labels, none was taken"], []
    try:
        values, how = _one_each(_array(bundle, first, name, limits).reshape(count, -1))
        if values is None:
            return None, [_unfitting(first, count, name)], []
        names, from_key = _class_names(bundle, [a for a in arrays if a is not first], name, limits)
    except ReadError as error:
        return None, [], [Problem.of(error)]
    said = f"{name}: labels from {first.key!r}{how}"
    labels = ["" if value is None else _text(value) for value in values]
    numbers = [value for value in values if value is not None]
    if names and all(type(value) is int and 0 <= value < len(names) for value in numbers):
        labels = ["" if value is None else names[value] for value in values]
        said += f", class names from {from_key!r}"
    if len(numbers) < count:
        said += f"; {count - len(numbers)} of {count} have none (−1, NaN or no class)"
    return labels, [said], []


def _could_be(array: _Member, count: int, named: bool) -> bool:
    """Whether an array can hold a label an image; one of numbers that could be others by its name.

    Those are fractions, which may be whole with NaN for none, and a row of 0 and a single 1.
    """
    shape, kind = array.header.shape, array.header.dtype.kind
    if shape in ((count,), (count, 1)):
        return kind in "biuUS" or (kind == "f" and named)
    return named and kind in "biuf" and len(shape) == 2 and shape[0] == count and shape[1] > 1


def _one_each(values: np.ndarray) -> tuple[list[Any] | None, str]:
    """Return a whole number or name for each row ``(N, 1 or K)``, None for no label; and how.

    No label are NaN, a row of zeros, and −1 beside two whole numbers or more from 0 on. All is None
    where the rows hold anything else.
    """
    if values.shape[1] > 1:
        if not np.isin(values, (0, 1)).all() or (values.sum(axis=1, dtype=np.float64) > 1).any():
            return None, ""
        given = (values != 0).sum(axis=1).tolist()
        places = values.argmax(axis=1).tolist()
        return [p if has else None for p, has in zip(places, given, strict=True)], ", a 1 a row"
    column = values[:, 0]
    if column.dtype.kind == "f":
        known = column[~np.isnan(column)]
        if (np.abs(known) > 2**53).any() or (known % 1 != 0).any():
            return None, ""
        found = [None if math.isnan(value) else int(value) for value in column.tolist()]
    else:
        found = column.tolist()
    numbers = {v for v in found if type(v) is int}
    if min(numbers, default=0) == -1 and len(numbers) > 2:
        found = [None if v == -1 else v for v in found]
    return found, ""


def _unfitting(array: _Member, count: int, name: str) -> str:
    shape = " × ".join(map(str, array.header.shape)) or "one"
    return (
        f"{name}: {array.key!r} is not taken as labels; it holds {shape} values of type "
        f"{array.header.dtype} for {count} images, where one whole number or name an image is "
        "read, or a row with a single 1"
    )


def _label_names_of(key: str) -> list[str]:
    """Return what the labels of an image array are called when they follow its own name.

    >>> _label_names_of("x_train"), _label_names_of("train_images")
    (['y_train'], ['train_labels'])
    """
    swapped = [re.sub(r"^x", "y", key), re.sub(r"x$", "y", key), re.sub("images?", "labels", key)]
    return [other for other in swapped if other != key]


def _class_names(
    bundle: zipfile.ZipFile, arrays: list[_Member], name: str, limits: Limits
) -> tuple[list[str], str]:
    for array in arrays:
        if array.key.lower() not in CLASS_NAMES or array.header.dtype.kind not in "US":
            continue
        if len(array.header.shape) == 1 and _holds(array):
            return [_text(v) for v in _array(bundle, array, name, limits).tolist()], array.key
    return [], ""


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return shown(str(value))


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].rstrip(".")
    return shown(text[:120]) or type(error).__name__


NPY = Kind(
    "npy",
    "NumPy arrays (.npy)",
    (".npy",),
    lambda source, head: head.startswith(NPY_MAGIC) or source.suffix == ".npy",
    _list_npy,
)
NPZ = Kind(
    "npz",
    "NumPy bundles (.npz) with images, labels and class names",
    (".npz",),
    lambda source, head: source.suffix == ".npz",
    _list_npz,
    takes_member=True,
)
