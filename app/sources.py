"""The visitor's choice of images, as one collection: bundled samples or uploaded files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from posixpath import commonpath, dirname
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import keys
from app.cached import MEAN_IMAGE_SIDE, known, remembered
from app.controls import choice, menu
from app.text import plain
from normviz.errors import ReadError
from normviz.images import Image, as_rgb
from normviz.observe.dataset import running_words, taken_words
from normviz.read import Limits, Photos, Upload, read
from normviz.read.some import some
from normviz.samples import LABELLED_SET, SAMPLE_FOLDER, SAMPLE_SETS, SAMPLES, load_sample
from normviz.statistics import DatasetStatistics, Pool, scan, scanned

SOURCES = {"samples": "Sample photos", "upload": "My files"}

LABELLED = "Scenes, 32 × 32 px, labelled"
"""The name of the bundled set that has labels."""

SETS = (*SAMPLE_SETS, LABELLED)

# Up to this many images are scanned without a progress bar.
_SCANNED_AT_ONCE = 24

# A bar that comes and goes at once only disturbs.
_BAR_AFTER = 0.6

# Images that a worker measures at a time: a stop is heard after them.
_IMAGES_A_PART = 8

# Which random order images are read in; any is as good.
_READING_SEED = 0

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
    whole: Collection | None = None
    """The collection that this one is some images of."""
    places: tuple[int, ...] = ()
    """Which images of ``whole`` these are."""

    def __len__(self) -> int:
        return len(self.titles)

    def image(self, index: int) -> Image:
        """Return one decoded image; raises :class:`ReadError` for an unreadable one."""
        if self.whole is not None:
            return self.whole.image(self.places[index])
        return remembered(("image", self.key, index), lambda: self.photos[index])

    def place(self, index: int) -> int:
        """Which image of the whole collection an image is."""
        return self.places[index] if self.whole is not None else index

    def path(self, index: int) -> str:
        """Where an image comes from."""
        if isinstance(self.photos, Photos):
            return self.photos.path(index)
        return self.photos[index].path

    def only(self, places: Sequence[int], title: str) -> Collection:
        """Some images of this collection, in its order."""
        kept = tuple(sorted(set(places)))
        state = blake2b(repr(kept).encode(), digest_size=16).hexdigest()
        new = {old: at for at, old in enumerate(kept)}
        return Collection(
            f"{self.key}:{state}",
            title,
            some(self.photos, kept),
            [self.titles[at] for at in kept],
            {
                new[day]: new[night]
                for day, night in self.nights.items()
                if {day, night} <= set(new)
            },
            self.notes,
            self,
            kept,
        )

    @property
    def problems(self) -> list[Any]:
        if self.whole is not None:
            return self.whole.problems
        return list(getattr(self.photos, "problems", ()))


def samples(name: str) -> Collection:
    """A named set of bundled photos."""
    if name == LABELLED:
        return _labelled()
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


def _labelled() -> Collection:
    photos = remembered(("samples", LABELLED), lambda: read(SAMPLE_FOLDER / LABELLED_SET))
    title = f"sample photos “{LABELLED}”"
    return Collection(f"samples:{LABELLED}", title, photos, short_titles(photos.paths))


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
        names = {name: name for name in SETS}
        name = menu(keys.SAMPLE_SET, "Photo set", names)
        if st.session_state.get(keys.UPLOAD.name):
            # An uploader that is not drawn loses its files.
            with st.expander("Your files are kept"):
                _upload()
        return samples(name), False
    collection = uploaded(_upload())
    with st.expander("Limits"):
        st.markdown("\n".join(f"- {s}" for s in Limits.from_environment().sentences()))
    # Not "or": a collection in which nothing could be read is empty, and has that to say.
    if collection is None:
        return samples(keys.SAMPLE_SET.default), True
    return collection, False


def _upload() -> list[Any]:
    return uploader(keys.UPLOAD, "Upload images or a dataset")


def uploader(key: keys.Key, label: str) -> list[Any]:
    return st.file_uploader(
        label,
        accept_multiple_files=True,
        key=key.name,
        help="Images (JPEG, PNG, WebP, TIFF, …), a zip or tar of images (class folders become "
        "labels), .npy, .npz, IDX or CIFAR binary files. They are kept in this server's memory "
        "and dropped with the session.",
    )


def marked(key: keys.Key, collection: Collection) -> tuple[int, ...]:
    """The images of a collection that were chosen to be looked at, or excluded from the fit."""
    found = (st.session_state.get(key.name) or {}).get(collection.key, ())
    return tuple(at for at in found if at < len(collection))


def mark(key: keys.Key, collection: Collection, places: Sequence[int]) -> None:
    """Choose or exclude images of a collection; only the last collection's are kept."""
    st.session_state[key.name] = {collection.key: tuple(sorted(set(places)))}


def chosen_of(loaded: Collection) -> Collection:
    """What the pages with pictures show: all images, or those that were chosen."""
    if keys.LOOK in st.query_params:
        del st.query_params[keys.LOOK]
        mark(keys.CHOSEN, loaded, marked(keys.SELECTED, loaded))
        st.session_state[keys.PAGE.name] = keys.PAGE.default
    places = marked(keys.CHOSEN, loaded)
    if not places:
        return loaded
    st.caption(
        f"Pictures of {len(places):,} chosen {_images(len(places))}, of {len(loaded):,}.",
    )
    st.button(
        "Show all images again",
        key="clear_chosen",
        icon=":material/close:",
        on_click=mark,
        args=(keys.CHOSEN, loaded, ()),
    )
    return loaded.only(places, f"{len(places):,} chosen {_images(len(places))} of {loaded.title}")


def fitted_of(loaded: Collection) -> Collection:
    """What "the loaded images" are fitted on: all of them but those that were excluded."""
    places = set(marked(keys.EXCLUDED, loaded))
    if not places:
        return loaded
    left = [at for at in range(len(loaded)) if at not in places]
    return loaded.only(left, f"{loaded.title} without {len(places):,} excluded")


def _images(count: int) -> str:
    return "image" if count == 1 else "images"


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


def statistics_numbers(
    collection: Collection, scanning: DeltaGenerator | None = None
) -> Numbers | None:
    """Scan a collection (with progress when it is long) and return its statistics.

    ``scanning``: an empty place for the progress; without one it is shown where this is called.
    """
    count = len(collection)
    key = ("scan", collection.key)
    stats: DatasetStatistics | None = known(key)
    if stats is None:
        long = count > _SCANNED_AT_ONCE
        stats = _scanned(collection, scanning) if long else _scan_few(collection)
    if stats is None or not stats.images:
        return None
    words = f"{taken_words(stats, count)} of {collection.title}, as loaded"
    return Numbers(f"{collection.key}:{stats.images}", stats, words, collection)


def _scan_few(collection: Collection) -> DatasetStatistics:
    readable = {}
    for index in range(len(collection)):
        try:
            readable[index] = collection.image(index)
        except ReadError:
            continue

    def build() -> DatasetStatistics:
        found = scanned(list(readable.values()), mean_image=MEAN_IMAGE_SIDE)
        places = list(readable)
        # A row's place is that in the collection, which has the unreadable ones too.
        rows = (replace(row, position=places[row.position]) for row in found.rows)
        return replace(found, rows=tuple(rows))

    return remembered(("scan", collection.key), build)


def _scanned(collection: Collection, scanning: DeltaGenerator | None) -> DatasetStatistics | None:
    """Scan with a bar; "Stop" keeps what was read so far as the numbers, which say so.

    The images come in random order, so that what was read so far is an estimate of them all.
    """
    stopped = st.session_state.setdefault(keys.STOPPED.name, {})
    if collection.key in stopped:
        return stopped[collection.key]
    bar = _Bar(collection, scanning)
    partial: DatasetStatistics | None = None
    with ThreadPoolExecutor(2) as workers:
        for partial in scan(
            collection.photos,
            mean_image=MEAN_IMAGE_SIDE,
            seed=_READING_SEED,
            engine=Pool(workers, ahead=4),
            images_a_part=_IMAGES_A_PART,
        ):
            bar.show(partial)
    bar.clear()
    if partial is None:
        return None
    final = partial
    return remembered(("scan", collection.key), lambda: final)


class _Bar:
    """How far a scan is, what it has found so far, and the button that ends it there."""

    def __init__(self, collection: Collection, place: DeltaGenerator | None) -> None:
        self._key, self._count = collection.key, len(collection)
        self._began = time.monotonic()
        self._place = st.empty() if place is None else place
        self._bar: Any = None
        self._words: Any = None

    def show(self, partial: DatasetStatistics) -> None:
        st.session_state[keys.PARTIAL.name] = partial
        passed = time.monotonic() - self._began
        if passed < _BAR_AFTER or not partial.images:
            return
        if self._bar is None:
            box = self._place.container(key="scanning")
            self._bar = box.progress(0.0, text="Reading the dataset…")
            self._words = box.empty()
            box.button("Stop here", key="stop_scan", on_click=self._stop, help=_STOP)
        # Files that were refused before decoding are no part of the count.
        done = min(self._count, partial.images + partial.unreadable)
        left = passed / done * (self._count - done)
        text = (
            f"{done:,} of {self._count:,} images · {done / passed:,.0f} images/s · "
            f"{_lasting(left)} left"
        )
        self._bar.progress(min(1.0, done / self._count), text=text)
        self._words.caption(plain(running_words(partial)))

    def clear(self) -> None:
        self._place.empty()

    def _stop(self) -> None:
        st.session_state[keys.STOPPED.name][self._key] = st.session_state[keys.PARTIAL.name]


_STOP = "Use the images read so far: they are drawn at random, so the numbers are an estimate."


def _lasting(seconds: float) -> str:
    """Return a time as a person says it.

    >>> _lasting(7.2), _lasting(200)
    ('7 s', '3 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def matched(image: Image, numbers: Numbers | None) -> Image:
    """Repeat a grey image into RGB where the numbers to use on it are of colour images."""
    if numbers is not None and numbers.channels == 3 and image.channels == 1:
        return remembered(("rgb", image.digest), lambda: as_rgb(image))
    return image
