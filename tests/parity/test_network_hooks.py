"""The recorder beside forward hooks of PyTorch: MobileNetV2 on photos, every BatchNorm's output."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

import normviz as nv
from normviz.networks import centre_view, mobilenet_v2_network
from normviz.observe.network import Feed, record_network
from normviz.observe.recorder import PERCENTILES
from tests.methods.test_code_in_libraries import torchvision_runs
from tests.parity.case import photos

WITHIN = 1e-4
"""Relative. A mean lies near 0 by chance: it is compared as a share of the channel's std."""

ROUNDING = 4e-6
"""Of float32, as a share of a channel's largest number."""


def fed() -> list[np.ndarray]:
    method = nv.METHODS["published"]().fit()
    return [method(centre_view(photo, 224, 224)) for photo in photos()]


@pytest.fixture(scope="module")
def hooked():
    """All outputs of each BatchNorm2d in order, and of the classifier, on the three photos."""
    torch, torchvision = torchvision_runs()
    network = torchvision.models.mobilenet_v2(weights=None).eval()
    stored = {
        tensor.name.removesuffix(".float16"): numpy_helper.to_array(tensor)
        for tensor in mobilenet_v2_network().graph.model.graph.initializer
    }
    state = network.state_dict()
    for name in state:
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.from_numpy(stored[name].astype(np.float32))
    network.load_state_dict(state)
    found: list[list[np.ndarray]] = []
    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for number, norm in enumerate([*norms, network.classifier[1]]):
        found.append([])
        norm.register_forward_hook(
            lambda _, __, out, number=number: found[number].append(out.numpy().copy())
        )
    with torch.inference_mode():
        for image in fed():
            network(torch.from_numpy(image.transpose(2, 0, 1)[np.newaxis].copy()))
    return [np.concatenate(arrays).astype(np.float64) for arrays in found]


@pytest.fixture(scope="module")
def record():
    images = fed()
    *_, last = record_network(
        mobilenet_v2_network(), [Feed("photos", len(images), lambda i: images[i])]
    )
    return last


def test_every_channel_of_all_52_batch_norms_agrees(hooked, record):
    assert len(hooked) == len(record.layers) == 53
    for theirs, ours in zip(hooked[:52], record.layers[:52], strict=True):
        rows = theirs.transpose(1, 0, 2, 3).reshape(theirs.shape[1], -1)
        std, largest = rows.std(axis=1), np.abs(rows).max(axis=1)
        assert ours.units == rows.shape[1]
        # Channels that hardly vary differ by the rounding of the networks themselves.
        std_within = WITHIN * std + ROUNDING * largest
        assert (np.abs(ours.std - std) <= std_within).all()
        assert (np.abs(ours.mean - rows.mean(axis=1)) <= std_within).all()
        assert (np.abs(ours.low - rows.min(axis=1)) <= WITHIN * largest).all()
        assert (np.abs(ours.high - rows.max(axis=1)) <= WITHIN * largest).all()
        # A unit at 0 but for rounding may fall to either side; one unit of 49 · 3 is much.
        near = np.abs(rows) < WITHIN * largest[:, np.newaxis]
        fires = np.abs(ours.firing - (rows > 0).sum(axis=1))
        assert (fires <= near.sum(axis=1)).all() and fires.sum() <= WITHIN * rows.size
        if ours.saturated is not None:
            beyond = (rows >= 6).sum()
            assert abs(int(ours.saturated.sum()) - int(beyond)) <= WITHIN * rows.size


def test_percentiles_of_the_layers_agree(hooked, record):
    for theirs, ours in zip(hooked[:52], record.layers[:52], strict=True):
        off = np.abs(ours.percentiles() - np.percentile(theirs, PERCENTILES))
        units = [np.percentile(theirs, PERCENTILES, method=way) for way in ("lower", "higher")]
        assert (off <= WITHIN * np.abs(units).max(axis=0) + WITHIN * theirs.std()).all()


def test_predictions_agree(hooked, record):
    logits = hooked[52]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    for prediction, row in zip(record.predictions, shares, strict=True):
        assert prediction.classes == tuple(np.argsort(-row)[:5])
        np.testing.assert_allclose(prediction.probabilities, np.sort(row)[:-6:-1], rtol=1e-3)
