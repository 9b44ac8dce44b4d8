"""A source cut into units of work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.errors import ReadError
from normviz.images import Image
from normviz.read.limits import Limits
from normviz.read.photos import Photos
from normviz.read.source import Problem


@dataclass(frozen=True, eq=False)
class Part:
    photos: Any
    at: tuple[int, ...]

    @property
    def key(self) -> str:
        return f"{self.at[0]}"

    @property
    def count(self) -> int:
        return len(self.at)

    def halves(self):
        half = len(self.at) // 2
        return (
            [Part(self.photos, self.at[:half]), Part(self.photos, self.at[half:])]
            if half
            else [self]
        )

    def images(self) -> Iterator[tuple[int, Image | Problem]]:
        for at in self.at:
            try:
                yield at, self.photos[at]
            except ReadError as error:
                yield at, Problem.of(error)


class Parts(Sequence):
    unit = "image"
    notes = ()

    def __init__(self, photos, per, seed, problems=()):
        order = np.arange(len(photos))
        if seed is not None:
            order = np.random.default_rng(seed).permutation(len(photos))
        self.total = len(photos)
        self.problems = tuple(problems)
        self._parts = [
            Part(photos, tuple(sorted(order[i : i + per].tolist())))
            for i in range(0, len(photos), per)
        ]
        self.identity = "x"

    def __len__(self):
        return len(self._parts)

    def __getitem__(self, at):
        return self._parts[at]


def parts_of(
    source: Any, images_a_part: int = 64, seed: int | None = None, limits: Limits | None = None
) -> Parts:
    if isinstance(source, Photos):
        return Parts(source, images_a_part, seed, source.problems)
    if hasattr(source, "problems"):
        return Parts(source, images_a_part, seed, source.problems)
    if isinstance(source, Iterable) and not isinstance(source, (str, tuple)):
        source = list(source)
        if all(isinstance(one, Image) for one in source):
            return Parts(source, images_a_part, seed)
    from normviz.read import read

    return parts_of(read(source, on_problem="collect"), images_a_part, seed)
