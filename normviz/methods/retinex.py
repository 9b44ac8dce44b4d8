"""Retinex: the logarithm of each pixel against that of its wide surround."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.images import resized
from normviz.methods.base import About, Method, Source, parameter

FLOOR = 1 / 255
"""Added before the logarithm: one level of 8 bits."""

# A surround of twice this σ or more is taken on a copy that is reduced until it has this σ: what is
# left out is finer than the Gaussian lets through.
_SIGMA_TAKEN = 8.0
# In pixels of the copy: averaging areas blurs by a variance of 1/12, enlarging linearly by 1/6.
_VARIANCE_OF_RESIZING = 0.25
# Mirrored about the edge itself, so that the border of the copy is that of the image.
_BORDER = cv2.BORDER_REFLECT

JOBSON = Source(
    "Jobson, Rahman and Woodell 1997, A multiscale retinex for bridging the gap between color "
    "images and the human observation of scenes",
    "https://doi.org/10.1109/83.597272",
)


def surround(u: np.ndarray, sigma: float) -> np.ndarray:
    """Return G_σ ∗ u, a Gaussian mean of each channel; borders mirrored (dcba|abcd|dcba).

    Below σ = 16 px by OpenCV's filter; a wider one on a copy reduced by area to about σ = 8 there,
    and enlarged again linearly.

    >>> surround(np.full((4, 5, 1), 0.5), 80.0).ravel()[:2].round(6).tolist()
    [0.5, 0.5]
    """
    height, width = u.shape[:2]
    factor = max(1, int(sigma / _SIGMA_TAKEN))
    small = resized(u, max(1, round(height / factor)), max(1, round(width / factor)))
    if small.shape == u.shape:
        across = down = _kernel(sigma)
    else:
        # The sides are rounded apart, and σ with them.
        spreads = (sigma * small.shape[axis] / u.shape[axis] for axis in (1, 0))
        across, down = (_kernel(math.sqrt(s * s - _VARIANCE_OF_RESIZING)) for s in spreads)
    blurred = cv2.sepFilter2D(small, -1, across, down, borderType=_BORDER)
    return resized(blurred.reshape(small.shape), height, width)


def _kernel(sigma: float) -> np.ndarray:
    """A Gaussian out to 4 σ that sums to 1 in float64."""
    return cv2.getGaussianKernel(2 * math.ceil(4 * sigma) + 1, sigma, cv2.CV_64F)


def _retinex(u: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """log(u + 1/255) − mean over σ of log(G_σ∗u + 1/255)."""
    # In float64 throughout: near black the logarithm shows the rounding of float32.
    u = np.maximum(u.astype(np.float64), 0)
    wide = np.mean([np.log(surround(u, sigma) + FLOOR) for sigma in sigmas], axis=0)
    y = np.log(u + FLOOR) - wide
    # Resizing rounds its weights: a flat image is no contrast.
    y[np.abs(y) < 1e-7] = 0
    return y


def _written(target: str, sigmas: Sequence[float]) -> str | None:
    if target != "numpy":
        return None
    return f"""import math

import cv2
import numpy as np

SIGMAS = {list(sigmas)}


def resized(x, height, width):
    if x.shape[:2] == (height, width):
        return x
    shrinks = height <= x.shape[0] and width <= x.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(x, (width, height), interpolation=method).reshape(height, width, -1)


def kernel(sigma):
    return cv2.getGaussianKernel(2 * math.ceil(4 * sigma) + 1, sigma, cv2.CV_64F)


def surround(x, sigma):
    height, width = x.shape[:2]
    factor = max(1, int(sigma / {_SIGMA_TAKEN!r}))
    small = resized(x, max(1, round(height / factor)), max(1, round(width / factor)))
    across = down = kernel(sigma)
    if small.shape != x.shape:
        spreads = (sigma * small.shape[axis] / x.shape[axis] for axis in (1, 0))
        across, down = (kernel(math.sqrt(s * s - {_VARIANCE_OF_RESIZING!r})) for s in spreads)
    blurred = cv2.sepFilter2D(small, -1, across, down, borderType=cv2.BORDER_REFLECT)
    return resized(blurred.reshape(small.shape), height, width)


def normalize(image):
    x = image / 255.0
    wide = np.mean([np.log(surround(x, sigma) + 1 / 255) for sigma in SIGMAS], axis=0)
    y = np.log(x + 1 / 255) - wide
    y[np.abs(y) < 1e-7] = 0
    return y.astype(np.float32)
"""


_LOSES = "slow changes of brightness and colour across the image, as those of the light"
_UNIT = "natural logarithms of a ratio"


@dataclass(frozen=True)
class SingleScaleRetinex(Method):
    """Each pixel's logarithm against its surround's: y = ln(u + δ) − ln(G_σ∗u + δ), δ = 1/255.

    >>> SingleScaleRetinex().fit()(np.full((5, 7, 3), 90, np.uint8)).any().item()
    False
    """

    key = "retinex_ssr"
    about = About(
        title="Single-scale retinex",
        short="retinex, one scale",
        formula=r"y_c = \ln(x_c + \delta) - \ln(G_\sigma * x_c + \delta)",
        summary=(
            "Divides each channel by its wide Gaussian surround, in logarithms: what changes "
            "slowly, as light does, goes; what changes quickly, as surfaces do, stays."
        ),
        sources=(
            Source(
                "Jobson, Rahman and Woodell 1997, Properties and performance of a center/surround "
                "retinex",
                "https://doi.org/10.1109/83.557356",
            ),
        ),
        used_by="Enhancement of aerial, underwater and low-light images",
        libraries=(
            (
                "cv2.GaussianBlur, scipy.ndimage.gaussian_filter",
                "From σ = 16 px on the surround is taken on a reduced copy here: on the bundled "
                "photos that is up to 0.005 (of a range of 6) away from one filtered at full size.",
            ),
        ),
        scope="local",
        reduces=("h", "w"),
        invariances=frozenset(),
        loses=_LOSES,
        flat="becomes 0",
        unit=_UNIT,
        nominal=(-1.0, 1.0),
        shuffles=False,
    )
    sigma: float = parameter(
        80.0,
        "σ",
        "Of the surround: small keeps detail alone, large keeps tones.",
        2.0,
        250.0,
        1.0,
        unit="px",
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return _retinex(u, [self.sigma])

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        return _written(target, [self.sigma])


@dataclass(frozen=True)
class MultiScaleRetinex(Method):
    """The mean of three single-scale retinexes: y = ⅓ Σ_σ (ln(u + δ) − ln(G_σ∗u + δ)).

    >>> MultiScaleRetinex().fit()(np.full((5, 7, 3), 90, np.uint8)).any().item()
    False
    """

    key = "retinex_msr"
    about = About(
        title="Multi-scale retinex",
        short="retinex, three scales",
        formula=(
            r"y_c = \tfrac{1}{3}\sum_{\sigma} \left(\ln(x_c + \delta)"
            r" - \ln(G_\sigma * x_c + \delta)\right)"
        ),
        summary=(
            "Averages retinexes of a narrow, a middle and a wide surround: the narrow one brings "
            "out detail in shadows, the wide one keeps tones."
        ),
        sources=(JOBSON,),
        used_by="NASA's aerial images, medical and underwater enhancement",
        libraries=(
            (
                "Multi-scale retinex with colour restoration (MSRCR)",
                "Multiplies the result by a factor of each pixel's own colour afterwards, and "
                "stretches it; both are left out here.",
            ),
        ),
        scope="local",
        reduces=("h", "w"),
        invariances=frozenset(),
        loses=_LOSES,
        flat="becomes 0",
        unit=_UNIT,
        nominal=(-1.0, 1.0),
        shuffles=False,
    )
    small: float = parameter(15.0, "Small σ", "Of the narrow surround.", 2.0, 60.0, 1.0, unit="px")
    middle: float = parameter(80.0, "Middle σ", "Of the middle one.", 20.0, 150.0, 1.0, unit="px")
    large: float = parameter(250.0, "Large σ", "Of the wide one.", 60.0, 400.0, 1.0, unit="px")

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return _retinex(u, [self.small, self.middle, self.large])

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        return _written(target, [self.small, self.middle, self.large])
