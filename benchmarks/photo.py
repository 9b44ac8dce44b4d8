"""A photo of 12 megapixels for the benchmarks, from the bundled ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


def photo_of_12_megapixels() -> np.ndarray:
    """Return 3000 × 4000 × 3 uint8: four bundled photos enlarged, with a sensor's grain."""
    tiles = []
    for name in ("forest_day", "city_day", "astronaut", "coffee"):
        with Image.open(ROOT / "sample_images" / f"{name}.jpg") as photo:
            enlarged = photo.convert("RGB").resize((2000, 1500), Image.Resampling.LANCZOS)
        tiles.append(np.asarray(enlarged, np.int16))
    pixels = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    pixels += np.random.default_rng(0).normal(0, 4, pixels.shape).astype(np.int16)
    return np.clip(pixels, 0, 255).astype(np.uint8)
