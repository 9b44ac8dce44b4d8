"""Stretch an image between two of its own values, or about its own median."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.methods.base import About, Invariance, Method, Source, _promise, parameter
from normviz.methods.image import _GAINS, _own
from normviz.methods.kernels import affine
from normviz.statistics.counts import Counts
from normviz.statistics.image import ImageStatistics

OVER = {"image": "All channels together", "channel": "Each channel"}

# Scaling each channel by its own numbers takes these changes away too.
_CHANNEL_CHANGES: frozenset[Invariance] = frozenset({"channel_gain", "channel_offset"})


def _nonzero(width: np.ndarray) -> np.ndarray:
    """``width``, and 1 (the whole value range) in place of 0."""
    return np.where(width > 0, width, width.dtype.type(1))


def _line(low: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain and bias of (u − low) / width."""
    gain = 1 / _nonzero(width)
    return gain, -low * gain


def _counts(image: ImageStatistics, over: str) -> Counts | None:
    """The exact level counts, pooled or per channel; None for floats, which have none."""
    if not isinstance(image.summary, Counts):
        return None
    if over == "channel":
        return image.summary
    return Counts(image.summary.table.sum(axis=0, keepdims=True))


_SPAN = Source(
    "scikit-learn MinMaxScaler, which takes the numbers over a dataset's column instead",
    "https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.MinMaxScaler.html",
)
_RESCALE = "https://scikit-image.org/docs/stable/api/skimage.exposure.html"
_AUTOCONTRAST = (
    "https://pillow.readthedocs.io/en/stable/reference/ImageOps.html#PIL.ImageOps.autocontrast"
)


@dataclass(frozen=True)
class MinMax(Method):
    """The image's lowest value becomes 0 and its highest 1: y = (u − min u) / (max u − min u).

    >>> MinMax().fit()(np.array([[[40, 20, 60]]], np.uint8)).ravel()
    array([0.5, 0. , 1. ], dtype=float32)
    """

    key = "min_max"
    difference = (
        'A.Normalize(normalization="min_max") differs: it divides levels by max - min + 1e-4,\n'
        "which makes its highest value 255 / 255.0001 on an image that uses all levels."
    )
    about = About(
        title="Min–max over the image",
        short="min–max",
        scope="image",
        reduces=("H", "W", "C"),
        formula=r"y = \frac{x - \min x}{\max x - \min x}",
        summary=(
            "Stretches the image so that its darkest value is 0 and its brightest 1, with the same "
            "two numbers for all channels, so hue shifts little."
        ),
        sources=(Source("scikit-image rescale_intensity", _RESCALE), _SPAN),
        invariances=frozenset({"gain", "offset"}),
        loses="the image's brightness and contrast (its extremes are not kept); one hot pixel "
        "sets them for all others",
        flat="becomes 0",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="Scientific and medical images of unknown scale, saliency and depth maps",
        libraries=(
            (
                "cv2.normalize(NORM_MINMAX, dtype=CV_32F)",
                "Same over all channels, to 1e-7. Without dtype the result is rounded to bytes.",
            ),
            (
                "skimage.exposure.rescale_intensity(out_range=(0, 1)), "
                "monai.transforms.ScaleIntensity()",
                "Same over all channels, to 1e-7.",
            ),
            (
                'albumentations.Normalize("min_max")',
                "Divides levels by max − min + 1e-4 and clips to −20…20: 4e-7 lower at white on an "
                "image that uses all 256 levels, 1e-5 on one that uses ten.",
            ),
            (
                "kornia.enhance.normalize_min_max, torchvision.transforms.v2.RandomAutocontrast",
                "Take one minimum and maximum a channel: see min–max per channel.",
            ),
        ),
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        low = u.min()
        return (u - low) / _nonzero(u.max() - low)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        low, high = _extremes(_own(image))
        return _line(low.min(keepdims=True), high.max(keepdims=True) - low.min(keepdims=True))

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # Without counting all levels, of which only the outer two matter.
        low, high, _, _ = cv2.minMaxLoc(pixels.reshape(len(pixels), -1))
        return affine(pixels, *_line(np.array([low]), np.array([high - low])), (low, high))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        return _min_max_code(target, "image")


@dataclass(frozen=True)
class ChannelMinMax(Method):
    """Each channel from 0 to 1 by its own extremes: y_c = (u_c − min u_c) / (max u_c − min u_c).

    >>> x = np.array([[[40, 20, 60], [80, 20, 30], [60, 20, 45]]], np.uint8)
    >>> ChannelMinMax().fit()(x)[0].tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]
    """

    key = "channel_min_max"
    difference = (
        'A.Normalize(normalization="min_max_per_channel") differs: it divides levels by\n'
        "max - min + 1e-4."
    )
    about = About(
        title="Min–max per channel",
        short="min–max per channel",
        scope="image",
        reduces=("H", "W"),
        formula=r"y_c = \frac{x_c - \min x_c}{\max x_c - \min x_c}",
        summary=(
            "Stretches each channel from 0 to 1 by its own darkest and brightest value, which "
            "also pulls the image's overall colour towards grey."
        ),
        sources=(Source("Pillow ImageOps.autocontrast", _AUTOCONTRAST), _SPAN),
        invariances=_CHANNEL_CHANGES.union({"gain", "offset"}),
        loses="the image's brightness, contrast and overall colour",
        flat="a flat channel becomes 0",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="Auto-contrast in picture editors, satellite bands, microscopy channels",
        libraries=(
            (
                "kornia.enhance.normalize_min_max",
                "Adds 1e-6 to max − min of fractions: 1e-6 lower at white on an image that uses "
                "its whole range.",
            ),
            (
                'albumentations.Normalize("min_max_per_channel")',
                "Divides levels by max − min + 1e-4 and clips to −20…20: 4e-7 lower at white on an "
                "image that uses all 256 levels.",
            ),
            (
                "PIL.ImageOps.autocontrast, torchvision.transforms.v2.RandomAutocontrast",
                "Cut the result off to whole bytes, up to 1 level (0.004) lower, and leave a flat "
                "channel as it is.",
            ),
            (
                "sklearn.preprocessing.minmax_scale",
                "Same on pixels as rows and channels as columns.",
            ),
        ),
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        low = u.min(axis=(0, 1))
        return (u - low) / _nonzero(u.max(axis=(0, 1)) - low)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        low, high = _extremes(_own(image))
        return _line(low, high - low)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # Down the columns first, which NumPy does for many values at once.
        low, high = (end(end(pixels, axis=0), axis=0).astype(float) for end in (np.min, np.max))
        return affine(pixels, *_line(low, high - low))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        return _min_max_code(target, "channel")


@dataclass(frozen=True)
class PercentileStretch(Method):
    """Percentile p becomes 0 and percentile q becomes 1: y = (u − P_p(u)) / (P_q(u) − P_p(u)).

    Percentiles are interpolated between neighbours in order of size, as NumPy does by default.
    Where both are the same value, the divisor is 1 (the value range).

    >>> x = np.arange(0, 101, dtype=np.uint8).reshape(1, 101, 1)
    >>> y = PercentileStretch(low=10.0, high=60.0).fit()(x)
    >>> y[0, [0, 10, 35, 60, 100], 0].tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """

    key = "percentile_stretch"
    about = About(
        title="Percentile stretch",
        short="percentile stretch",
        scope="image",
        reduces=("H", "W", "C"),
        formula=r"y = \frac{x - P_p(x)}{P_q(x) - P_p(x)}, \quad \text{cut to } [0, 1]",
        summary=(
            "Stretches the image between two percentiles instead of its extremes, so that a few "
            "hot or dead pixels do not decide; what lies beyond is cut off, or kept on request."
        ),
        sources=(
            Source("scikit-image rescale_intensity with in_range of percentiles", _RESCALE),
            Source(
                "NumPy percentile (the interpolation)",
                "https://numpy.org/doc/stable/reference/generated/numpy.percentile.html",
            ),
        ),
        invariances=frozenset({"gain", "offset"}),
        loses="brightness and contrast, and all detail beyond the two percentiles when it is cut",
        flat="becomes 0; where both percentiles are one value the divisor is 1, the value range",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="Satellite and astronomical images, CT and MR volumes, picture editors",
        libraries=(
            (
                "skimage.exposure.rescale_intensity(in_range=np.percentile(x, (p, q)))",
                "Same over all channels when cut, to 1e-7; it has no uncut form, and where both "
                "percentiles are one value it makes the whole image flat.",
            ),
            (
                "monai.transforms.ScaleIntensityRangePercentiles(clip=True)",
                "Same over all channels, to 1e-6.",
            ),
            (
                "PIL.ImageOps.autocontrast(cutoff=(p, 100 − q))",
                "Per channel; counts pixels off both ends instead of interpolating, and rounds "
                "down to bytes.",
            ),
        ),
    )
    low: float = parameter(
        2.0, "Low percentile", "This percentile becomes 0.", 0.0, 50.0, 0.5, unit="%"
    )
    high: float = parameter(
        98.0, "High percentile", "This percentile becomes 1.", 50.0, 100.0, 0.5, unit="%"
    )
    over: str = parameter(
        "image",
        "Percentiles of",
        "All channels together keep the colours; each channel pulls them towards grey.",
        choices=OVER,
    )
    beyond: str = parameter(
        "cut",
        "Beyond 0 and 1",
        "What becomes of pixels beyond the two percentiles.",
        choices={"cut": "Cut off", "keep": "Kept"},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over == "channel":
            _promise(
                self,
                reduces=("H", "W"),
                invariances=self.about.invariances | _CHANNEL_CHANGES,
                loses=f"overall colour, {self.about.loses}",
                flat="a flat channel becomes 0; where both percentiles are one value the divisor "
                "is 1, the value range",
            )
        if self.low == self.high:
            # One percentile is no width: there is nothing to divide by in any image.
            _promise(
                self,
                invariances=self.about.invariances - _GAINS,
                loses="the median, and all that lies below it"
                if self.beyond == "cut"
                else "the median",
                flat="becomes 0; both percentiles are one value, so the divisor is 1, the value "
                "range",
            )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        low, high = np.percentile(u, [self.low, self.high], axis=_axes(self.over))
        y = (u - low) / _nonzero(high - low)
        return y.clip(0, 1) if self.beyond == "cut" else y

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        return None if self.beyond == "cut" else self._stretch(_own(image))

    def table(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics
    ) -> np.ndarray | None:
        pair = self._stretch(image)
        if pair is None:
            return None
        span = image.value_range.span
        u = np.arange(span + 1)[:, np.newaxis] / span
        y = np.broadcast_to(pair[0] * u + pair[1], (len(u), image.channels))
        return y.clip(0, 1) if self.beyond == "cut" else y

    def _stretch(self, image: ImageStatistics) -> tuple[np.ndarray, np.ndarray] | None:
        """Gain and bias before the cut; None for floats, whose percentiles need their pixels."""
        counts = _counts(image, self.over)
        if counts is None:
            return None
        low, high = (counts.percentile(q) / image.value_range.span for q in (self.low, self.high))
        return _line(low, high - low)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        cut = self.beyond == "cut"
        if target == "numpy":
            y = "(x - low) / np.where(high > low, high - low, 1)"
            result = f"({y}).clip(0, 1)" if cut else f"({y})"
            return f"""import numpy as np


def normalize(image):
    x = image / 255.0
    low, high = np.percentile(x, [{self.low!r}, {self.high!r}], axis={_axes(self.over)})
    return {result}.astype(np.float32)
"""
        if target == "torchvision":
            last = "y.clamp(0, 1)" if cut else "y"
            return f"""{_torch_percentile(self.over)}

def normalize(image):
    x = image.to(torch.float64) / 255
    low, high = percentile(x, {self.low!r}), percentile(x, {self.high!r})
    y = (x - low) / torch.where(high > low, high - low, 1.0)
    return {last}.to(torch.float32)
"""
        if target == "keras":
            last = "ops.clip(y, 0, 1)" if cut else "y"
            return f"""{_keras_percentile(self.over)}

def normalize(image):
    x = ops.cast(image, "float32")
    low, high = percentile(x, {self.low!r}), percentile(x, {self.high!r})
    y = (x - low) / ops.where(high > low, high - low, 255.0)
    return {last}
"""
        return None


# The MAD of a normal distribution is its std times 0.6745 = 1 / 1.4826.
_NORMAL_MAD = 1.4826


@dataclass(frozen=True)
class Robust(Method):
    """Median and a robust spread in place of mean and std: y = (u − median(u)) / s.

    s is the interquartile range P₇₅ − P₂₅, or the median absolute deviation (MAD)
    median|u − median(u)|, as it is or times 1.4826. s = 0 is replaced by 1 (the value range), as
    in scikit-learn: it is 0 wherever half of all pixels have one value.

    >>> x = np.array([[[10], [20], [30], [40], [250]]], np.uint8)
    >>> Robust().fit()(x).ravel().tolist()
    [-1.0, -0.5, 0.0, 0.5, 11.0]
    """

    key = "robust"
    about = About(
        title="Robust standardization (median, IQR or MAD)",
        short="own median, IQR or MAD",
        scope="image",
        reduces=("H", "W", "C"),
        formula=(
            r"y = \frac{x - \tilde{x}}{s}, \quad s = P_{75}(x) - P_{25}(x)"
            r"\ \text{or}\ \operatorname{median}\lvert x - \tilde{x}\rvert"
        ),
        summary=(
            "Subtracts the image's median and divides by its interquartile range or median "
            "absolute deviation, which a quarter of the pixels can spoil at the least."
        ),
        sources=(
            Source(
                "scikit-learn RobustScaler, which takes the numbers over a dataset's column",
                "https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.RobustScaler.html",
            ),
            Source(
                "Leys et al. 2013, Detecting outliers: do not use standard deviation around the "
                "mean, use absolute deviation around the median",
                "https://doi.org/10.1016/j.jesp.2013.03.013",
            ),
        ),
        invariances=frozenset({"gain", "offset"}),
        loses="the image's overall brightness and contrast (its median and spread are not kept)",
        flat="becomes 0; where half of the pixels have one value the spread can be 0, and the "
        "divisor is then 1, the value range",
        unit="own IQRs or MADs",
        nominal=(-1.0, 1.0),
        used_by="MR and microscopy images with bright artefacts, astronomy (MAD)",
        libraries=(
            (
                "sklearn.preprocessing.robust_scale",
                "Same for the IQR of each channel, on pixels as rows and channels as columns, to "
                "1e-12; its unit_variance divides by IQR / 1.349 instead.",
            ),
            (
                'scipy.stats.median_abs_deviation(scale="normal")',
                "Multiplies by 1.482602 where it is 1.4826 here: 1.5e-6 of the value.",
            ),
        ),
    )
    scale: str = parameter(
        "iqr",
        "Spread",
        "What to divide by; 1.4826 × MAD is the std where values are normally distributed.",
        choices={"iqr": "IQR", "mad": "MAD", "mad_normal": "1.4826 × MAD"},
    )
    over: str = parameter(
        "image",
        "Median and spread of",
        "All channels together keep the colours; each channel pulls them towards grey.",
        choices=OVER,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over == "channel":
            _promise(
                self,
                reduces=("H", "W"),
                invariances=self.about.invariances | _CHANNEL_CHANGES,
                loses="the image's overall brightness, contrast and colour",
                flat=f"a flat channel {self.about.flat}",
            )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        axes = _axes(self.over)
        centre = np.median(u, axis=axes)
        if self.scale == "iqr":
            low, high = np.percentile(u, [25, 75], axis=axes)
            return (u - centre) / _nonzero(high - low)
        deviation = np.median(np.abs(u - centre), axis=axes)
        return (u - centre) / _nonzero(self._factor * deviation)

    @property
    def _factor(self) -> float:
        return _NORMAL_MAD if self.scale == "mad_normal" else 1.0

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        image = _own(image)
        counts = _counts(image, self.over)
        if counts is None:
            return None
        centre = counts.percentile(50)
        if self.scale == "iqr":
            spread = counts.percentile(75) - counts.percentile(25)
        else:
            spread = self._factor * _deviation(counts, centre)
        return _line(centre / image.value_range.span, spread / image.value_range.span)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        factor = "1.4826 * " if self.scale == "mad_normal" else ""
        axes = _axes(self.over)
        if target == "numpy":
            lines = f"    scale = {factor}np.median(np.abs(x - centre), axis={axes})"
            if self.scale == "iqr":
                lines = f"""    low, high = np.percentile(x, [25, 75], axis={axes})
    scale = high - low"""
            return f"""import numpy as np


def normalize(image):
    x = image / 255.0
    centre = np.median(x, axis={axes})
{lines}
    return ((x - centre) / np.where(scale > 0, scale, 1)).astype(np.float32)
"""
        absolute = {"torchvision": "(x - centre).abs()", "keras": "ops.abs(x - centre)"}
        if target not in absolute:
            return None
        scale = f"{factor}percentile({absolute[target]}, 50)"
        if self.scale == "iqr":
            scale = "percentile(x, 75) - percentile(x, 25)"
        if target == "torchvision":
            return f"""{_torch_percentile(self.over)}

def normalize(image):
    x = image.to(torch.float64) / 255
    centre = percentile(x, 50)
    scale = {scale}
    return ((x - centre) / torch.where(scale > 0, scale, 1.0)).to(torch.float32)
"""
        return f"""{_keras_percentile(self.over)}

def normalize(image):
    x = ops.cast(image, "float32")
    centre = percentile(x, 50)
    scale = {scale}
    return (x - centre) / ops.where(scale > 0, scale, 255.0)
"""


def _extremes(image: ImageStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value per channel, as fractions of the value range."""
    low, span = image.value_range.low, image.value_range.span
    return (image.low - low) / span, (image.high - low) / span


def _axes(over: str) -> tuple[int, int] | None:
    return (0, 1) if over == "channel" else None


def _deviation(counts: Counts, centre: np.ndarray) -> np.ndarray:
    """Median of |level − centre| per channel: the middle one, or the mean of the middle two."""
    away = np.abs(np.arange(counts.levels) - centre[:, np.newaxis])
    order = np.argsort(away, axis=1)
    reached = np.cumsum(np.take_along_axis(counts.table, order, axis=1), axis=1)
    middle = ((counts.count - 1) // 2, counts.count // 2)
    return np.array(
        [
            np.mean([row[at[np.searchsorted(up, place, side="right")]] for place in middle])
            for row, at, up in zip(away, order, reached, strict=True)
        ]
    )


def _min_max_code(target: str, over: str) -> str | None:
    if target == "numpy":
        ends = "x.min(), x.max()"
        if over == "channel":
            ends = "x.min(axis=(0, 1)), x.max(axis=(0, 1))"
        return f"""import numpy as np


def normalize(image):
    x = image / 255.0
    low, high = {ends}
    return ((x - low) / np.where(high > low, high - low, 1)).astype(np.float32)
"""
    if target == "torchvision":
        ends = "x.min(), x.max()"
        if over == "channel":
            ends = "x.amin(dim=(1, 2), keepdim=True), x.amax(dim=(1, 2), keepdim=True)"
        return f"""import torch


def normalize(image):
    x = image.to(torch.float64) / 255
    low, high = {ends}
    return ((x - low) / torch.where(high > low, high - low, 1.0)).to(torch.float32)
"""
    if target == "keras":
        ends = "ops.min(x), ops.max(x)"
        if over == "channel":
            ends = "ops.min(x, axis=(0, 1)), ops.max(x, axis=(0, 1))"
        return f"""from keras import ops


def normalize(image):
    x = ops.cast(image, "float32")
    low, high = {ends}
    return (x - low) / ops.where(high > low, high - low, 255.0)
"""
    return None


def _torch_percentile(over: str) -> str:
    rows = "x.flatten(1)" if over == "channel" else "x.reshape(1, -1)"
    return f"""import torch


def percentile(x, q):
    # Sorted by hand: torch.quantile refuses images of more than 16 million values.
    ranked = {rows}.sort(dim=1).values
    place = q / 100 * (ranked.shape[1] - 1)
    below, above = ranked[:, int(place)], ranked[:, min(int(place) + 1, ranked.shape[1] - 1)]
    return (below + (place - int(place)) * (above - below)).view(-1, 1, 1)
"""


def _keras_percentile(over: str) -> str:
    columns = "x.shape[-1]" if over == "channel" else "1"
    return f"""from keras import ops


def percentile(x, q):
    ranked = ops.sort(ops.reshape(x, (-1, {columns})), axis=0)
    place = q / 100 * (ranked.shape[0] - 1)
    below, above = ranked[int(place)], ranked[min(int(place) + 1, ranked.shape[0] - 1)]
    return below + (place - int(place)) * (above - below)
"""
