"""``Photos``: the collection that reading returns, a lazily decoded sequence of images."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from normviz.errors import ReadError
from normviz.images import Image
from normviz.read.source import Problem, Run


class Photos:
    """Images of one or more sources, decoded one by one when they are asked for; none is kept.

    ``len(photos)`` counts the images listed and never changes, so that an index stays an image.
    ``photos[i]`` decodes one and raises :class:`ReadError` when that one is unreadable;
    iteration passes over unreadable ones. Both enter them once into ``problems``.

    >>> import numpy as np
    >>> from io import BytesIO
    >>> from normviz.read import read
    >>> file = BytesIO()
    >>> np.save(file, np.zeros((2, 4, 5), np.uint8))
    >>> photos = read(("two.npy", file.getvalue()))
    >>> len(photos), photos.paths, photos[1].pixels.shape
    (2, ['two.npy[0]', 'two.npy[1]'], (4, 5, 1))
    """

    def __init__(
        self,
        runs: Sequence[Run] = (),
        problems: Sequence[Problem] = (),
        notes: Sequence[str] = (),
        held: int = 0,
        raises: bool = False,
    ) -> None:
        self._runs = [run for run in runs if len(run)]
        self._starts = [0, *accumulate(len(run) for run in self._runs)]
        self._listed = tuple(problems)
        self._undecodable: dict[int, tuple[type[ReadError], Problem]] = {}
        self._held = held
        self._raises = raises
        self.notes: tuple[str, ...] = tuple(notes)

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Image:
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        index %= len(self)
        if index in self._undecodable:
            kind, problem = self._undecodable[index]
            raise kind(*problem)
        run, at = self._place(index)
        try:
            return run.image(at)
        except ReadError as error:
            # Not the error itself: its traceback would keep the pixels of the attempt alive.
            self._undecodable[index] = (type(error), Problem.of(error))
            raise

    def __iter__(self) -> Iterator[Image]:
        for _, image in self.indexed():
            yield image

    def indexed(self) -> Iterator[tuple[int, Image]]:
        """Yield ``(index, image)`` of every readable image in order; the others become problems.

        A single image read with ``on_problem="raise"`` raises instead.
        """
        for index in range(len(self)):
            try:
                image = self[index]
            except ReadError:
                if self._raises:
                    raise
                continue
            yield index, image

    @property
    def runs(self) -> list[Run]:
        """The runs of consecutive images of one origin that make up the collection."""
        return list(self._runs)

    def path(self, index: int) -> str:
        """Return where image ``index`` comes from, without decoding it."""
        run, at = self._place(index % len(self))
        return run.path(at)

    def label(self, index: int) -> str | None:
        """Return the label of image ``index``, None when it has none, without decoding it."""
        run, at = self._place(index % len(self))
        return run.label(at)

    @cached_property
    def paths(self) -> list[str]:
        """Where each listed image comes from, unique within a source."""
        return [run.path(i) for run in self._runs for i in range(len(run))]

    @cached_property
    def labels(self) -> list[str | None]:
        """The label of each listed image, None for one without."""
        return [run.label(i) for run in self._runs for i in range(len(run))]

    @property
    def problems(self) -> list[Problem]:
        """What could not be read so far: sources and members, then images that failed to decode."""
        return [*self._listed, *(self._undecodable[i][1] for i in sorted(self._undecodable))]

    @property
    def nbytes(self) -> int:
        """Bytes that the collection keeps in memory (uploads, unpacked arrays); files count 0."""
        return self._held + sum(run.held for run in self._runs)

    def _place(self, index: int) -> tuple[Run, int]:
        at = bisect_right(self._starts, index) - 1
        return self._runs[at], index - self._starts[at]

    def __repr__(self) -> str:
        said = [f"{len(self)} image{'' if len(self) == 1 else 's'}"]
        if self.problems:
            said.append(f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}")
        return f"Photos({', '.join(said)})"
