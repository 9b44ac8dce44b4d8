"""What the tests of the shell share."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage

import normviz as nv


@pytest.fixture
def folder(tmp_path):
    """Two PNGs in class folders."""
    rng = np.random.default_rng(3)
    for at, label in enumerate(("cat", "dog")):
        (tmp_path / "set" / label).mkdir(parents=True)
        pixels = rng.integers(0, 256, (9 + at, 13, 3), dtype=np.uint8)
        PillowImage.fromarray(pixels).save(tmp_path / "set" / label / f"{at}.png")
    return tmp_path / "set"


def pipeline_file(tmp_path, *steps):
    path = tmp_path / "steps.json"
    path.write_text(nv.Pipeline(steps).to_json())
    return str(path)


@pytest.fixture
def many(tmp_path):
    """Eighty small PNGs of different brightness."""
    rng = np.random.default_rng(4)
    (tmp_path / "many").mkdir()
    for at in range(80):
        low = int(rng.integers(0, 110))
        pixels = rng.integers(low, low + 100, (24, 32, 3), dtype=np.uint8)
        PillowImage.fromarray(pixels).save(tmp_path / "many" / f"{at:02d}.png")
    return tmp_path / "many"
