"""Whitening: a matrix that makes values uncorrelated, each with variance 1, over a dataset.

Three sizes of vector: the three channels of a pixel, the patch around it, the whole image at a low
resolution. PCA whitening lists the principal components; ZCA turns them back, which of all
whitenings stays closest to the input.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from normviz.images import BYTE_RANGE, UNIT_RANGE, Image
from normviz.methods.base import About, Method, Source, _promise, parameter
from normviz.methods.code import stored_constants
from normviz.methods.kernels import turned
from normviz.read.limits import Limits, size_text
from normviz.statistics.covariance import (
    PIXELS_A_BLOCK,
    SecondMoments,
    channel_moments,
    eigen,
    image_vectors,
    patch_moments,
    rows_a_block,
    signed,
    squeezed,
)

BELL = Source(
    "Bell and Sejnowski 1997, The 'independent components' of natural scenes are edge filters",
    "https://doi.org/10.1016/S0042-6989(97)00121-1",
)
KESSY = Source(
    "Kessy, Lewin and Strimmer 2018, Optimal whitening and decorrelation",
    "https://doi.org/10.1080/00031305.2016.1277159",
)
KRIZHEVSKY = Source(
    "Krizhevsky 2009, Learning multiple layers of features from tiny images",
    "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
)
COATES = Source(
    "Coates, Lee and Ng 2011, An analysis of single-layer networks in unsupervised feature "
    "learning",
    "https://proceedings.mlr.press/v15/coates11a.html",
)
LEDOIT = Source(
    "Ledoit and Wolf 2004, A well-conditioned estimator for large-dimensional covariance matrices",
    "https://doi.org/10.1016/S0047-259X(03)00096-4",
)

PLACES = {
    "eigenvalues": "on eigenvalues: 1/√(λ + ε)",
    "singular": "on singular values: 1/(√λ + ε)",
}
_EPSILON_HELP = (
    "Keeps directions without variance from being divided by 0; in units of variance where it is "
    "added to eigenvalues, of std where to singular values, both of values 0–1."
)
_PLACE_HELP = "What ε is added to: libraries differ."

# A divisor as the formulas write it, and where ε is added to singular values instead.
_ROOTS = {
    r"\sqrt{\lambda+\varepsilon}": r"\sqrt{\lambda}+\varepsilon",
    r"\sqrt{\lambda_i+\varepsilon}": r"\sqrt{\lambda_i}+\varepsilon",
}


def _epsilon(default: float, low: float = 1e-9) -> float:
    return parameter(default, "ε", _EPSILON_HELP, low=low, high=1.0, step=low)


def _place() -> str:
    return parameter("eigenvalues", "ε is added", _PLACE_HELP, choices=PLACES)


@dataclass(frozen=True)
class Whitening(Method):
    """What all forms share: ε and its place, and the memory that is stated before fitting."""

    epsilon: float = _epsilon(1e-5)
    place: str = _place()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.place == "singular":
            formula = self.about.formula
            for root, singular in _ROOTS.items():
                formula = formula.replace(root, singular)
            _promise(self, formula=formula)

    @abstractmethod
    def memory_needed(self, images: int, channels: int = 3) -> int:
        """Return the bytes that ``fit`` takes for so many images, beside the images themselves."""

    def memory_sentence(self, images: int, channels: int = 3) -> str:
        """Say what fitting would take, and what it may take."""
        needed = size_text(self.memory_needed(images, channels))
        allowed = size_text(Limits.from_environment().max_whitening_bytes)
        return f"Fitting takes about {needed} of memory; the limit is {allowed}."

    def constants(self, numbers: Sequence[Image] | None) -> Mapping[str, np.ndarray]:
        images = self.need_images(numbers)
        channels = max(image.channels for image in images)
        needed = self.memory_needed(len(images), channels)
        Limits.from_environment().refuse_whitening(self.about.title, needed)
        return self.fitted_to(images)

    @abstractmethod
    def fitted_to(self, images: Sequence[Image]) -> Mapping[str, np.ndarray]:
        """Return the constants of this set, whose memory has been found to fit."""

    def gain(self, eigenvalues: np.ndarray) -> np.ndarray:
        """Return what each principal component is multiplied by."""
        if self.place == "singular":
            return 1 / (np.sqrt(eigenvalues) + self.epsilon)
        return 1 / np.sqrt(eigenvalues + self.epsilon)

    def gain_code(self, eigenvalues: str) -> str:
        """The same in NumPy's words."""
        if self.place == "singular":
            return f"1 / (np.sqrt({eigenvalues}) + {self.epsilon!r})"
        return f"1 / np.sqrt({eigenvalues} + {self.epsilon!r})"


def _moments_memory(rows: int, dimensions: int) -> int:
    """Bytes to sum D × D products from so many rows at once, and then to decompose them."""
    # Merging holds four D × D arrays; decomposing the sums, the covariance, LAPACK's input, its
    # work space (two) and the vectors, and a seventh of what was freed but not given back.
    return 8 * max(rows * dimensions + 4 * dimensions**2, 7 * dimensions**2)


# Weights that add up to more are applied in float64: in float32 they show its rounding (1e-5).
_MOST = 150.0

_COLOUR_LIBRARIES = (
    (
        "torchvision LinearTransformation",
        "No fit and no ε: it multiplies a flattened image of one fixed size (a row) by a matrix of "
        "(C·H·W)² numbers, so it takes W's transpose, blown up to whole images; the numbers are "
        "then the same (to 1e-6). The code here multiplies each pixel instead.",
    ),
)


@dataclass(frozen=True)
class _Colour(Whitening):
    """What PCA and ZCA of the three channels share: y = W (u − μ) at each pixel."""

    def memory_needed(self, images: int, channels: int = 3) -> int:
        # A block's levels in float64, and their differences to the mean; the sums are 3 × 3.
        return 8 * 3 * 3 * PIXELS_A_BLOCK

    def fitted_to(self, images: Sequence[Image]) -> Mapping[str, np.ndarray]:
        moments = channel_moments(images)
        eigenvalues, components = eigen(moments.covariance)
        return {"mean": moments.mean, "eigenvalues": eigenvalues, "components": components}

    @abstractmethod
    def matrix(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return W: one row an output channel."""

    @abstractmethod
    def inverse_matrix(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return W⁻¹, without inverting anything but the gains."""

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        centred = u - constants["mean"].astype(u.dtype)
        return centred @ self.matrix(constants).T.astype(u.dtype)

    def on_bytes(
        self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]
    ) -> np.ndarray | None:
        matrix = self.matrix(constants)
        if np.abs(matrix).sum(axis=1).max() <= _MOST:
            bias = -matrix @ constants["mean"]
            return turned(pixels, np.column_stack([matrix / 255, bias]))
        return self.definition(pixels / 255.0, constants).astype(np.float32)

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return y @ self.inverse_matrix(constants).T + constants["mean"]

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        mean = constants["mean"].tolist()
        rows = ",\n".join(f"    {row}" for row in self.matrix(constants).tolist())
        numbers = f"""# Of values in 0…1
MEAN = {mean}
# A row an output channel: what it takes of R, G and B
WHITENING = [
{rows},
]
"""
        if target == "numpy":
            return f"""import numpy as np

{numbers}

def normalize(image):
    y = (image / 255.0 - np.array(MEAN)) @ np.array(WHITENING).T
    return y.astype(np.float32)
"""
        if target == "torchvision":
            return f"""import torch

{numbers}

def normalize(image):
    mean = torch.tensor(MEAN, dtype=torch.float64).view(3, 1, 1)
    whitening = torch.tensor(WHITENING, dtype=torch.float64)
    centred = image.to(torch.float64) / 255 - mean
    return torch.einsum("oc,chw->ohw", whitening, centred).to(torch.float32)
"""
        if target == "keras":
            return f"""from keras import ops

{numbers}

def normalize(image):
    mean = ops.convert_to_tensor(MEAN, "float64")
    whitening = ops.convert_to_tensor(WHITENING, "float64")
    centred = ops.cast(image, "float64") / 255 - mean
    return ops.cast(ops.matmul(centred, ops.transpose(whitening)), "float32")
"""
        return None


@dataclass(frozen=True)
class ColourPCA(_Colour):
    """PCA whitening of the channels: y = diag(1/√(λ+ε)) Uᵀ (u − μ) at each pixel.

    λ and U are the eigenvalues, largest first, and eigenvectors of the covariance (ddof 0) of R, G
    and B over all pixels of the set; each eigenvector's largest entry is positive. The first
    output channel is the strongest component, close to brightness in most sets.

    >>> from normviz.images import image_of
    >>> fit_on = [image_of(np.array([[[0, 0, 9], [255, 255, 9]]], np.uint8))]
    >>> ColourPCA().fit(fit_on)(fit_on[0].pixels).round(3).tolist()
    [[[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]
    """

    key = "colour_pca"
    about = About(
        title="Colour PCA whitening",
        short="colour PCA",
        scope="dataset",
        reduces=("N", "H", "W"),
        joins="channels",
        formula=(
            r"y = \mathrm{diag}\!\left(\frac{1}{\sqrt{\lambda+\varepsilon}}\right) U^\top (x-\mu),"
            r"\quad \Sigma = U\,\mathrm{diag}(\lambda)\,U^\top \text{ of R, G, B}"
        ),
        summary=(
            "Turns R, G and B into three uncorrelated channels, the strongest first, and gives "
            "each variance 1 over the dataset."
        ),
        sources=(KESSY, KRIZHEVSKY),
        invariances=frozenset(),
        loses="the channels' meaning: they are components, no longer R, G and B; nothing else, as "
        "the same numbers bring the image back",
        flat="becomes its whitened distance to the dataset's mean colour",
        unit="dataset stds",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="Colour decorrelation before clustering and texture synthesis; its eigenvectors "
        "are those of AlexNet's colour augmentation",
        channels=(3,),
        needs_images=True,
        libraries=(
            (
                "scikit-learn PCA(whiten=True)",
                "The same signs and order, no ε, and variance with ddof 1: its result is "
                "√((n−1)/n) of this one without ε, 0.1 % smaller for n = 500 pixels.",
            ),
            *_COLOUR_LIBRARIES,
        ),
    )

    def channel_names(self, channels: int) -> tuple[str, ...]:
        return ("PC 1", "PC 2", "PC 3") if channels == 3 else super().channel_names(channels)

    def matrix(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.gain(constants["eigenvalues"])[:, np.newaxis] * constants["components"]

    def inverse_matrix(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return constants["components"].T / self.gain(constants["eigenvalues"])


@dataclass(frozen=True)
class ColourZCA(_Colour):
    """ZCA whitening of the channels: y = U diag(1/√(λ+ε)) Uᵀ (u − μ) at each pixel.

    λ and U are the eigenvalues and eigenvectors of the covariance (ddof 0) of R, G and B over all
    pixels of the set. Of all whitenings the one closest to the input, so R stays reddest in R.

    >>> from normviz.images import image_of
    >>> fit_on = [image_of(np.array([[[0, 0, 9], [255, 255, 9]]], np.uint8))]
    >>> ColourZCA().fit(fit_on)(fit_on[0].pixels).round(3)
    array([[[-0.707, -0.707,  0.   ],
            [ 0.707,  0.707,  0.   ]]], dtype=float32)
    """

    key = "colour_zca"
    about = About(
        title="Colour ZCA whitening",
        short="colour ZCA",
        scope="dataset",
        reduces=("N", "H", "W"),
        joins="channels",
        formula=(
            r"y = U\,\mathrm{diag}\!\left(\frac{1}{\sqrt{\lambda+\varepsilon}}\right) U^\top"
            r" (x-\mu), \quad \Sigma = U\,\mathrm{diag}(\lambda)\,U^\top \text{ of R, G, B}"
        ),
        summary=(
            "Makes R, G and B uncorrelated with variance 1 over the dataset while staying as close "
            "to them as possible: differences between the channels are strongly enlarged."
        ),
        sources=(BELL, KESSY),
        invariances=frozenset(),
        loses="nothing: the same numbers bring the image back",
        flat="becomes its whitened distance to the dataset's mean colour",
        unit="dataset stds",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="Decorrelation stretch of satellite images (ZCA and a scale of its own)",
        channels=(3,),
        needs_images=True,
        libraries=(
            (
                "Kornia ZCAWhitening on pixels as rows (N, 3)",
                "ε = 1e-6 on eigenvalues of the covariance with ddof 1, computed in float32: "
                "√((n−1)/n) of this one where λ ≫ ε, and with unbiased=False equal to 2e-6 "
                "(1e-14 in float64).",
            ),
            *_COLOUR_LIBRARIES,
        ),
    )

    def matrix(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        components = constants["components"]
        return (components.T * self.gain(constants["eigenvalues"])) @ components

    def inverse_matrix(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        components = constants["components"]
        return (components.T / self.gain(constants["eigenvalues"])) @ components


CONTRASTS = {
    "none": "patches as they are",
    "mean": "each patch's own mean subtracted",
    "std": "and divided by √(variance + 10) on 0–255",
}

# Coates, Lee and Ng add 10 to the variance of patches in 0–255.
_COATES_BIAS = 10 / 255**2


def _prepared(vectors: np.ndarray, contrast: str) -> np.ndarray:
    """Patches (one a row) as they are whitened, by one of :data:`CONTRASTS`."""
    if contrast == "none":
        return vectors
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    if contrast == "mean":
        return centred
    # As in the paper's code the variance of a patch is taken with ddof 1.
    variance = (centred**2).sum(axis=1, keepdims=True) / (vectors.shape[1] - 1)
    return centred / np.sqrt(variance + _COATES_BIAS)


def _filtered(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Σ over channels and window of kernel (out, rows, columns, in) against x, borders mirrored."""
    sums = [np.zeros(x.shape[:2], x.dtype) for _ in kernel]
    for source in range(x.shape[2]):
        plane = np.ascontiguousarray(x[:, :, source])
        for total, window in zip(sums, kernel, strict=True):
            own = np.ascontiguousarray(window[:, :, source])
            total += cv2.filter2D(plane, -1, own, borderType=cv2.BORDER_REFLECT_101)
    return np.stack(sums, axis=2)


@dataclass(frozen=True)
class PatchZCA(Whitening):
    """Convolutional ZCA: each pixel becomes the centre of its whitened patch.

    y = rows of U diag(1/√(λ+ε)) Uᵀ for the centre pixel, times (p − μ); p is the patch of
    side × side pixels and all channels around the pixel, the border mirrored without repeating
    the edge. The centre is pixel (side // 2, side // 2), counted from 0: for an even side, the
    lower right one of the middle four. λ and U are those of the shrunk covariance
    (1 − s)·Σ + s·(tr Σ / D)·I of patches drawn from the set.

    >>> from normviz.images import image_of
    >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    >>> done = PatchZCA(side=3).fit([image_of(noise)])(noise[..., np.newaxis])
    >>> round(float(done.std()), 2)
    1.0
    """

    key = "patch_zca"
    about = About(
        title="Patch ZCA whitening",
        short="patch ZCA",
        scope="dataset",
        reduces=("N", "H", "W"),
        joins="values of a patch",
        formula=(
            r"y_{hw} = W_{\mathrm{centre}}\,(p_{hw}-\mu), \quad"
            r" W = U\,\mathrm{diag}\!\left(\frac{1}{\sqrt{\lambda+\varepsilon}}\right)U^\top, \quad"
            r" (1-s)\,\Sigma + s\,\frac{\mathrm{tr}\,\Sigma}{D} I = U\,\mathrm{diag}(\lambda)\,"
            r"U^\top"
        ),
        summary=(
            "Subtracts from each pixel what its neighbours and the other channels predict of it, "
            "by a filter learnt from patches of the dataset: edges and grain stay."
        ),
        sources=(BELL, COATES, LEDOIT),
        invariances=frozenset(),
        loses="slow changes of brightness and colour, almost: they are the patches' strongest "
        "components",
        flat="becomes a flat colour: the whitened distance to the mean patch",
        unit="dataset stds",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Coates, Lee and Ng's K-means features (6 × 6 patches, ε = 0.1, contrast "
        "normalized); fixed first convolutions of fast CIFAR-10 training",
        needs_images=True,
        libraries=(
            (
                "Coates, Lee and Ng's K-means code (MATLAB)",
                "Whole whitened patches, of which this keeps the centre: equal with "
                "contrast='std', ε = 0.1 on eigenvalues, s = 0, but for its covariance's ddof 1 "
                "(2.5e-6 of a variance for 400,000 patches).",
            ),
            (
                "whitening convolutions (airbench, hlb-CIFAR10)",
                "PCA, not ZCA: the eigenvectors of 2 × 2 patches over √(λ + 5e-4) and their "
                "negatives are 24 filters; no mean is subtracted, from the covariance neither.",
            ),
            (
                "scikit-learn shrunk_covariance",
                "The same shrinkage, (1 − s)·Σ + s·(tr Σ / D)·I, equal to 1e-15; its LedoitWolf "
                "chooses s from the data, here s is given.",
            ),
            (
                "pylearn2 ZCA",
                "On vectors given to it: covariance (ddof 0) + 0.1·I, which is ε = 0.1 on "
                "eigenvalues, equal to 1e-12; no convolution.",
            ),
        ),
    )
    epsilon: float = _epsilon(1e-3, low=1e-6)
    side: int = parameter(5, "Patch side", "Side of the square patches.", 3, 16, 1, unit="px")
    shrinkage: float = parameter(
        0.0,
        "Shrinkage",
        "How far the covariance is moved toward equal variances without correlation: 0 not at "
        "all, 1 altogether.",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    contrast: str = parameter(
        "none",
        "Each patch first",
        "What is done to each patch before whitening.",
        choices=CONTRASTS,
    )
    patches: int = parameter(
        20_000, "Patches", "How many patches the covariance is taken of.", 100, 400_000, 100
    )
    seed: int = parameter(0, "Seed", "Draws other patches.", 0, 2**31 - 1, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.contrast != "none":
            # A patch without its mean has lost any offset that all channels share.
            _promise(self, invariances=frozenset({"offset"}))

    def memory_needed(self, images: int, channels: int = 3) -> int:
        dimensions = self.side**2 * channels
        block = min(self.patches, rows_a_block(dimensions))
        # Patches as read, joined, prepared and centred; which places were drawn.
        return _moments_memory(5 * block, dimensions) + 8 * 3 * self.patches

    def fitted_to(self, images: Sequence[Image]) -> Mapping[str, np.ndarray]:
        moments = patch_moments(
            images,
            self.side,
            self.patches,
            self.seed,
            None if self.contrast == "none" else lambda rows: _prepared(rows, self.contrast),
        )
        channels = len(moments.mean) // self.side**2
        rows = self.centre_rows(moments)
        offset = -rows @ moments.mean
        if self.contrast != "none":
            # (p − mean of p) then W is W without its rows' means, then p.
            rows = rows - rows.mean(axis=1, keepdims=True)
        kernel = rows.reshape(channels, self.side, self.side, channels)
        return {"kernel": kernel, "offset": offset}

    def centre_rows(self, moments: SecondMoments) -> np.ndarray:
        """Return the rows of the ZCA matrix that give the centre pixel's channels."""
        covariance = (1 - self.shrinkage) * moments.covariance
        dimensions = len(covariance)
        spread = np.trace(moments.products) / max(moments.count, 1) / dimensions
        covariance[np.diag_indices(dimensions)] += self.shrinkage * spread
        eigenvalues, components = eigen(covariance)
        channels = dimensions // self.side**2
        first = (self.side // 2 * self.side + self.side // 2) * channels
        centre = components[:, first : first + channels].T
        return (centre * self.gain(eigenvalues)) @ components

    def fitted_channels(self, constants: Mapping[str, np.ndarray]) -> int:
        return constants["kernel"].shape[-1]

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        kernel, offset = constants["kernel"], constants["offset"].astype(u.dtype)
        if u.shape[2] != kernel.shape[-1]:
            # Fitted on grey: each channel is an image of its own.
            planes = np.split(u, u.shape[2], axis=2)
            return np.concatenate([self.definition(one, constants) for one in planes], axis=2)
        y = _filtered(u, kernel)
        if self.contrast == "std":
            y /= self._local_std(u).astype(u.dtype)[:, :, np.newaxis]
        return y + offset

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # In float64: the weights' sizes add up to 80 and more, which float32 shows (4e-6).
        return self.definition(pixels / 255.0, constants).astype(np.float32)

    def _local_std(self, u: np.ndarray) -> np.ndarray:
        """√(variance + bias) of each pixel's patch; in float64, as it is a small difference."""
        u = u.astype(np.float64) - 0.5
        size, border = (self.side, self.side), cv2.BORDER_REFLECT_101
        mean = cv2.blur(u.mean(axis=2), size, borderType=border)
        square = cv2.blur((u * u).mean(axis=2), size, borderType=border)
        values = self.side**2 * u.shape[2]
        variance = np.maximum(square - mean**2, 0) * (values / (values - 1))
        return np.sqrt(variance + _COATES_BIAS)

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target == "numpy":
            return self._numpy_code(self.fitted_channels(constants) == 1)
        if target == "torchvision" and self.fitted_channels(constants) == 3:
            return self._torch_code()
        return None

    def _numpy_code(self, grey: bool) -> str:
        each = """    if image.shape[2] > 1:  # fitted on grey: each channel is an image of its own
        planes = np.split(image, image.shape[2], axis=2)
        return np.concatenate([normalize(plane) for plane in planes], axis=2)
"""
        std, divided, spread = "", "", ""
        if self.contrast == "std":
            divided, spread = " / std", "    std = local_std(x)\n"
            std = f"""

def local_std(x):
    size = ({self.side}, {self.side})
    x = x - 0.5
    mean = cv2.blur(x.mean(axis=2), size, borderType=BORDER)
    square = cv2.blur((x * x).mean(axis=2), size, borderType=BORDER)
    values = KERNEL[0].size
    variance = np.maximum(square - mean**2, 0) * values / (values - 1)
    return np.sqrt(variance + 10 / 255**2)
"""
        return f"""import json

import cv2
import numpy as np

{stored_constants(["kernel", "offset"])}BORDER = cv2.BORDER_REFLECT_101


def filtered(x, window):
    planes = range(x.shape[2])
    return sum(cv2.filter2D(x[:, :, c], -1, window[:, :, c], borderType=BORDER) for c in planes)
{std}

def normalize(image):
{each if grey else ""}    x = image / 255.0
{spread}    y = [filtered(x, window){divided} + OFFSET[c] for c, window in enumerate(KERNEL)]
    return np.stack(y, axis=2).astype(np.float32)
"""

    def _torch_code(self) -> str:
        std, divided = "", ""
        if self.contrast == "std":
            divided = " / local_std(x)"
            std = """

def local_std(x):
    window = torch.full_like(KERNEL[:1], 1 / KERNEL[0].numel())
    x = x - 0.5
    variance = F.conv2d(x * x, window) - F.conv2d(x, window) ** 2
    values = KERNEL[0].numel()
    return (variance.clamp(min=0) * values / (values - 1) + 10 / 255**2).sqrt()
"""
        return f"""import json

import numpy as np
import torch
import torch.nn.functional as F

{stored_constants(["kernel", "offset"])}SIDE = {self.side}
KERNEL = torch.from_numpy(KERNEL).permute(0, 3, 1, 2)
OFFSET = torch.from_numpy(OFFSET).view(-1, 1, 1)


def mirrored(length):
    # Positions beyond a border, reflected without repeating the edge, however small the image.
    period = max(2 * (length - 1), 1)
    place = torch.arange(-(SIDE // 2), length + (SIDE - 1) // 2) % period
    return torch.minimum(place, period - place)
{std}

def normalize(image):
    x = image.to(torch.float64) / 255
    x = x[:, mirrored(x.shape[1])][:, :, mirrored(x.shape[2])][None]
    y = (F.conv2d(x, KERNEL){divided})[0] + OFFSET
    return y.to(torch.float32)
"""


@dataclass(frozen=True)
class _WholeImage(Whitening):
    """What PCA and ZCA of whole images share: side, the fit, and the way back to the image's size.

    The image is squeezed to side × side (area average, linear where it grows), whitened as one
    vector of D = side²·C values in the order (row, column, channel), and brought to its own size
    again by taking the nearest value (rows ⌊h·side/H⌋, columns ⌊w·side/W⌋).
    """

    epsilon: float = _epsilon(1e-2, low=1e-6)
    side: int = parameter(32, "Side", "Images are squeezed to this size.", 8, 64, 1, unit="px")
    kept: int = parameter(
        128,
        "Components",
        "How many principal components are kept, at most; one fewer than the images exist.",
        low=1,
        high=1024,
        step=1,
    )

    def memory_needed(self, images: int, channels: int = 3) -> int:
        dimensions = self.side**2 * channels
        if images < dimensions:
            # The images, centred, LAPACK's copy and its result twice; work space of images².
            return 8 * (5 * images * dimensions + 8 * images**2)
        block = min(images, rows_a_block(dimensions))
        return _moments_memory(2 * block, dimensions)

    def fitted_to(self, images: Sequence[Image]) -> Mapping[str, np.ndarray]:
        channels = max(image.channels for image in images)
        dimensions = self.side**2 * channels
        if len(images) < dimensions:
            mean, eigenvalues, components = _thin(image_vectors(images, self.side))
        else:
            moments = _image_moments(images, self.side, dimensions)
            mean = moments.mean
            eigenvalues, components = eigen(moments.covariance)
        unseen = dimensions - min(self.kept, len(components))
        rest = eigenvalues[self.kept :].sum() / max(unseen, 1)
        kept = components[: self.kept]
        return {
            "mean": mean.reshape(self.side, self.side, channels),
            "eigenvalues": eigenvalues[: self.kept],
            "components": kept.reshape(len(kept), self.side, self.side, channels),
            "rest": np.array([rest]),
        }

    def fitted_channels(self, constants: Mapping[str, np.ndarray]) -> int:
        return constants["mean"].shape[-1]

    @abstractmethod
    def whitened(self, x: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the whitened vector of a centred one."""

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._enlarged(squeezed(u, self.side, UNIT_RANGE), u.shape, constants)

    def on_bytes(self, pixels: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # From the levels: gains of hundreds would show the rounding of float32 fractions.
        small = squeezed(pixels, self.side, BYTE_RANGE)
        return self._enlarged(small, pixels.shape, constants, np.float32)

    def _enlarged(
        self,
        small: np.ndarray,
        shape: tuple[int, ...],
        constants: Mapping[str, np.ndarray],
        kind: type = np.float64,
    ) -> np.ndarray:
        own = constants["mean"].shape[-1]
        # Fitted on grey: each channel is an image of its own.
        parts = np.split(small, shape[2] // own, axis=2)
        done = [self.whitened((part - constants["mean"]).ravel(), constants) for part in parts]
        values = [one.reshape(constants["mean"].shape) for one in done]
        rows, columns = (np.arange(length) * self.side // length for length in shape[:2])
        whole: np.ndarray = np.concatenate(values, axis=2).astype(kind)
        return whole.take(columns, axis=1).take(rows, axis=0)

    def whitened_code(self) -> str:
        raise NotImplementedError

    def snippet(self, target: str, constants: Mapping[str, np.ndarray]) -> str | None:
        if target != "numpy":
            return None
        return f"""import json

import cv2
import numpy as np

{stored_constants(["mean", "eigenvalues", "components", "rest"])}SIDE = {self.side}
COMPONENTS = COMPONENTS.reshape(len(COMPONENTS), MEAN.size)
GAIN = {self.gain_code("EIGENVALUES")}


def squeezed(plane):
    shrinks = max(SIDE / plane.shape[0], SIDE / plane.shape[1]) <= 1
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(plane, (SIDE, SIDE), interpolation=method)


def whitened(x):
{self.whitened_code()}

def normalize(image):
    small = np.stack([squeezed(plane / 255.0) for plane in np.moveaxis(image, 2, 0)], axis=2)
    # Fitted on grey, each channel is an image of its own.
    parts = np.split(small, image.shape[2] // MEAN.shape[2], axis=2)
    y = np.concatenate([whitened(part.ravel() - MEAN.ravel()) for part in parts], axis=2)
    rows, columns = (np.arange(length) * SIDE // length for length in image.shape[:2])
    return y[rows][:, columns].astype(np.float32)
"""


def _thin(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, eigenvalues (largest first) and eigenvectors of fewer vectors than dimensions.

    Directions in which the vectors do not differ at all are left out. ``vectors`` is overwritten.
    """
    mean = vectors.mean(axis=0)
    vectors -= mean
    _, singular, rows = np.linalg.svd(vectors, full_matrices=False)
    seen = singular > singular[0] * max(vectors.shape) * np.finfo(np.float64).eps
    return mean, singular[seen] ** 2 / len(vectors), signed(rows[seen])


def _image_moments(images: Sequence[Image], side: int, dimensions: int) -> SecondMoments:
    moments = SecondMoments.empty(dimensions)
    colour = dimensions == 3 * side**2
    rows = rows_a_block(dimensions)
    for first in range(0, len(images), rows):
        vectors = image_vectors(images[first : first + rows], side)
        if colour and vectors.shape[1] < dimensions:
            # A block that happens to hold grey images only.
            vectors = np.repeat(vectors, 3, axis=1)
        moments = moments.merge(SecondMoments.of(vectors))
    return moments


_IMAGE_LIBRARIES = (
    (
        "Keras 3 ImageDataGenerator(zca_whitening=True)",
        "ZCA with ε = 1e-6 on the singular values of the data: gain √n/(s + ε), here 'singular' "
        "with ε/√n, equal to 1e-8 on a set whose mean image is one colour. It subtracts one mean a "
        "channel, not the mean image, so its second moments are no covariance; and what no image "
        "shows gets 0, not the largest gain: fitted on ten 8 × 8 images, a new one comes out with "
        "an rms of 0.08 there and of 34,000 here at ε = 1e-6.",
    ),
    (
        "keras-preprocessing 1.1 (Keras 2)",
        "ε = 1e-6 on the eigenvalues of XᵀX/n, with one mean a channel subtracted.",
    ),
    (
        "Kornia ZCAWhitening",
        "ε = 1e-6 on eigenvalues, ddof 1, float32: of 10 images it divides by 9, so the result "
        "is 5 % smaller where λ ≫ ε; a D × D matrix, 38 MB for 32 × 32 × 3.",
    ),
    (
        "pylearn2 ZCA",
        "Eigenvalues of the covariance (ddof 0) + 0.1·I, which is ε = 0.1 on eigenvalues, equal "
        "to 1e-12; meant for images after global contrast normalization.",
    ),
    (
        "torchvision LinearTransformation",
        "No fit: it multiplies the flattened image (C, H, W) by a D × D matrix, which is W "
        "transposed in its order of values; the numbers are then the same to 1e-5.",
    ),
    (
        "scikit-learn PCA(whiten=True)",
        "PCA with the same signs, no ε, ddof 1: of 10 images its result is √(9/10), 5 % smaller.",
    ),
)


@dataclass(frozen=True)
class ImagePCA(_WholeImage):
    """PCA whitening of whole images at side × side: y_i = u_iᵀ(x − μ) / √(λ_i + ε), i = 1, 2 …

    The components are laid out as the picture's values are, in the order (row, column, channel),
    largest variance first; those beyond the kept ones are 0. Covariance with ddof 0; each
    eigenvector's largest entry is positive.

    >>> from normviz.images import image_of
    >>> fit_on = [image_of(np.full((8, 8), v, np.uint8)) for v in (0, 255)]
    >>> done = ImagePCA(side=8).fit(fit_on)(fit_on[1].pixels)
    >>> done[0, :3, 0].round(4), ImagePCA(side=8).memory_needed(images=2, channels=1)
    (array([0.9997, 0.    , 0.    ], dtype=float32), 5376)
    """

    key = "image_pca"
    about = About(
        title="Image PCA whitening",
        short="image PCA",
        scope="dataset",
        reduces=("N",),
        joins="values of an image",
        formula=(
            r"y_i = \frac{u_i^\top (x-\mu)}{\sqrt{\lambda_i+\varepsilon}}, \quad"
            r" \Sigma = \sum_i \lambda_i u_i u_i^\top \text{ of whole images}"
        ),
        summary=(
            "Describes a small copy of the whole image by its principal components over the "
            "dataset, each divided by its standard deviation; the picture is a list of numbers."
        ),
        sources=(KESSY, KRIZHEVSKY),
        invariances=frozenset(),
        loses="detail finer than side × side, what the kept components do not show, and the place: "
        "values are components, no longer pixels",
        flat="becomes the whitened distance of its colour to the mean image",
        unit="dataset stds",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="Eigenfaces, classical pipelines on small aligned images",
        needs_images=True,
        libraries=_IMAGE_LIBRARIES,
    )

    def channel_names(self, channels: int) -> tuple[str, ...]:
        # Components lie in the picture as its values do, channel by channel.
        return ("PC 1, 4 …", "PC 2, 5 …", "PC 3, 6 …") if channels == 3 else ("PC 1, 2 …",)

    def components_of(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the whitened components ``(K, 1)`` of fractions ``u``, largest variance first.

        ``(K, 3)`` for a colour image under a fit on grey: each channel is an image of its own.
        """
        mean = constants["mean"]
        small = squeezed(u, self.side, UNIT_RANGE)
        parts = np.split(small, u.shape[2] // mean.shape[2], axis=2)
        done = [self.whitened((part - mean).ravel(), constants) for part in parts]
        return np.stack(done, axis=1)[: len(constants["components"])]

    def whitened(self, x: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        components = constants["components"].reshape(-1, x.size)
        y = np.zeros_like(x)
        y[: len(components)] = self.gain(constants["eigenvalues"]) * (components @ x)
        return y

    def whitened_code(self) -> str:
        return """    y = np.zeros(x.size)
    y[: len(COMPONENTS)] = GAIN * (COMPONENTS @ x)
    return y.reshape(MEAN.shape)
"""


@dataclass(frozen=True)
class ImageZCA(_WholeImage):
    """ZCA whitening of whole images at side × side: y = U diag(1/√(λ+ε)) Uᵀ (x − μ).

    Of the eigenvectors only the first are kept; all other directions share the mean of the
    remaining eigenvalues, λ₀, and so the gain 1/√(λ₀+ε). Directions in which the set's images do
    not differ (there are at least D − n + 1 of n images) have λ = 0 and the largest gain, 1/√ε:
    a new image has most of itself there, and comes out as noise unless ε is large. Covariance
    with ddof 0.

    >>> from normviz.images import image_of
    >>> fit_on = [image_of(np.full((8, 8), v, np.uint8)) for v in (0, 255)]
    >>> done = ImageZCA(side=8).fit(fit_on)(fit_on[1].pixels)
    >>> round(float(done[0, 0, 0]), 4), round(float((done**2).sum()), 3)
    (0.125, 0.999)
    """

    key = "image_zca"
    about = About(
        title="Image ZCA whitening",
        short="image ZCA",
        scope="dataset",
        reduces=("N",),
        joins="values of an image",
        formula=(
            r"y = U\,\mathrm{diag}\!\left(\frac{1}{\sqrt{\lambda+\varepsilon}}\right) U^\top"
            r" (x-\mu), \quad \Sigma = U\,\mathrm{diag}(\lambda)\,U^\top \text{ of whole images}"
        ),
        summary=(
            "Makes all values of a small copy of the image uncorrelated over the dataset while "
            "staying as close to the image as possible: what images share goes, edges stay."
        ),
        sources=(BELL, KRIZHEVSKY, KESSY),
        invariances=frozenset(),
        loses="detail finer than side × side; what all images of the set have in common",
        flat="becomes the whitened distance of its colour to the mean image",
        unit="dataset stds",
        nominal=(0.0, 1.0),
        shuffles=False,
        used_by="CIFAR-10 networks around 2009–2016 (Krizhevsky 2009, maxout networks)",
        needs_images=True,
        libraries=_IMAGE_LIBRARIES,
    )

    def whitened(self, x: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        components = constants["components"].reshape(-1, x.size)
        others = self.gain(constants["rest"])
        gain = self.gain(constants["eigenvalues"])
        return others * x + ((gain - others) * (components @ x)) @ components

    def whitened_code(self) -> str:
        return f"""    others = {self.gain_code("REST")}
    y = others * x + ((GAIN - others) * (COMPONENTS @ x)) @ COMPONENTS
    return y.reshape(MEAN.shape)
"""
