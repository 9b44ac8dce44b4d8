"""One stream over gzip, bzip2 and xz that counts what comes out and never takes more than asked."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from normviz.errors import LimitError, ReadError
from normviz.read.limits import Limits, size_text

STEP = 64 * 1024
XZ_MEMORY = 128 * 2**20
_HEADS = {"gz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ\0"}
FORMS = tuple(_HEADS)


def form_of(head: bytes) -> str | None:
    """Return ``"gz"``, ``"bz2"`` or ``"xz"`` by the first bytes of a file, None for anything else.

    >>> form_of(b"BZh91AY")
    'bz2'
    """
    return next((form for form, start in _HEADS.items() if head.startswith(start)), None)


class _Codec(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Deflate:
    """zlib's decompressor with the interface of the other two."""

    def __init__(self) -> None:
        self._codec = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._codec.eof

    @property
    def needs_input(self) -> bool:
        return not self._codec.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._codec.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._codec.decompress(self._codec.unconsumed_tail + data, max_length)


_CODECS: dict[str, Callable[[], _Codec]] = {
    "gz": _Deflate,
    "bz2": bz2.BZ2Decompressor,
    # A declared dictionary of gigabytes is refused by the memory limit.
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY),
}


class Inflated(io.RawIOBase):
    """The unpacked bytes of a compressed file; seeking back starts over.

    Raises :class:`LimitError` as soon as more than ``max_unpacked_bytes`` or ``max_ratio`` come
    out, and :class:`ReadError` when the file is damaged or cut off.
    """

    def __init__(self, packed: BinaryIO, form: str, name: str, limits: Limits) -> None:
        super().__init__()
        self._packed, self._form, self._name, self._limits = packed, form, name, limits
        self._restart()

    def _restart(self) -> None:
        self._packed.seek(0)
        self._codec = _CODECS[self._form]()
        self._buffer = b""
        self._taken = 0  # of the buffer
        self._position = 0
        self._produced = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or position < 0:
            raise io.UnsupportedOperation("only absolute positions")
        if position > self._limits.max_unpacked_bytes:
            raise self._too_much()
        if position < self._position:
            self._restart()
        while self._position < position and self.read(min(STEP, position - self._position)):
            pass
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, fewer only at the end; ``size`` has to be given."""
        if size < 0:
            raise io.UnsupportedOperation("read a stated number of bytes")
        parts: list[bytes] = []
        while size:
            if self._taken >= len(self._buffer):
                self._buffer, self._taken = self._more(), 0
                if not self._buffer:
                    break
            part = self._buffer[self._taken : self._taken + size]
            parts.append(part)
            self._taken += len(part)
            self._position += len(part)
            size -= len(part)
        return b"".join(parts)

    def _more(self) -> bytes:
        while not self._ended:
            try:
                data = self._decompressed()
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise ReadError(
                    self._name,
                    f"its {self._form} compression is damaged ({str(error)[:100]})",
                    "Pack it again, or download it again if it was cut off",
                ) from None
            if data:
                self._produced += len(data)
                if self._produced > self._limits.max_unpacked_bytes:
                    raise self._too_much()
                self._limits.refuse_ratio(self._name, self._produced, self._packed.tell())
                return data
        return b""

    def _decompressed(self) -> bytes:
        codec = self._codec
        if codec.eof:
            # Several compressed streams may follow each other; zeros after the last are padding.
            rest = codec.unused_data or self._packed.read(STEP)
            while rest and not rest.strip(b"\0"):
                rest = self._packed.read(STEP)
            if not rest:
                self._ended = True
                return b""
            self._codec = _CODECS[self._form]()
            return self._codec.decompress(rest.lstrip(b"\0"), STEP)
        block = b""
        if codec.needs_input:
            block = self._packed.read(STEP)
        data = codec.decompress(block, STEP)
        if not data and not block and not codec.eof and codec.needs_input:
            raise EOFError("it ends too early")
        return data

    def _too_much(self) -> LimitError:
        return LimitError(
            self._name,
            f"it unpacks to more than {size_text(self._limits.max_unpacked_bytes)}",
            "Split it, or raise NORMVIZ_MAX_UNPACKED_BYTES",
        )

    def close(self) -> None:
        self._packed.close()
        super().close()
