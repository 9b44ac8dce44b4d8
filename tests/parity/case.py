"""What a case of parity is: one call of a library beside our definition of the same method.

Each file of ``libraries`` holds the cases of one library. A case either agrees, to a bound, or
differs by a number that is stated and that a formula in NumPy accounts for. Numbers are the
largest difference over three bundled photos, as a share of the range of our result.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv
from normviz.networks.first_layer import mobilenet_v2_convolution, pre_activations
from normviz.samples import LABELLED_SET, SAMPLE_FOLDER, load_sample

PHOTOS = ("coffee", "field_night", "forest_day")
# Haematoxylin and eosin in optical density, as Ruifrok and Johnston 2001 print them.
RUIFROK = np.array([[0.650, 0.072], [0.704, 0.990], [0.286, 0.105]])
SIDE = 32
"""Of the images that dataset-scope methods are fitted on and tried on."""


@dataclass(frozen=True, eq=False)
class Given:
    """One input of a case.

    ``x`` are levels 0…255 ``(H, W, 3)``, or for feature norms maps ``(N, H, W, C)``; ``on`` is
    the set that a dataset-scope method is fitted on; ``ours`` is the float64 definition's result.
    """

    x: np.ndarray
    on: tuple[np.ndarray, ...]
    ours: np.ndarray

    @property
    def u(self) -> np.ndarray:
        """x as fractions, float64."""
        return self.x / 255

    @property
    def planes(self) -> np.ndarray:
        """x with channels first."""
        return np.ascontiguousarray(np.moveaxis(self.x, -1, -3))


Call = Callable[[Given], np.ndarray]


@dataclass(frozen=True, eq=False)
class Case:
    library: Library
    method: str
    call: str
    theirs: Call
    gap: float
    """The bound of one that agrees; the measured number of one that differs."""
    because: str = ""
    """Why it differs; empty for one that agrees."""
    stated: Call | None = None
    """The formula that gives their result, where it differs."""
    within: float = 0.0
    """How near the formula comes."""
    parameters: dict[str, Any] = field(default_factory=dict)
    fitted_on: int | None = None
    """How many images of the set are used; None: all."""
    view: str = ""
    """What is made of each photo first, of VIEWS."""

    @property
    def inputs(self) -> list[Given]:
        if self.method in nv.FEATURE_NORMS:
            norm = nv.FEATURE_NORMS[self.method](**self.parameters)
            return [Given(x, (), np.asarray(norm(x))) for x in feature_maps()]
        method = nv.METHODS[self.method](**self.parameters)
        if not method.about.fits_on:
            fitted = method.fit()
            views = [frozen(VIEWS[self.view](x)) for x in photos()]
            return [Given(x, (), fitted.reference(x)) for x in views]
        on = scenes()[: self.fitted_on]
        images = [nv.image_of(x) for x in on]
        wants_images = method.about.fits_on == "images"
        fitted = method.fit(images if wants_images else nv.scan(images, mean_image=SIDE))
        return [Given(x, on, fitted.reference(x)) for x in scenes()[-3:]]

    @cached_property
    def measured(self) -> float:
        """The largest difference over the inputs, as a share of the range of our result."""
        return max(apart(self.theirs(given), given.ours) for given in self.inputs)


def stained(x: np.ndarray) -> np.ndarray:
    """A slide whose two stains lie as dark as red and blue of a photo."""
    amounts = np.stack([1.6 - x[..., 0] / 160, 1.0 - x[..., 2] / 255], axis=2).clip(0, None)
    return np.rint(240 * np.exp(-amounts @ RUIFROK.T) - 1).clip(0).astype(np.uint8)


VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda x: x,
    "grey photos": lambda x: cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., np.newaxis],
    "photos of half the contrast": lambda x: x // 2 + np.uint8(64),
    "a slide made of the photo": stained,
}


def apart(theirs: np.ndarray, ours: np.ndarray) -> float:
    theirs = np.asarray(theirs, np.float64)
    assert theirs.shape == ours.shape
    return float(np.abs(theirs - ours).max()) / float(np.ptp(ours))


@dataclass(frozen=True, eq=False)
class Library:
    """A library and its cases in the order they are written; ``name`` is what is installed."""

    title: str
    name: str
    module: str
    cases: list[Case] = field(default_factory=list)

    def agrees(self, method: str, within: float, **more) -> Callable[[Call], Call]:
        """Enter a call that gives our result up to ``within``; its docstring is what is called.

        ``more``: parameters of the method, and fields of :class:`Case`.
        """
        return self._enter(method, within, more)

    def differs(
        self,
        method: str,
        by: float,
        because: str,
        stated: Call | None,
        *,
        within: float = 1e-6,
        **more,
    ) -> Callable[[Call], Call]:
        """Enter a call that differs by a number, and the formula that its result follows."""
        more |= {"because": because, "stated": stated, "within": within}
        return self._enter(method, by, more)

    def _enter(self, method: str, gap: float, more: dict[str, Any]) -> Callable[[Call], Call]:
        own = {spec.name for spec in fields(Case)}
        parameters = {name: value for name, value in more.items() if name not in own}
        rest = {name: value for name, value in more.items() if name in own}

        def enter(theirs: Call) -> Call:
            assert theirs.__doc__, theirs
            call = theirs.__doc__.strip()
            self.cases.append(Case(self, method, call, theirs, gap, parameters=parameters, **rest))
            return theirs

        return enter

    def needed(self) -> None:
        """Skip the test where the library is not installed."""
        pytest.importorskip(self.module, reason=f"{self.name} is not installed")


@cache
def photos() -> tuple[np.ndarray, ...]:
    return tuple(frozen(load_sample(name).pixels) for name in PHOTOS)


@cache
def scenes() -> tuple[np.ndarray, ...]:
    """The labelled set's images, 32 × 32, in an order that mixes its classes."""
    with zipfile.ZipFile(SAMPLE_FOLDER / LABELLED_SET) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".png", ".jpg")))
        images = [np.array(PillowImage.open(io.BytesIO(archive.read(name)))) for name in names]
    order = np.random.default_rng(0).permutation(len(images))
    return tuple(frozen(images[i]) for i in order)


@cache
def feature_maps() -> tuple[np.ndarray, ...]:
    """Maps of MobileNetV2's first convolution on scenes, two batches ``(8, 16, 16, 32)``."""
    layer, _ = mobilenet_v2_convolution()
    imagenet = nv.METHODS["published"]().fit()
    maps = [pre_activations(layer, imagenet(x)) for x in scenes()[:16]]
    return tuple(frozen(np.stack(maps[start : start + 8]).astype(np.float64)) for start in (0, 8))


def frozen(x: np.ndarray) -> np.ndarray:
    x.flags.writeable = False
    return x
