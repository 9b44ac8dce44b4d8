"""Normalization by a neighbourhood: a window around each pixel, or the channels beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from normviz.errors import ParameterError
from normviz.methods.base import About, Method, Source, _promise, parameter
from normviz.methods.dataset import SCALES
from normviz.methods.image import _GAINS
from normviz.methods.kernels import looked_up
from normviz.methods.stretch import _CHANNEL_CHANGES

JARRETT = Source(
    "Jarrett, Kavukcuoglu, Ranzato and LeCun 2009, What is the best multi-stage architecture for "
    "object recognition?",
    "https://ieeexplore.ieee.org/document/5459469",
)
TORCH7 = Source(
    "Torch7 nn: SpatialSubtractiveNormalization, SpatialDivisiveNormalization",
    "https://github.com/torch/nn/blob/master/doc/convolution.md",
)

OVER = {"across": "All together", "each": "Each alone"}

_BORDER = cv2.BORDER_REFLECT_101

# A mean σ below this is the rounding of black pixels, or of no contrast.
_BLACK = 1e-12


def _spread(pool: np.ndarray, like: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """A pool ``(H, W)`` of all channels for each of them: whole arrays are faster than broadcast
    ones. A pool of ``like``'s own size stays as it is."""
    if pool.size == like.size:
        return pool.reshape(like.shape)
    return cv2.merge([pool] * like.shape[2], out)


def _odd(method: Method, label: str, value: int, of: str) -> None:
    if value % 2 == 0:
        raise ParameterError(
            f"{method.about.title}: {label} is an odd number of {of}; got {value}."
        )


@dataclass(frozen=True)
class _Gaussian(Method):
    """What the methods with a Gaussian window share: the window, and which channels it takes in."""

    window: int = parameter(
        9, "Window", "Side of the Gaussian window, odd; σ is a quarter of it.", 3, 63, 2, unit="px"
    )
    over: str = parameter(
        "across",
        "Channels",
        "Whether the window takes in all channels, or each channel is normalized as a grey image.",
        choices=OVER,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _odd(self, "Window", self.window, "pixels")
        if self.over == "each":
            _promise(self, reduces=("h", "w"), **self.each_alone())

    def each_alone(self) -> dict[str, Any]:
        """What ``about`` says otherwise where each channel is normalized as a grey image."""
        return {}

    def pooled(self, x: np.ndarray) -> np.ndarray:
        """Σ w∗x with w a Gaussian that sums to 1: ``(H, W)`` over all channels, or of each."""
        channels = x.shape[2]
        if self.over == "across" and channels > 1:
            x = cv2.transform(x, np.full((1, channels), 1 / channels, x.dtype))
        side = (self.window, self.window)
        return cv2.GaussianBlur(x, side, self.window / 4, borderType=_BORDER)

    def by_channel(self, u: np.ndarray, one: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return ``one`` of the whole image, or of each channel as a grey image."""
        channels = u.shape[2]
        if self.over == "across" or channels == 1:
            return one(u)
        planes = (cv2.extractChannel(u, c)[:, :, np.newaxis] for c in range(channels))
        return cv2.merge([one(plane)[:, :, 0] for plane in planes])

    def centred(self, u: np.ndarray) -> np.ndarray:
        """v = u − Σ w∗u; 0 where all of it is no more than the rounding of u."""
        v = _spread(self.pooled(u), u)
        np.subtract(u, v, out=v)
        rounding = 16 * float(np.finfo(u.dtype).eps)
        if cv2.norm(v, cv2.NORM_INF) <= rounding * cv2.norm(u, cv2.NORM_INF):
            v[:] = 0
        return v

    def divided(self, v: np.ndarray) -> np.ndarray:
        """v / max(mean(σ), σ) with σ² = Σ w∗v²; 0/0 is 0."""
        square = v * v
        sigma = self.pooled(square)
        np.sqrt(sigma, out=sigma)
        mean = float(sigma.mean())
        np.maximum(sigma, mean if mean > _BLACK else 1, out=sigma)
        divisor = _spread(sigma, v, square)
        return np.divide(v, divisor, out=divisor)

    def written(self, target: str, lines: Mapping[str, str]) -> str | None:
        """Return the code: the window mean, then the target's own lines; None without any.

        ``lines`` compute the result from x, fractions in float64.
        """
        if target not in lines:
            return None
        if target == "torchvision":
            across = "x.mean(dim=0, keepdim=True)" if self.over == "across" else "x"
            return f"""import torch
import torch.nn.functional as F

WINDOW = {self.window}
OFFSETS = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
WEIGHTS = torch.exp(-0.5 * (OFFSETS / (WINDOW / 4)) ** 2)
WEIGHTS /= WEIGHTS.sum()


{_MIRRORED}

def window_mean(x):
    planes = {across}
    planes = planes[:, mirrored(x.shape[1])][:, :, mirrored(x.shape[2])]
    columns = F.conv2d(planes[:, None], WEIGHTS.view(1, 1, -1, 1))
    return F.conv2d(columns, WEIGHTS.view(1, 1, 1, -1))[:, 0]


def normalize(image):
    x = image.to(torch.float64) / 255
{lines[target]}"""
        across = "x.mean(axis=2)" if self.over == "across" else "x"
        return f"""import cv2
import numpy as np

WINDOW = {self.window}


def window_mean(x):
    blurred = cv2.GaussianBlur(
        {across}, (WINDOW, WINDOW), WINDOW / 4, borderType=cv2.BORDER_REFLECT_101
    )
    return blurred.reshape(*x.shape[:2], -1)


def normalize(image):
    x = image / 255.0
{lines[target]}"""


_MIRRORED = """def mirrored(length):
    # Positions beyond a border, reflected without repeating the edge, however small the image.
    period = max(2 * (length - 1), 1)
    place = torch.arange(-(WINDOW // 2), length + WINDOW // 2) % period
    return torch.minimum(place, period - place)
"""


def _division(name: str) -> dict[str, str]:
    """Lines that divide ``name`` by max(mean σ, σ); an image or channel of all 0 stays 0."""
    return {
        "numpy": f"""    sigma = np.sqrt(window_mean({name} * {name}))
    mean = sigma.mean(axis=(0, 1))
    y = {name} / np.maximum(sigma, np.where(mean > 1e-12, mean, 1))  # flat: 0
    return y.astype(np.float32)
""",
        "torchvision": f"""    sigma = window_mean({name} * {name}).sqrt()
    mean = sigma.mean(dim=(1, 2), keepdim=True)
    y = {name} / torch.maximum(sigma, torch.where(mean > 1e-12, mean, 1.0))  # flat: 0
    return y.to(torch.float32)
""",
    }


@dataclass(frozen=True)
class SubtractiveLCN(_Gaussian):
    """Subtract the local mean over a window and all channels: v = u − Σ w∗u.

    Borders are mirrored without repeating the edge pixel (reflect 101).

    >>> SubtractiveLCN().fit()(np.full((5, 7, 3), 90, np.uint8)).any().item()
    False
    >>> SubtractiveLCN(over="each").fit()(np.full((5, 7, 3), (9, 90, 200), np.uint8)).any().item()
    False
    """

    key = "lcn_subtractive"
    about = About(
        title="Local contrast normalization, subtractive only",
        short="LCN, subtractive",
        scope="local",
        reduces=("h", "w", "C"),
        formula=(
            r"v_{hwc} = x_{hwc} - \sum_{p,q,k} w_{pq}\, x_{h+p,\,w+q,\,k}, \quad"
            r" \sum_{p,q,k} w_{pq} = 1"
        ),
        summary=(
            "Subtracts from each pixel a Gaussian mean of its neighbourhood, taken over all "
            "channels together: edges stay, slow shading goes, and hue stays as a difference."
        ),
        sources=(JARRETT, TORCH7),
        invariances=frozenset({"offset"}),
        loses="slow changes of brightness across the image",
        flat="becomes 0 (a flat colour keeps its channels' distances to grey)",
        unit="0–1 differences",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Convolutional networks around 2009–2012",
        libraries=(
            (
                "Torch7 nn.SpatialSubtractiveNormalization",
                "The same away from the borders, which it pads with zeros and divides by the "
                "weight inside, where these are mirrored: up to 0.043 of the range on the photo "
                "forest_day.",
            ),
        ),
    )

    def each_alone(self) -> dict[str, Any]:
        return {
            "formula": r"v_{hwc} = x_{hwc} - \sum_{p,q} w_{pq}\, x_{h+p,\,w+q,\,c}, \quad"
            r" \sum_{p,q} w_{pq} = 1",
            "summary": "Subtracts from each pixel a Gaussian mean of its neighbourhood, each "
            "channel alone: edges stay, slow shading goes, and with it the hue of flat parts.",
            "invariances": frozenset({"offset", "channel_offset"}),
            "loses": "slow changes of brightness and colour across the image",
            "flat": "becomes 0",
        }

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.centred(u)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        lines = {
            "numpy": "    return (x - window_mean(x)).astype(np.float32)\n",
            "torchvision": "    return (x - window_mean(x)).to(torch.float32)\n",
        }
        return self.written(target, lines)


@dataclass(frozen=True)
class DivisiveLCN(_Gaussian):
    """The division step alone, on u itself: y = u / max(mean(σ), σ), σ² = Σ w∗u².

    σ is the local root mean square, no std: nothing is subtracted. Borders are mirrored without
    repeating the edge pixel (reflect 101); 0/0 is 0.

    >>> np.unique(DivisiveLCN().fit()(np.full((5, 7, 3), 90, np.uint8)).round(6)).tolist()
    [1.0]
    """

    key = "lcn_divisive"
    about = About(
        title="Local contrast normalization, divisive only",
        short="LCN, divisive",
        scope="local",
        reduces=("h", "w", "C"),
        formula=(
            r"y = \frac{x}{\max(\overline{\sigma},\, \sigma_{hw})}, \quad"
            r" \sigma_{hw}^2 = \sum_{p,q,k} w_{pq}\, x_{h+p,\,w+q,\,k}^2"
        ),
        summary=(
            "Divides each pixel by the local root mean square over a Gaussian window and all "
            "channels, or by its mean over the image where that is larger: bright regions are "
            "brought down, dark ones are not lifted further."
        ),
        sources=(
            Source(
                "The division step of Jarrett et al. 2009, applied to the image itself",
                JARRETT.url,
            ),
            TORCH7,
        ),
        invariances=frozenset({"gain"}),
        loses="how bright a bright region is beside the rest",
        flat="becomes 1 (a flat colour is divided by its root mean square over the channels); "
        "black stays 0",
        unit="local root mean squares",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Torch7 networks; the second half of LCN",
        libraries=(
            (
                "Torch7 nn.SpatialDivisiveNormalization",
                "A floor of 1e-4 in place of the mean σ, so dark regions are lifted to 1 as well "
                "(mean 0.95, here 0.82, on the photo forest_day); borders are padded with zeros, "
                "and σ there is divided by the weight inside (0.35 in a corner), not by its root "
                "(0.59).",
            ),
        ),
    )

    def each_alone(self) -> dict[str, Any]:
        return {
            "formula": r"y_{hwc} = \frac{x_{hwc}}{\max(\overline{\sigma}_c,\, \sigma_{hwc})}, \quad"
            r" \sigma_{hwc}^2 = \sum_{p,q} w_{pq}\, x_{h+p,\,w+q,\,c}^2",
            "summary": "Divides each channel by its local root mean square over a Gaussian "
            "window, or by the mean of that over the image where it is larger: bright regions "
            "are brought down, dark ones are not lifted further.",
            "invariances": frozenset({"gain", "channel_gain"}),
            "loses": "how bright a bright region is beside the rest, and overall colour",
            "flat": "a flat channel becomes 1; black stays 0",
        }

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.by_channel(u, self.divided)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        return self.written(target, _division("x"))


@dataclass(frozen=True)
class LCN(_Gaussian):
    """Subtract the local mean, divide by the local std: y = v / max(mean(σ), σ), σ² = Σ w∗v².

    v = u − Σ w∗u. Borders are mirrored without repeating the edge pixel (reflect 101); 0/0 is 0.

    >>> LCN().fit()(np.full((5, 7, 3), 90, np.uint8)).any().item()
    False
    """

    key = "lcn"
    about = About(
        title="Local contrast normalization",
        short="LCN",
        scope="local",
        reduces=("h", "w", "C"),
        formula=(
            r"y = \frac{v}{\max(\overline{\sigma},\, \sigma_{hw})}, \quad"
            r" \sigma_{hw}^2 = \sum_{p,q,k} w_{pq}\, v_{h+p,\,w+q,\,k}^2"
        ),
        summary=(
            "Subtracts a local mean and divides by a local standard deviation, both over a "
            "Gaussian window and all channels: shade and sun end up with the same contrast."
        ),
        sources=(JARRETT, TORCH7),
        invariances=frozenset({"gain", "offset"}),
        loses="brightness and contrast, locally as well as overall",
        flat="becomes 0 (a flat colour keeps its channels' distances to grey, divided by their "
        "own size)",
        unit="local stds",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Convolutional networks around 2009–2012, before batch normalization",
        libraries=(
            (
                "Torch7 nn.SpatialContrastiveNormalization",
                "A floor of 1e-4 in place of the mean σ: on the photo forest_day 53 % of the "
                "pixels come out larger than here, by up to 78 times; borders are padded with "
                "zeros.",
            ),
            (
                "pylearn2 LeCunLCN",
                "σ² is taken of x, not of v, so the contrast stays that of the image (std 0.10, "
                "here 0.73, on the photo forest_day); each channel alone, a Gaussian of 2 px in "
                "any window, borders padded with zeros, a further floor of 1e-4.",
            ),
        ),
    )

    def each_alone(self) -> dict[str, Any]:
        return {
            "formula": r"y_{hwc} = \frac{v_{hwc}}{\max(\overline{\sigma}_c,\, \sigma_{hwc})}, \quad"
            r" \sigma_{hwc}^2 = \sum_{p,q} w_{pq}\, v_{h+p,\,w+q,\,c}^2",
            "summary": "Subtracts a local mean and divides by a local standard deviation over a "
            "Gaussian window, each channel alone: shade and sun, and every channel, end up with "
            "the same contrast.",
            "invariances": self.about.invariances | _CHANNEL_CHANGES,
            "loses": "brightness, contrast and colour, locally as well as overall",
            "flat": "a flat channel becomes 0",
        }

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.by_channel(u, lambda x: self.divided(self.centred(x)))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        centre = "    v = x - window_mean(x)\n"
        return self.written(target, {name: centre + end for name, end in _division("v").items()})


@dataclass(frozen=True)
class DivisiveNormalization(_Gaussian):
    """Divide by the pooled activity of the neighbourhood: y = ⌊u⌋ⁿ / (σⁿ + Σ w∗⌊u⌋ⁿ).

    ⌊u⌋ = max(u, 0). n and σ (a fraction of the value range) are parameters, w is a Gaussian
    window that includes the pixel itself, with borders mirrored (reflect 101). A region of
    brightness σ comes out at one half.

    >>> float(DivisiveNormalization(sigma=0.2).fit()(np.full((5, 7, 3), 51, np.uint8)).mean())
    0.5
    """

    key = "divisive"
    about = About(
        title="Divisive normalization",
        short="divisive (Heeger)",
        scope="local",
        reduces=("h", "w", "C"),
        formula=(
            r"y_{hwc} = \frac{x_{hwc}^n}"
            r"{\sigma^n + \sum_{p,q,k} w_{pq}\, x_{h+p,\,w+q,\,k}^n}"
        ),
        summary=(
            "Divides each pixel's response by a constant plus the pooled response of its "
            "neighbourhood, as neurons of the visual cortex do: contrast is kept, brightness "
            "saturates."
        ),
        sources=(
            Source(
                "Heeger 1992, Normalization of cell responses in cat striate cortex",
                "https://doi.org/10.1017/S0952523800009640",
            ),
            Source(
                "Carandini and Heeger 2012, Normalization as a canonical neural computation",
                "https://doi.org/10.1038/nrn3136",
            ),
        ),
        invariances=frozenset(),
        loses="differences of brightness well above σ",
        flat="becomes uⁿ / (σⁿ + uⁿ): one half where u = σ",
        unit="responses, 0 to the pool's weight",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Models of the visual cortex; with learned weights, neural image compression (GDN)",
        libraries=(
            (
                "GDN (TensorFlow Compression, CompressAI)",
                "x / √(β + Σ γ x²) over the channels of one position, with learned β and γ: with "
                "n = 2 and the window on one pixel its square is this definition.",
            ),
        ),
    )
    n: float = parameter(
        2.0, "n", "Exponent: higher, and the step from dark to saturated is steeper.", 1, 4, 0.5
    )
    sigma: float = parameter(
        0.1,
        "σ",
        "Brightness, as a share of the value range, at which a flat region gives one half.",
        low=0.01,
        high=1.0,
        step=0.01,
    )

    def each_alone(self) -> dict[str, Any]:
        return {
            "formula": r"y_{hwc} = \frac{x_{hwc}^n}"
            r"{\sigma^n + \sum_{p,q} w_{pq}\, x_{h+p,\,w+q,\,c}^n}",
            "loses": "differences of brightness, and of a channel's, well above σ",
        }

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._divided(np.maximum(u, 0) ** self.n)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # A byte has 256 powers.
        powers = (np.arange(256) / 255) ** self.n
        return self._divided(looked_up(pixels, powers[:, np.newaxis]))

    def _divided(self, response: np.ndarray) -> np.ndarray:
        pool = self.pooled(response)
        pool += self.sigma**self.n
        response /= _spread(pool, response)
        return response

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        numbers = f"    n, sigma = {self.n!r}, {self.sigma!r}\n    response = x**n\n"
        y = "response / (sigma**n + window_mean(response))"
        lines = {
            "numpy": f"{numbers}    y = {y}\n    return y.astype(np.float32)\n",
            "torchvision": f"{numbers}    y = {y}\n    return y.to(torch.float32)\n",
        }
        return self.written(target, lines)


@dataclass(frozen=True)
class LocalStandardize(Method):
    """Standardize with the mean and std of a square window: y = (u − m) / max(s, ε), per channel.

    m and s are those of the window's pixels, all weighted alike; borders are mirrored without
    repeating the edge pixel (reflect 101). ε is a fraction of the value range.

    >>> x = np.tile(np.array([[[10], [30], [50]]], np.uint8), (3, 1, 1))
    >>> LocalStandardize(window=3).fit()(x)[1].ravel().round(3)
    array([-1.414,  0.   ,  1.414], dtype=float32)
    """

    key = "local_standardize"
    about = About(
        title="Local standardization",
        short="local mean, std",
        scope="local",
        reduces=("h", "w"),
        formula=r"y_{hwc} = \frac{x_{hwc} - m_{hwc}}{\max(s_{hwc},\; \varepsilon)}",
        summary=(
            "Subtracts the mean and divides by the standard deviation of a square window around "
            "each pixel, channel by channel: every neighbourhood gets the same contrast, the "
            "grain of smooth ones included."
        ),
        sources=(
            Source(
                "Ruderman 1994, The statistics of natural images (divides by the local std)",
                "https://doi.org/10.1088/0954-898X_5_4_006",
            ),
            Source(
                "Mittal, Moorthy and Bovik 2012, No-reference image quality assessment in the "
                "spatial domain (BRISQUE)",
                "https://doi.org/10.1109/TIP.2012.2214050",
            ),
        ),
        invariances=frozenset({"gain", "offset", "channel_gain", "channel_offset"}),
        loses="brightness, contrast and colour of everything larger than the window",
        flat="becomes 0",
        unit="stds of the window",
        nominal=(0.0, 1.0),
        floor="the floor ε of a window's std",
        shuffles=False,
        used_by="Uneven lighting in microscopy and documents; image-quality measures (BRISQUE)",
        libraries=(
            (
                "OpenCV boxFilter and sqrBoxFilter in float32",
                "E[x²] − m² loses its digits where a window is nearly flat and its mean is not 0: "
                "up to 0.036 stds off on the photo forest_day; here bytes are summed exactly and "
                "the rest in float64.",
            ),
            (
                "BRISQUE's MSCN coefficients (piq, pyiqa)",
                "A 7×7 Gaussian window of σ = 7/6 on the grey image and s + 1 grey level as "
                "divisor: std 0.44, here 0.73 with a window of 7, on the photo forest_day.",
            ),
        ),
    )
    window: int = parameter(15, "Window", "Side of the square window, odd.", 3, 63, 2, unit="px")
    epsilon: float = parameter(
        1e-4,
        "Floor of s",
        "A smaller s is replaced by this (of fractions 0–1): in flat regions only rounding is "
        "left to amplify.",
        low=1e-6,
        high=0.2,
        step=1e-4,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _odd(self, "Window", self.window, "pixels")
        if self.epsilon > self._least_std:
            _promise(
                self,
                invariances=self.about.invariances - _GAINS,
                summary="Subtracts the mean and divides by the standard deviation of a square "
                "window around each pixel, channel by channel: neighbourhoods get the same "
                "contrast, but for those whose std is below the floor.",
                loses="brightness and colour of everything larger than the window, and contrast "
                "where the window's std is above the floor ε",
            )

    @property
    def _least_std(self) -> float:
        """The least std of a window of a byte image that is not flat: one pixel one level off.

        A floor above it takes the place of such a std, and then a gain is seen.
        """
        return float(np.sqrt(self.window**2 - 1)) / self.window**2 / 255

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        side = (self.window, self.window)
        # In float64 also for float32 fractions: the difference of two large numbers is small.
        mean = cv2.boxFilter(u, cv2.CV_64F, side, borderType=_BORDER).reshape(u.shape)
        square: np.ndarray = cv2.sqrBoxFilter(u, cv2.CV_64F, side, borderType=_BORDER).reshape(
            u.shape
        )
        square -= mean * mean
        std = np.sqrt(np.maximum(square, 0, out=square), out=square)
        np.maximum(std, self.epsilon, out=std)
        return ((u - mean) / std).astype(u.dtype, copy=False)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        side, count = (self.window, self.window), self.window**2
        # Sums of bytes and of their squares are exact; so is count² times the variance.
        total: np.ndarray = cv2.boxFilter(
            pixels, cv2.CV_64F, side, normalize=False, borderType=_BORDER
        )
        variance: np.ndarray = cv2.sqrBoxFilter(
            pixels, cv2.CV_64F, side, normalize=False, borderType=_BORDER
        )
        variance *= count
        variance -= total * total
        std = np.sqrt(variance.astype(np.float32))
        np.maximum(std, np.float32(255 * self.epsilon * count), out=std)
        out: np.ndarray = pixels.astype(np.float32)
        out *= count
        out -= total.astype(np.float32).reshape(pixels.shape)
        out /= std.reshape(pixels.shape)
        return out

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return f"""import cv2
import numpy as np

WINDOW, FLOOR = {self.window}, {self.epsilon!r}
BOX = dict(ksize=(WINDOW, WINDOW), ddepth=-1, borderType=cv2.BORDER_REFLECT_101)


def normalize(image):
    x = image / 255.0
    mean = cv2.boxFilter(x, **BOX).reshape(x.shape)
    variance = cv2.sqrBoxFilter(x, **BOX).reshape(x.shape) - mean**2
    std = np.sqrt(np.maximum(variance, 0))
    return ((x - mean) / np.maximum(std, FLOOR)).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch
import torch.nn.functional as F

WINDOW, FLOOR = {self.window}, {self.epsilon!r}


{_MIRRORED}

def normalize(image):
    x = image.to(torch.float64) / 255
    bordered = x[:, mirrored(x.shape[1])][:, :, mirrored(x.shape[2])]
    mean = F.avg_pool2d(bordered, WINDOW, stride=1)
    variance = F.avg_pool2d(bordered**2, WINDOW, stride=1) - mean**2
    std = variance.clamp(min=0).sqrt()
    return ((x - mean) / std.clamp(min=FLOOR)).to(torch.float32)
"""
        return None


@dataclass(frozen=True)
class LocalResponse(Method):
    """AlexNet's local response normalization: y_c = x_c / (k + α Σ x_j²)^β, |j − c| ≤ n/2.

    The sum runs over neighbouring channels of one position; those that do not exist count as 0.
    x is u·scale, scale = 255 or 1: α is made for values of some tens.

    >>> LocalResponse().fit()(np.array([[[0, 100, 200]]], np.uint8)).round(2).ravel()
    array([ 0.  , 23.24, 46.47], dtype=float32)
    """

    key = "lrn"
    about = About(
        title="Local response normalization",
        short="LRN (AlexNet)",
        scope="local",
        reduces=("C",),
        formula=(
            r"y_c = \frac{x_c}{\left(k + \alpha \sum_{j=\max(0,\,c-n/2)}^{\min(C-1,\,c+n/2)}"
            r" x_j^2\right)^{\beta}}"
        ),
        summary=(
            "Divides each value by a power of the energy in the channels beside it, at the same "
            "position: strong responses are brought down. Made for feature maps; on an image the "
            "neighbours are its colours."
        ),
        sources=(
            Source(
                "Krizhevsky, Sutskever and Hinton 2012 (AlexNet), section 3.3",
                "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
            ),
        ),
        invariances=frozenset(),
        loses="the order of brightness: above a peak, brighter values come out smaller",
        flat="stays flat: x / (k + α Σ x²)^β, which on grey rises to 30.1 at 115 and falls above",
        unit="0–255, compressed",
        nominal=(0.0, 255.0),
        used_by="AlexNet, CaffeNet, GoogLeNet, inside the network",
        libraries=(
            (
                "torch.nn.functional.local_response_norm, nn.LocalResponseNorm",
                "α is divided by n, and k = 1 by default: the paper's k, α, β turn a grey of 128 "
                "into 56.4, its defaults into 76.6, where AlexNet's formula gives 30.0; with "
                "alpha = n·α the two agree to 1e-14.",
            ),
            (
                "Caffe LRN, ONNX LRN",
                "α is divided by n, and k = 1 by default, also in Caffe's own AlexNet: a grey of "
                "128 becomes 76.6.",
            ),
            (
                "tf.nn.local_response_normalization",
                "α is not divided, the window is 2·depth_radius + 1 (depth_radius = 2 for n = 5); "
                "its defaults bias 1, alpha 1, beta 0.5 turn every grey from 128 to 255 to 0.577.",
            ),
        ),
    )
    n: int = parameter(5, "n", "Channels summed over, odd, the value's own included.", 1, 9, 2)
    k: float = parameter(2.0, "k", "Added to the sum; 2 in AlexNet, 1 in Caffe.", 0.1, 10.0, 0.1)
    alpha: float = parameter(
        1e-4,
        "α",
        "Weight of each square; libraries that divide it by n need n times this.",
        low=1e-6,
        high=1.0,
        step=1e-4,
    )
    beta: float = parameter(0.75, "β", "Power of the divisor.", 0.1, 1.0, 0.05)
    scale: int = parameter(
        255, "Scale", "Units of the values: on 0–1 the sum is too small to matter.", choices=SCALES
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _odd(self, "n", self.n, "channels")

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        channels, half = u.shape[2], self.n // 2
        x = u * self.scale
        square = x * x
        at = np.arange(channels)
        if half >= channels - 1:  # every channel sees all of them
            summed = np.ones((1, channels), u.dtype)
        else:
            summed = (np.abs(at[:, np.newaxis] - at) <= half).astype(u.dtype)
        sums: np.ndarray = cv2.transform(square, summed)
        sums *= self.alpha
        sums += self.k
        divisor = sums**self.beta
        x /= _spread(divisor, x, square)
        return x

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        numbers = f"N, K, ALPHA, BETA = {self.n}, {self.k!r}, {self.alpha!r}, {self.beta!r}"
        if target == "numpy":
            return f"""import numpy as np

{numbers}


def normalize(image):
    x = image * ({self.scale} / 255)
    channels = x.shape[2]
    square = np.pad(x**2, ((0, 0), (0, 0), (N // 2, N // 2)))
    sums = sum(square[:, :, start : start + channels] for start in range(N))
    return (x / (K + ALPHA * sums) ** BETA).astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch
import torch.nn.functional as F

{numbers}


def normalize(image):
    x = image.to(torch.float64) * ({self.scale} / 255)
    # PyTorch divides alpha by the number of channels.
    y = F.local_response_norm(x[None], N, alpha=N * ALPHA, beta=BETA, k=K)[0]
    return y.to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops

{numbers}


def normalize(image):
    x = ops.cast(image, "float32") * ({self.scale} / 255)
    channels = x.shape[2]
    square = ops.pad(x * x, ((0, 0), (0, 0), (N // 2, N // 2)))
    sums = sum(square[:, :, start : start + channels] for start in range(N))
    return x / (K + ALPHA * sums) ** BETA
"""
        return None
