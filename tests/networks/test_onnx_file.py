"""Opening ONNX files: what is taken, and the sentence for everything that is not."""

from __future__ import annotations

import os
import pickle

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from normviz.errors import LimitError, NormvizError, ReadError
from normviz.networks import load
from normviz.networks.onnx_file import open_onnx
from normviz.read.limits import Limits
from tests.networks.making import filters, model_of, node, small, written

MODEL = written(small())
SAFETENSORS = (20).to_bytes(8, "little") + b'{"a":{"dtype":"F32"}}'


def refused(source, name: str = "net.onnx", **more) -> str:
    with pytest.raises(ReadError) as caught:
        open_onnx(source, name, **more)
    return str(caught.value)


def test_bytes_and_path_give_the_model_that_was_written(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(MODEL)
    for source in (MODEL, path, str(path)):
        model = open_onnx(source)
        assert [n.op_type for n in model.graph.node][:3] == ["Conv", "BatchNormalization", "Relu"]
        assert model == small()


@pytest.mark.parametrize(
    ("data", "name", "reason", "remedy"),
    [
        (b"", "net.onnx", "the file is empty", "Upload it again"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "cat.png", "this is no ONNX model", "as ONNX"),
        (b"hello, I am text", "note.txt", "this is no ONNX model", "as ONNX"),
        (b"PK\x03\x04" + bytes(40), "net.pth", "a zip, as PyTorch saves", "torch.onnx.export"),
        (b"PK\x03\x04" + bytes(40), "net.keras", "a Keras model", "model.export"),
        (pickle.dumps({}, 2), "net.pt", "a pickle", "PRESERVE"),
        (pickle.dumps({}, 3), "net.pt", "could run code", "do_constant_folding=False"),
        (pickle.dumps({}, 4), "net.pt", "a pickle", "torch.onnx.export"),
        (b"\x89HDF\r\n\x1a\n", "net.h5", "HDF5, as Keras", "tf2onnx"),
        (b"\x1c\0\0\0TFL3" + bytes(20), "net.tflite", "TensorFlow Lite", "--tflite"),
        (b"\x1c\0\0\0ORTM" + bytes(20), "net.ort", "ONNX Runtime's own", ".onnx file"),
        (SAFETENSORS, "net.bin", "weights alone", "torch.onnx.export"),
        (b"anything", "net.safetensors", "weights alone", "torch.onnx.export"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "net.onnx", "Git LFS", "git lfs pull"),
    ],
)
def test_other_formats_are_named_and_told_how_to_export(data, name, reason, remedy):
    said = refused(data, name)
    assert said.startswith(f"{name}: ")
    assert reason in said and remedy in said


def test_what_the_remedy_keeps_apart_is_said():
    assert "BatchNorm apart from the convolutions" in refused(b"PK\x03\x04", "net.pth")


@pytest.mark.parametrize("cut", [*range(1, len(MODEL), 37), len(MODEL) - 1])
def test_a_truncated_file_is_refused(cut):
    said = refused(MODEL[:cut])
    assert said.startswith("net.onnx: ")
    if cut > 16:
        assert f"cut off or damaged: its {cut} bytes" in said


def test_a_file_cut_behind_its_graph_is_refused():
    # What is left can be read, and lacks only the version of the operators.
    model = small()
    del model.opset_import[:]
    assert MODEL.startswith(written(model))
    assert "cut off or damaged" in refused(written(model))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_in_words(data):
    assert refused(data).startswith("net.onnx: ")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, len(MODEL) - 1), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_damaged_bytes_open_or_are_refused_in_words(changes):
    data = bytearray(MODEL)
    for place, value in changes:
        data[place] = value
    try:
        network = load(bytes(data), "net.onnx")
        sides = (network.input.height, network.input.width, network.input.channels)
        assert len(network.layers) <= 3
        network.run(np.zeros((1, *sides), np.float32), [network.output])
    except NormvizError as error:
        assert len(str(error)) > 20


def test_a_model_above_the_limit_is_never_read(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 3 * 2**30)  # Holes: no disk is used.
    with pytest.raises(LimitError, match=r"huge.onnx: the model has 3 GB, the limit is 512 MB"):
        open_onnx(path)
    with pytest.raises(LimitError, match="NORMVIZ_MAX_BYTES_PER_MODEL"):
        open_onnx(MODEL, limits=Limits(max_bytes_per_model=len(MODEL) - 1))
    assert open_onnx(MODEL, limits=Limits(max_bytes_per_model=len(MODEL))) == small()


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "net.onnx: No such file" in refused(tmp_path / "net.onnx", "")
    assert "Is a directory" in refused(tmp_path, "")


def test_custom_operators_are_listed():
    model = model_of(
        [node("FusedConv", "x", "a"), node("Attention", "a", "b", domain="com.microsoft")],
        domains={"com.microsoft": 1},
    )
    model.graph.node[0].domain = "my.own"
    said = refused(written(model))
    assert "not of the ONNX standard: com.microsoft.Attention, my.own.FusedConv" in said


def branch(output: str, *nodes):
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), "branch", [], [value])


def test_a_custom_operator_inside_a_branch_is_found():
    model = model_of(
        [
            node(
                "If",
                "c",
                "y",
                then_branch=branch("t", helper.make_node("Odd", ["x"], ["t"], domain="my.own")),
                else_branch=branch("e", helper.make_node("Relu", ["x"], ["e"])),
            )
        ],
        {"c": np.array(True)},
    )
    assert "my.own.Odd" in refused(written(model))


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_recurrent_networks_are_refused(operator):
    model = model_of([helper.make_node(operator, ["x", "w", "r"], ["y"], hidden_size=2)])
    assert f"recurrent or has a loop ({operator})" in refused(written(model))


def test_loops_are_refused():
    body = branch("o", helper.make_node("Relu", ["x"], ["o"]))
    model = model_of([helper.make_node("Loop", ["", "c"], ["y"], body=body)])
    assert "has a loop (Loop)" in refused(written(model))


def test_a_graph_without_operators_or_outputs_is_refused():
    model = small()
    del model.graph.node[:]
    assert "has no operators" in refused(written(model))
    model = small()
    del model.graph.output[:]
    assert "has no output" in refused(written(model))


def test_what_the_checker_refuses_is_said_in_one_line():
    model = small()
    model.graph.node[2].input[0] = "nobody"
    said = refused(written(model))
    assert "not valid ONNX" in said and "\n" not in said


def double(name: str, *calls: str):
    """A function that calls others (or Relu) one after the other."""
    nodes, at = [], "i"
    for number, call in enumerate(calls):
        out = "o" if number == len(calls) - 1 else f"m{number}"
        domain = "" if call == "Relu" else "own"
        nodes.append(helper.make_node(call, [at], [out], domain=domain))
        at = out
    return helper.make_function(
        "own",
        name,
        ["i"],
        ["o"],
        nodes,
        [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
    )


def calling(name: str, functions) -> bytes:
    nodes = [helper.make_node(name, ["x"], ["y"], domain="own")]
    return written(model_of(nodes, domains={"own": 1}, functions=functions))


def test_functions_are_written_out():
    model = open_onnx(calling("B", [double("A", "Relu", "Relu"), double("B", "A", "A", "Relu")]))
    assert [n.op_type for n in model.graph.node] == ["Relu"] * 5


def test_functions_that_grow_beyond_bounds_are_refused():
    many = [double("F0", "Relu", "Relu")]
    many += [double(f"F{i}", f"F{i - 1}", f"F{i - 1}") for i in range(1, 40)]
    assert "to more than 100,000 operators" in refused(calling("F39", many))
    assert "without end" in refused(calling("A", [double("A", "A", "Relu")]))
    chain = [double("F0", "Relu")] + [double(f"F{i}", f"F{i - 1}") for i in range(1, 3000)]
    assert "without end" in refused(calling("F2999", chain))


@pytest.fixture
def outside(tmp_path):
    """A model whose filters lie in weights.bin beside it."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "net.onnx"
    model = model_of([node("Conv", "x w", "y")], {"w": filters()})
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def relocated(path, **entries) -> None:
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    kept = {item.key: item.value for item in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in kept.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(written(model))


def test_weights_beside_the_file_are_read(outside):
    stored = open_onnx(outside).graph.initializer[0]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(stored), filters())


def test_weights_in_another_file_are_missed(outside):
    assert "its weights lie in another file (weights.bin). Save it as one" in refused(
        outside.read_bytes()
    )
    (outside.parent / "weights.bin").unlink()
    said = refused(outside)
    assert "(weights.bin), which is not beside it" in said and "Put it there" in said


@pytest.mark.parametrize("place", ["../secret.bin", "absolute", "link.bin", "", ".", "model/../.."])
def test_weights_outside_of_the_folder_are_never_read(outside, place):
    secret = outside.parent.parent / "secret.bin"
    secret.write_bytes(filters().tobytes())
    (outside.parent / "link.bin").symlink_to(secret)
    relocated(outside, location=str(secret) if place == "absolute" else place)
    assert "which is not beside it" in refused(outside)


@pytest.mark.parametrize(
    "entries",
    [{"length": "9999"}, {"offset": "400"}, {"offset": "-8"}, {"length": "x"}, {"offset": "x"}],
)
def test_weights_that_do_not_fill_their_shape_are_refused(outside, entries):
    relocated(outside, **entries)
    with pytest.raises(ReadError) as caught:
        load(outside).layers  # noqa: B018
    assert str(caught.value).startswith("net.onnx: ")


def test_the_same_outside_bytes_used_often_count_each_time(outside):
    model = onnx.load(outside, load_external_data=False)
    for number in range(9):
        again = model.graph.initializer.add()
        again.CopyFrom(model.graph.initializer[0])
        again.name = f"w{number}"
    outside.write_bytes(written(model))
    size = max(len(written(model)), 10 * filters().nbytes)
    assert open_onnx(outside, limits=Limits(max_bytes_per_model=size)).graph.name == "tiny"
    with pytest.raises(LimitError, match="the model has"):
        open_onnx(outside, limits=Limits(max_bytes_per_model=10 * filters().nbytes - 1))
