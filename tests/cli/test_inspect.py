"""`graphopt inspect`: sizes, interface, cost, and what passes would find."""

from __future__ import annotations

import json

import onnx
from onnx import TensorProto, helper

from tests.cli.conftest import PLUGIN, ROOT, process, run
from tests.support import proto

DIGITS = ROOT / "models" / "digits.onnx"


def test_the_numbers_of_a_network(here):
    record = json.loads(run("inspect", DIGITS, "--no-passes", "--json").stdout)
    nodes = onnx.load(DIGITS).graph.node
    conv = next(row for row in record["operators"] if row["name"] == "Conv")
    assert record["nodes"] == len(nodes)
    assert conv["count"] == sum(node.op_type == "Conv" for node in nodes)
    (image,) = record["inputs"]
    assert (image["name"], image["kind"]) == ("image", "float[batch, 1, 8, 8]")
    assert (image["dtype"], image["shape"], image["default"]) == ("float", ["batch", 1, 8, 8], False)
    assert record["dimensions"] == {"batch": 1}
    assert record["findings"] is None


def test_multiply_adds_grow_with_a_dimension(here):
    one, eight = (
        json.loads(run("inspect", DIGITS, "--no-passes", "--json", "--dim", f"batch={n}").stdout) for n in (1, 8)
    )
    assert eight["macs"] == 8 * one["macs"]
    assert eight["parameters"] == one["parameters"]


def test_the_text_has_the_same_numbers(here):
    result = run("inspect", DIGITS, "--no-passes")
    record = json.loads(run("inspect", DIGITS, "--no-passes", "--json").stdout)
    assert result.exit_code == 0
    assert f"{record['parameters']:,}" in result.stdout
    assert "float[batch, 1, 8, 8]" in result.stdout


def test_what_passes_would_find(model):
    result = run("inspect", model, *PLUGIN, "--passes", "planted")
    assert "7 -> 12 nodes" in result.stdout
    assert "relu_twice 1" in result.stdout
    assert "wrong_sigmoid 2" in result.stdout  # nothing is verified here
    findings = json.loads(run("inspect", model, *PLUGIN, "--passes", "right", "--json").stdout)["findings"]
    assert findings["hits"] == {"relu_twice": 1}
    assert findings["problem"] == ""


def test_the_model_is_not_touched(model, here):
    before = (here / model).read_bytes()
    run("inspect", model, *PLUGIN, "--passes", "planted")
    assert (here / model).read_bytes() == before
    assert [path.name for path in here.iterdir()] == ["model.onnx"]


def test_subgraphs_functions_metadata_and_defaults(here):
    text = """
    <ir_version: 10, opset_import: ["" : 21, "local" : 1]>
    agraph (bool c, float[n, 4] x, float[4] w) => (float[n, 4] y)
    <float[4] w = {1, 2, 3, 4}>
    {
        z = local.twice(x)
        y = If(c) <then_branch = yes () => (float[n, 4] a) { a = Add(z, w) },
                   else_branch = no () => (float[n, 4] b) { b = Identity(z) }>
    }
    <domain: "local", opset_import: ["" : 21]>
    twice (x) => (y) { y = Add(x, x) }
    """
    message = proto(text)
    message.metadata_props.add(key="author", value="somebody")
    onnx.save(message, "m.onnx")
    record = json.loads(run("inspect", "m.onnx", "--no-passes", "--json").stdout)
    assert (record["nodes"], record["all_nodes"], record["subgraphs"]) == (2, 4, 2)
    assert record["functions"] == {"local::twice": 1}
    assert record["metadata"] == {"author": "somebody"}
    assert [port["default"] for port in record["inputs"]] == [False, False, True]
    assert record["opsets"] == {"": 21, "local": 1}
    text = run("inspect", "m.onnx", "--no-passes").stdout
    assert "float[4], has a default" in text
    assert "local::twice (1 node)" in text


def test_types_that_are_no_tensors(here):
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, "n"])
    kinds = {
        "sequence(float[2, n])": helper.make_sequence_type_proto(tensor),
        "optional(float[2, n])": helper.make_optional_type_proto(tensor),
        "map(string, float[2, n])": helper.make_map_type_proto(TensorProto.STRING, tensor),
    }
    for text, kind in kinds.items():
        value = helper.make_value_info("x", kind)
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
        graph.output.add().CopyFrom(value)
        graph.output[0].name = "y"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), "m.onnx")
        record = json.loads(run("inspect", "m.onnx", "--no-passes", "--json").stdout)
        assert record["inputs"][0]["kind"] == text


def test_a_target_is_told_what_it_lacks(written):
    model = written("agraph (float[2] x) => (float[2] y) { a = Asin(x) y = Relu(a) }")
    shown = run("inspect", model, "--target", "cuda", "--no-passes").stdout
    assert "The target cuda does not run Asin: 1 node" in shown
    assert "has a kernel for every node" in run("inspect", model, "--target", "cpu", "--no-passes").stdout


def test_an_unknown_target_is_a_usage_error(written):
    model = written("agraph (float[2] x) => (float[2] y) { y = Relu(x) }")
    for command in (["inspect"], ["why", "--rule", "gelu"], ["optimize", "-o", "out.onnx"]):
        result = process(*command, model, "--target", "tpu")
        assert (result.returncode, "there are: ort, cpu, cuda, portable" in result.stderr) == (2, True)
