"""Colours brought to those of a reference: Reinhard's transfer, and stains of histology."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import cv2
import numpy as np

from normviz.images import as_rgb
from normviz.methods.base import About, Method, Source, parameter
from normviz.methods.colour_spaces import (
    FLOOR,
    LMS_TO_LAB,
    MOST,
    REINHARD,
    RGB_TO_LMS,
    _matrix_code,
    from_lab,
    on_bytes_to_lab,
    to_lab,
)
from normviz.statistics.covariance import SecondMoments

# An axis without spread is not stretched: below this a std is rounding.
_STILL = 1e-6

# An axis stretched more than this is computed in float64 for bytes too.
_STRETCHED = 4


@dataclass(frozen=True)
class Reinhard(Method):
    """Mean and std of each lαβ axis become the reference's: y = (x − μ_x)·σ_ref/σ_x + μ_ref.

    The reference is one image or several, every pixel alike. Results may leave 0…1 and are not cut
    (but for cone responses beyond ten times white).

    >>> from normviz.images import image_of
    >>> rng = np.random.default_rng(0)
    >>> photo = image_of(rng.integers(60, 200, (8, 8, 3), dtype=np.uint8))
    >>> same = Reinhard().fit([photo])(photo.pixels)
    >>> float(np.abs(same * 255 - photo.pixels).max()) < 1e-3
    True
    """

    key = "reinhard"
    about = About(
        title="Reinhard colour transfer",
        short="Reinhard transfer",
        scope="dataset",
        # Each axis of lαβ is made of all three channels.
        reduces=("N", "H", "W", "C"),
        formula=(
            r"y = T^{-1}\!\left(\left(T(x) - \mu_x\right) \frac{\sigma_{\mathrm{ref}}}{\sigma_x}"
            r" + \mu_{\mathrm{ref}}\right), \quad T = l\alpha\beta"
        ),
        summary=(
            "Gives the image the mean and std of a reference in each of the decorrelated axes "
            "lαβ: its light, contrast and colour mood become the reference's."
        ),
        sources=(REINHARD,),
        invariances=frozenset(),
        loses="the image's own brightness, contrast and colour balance, which become the set's",
        flat="becomes the reference's mean colour (in lαβ)",
        unit="0–1, beyond it where colours leave it",
        nominal=(0.0, 1.0),
        channels=(3,),
        needs_images=True,
        used_by="Film grading, stain normalization of histology, matching of camera pairs",
        libraries=(
            (
                "Reinhard et al. 2001",
                "Take the logarithm without the floor of 1/510 that is added here for black.",
            ),
            (
                "torchstain's and other “Reinhard” normalizers of histology",
                "Use CIELAB instead of lαβ, and cut to bytes.",
            ),
        ),
    )

    def constants(self, numbers: Any) -> Mapping[str, np.ndarray]:
        parts = []
        for image in self.need_images(numbers):
            low, span = image.value_range.low, image.value_range.span
            u = (as_rgb(image).pixels.astype(np.float64) - low) / span
            parts.append(SecondMoments.of(to_lab(u).reshape(-1, 3)))
        moments = reduce(SecondMoments.merge, parts)
        return {"mean": moments.mean, "std": np.sqrt(np.diag(moments.covariance).clip(0))}

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        lab = to_lab(u.astype(np.float64))
        mean, std = lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))
        gain = constants["std"] / np.where(std > _STILL, std, 1)
        return from_lab((lab - mean) * gain + constants["mean"])

    def on_bytes(
        self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]
    ) -> np.ndarray | None:
        lab = on_bytes_to_lab(pixels)
        mean, std = (value.ravel() for value in cv2.meanStdDev(lab))
        # Much stretched, the rounding of float32 would show.
        if not (constants["std"] < _STRETCHED * std).all():
            return None
        gain = constants["std"] / std
        # lαβ to logarithms of the base e, in one matrix.
        back = np.log(10) * np.linalg.inv(LMS_TO_LAB)
        shift = back @ (constants["mean"] - gain * mean)
        turn = np.column_stack([back * gain, shift]).astype(np.float32)
        logs = np.minimum(cv2.transform(lab, turn), np.float32(MOST * np.log(10)))
        responses = cv2.exp(logs)
        inverse = np.linalg.inv(RGB_TO_LMS)
        floor = inverse.sum(axis=1) * -FLOOR
        return cv2.transform(responses, np.column_stack([inverse, floor]).astype(np.float32))

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        return f"""import numpy as np

# Of the reference, in lαβ
MEAN = np.array({constants["mean"].tolist()})
STD = np.array({constants["std"].tolist()})
{_matrix_code("RGB_TO_LMS", RGB_TO_LMS)}{_matrix_code("LMS_TO_LAB", LMS_TO_LAB)}

def normalize(image):
    lab = np.log10(image / 255.0 @ RGB_TO_LMS.T + 1 / 510) @ LMS_TO_LAB.T
    mean, std = lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))
    lab = (lab - mean) * (STD / np.where(std > {_STILL!r}, std, 1)) + MEAN
    logs = np.minimum(lab @ np.linalg.inv(LMS_TO_LAB).T, 1)
    return ((10**logs - 1 / 510) @ np.linalg.inv(RGB_TO_LMS).T).astype(np.float32)
"""


# Columns: haematoxylin and eosin in optical density; and the 99th percentiles of their amounts.
STAINS = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])
AMOUNTS = np.array([1.9705, 1.0308])

# Fewer pixels of tissue, or stains closer than this, say nothing of two stains.
_LEAST_TISSUE = 50
_APART = 1e-3


@dataclass(frozen=True)
class Macenko(Method):
    """Bring the two stains of a histological slide to reference colours and amounts.

    Optical density OD = −ln((255 u + 1) / Io); pixels with OD ≥ β in all channels are tissue; in
    the plane of their two main axes the α-th percentiles of the angle are the stains; amounts by
    least squares, scaled so that their 99th percentiles are the reference's; back by
    Io·exp(−stains · amounts) / 255. Not cut to 0…1. Without two stains the image stays as it is.

    >>> white = np.full((4, 4, 3), 240, np.uint8)
    >>> np.array_equal(Macenko().fit()(white), np.float32(white / 255))
    True
    """

    key = "macenko"
    about = About(
        title="Macenko stain normalization",
        short="Macenko",
        scope="image",
        reduces=("H", "W", "C"),
        formula=(
            r"\mathrm{OD} = -\ln\frac{x + 1}{I_0} = S\,C, \quad"
            r" y = I_0 \exp\!\left(-S_{\mathrm{ref}}\, C\,"
            r" \frac{C_{\mathrm{ref},99}}{C_{99}}\right)"
        ),
        summary=(
            "For slides stained with haematoxylin and eosin: finds the two stains of the slide, "
            "and gives them reference colours and strengths."
        ),
        sources=(
            Source(
                "Macenko et al. 2009, A method for normalizing histology slides for quantitative "
                "analysis",
                "https://doi.org/10.1109/ISBI.2009.5193250",
            ),
            Source(
                "Reference stains and amounts as in M. Veta's stain normalization toolbox",
                "https://github.com/mitkovetta/staining-normalization",
            ),
        ),
        invariances=frozenset(),
        loses="the slide's own stain colours and strengths; on photos that are no slides it means "
        "nothing",
        flat="stays as it is, as does an image without two stains",
        unit="0–1, beyond it for less light taken than none",
        nominal=(0.0, 1.0),
        channels=(3,),
        used_by="Digital pathology (H&E slides)",
        libraries=(
            (
                "torchstain, M. Veta's MATLAB toolbox",
                "The same steps and reference, then bytes: torchstain cuts off (up to 1 level, "
                "0.004, darker), the toolbox rounds; what is brighter than 1 becomes 1.",
            ),
            (
                "staintools",
                "Takes for tissue what is darker than 0.8 in L of LAB, not what is dense in all "
                "channels (99.7 % of the photo retina, here 58 %); OD is −ln(x / 255) with 0 taken "
                "for 1 and no less than 0 (0.06 more than here at bright levels, 0.75 at level 1); "
                "amounts by a non-negative LASSO of λ = 0.01, not by least squares; the "
                "reference is a slide that it is given. Its stains of that photo lie 4° and 8° "
                "away, and with the reference of here the result differs by 3.4 levels on average "
                "(23 at the most).",
            ),
            (
                "monai.apps.pathology NormalizeHEStains",
                "Takes the stain that holds back less red than blue for haematoxylin, which is "
                "eosin in the reference: the two change places. Cut to bytes.",
            ),
        ),
    )
    light: float = parameter(240.0, "Io", "Level of light without tissue.", 200.0, 255.0, 1.0)
    alpha: float = parameter(
        1.0, "α", "Percentile of the angle that is taken for a stain.", 0.1, 10.0, 0.1, unit="%"
    )
    beta: float = parameter(
        0.15, "β", "Optical density above which a pixel is tissue.", 0.01, 1.0, 0.01
    )

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        density = -np.log((255 * u.reshape(-1, 3).astype(np.float64) + 1) / self.light)
        stains = self._stains(density)
        if stains is None:
            return u.copy()
        amounts = np.linalg.lstsq(stains, density.T, rcond=None)[0]
        strongest = np.percentile(amounts, 99, axis=1)
        if strongest.min() < _APART:
            return u.copy()
        amounts *= (AMOUNTS / strongest)[:, np.newaxis]
        return (self.light / 255 * np.exp(-STAINS @ amounts)).T.reshape(u.shape)

    def _stains(self, density: np.ndarray) -> np.ndarray | None:
        """Two unit vectors of optical density, haematoxylin first; None where there are not two."""
        tissue = density[(density >= self.beta).all(axis=1)]
        if len(tissue) < _LEAST_TISSUE:
            return None
        centred = tissue - tissue.mean(axis=0)
        _, vectors = np.linalg.eigh(centred.T @ centred)
        plane = vectors[:, 1:] * np.where(vectors[:, 1:].sum(axis=0) < 0, -1, 1)
        projected = tissue @ plane
        angles = np.arctan2(projected[:, 1], projected[:, 0])
        ends = np.percentile(angles, [self.alpha, 100 - self.alpha])
        first, second = (plane @ np.array([np.cos(end), np.sin(end)]) for end in ends)
        # Haematoxylin takes more red light than eosin.
        pair = (first, second) if first[0] > second[0] else (second, first)
        stains = np.stack(pair, axis=1)
        return stains if abs(np.linalg.det(stains.T @ stains)) > _APART**2 else None

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        return f"""import numpy as np

LIGHT, ALPHA, BETA = {self.light!r}, {self.alpha!r}, {self.beta!r}
STAINS = np.array({STAINS.tolist()})
AMOUNTS = np.array({AMOUNTS.tolist()})


def stains_of(density):
    tissue = density[(density >= BETA).all(axis=1)]
    if len(tissue) < {_LEAST_TISSUE}:
        return None
    centred = tissue - tissue.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    plane = vectors[:, 1:] * np.where(vectors[:, 1:].sum(axis=0) < 0, -1, 1)
    projected = tissue @ plane
    ends = np.percentile(np.arctan2(projected[:, 1], projected[:, 0]), [ALPHA, 100 - ALPHA])
    first, second = (plane @ np.array([np.cos(end), np.sin(end)]) for end in ends)
    stains = np.stack((first, second) if first[0] > second[0] else (second, first), axis=1)
    return stains if abs(np.linalg.det(stains.T @ stains)) > {_APART!r} ** 2 else None


def normalize(image):
    density = -np.log((image.reshape(-1, 3) + 1.0) / LIGHT)
    stains = stains_of(density)
    if stains is None:
        return (image / 255.0).astype(np.float32)
    amounts = np.linalg.lstsq(stains, density.T, rcond=None)[0]
    strongest = np.percentile(amounts, 99, axis=1)
    if strongest.min() < {_APART!r}:
        return (image / 255.0).astype(np.float32)
    amounts *= (AMOUNTS / strongest)[:, np.newaxis]
    y = LIGHT / 255 * np.exp(-STAINS @ amounts)
    return y.T.reshape(image.shape).astype(np.float32)
"""
