"""Random sets of images, and transforms that misbehave, for the tests of the statistics."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from normviz.errors import NormvizError
from normviz.images import Image, image_of

FLOAT_RANGES = ((0.0, 1.0), (-2.0, 7.0))


def random_images(
    seed: int, count: int = 12, floats: bool = False, labels: bool = True
) -> list[Image]:
    """Grey and colour images of 8 and 16 bits (and floats) of odd sizes, 1 pixel high even."""
    rng = np.random.default_rng(seed)
    made = []
    for at in range(count):
        shape = (*rng.integers(1, 14, 2), rng.choice((1, 3)))
        low, high = sorted(rng.uniform(0, 1, 2))
        values = np.clip(rng.normal(low, (high - low) / 2, shape), 0, 1)
        kind = rng.integers(4 if floats else 2)
        if kind < 2:
            pixels = np.rint(values * (255, 65535)[kind]).astype((np.uint8, np.uint16)[kind])
            span = None
        else:
            span = FLOAT_RANGES[kind - 2]
            pixels = (span[0] + values * (span[1] - span[0])).astype(np.float32)
        label = ("cat", "dog", None)[rng.integers(3)] if labels else None
        made.append(image_of(pixels, span, path=f"{at}.png", label=label))
    return made


def plain_images(count: int, seed: int = 0, side: int = 8) -> list[Image]:
    """Small RGB images of 8 bits whose means differ."""
    rng = np.random.default_rng(seed)
    levels = rng.uniform(30, 220, (count, 1, 1, 1))
    values = rng.normal(levels, 20, (count, side, side, 3))
    pixels = np.clip(values, 0, 255).astype(np.uint8)
    return [image_of(one, path=f"{at:04}.png") for at, one in enumerate(pixels)]


def folder_of(folder: Path, count: int, seed: int = 0) -> list[str]:
    """Write that many PNG files and return their names."""
    folder.mkdir(exist_ok=True)
    for image in plain_images(count, seed):
        assert cv2.imwrite(str(folder / image.path), image.pixels[:, :, ::-1])
    return [f"{at:04}.png" for at in range(count)]


def named(image: Image, name: str) -> bool:
    return image.path.endswith(name)


@dataclass(frozen=True)
class KillsItsProcess:
    """Ends its process at one image: the first times, as many as ``times``, or each time."""

    name: str
    flags: str
    times: int | None = None

    def __call__(self, image: Image) -> Image:
        if named(image, self.name):
            before = len(list(Path(self.flags).iterdir()))
            if self.times is None or before < self.times:
                (Path(self.flags) / f"{before}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return image


@dataclass(frozen=True)
class Refuses:
    """Raises an error of normviz, or an unexpected one, at one image."""

    name: str
    expected: bool

    def __call__(self, image: Image) -> Image:
        if named(image, self.name):
            if self.expected:
                raise NormvizError(f"{image.path} is not to my taste.")
            raise ZeroDivisionError("a fault in a transform")
        return image


@dataclass(frozen=True)
class Slow:
    """Takes its time, and writes in a log which image it had and in which process."""

    seconds: float
    log: str = ""

    def __call__(self, image: Image) -> Image:
        if self.log:
            line = f"{os.getpid()} {os.path.basename(image.path)}\n"
            with open(self.log, "a", encoding="utf-8") as log:
                log.write(line)
        time.sleep(self.seconds)
        return image


def logged(log: Path) -> list[tuple[int, str]]:
    """Return ``(process, image)`` of each line of a log."""
    lines = (line.split() for line in log.read_text().splitlines())
    return [(int(process), name) for process, name in lines]


def alive(process: int) -> bool:
    """Whether a process runs, and is no more than a name in the table."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def none_left(processes: set[int], within: float = 5.0) -> bool:
    """Whether all of the processes have ended, soon."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if not any(map(alive, processes)):
            return True
        time.sleep(0.05)
    return False
