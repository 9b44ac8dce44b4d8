"""CIFAR-10 and CIFAR-100 in their binary version: records of label bytes and 3×32×32 pixels.

CIFAR-10: one label byte (0–9); CIFAR-100: a coarse (0–19) and a fine (0–99) one, the fine one is
the label. Source: A. Krizhevsky's CIFAR page. Their Python version is a pickle and refused.
"""

from __future__ import annotations

import numpy as np

from normviz.errors import ReadError
from normviz.images import BYTE_RANGE
from normviz.read.arrays import ArrayRun, Storage
from normviz.read.limits import Limits
from normviz.read.source import Kind, Listing, Source

PIXELS = 3 * 32 * 32
CIFAR10_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CHECKED_RECORDS = 200


def _variant(source: Source, head: bytes) -> int | None:
    """Return the number of label bytes of a record, None when the file fits neither version."""
    for labels, bounds in ((1, (10,)), (2, (20, 100))):
        record = PIXELS + labels
        if source.size == 0 or source.size % record:
            continue
        sample = np.frombuffer(head[: len(head) // record * record], np.uint8)
        sample = sample.reshape(-1, record)[:, :labels]
        if sample.size and bool((sample < bounds).all()):
            return labels
    return None


def _recognises(source: Source, head: bytes) -> bool:
    return source.suffix == ".bin"


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    source = source.in_memory(limits)
    labels = _variant(source, source.head(CHECKED_RECORDS * (PIXELS + 2)))
    if labels is None:
        raise ReadError(
            source.name,
            f"its {source.size:,} bytes are no CIFAR records (label bytes and {PIXELS:,} pixels, "
            f"{PIXELS + 1:,} or {PIXELS + 2:,} bytes each)",
            "Give data_batch_1.bin of cifar-10-binary or train.bin of cifar-100-binary, unchanged",
        )
    record = PIXELS + labels
    count = source.size // record
    limits.refuse_images(source.name, count)
    if source.data is not None:
        table = np.frombuffer(source.data, np.uint8).reshape(count, record)
    else:
        assert source.path is not None
        try:
            table = np.memmap(source.path, np.uint8, "r", 0, (count, record))
        except (OSError, ValueError) as error:
            raise ReadError(
                source.name, f"it cannot be mapped ({error})", "Check that you may read it"
            ) from None
    numbers = table[:, labels - 1].tolist()
    if max(numbers) >= (10 if labels == 1 else 100):
        where = next(i for i, n in enumerate(numbers) if n >= (10 if labels == 1 else 100))
        raise ReadError(
            source.name,
            f"record {where} has the label {numbers[where]}, beyond the classes of CIFAR",
            "The file is damaged or no CIFAR batch: download it again",
        )
    names = CIFAR10_NAMES if labels == 1 else [str(i) for i in range(100)]
    images = table[:, labels:].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)
    run = ArrayRun(
        source.name,
        images,
        Storage(np.dtype(np.uint8), BYTE_RANGE),
        labels=[names[number] for number in numbers],
    )
    kind = "CIFAR-10" if labels == 1 else "CIFAR-100 (fine labels, by number)"
    return Listing(runs=[run], notes=[f"{source.name}: {count:,} images of {kind}, 32 × 32 RGB"])


KIND = Kind(
    "cifar",
    "CIFAR-10 and CIFAR-100, binary version (.bin)",
    (".bin",),
    _recognises,
    _list_images,
)
