"""Contrast-limited adaptive histogram equalization, and its two conventions of a clip limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.methods.base import About, Method, Source, parameter
from normviz.methods.curve import _as_fractions, _bytes

_LEVELS = 256

_SKIMAGE_DEFAULT = 0.01

# There, back, and which channel of three is equalized.
_PLANES = {
    "lab": (cv2.COLOR_RGB2LAB, cv2.COLOR_LAB2RGB, 0),
    "hsv": (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB, 2),
    "luma": (cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB, 0),
}
_NAMES = {
    "lab": ("RGB2LAB", "LAB2RGB"),
    "hsv": ("RGB2HSV", "HSV2RGB"),
    "luma": ("RGB2YCrCb", "YCrCb2RGB"),
}


def opencv_tile(height: int, width: int, tiles: int) -> tuple[int, int]:
    """Return height and width of OpenCV's tiles, in pixels.

    Unless ``tiles`` divides both sides, OpenCV pads each side to the next multiple, a side that
    it does divide by one whole pixel a tile.

    >>> opencv_tile(512, 512, 8), opencv_tile(341, 512, 8)
    ((64, 64), (43, 65))
    """
    if height % tiles == width % tiles == 0:
        return height // tiles, width // tiles
    return height // tiles + 1, width // tiles + 1


def opencv_clip_limit(
    limit: float,
    height: int,
    width: int,
    tiles: int = 8,
    kernel: tuple[int, int] | None = None,
) -> float:
    """Return OpenCV's clip limit for scikit-image's, so that a bin is cut at the same share.

    scikit-image's ``limit`` is a share of the pixels of a tile (``kernel``, an eighth of each side
    unless given); OpenCV's is a multiple of the mean height of 256 bins: c = 256 · limit · K / A,
    with K and A the pixels of a tile there and here. Both round down to whole pixels a bin, and
    cut at 1 at the least; 0 is no limit in both.

    >>> opencv_clip_limit(0.01, 512, 512)
    2.56
    """
    tile, share = _tile_pixels(height, width, tiles, kernel)
    return limit * _LEVELS * share / tile


def skimage_clip_limit(
    limit: float,
    height: int,
    width: int,
    tiles: int = 8,
    kernel: tuple[int, int] | None = None,
) -> float:
    """Return scikit-image's clip limit for OpenCV's: the inverse of :func:`opencv_clip_limit`.

    >>> skimage_clip_limit(2.56, 512, 512)
    0.01
    """
    tile, share = _tile_pixels(height, width, tiles, kernel)
    return limit * tile / (_LEVELS * share)


def _tile_pixels(
    height: int, width: int, tiles: int, kernel: tuple[int, int] | None
) -> tuple[int, int]:
    """Pixels of a tile in OpenCV, and in scikit-image."""
    kernel = kernel or (max(height // 8, 1), max(width // 8, 1))
    return math.prod(opencv_tile(height, width, tiles)), math.prod(kernel)


@dataclass(frozen=True)
class CLAHE(Method):
    """Equalize each tile by its own histogram, cut at a limit, and blend between tiles.

    The image goes to 8 bits, and OpenCV does the rest: in a tile of A pixels no bin counts more
    than ``clip_limit`` · A / 256 pixels (rounded down, at least 1), what is over is spread over
    all bins, and the curves of the four nearest tiles are blended. A grey image is equalized
    itself; of a colour image only the chosen lightness.

    >>> x = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    >>> y = CLAHE(tiles=1, clip_limit=0.0).fit()(x)
    >>> (255 * y[0, :3, 0]).round().tolist()
    [4.0, 8.0, 12.0]
    """

    key = "clahe"
    about = About(
        title="CLAHE (contrast-limited adaptive histogram equalization)",
        short="CLAHE",
        scope="local",
        # Each choice of lightness is made of all three channels.
        reduces=("h", "w", "C"),
        formula=(
            r"y = \textstyle\sum_{t} w_t\, F_t(x), \quad F_t(v) = \tfrac{1}{A} \sum_{k \le v}"
            r" \left( \min(h_{t,k},\, \lfloor \tfrac{cA}{256} \rfloor) + e_t \right)"
        ),
        summary=(
            "Equalizes the histogram of each tile of the image, with a limit on how much contrast "
            "may grow, and blends between tiles; of a colour image, the histogram of a lightness "
            "made of all channels."
        ),
        sources=(
            Source(
                "Pizer et al. 1987, Adaptive histogram equalization and its variations",
                "https://doi.org/10.1016/S0734-189X(87)80186-X",
            ),
            Source(
                "Zuiderveld 1994, Contrast limited adaptive histogram equalization",
                "https://doi.org/10.1016/B978-0-12-336156-1.50061-6",
            ),
            Source("OpenCV CLAHE", "https://docs.opencv.org/4.x/d6/db6/classcv_1_1CLAHE.html"),
        ),
        invariances=frozenset(),
        loses="large-scale differences of brightness, and what 8 bits do not hold",
        flat="stays flat and gets lighter: black becomes level 3 of 255 at limit 2 and 41 at limit "
        "40 (on 512×512), white without a limit or where a tile has only a few pixels",
        unit="0–1",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Retina, X-ray and underwater images, face recognition, Albumentations' CLAHE",
        libraries=(
            (
                "cv2.createCLAHE, albumentations.CLAHE",
                "Same bytes; Albumentations works on L of LAB and draws the limit between 1 and "
                "the given one unless both ends are given. 8 bits alone move a colour on the way "
                "there and back: LAB by up to 27 levels (0.7 on average over all colours), HSV by "
                "up to 6 (0.55), YCrCb by up to 1 (0.38).",
            ),
            (
                "skimage.exposure.equalize_adapthist",
                "Its limit is a share of the tile's pixels, 256 times smaller: 0.01 there is 2.56 "
                "here where tiles are alike (opencv_clip_limit and skimage_clip_limit convert "
                "both ways). It gives tiles by size, not count, works on V of HSV, and stretches "
                "the image to its own range before and after, so it is not local; it uses 253 "
                "bins. With converted limits the results differ by 0.017 on average on the grey "
                "field_night photo (0.078 at the most); its default 0.01 and OpenCV's default 40 "
                "by 0.27.",
            ),
            (
                "kornia.enhance.equalize_clahe",
                "OpenCV's limit; tiles' centres half a pixel away and no rounding: 0.001 on "
                "average (0.008 at the most) where the tiles divide both sides, else its tiles "
                "have other sizes (0.008 on average on the grey coffee photo).",
            ),
        ),
    )
    clip_limit: float = parameter(
        2.0,
        "Clip limit",
        "Highest bin, in mean bin heights (OpenCV); 0 is no limit, OpenCV's own default is 40.",
        low=0.0,
        high=100.0,
        step=0.5,
    )
    tiles: int = parameter(8, "Tiles a side", "The image is cut into this many, squared.", 1, 32, 1)
    plane: str = parameter(
        "lab",
        "Lightness",
        "The channel that is equalized: L of LAB, V of HSV, or Y of YCrCb (BT.601).",
        choices={"lab": "L of LAB", "hsv": "V of HSV", "luma": "Luma"},
    )

    def limit_sentence(self, height: int, width: int) -> str:
        """Say what the clip limit is in scikit-image's convention, for an image of this size.

        >>> CLAHE(clip_limit=2.56).limit_sentence(512, 512)
        "Clip limit 2.56 here and in OpenCV is 0.01 in scikit-image on 512 × 512 px, a share of a \
tile's pixels; its default of 0.01 is 2.56 here."
        """
        default = opencv_clip_limit(_SKIMAGE_DEFAULT, height, width, self.tiles)
        there = skimage_clip_limit(self.clip_limit, height, width, self.tiles)
        if self.clip_limit == 0:
            said = "Clip limit 0 is no limit, here and in OpenCV as in scikit-image"
        else:
            said = (
                f"Clip limit {self.clip_limit:.3g} here and in OpenCV is {there:.3g} in "
                f"scikit-image on {width} × {height} px, a share of a tile's pixels"
            )
        return f"{said}; its default of {_SKIMAGE_DEFAULT:g} is {default:.3g} here."

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._applied(_bytes(u)) / 255

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return _as_fractions(self._applied(pixels))

    def _applied(self, pixels: np.ndarray) -> np.ndarray:
        clahe = cv2.createCLAHE(self.clip_limit, (self.tiles, self.tiles))
        if pixels.shape[2] == 1:
            return clahe.apply(pixels)[:, :, np.newaxis]
        there, back, channel = _PLANES[self.plane]
        planes = cv2.cvtColor(pixels, there)
        cv2.insertChannel(clahe.apply(cv2.extractChannel(planes, channel)), planes, channel)
        return cv2.cvtColor(planes, back)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        there, back = _NAMES[self.plane]
        channel = _PLANES[self.plane][2]
        if target == "albumentations" and self.plane == "lab" and self.clip_limit >= 1:
            return f"""import albumentations as A
import numpy as np

TRANSFORM = A.CLAHE(
    clip_limit=({self.clip_limit!r}, {self.clip_limit!r}),
    tile_grid_size=({self.tiles}, {self.tiles}),
    p=1.0,
)


def normalize(image):
    return TRANSFORM(image=image)["image"] / np.float32(255)
"""
        if target != "numpy":
            return None
        return f"""import cv2
import numpy as np


CLAHE = cv2.createCLAHE(clipLimit={self.clip_limit!r}, tileGridSize=({self.tiles}, {self.tiles}))


def normalize(image):
    if image.shape[2] == 1:
        return (CLAHE.apply(image) / np.float32(255))[..., np.newaxis]
    planes = cv2.cvtColor(image, cv2.COLOR_{there})
    planes[..., {channel}] = CLAHE.apply(planes[..., {channel}])
    return cv2.cvtColor(planes, cv2.COLOR_{back}) / np.float32(255)
"""
