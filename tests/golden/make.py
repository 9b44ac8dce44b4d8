"""What every method gave on three bundled photos when it was last looked at.

Made by hand only, after a definition was changed on purpose or a method was added:

    python -m tests.golden.make            # methods that have no row yet
    python -m tests.golden.make lcn gcn    # these anew
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import normviz as nv
from normviz.samples import SAMPLE_SETS, load_sample

FILE = Path(__file__).with_name("golden.npz")
PHOTOS = ("forest_day", "field_night", "coffee")
PLACES = 40
ALL = (*nv.METHODS, *nv.FEATURE_NORMS)


def thinned(key: str) -> nv.Image:
    """Every third pixel of a photo: no resizing, so no library's version comes into it."""
    return nv.image_of(load_sample(key).pixels[::3, ::3])


def rows(key: str) -> dict[str, np.ndarray]:
    """Photo → min, mean, std and max of each channel, then the values at fixed places."""
    fit_on = [thinned(name) for name in SAMPLE_SETS["Day and night"]]
    method = nv.METHODS[key]()
    wants_images = method.about.fits_on == "images"
    fitted = method.fit(fit_on if wants_images else nv.scan(fit_on, mean_image=32))
    found = {}
    for name in PHOTOS:
        y = fitted.reference(thinned(name).pixels).reshape(-1, 3)
        places = np.random.default_rng(0).choice(len(y), PLACES, replace=False)
        found[name] = np.stack([y.min(0), y.mean(0), y.std(0), y.max(0), *y[places]])
    return found


def maps() -> np.ndarray:
    """The three photos as one batch of feature maps ``(3, 64, 64, 12)``: shifted differences."""
    batch = np.stack([thinned(name).pixels[:64, :64] / 255.0 for name in PHOTOS])
    shifts = ((0, 1), (1, 0), (2, 3), (5, 4))
    return np.concatenate([batch - 0.5 * np.roll(batch, by, (1, 2)) for by in shifts], axis=3)


def norm_rows(key: str) -> dict[str, np.ndarray]:
    """The same of a normalization of feature maps, in groups where it has any."""
    kind = nv.FEATURE_NORMS[key]
    norm = kind(groups=4) if kind.in_groups else kind()
    y = norm(maps()).reshape(len(PHOTOS), -1, 12)
    places = np.random.default_rng(0).choice(64 * 64, PLACES, replace=False)
    return {
        name: np.stack([one.min(0), one.mean(0), one.std(0), one.max(0), *one[places]])
        for name, one in zip(PHOTOS, y, strict=True)
    }


def all_rows(key: str) -> dict[str, np.ndarray]:
    return rows(key) if key in nv.METHODS else norm_rows(key)


def stored() -> dict[str, np.ndarray]:
    if not FILE.exists():
        return {}
    with np.load(FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def main(anew: list[str]) -> None:
    kept = stored()
    have = {name.partition("/")[0] for name in kept}
    for key in ALL:
        if key in anew or key not in have:
            kept.update({f"{key}/{name}": found for name, found in all_rows(key).items()})
    known = {name: kept[name] for name in sorted(kept) if name.partition("/")[0] in ALL}
    np.savez_compressed(FILE, allow_pickle=False, **known)


if __name__ == "__main__":
    main(sys.argv[1:])
