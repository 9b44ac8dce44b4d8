"""Image files: through Pillow, and through OpenCV where Pillow would drop bits.

Only the formats of ``FORMATS`` are tried, none of which runs a program or a script. Sizes are
checked from the header before pixels are decoded. Whatever is done to the stored numbers is said
in the image's notes.
"""

from __future__ import annotations

import io
import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.TiffImagePlugin

from normviz.errors import LimitError, ReadError
from normviz.images import WORD_RANGE, Image, ValueRange
from normviz.read.arrays import checked_image, extent, float_range
from normviz.read.files import Files
from normviz.read.limits import Limits
from normviz.read.source import Kind, Listing, Origin, Run, Source, shown
from normviz.read.unsupported import RAW_SUFFIXES, refusal

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF")
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp",
    ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".jpf", ".avif",
)  # fmt: skip
KNOWN = "Use JPEG, PNG, WebP, TIFF, BMP, GIF or PPM"
AGAIN = "Copy or download it again"
_HEADS = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF8",
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF", b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cjP  \r\n",
)  # fmt: skip
_TURNS = {
    2: "mirrored left to right",
    3: "turned by 180°",
    4: "mirrored top to bottom",
    5: "mirrored along its diagonal",
    6: "turned clockwise by 90°",
    7: "mirrored along its other diagonal",
    8: "turned counter-clockwise by 90°",
}
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM = re.compile(rb"P([2356])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"(\d{1,9})\s")
_pillow_bound = threading.Lock()


class _Pixels(NamedTuple):
    """Decoded pixels, the range they are declared in (None: implied), and what was done."""

    values: np.ndarray
    value_range: ValueRange | None = None
    notes: tuple[str, ...] = ()


def decode(data: bytes, name: str, limits: Limits, label: str | None = None) -> Image:
    """Decode one image file from its bytes.

    The first frame is taken, the EXIF orientation applied, alpha dropped, palettes, CMYK, LAB and
    YCbCr turned into RGB, 16-bit and float pixels kept; one channel stays one channel.

    Raises :class:`LimitError` for too many pixels, :class:`ReadError` for anything unreadable.
    """
    if not data:
        raise ReadError(name, "the file is empty", AGAIN)
    limits.refuse_file_bytes(name, len(data))
    picture = _opened(data, name, limits)
    try:
        if picture is None:
            values, value_range, notes = _float_tiff(data, name, limits)
        else:
            # Pillow turns a TIFF by itself while loading it, and drops the tag.
            turned = _tag(picture, 274, 1) if picture.format == "TIFF" else None
            values, value_range, notes = _decoded(picture, data, name)
            if turned is None:
                values, said = _upright(picture, values)
            else:
                said = _turn_note(turned)
            notes = (*notes, *said, *_frames(picture), *_profile(picture))
    except ReadError:
        raise
    except Exception as error:
        raise _damaged(name, error) from None
    if values.dtype == np.uint16 and not any("bit" in note or "65535" in note for note in notes):
        notes = ("16 bits a channel, value range 0–65535", *notes)
    return checked_image(values, value_range, name, label, notes)


def _opened(data: bytes, name: str, limits: Limits) -> PIL.Image.Image | None:
    """Open a file as far as its header; None for a TIFF whose numbers Pillow does not know."""
    try:
        with _allowing(limits.max_pixels_per_image):
            picture = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        size = f"{int(found[1]) / 1e6:,.0f} megapixels" if found else "too many pixels"
        raise LimitError(
            name,
            f"the image declares {size}, the limit is "
            f"{limits.max_pixels_per_image / 1e6:g} megapixels",
            "Make it smaller, or raise NORMVIZ_MAX_PIXELS_PER_IMAGE",
        ) from None
    except PIL.UnidentifiedImageError:
        if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return None
        raise unknown(data, name) from None
    except Exception as error:  # plug-ins raise many types on damaged headers
        raise _damaged(name, error) from None
    limits.refuse_pixels(name, *picture.size)
    return picture


@contextmanager
def _allowing(pixels: int) -> Iterator[None]:
    """Lift Pillow's own bound while opening, only when ours is higher; ours is checked after."""
    bound = PIL.Image.MAX_IMAGE_PIXELS
    if bound is None or pixels <= bound:
        yield
        return
    with _pillow_bound:
        bound = PIL.Image.MAX_IMAGE_PIXELS
        PIL.Image.MAX_IMAGE_PIXELS = pixels
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = bound


def _decoded(picture: PIL.Image.Image, data: bytes, name: str) -> _Pixels:
    mode, depth = picture.mode, _depth(picture, data)
    if picture.format == "JPEG" and mode in ("RGB", "L"):
        values = _jpeg(picture, data)
        if values is not None:
            return _Pixels(values)
    picture.load()
    if depth > 8 and mode in ("RGB", "RGBA", "RGBX", "LA"):
        return _wide(picture, data, depth)
    if mode in ("I;16", "I;16B", "I;16L", "I;16N"):
        return _word(picture, depth)
    if mode == "I":
        return _whole(picture, data, depth)
    if mode == "F":
        return _fractions(np.asarray(picture))
    if mode == "1":
        grey = np.asarray(picture.convert("L"))
        return _Pixels(grey, None, ("1 bit a pixel, stored as 0 and 255",))
    if mode == "L":
        notes = _colour_key(picture)
        return _Pixels(np.asarray(picture), None, (*notes, *_scaled(data)))
    if mode == "RGB":
        said = (f"{depth} bits a channel reduced to 8",) if depth > 8 else ()
        notes = (*_colour_key(picture), *_scaled(data), *said)
        return _Pixels(np.asarray(picture), None, notes)
    return _converted(picture, mode, depth, name)


def _jpeg(picture: PIL.Image.Image, data: bytes) -> np.ndarray | None:
    """Decode a JPEG by OpenCV: the pixels that Pillow gives, three times as fast.

    None for one that OpenCV refuses, a cut-off one for example.
    """
    colour = cv2.IMREAD_COLOR_RGB if picture.mode == "RGB" else cv2.IMREAD_GRAYSCALE
    flags = colour | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    if values is None or values.shape[1::-1] != picture.size:
        return None
    return values


def _converted(picture: PIL.Image.Image, mode: str, depth: int, name: str) -> _Pixels:
    said = (f"{depth} bits a channel reduced to 8",) if depth > 8 else ()
    if mode in ("LA", "La"):
        values = np.asarray(picture.convert("LA") if mode == "La" else picture)
        return _Pixels(values[:, :, :1], None, (_alpha_note(values[:, :, 1], 255), *said))
    if mode in ("RGBA", "RGBa"):
        values = np.asarray(picture.convert("RGBA") if mode == "RGBa" else picture)
        return _Pixels(values[:, :, :3], None, (_alpha_note(values[:, :, 3], 255), *said))
    if mode in ("P", "PA"):
        notes = ("palette turned into RGB",)
        if mode == "PA" or "transparency" in picture.info:
            values = np.asarray(picture.convert("RGBA"))
            return _Pixels(values[:, :, :3], None, (*notes, _alpha_note(values[:, :, 3], 255)))
        return _Pixels(np.asarray(picture.convert("RGB")), None, notes)
    if mode == "CMYK":
        note = "CMYK turned into RGB by the plain formula, without its colour profile"
        return _Pixels(np.asarray(picture.convert("RGB")), None, (note, *said))
    if mode == "LAB":
        lab, srgb = PIL.ImageCms.createProfile("LAB"), PIL.ImageCms.createProfile("sRGB")
        converted = PIL.ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
        assert converted is not None
        return _Pixels(np.asarray(converted), None, ("CIELAB turned into sRGB", *said))
    if mode in ("YCbCr", "HSV", "RGBX"):
        note = f"{mode} turned into RGB"
        return _Pixels(np.asarray(picture.convert("RGB")), None, (note, *said))
    raise ReadError(name, f"its pixels are of the kind {mode}, which is not read", KNOWN)


def _wide(picture: PIL.Image.Image, data: bytes, depth: int) -> _Pixels:
    """More than 8 bits a channel in colour: Pillow keeps the high bytes only, OpenCV keeps all.

    OpenCV's result is believed only when its high bytes are Pillow's.
    """
    high = np.asarray(picture)
    grey = high.shape[2] == 2 or (picture.format == "PNG" and data[25] == 4)
    colours = 1 if grey else 3
    alpha = high[:, :, -1] if picture.mode in ("RGBA", "LA") else None
    notes: tuple[str, ...] = ()
    if picture.format in ("PNG", "TIFF") and depth == 16:
        safe = _bare_png(data) if picture.format == "PNG" else data
        words = cv2.imdecode(np.frombuffer(safe, np.uint8), cv2.IMREAD_UNCHANGED) if safe else None
        if words is not None and words.dtype == np.uint16 and words.ndim == 3:
            ordered = words[:, :, :1] if grey else words[:, :, 2::-1]
            if _high_bytes_are(high[:, :, :colours], ordered):
                if alpha is not None and words.shape[2] == 4:
                    notes = (_alpha_note(words[:, :, 3], 65535),)
                return _Pixels(np.ascontiguousarray(ordered), None, notes)
    if picture.format == "PPM" and data.startswith(b"P6"):
        return _wide_ppm(data, high.shape)
    if alpha is not None:
        notes = (_alpha_note(alpha, 255),)
    return _Pixels(high[:, :, :colours], None, (*notes, f"{depth} bits a channel reduced to 8"))


def _bare_png(data: bytes) -> bytes | None:
    """Return the PNG with nothing but its pixels in it, None when its chunks are not whole.

    OpenCV reserves what a chunk's length promises (2 GB tried) and unpacks text and profiles.
    """
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            return None
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            kept.append(data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    return None


def _high_bytes_are(high: np.ndarray, words: np.ndarray) -> bool:
    if words.shape != high.shape:
        return False
    rows = 256  # a few at a time: a copy of the whole could be half a gigabyte
    return all(
        np.array_equal(words[at : at + rows] // 256, high[at : at + rows])
        for at in range(0, len(high), rows)
    )


def _wide_ppm(data: bytes, shape: tuple[int, ...]) -> _Pixels:
    header = _PPM.match(data)
    assert header is not None
    count, top = math.prod(shape), int(header[4])
    words = np.frombuffer(data, ">u2", count, header.end()).reshape(shape)
    if top < 65535:
        # The same scaling as Pillow's for grey, with integers: round(v * 65535 / top).
        scaled = (np.minimum(words, top).astype(np.uint64) * 65535 * 2 + top) // (2 * top)
        return _Pixels(scaled.astype(np.uint16), None, _scaled(data))
    return _Pixels(words.astype(np.uint16))


def _word(picture: PIL.Image.Image, depth: int) -> _Pixels:
    words = np.asarray(picture).astype(np.uint16)
    notes: tuple[str, ...] = ()
    if picture.format == "JPEG2000" and depth != 16:
        notes = (f"{depth} bits a pixel shifted to 16",)
    elif 8 < depth < 16:
        notes = (f"{depth} bits a pixel kept as they are, in a value range of 0–65535",)
    if picture.format == "TIFF" and _tag(picture, 262, 1) == 0:
        # Pillow inverts "white is zero" for 8 bits and not for 16.
        top = 2**depth - 1 if 8 < depth <= 16 else 65535
        words = np.clip(top - words.astype(np.int32), 0, 65535).astype(np.uint16)
        notes = (*notes, "inverted, because white is zero in this file")
    return _Pixels(words, None, notes)


def _whole(picture: PIL.Image.Image, data: bytes, depth: int) -> _Pixels:
    """Pillow's 32-bit whole numbers: 16-bit PGM, signed or 32-bit TIFF."""
    values = np.asarray(picture)
    if picture.format == "TIFF" and depth == 32 and _tag(picture, 339, 1) == 1:
        values = values.view(np.uint32)
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= 65535:
        notes: tuple[str, ...] = ()
        if picture.format == "TIFF":
            notes = (f"{depth}-bit whole numbers within 0–65535 stored as uint16",)
        elif picture.format == "PPM":
            notes = _scaled(data)
        return _Pixels(values.astype(np.uint16), None, notes)
    value_range = ValueRange(float(low), float(max(high, low + 1)))
    note = f"whole numbers {low} to {high} stored as float32, value range taken as their own"
    if max(abs(low), abs(high)) > 2**24:
        note += " (float32 holds whole numbers exactly up to 16,777,216 only)"
    return _Pixels(values.astype(np.float32), value_range, (note,))


def _fractions(values: np.ndarray) -> _Pixels:
    low, high = extent(values)
    if low >= 0 and high <= 1:
        return _Pixels(values, ValueRange(0.0, 1.0), ("float values, value range taken as 0–1",))
    # Unlike arrays, a lone float picture says nothing about a convention: its own range is taken.
    if low == high:
        value_range, said = float_range(low, high)
        return _Pixels(values, value_range, (said,))
    note = f"float values {low:g} to {high:g}, value range taken as its own lowest to highest"
    return _Pixels(values, ValueRange(float(low), float(high)), (note,))


def _float_tiff(data: bytes, name: str, limits: Limits) -> _Pixels:
    """A TIFF of numbers that Pillow does not know, such as float RGB: OpenCV decodes it."""
    prefix = data[:16] if data[2:3] in (b"+", b"\0") and b"+" in data[2:4] else data[:8]
    stream = io.BytesIO(data)
    try:
        tags = PIL.TiffImagePlugin.ImageFileDirectory_v2(prefix)
        stream.seek(tags.next)
        tags.load(stream)
        width, height = int(tags[256]), int(tags[257])
        # Tiles are decoded whole, so a tile counts like an image.
        tile = (int(tags.get(322, 1)), int(tags.get(323, 1)))
        bits = tags.get(258, 1)
        if int(tags.get(277, 1)) > 4 or max(bits if isinstance(bits, tuple) else (bits,)) > 64:
            raise ValueError("more than 4 channels or 64 bits")
    except Exception as error:
        raise _damaged(name, error) from None
    for side in ((width, height), tile, (width, int(tags.get(323, 1)))):
        limits.refuse_pixels(name, *side)
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    turn = tags.get(274, 1)
    if turn in (5, 6, 7, 8):
        width, height = height, width  # OpenCV turns it
    if values is None or values.shape[:2] != (height, width):
        raise ReadError(
            name,
            "it is a TIFF of a kind that is not read, or damaged",
            "Save it as 8- or 16-bit PNG, as a float32 TIFF or as a .npy file",
        )
    notes = _turn_note(turn)
    if values.ndim == 3 and values.shape[2] == 4:
        top = 256**values.dtype.itemsize - 1 if values.dtype.kind == "u" else 1
        notes = (*notes, _alpha_note(values[:, :, 3], top))
    if values.ndim == 3:
        values = np.ascontiguousarray(values[:, :, 2::-1])
    if values.dtype in (np.uint8, np.uint16):
        return _Pixels(values, None, notes)
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if low >= 0 and high <= 65535:
            said = f"{values.dtype.name} within 0–65535 stored as uint16"
            return _Pixels(values.astype(np.uint16), WORD_RANGE, (*notes, said))
    elif values.dtype == np.float64:
        notes = (*notes, "float64 stored as float32")
    single, value_range, said_too = _fractions(values.astype(np.float32))
    return _Pixels(single, value_range, (*notes, *said_too))


def _upright(picture: PIL.Image.Image, values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn pixels as the EXIF orientation asks."""
    try:
        turn = int(picture.getexif().get(274, 1))
    except Exception:  # a damaged EXIF block costs no image
        return values, ("its EXIF block is damaged and was passed over",)
    if turn in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if turn in (2, 3, 6, 7):
        values = values[:, ::-1]
    if turn in (3, 4, 7, 8):
        values = values[::-1]
    return values, _turn_note(turn)


def _turn_note(turn: int) -> tuple[str, ...]:
    return (f"{_TURNS[turn]}, as its EXIF orientation ({turn}) asks",) if turn in _TURNS else ()


def _frames(picture: PIL.Image.Image) -> tuple[str, ...]:
    try:
        frames = int(getattr(picture, "n_frames", 1))
    except Exception:  # a later frame is damaged; the first one is already decoded
        return ("frame 1 of several (a later one is damaged)",)
    word = "page" if picture.format == "TIFF" else "frame"
    return (f"{word} 1 of {frames}",) if frames > 1 else ()


def _profile(picture: PIL.Image.Image) -> tuple[str, ...]:
    profile = picture.info.get("icc_profile")
    if not profile:
        return ()
    try:
        opened = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
        said = PIL.ImageCms.getProfileDescription(opened).strip()
    except Exception:
        said = "unreadable"
    if "srgb" in said.lower():
        return ()
    return (f"colour profile “{shown(said)[:60]}” not applied, numbers as stored",)


def _alpha_note(alpha: np.ndarray, opaque: int) -> str:
    count = int(np.count_nonzero(alpha != opaque))
    if not count:
        return "alpha dropped (every pixel is opaque)"
    share = 100 * count / alpha.size
    text = f"{share:.0f}" if share >= 1 else "under 1"
    return f"alpha dropped, colours as stored ({text} % of the pixels are not opaque)"


def _colour_key(picture: PIL.Image.Image) -> tuple[str, ...]:
    if "transparency" not in picture.info:
        return ()
    return ("one colour is marked transparent and was kept",)


def _depth(picture: PIL.Image.Image, data: bytes) -> int:
    """Return the bits of a channel as the file declares them, 8 when it does not say."""
    if picture.format == "PNG" and data[12:16] == b"IHDR":
        return data[24]
    if picture.format == "TIFF":
        bits = getattr(picture, "tag_v2", {}).get(258, 8)
        return max(bits) if isinstance(bits, tuple) else int(bits)
    if picture.format == "PPM":
        top = _ppm_top(data)
        return max(8, top.bit_length()) if top else 8
    if picture.format == "JPEG2000":
        at = data.find(b"\xff\x4f\xff\x51")
        # SIZ marker: 36 bytes on, the number of components, then three bytes each.
        return (data[at + 42] & 0x7F) + 1 if 0 <= at < len(data) - 43 else 8
    if picture.format == "AVIF":
        at = data.find(b"pixi", 0, 65536)
        return data[at + 9] if 0 <= at < len(data) - 10 else 8
    return 8


def _ppm_top(data: bytes) -> int | None:
    """Return the highest level that the header of a PGM or PPM declares."""
    found = _PPM.match(data)
    return int(found[4]) if found else None


def _scaled(data: bytes) -> tuple[str, ...]:
    top = _ppm_top(data)
    if top is None or top in (255, 65535):
        return ()
    return (f"levels 0–{top} scaled to 0–{255 if top < 256 else 65535}",)


def _tag(picture: PIL.Image.Image, tag: int, default: int) -> int:
    value = getattr(picture, "tag_v2", {}).get(tag, default)
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int) else default


def _damaged(name: str, error: Exception) -> ReadError:
    text = shown(str(error).split("\n")[0].rstrip(".")[:120])
    if isinstance(error, EOFError) or re.search("truncat|broken data|incomplete|early", text):
        return ReadError(name, "the image is cut off or damaged in the middle", AGAIN)
    return ReadError(name, f"the image is damaged ({text or type(error).__name__})", AGAIN)


def unknown(data: bytes, name: str) -> ReadError:
    head = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
    if head[:1] == b"<":
        return ReadError(name, "it is a web page or XML, not an image", "Download the image itself")
    if not head.strip(b"\0"):
        return ReadError(name, "it starts with zeros only, not like an image", AGAIN)
    try:
        text = head[:24].decode("ascii")
        if text.isprintable():
            return ReadError(name, f"it is text (“{text}…”), not an image", KNOWN)
    except UnicodeDecodeError:
        pass
    if is_image(data[:64]):
        return ReadError(name, "the image is cut off or damaged at its start", AGAIN)
    return ReadError(
        name, f"it is not an image that is read here (it starts with {data[:8].hex(' ')})", KNOWN
    )


@dataclass(frozen=True, eq=False)
class FileRun(Run):
    """Image files, one image each."""

    sources: Sequence[Source]
    limits: Limits
    labels: Sequence[str | None]
    origin: Origin | None = None

    @property
    def held(self) -> int:  # type: ignore[override]
        if isinstance(self.sources, Files):
            return 0
        return sum(source.held for source in self.sources)

    def folder_names(self) -> Iterator[str | None]:
        """Yield the name of the folder that each file lies in, None at the root."""
        if isinstance(self.sources, Files):
            return self.sources.folder_names()
        return (s.inner[-2] if len(s.inner) > 1 else None for s in self.sources)

    def __len__(self) -> int:
        return len(self.sources)

    def path(self, index: int) -> str:
        return self.sources[index].name

    def label(self, index: int) -> str | None:
        return self.labels[index]

    def image(self, index: int) -> Image:
        source = self.sources[index]
        return decode(source.content(self.limits), source.name, self.limits, self.labels[index])


def is_image(head: bytes) -> bool:
    """Tell an image file of a known format by its first bytes.

    >>> is_image(b"GIF89a")
    True
    """
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    avif = head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis")
    return head.startswith(_HEADS) or webp or avif


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    head = source.head()
    # A camera's raw file is a TIFF to look at, but only its small preview would be read.
    error = refusal(source, head) if not is_image(head) or source.suffix in RAW_SUFFIXES else None
    if error is not None:
        raise error
    if source.size == 0:
        raise ReadError(source.name, "the file is empty", AGAIN)
    return Listing(runs=[FileRun((source,), limits, (None,))])


def check_header(source: Source, limits: Limits) -> None:
    """Open one image as far as its header, to refuse what is none or is too large at once."""
    if not source.size:
        raise ReadError(source.name, "the file is empty", AGAIN)
    _opened(source.content(limits), source.name, limits)


KIND = Kind(
    "image",
    "images (JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000, AVIF)",
    SUFFIXES,
    lambda source, head: is_image(head) or source.suffix in SUFFIXES,
    _list_images,
)
