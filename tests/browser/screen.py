"""What stands on screen, read from the page, and the same from the package."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.images import resized
from normviz.light import relight
from normviz.networks import mobilenet_v2_convolution, pre_activations
from normviz.observe.ranges import observe

DEFAULT = ("scale_01", "dataset_mean", "dataset_zscore", "image_mean", "image_standardize", "lcn")


def numbers_on_screen(page) -> dict[tuple[int, str, str, str], float]:
    """(row, method, channel, statistic) → the number that its cell holds at full precision."""
    found = page.evaluate(
        """() => {
          const rows = [], out = [];
          const roots = [document];
          const all = (selector) => {
            const hits = [];
            const walk = (root) => {
              hits.push(...root.querySelectorAll(selector));
              for (const el of root.querySelectorAll('*')) if (el.shadowRoot) walk(el.shadowRoot);
            };
            walk(document);
            return hits;
          };
          for (const cell of all('[data-row][data-column]')) {
            if (!rows.includes(cell.dataset.row)) rows.push(cell.dataset.row);
            for (const n of cell.querySelectorAll('[data-stat]'))
              out.push([rows.indexOf(cell.dataset.row), cell.dataset.column,
                        n.dataset.channel, n.dataset.stat, Number(n.dataset.value)]);
          }
          return out;
        }"""
    )
    return {(row, method, channel, stat): value for row, method, channel, stat, value in found}


def colours_on_screen(page, height: int, width: int) -> dict[str, np.ndarray]:
    """Method → (height, width, 3) uint8, what the first row's canvas shows in each pixel's middle.

    For small images that fit their panel whole: their pixels are squares of several screen pixels.
    """
    found = page.locator(".row:first-child [data-column]").evaluate_all(
        """(cells, [height, width]) => {
          return Object.fromEntries(cells.map((cell) => {
            const canvas = cell.querySelector('canvas');
            const { data } = canvas.getContext('2d')
              .getImageData(0, 0, canvas.width, canvas.height);
            const scale = Math.min(canvas.width / width, canvas.height / height);
            const left = (canvas.width - scale * width) / 2;
            const top = (canvas.height - scale * height) / 2;
            const seen = [];
            for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
              const across = Math.floor(left + (x + 0.5) * scale);
              const at = 4 * (Math.floor(top + (y + 0.5) * scale) * canvas.width + across);
              seen.push(data[at], data[at + 1], data[at + 2]);
            }
            return [cell.dataset.column, seen];
          }));
        }""",
        [height, width],
    )
    return {
        name: np.array(seen, np.uint8).reshape(height, width, 3) for name, seen in found.items()
    }


def expected(images, methods, fit_on, light=None):
    """The same dictionary from the package."""
    stats = nv.scan(fit_on, mean_image=224)
    out = {}
    for row, image in enumerate(images):
        seen = relight(image, light) if light else image
        for name in methods:
            found = observe(seen, nv.image_statistics(seen), nv.METHODS[name]().fit(stats))
            for at, channel in enumerate("RGB" if seen.channels == 3 else ["grey"]):
                for stat, values in (
                    ("min", found.low),
                    ("mean", found.mean),
                    ("std", found.std),
                    ("max", found.high),
                ):
                    out[row, name, channel, stat] = float(values[at])
    return out


def feature_maps(photos) -> np.ndarray:
    """What MobileNetV2's first convolution gives on the photos, one batch."""
    layer, _ = mobilenet_v2_convolution()
    imagenet = nv.METHODS["published"]().fit()
    squares = [resized(photo.pixels, 224, 224) for photo in photos]
    return np.stack([pre_activations(layer, imagenet(square)) for square in squares])


def assert_same(screen, package):
    assert screen.keys() == package.keys()
    for key, value in package.items():
        assert screen[key] == pytest.approx(value, rel=1e-6, abs=1e-6), key
