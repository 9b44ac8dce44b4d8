"""Steps that change the size of the picture: resize and crop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image as PillowImage

from normviz.errors import ParameterError, ShapeError
from normviz.images import ValueRange, level_count
from normviz.methods.base import Fitted, Source, parameter
from normviz.pipeline.base import FLOAT, Kind, Step, StepAbout

LARGEST_SIDE = 4096
MOST_PIXELS = 1 << 27
"""134 million: a sliver of an image would otherwise be resized to more than memory holds."""


class _Filter(NamedTuple):
    title: str
    pillow: PillowImage.Resampling
    opencv: int
    opencv_name: str
    overshoots: bool = False
    torchvision: Mapping[str, str] = {}


_FILTERS = {
    "nearest": _Filter(
        "nearest",
        PillowImage.Resampling.NEAREST,
        cv2.INTER_NEAREST,
        "INTER_NEAREST",
        torchvision={"pillow": "NEAREST_EXACT", "opencv": "NEAREST"},
    ),
    "bilinear": _Filter(
        "bilinear",
        PillowImage.Resampling.BILINEAR,
        cv2.INTER_LINEAR,
        "INTER_LINEAR",
        torchvision={"pillow": "BILINEAR", "opencv": "BILINEAR"},
    ),
    "bicubic": _Filter(
        "bicubic",
        PillowImage.Resampling.BICUBIC,
        cv2.INTER_CUBIC,
        "INTER_CUBIC",
        overshoots=True,
        torchvision={"pillow": "BICUBIC", "opencv": "BICUBIC"},
    ),
    "area": _Filter("area average", PillowImage.Resampling.BOX, cv2.INTER_AREA, "INTER_AREA"),
    "lanczos": _Filter(
        "Lanczos",
        PillowImage.Resampling.LANCZOS,
        cv2.INTER_LANCZOS4,
        "INTER_LANCZOS4",
        overshoots=True,
    ),
}

_SIDES = {"shorter": "Shorter side", "longer": "Longer side", "both": "Both sides (squeeze)"}
_LIBRARIES = {"pillow": "Pillow (antialiased)", "opencv": "OpenCV (not antialiased)"}
_WIDTH_HELP = "Width in pixels where it differs from the height; 0: the same."


@dataclass(frozen=True)
class Resize(Step):
    """Change the number of pixels: one side to ``size``, or both.

    Of the other side the size is rounded down, as torchvision does. Integers stay integers of
    their type (rounded, and clipped where a filter overshoots); floats stay floats, unclipped.

    >>> Resize(2).run(np.zeros((5, 9, 1), np.uint8), None).shape
    (2, 3, 1)
    """

    key = "resize"
    about = StepAbout(
        title="Resize",
        short="resize",
        formula=r"y_{ij} = \sum_{kl} w_{ik}\, w_{jl}\, x_{kl}",
        summary="Changes the number of pixels; averaging neighbours lowers the std.",
        sources=(
            Source(
                "torchvision Resize",
                "https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Resize.html",
            ),
            Source(
                "Parmar, Zhang and Zhu 2022: On Aliased Resizing (clean-fid)",
                "https://arxiv.org/abs/2104.11222",
            ),
        ),
        libraries=(
            (
                "Pillow; torchvision on PIL images, and on tensors with antialias=True",
                "The filter widens with the shrinking, so every pixel counts. torchvision's byte "
                "tensors differ from Pillow's bytes by up to 2 levels (bilinear, a 480×320 photo "
                "to 384×256: 6 % of the values, nearly all by 1), its floats by less than 0.01.",
            ),
            (
                "OpenCV; torchvision on tensors with antialias=False",
                "2×2 (bilinear) or 4×4 pixels count, however much is skipped between them: the "
                "same photo to 48×32 keeps a std of 55.2 where Pillow's is 48.7, and the two "
                "differ by 14 levels on average, 115 at most. To 384×256 it is 0.7 and 18.",
            ),
            (
                "bicubic",
                "Pillow's curve has a = −0.5 and OpenCV's a = −0.75, so they differ by up to 11 "
                "levels when growing too. On floats both overshoot (264.5 where 255 is white); "
                "on bytes Pillow clips after each of its two passes, OpenCV at the end.",
            ),
            (
                "area",
                "Pillow's BOX counts a pixel whole or not at all, OpenCV's INTER_AREA by the "
                "part that is covered: the same within 1 level at whole ratios, up to 72 levels "
                "apart from 480×320 to 384×256.",
            ),
            (
                "nearest",
                "Pillow takes the pixel under the centre (NEAREST_EXACT in torchvision), OpenCV "
                "the one under the corner (NEAREST): up to half an input step apart. A centre "
                "between two pixels (1 of 7 from 512 to 224) may get the other one in torchvision.",
            ),
            (
                "Hugging Face image processors",
                "Pillow on bytes, for floats too: those are first cut off to 8 bits, so they lose "
                "up to one level (1/255) here.",
            ),
            (
                "Albumentations SmallestMaxSize",
                "OpenCV, and the other side is rounded to the nearest, not down: 333×502 becomes "
                "256×386 there and 256×385 here.",
            ),
        ),
    )
    size: int = parameter(
        256, "Size", "Pixels of the chosen side; the height where both are set.", 1, LARGEST_SIDE, 1
    )
    side: str = parameter("shorter", "Side", "Which side gets this size.", choices=_SIDES)
    interpolation: str = parameter(
        "bilinear",
        "Interpolation",
        "How values between pixels are made.",
        choices={key: one.title for key, one in _FILTERS.items()},
    )
    library: str = parameter(
        "pillow",
        "As in",
        "Whose resizing: Pillow averages over all that it skips, OpenCV does not.",
        choices=_LIBRARIES,
    )
    width: int = parameter(0, "Width", f"With both sides: {_WIDTH_HELP}", 0, LARGEST_SIDE, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width and self.side != "both":
            raise ParameterError("Resize: a width is for both sides; leave it 0 for one side.")

    def sizes(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that an image of this size gets."""
        if self.side == "both":
            return self.size, self.width or self.size
        side = min(height, width) if self.side == "shorter" else max(height, width)
        return max(1, int(self.size * height / side)), max(1, int(self.size * width / side))

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        height, width = self.sizes(*pixels.shape[:2])
        if height * width > MOST_PIXELS:
            raise ShapeError(
                f"Resize: {pixels.shape[0]}×{pixels.shape[1]} would become {height:,}×{width:,}, "
                f"more than {MOST_PIXELS:,} pixels. Crop the image, or set both sides."
            )
        if pixels.shape[:2] == (height, width):
            return pixels
        filters = _FILTERS[self.interpolation]
        if self.library == "opencv":
            out = cv2.resize(
                np.ascontiguousarray(pixels), (width, height), interpolation=filters.opencv
            )
            return np.asarray(out).reshape(height, width, pixels.shape[2])
        return _by_pillow(pixels, height, width, filters.pillow)

    def after(self, kind: Kind) -> Kind:
        if _FILTERS[self.interpolation].overshoots and not kind.whole:
            return kind._replace(value_range=None)
        return kind

    def words(self) -> str:
        size = f"{self.size}×{self.width or self.size}" if self.side == "both" else str(self.size)
        side = "" if self.side == "both" else f"{self.side} side, "
        library = _LIBRARIES[self.library].split()[0]
        return f"resize {size} ({side}{_FILTERS[self.interpolation].title}, {library})"

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        filters = _FILTERS[self.interpolation]
        if target == "torchvision":
            mode = filters.torchvision.get(self.library)
            if mode is None:
                return None
            size = {
                "both": f"({self.size}, {self.width or self.size})",
                "shorter": str(self.size),
                "longer": "None",
            }[self.side]
            more = f", max_size={self.size}" if self.side == "longer" else ""
            name = f"v2.InterpolationMode.{mode}"
            line = f"v2.Resize({size}, {name}{more}, antialias={self.library == 'pillow'})"
            between = "# Where a centre lies between two pixels, Pillow may take the other one."
            return [between, line] if mode == "NEAREST_EXACT" else [line]
        if self.side == "both":
            lines = [f"size = ({self.width or self.size}, {self.size})"]
        else:
            side = "min" if self.side == "shorter" else "max"
            lines = [
                "height, width = x.shape[:2]",
                f"side = {side}(height, width)",
                f"size = (max(1, int({self.size} * width / side)), "
                f"max(1, int({self.size} * height / side)))",
            ]
        if self.library == "opencv":
            own = [] if kind.whole else ["x = x.astype(np.float32)"]
            call = f"cv2.resize(x, size, interpolation=cv2.{filters.opencv_name})"
            return [*lines, *own, f"x = {call}.reshape(size[1], size[0], -1)"]
        call = f"resize(size, Image.Resampling.{filters.pillow.name})"
        if kind.dtype == np.uint8:
            lines.append("picture = Image.fromarray(x if x.shape[2] == 3 else x[..., 0])")
            return [*lines, f"x = np.asarray(picture.{call}).reshape(size[1], size[0], -1)"]
        lines.append(
            "planes = [Image.fromarray(p) for p in np.moveaxis(x.astype(np.float32), 2, 0)]"
        )
        return [*lines, f"x = np.stack([p.{call} for p in planes], axis=2)"]


def _by_pillow(
    pixels: np.ndarray, height: int, width: int, resample: PillowImage.Resampling
) -> np.ndarray:
    if pixels.dtype == np.uint8:
        picture = PillowImage.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        out = np.asarray(picture.resize((width, height), resample))
        return out.reshape(height, width, pixels.shape[2])
    # Pillow has no picture of three 16-bit or float channels, but float pictures of one.
    planes = [
        np.asarray(PillowImage.fromarray(plane).resize((width, height), resample))
        for plane in np.moveaxis(pixels.astype(FLOAT, copy=False), 2, 0)
    ]
    floats = np.stack(planes, axis=2)
    levels = level_count(pixels.dtype)
    if levels is None:
        return floats
    return np.clip(np.rint(floats), 0, levels - 1).astype(pixels.dtype)


@dataclass(frozen=True)
class CentreCrop(Step):
    """Keep the middle; what the image is too small for is filled with zeros, as in torchvision.

    An odd margin is halved to the even number of pixels at the top and left (Python's ``round``).

    >>> CentreCrop(2).run(np.arange(5, dtype=np.uint8).reshape(1, 5, 1), None)[..., 0].tolist()
    [[2, 3], [0, 0]]
    """

    key = "centre_crop"
    about = StepAbout(
        title="Centre crop",
        short="crop",
        formula=r"y_{ij} = x_{i + t,\, j + l}",
        summary="Keeps the middle of the picture; a smaller one is padded with zeros.",
        sources=(
            Source(
                "torchvision CenterCrop",
                "https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.CenterCrop.html",
            ),
        ),
        libraries=(
            (
                "Hugging Face image processors, Albumentations CenterCrop",
                "Half of the margin is rounded down: for margins of 3, 7, 11 … pixels the crop "
                "lies one pixel further up or left than here and in torchvision.",
            ),
            (
                "Caffe, Albumentations CenterCrop",
                "Refuse an image that is smaller than the crop instead of padding it (by default).",
            ),
        ),
    )
    size: int = parameter(224, "Size", "Pixels of the side; the height.", 1, LARGEST_SIDE, 1)
    width: int = parameter(0, "Width", _WIDTH_HELP, 0, LARGEST_SIDE, 1)

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        wanted = self.size, self.width or self.size
        lacks = [max(0, want - has) for want, has in zip(wanted, pixels.shape, strict=False)]
        if any(lacks):
            pixels = np.pad(pixels, [*((lack // 2, (lack + 1) // 2) for lack in lacks), (0, 0)])
        top, left = (round((has - want) / 2) for want, has in zip(wanted, pixels.shape))  # noqa: B905
        return pixels[top : top + wanted[0], left : left + wanted[1]]

    def after(self, kind: Kind) -> Kind:
        # Padding is zero, which need not lie in the range of what is padded.
        if kind.value_range is None:
            return kind
        low, high = kind.value_range
        return kind._replace(value_range=ValueRange(min(low, 0.0), max(high, 0.0)))

    def words(self) -> str:
        return f"centre crop {self.size}" + (f"×{self.width}" if self.width else "")

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        height, width = self.size, self.width or self.size
        if target == "torchvision":
            return [f"v2.CenterCrop(({height}, {width}))"]
        return [
            f"lack = [max(0, {height} - x.shape[0]), max(0, {width} - x.shape[1])]",
            "x = np.pad(x, [*((n // 2, (n + 1) // 2) for n in lack), (0, 0)])",
            f"top, left = round((x.shape[0] - {height}) / 2), round((x.shape[1] - {width}) / 2)",
            f"x = x[top : top + {height}, left : left + {width}]",
        ]
