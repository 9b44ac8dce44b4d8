"""Code that does a fitted normalization elsewhere, as text that runs as it stands.

Every text defines ``normalize(image)`` for 8-bit RGB: (H, W, C) arrays, for torchvision (C, H, W)
tensors. Methods of one gain and bias a channel share the templates here; the others bring their
own text (:meth:`Method.snippet`).
"""

from __future__ import annotations

import numpy as np

TARGETS = {
    "numpy": "NumPy",
    "torchvision": "PyTorch (torchvision v2)",
    "albumentations": "Albumentations",
    "keras": "Keras",
}


def constants_code(target: str, gain: np.ndarray, bias: np.ndarray) -> str:
    """Return code for y = gain · x / 255 + bias, written as (x / 255 − mean) / std.

    >>> print(constants_code("torchvision", np.array([2.0]), np.array([-1.0])))
    import torch
    from torchvision.transforms import v2
    <BLANKLINE>
    # image: uint8 tensor (C, H, W), RGB; mean and std are of values in 0…1
    normalize = v2.Compose([
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(mean=[0.5], std=[0.5]),
    ])
    <BLANKLINE>
    """
    # Subtracting from zero gives no minus zero.
    mean, std = _listed(0.0 - bias / gain), _listed(1 / gain)
    if target == "numpy":
        return f"""import numpy as np

MEAN = np.array({mean})  # of values in 0…1, channels as in the image
STD = np.array({std})


def normalize(image):
    return ((image / 255.0 - MEAN) / STD).astype(np.float32)
"""
    if target == "torchvision":
        return f"""import torch
from torchvision.transforms import v2

# image: uint8 tensor (C, H, W), RGB; mean and std are of values in 0…1
normalize = v2.Compose([
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize(mean={mean}, std={std}),
])
"""
    if target == "albumentations":
        return f"""import albumentations as A

TRANSFORM = A.Normalize(mean={mean}, std={std}, max_pixel_value=255.0)


def normalize(image):
    return TRANSFORM(image=image)["image"]
"""
    return f"""import keras
import numpy as np

# One gain and offset a channel, channels last: y = x * scale + offset
LAYER = keras.layers.Rescaling(scale={_listed(gain / 255)}, offset={_listed(bias)})


def normalize(image):
    return LAYER(image[np.newaxis].astype("float32"))[0]
"""


def _listed(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{float(value):.10g}" for value in np.atleast_1d(values)) + "]"
