"""A pipeline as code that runs elsewhere: NumPy with Pillow and OpenCV, or torchvision v2.

Every text defines ``preprocess(image)`` for 8-bit pixels: arrays ``(H, W, C)`` for NumPy, tensors
``(C, H, W)`` for torchvision; the result is float32. A mean image and the like are read from
``pipeline.json``, which ``FittedPipeline.to_json`` writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import indent

import numpy as np

from normviz.errors import ParameterError
from normviz.methods.base import Fitted
from normviz.pipeline.base import Kind, Step

TARGETS = {"numpy": "NumPy", "torchvision": "PyTorch (torchvision v2)"}

_IMPORTS = {
    "cv2": "import cv2",
    "np": "import numpy as np",
    "torch": "import torch",
    "Image": "from PIL import Image",
    "v2": "from torchvision.transforms import v2",
}


def written(
    target: str, steps: Sequence[Step], fits: Sequence[Fitted | None], kinds: Sequence[Kind]
) -> str:
    """Return the code; ``kinds`` is what is known before each step and after the last.

    Raises :class:`ParameterError` for an unknown target, or a step that has no form there.
    """
    if target not in TARGETS:
        raise ParameterError(f"there is no code for {target!r}; there is {', '.join(TARGETS)}.")
    lines: list[str] = []
    above = ""
    for number, (step, fitted, kind) in enumerate(zip(steps, fits, kinds, strict=False), 1):
        comment = f"# {number}. {step.words()}"
        own = step.code(target, kind, fitted)
        if own is None and fitted is not None and not above and kind.dtype == np.uint8:
            # Not one gain and bias: the method's own function, which takes 8-bit pixels.
            above = _function(target, fitted, number - 1)
            if above:
                own = ["x = normalize(x)" if target == "numpy" else "normalize"]
        if own is None:
            raise ParameterError(
                f"step {number} “{step.words()}” has no code for {TARGETS[target]} here."
            )
        lines += [comment, *own]
    if target == "numpy":
        body = ["x = image", *lines, "return np.ascontiguousarray(x, np.float32)"]
        text = "def preprocess(image):\n" + "".join(f"    {line}\n" for line in body)
    else:
        last = [] if kinds[-1].dtype == np.float32 else ["v2.ToDtype(torch.float32)"]
        entries = [line if line[0] == "#" else f"{line}," for line in [*lines, *last]]
        inner = indent("\n".join(entries), " " * 8)
        text = (
            f"# image: uint8 tensor (C, H, W)\npreprocess = v2.Compose(\n    [\n{inner}\n    ]\n)\n"
        )
    return _with_imports(above, text)


def _function(target: str, fitted: Fitted, at: int) -> str:
    """The method's own code, which reads what is fitted at ``at``; "" where it has none."""
    if target not in fitted.code_targets():
        return ""
    text = fitted.code(target)
    for alone, here in (
        ('("Fitted constants (JSON)")', '("Steps and fitted numbers (JSON)")'),
        ('open("fitted.json")', 'open("pipeline.json")'),
        ('json.load(file)["constants"]', f'json.load(file)["fitted"][{at}]["constants"]'),
    ):
        text = text.replace(alone, here)
    return text


def _with_imports(above: str, text: str) -> str:
    """Join both texts under one block of imports, standard library first, in isort's order."""
    imports = set(re.findall(r"^(?:import|from) .*$", above, re.MULTILINE))
    above = re.sub(r"^(?:import|from) .*\n", "", above, flags=re.MULTILINE).strip("\n")
    imports |= {line for name, line in _IMPORTS.items() if re.search(rf"\b{name}\.", text)}
    standard = {line for line in imports if line.split()[1] in ("json", "math")}
    blocks = [
        "\n".join(sorted(lines, key=lambda line: (line.startswith("from"), line.lower())))
        for lines in (standard, imports - standard)
        if lines
    ]
    return "\n\n".join(blocks) + (f"\n\n\n{above}" if above else "") + f"\n\n\n{text}"
