"""A visitor's model is run once, apart, and refused in words when it does not fit the limits."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from normviz.errors import LimitError, ReadError
from normviz.networks.apart import apart
from normviz.networks.bundled import FOLDER
from normviz.networks.graph import HintError
from normviz.networks.network import Network
from normviz.networks.onnx_file import open_onnx
from normviz.networks.trial import _once, tried
from normviz.read.limits import Limits
from tests.networks.making import model_of, node, small

MOBILENET = (FOLDER / "mobilenet_v2.onnx").read_bytes()
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")


def test_a_network_that_runs_passes_with_every_layer_tapped():
    for data, name in ((small().SerializeToString(), "small.onnx"), (MOBILENET, "mobilenet.onnx")):
        tried(data, name)
        records = list(apart(_once, data, name, None, None, None, name=name))
        network = Network(open_onnx(data, name), name)
        assert records == [len({network.output, *(layer.tap for layer in network.layers)})]


@LINUX
@pytest.mark.parametrize("megabytes", [20, 60])
def test_one_that_needs_more_memory_is_refused(megabytes):
    with pytest.raises(LimitError, match=r"net\.onnx: the model needs more than .* of memory"):
        tried(MOBILENET, "net.onnx", limits=Limits(max_model_memory_bytes=megabytes * 2**20))


def test_what_cannot_be_opened_or_run_is_said():
    with pytest.raises(ReadError, match="cut off or damaged"):
        tried(MOBILENET[:50_000], "net.onnx")
    open_size = model_of([node("Abs", "x", "y")], shape=("N", 3, "h", "w")).SerializeToString()
    with pytest.raises(HintError, match="images of any size") as said:
        tried(open_size, "net.onnx")
    assert said.value.asks == "size"
    tried(open_size, "net.onnx", size=(16, 16))
    shape = {"shape": np.array([7, 7])}
    fails = model_of([node("Reshape", "x shape", "y")], shape, rank=2).SerializeToString()
    with pytest.raises(ReadError, match=r"net\.onnx: "):
        tried(fails, "net.onnx")
