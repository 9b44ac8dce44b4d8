"""Files that take their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def partial_name(path: Path) -> Path:
    """Return a free name beside ``path`` for what is not complete yet."""
    # Not tempfile's: its files are for their owner only, and would stay so.
    return path.parent / f".normviz-{secrets.token_hex(8)}"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the name ``path`` when the block ends, and vanishes when it fails."""
    partial = partial_name(path)
    try:
        with partial.open("xb") as stream:
            yield stream
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write(path: Path, data: bytes) -> None:
    """Write a whole file, which is there as a whole or not at all."""
    with replacing(path) as stream:
        stream.write(data)


def plain(text: str) -> str:
    """Return text that UTF-8 can hold: bytes of a file name that are no text become escapes.

    >>> plain("caf\\udce9.png")
    'caf\\\\udce9.png'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
