"""What one visitor may ask of the machine: every bound of reading, in one place.

Anything larger is refused from its header, before it costs memory. The same numbers are shown on
screen (:meth:`Limits.sentences`) and set by environment variables (``NORMVIZ_MAX_…``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from normviz.errors import LimitError, ParameterError

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """The bounds of reading; bytes unless the name says otherwise.

    ``max_pixels_per_image``: height × width of one image.
    ``max_bytes_per_file``: one image file, on disk or after unpacking from an archive.
    ``max_files_per_archive``: members of an archive, directories included.
    ``max_images``: images in one array file or one folder.
    ``max_unpacked_bytes``: an archive after unpacking (it is read member by member, never to disk).
    ``max_ratio``: unpacked to packed bytes, looked at above ``ratio_applies_above`` unpacked bytes.
    ``max_memory_bytes``: arrays that have to be unpacked into memory as a whole; also what an app
    should keep of decoded images.
    ``max_whitening_bytes``: what fitting a whitening may take beside the images themselves.
    ``max_bytes_per_model``: one ONNX file (its format ends at 2 GB).
    ``max_model_memory_bytes``: what running a visitor's network may take, in its own process.
    ``max_model_seconds``: how long running it may take, in seconds.

    >>> Limits(max_pixels_per_image=1_000_000).max_pixels_per_image
    1000000
    """

    max_pixels_per_image: int = 64_000_000
    max_bytes_per_file: int = 200 * MEGABYTE
    max_files_per_archive: int = 100_000
    max_images: int = 2_000_000
    max_unpacked_bytes: int = 2048 * MEGABYTE
    max_ratio: int = 200
    ratio_applies_above: int = 16 * MEGABYTE
    max_memory_bytes: int = 256 * MEGABYTE
    max_whitening_bytes: int = 512 * MEGABYTE
    max_bytes_per_model: int = 512 * MEGABYTE
    max_model_memory_bytes: int = 2048 * MEGABYTE
    max_model_seconds: int = 120

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ParameterError(
                    f"The limit {item.name} must be a whole number of at least 1, got {value!r}."
                )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Limits:
        """Return the default limits with those that ``NORMVIZ_<NAME>`` variables replace.

        Raises :class:`ParameterError` that names a variable which is not a whole number above 0.

        >>> Limits.from_environment({"NORMVIZ_MAX_RATIO": "50"}).max_ratio
        50
        """
        environ = os.environ if environ is None else environ
        given: dict[str, int] = {}
        for item in fields(cls):
            variable = f"NORMVIZ_{item.name.upper()}"
            text = environ.get(variable, "").strip()
            if not text:
                continue
            try:
                given[item.name] = int(text)
            except ValueError:
                raise ParameterError(
                    f"The environment variable {variable} must be a whole number, got {text!r}. "
                    "Write it without a unit, for example 64000000."
                ) from None
            if given[item.name] < 1:
                raise ParameterError(
                    f"The environment variable {variable} must be at least 1, got {text!r}."
                )
        return cls(**given)

    def sentences(self) -> tuple[str, ...]:
        """Return the limits as plain sentences for the screen.

        >>> Limits().sentences()[0]
        'One image may have up to 64 megapixels.'
        """
        return (
            f"One image may have up to {self.max_pixels_per_image / 1e6:g} megapixels.",
            f"One image file may have up to {size_text(self.max_bytes_per_file)}.",
            f"One archive may hold up to {self.max_files_per_archive:,} files and "
            f"{size_text(self.max_unpacked_bytes)} after unpacking; it is never unpacked to disk.",
            f"Above {size_text(self.ratio_applies_above)} a file may unpack to at most "
            f"{self.max_ratio} times its packed size.",
            f"One array or folder may hold up to {self.max_images:,} images.",
            f"Arrays that have to be unpacked and images that are kept may take up to "
            f"{size_text(self.max_memory_bytes)} of memory.",
            f"Fitting a whitening may take up to {size_text(self.max_whitening_bytes)} of memory.",
            f"One ONNX model may have up to {size_text(self.max_bytes_per_model)}.",
            f"Running it may take up to {size_text(self.max_model_memory_bytes)} of memory and "
            f"{self.max_model_seconds} s.",
        )

    def refuse_pixels(self, name: str, width: int, height: int) -> None:
        """Raise :class:`LimitError` when an image of this size is too large to decode."""
        if width * height > self.max_pixels_per_image:
            raise LimitError(
                name,
                f"the image has {width} × {height} pixels ({width * height / 1e6:,.1f} "
                f"megapixels), the limit is {self.max_pixels_per_image / 1e6:g} megapixels",
                "Make it smaller, or raise NORMVIZ_MAX_PIXELS_PER_IMAGE",
            )

    def refuse_model_bytes(self, name: str, size: int) -> None:
        """Raise :class:`LimitError` when a network's file is too large to be opened."""
        if size > self.max_bytes_per_model:
            raise LimitError(
                name,
                f"the model has {size_text(size)}, the limit is "
                f"{size_text(self.max_bytes_per_model)}",
                "Use a smaller version of the network, or raise NORMVIZ_MAX_BYTES_PER_MODEL",
            )

    def refuse_file_bytes(self, name: str, size: int) -> None:
        """Raise :class:`LimitError` when one file is too large to be read into memory."""
        if size > self.max_bytes_per_file:
            raise LimitError(
                name,
                f"the file has {size_text(size)}, the limit is "
                f"{size_text(self.max_bytes_per_file)} a file",
                "Make it smaller, or raise NORMVIZ_MAX_BYTES_PER_FILE",
            )

    def refuse_memory(self, name: str, size: int) -> None:
        """Raise :class:`LimitError` when an array would take too much memory once unpacked."""
        if size > self.max_memory_bytes:
            raise LimitError(
                name,
                f"unpacking it takes {size_text(size)} of memory, the limit is "
                f"{size_text(self.max_memory_bytes)}",
                "Save fewer images or uint8 instead of floats, give the path of an uncompressed "
                ".npy file, or raise NORMVIZ_MAX_MEMORY_BYTES",
            )

    def refuse_whitening(self, name: str, size: int) -> None:
        """Raise :class:`LimitError` when fitting a whitening would take too much memory."""
        if size > self.max_whitening_bytes:
            raise LimitError(
                name,
                f"fitting takes {size_text(size)} of memory, the limit is "
                f"{size_text(self.max_whitening_bytes)}",
                "Choose a smaller side or fewer images, or raise NORMVIZ_MAX_WHITENING_BYTES",
            )

    def refuse_images(self, name: str, count: int) -> None:
        """Raise :class:`LimitError` when a source lists more images than are allowed."""
        if count > self.max_images:
            raise LimitError(
                name,
                f"it holds {count:,} images, the limit is {self.max_images:,}",
                "Split it, or raise NORMVIZ_MAX_IMAGES",
            )

    def refuse_ratio(self, name: str, unpacked: int, packed: int) -> None:
        """Raise :class:`LimitError` for the mark of an archive bomb: much out of almost nothing."""
        if unpacked > self.ratio_applies_above and unpacked > self.max_ratio * max(packed, 1):
            raise LimitError(
                name,
                f"{size_text(packed)} unpack to {size_text(unpacked)} or more, which is over "
                f"{self.max_ratio} times as much (the mark of an archive bomb)",
                "Pack it without compression, or raise NORMVIZ_MAX_RATIO if you trust it",
            )


def size_text(size: int) -> str:
    """Return a number of bytes in the unit that reads best.

    >>> size_text(200 * 2**20), size_text(1536), size_text(4)
    ('200 MB', '1.5 kB', '4 bytes')
    """
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:,.0f} {unit}" if value >= 100 or unit == "bytes" else f"{value:.3g} {unit}"
