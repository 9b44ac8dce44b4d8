"""Reinhard's transfer and Macenko's stains: what comes out is what was asked for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import normviz as nv
from normviz.methods.colour_spaces import to_lab
from normviz.methods.transfer import AMOUNTS, STAINS
from normviz.samples import load_sample
from tests.methods.test_code_in_libraries import photo

COFFEE = load_sample("coffee").pixels
FOREST = load_sample("forest_day").pixels


def transferred(to, x):
    return nv.METHODS["reinhard"]().fit([nv.image_of(one) for one in to]).reference(x)


def moments(u: np.ndarray) -> np.ndarray:
    lab = to_lab(u).reshape(-1, 3)
    return np.stack([lab.mean(axis=0), lab.std(axis=0)])


def test_the_reference_gives_its_mean_and_std():
    soft = (FOREST // 4 + 90).astype(np.uint8)  # far from the cut at ten times white
    done = transferred([soft], (COFFEE // 2 + 60).astype(np.uint8))
    np.testing.assert_allclose(moments(done), moments(soft / 255), atol=1e-9)


def test_an_image_becomes_itself():
    np.testing.assert_allclose(255 * transferred([COFFEE], COFFEE), COFFEE, atol=1e-9)


def test_references_are_pooled_pixel_by_pixel():
    parts = [photo(6, 5, seed=1), photo(9, 20, seed=2)]
    joined = np.concatenate([part.reshape(1, -1, 3) for part in parts], axis=1)
    one, other = transferred(parts, COFFEE), transferred([joined], COFFEE)
    np.testing.assert_allclose(one, other, atol=1e-12)
    mean_of_means = np.mean([moments(part / 255) for part in parts], axis=0)
    assert np.abs(moments(joined / 255) - mean_of_means).max() > 1e-3


def test_a_flat_image_becomes_the_references_mean_colour():
    flat = np.full((4, 6, 3), (90, 120, 30), np.uint8)
    done = transferred([FOREST], flat)
    np.testing.assert_allclose(to_lab(done)[2, 3], moments(FOREST / 255)[0], atol=1e-9)
    np.testing.assert_allclose(done, np.broadcast_to(done[0, 0], done.shape), atol=1e-9)


# --- Macenko --------------------------------------------------------------------------------------

# Of optical density, haematoxylin and eosin of a laboratory: redder and bluer than the reference's.
TRUE = np.array([[0.52, 0.30], [0.75, 0.85], [0.30, 0.38]])
TRUE /= np.linalg.norm(TRUE, axis=0)


def slide(light=240.0, seed=0, size=200, background=0.2):
    """Fractions of a slide of nuclei, fibres and bare glass, and the amounts of both stains."""
    rng = np.random.default_rng(seed)
    kind = rng.random((size, size))
    amounts = np.zeros((size, size, 2))
    nuclei, fibres = kind > 0.7, (kind > background) & (kind <= 0.7)
    amounts[..., 0] = np.where(nuclei, rng.uniform(0.8, 1.6, kind.shape), 0)
    amounts[..., 1] = np.where(fibres, rng.uniform(0.6, 1.2, kind.shape), 0)
    mixed = rng.random(kind.shape) > 0.6
    amounts[..., 1] += np.where(nuclei & mixed, rng.uniform(0.1, 0.5, kind.shape), 0)
    return lit(amounts, light), amounts


def lit(amounts: np.ndarray, light=240.0) -> np.ndarray:
    return (light * np.exp(-amounts @ TRUE.T) - 1) / 255


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """In degrees."""
    return float(
        np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))
    )


def test_stains_are_found():
    x, _ = slide()
    fitted = nv.METHODS["macenko"]().fit()
    density = -np.log((255 * x.reshape(-1, 3) + 1) / 240)
    found = fitted.method._stains(density)
    assert angle(found[:, 0], TRUE[:, 0]) < 1 and angle(found[:, 1], TRUE[:, 1]) < 1
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1, rtol=1e-9)
    assert angle(TRUE[:, 0], STAINS[:, 0]) > 5  # the reference's are others


def by_the_paper(x: np.ndarray, light=240.0, alpha=1.0, beta=0.15) -> np.ndarray:
    """Macenko et al. 2009 step by step, with an SVD and the geodesic written as there."""
    density = -np.log((255 * x.reshape(-1, 3) + 1) / light)
    tissue = density[np.min(density, axis=1) >= beta]
    plane = np.linalg.svd(np.cov(tissue.T))[0][:, :2]
    if plane[:, 0].sum() < 0:
        plane[:, 0] *= -1
    if plane[:, 1].sum() < 0:
        plane[:, 1] *= -1
    along = tissue @ plane
    phi = np.arctan2(along[:, 1], along[:, 0])
    ends = [np.percentile(phi, alpha), np.percentile(phi, 100 - alpha)]
    pair = [plane @ [np.cos(end), np.sin(end)] for end in ends]
    pair.sort(key=lambda stain: -stain[0])
    amounts = np.linalg.pinv(np.stack(pair, axis=1)) @ density.T
    amounts *= (AMOUNTS / np.percentile(amounts, 99, axis=1))[:, None]
    return (light * np.exp(-STAINS @ amounts) / 255).T.reshape(x.shape)


@pytest.mark.parametrize("parameters", [{}, {"light": 250.0, "alpha": 3.0, "beta": 0.1}])
def test_macenko_is_the_papers_steps(parameters):
    x, _ = slide(parameters.get("light", 240.0), seed=3)
    x = np.clip(x + np.random.default_rng(4).normal(0, 0.01, x.shape), 0, 1)
    fitted = nv.METHODS["macenko"](**parameters).fit()
    np.testing.assert_allclose(fitted.reference(x), by_the_paper(x, **parameters), rtol=1e-7)
    assert np.abs(by_the_paper(x, **parameters) - x).max() > 0.1


def test_slides_of_two_laboratories_become_alike():
    # The same tissue, one stained and lit more weakly: densities times 0.6 and 0.8.
    x, amounts = slide(seed=5)
    weak = lit(amounts * [0.6, 0.8])
    fitted = nv.METHODS["macenko"]().fit()
    np.testing.assert_allclose(fitted.reference(x), fitted.reference(weak), atol=1e-9)
    assert np.abs(x - weak).mean() > 0.05


@pytest.mark.parametrize(
    "x",
    [
        np.full((9, 9, 3), 230, np.uint8),
        np.full((9, 9, 3), (120, 60, 140), np.uint8),
        np.repeat(photo(20, 20, channels=1), 3, axis=2),
    ],
    ids=["bare glass", "flat", "grey"],
)
def test_what_is_no_slide_stays(x):
    fitted = nv.METHODS["macenko"]().fit()
    np.testing.assert_allclose(fitted.reference(x), x / 255, rtol=1e-12)
    np.testing.assert_allclose(fitted(x), x / 255, rtol=1e-6)


def test_one_stain_alone_stays():
    amounts = np.random.default_rng(0).uniform(0.3, 1.5, (30, 30, 1))
    x = lit(amounts * [1, 0])
    np.testing.assert_allclose(nv.METHODS["macenko"]().fit().reference(x), x, rtol=1e-12)


RETINA = load_sample("retina").pixels


def density_of(x: np.ndarray) -> np.ndarray:
    return -np.log((x.reshape(-1, 3) + 1.0) / 240)


class StainTools:
    """staintools' steps as its source has them, in NumPy; the LASSO is solved directly."""

    def tissue(self, x: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(x, cv2.COLOR_RGB2LAB)[..., 0].ravel() / 255 < 0.8

    def density(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(-np.log(np.where(x == 0, 1, x).reshape(-1, 3) / 255), 1e-6)

    def stains(self, x: np.ndarray) -> np.ndarray:
        tissue = self.density(x)[self.tissue(x)]
        plane = np.linalg.eigh(np.cov(tissue, rowvar=False))[1][:, [2, 1]]
        plane = plane * np.where(plane[0] < 0, -1, 1)
        along = tissue @ plane
        ends = np.percentile(np.arctan2(along[:, 1], along[:, 0]), [1, 99])
        pair = sorted((plane @ [np.cos(end), np.sin(end)] for end in ends), key=lambda s: -s[0])
        return np.stack(pair, axis=1)

    def amounts(self, x: np.ndarray, stains: np.ndarray, weight: float = 0.01) -> np.ndarray:
        """argmin ½‖OD − S a‖² + λ Σ a with a ≥ 0: both stains, or the better one alone."""
        pulled = stains.T @ self.density(x).T - weight
        both = np.linalg.solve(stains.T @ stains, pulled)
        # Unit stains: alone, each has its own amount, and takes half its square off the cost.
        alone = np.maximum(pulled, 0)
        alone *= alone >= alone[::-1]
        return np.where((both >= 0).all(axis=0), both, alone)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        amounts = self.amounts(x, stains := self.stains(x))
        assert stains.shape == STAINS.shape
        amounts *= (AMOUNTS / np.percentile(amounts, 99, axis=1))[:, np.newaxis]
        return (255 * np.exp(-STAINS @ amounts)).T.reshape(x.shape).astype(np.uint8)


def said_of(library: str) -> str:
    return dict(nv.METHODS["macenko"].about.libraries)[library]


def test_the_lasso_of_two_stains_is_its_least_cost():
    theirs, x = StainTools(), RETINA[::16, ::16].copy()
    stains, density = theirs.stains(x), theirs.density(x).T
    found = theirs.amounts(x, stains)
    np.testing.assert_allclose(np.linalg.norm(stains, axis=0), 1, rtol=1e-12)
    assert found.min() == 0 and (found > 0).all(axis=0).any()
    # The slope is 0 where an amount is free, and up where it is held at 0.
    slope = stains.T @ (stains @ found - density) + 0.01
    assert slope.min() > -1e-12 and np.abs(slope[found > 0]).max() < 1e-12


def test_staintools_takes_other_steps_by_the_stated_numbers():
    theirs, said = StainTools(), said_of("staintools")
    ours = nv.METHODS["macenko"]().fit()
    density = density_of(RETINA)
    dense = (density >= 0.15).all(axis=1)
    assert theirs.tissue(RETINA).mean() == pytest.approx(0.997, abs=5e-4)
    assert dense.mean() == pytest.approx(0.58, abs=5e-3)
    assert "99.7 % of the photo retina, here 58 %" in said
    levels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 1, 3)
    more = (theirs.density(levels) - density_of(levels))[:, 0]
    np.testing.assert_allclose(more[64:], 0.06, atol=0.02)
    assert more.max() == more[1] == pytest.approx(0.75, abs=5e-3)
    assert "0.06 more than here at bright levels, 0.75 at level 1" in said
    stains, own = theirs.stains(RETINA), ours.method._stains(density)
    away = [angle(stains[:, which], own[:, which]) for which in (0, 1)]
    np.testing.assert_allclose(away, [4, 8], atol=0.5)
    assert "4° and 8° away" in said
    gap = np.abs(255 * ours.reference(RETINA) - theirs(RETINA))
    assert gap.mean() == pytest.approx(3.4, abs=0.05) and gap.max() == pytest.approx(23, abs=0.5)
    assert "3.4 levels on average (23 at the most)" in said


def test_torchstain_and_the_toolbox_differ_by_bytes_alone():
    x, _ = slide(seed=3)
    for pixels in (RETINA, np.rint(255 * x.clip(0, 1)).astype(np.uint8)):
        density = density_of(pixels)
        tissue = density[~(density < 0.15).any(axis=1)]
        # Neither turns the axes, as is done here.
        plane = np.linalg.eigh(np.cov(tissue.T))[1][:, 1:]
        for turned in (plane, -plane):
            along = tissue @ turned
            ends = np.percentile(np.arctan2(along[:, 1], along[:, 0]), [1, 99])
            first, second = (turned @ [np.cos(end), np.sin(end)] for end in ends)
            stains = np.stack((first, second) if first[0] > second[0] else (second, first), axis=1)
            amounts = np.linalg.lstsq(stains, density.T, rcond=None)[0]
            amounts *= (AMOUNTS / np.percentile(amounts, 99, axis=1))[:, np.newaxis]
            levels = np.minimum(240 * np.exp(-STAINS @ amounts), 255).T.reshape(pixels.shape)
            ours = 255 * nv.METHODS["macenko"]().fit().reference(pixels).clip(0, 1)
            cut, rounded = ours - np.floor(levels), np.abs(ours - np.rint(levels))
            assert cut.min() > -1e-9 and 0.99 < cut.max() < 1 + 1e-9
            assert 0.49 < rounded.max() < 0.5 + 1e-9
    said = said_of("torchstain, M. Veta's MATLAB toolbox")
    assert "up to 1 level, 0.004, darker" in said and "the toolbox rounds" in said


def test_reinhard_on_bytes_is_the_definition_and_leaves_what_is_stretched_to_float64():
    rng = np.random.default_rng(3)
    wide = rng.integers(0, 256, (40, 50, 3), np.uint8)
    narrow = rng.integers(100, 120, (40, 50, 3), np.uint8)
    for x, reference, fast in ((wide, narrow, True), (wide, wide, True), (narrow, wide, False)):
        fitted = nv.METHODS["reinhard"]().fit([nv.image_of(reference)])
        assert (fitted.method.on_bytes(x, fitted.constants) is not None) == fast
        expected = fitted.reference(x)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(fitted(x), expected, rtol=1e-5, atol=2e-6 * scale)
    flat = np.full((4, 4, 3), 90, np.uint8)
    fitted = nv.METHODS["reinhard"]().fit([nv.image_of(wide)])
    assert fitted.method.on_bytes(flat, fitted.constants) is None
