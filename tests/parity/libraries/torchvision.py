"""torchvision's transforms v2, on bytes and on float32."""

from __future__ import annotations

import numpy as np

from tests.methods.test_code_in_libraries import torchvision_runs
from tests.parity.case import Given, Library
from tests.parity.libraries.pillow import in_steps


class Torchvision(Library):
    def needed(self) -> None:
        torchvision_runs()


LIBRARY = Torchvision("torchvision", "torchvision", "torchvision")


def transforms():
    """torch, and torchvision's transforms and their functions."""
    torch, _ = torchvision_runs()
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional

    return torch, v2, functional


def run(given: Given, make) -> np.ndarray:
    torch, v2, functional = transforms()
    done = make(torch, v2, functional)(torch.from_numpy(given.planes))
    return done.numpy().transpose(1, 2, 0)


def floats(torch, v2, *steps):
    return v2.Compose([v2.ToDtype(torch.float32, scale=True), *steps])


@LIBRARY.agrees("none", 0.0)
def to_dtype_unscaled(given: Given):
    """ToDtype(torch.float32)"""
    return run(given, lambda torch, v2, F: v2.ToDtype(torch.float32))


@LIBRARY.agrees("scale_01", 1e-7)
def to_dtype(given: Given):
    """ToDtype(torch.float32, scale=True)"""
    return run(given, lambda torch, v2, F: floats(torch, v2))


@LIBRARY.agrees("scale_11", 1e-6)
def normalize_halves(given: Given):
    """ToDtype, Normalize([0.5] * 3, [0.5] * 3)"""
    return run(given, lambda torch, v2, F: floats(torch, v2, v2.Normalize([0.5] * 3, [0.5] * 3)))


@LIBRARY.agrees("dataset_zscore", 1e-6)
def normalize(given: Given):
    """ToDtype, Normalize(MEAN, STD)"""
    u = np.stack(given.on) / 255
    mean, std = u.mean(axis=(0, 1, 2)).tolist(), u.std(axis=(0, 1, 2)).tolist()
    return run(given, lambda torch, v2, F: floats(torch, v2, v2.Normalize(mean, std)))


@LIBRARY.agrees("dataset_mean", 1e-6)
def normalize_mean(given: Given):
    """Normalize(MEAN, [1] * 3) on levels"""
    mean = np.mean(given.on, axis=(0, 1, 2)).tolist()

    def make(torch, v2, F):
        return v2.Compose([v2.ToDtype(torch.float32), v2.Normalize(mean, [1.0] * 3)])

    return run(given, make)


@LIBRARY.agrees("published", 1e-6)
def weights_transforms(given: Given):
    """ToDtype, Normalize(mean, std) of ResNet50_Weights.DEFAULT.transforms()"""
    torchvision_runs()
    from torchvision.models import ResNet50_Weights

    preset = ResNet50_Weights.DEFAULT.transforms()
    return run(given, lambda torch, v2, F: floats(torch, v2, v2.Normalize(preset.mean, preset.std)))


@LIBRARY.agrees("gamma", 1e-6, gamma=0.45)
def adjust_gamma(given: Given):
    """functional.adjust_gamma(u, 0.45)"""
    return run(
        given,
        lambda torch, v2, F: lambda x: F.adjust_gamma(F.to_dtype(x, torch.float32, True), 0.45),
    )


@LIBRARY.differs(
    "gamma",
    0.0037,
    "multiplies by 255.999 and cuts off to bytes",
    lambda given: np.floor(255.999 * given.ours + 2e-5) / 255,
    gamma=0.45,
)
def adjust_gamma_of_bytes(given: Given):
    """functional.adjust_gamma(x, 0.45)"""
    return run(given, lambda torch, v2, F: lambda x: F.adjust_gamma(x, 0.45)) / 255


@LIBRARY.agrees("channel_min_max", 1e-6)
def autocontrast(given: Given):
    """functional.autocontrast(u)"""
    return run(
        given, lambda torch, v2, F: lambda x: F.autocontrast(F.to_dtype(x, torch.float32, True))
    )


def cut_off(given: Given) -> np.ndarray:
    """In float32, as they do: where a whole level comes out a hair less it is the level below."""
    x = given.x.astype(np.float32)
    low, high = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    return np.trunc((x - low) / ((high - low) * np.float32(1 / 255))).clip(0, 255) / 255


@LIBRARY.differs(
    "channel_min_max",
    0.0039,
    "cuts off to whole bytes",
    cut_off,
)
def autocontrast_of_bytes(given: Given):
    """functional.autocontrast(x)"""
    return run(given, lambda torch, v2, F: F.autocontrast) / 255


@LIBRARY.differs("equalize", 0.23, "Pillow's definition, to the byte", in_steps)
def equalize(given: Given):
    """functional.equalize(x)"""
    return run(given, lambda torch, v2, F: F.equalize) / 255


@LIBRARY.agrees("colour_zca", 1e-11)
def linear_transformation(given: Given):
    """LinearTransformation(Wᵀ, mean), each pixel an image of 1 × 1"""
    u = np.reshape(given.on, (-1, 3)) / 255
    values, vectors = np.linalg.eigh(np.cov(u.T, bias=True))
    matrix = vectors / np.sqrt(values + 1e-5) @ vectors.T
    torch, v2, _ = transforms()
    step = v2.LinearTransformation(torch.from_numpy(matrix.T), torch.from_numpy(u.mean(axis=0)))
    pixels = torch.from_numpy(given.u.reshape(-1, 3, 1, 1))
    return step(pixels).numpy().reshape(given.x.shape)
