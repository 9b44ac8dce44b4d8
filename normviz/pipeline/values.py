"""Steps that change channels and numbers: RGB, BGR, scale, mean and std, clip, 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normviz.errors import ParameterError
from normviz.images import BYTE_RANGE, ValueRange
from normviz.methods.base import Fitted, Source, parameter
from normviz.methods.kernels import affine
from normviz.pipeline.base import FLOAT, Kind, Step, StepAbout, numbers, range_of


@dataclass(frozen=True)
class ToRGB(Step):
    """Repeat a grey image into R, G and B; leave a colour image alone.

    >>> ToRGB().run(np.array([[[7]]], np.uint8), None).tolist()
    [[[7, 7, 7]]]
    """

    key = "to_rgb"
    about = StepAbout(
        title="To RGB",
        short="RGB",
        formula=r"y_c = x_1",
        summary="Gives a grey image three equal channels, as networks expect; colour stays.",
        sources=(
            Source(
                "Pillow's convert('RGB'), in the image loaders of torchvision, Keras and others",
                "https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html",
            ),
        ),
    )

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels

    def words(self) -> str:
        return "to RGB"

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        if target == "torchvision":
            return ["v2.RGB()"]
        return ["x = np.repeat(x, 3, axis=2) if x.shape[2] == 1 else x"]


@dataclass(frozen=True)
class ChannelOrder(Step):
    """Turn the channels round: RGB becomes BGR, and BGR becomes RGB.

    >>> ChannelOrder().run(np.array([[[1, 2, 3]]], np.uint8), None).tolist()
    [[[3, 2, 1]]]
    """

    key = "channel_order"
    about = StepAbout(
        title="Turn RGB to BGR",
        short="RGB ↔ BGR",
        formula=r"y_c = x_{2 - c}",
        summary="Reverses the channels, for networks that were trained on what OpenCV reads.",
        sources=(
            Source(
                'Keras preprocess_input, mode "caffe"',
                "https://github.com/keras-team/keras/blob/master/keras/src/applications/imagenet_utils.py",
            ),
        ),
    )

    @property
    def channels(self) -> int | None:
        return 3

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        self._refuse_channels(pixels)
        return pixels[..., ::-1]

    def words(self) -> str:
        return "RGB ↔ BGR"

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        if target == "torchvision":
            return ["v2.Lambda(lambda x: x.flip(-3))"]
        return ["x = np.ascontiguousarray(x[..., ::-1])"]


@dataclass(frozen=True)
class Scale(Step):
    """Multiply and add, on the numbers as they stand: y = factor · x + offset.

    >>> Scale(1 / 127.5, -1).run(np.array([[[255]]], np.uint8), None).item()
    1.0
    """

    key = "scale"
    about = StepAbout(
        title="Scale",
        short="scale",
        formula=r"y = a x + b",
        summary="Multiplies and adds one number each, whatever the value range: 1/255 makes "
        "fractions of bytes only.",
        sources=(
            Source(
                "Keras Rescaling(scale, offset)",
                "https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/",
            ),
            Source(
                "Double rescaling (huggingface/transformers#25688)",
                "https://github.com/huggingface/transformers/pull/25688",
            ),
        ),
        libraries=(
            (
                "torchvision ToDtype(float32, scale=True)",
                "Divides by the largest value of the type: 255 for bytes, 65,535 for 16 bits, "
                "and 1 for floats, so that a second one changes nothing; a second 1/255 here does.",
            ),
        ),
    )
    factor: float = parameter(1 / 255, "Factor", "What values are multiplied by.", -1e6, 1e6, 0.001)
    offset: float = parameter(0.0, "Offset", "What is added after that.", -1e6, 1e6, 0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(self.factor) < 1e-9:
            raise ParameterError(
                f"Scale: a factor of {self.factor:g} makes all pixels the same; "
                "give one of at least 1e-9 in size."
            )

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        return affine(pixels, np.array(self.factor), np.array(self.offset))

    def after(self, kind: Kind) -> Kind:
        if kind.value_range is None:
            return Kind(FLOAT, None)
        ends = [self.factor * end + self.offset for end in kind.value_range]
        return Kind(FLOAT, range_of(*ends))

    def words(self) -> str:
        inverse = 1 / self.factor
        shown = f"÷ {inverse:g}" if abs(inverse) > 1 and _short(inverse) else f"× {self.factor:.6g}"
        sign = "−" if self.offset < 0 else "+"
        return shown + (f" {sign} {abs(self.offset):g}" if self.offset else "")

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        sign = "-" if self.offset < 0 else "+"
        rest = f" {sign} {abs(self.offset)!r}" if self.offset else ""
        if target == "numpy":
            return [f"x = x * {self.factor!r}{rest}"]
        if kind.dtype == np.uint8 and self.factor == 1 / 255 and not self.offset:
            return ["v2.ToDtype(torch.float32, scale=True)"]
        return [f"v2.Lambda(lambda x: x.to(torch.float32) * {self.factor!r}{rest})"]


def _short(value: float) -> bool:
    return abs(float(f"{value:g}") - value) < 1e-9 * abs(value)


@dataclass(frozen=True)
class MeanStd(Step):
    """Subtract a mean and divide by a std, on the numbers as they stand: y = (x − m) / s.

    The values have no range afterwards.

    >>> MeanStd((100,), (2,)).run(np.array([[[104]]], np.uint8), None).item()
    2.0
    """

    key = "mean_std"
    about = StepAbout(
        title="Mean and std",
        short="mean, std",
        formula=r"y_c = \frac{x_c - m_c}{s_c}",
        summary="Subtracts one number a channel and divides by another; both must be in the "
        "unit and the channel order of what arrives.",
        sources=(
            Source(
                "torchvision Normalize",
                "https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Normalize.html",
            ),
        ),
        libraries=(
            (
                "Albumentations Normalize",
                "Takes mean and std as fractions and bytes as they are: (x − 255 m) / (255 s), so "
                "no 1/255 may stand before it.",
            ),
            (
                "Caffe TransformationParameter",
                "(x − mean) · scale: its scale is 1/s, after the mean.",
            ),
        ),
    )
    mean: tuple[float, ...] = numbers(
        (0.485, 0.456, 0.406), "Mean", "What is subtracted, a channel.", low=-1e6, high=1e6
    )
    std: tuple[float, ...] = numbers(
        (0.229, 0.224, 0.225), "Std", "What is divided by, a channel.", low=1e-6, high=1e6
    )

    @property
    def channels(self) -> int | None:
        return 3 if len(self.mean) == 3 or len(self.std) == 3 else None

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        self._refuse_channels(pixels)
        mean, std = np.array(self.mean), np.array(self.std)
        return affine(pixels, 1 / std, -mean / std)

    def after(self, kind: Kind) -> Kind:
        return Kind(FLOAT, None)

    def words(self) -> str:
        mean, std = (", ".join(f"{v:.4g}" for v in values) for values in (self.mean, self.std))
        return f"− ({mean})" + ("" if set(self.std) == {1.0} else f" ÷ ({std})")

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        mean, std = list(self.mean), list(self.std)
        if target == "numpy":
            return [f"mean = np.array({mean})", f"std = np.array({std})", "x = (x - mean) / std"]
        first = ["v2.ToDtype(torch.float32)"] if kind.whole else []
        return [*first, f"v2.Normalize(\n    mean={mean},\n    std={std},\n)"]


@dataclass(frozen=True)
class Clip(Step):
    """Move values outside of low…high to its ends.

    >>> Clip(0, 1).run(np.array([[[-0.5, 0.25]]], np.float32), None).tolist()
    [[[0.0, 0.25]]]
    """

    key = "clip"
    about = StepAbout(
        title="Clip",
        short="clip",
        formula=r"y = \min(\max(x, a), b)",
        summary="Moves what lies outside of two bounds to the nearer one; the values have a "
        "range again.",
        sources=(
            Source(
                "NumPy clip", "https://numpy.org/doc/stable/reference/generated/numpy.clip.html"
            ),
        ),
    )
    low: float = parameter(0.0, "Low", "The lowest value to keep.", -1e6, 1e6, 0.1)
    high: float = parameter(1.0, "High", "The highest value to keep.", -1e6, 1e6, 0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ParameterError(f"Clip: low ({self.low:g}) must lie below high ({self.high:g}).")

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        return np.clip(
            pixels.astype(FLOAT, copy=False), FLOAT.type(self.low), FLOAT.type(self.high)
        )

    def after(self, kind: Kind) -> Kind:
        own = ValueRange(self.low, self.high)
        if kind.value_range is None:
            return Kind(FLOAT, own)
        ends = np.clip(kind.value_range, self.low, self.high).tolist()
        return Kind(FLOAT, range_of(*ends) or own)

    def words(self) -> str:
        return f"clip {self.low:g}…{self.high:g}"

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        if target == "numpy":
            return [f"x = np.clip(x.astype(np.float32), {self.low!r}, {self.high!r})"]
        return [f"v2.Lambda(lambda x: x.to(torch.float32).clamp({self.low!r}, {self.high!r}))"]


@dataclass(frozen=True)
class ToBytes(Step):
    """Spread the value range over 0…255 and round to 8 bits; halves go to the even number.

    >>> step = ToBytes()
    >>> step.run(np.array([[[0.0, 0.5, 1.0]]], np.float32), ValueRange(0, 1)).tolist()
    [[[0, 128, 255]]]
    """

    key = "to_uint8"
    about = StepAbout(
        title="Round to 8 bits",
        short="8 bits",
        formula=r"y = \mathrm{round}\left(255\, \frac{x - a}{b - a}\right)",
        summary="Spreads the value range over 0–255 and rounds; what lay between two levels is "
        "lost.",
        sources=(
            Source(
                "torchvision ToDtype",
                "https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToDtype.html",
            ),
        ),
        needs_range=True,
        libraries=(
            (
                "torchvision ToDtype(uint8, scale=True)",
                "Cuts 255.999·x off instead of rounding: a quarter of all values get another "
                "level, one less in the dark half, one more in the bright; 0.5 becomes 127, not "
                "128.",
            ),
            (
                "Hugging Face to_pil_image",
                "Cuts 255·x off: fractions that came from bytes are those bytes again, but what "
                "lies between two levels becomes the lower one, half a level darker on average.",
            ),
        ),
    )

    def run(
        self, pixels: np.ndarray, value_range: ValueRange | None, fitted: Fitted | None = None
    ) -> np.ndarray:
        assert value_range is not None
        if pixels.dtype == np.uint8:
            return pixels
        gain = 255 / value_range.span
        levels = pixels.astype(np.float64) * gain - gain * value_range.low
        return np.clip(np.rint(levels), 0, 255).astype(np.uint8)

    def after(self, kind: Kind) -> Kind:
        return Kind(np.dtype(np.uint8), BYTE_RANGE)

    def words(self) -> str:
        return "round to 8 bits"

    def code(self, target: str, kind: Kind, fitted: Fitted | None = None) -> list[str] | None:
        assert kind.value_range is not None
        if kind.dtype == np.uint8:
            return []
        gain, bias = (
            255 / kind.value_range.span,
            -255 * kind.value_range.low / kind.value_range.span,
        )
        levels = f"x * {gain!r} + {bias!r}" if bias else f"x * {gain!r}"
        if target == "numpy":
            return [
                "x = x.astype(np.float64)",
                f"x = np.clip(np.rint({levels}), 0, 255).astype(np.uint8)",
            ]
        return [
            "v2.ToDtype(torch.float64)",
            f"v2.Lambda(lambda x: ({levels}).round().clamp(0, 255).to(torch.uint8))",
        ]
