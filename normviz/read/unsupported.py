"""Files that are refused on sight, each with the way out: pickles first, then foreign formats."""

from __future__ import annotations

from normviz.errors import ReadError
from normviz.read.limits import Limits
from normviz.read.source import Kind, Listing, Source

PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill", ".ckpt")
CIFAR_PICKLES = (
    *(f"data_batch_{i}" for i in range(1, 6)),
    "test_batch",
    "batches.meta",
    "train",
    "test",
    "meta",
)

RAW_SUFFIXES = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf")
_FOREIGN = {
    (".heic", ".heif"): ("a HEIC photo", "Export it as JPEG or PNG"),
    (".svg", ".svgz"): ("a drawing (SVG), not pixels", "Export it as PNG"),
    (".pdf", ".ps", ".eps", ".ai"): ("a document, not pixels", "Export its pages as PNG"),
    (".psd", ".xcf", ".kra"): ("a layered picture", "Export it as PNG or TIFF"),
    (".exr", ".hdr"): (
        "a radiance picture",
        "Convert it to a float TIFF or a float32 .npy file",
    ),
    RAW_SUFFIXES: (
        "a camera's raw file",
        "Develop it to a 16-bit TIFF or to JPEG",
    ),
    (".dcm", ".nii"): ("a medical picture", "Save its pixels as a 16-bit TIFF or a .npy file"),
    (".tga", ".ico", ".pcx", ".sgi", ".xpm", ".jxl", ".qoi"): (
        "a picture in a format that is not opened here",
        "Convert it to PNG",
    ),
    (".mp4", ".mov", ".avi", ".mkv", ".webm"): ("a video", "Save some of its frames as images"),
    (".mat", ".h5", ".hdf5"): (
        "a MATLAB or HDF5 file",
        "Save the array with numpy.savez(file, images=…, labels=…)",
    ),
    (".rar", ".7z", ".zst", ".lz4"): (
        "an archive of a kind that is not opened here",
        "Pack the files as .zip or .tar.gz",
    ),
    (".tfrecord", ".arrow", ".lmdb", ".rec"): (
        "a table of records",
        "Save the images as .npz, or as files in a .zip",
    ),
}
FOREIGN: dict[str, tuple[str, str]] = {
    suffix: said for suffixes, said in _FOREIGN.items() for suffix in suffixes
}

_FOREIGN_HEADS = (
    (b"Rar!", ".rar"),
    (b"7z\xbc\xaf", ".7z"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
    (b"%PDF", ".pdf"),
    (b"%!PS", ".ps"),
    (b"\x89HDF\r\n", ".h5"),
    (b"MATLAB 5.0", ".mat"),
    (b"8BPS", ".psd"),
    (b"v/1\x01", ".exr"),
    (b"#?RADIANCE", ".hdr"),
)


def looks_pickled(head: bytes, stem: str, suffix: str) -> bool:
    """Tell a Python pickle by its first bytes, its ending, or, unopened, a CIFAR batch's name.

    >>> looks_pickled(b"\\x80\\x04\\x95", "batch", "")
    True
    """
    protocol = len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5
    text = head.startswith((b"(dp", b"(lp", b"cnumpy", b"ccopy_reg", b"c__builtin__", b"cposix"))
    by_name = suffix in PICKLE_SUFFIXES or (not head and stem in CIFAR_PICKLES)
    return protocol or text or by_name


def refusal(source: Source, head: bytes | None = None) -> ReadError | None:
    """Return the error for a file of these kinds, None for any other; never opens the file."""
    if looks_pickled(head or b"", source.stem, source.suffix):
        remedy = "Save the arrays with numpy.savez, or pack the images as .zip"
        if source.stem in CIFAR_PICKLES or b"batch_label" in (head or b""):
            remedy = "Download the binary version of CIFAR (cifar-10-binary.tar.gz) instead"
        return ReadError(
            source.name, "it is a Python pickle, which can run code when opened", remedy
        )
    suffix = source.suffix if source.suffix in FOREIGN else ""
    for start, of in _FOREIGN_HEADS:
        if head and head.startswith(start):
            suffix = of
    if head and head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"hevc"):
        suffix = ".heic"
    if not suffix:
        return None
    what, remedy = FOREIGN[suffix]
    return ReadError(source.name, f"it is {what}", remedy)


def _recognises(source: Source, head: bytes) -> bool:
    return refusal(source, head) is not None


def _list_images(source: Source, limits: Limits, member: str | None) -> Listing:
    error = refusal(source, source.head())
    assert error is not None
    raise error


KIND = Kind(
    "unsupported",
    "Python pickles and foreign formats (refused)",
    (),
    _recognises,
    _list_images,
)
