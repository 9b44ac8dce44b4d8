"""Colour normalization: undo the colour of the light, assuming what a neutral scene is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.methods.base import About, Method, Source, parameter
from normviz.methods.image import _fractions, _own
from normviz.methods.kernels import affine
from normviz.statistics.counts import Counts
from normviz.statistics.image import ImageStatistics


def _ratio(target: float | np.ndarray, value: np.ndarray) -> np.ndarray:
    """target / value, and 1 for a channel that is black throughout."""
    return np.divide(target, value, out=np.ones_like(value), where=value > 0)


@dataclass(frozen=True)
class GreyWorld(Method):
    """Scale each channel so that the image's mean is grey: y_c = u_c · ū / ū_c.

    >>> x = np.array([[[40, 20, 60]]], np.uint8)
    >>> (255 * GreyWorld().fit()(x)).round(3).ravel()
    array([40., 40., 40.], dtype=float32)
    """

    key = "grey_world"
    about = About(
        title="Grey-world colour normalization",
        short="grey world",
        scope="image",
        reduces=("H", "W"),
        formula=r"y_c = x_c\, \frac{\overline{x}}{\overline{x}_c}",
        summary=(
            "Scales the channels so that the image is grey on average, as if any cast came from "
            "the light; brightness stays."
        ),
        sources=(
            Source(
                "Buchsbaum 1980, A spatial processor model for object colour perception",
                "https://doi.org/10.1016/0016-0032(80)90058-7",
            ),
        ),
        invariances=frozenset({"colour_cast"}),
        loses="the image's average colour, also where the scene really had one",
        flat="becomes grey of the same mean; a black channel stays black",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="White balance, colour constancy",
        libraries=(
            (
                "cv2.xphoto.createGrayworldWB (opencv-contrib)",
                "Scales to the darkest channel's mean instead of the mean of the three, leaves "
                "pixels of a saturation above 0.9 out of the means, and rounds to bytes.",
            ),
        ),
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean = u.mean(axis=(0, 1))
        return u * _ratio(mean.mean(), mean)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        mean, _, pooled, _ = _fractions(_own(image))
        return _ratio(pooled, mean), np.zeros_like(mean)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        mean = np.array(cv2.mean(pixels)[: pixels.shape[2]])
        return affine(pixels, _ratio(mean.mean(), mean) / 255, np.zeros_like(mean))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return """import numpy as np


def normalize(image):
    x = image / 255.0
    mean = x.mean(axis=(0, 1))
    gain = np.divide(mean.mean(), mean, out=np.ones_like(mean), where=mean > 0)
    return (x * gain).astype(np.float32)
"""
        if target == "torchvision":
            return """import torch


def normalize(image):
    x = image.to(torch.float64) / 255
    mean = x.mean(dim=(1, 2), keepdim=True)
    gain = torch.where(mean > 0, mean.mean() / mean, 1.0)
    return (x * gain).to(torch.float32)
"""
        if target == "keras":
            return """from keras import ops


def normalize(image):
    x = ops.cast(image, "float32") / 255
    mean = ops.mean(x, axis=(0, 1))
    gain = ops.where(mean > 0, ops.mean(mean) / mean, 1.0)
    return x * gain
"""
        return None


@dataclass(frozen=True)
class WhitePatch(Method):
    """Scale each channel so that its brightest value is white: y_c = u_c / percentile_p(u_c).

    Percentiles of integers are exact, those of floats known to 1/65,536 of the value range.

    >>> x = np.array([[[40, 20, 60], [80, 20, 30]]], np.uint8)
    >>> WhitePatch(percentile=100.0).fit()(x)[0].tolist()
    [[0.5, 1.0, 1.0], [1.0, 1.0, 0.5]]
    """

    key = "white_patch"
    about = About(
        title="White-patch colour normalization",
        short="white patch",
        scope="image",
        reduces=("H", "W"),
        formula=r"y_c = \frac{x_c}{P_p(x_c)}",
        summary=(
            "Scales each channel so that its brightest pixels become white, as if the brightest "
            "patch showed the colour of the light."
        ),
        sources=(
            Source(
                "Land and McCann 1971, Lightness and retinex theory",
                "https://doi.org/10.1364/JOSA.61.000001",
            ),
        ),
        invariances=frozenset({"gain", "channel_gain", "colour_cast"}),
        loses="the brightness and colour of the brightest patch",
        flat="becomes white; a black channel stays black",
        unit="0–1 and above",
        nominal=(0.0, 1.0),
        used_by="White balance, colour constancy",
        libraries=(
            (
                "cv2.xphoto.createSimpleWB (opencv-contrib)",
                "Stretches each channel between its 2nd and 98th percentiles: black is moved too. "
                "That is the percentile stretch of each channel.",
            ),
        ),
    )
    percentile: float = parameter(
        99.0,
        "Percentile",
        "Which percentile counts as white; 100 is the maximum, which one hot pixel can set.",
        low=50.0,
        high=100.0,
        step=0.5,
        unit="%",
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return u * _ratio(1.0, np.percentile(u, self.percentile, axis=(0, 1)))

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        image = _own(image)
        span = image.value_range
        white = (image.percentile(self.percentile) - span.low) / span.span
        return _ratio(1.0, white), np.zeros_like(white)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import numpy as np


def normalize(image):
    x = image / 255.0
    white = np.percentile(x, {self.percentile!r}, axis=(0, 1))
    gain = np.divide(1.0, white, out=np.ones_like(white), where=white > 0)
    return (x * gain).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch


def normalize(image):
    x = image.to(torch.float64) / 255
    # Sorted by hand: torch.quantile refuses images of more than 16 million values.
    levels = image.flatten(1).sort(dim=1).values.to(torch.float64) / 255
    place = {self.percentile!r} / 100 * (levels.shape[1] - 1)
    below, above = levels[:, int(place)], levels[:, min(int(place) + 1, levels.shape[1] - 1)]
    white = (below + (place - int(place)) * (above - below)).view(-1, 1, 1)
    return (x * torch.where(white > 0, 1 / white, 1.0)).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops


def normalize(image):
    x = ops.cast(image, "float32") / 255
    levels = ops.sort(ops.reshape(x, (-1, image.shape[-1])), axis=0)
    place = {self.percentile!r} / 100 * (levels.shape[0] - 1)
    below, above = levels[int(place)], levels[min(int(place) + 1, levels.shape[0] - 1)]
    white = below + (place - int(place)) * (above - below)
    return x * ops.where(white > 0, 1 / white, 1.0)
"""
        return None


def _minkowski(values: np.ndarray, p: float, weights: np.ndarray | None = None) -> np.ndarray:
    """(mean of vᵖ)^(1/p) of each channel (last axis), scaled by the largest so that nothing
    underflows; ``weights`` are those of rows. The values become their shares of the largest."""
    # Down the first axis, then the rest: many values at once.
    top = values.max(axis=0).reshape(-1, values.shape[-1]).max(axis=0)
    seen = top > 4 * np.finfo(top.dtype).tiny
    scale = np.divide(1, top, out=np.zeros_like(top), where=seen)
    # A factor a value of a row: ten times as fast as NumPy's multiplication by three numbers.
    rows = values.reshape(len(values), -1)
    rows *= np.tile(scale, rows.shape[1] // len(scale))
    shares = rows.reshape(values.shape)
    # OpenCV's power is float32's equal and ten times as fast; float64 is the definition's.
    if shares.dtype == np.float32:
        powers = np.asarray(cv2.pow(shares, p)).reshape(shares.shape)
    else:
        powers = np.power(shares, p)
    mean = _means(powers) if weights is None else (weights * powers).sum(axis=0)
    return top * mean ** (1 / p)


def _means(x: np.ndarray) -> np.ndarray:
    """Mean of each channel of ``(H, W, C)``, summed up in float64 also for float32."""
    return np.array(cv2.mean(x)[: x.shape[2]])


def _gain_code(lines: str, imports: str = "import numpy as np") -> str:
    """Code of a gain a channel; ``lines`` compute ``light`` ``(C,)`` from x, fractions."""
    return f"""{imports}


def normalize(image):
    x = image / 255.0
{lines}
    gain = np.divide(light.mean(), light, out=np.ones_like(light), where=light > 0)
    return (x * gain).astype(np.float32)
"""


@dataclass(frozen=True)
class ShadesOfGrey(Method):
    """Scale each channel so that its Minkowski mean is grey: y_c = u_c · ē / e_c, e_c = ‖u_c‖_p.

    e_c = (mean of u_cᵖ)^(1/p) and ē their mean. p = 1 is grey world; with growing p the brightest
    pixels decide, as in white patch.

    >>> x = np.array([[[40, 20, 60]]], np.uint8)
    >>> (255 * ShadesOfGrey().fit()(x)).round(3).ravel()
    array([40., 40., 40.], dtype=float32)
    """

    key = "shades_of_grey"
    about = About(
        title="Shades of grey",
        short="shades of grey",
        scope="image",
        reduces=("H", "W"),
        formula=(
            r"y_c = x_c\, \frac{\overline{e}}{e_c}, \quad"
            r" e_c = \left(\tfrac{1}{HW}\sum_{h,w} x_{hwc}^{\,p}\right)^{1/p}"
        ),
        summary=(
            "Takes the light's colour from a Minkowski mean of each channel, between grey world "
            "(all pixels alike) and white patch (the brightest alone), and scales it to grey."
        ),
        sources=(
            Source(
                "Finlayson and Trezzi 2004, Shades of gray and colour constancy",
                "https://library.imaging.org/cic/articles/12/1/art00008",
            ),
        ),
        invariances=frozenset({"colour_cast"}),
        loses="the image's average colour, bright pixels counted more",
        flat="becomes grey of the same mean; a black channel stays black",
        unit="0–1",
        nominal=(0.0, 1.0),
        used_by="Colour constancy benchmarks, dermoscopy (skin lesion) pipelines with p = 6",
        libraries=(
            (
                "The authors' MATLAB code (general_cc)",
                "Brings the channels to the root mean square of e_R, e_G, e_B instead of their "
                "mean, a common factor; leaves saturated pixels and the border out.",
            ),
        ),
    )
    p: float = parameter(
        6.0, "p", "1 is grey world; the larger, the more bright pixels count.", 1.0, 20.0, 0.5
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        light = _minkowski(u.astype(np.float64), self.p)
        return u * _ratio(light.mean(), light).astype(u.dtype)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        image = _own(image)
        if not isinstance(image.summary, Counts):
            return None
        shares = image.summary.table.T / (image.height * image.width)
        span = image.value_range.span
        levels = np.broadcast_to(np.arange(span + 1)[:, np.newaxis] / span, shares.shape)
        light = _minkowski(np.where(shares > 0, levels, 0), self.p, shares)
        return _ratio(light.mean(), light), np.zeros_like(light)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        return _gain_code(f"    light = (x**{self.p!r}).mean(axis=(0, 1)) ** (1 / {self.p!r})")


# Edges of fewer levels on average are measured in float64: float32 rounds them.
_FAINT = 0.05


@dataclass(frozen=True)
class GreyEdge(Method):
    """Scale each channel so that its edges are grey: y_c = u_c · ē / e_c, e_c = ‖ |∂ⁿ(G∗u_c)| ‖_p.

    The image is smoothed by a Gaussian, differentiated (central differences, borders mirrored
    without repeating the edge pixel), and the Minkowski mean of the derivative's size is taken.

    >>> x = np.array([[[40, 20, 60], [80, 40, 120], [120, 60, 180]]] * 4, np.uint8)
    >>> y = GreyEdge().fit()(x)
    >>> bool(np.ptp(y, axis=2).max() < 1e-6)
    True
    """

    key = "grey_edge"
    about = About(
        title="Grey edge",
        short="grey edge",
        scope="image",
        reduces=("H", "W"),
        formula=(
            r"y_c = x_c\, \frac{\overline{e}}{e_c}, \quad e_c = \left(\tfrac{1}{HW}\sum_{h,w}"
            r" \left|\partial^n (G_\sigma * x_c)\right|^p\right)^{1/p}"
        ),
        summary=(
            "Takes the light's colour from the edges of the image, assuming that differences "
            "between neighbours are grey on average, and scales the channels accordingly."
        ),
        sources=(
            Source(
                "van de Weijer, Gevers and Gijsenij 2007, Edge-based color constancy",
                "https://doi.org/10.1109/TIP.2007.901808",
            ),
        ),
        invariances=frozenset({"colour_cast"}),
        loses="the average colour of the image's edges",
        flat="stays as it is: without edges nothing is known of the light",
        unit="0–1",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Colour constancy benchmarks, surveillance and driving cameras",
        libraries=(
            (
                "The authors' MATLAB code (general_cc)",
                "Brings the channels to the root mean square of e_R, e_G, e_B instead of their "
                "mean, a common factor; leaves saturated pixels and the border out.",
            ),
        ),
    )
    order: int = parameter(
        1,
        "Derivative",
        "Edges (first) or lines and corners (second).",
        choices={1: "1st", 2: "2nd"},
    )
    p: float = parameter(6.0, "p", "The larger, the more strong edges count.", 1.0, 20.0, 0.5)
    sigma: float = parameter(
        1.0, "σ", "Of the Gaussian that smooths first.", 0.5, 10.0, 0.5, unit="px"
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        light = self._light(u.astype(np.float64))
        return u * _ratio(light.mean(), light).astype(u.dtype)

    def on_bytes(
        self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]
    ) -> np.ndarray | None:
        light = self._light(pixels.astype(np.float32))
        if light.min() < _FAINT:
            return None
        return affine(pixels, _ratio(light.mean(), light) / 255, np.zeros_like(light))

    def _light(self, u: np.ndarray) -> np.ndarray:
        """The light's colour by ``u``, in whose memory the steps are taken."""
        smooth = cv2.GaussianBlur(u, (0, 0), self.sigma, u, borderType=cv2.BORDER_REFLECT_101)

        def slope(x: np.ndarray, across: int, down: int) -> np.ndarray:
            return cv2.Sobel(x, -1, across, down, ksize=1, borderType=cv2.BORDER_REFLECT_101)

        if self.order == 1:
            # Not cv2.magnitude, whose last bit depends on where in memory a value lies.
            square, down = slope(smooth, 1, 0), slope(smooth, 0, 1)
            square *= square
            down *= down
            square += down
        else:
            mixed = slope(slope(smooth, 1, 0), 0, 1) / 4
            square = slope(smooth, 2, 0) ** 2 + 4 * mixed**2 + slope(smooth, 0, 2) ** 2
        size = np.sqrt(square, out=square)
        # Differences this small are rounding: a flat channel has no edges.
        cv2.threshold(size, 1e-12, 0, cv2.THRESH_TOZERO, size)
        return _minkowski(size.reshape(u.shape), self.p)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        square = "slope(smooth, 1, 0) ** 2 + slope(smooth, 0, 1) ** 2"
        if self.order == 2:
            square = (
                "(\n        slope(smooth, 2, 0) ** 2\n"
                "        + 4 * (slope(slope(smooth, 1, 0), 0, 1) / 4) ** 2\n"
                "        + slope(smooth, 0, 2) ** 2\n    )"
            )
        return f"""import cv2
import numpy as np

P = {self.p!r}
SIGMA = {self.sigma!r}


def slope(x, across, down):
    y = cv2.Sobel(x, -1, across, down, ksize=1, borderType=cv2.BORDER_REFLECT_101)
    return y.reshape(x.shape)


def normalize(image):
    x = image / 255.0
    smooth = cv2.GaussianBlur(x, (0, 0), SIGMA, borderType=cv2.BORDER_REFLECT_101)
    smooth = smooth.reshape(x.shape)
    square = {square}
    size = np.sqrt(square)
    size[size < 1e-12] = 0
    top = size.max(axis=(0, 1))
    shares = np.divide(size, top, out=np.zeros_like(size), where=top > 0)
    light = top * (shares**P).mean(axis=(0, 1)) ** (1 / P)
    gain = np.divide(light.mean(), light, out=np.ones_like(light), where=light > 0)
    return (x * gain).astype(np.float32)
"""
