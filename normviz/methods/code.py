"""Code that does a fitted normalization elsewhere, as text that runs as it stands.

Every text defines ``normalize(image)`` for 8-bit pixels: arrays ``(H, W, C)`` in RGB order, for
torchvision tensors ``(C, H, W)``. Methods of one gain and bias a channel share the templates of
:func:`constants_code`; the others bring their own text (:meth:`Method.snippet`), and where a
library has no words of its own for it, their NumPy text is wrapped.
"""

from __future__ import annotations

import numpy as np

TARGETS = {
    "numpy": "NumPy",
    "torchvision": "PyTorch (torchvision v2)",
    "albumentations": "Albumentations",
    "keras": "Keras",
}


def constants_code(target: str, gain: np.ndarray, bias: np.ndarray, *, turned: bool = False) -> str:
    """Return code for y = gain · x / 255 + bias, written as (x / 255 − mean) / std.

    With ``turned`` the code turns RGB to BGR first, and gain and bias are those of B, G, R.

    >>> print(constants_code("torchvision", np.array([2.0]), np.array([-1.0])))
    import torch
    from torchvision.transforms import v2
    <BLANKLINE>
    # Of values in 0…1, channels as in the image
    MEAN = [0.5]
    STD = [0.5]
    <BLANKLINE>
    # image: uint8 tensor (C, H, W)
    normalize = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    <BLANKLINE>
    """
    gain, bias = np.broadcast_arrays(np.atleast_1d(gain), np.atleast_1d(bias))
    # Subtracting from zero gives no minus zero.
    mean, std = _listed(0.0 - bias / gain), _listed(1 / gain)
    order = "B, G, R" if turned else "channels as in the image"
    numbers = f"# Of values in 0…1, {order}\nMEAN = {mean}\nSTD = {std}"
    if target == "numpy":
        image = "image[..., ::-1]" if turned else "image"
        return f"""import numpy as np

{numbers}


def normalize(image):
    return (({image} / 255.0 - np.array(MEAN)) / np.array(STD)).astype(np.float32)
"""
    if target == "torchvision":
        steps = "v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)"
        turn = "# RGB to BGR\nTURN = v2.Lambda(lambda image: image.flip(-3))\n" if turned else ""
        return f"""import torch
from torchvision.transforms import v2

{numbers}
{turn}
# image: uint8 tensor (C, H, W)
normalize = v2.Compose([{"TURN, " if turned else ""}{steps}])
"""
    if target == "albumentations":
        # A list of one number fits grey images only; a plain number fits all.
        given = "mean=MEAN, std=STD" if len(gain) > 1 else "mean=MEAN[0], std=STD[0]"
        image = "np.ascontiguousarray(image[..., ::-1])" if turned else "image"
        more = "import numpy as np\n" if turned else ""
        return f"""import albumentations as A
{more}
{numbers}
TRANSFORM = A.Normalize({given}, max_pixel_value=255.0)


def normalize(image):
    return TRANSFORM(image={image})["image"]
"""
    return f"""import keras
import numpy as np

# y = SCALE * x + OFFSET, one of each a channel{", B, G, R" * turned}, channels last
SCALE = {_listed(gain / 255)}
OFFSET = {_listed(bias)}
LAYER = keras.layers.Rescaling(SCALE, OFFSET)


def normalize(image):
    return LAYER(image[np.newaxis{", ..., ::-1" * turned}].astype("float32"))[0]
"""


def wrapped(target: str, numpy_code: str, difference: str = "") -> str:
    """Return NumPy code as a preprocessing step of another library, for its uint8 images.

    ``difference`` says, as a comment, what Albumentations' own mode does otherwise.
    """
    imports, last = _WRAPPERS[target]
    # Third-party imports stand in the order of their names: albumentations, cv2, keras, numpy.
    numpy = "import numpy as np\n"
    if target == "torchvision":
        body = numpy_code.replace(numpy, numpy + imports, 1)
    else:
        first = target == "albumentations" and "import cv2\n" in numpy_code
        anchor = "import cv2\n" if first else numpy
        body = numpy_code.replace(anchor, imports + anchor, 1)
    body = body.replace("def normalize(image):", f"def normalize_pixels(image{_MORE[target]}):")
    if target != "albumentations":
        difference = ""
    comment = "".join(f"# {line}\n" for line in difference.splitlines())
    return f"{body}\n\n{comment}{last}"


_MORE = {"albumentations": ", **_", "torchvision": "", "keras": ""}

# What each library needs imported, and the step that takes NumPy's function in.
_WRAPPERS = {
    "albumentations": (
        "import albumentations as A\n",
        """TRANSFORM = A.Lambda(image=normalize_pixels, name="normalize")


def normalize(image):
    return TRANSFORM(image=image)["image"]
""",
    ),
    "torchvision": (
        "import torch\nfrom torchvision.transforms import v2\n",
        """# NumPy on a channels-last view: torchvision has no transform that does this.
def through_numpy(image):
    pixels = normalize_pixels(image.permute(1, 2, 0).numpy())
    return torch.from_numpy(pixels).permute(2, 0, 1)


normalize = v2.Lambda(through_numpy)
""",
    ),
    "keras": (
        "import keras\n",
        """# NumPy, before the image reaches the model: Keras has no layer that does this.
def normalize(image):
    return keras.ops.convert_to_tensor(normalize_pixels(keras.ops.convert_to_numpy(image)))
""",
    ),
}


def stored_constants(names: list[str]) -> str:
    """Return lines that read constants of ``fitted.json`` into upper-case names.

    They need ``import json`` and ``import numpy as np`` above them.
    """
    loads = "\n".join(f'{name.upper()} = stored("{name}")' for name in names)
    return f"""# The fitted constants, downloaded beside this code ("Fitted constants (JSON)").
with open("fitted.json") as file:
    CONSTANTS = json.load(file)["constants"]


def stored(name):
    return np.array(CONSTANTS[name]["values"]).reshape(CONSTANTS[name]["shape"])


{loads}
"""


def _listed(values: np.ndarray) -> str:
    return "[" + ", ".join(map(_number, values)) + "]"


def _number(value: float) -> str:
    """Fifteen digits: as many as a published decimal keeps when it passes through a float64."""
    return f"{float(value):.15g}"
