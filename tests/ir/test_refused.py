"""Files that are no models, and models that contradict themselves: one clear sentence each."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from graphopt.errors import ModelError, UnsafeModelError
from graphopt.ir import wire
from graphopt.ir.reader import load
from tests.ir.test_roundtrip import RELU, WEIGHTS, TestSubgraphs, parse


def torch_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}q\0.")
        archive.writestr("model/version", b"3\n")


def keras_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", b"{}")
        archive.writestr("config.json", b"{}")


def onnx_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.onnx", parse(RELU).SerializeToString())


def safetensors(path):
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))


def saved_model_pb(path):
    meta = wire.record(1, wire.record(4, b"serve") + wire.record(5, b"2.15.0"))
    path.write_bytes(b"\x08\x01" + wire.record(2, meta + wire.record(2, bytes(500))))


def graph_def(path):
    node = wire.record(1, b"input") + wire.record(2, b"Placeholder")
    path.write_bytes(wire.record(1, node) * 3)


def content(data):
    return lambda path: path.write_bytes(data)


FOREIGN = {
    "missing": (lambda _: None, "there is no such file"),
    "empty": (content(b""), "the file is empty"),
    "one byte": (content(b"\x08"), "no ONNX model"),
    "text": (content(b"hello, world\n" * 3), "but text"),
    "binary": (content(bytes(range(256)) * 9), "no ONNX model: the file is damaged"),
    "HTML": (content(b"<!DOCTYPE html><html><body>404</body></html>"), "a web page"),
    "JSON": (content(b'{"model": 1}'), "JSON"),
    "Git LFS": (content(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"), "git lfs pull"),
    "PyTorch": (torch_zip, r"torch\.onnx\.export"),
    "pickle": (content(pickle.dumps({"a": 1}, 2)), r"torch\.onnx\.export"),
    "Keras": (keras_zip, "in Keras"),
    "HDF5": (content(b"\x89HDF\r\n\x1a\n" + bytes(100)), "in Keras"),
    "TFLite": (content(b"\x1c\0\0\0TFL3" + bytes(100)), r"tf2onnx\.convert --tflite"),
    "SavedModel": (saved_model_pb, r"tf2onnx\.convert --saved-model"),
    "GraphDef": (graph_def, r"tf2onnx\.convert --graphdef"),
    "safetensors": (safetensors, "a safetensors file"),
    "zip": (onnx_zip, "unpack it"),
    "gzip": (content(gzip.compress(b"model")), "gunzip"),
    "truncated": (content(parse(WEIGHTS).SerializeToString()[:-9]), "truncated"),
    "only weights": (content(numpy_helper.from_array(np.zeros(9)).SerializeToString()), "no ONNX model"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(kind, tmp_path):
    make, message = FOREIGN[kind]
    path = tmp_path / "m.onnx"
    make(path)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_folders(tmp_path):
    with pytest.raises(ModelError, match="this is not an ONNX model but a folder"):
        load(tmp_path)
    (tmp_path / "inside.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"such as .*inside\.onnx"):
        load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match=r"SavedModel.*tf2onnx"):
        load(tmp_path)


def test_pipes_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="no regular file"):
        load(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(parse(RELU), path)
    path.chmod(0)
    with pytest.raises(ModelError, match="cannot be read: Permission denied"):
        load(path)


def without(field):
    proto = parse(WEIGHTS)
    proto.ClearField(field)
    return proto


def changed(change, text=WEIGHTS):
    proto = parse(text)
    change(proto)
    return proto


def of_shape(*dims, code=TensorProto.FLOAT, raw=b""):
    return changed(
        lambda proto: proto.graph.initializer.append(TensorProto(name="h", dims=dims, data_type=code, raw_data=raw))
    )


def call(callers):
    """A model with functions that call each other as said."""
    proto = parse("g (float[N] x) => (float[N] y) { y = f.a(x) }")
    proto.opset_import.add(domain="f", version=1)
    for name, callees in callers:
        nodes = [helper.make_node(callee, ["x"], [f"y{i}"], domain="f") for i, callee in enumerate(callees)]
        nodes.append(helper.make_node("Neg", ["x"], ["y"]))
        proto.functions.append(
            helper.make_function(
                "f", name, ["x"], ["y"], nodes, [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
            )
        )
    return proto


def sparse(values, indices, dims):
    proto = parse(WEIGHTS)
    proto.graph.sparse_initializer.add(
        values=numpy_helper.from_array(np.array(values, np.float32), "s"),
        indices=numpy_helper.from_array(np.array(indices)),
        dims=dims,
    )
    return proto


CONTRADICTIONS = {
    "opset of the future": (
        parse(RELU, opset=999),
        rf"operator set 999 of ai\.onnx, newer than the {onnx.defs.onnx_opset_version()} that",
    ),
    "no opset": (without("opset_import"), "does not say which operator sets"),
    "opset zero": (parse(RELU, opset=0), "version 0 of the operator set 'ai.onnx' cannot be"),
    "two opsets": (
        changed(lambda proto: proto.opset_import.add(domain="ai.onnx", version=3)),
        "two versions of the operator set 'ai.onnx': 21 and 3",
    ),
    "undefined input": (
        changed(lambda proto: proto.graph.node[1].input.append("nowhere")),
        r"node 'y' \('Mul'\): its input 'nowhere' is not defined",
    ),
    "undefined output": (
        changed(lambda proto: proto.graph.output.add(name="nowhere")),
        "the output 'nowhere' of graph 'g' is not defined",
    ),
    "two producers": (changed(lambda proto: proto.graph.node[1].output.append("t")), "tensor 't' is defined twice"),
    "output twice in a node": (
        changed(lambda proto: proto.graph.node[1].output.append("y")),
        "tensor 'y' is defined twice",
    ),
    "output named like an input": (
        changed(lambda proto: proto.graph.node[1].output.append("x")),
        "tensor 'x' is defined twice",
    ),
    "output named like a weight": (
        changed(lambda proto: proto.graph.node[1].output.append("w")),
        "tensor 'w' is defined twice",
    ),
    "two inputs": (changed(lambda proto: proto.graph.input.add(name="x")), "input 'x' is defined twice"),
    "two weights": (
        changed(lambda proto: proto.graph.initializer.append(proto.graph.initializer[0])),
        "initializer 'w' is defined twice",
    ),
    "input without a name": (changed(lambda proto: proto.graph.input.add()), "an input has no name"),
    "weight without a name": (
        changed(lambda proto: proto.graph.initializer[0].ClearField("name")),
        "an initializer has no name",
    ),
    "two attributes": (
        changed(lambda proto: [proto.graph.node[0].attribute.add(name="a", i=1, type=2) for _ in range(2)]),
        "two attributes of the same name",
    ),
    "cycle": (
        parse("g (float[3] x) => (float[3] y) { a = Add(x, c) b = Neg(a) c = Abs(b) y = Neg(x) }"),
        "graph 'g' has a cycle: node .* lies on a cycle",
    ),
    "cycle of one": (parse("g (float[3] x) => (float[3] y) { y = Add(x, y) }"), "graph 'g' has a cycle"),
    "cycle through a branch": (
        parse("""g (float[3] x, bool c) => (float[3] y) {
            y = If(c) <then_branch = a () => (float[3] p) { p = Neg(q) },
                       else_branch = b () => (float[3] r) { r = Neg(x) }>
            q = Neg(y) }"""),
        "graph 'g' has a cycle",
    ),
    "branch reading its own result": (
        parse("""g (float[3] x, bool c) => (float[3] y) {
            y = If(c) <then_branch = a () => (float[3] p) { p = Neg(y) },
                       else_branch = b () => (float[3] r) { r = Neg(x) }> }"""),
        "graph 'g' has a cycle",
    ),
    "scope of another branch": (
        parse("""g (float[3] x, bool c) => (float[3] y) {
            y = If(c) <then_branch = a () => (float[3] p) { p = Neg(x) },
                       else_branch = b () => (float[3] r) { r = Neg(p) }> }"""),
        "its input 'p' is not defined",
    ),
    "huge": (of_shape(2**62, 2**62), r"tensor 'h': no machine holds its shape \[4611686018427387904, 46"),
    "huge but one": (of_shape(2**62), "needs 18,446,744,073,709,551,616 bytes, it has 0|no machine holds"),
    "empty but huge": (of_shape(0, 2**62), "no machine holds its shape"),
    "negative": (of_shape(-1, raw=bytes(4)), "its shape .-1. has a negative dimension"),
    "many dimensions": (of_shape(*[1] * 65, raw=bytes(4)), "it has 65 dimensions"),
    "dtype of the future": (of_shape(1, code=99, raw=bytes(4)), "element type 99 does not exist"),
    "no dtype": (of_shape(1, code=0, raw=bytes(4)), "element type 0 does not exist"),
    "no values": (of_shape(3), "needs 3|needs 12 bytes"),
    "segment": (
        changed(lambda proto: proto.graph.initializer[0].segment.SetInParent()),
        "one segment of a larger tensor",
    ),
    "declared dtype of the future": (
        changed(lambda proto: setattr(proto.graph.input[0].type.tensor_type, "elem_type", 77)),
        "tensor 'x': element type 77 does not exist",
    ),
    "function calling itself": (call([("a", "a")]), "the function 'f::a' calls itself"),
    "functions calling each other": (call([("a", "b"), ("b", "c"), ("c", "b")]), "the function 'f::b' calls itself"),
    "two functions": (call([("a", ""), ("a", "")]), "the function 'f::a' is defined twice"),
    "sparse indices": (sparse([1, 2], [0], [5]), r"values of shape \[2\] do not go with int64 indices of shape \[1\]"),
    "sparse rank": (sparse([1], [[0, 0, 0]], [5, 5]), "do not go with"),
    "sparse negative": (sparse([1], [0], [-5]), "negative dimension"),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_contradictions(kind):
    proto, message = CONTRADICTIONS[kind]
    for source in (proto, proto.SerializeToString()):
        with pytest.raises(ModelError, match=message):
            load(source)


def test_sparse_values_outside_their_tensor():
    for indices in ([9], [-1], [[9]], [[-1]]):
        constant = load(sparse([1], indices, [5])).graph.initializers[-1]
        with pytest.raises(ModelError, match="index outside it"):
            _ = constant.values


def test_sparse_tensors_do_not_explode():
    constant = load(sparse([1], [0], [2**20, 2**20])).graph.initializers[-1]
    with pytest.raises(UnsafeModelError, match="4,398,046,511,104 bytes when dense"):
        _ = constant.values


@pytest.mark.parametrize("levels", [31, 40, 10_000])
def test_deep_nesting(levels):
    graph = parse("inner () => (float[3] q) { q = Neg(x) }").graph.SerializeToString()
    for _ in range(levels):
        node = helper.make_node("If", ["c"], ["y"]).SerializeToString()
        graph = wire.record(1, node + wire.record(5, wire.record(6, graph) + wire.record(1, b"then_branch")))
    proto = parse("g (float[3] x, bool c) => (float[3] x) { }")
    content = proto.SerializeToString() + wire.record(7, graph)
    if levels == 31:
        assert load(content).graph.nodes[0].op == "If"
    else:
        with pytest.raises(ModelError, match="nests graphs deeper"):
            load(content)


TEXTS = """<ir_version: 10, opset_import: ["": 21, "domn": 1], producer_name: "prod", metadata_props: ["keyy": "valu"]>
    grph (float[batc] inpt) => (float[batc] outp) <float wght = {1}> { midl = oper <attr = 1> (inpt) outp = Neg(midl) }
    <domain: "domn", opset_import: ["": 21]> func (x) => (y) { y = Neg(x) }"""


@pytest.mark.parametrize(
    "name", ["domn", "prod", "keyy", "valu", "grph", "batc", "inpt", "outp", "wght", "midl", "oper", "attr", "func"]
)
def test_names_that_are_no_text(name):
    content = onnx.parser.parse_model(TEXTS).SerializeToString()
    assert load(content).graph.nodes[0].op == "oper"
    with pytest.raises(ModelError, match=r"the text b'.*\\xff.*' in it is not valid UTF-8"):
        load(content.replace(name.encode(), name[:2].encode() + b"\xff" + name[3:].encode()))


PLACES = {
    "an operator in a function": lambda m: (m.functions[0].node[0], "op_type"),
    "the doc string of a function": lambda m: (m.functions[0], "doc_string"),
    "the doc string of an attribute": lambda m: (m.graph.node[0].attribute[0], "doc_string"),
    "the doc string of an input": lambda m: (m.graph.input[0], "doc_string"),
    "what an input stands for": lambda m: (m.graph.input[0].type, "denotation"),
    "a type as an attribute": lambda m: (m.graph.node[0].attribute.add(name="t", type=13).tp, "denotation"),
    "a device": lambda m: (m.graph.node[0].device_configurations.add(), "configuration_id"),
    "a quantisation annotation": lambda m: (m.graph.quantization_annotation.add(), "tensor_name"),
    "the initialisation of a training": lambda m: (m.training_info.add().initialization, "name"),
}


@pytest.mark.parametrize("place", PLACES)
def test_texts_that_are_no_text(place):
    proto = onnx.parser.parse_model(TEXTS)
    message, field = PLACES[place](proto)
    setattr(message, field, "somewhere")
    assert load(proto.SerializeToString()).graph.nodes[0].op == "oper"
    with pytest.raises(ModelError, match=r"the text b'some\\xffhere' in it is not valid UTF-8"):
        load(proto.SerializeToString().replace(b"somewhere", b"some\xffhere"))


def test_names_are_shown_escaped():
    proto = parse(RELU)
    proto.graph.node[0].input[0] = "\x1b[31m\n" + "x" * 1000
    with pytest.raises(ModelError, match=r"'\\x1b\[31m\\nx+\.\.\.x+'") as caught:
        load(proto)
    assert len(str(caught.value)) < 300


def test_external_data_needs_a_path():
    proto = parse(WEIGHTS)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    with pytest.raises(ModelError, match=r"tensor 'w': .*load the model from its path"):
        load(proto)


SEED = changed(
    lambda proto: proto.graph.initializer.append(numpy_helper.from_array(np.zeros(2000, np.float32), "large")),
    TestSubgraphs.TEXT,
).SerializeToString()


@settings(max_examples=300)
@given(st.data())
def test_corruption_is_read_or_refused(data):
    content = bytearray(SEED)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "repeat", "remove"])):
            case "flip":
                content[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del content[max(at, 1) :]
            case "repeat":
                content[at:at] = content[at : at + data.draw(st.integers(1, 40))]
            case "remove":
                if len(content) > 100:
                    del content[at : at + data.draw(st.integers(1, 40))]
    try:
        model = load(bytes(content))
    except ModelError:
        return
    assert model.to_proto().ir_version == model.ir_version
