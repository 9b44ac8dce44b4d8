"""A normalized set of any size in shards: NPZ files of so many images, or one Zarr array.

Images come one by one; one shard is in memory, and for Zarr about four times that while it is
packed. Beside the shards stands ``images.jsonl``: one line of JSON an image, in order.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from normviz.errors import NormvizError
from normviz.export.files import partial_name, plain, replacing
from normviz.export.pictures import npz_member, write_npz

LISTING = "images.jsonl"
ZARR = "normalized.zarr"


class Normalized(NamedTuple):
    """A normalized image with where it comes from; ``name`` is a plain one, made for it."""

    name: str
    path: str
    label: str | None
    notes: tuple[str, ...]
    values: np.ndarray


def write_npz_shards(
    folder: Path, images: Iterable[Normalized], per_shard: int
) -> list[dict[str, Any]]:
    """Write ``normalized-00000.npz`` and so on, and return what each holds.

    A shard has ``images`` float32 ``(N, H, W, C)`` where all of its images have one size, else one
    array an image by its name; and the texts ``paths`` and ``labels`` ("" without one) in order.
    As they are, not packed, as ``numpy.savez`` does: packing takes ten times as long as the rest.
    Nothing is written for no images.
    """
    shards: list[dict[str, Any]] = []
    groups = _groups(images, per_shard)
    first = next(groups, None)
    if first is None:
        return shards
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / LISTING) as listing:
        group: list[Normalized] | None = first
        del first
        while group is not None:
            name = f"normalized-{len(shards):05d}.npz"
            alike = len({one.values.shape for one in group}) == 1
            with replacing(folder / name) as stream:
                _write_shard(stream, group, alike)
            _list(listing, group, name, 0 if alike else None)
            shape = list(group[0].values.shape) if alike else None
            shards.append({"file": name, "images": len(group), "shape": shape})
            # Let go before the next one is read.
            group = None
            group = next(groups, None)
    return shards


def _write_shard(stream: BinaryIO, group: Sequence[Normalized], alike: bool) -> None:
    texts = [
        ("paths", np.array([plain(one.path) for one in group], np.str_)),
        ("labels", np.array([plain(one.label or "") for one in group], np.str_)),
    ]
    if not alike:
        write_npz(stream, [*((one.name, one.values) for one in group), *texts], packed=False)
        return
    shape = (len(group), *group[0].values.shape)
    with zipfile.ZipFile(stream, "w") as archive:
        # One after the other: a stacked copy would take the memory of another shard.
        with npz_member(archive, "images", packed=False) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )
            for one in group:
                member.write(np.ascontiguousarray(one.values, "<f4").data)
        for name, array in texts:
            with npz_member(archive, name, packed=False) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def write_zarr(folder: Path, images: Iterable[Normalized], per_shard: int) -> list[dict[str, Any]]:
    """Write the group ``normalized.zarr``, and return what it holds.

    ``images`` is one float32 array ``(N, H, W, C)``, a chunk an image, ``per_shard`` chunks a file
    (Zarr 3 sharding), packed by Zstandard, so that one image is read without the others.
    ``labels`` (int64) counts into the attribute ``label_names``; −1 without a label.

    Raises :class:`NormvizError` where Zarr is missing, or for images of several sizes.
    """
    try:
        import zarr
    except ImportError:
        raise NormvizError("--format zarr needs Zarr: pip install zarr.") from None
    groups = _groups(images, per_shard)
    first = next(groups, None)
    if first is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    shape = first[0].values.shape
    partial = partial_name(folder / ZARR)
    try:
        root = zarr.open_group(str(partial), mode="w", zarr_format=3)
        array = root.create_array(
            "images",
            shape=(0, *shape),
            chunks=(1, *shape),
            shards=(per_shard, *shape),
            dtype="float32",
        )
        kinds = root.create_array("labels", shape=(0,), chunks=(1 << 16,), dtype="int64")
        names: dict[str, int] = {}
        count = 0
        with replacing(folder / LISTING) as listing:
            group: list[Normalized] | None = first
            del first
            while group is not None:
                for one in group:
                    if one.values.shape != shape:
                        raise NormvizError(
                            f"{one.path}: it is {_text(one.values.shape)} and the first image "
                            f"{_text(shape)}; Zarr holds images of one size. Resize and crop in a "
                            "--pipeline, or choose --format npz."
                        )
                _list(listing, group, ZARR, count)
                numbers = [
                    -1 if one.label is None else names.setdefault(plain(one.label), len(names))
                    for one in group
                ]
                end = count + len(group)
                array.resize((end, *shape))
                array[count:end] = np.stack([one.values for one in group])
                kinds.resize((end,))
                kinds[count:end] = np.array(numbers)
                count, group = end, None
                group = next(groups, None)
            root.attrs["label_names"] = list(names)
            _move(partial, folder / ZARR)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return [{"file": ZARR, "array": "images", "images": count, "shape": list(shape)}]


def _move(partial: Path, path: Path) -> None:
    """Put a folder in the place of an older one; a link is replaced, never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
    os.replace(partial, path)


def _groups(images: Iterable[Normalized], size: int) -> Iterator[list[Normalized]]:
    stream = iter(images)
    while group := list(islice(stream, size)):
        yield group
        # Only the caller holds it now.
        del group


def _list(stream: BinaryIO, group: Sequence[Normalized], file: str, start: int | None) -> None:
    """``start``: the place of the first in the array ``images``; None: each has its own array."""
    for at, one in enumerate(group):
        where = (
            {"array": one.name, "at": None}
            if start is None
            else {"array": "images", "at": start + at}
        )
        entry = {"source": one.path, "label": one.label, "file": file, **where}
        entry |= {"shape": one.values.shape, "notes": one.notes}
        stream.write(json.dumps(entry).encode() + b"\n")


def _text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
