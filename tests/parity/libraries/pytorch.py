"""PyTorch's own functions: norms of images and of feature maps, on float64."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Given, Library

LIBRARY = Library("PyTorch", "torch", "torch")


def functional():
    import torch

    return torch.nn.functional


def tensor_of(x: np.ndarray):
    """x as float64, channels first, with the images' axis."""
    import torch

    stack = x if x.ndim == 4 else x[np.newaxis]
    return torch.from_numpy(np.array(np.moveaxis(stack, -1, 1), np.float64))


def array_of(tensor, like: np.ndarray) -> np.ndarray:
    return np.moveaxis(tensor.numpy(), 1, -1).reshape(like.shape)


@LIBRARY.agrees("image_standardize", 1e-9)
def layer_norm_of_an_image(given: Given):
    """nn.functional.layer_norm(x, (3, H, W), eps=0)"""
    x = tensor_of(given.x)
    return array_of(functional().layer_norm(x, x.shape[1:], eps=0.0), given.x)


@LIBRARY.agrees("image_channel_standardize", 1e-9)
def instance_norm_of_an_image(given: Given):
    """nn.functional.instance_norm(x, eps=0)"""
    return array_of(functional().instance_norm(tensor_of(given.x), eps=0.0), given.x)


@LIBRARY.agrees("batch_zscore", 1e-9, fitted_on=3, batch_size=3)
def batch_norm_of_images(given: Given):
    """nn.functional.batch_norm(batch of u, training=True)"""
    batch = tensor_of(np.stack(given.on) / 255)
    mean, variance = batch.mean((0, 2, 3)), batch.var((0, 2, 3), unbiased=False)
    done = functional().batch_norm(tensor_of(given.u), mean, variance, eps=1e-5)
    return array_of(done, given.x)


@LIBRARY.agrees("unit_l2", 1e-12)
def normalize(given: Given):
    """nn.functional.normalize(x, dim=(1, 2, 3))"""
    return array_of(functional().normalize(tensor_of(given.x), dim=(1, 2, 3)), given.x)


@LIBRARY.differs(
    "unit_l2",
    350.0,
    "divides each pixel by the length of its own channels by default",
    lambda given: given.u / np.maximum(np.linalg.norm(given.u, axis=2, keepdims=True), 1e-12 / 255),
)
def normalize_by_default(given: Given):
    """nn.functional.normalize(x)"""
    return array_of(functional().normalize(tensor_of(given.x)), given.x)


@LIBRARY.agrees("lrn", 1e-12)
def local_response_norm(given: Given):
    """nn.functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2)"""
    done = functional().local_response_norm(tensor_of(given.x), 5, 5e-4, 0.75, 2.0)
    return array_of(done, given.x)


def alpha_over_n(given: Given) -> np.ndarray:
    square = given.x.astype(float) ** 2
    windows = np.stack([square.sum(axis=2)] * 3, axis=2)  # five of three channels are all
    return given.x / (2 + 1e-4 / 5 * windows) ** 0.75


@LIBRARY.differs("lrn", 1.2, "divides alpha by the window's size", alpha_over_n)
def local_response_norm_of_the_paper(given: Given):
    """nn.functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=2)"""
    done = functional().local_response_norm(tensor_of(given.x), 5, 1e-4, 0.75, 2.0)
    return array_of(done, given.x)


@LIBRARY.agrees("batch_norm", 1e-9)
def batch_norm(given: Given):
    """nn.functional.batch_norm(x, None, None, training=True)"""
    done = functional().batch_norm(tensor_of(given.x), None, None, training=True)
    return array_of(done, given.x)


@LIBRARY.agrees("layer_norm", 1e-9)
def layer_norm(given: Given):
    """nn.functional.layer_norm(x, (C, H, W))"""
    x = tensor_of(given.x)
    return array_of(functional().layer_norm(x, x.shape[1:]), given.x)


@LIBRARY.agrees("instance_norm", 1e-9)
def instance_norm(given: Given):
    """nn.functional.instance_norm(x)"""
    return array_of(functional().instance_norm(tensor_of(given.x)), given.x)


@LIBRARY.agrees("group_norm", 1e-9, groups=8)
def group_norm(given: Given):
    """nn.functional.group_norm(x, 8)"""
    return array_of(functional().group_norm(tensor_of(given.x), 8), given.x)


@LIBRARY.agrees("rms_norm", 1e-9)
def rms_norm(given: Given):
    """nn.functional.rms_norm(x channels last, (C,), eps=1e-6)"""
    x = tensor_of(given.x).movedim(1, -1)
    done = functional().rms_norm(x, x.shape[-1:], eps=1e-6)
    return done.numpy()


@LIBRARY.agrees("positional_norm", 1e-9)
def layer_norm_of_positions(given: Given):
    """nn.functional.layer_norm(x channels last, (C,))"""
    x = tensor_of(given.x).movedim(1, -1)
    return functional().layer_norm(x, x.shape[-1:]).numpy()
