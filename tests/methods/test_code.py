"""The exported code is run, and compared with the method that it was written from."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.errors import ParameterError
from normviz.methods.code import TARGETS
from normviz.samples import load_sample


@pytest.fixture(scope="module")
def stats():
    return nv.scan([load_sample(key) for key in ("forest_day", "coffee")], mean_image=16)


@pytest.mark.parametrize("key", nv.METHODS)
def test_numpy_code_gives_the_same_result(key, stats, tmp_path, monkeypatch):
    fitted = nv.METHODS[key]().fit(stats)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.json").write_text(fitted.to_json())
    scope: dict = {}
    exec(fitted.code("numpy"), scope)
    for name in ("forest_day", "coffee"):
        pixels = load_sample(name).pixels
        done = scope["normalize"](pixels)
        assert done.dtype == np.float32
        ours = fitted(pixels)
        np.testing.assert_allclose(done, ours, rtol=1e-5, atol=1e-6 * np.abs(ours).max())


@pytest.mark.parametrize("key", nv.METHODS)
def test_targets_are_those_that_code_writes(key, stats):
    fitted = nv.METHODS[key]().fit(stats)
    targets = fitted.code_targets()
    assert "numpy" in targets
    for target in TARGETS:
        if target in targets:
            assert "normalize" in fitted.code(target)
        else:
            with pytest.raises(ParameterError, match="has no code for"):
                fitted.code(target)


def test_bgr_preset_says_how_to_turn_the_channels():
    assert "takes BGR" in nv.METHODS["published"](preset="vgg").fit().code("torchvision")
    assert "BGR" not in nv.METHODS["published"](preset="imagenet").fit().code("torchvision")


def test_constants_stand_in_the_library_code():
    code = nv.METHODS["published"](preset="imagenet").fit().code("torchvision")
    assert "mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]" in code
