"""Normalization inside a network: feature maps ``(N, H, W, C)``, without learned weights.

These are no image methods: they take any number of channels, and some need a whole batch. All of
them leave out the gain γ and offset β that a network learns (γ = 1, β = 0), and compute in float64.
Those that remember batches are in ``running.py``.
"""

from __future__ import annotations

import dataclasses
import textwrap
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from normviz.errors import ParameterError, ShapeError
from normviz.methods.base import About, Invariance, Source, check_parameter, parameter
from normviz.methods.code import TARGETS

AXES = ("N", "H", "W", "C")

FEATURE_TARGETS = {
    key: "PyTorch" if key == "torchvision" else name
    for key, name in TARGETS.items()
    if key != "albumentations"
}

IOFFE = Source("Ioffe and Szegedy 2015 (batch normalization)", "https://arxiv.org/abs/1502.03167")

# Which numbers are taken together, for methods that leave the choice.
_SPANS = {"hwc": "H, W and C of a sample", "c": "Channels at each position"}


@dataclass(frozen=True)
class FeatureNorm(ABC):
    """Base of the normalizations of feature maps: parameters, metadata, one definition.

    Call it on floats ``(N, H, W, C)``: the result has their shape and type; they stay untouched.
    """

    key: ClassVar[str]
    about: ClassVar[About]
    centres: ClassVar[bool] = True
    """Whether a mean is subtracted, or only a size divided by."""
    in_groups: ClassVar[bool] = False
    """Whether the channels are split into groups, each with numbers of its own."""
    epsilon: float = parameter(
        1e-5,
        "ε",
        "Added to the variance (or mean square) before the root.",
        low=1e-12,
        high=0.1,
        step=1e-5,
    )

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            value = check_parameter(self.about.title, spec, getattr(self, spec.name))
            object.__setattr__(self, spec.name, value)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of (N, H, W, C) that this call's own numbers are taken over."""
        return self.about.reduces

    @property
    def gain_along(self) -> tuple[str, ...] | None:
        """The axes along which a positive gain may differ and not be seen, up to ε.

        A gain that is one number for everything is then not seen either. None: any gain is seen.
        """
        return tuple(axis for axis in AXES if axis not in self.axes) if self.axes else None

    @property
    def offset_along(self) -> tuple[str, ...] | None:
        """The axes along which an offset may differ and not be seen; None: any offset is seen."""
        return self.gain_along if self.centres else None

    @property
    def unseen(self) -> str:
        """What gains and offsets do not show, and up to what, in words; empty when all of them do.

        >>> BatchNorm().unseen
        'a gain and an offset of each channel, the gain only where the variance is far above ε'
        >>> RMSNorm().unseen
        'a gain of each position of each image, only where the mean square is far above ε'
        """
        if self.gain_along is None:
            return ""
        own = [("C", "channel"), ("H", "position"), ("N", "image")]
        each = [f"each {name}" for axis, name in own if axis in self.gain_along]
        if self.in_groups:
            each.insert(0, "each group of channels")
        of = " of ".join(each)
        # ε is added to what a gain changes; an offset does not reach it.
        if not self.centres:
            return f"a gain of {of}, only where the mean square is far above ε"
        return f"a gain and an offset of {of}, the gain only where the variance is far above ε"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the normalized feature maps, shape and float type of ``x`` ``(N, H, W, C)``.

        Raises :class:`ShapeError` for another shape, for integers, and for NaN or infinity.
        """
        x = checked_maps(x)
        return self.definition(x.astype(np.float64)).astype(x.dtype)

    @abstractmethod
    def definition(self, x: np.ndarray) -> np.ndarray:
        """Return the normalized maps of float64 ``x`` ``(N, H, W, C)``: the formula itself."""

    def code(self, target: str = "numpy") -> str:
        """Return code that defines ``normalize(x)`` for float feature maps.

        ``x`` is ``(N, H, W, C)`` for "numpy" and "keras", ``(N, C, H, W)`` for "torchvision",
        which here means plain PyTorch. Albumentations works on images, not on feature maps.
        """
        if target not in FEATURE_TARGETS:
            raise ParameterError(
                f"{self.about.title} works on feature maps and has no code for {target!r}; there "
                f"is {', '.join(FEATURE_TARGETS)}."
            )
        return self.snippet(target)

    @abstractmethod
    def snippet(self, target: str) -> str:
        """Return the code for one of :data:`FEATURE_TARGETS`."""

    def _numpy(self, axes: str, ddof: str = "") -> str:
        return f"""import numpy as np

EPSILON = {self.epsilon!r}


# x: floats (N, H, W, C)
def normalize(x):
    mean = x.mean(axis={axes}, keepdims=True)
    variance = x.var(axis={axes}, keepdims=True{ddof})
    return (x - mean) / np.sqrt(variance + EPSILON)
"""

    def _torch(self, returned: str, constants: str = "", before: str = "") -> str:
        return f"""{_torch_imports(returned + before)}
EPSILON = {self.epsilon!r}
{constants}

# x: float tensor (N, C, H, W)
def normalize(x):
{before}    return {returned}
"""

    def _keras(self, layer: str, training: str = "") -> str:
        return f"""import keras

LAYER = keras.layers.{layer}


# x: float tensor (N, H, W, C)
def normalize(x):
    return LAYER(x{training})
"""


def _torch_imports(body: str) -> str:
    lines = ["import torch"] * ("torch." in body) + ["import torch.nn.functional as F"] * (
        "F." in body
    )
    return "".join(f"{line}\n" for line in lines)


def checked_maps(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(
            "expected feature maps (samples, height, width, channels), none of them 0, "
            f"got shape {x.shape}."
        )
    if not np.issubdtype(x.dtype, np.floating):
        raise ShapeError(f"feature maps are floats, got {x.dtype}.")
    if not np.isfinite(x).all():
        where = ", ".join(map(str, np.argwhere(~np.isfinite(x))[0]))
        raise ShapeError(f"the feature maps hold NaN or infinity, first at ({where}).")
    return x


def standardized(x: np.ndarray, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
    """(x − mean) / √(variance + ε), variance with the count as divisor."""
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred**2).mean(axis=axes, keepdims=True)
    return centred / np.sqrt(variance + epsilon)


def axes_of(axes: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(AXES.index(axis) for axis in axes)


def listed(name: str, values: np.ndarray) -> str:
    """A list of numbers as code, fifteen digits each, in lines of at most 100 columns."""
    text = ", ".join(repr(float(f"{value:.15g}")) for value in values)
    if len(text) + len(name) < 90:
        return f"{name} = [{text}]"
    return f"{name} = [\n{textwrap.indent(textwrap.fill(text, 94), '    ')},\n]"


_OF_A_CHANNEL: frozenset[Invariance] = frozenset(
    {"gain", "offset", "channel_gain", "channel_offset"}
)

_KERAS_EPSILON = (
    "ε = 1e-3 by default, a hundred times PyTorch's: maps of std 0.1 come out with std 0.953, "
    "here 0.9995."
)


@dataclass(frozen=True)
class BatchNorm(FeatureNorm):
    """Mean and variance of the batch, per channel: y = (x − μ_c) / √(σ²_c + ε), over N, H, W.

    Training mode: every sample is seen through the others of its batch. σ² is the biased one
    (divided by the count), as in PyTorch and Keras.

    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> BatchNorm()(x).ravel().round(4)
    array([-1.,  1.])
    """

    key = "batch_norm"
    about = About(
        title="Batch normalization",
        short="batch norm",
        scope="batch",
        reduces=("N", "H", "W"),
        formula=(
            r"y_{nhwc} = \frac{x_{nhwc} - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}}, \quad"
            r" \mu_c = \tfrac{1}{NHW}\sum_{n,h,w} x_{nhwc}"
        ),
        summary=(
            "Standardizes each channel over the batch and all positions: what a sample becomes "
            "depends on the others beside it."
        ),
        sources=(IOFFE,),
        invariances=_OF_A_CHANNEL,
        loses="each channel's mean and size over the batch; samples keep theirs within it",
        flat="becomes 0 when the whole batch is flat, else its distance to the batch",
        unit="stds of the batch",
        nominal=(-3.0, 3.0),
        used_by="Inception, ResNet and most convolutional networks of 2015–2020, while training",
        libraries=(
            (
                "torch.nn.functional.batch_norm(training=True)",
                "The same; refuses one value a channel, which becomes 0 here.",
            ),
            ("keras.layers.BatchNormalization (training=True)", _KERAS_EPSILON),
            (
                "Keras on PyTorch",
                "Takes the variance as E[x²] − E[x]² in float32: maps of mean 100 and std 0.1 come "
                "out with stds from 0.97 to 1.08, on TensorFlow with 0.9995 as here.",
            ),
        ),
    )

    def definition(self, x: np.ndarray) -> np.ndarray:
        return standardized(x, axes_of(self.axes), self.epsilon)

    def snippet(self, target: str) -> str:
        if target == "torchvision":
            return self._torch("F.batch_norm(x, None, None, training=True, eps=EPSILON)")
        if target == "keras":
            return self._keras(
                f"BatchNormalization(center=False, scale=False, epsilon={self.epsilon!r})",
                ", training=True",
            )
        return self._numpy("(0, 1, 2)")


@dataclass(frozen=True)
class LayerNorm(FeatureNorm):
    """Mean and variance of one sample: y = (x − μ_n) / √(σ²_n + ε), over H, W, C or over C alone.

    ``over="hwc"`` is the layer normalization of convolutional networks, ``over="c"`` that of
    transformers and ConvNeXt, with a mean and variance at each position.

    >>> x = np.array([1.0, 3.0]).reshape(1, 1, 1, 2)
    >>> LayerNorm()(x).ravel().round(4)
    array([-1.,  1.])
    """

    key = "layer_norm"
    about = About(
        title="Layer normalization",
        short="layer norm",
        scope="image",
        reduces=("H", "W", "C"),
        formula=(
            r"y_{nhwc} = \frac{x_{nhwc} - \mu_n}{\sqrt{\sigma_n^2 + \varepsilon}}, \quad"
            r" \mu_n = \tfrac{1}{HWC}\sum_{h,w,c} x_{nhwc}"
        ),
        summary=(
            "Standardizes each sample over all its positions and channels, or each position over "
            "its channels; other samples play no part."
        ),
        sources=(
            Source(
                "Ba, Kiros and Hinton 2016 (layer normalization)",
                "https://arxiv.org/abs/1607.06450",
            ),
            Source("Liu et al. 2022 (ConvNeXt)", "https://arxiv.org/abs/2201.03545"),
        ),
        invariances=frozenset({"gain", "offset"}),
        loses="each sample's mean and size; channels keep theirs within it",
        flat="becomes 0",
        unit="stds of the sample",
        nominal=(-3.0, 3.0),
        used_by="Transformers and ConvNeXt (over C), recurrent networks",
        libraries=(
            (
                "torch.nn.functional.layer_norm",
                "Reduces over the trailing axes that it is told: (C, H, W) of a channels-first map "
                "is hwc here, the last one of a channels-last map is c.",
            ),
            (
                "keras.layers.LayerNormalization",
                "The last axis by default, which is c here; ε = 1e-3 by default, PyTorch's 1e-5, "
                "ConvNeXt's 1e-6.",
            ),
        ),
    )
    over: str = parameter(
        "hwc", "Over", "Which numbers of a sample share a mean and variance.", choices=_SPANS
    )

    @property
    def axes(self) -> tuple[str, ...]:
        return ("C",) if self.over == "c" else ("H", "W", "C")

    def definition(self, x: np.ndarray) -> np.ndarray:
        return standardized(x, axes_of(self.axes), self.epsilon)

    def snippet(self, target: str) -> str:
        if target == "torchvision":
            if self.over == "c":
                return self._torch(_OVER_CHANNELS.format("layer_norm"))
            return self._torch("F.layer_norm(x, x.shape[1:], eps=EPSILON)")
        if target == "keras":
            return self._keras(
                f"LayerNormalization(\n    axis={axes_of(self.axes)}, center=False, scale=False, "
                f"epsilon={self.epsilon!r}\n)"
            )
        return self._numpy(str(axes_of(self.axes)))


# PyTorch reduces over trailing axes: channels go there and come back.
_OVER_CHANNELS = "F.{}(x.movedim(1, -1), x.shape[1:2], eps=EPSILON).movedim(-1, 1)"


@dataclass(frozen=True)
class InstanceNorm(FeatureNorm):
    """Mean and variance of each channel of each sample: y = (x − μ_nc) / √(σ²_nc + ε), over H, W.

    >>> x = np.array([1.0, 3.0]).reshape(1, 2, 1, 1)
    >>> InstanceNorm()(x).ravel().round(4)
    array([-1.,  1.])
    """

    key = "instance_norm"
    about = About(
        title="Instance normalization",
        short="instance norm",
        scope="image",
        reduces=("H", "W"),
        formula=(
            r"y_{nhwc} = \frac{x_{nhwc} - \mu_{nc}}{\sqrt{\sigma_{nc}^2 + \varepsilon}}, \quad"
            r" \mu_{nc} = \tfrac{1}{HW}\sum_{h,w} x_{nhwc}"
        ),
        summary=(
            "Standardizes each channel of each sample over its positions: the contrast and the "
            "style of the single image go, its layout stays."
        ),
        sources=(
            Source(
                "Ulyanov, Vedaldi and Lempitsky 2016 (instance normalization)",
                "https://arxiv.org/abs/1607.08022",
            ),
        ),
        invariances=_OF_A_CHANNEL,
        loses="each channel's mean and size in the sample: on maps of one position, everything",
        flat="becomes 0",
        unit="stds of the channel in its sample",
        nominal=(-3.0, 3.0),
        used_by="Style transfer, image-to-image networks (CycleGAN, pix2pix)",
        libraries=(
            (
                "torch.nn.functional.instance_norm",
                "The same; refuses maps of one position, which become 0 here.",
            ),
            (
                "keras.layers.GroupNormalization(groups=-1)",
                "Keras's instance normalization; ε = 1e-3 by default.",
            ),
        ),
    )

    def definition(self, x: np.ndarray) -> np.ndarray:
        return standardized(x, axes_of(self.axes), self.epsilon)

    def snippet(self, target: str) -> str:
        if target == "torchvision":
            return self._torch("F.instance_norm(x, eps=EPSILON)")
        if target == "keras":
            return self._keras(
                "GroupNormalization(\n    groups=-1, center=False, scale=False, "
                f"epsilon={self.epsilon!r}\n)"
            )
        return self._numpy("(1, 2)")


@dataclass(frozen=True)
class GroupNorm(FeatureNorm):
    """Mean and variance of a group of channels of a sample: over H, W and C/G channels.

    ``groups`` must divide the number of channels; with 1 it is layer normalization (over H, W,
    C), with as many as channels instance normalization.

    >>> x = np.array([1.0, 3.0, 10.0, 30.0]).reshape(1, 1, 1, 4)
    >>> GroupNorm(groups=2)(x).ravel().round(4)
    array([-1.,  1., -1.,  1.])
    """

    key = "group_norm"
    in_groups = True
    about = About(
        title="Group normalization",
        short="group norm",
        scope="image",
        reduces=("H", "W", "C"),
        formula=(
            r"y_{nhwc} = \frac{x_{nhwc} - \mu_{ng}}{\sqrt{\sigma_{ng}^2 + \varepsilon}}, \quad"
            r" g = \lfloor c\,G / C \rfloor"
        ),
        summary=(
            "Standardizes groups of neighbouring channels of each sample over their positions: "
            "between layer (one group) and instance normalization (a group for each channel)."
        ),
        sources=(
            Source("Wu and He 2018 (group normalization)", "https://arxiv.org/abs/1803.08494"),
        ),
        invariances=frozenset({"gain", "offset"}),
        loses="the mean and size of each group in the sample",
        flat="becomes 0",
        unit="stds of the group in its sample",
        nominal=(-3.0, 3.0),
        used_by="Detection and segmentation with small batches, diffusion networks (32 groups)",
        libraries=(
            ("torch.nn.functional.group_norm", "The same; the number of groups has no default."),
            (
                "keras.layers.GroupNormalization",
                "32 groups and ε = 1e-3 by default; groups=-1 means one for each channel.",
            ),
        ),
    )
    groups: int = parameter(
        8, "Groups", "How many; it must divide the number of channels.", 1, 1024, 1
    )

    def definition(self, x: np.ndarray) -> np.ndarray:
        channels = x.shape[3]
        if channels % self.groups:
            fit = ", ".join(str(g) for g in range(1, channels + 1) if channels % g == 0)
            raise ParameterError(
                f"{self.about.title}: {self.groups} groups do not divide {channels} channels; "
                f"take one of {fit}."
            )
        grouped = x.reshape(*x.shape[:3], self.groups, channels // self.groups)
        return standardized(grouped, (1, 2, 4), self.epsilon).reshape(x.shape)

    def snippet(self, target: str) -> str:
        if target == "torchvision":
            return self._torch(f"F.group_norm(x, {self.groups}, eps=EPSILON)")
        if target == "keras":
            return self._keras(
                f"GroupNormalization(\n    groups={self.groups}, center=False, scale=False, "
                f"epsilon={self.epsilon!r}\n)"
            )
        return f"""import numpy as np

GROUPS = {self.groups}
EPSILON = {self.epsilon!r}


# x: floats (N, H, W, C)
def normalize(x):
    grouped = x.reshape(*x.shape[:3], GROUPS, -1)
    mean = grouped.mean(axis=(1, 2, 4), keepdims=True)
    variance = grouped.var(axis=(1, 2, 4), keepdims=True)
    return ((grouped - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape)
"""


@dataclass(frozen=True)
class RMSNorm(FeatureNorm):
    """Root mean square only, no mean subtracted: y = x / √(mean(x²) + ε), over C or H, W, C.

    >>> x = np.array([1.0, 7.0]).reshape(1, 1, 1, 2)  # mean square 25
    >>> RMSNorm()(x).ravel().round(4)
    array([0.2, 1.4])
    """

    key = "rms_norm"
    about = About(
        title="Root-mean-square normalization",
        short="RMS norm",
        scope="local",
        reduces=("C",),
        formula=(
            r"y_{nhwc} = \frac{x_{nhwc}}"
            r"{\sqrt{\tfrac{1}{C}\sum_{k} x_{nhwk}^2 + \varepsilon}}"
        ),
        summary=(
            "Divides the channels at each position by their root mean square and subtracts "
            "nothing: signs, and which channel is how much larger than another, stay."
        ),
        sources=(
            Source(
                "Zhang and Sennrich 2019 (root mean square layer normalization)",
                "https://arxiv.org/abs/1910.07467",
            ),
        ),
        invariances=frozenset({"gain"}),
        loses="the size of the vector of channels at each position",
        flat="becomes 1 where it was positive, −1 where negative; 0 stays 0",
        unit="root mean squares",
        nominal=(-3.0, 3.0),
        used_by="Language models (LLaMA, T5), recent vision transformers",
        libraries=(
            (
                "torch.nn.functional.rms_norm",
                "The same; without eps it takes that of the type: 1.2e-7 in float32, and a map of "
                "0.001 comes out at 0.95 there, at 0.71 here.",
            ),
            ("keras.layers.RMSNormalization", "The same with ε = 1e-6; it holds a learned gain."),
            (
                "keras.layers.LayerNormalization(rms_scaling=True)",
                "Is another thing: x / √(variance + ε), the variance taken about the mean.",
            ),
        ),
    )
    centres = False
    epsilon: float = parameter(
        1e-6, "ε", "Added to the mean square before the root.", low=1e-12, high=0.1, step=1e-6
    )
    over: str = parameter(
        "c", "Over", "Which numbers of a sample share a root mean square.", choices=_SPANS
    )

    @property
    def axes(self) -> tuple[str, ...]:
        return ("C",) if self.over == "c" else ("H", "W", "C")

    def definition(self, x: np.ndarray) -> np.ndarray:
        square = (x**2).mean(axis=axes_of(self.axes), keepdims=True)
        return x / np.sqrt(square + self.epsilon)

    def snippet(self, target: str) -> str:
        axes = axes_of(self.axes)
        if target == "torchvision":
            if self.over == "c":
                return self._torch(_OVER_CHANNELS.format("rms_norm"))
            return self._torch("F.rms_norm(x, x.shape[1:], eps=EPSILON)")
        if target == "keras":
            return f"""from keras import ops


# x: float tensor (N, H, W, C)
def normalize(x):
    return ops.rms_normalization(x, axis={axes}, epsilon={self.epsilon!r})
"""
        return f"""import numpy as np

EPSILON = {self.epsilon!r}


# x: floats (N, H, W, C)
def normalize(x):
    square = (x**2).mean(axis={axes}, keepdims=True)
    return x / np.sqrt(square + EPSILON)
"""


@dataclass(frozen=True)
class PositionalNorm(FeatureNorm):
    """Mean and variance of the channels at each position: y = (x − μ_nhw) / √(σ²_nhw + ε).

    The formula of layer normalization over C. The paper passes the removed means and stds on to
    a later layer (moment shortcut); they are not part of this.

    >>> x = np.array([1.0, 3.0]).reshape(1, 1, 1, 2)
    >>> PositionalNorm()(x).ravel().round(4)
    array([-1.,  1.])
    """

    key = "positional_norm"
    about = About(
        title="Positional normalization",
        short="positional norm",
        scope="local",
        reduces=("C",),
        formula=(
            r"y_{nhwc} = \frac{x_{nhwc} - \mu_{nhw}}{\sqrt{\sigma_{nhw}^2 + \varepsilon}}, \quad"
            r" \mu_{nhw} = \tfrac{1}{C}\sum_{c} x_{nhwc}"
        ),
        summary=(
            "Standardizes the channels at each position of each sample: the map of means that it "
            "takes out shows the layout of the image."
        ),
        sources=(
            Source(
                "Li, Wu, Weinberger and Belongie 2019 (positional normalization)",
                "https://arxiv.org/abs/1907.04312",
            ),
        ),
        invariances=frozenset({"gain", "offset"}),
        loses="how strong the channels are at each position, together",
        flat="becomes 0 (the channels' distances to one another stay, in their own std)",
        unit="stds of the channels",
        nominal=(-3.0, 3.0),
        used_by="Generative networks that hand the moments on",
        libraries=(
            (
                "The authors' PONO (PyTorch)",
                "Divides by the unbiased std, not by the paper's formula: values are smaller by "
                "√((C − 1)/C), 1.6 % at 32 channels, 29 % at 2.",
            ),
        ),
    )

    def definition(self, x: np.ndarray) -> np.ndarray:
        return standardized(x, axes_of(self.axes), self.epsilon)

    def snippet(self, target: str) -> str:
        return LayerNorm(over="c", epsilon=self.epsilon).snippet(target)
