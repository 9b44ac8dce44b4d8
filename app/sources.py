"""The visitor's choice of images, as one collection: bundled samples or uploaded files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from posixpath import commonpath, dirname
from typing import Any

import streamlit as st

from app import keys
from app.cached import MEAN_IMAGE_SIDE, known, remembered
from app.controls import choice, menu
from normviz.errors import ReadError
from normviz.images import Image, as_rgb
from normviz.read import Limits, Photos, Upload, read
from normviz.samples import SAMPLE_SETS, SAMPLES, load_sample
from normviz.statistics import DatasetStatistics, scan, scanned

SOURCES = {"samples": "Sample photos", "upload": "My files"}

# Up to this many images are scanned without a progress bar.
_SCANNED_AT_ONCE = 24

# Up to this many images are looked at for NaN, truncation and the like before the first picture.
_DECODED_AT_ONCE = 24


@dataclass(frozen=True, eq=False)
class Collection:
    """Images by number, decoded when they are asked for, with what to say about them."""

    key: str
    title: str
    photos: Sequence[Image] | Photos
    titles: Sequence[str]
    nights: dict[int, int] = field(default_factory=dict)
    """Which image is the night version of which."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.titles)

    def image(self, index: int) -> Image:
        """Return one decoded image; raises :class:`ReadError` for an unreadable one."""
        return remembered(("image", self.key, index), lambda: self.photos[index])

    @property
    def problems(self) -> list[Any]:
        return list(getattr(self.photos, "problems", ()))


def samples(name: str) -> Collection:
    """A named set of bundled photos."""
    names = SAMPLE_SETS[name]
    scenes = {(SAMPLES[key].scene, SAMPLES[key].role): at for at, key in enumerate(names)}
    nights = {
        at: scenes[scene, "night"]
        for (scene, role), at in scenes.items()
        if role == "day" and (scene, "night") in scenes
    }
    photos = remembered(("samples", name), lambda: [load_sample(key) for key in names])
    titles = [SAMPLES[key].title for key in names]
    return Collection(f"samples:{name}", f"sample photos “{name}”", photos, titles, nights)


def one_sample(key: str) -> Collection:
    """A set of one bundled photo."""
    photos = remembered(("sample", key), lambda: [load_sample(key)])
    title = SAMPLES[key].title
    return Collection(f"sample:{key}", f"the sample photo “{title}”", photos, [title])


def uploaded(files: Sequence[Any]) -> Collection | None:
    """What was uploaded, read under the limits; None before anything is."""
    if not files:
        return None
    uploads = [Upload(file.name, file.getvalue()) for file in files]
    state = blake2b(digest_size=16)
    for upload in uploads:
        state.update(f"{len(upload.name)}:{upload.name}:{len(upload.data)}:".encode())
        state.update(upload.data)
    key = f"upload:{state.hexdigest()}"
    photos = _opened(key, uploads)
    what = "your file" if len(uploads) == 1 else f"your {len(uploads)} files"
    return Collection(key, what, photos, short_titles(photos.paths), notes=photos.notes)


def short_titles(paths: Sequence[str]) -> Sequence[str]:
    """Return the paths without the folders that all of them share.

    >>> short_titles(["set.zip/train/cat/1.png", "set.zip/train/dog/1.png"])
    ['cat/1.png', 'dog/1.png']
    >>> short_titles(["set.zip/cat/1.png"])
    ['1.png']
    """
    folders = [dirname(path) for path in paths]
    shared = commonpath(folders) if folders else ""
    return [path[len(shared) :].lstrip("/") if shared else path for path in paths]


def _opened(key: str, uploads: Sequence[Upload]) -> Photos:
    """Open the uploads once a session; the lister keeps what could not be read."""
    kept = st.session_state.setdefault("opened", {})
    if key not in kept:
        # One set a widget is enough to keep; older ones would hold their bytes for nothing.
        for old in list(kept)[:-1]:
            del kept[old]
        photos = read(uploads, limits=Limits.from_environment())
        if len(photos) <= _DECODED_AT_ONCE:
            # So that what is wrong with a file is said at once, not when its page is turned to.
            for index in range(len(photos)):
                try:
                    remembered(("image", key, index), lambda at=index: photos[at])
                except ReadError:
                    continue
        kept[key] = photos
    return kept[key]


def pick_source() -> tuple[Collection, bool]:
    """Draw the source picker; return what is chosen, and whether files are still waited for.

    Until something is uploaded the sample photos stand in, so that the page is never empty.
    """
    kind = choice(keys.SOURCE, "Images", SOURCES, "Bundled photos, or files of your own.")
    if kind == "samples":
        names = {name: name for name in SAMPLE_SETS}
        return samples(menu(keys.SAMPLE_SET, "Photo set", names)), False
    collection = uploaded(uploader(keys.UPLOAD, "Upload images or a dataset"))
    with st.expander("Limits"):
        st.markdown("\n".join(f"- {s}" for s in Limits.from_environment().sentences()))
    # Not "or": a collection in which nothing could be read is empty, and has that to say.
    if collection is None:
        return samples(keys.SAMPLE_SET.default), True
    return collection, False


def uploader(key: keys.Key, label: str) -> list[Any]:
    return st.file_uploader(
        label,
        accept_multiple_files=True,
        key=key.name,
        help="Images (JPEG, PNG, WebP, TIFF, …), a zip or tar of images (class folders become "
        "labels), .npy, .npz, IDX or CIFAR binary files. They are kept in this server's memory "
        "and dropped with the session.",
    )


@dataclass(frozen=True, eq=False)
class Numbers:
    """What dataset-scope methods are fitted on, with a key for caches and words for the screen."""

    key: str
    value: Any
    words: str
    collection: Collection | None = None
    """The images that the numbers are of; None for published constants."""

    @property
    def channels(self) -> int:
        return self.value.channels


def statistics_numbers(collection: Collection) -> Numbers | None:
    """Scan a collection (with progress when it is long) and return its statistics."""
    count = len(collection)
    key = ("scan", collection.key)
    stats: DatasetStatistics | None = known(key)
    if stats is None:
        stats = _scanned(collection) if count > _SCANNED_AT_ONCE else _scan_few(collection)
    if stats is None or not stats.images:
        return None
    part = "" if stats.images + stats.unreadable >= count else f" of {count:,}"
    plural = "image" if stats.images == 1 else "images"
    words = f"{stats.images:,}{part} {plural} of {collection.title}, as loaded"
    return Numbers(f"{collection.key}:{stats.images}", stats, words, collection)


def _scan_few(collection: Collection) -> DatasetStatistics:
    readable = []
    for index in range(len(collection)):
        try:
            readable.append(collection.image(index))
        except ReadError:
            continue
    return remembered(
        ("scan", collection.key), lambda: scanned(readable, mean_image=MEAN_IMAGE_SIDE)
    )


def _scanned(collection: Collection) -> DatasetStatistics | None:
    """Scan with a bar; "Stop" keeps what was read so far as the (labelled) numbers."""
    stopped = st.session_state.setdefault("scan_stopped", {})
    if collection.key in stopped:
        return stopped[collection.key]
    place = st.empty()
    box = place.container()
    partial: DatasetStatistics | None = None

    def stop() -> None:
        stopped[collection.key] = st.session_state.get("scan_partial")

    box.button("Stop here", key="stop_scan", on_click=stop, help="Use the images read so far.")
    bar = box.progress(0.0, text="Reading the dataset…")
    count = len(collection)
    for partial in scan(collection.photos, mean_image=MEAN_IMAGE_SIDE):
        st.session_state["scan_partial"] = partial
        # Files that were refused before decoding are no part of the count.
        done = min(count, partial.images + partial.unreadable)
        bar.progress(min(1.0, done / count), text=f"Statistics: {done:,} of {count:,} images")
    place.empty()
    if partial is None:
        return None
    final = partial
    return remembered(("scan", collection.key), lambda: final)


def matched(image: Image, numbers: Numbers | None) -> Image:
    """Repeat a grey image into RGB where the numbers to use on it are of colour images."""
    if numbers is not None and numbers.channels == 3 and image.channels == 1:
        return remembered(("rgb", image.digest), lambda: as_rgb(image))
    return image
