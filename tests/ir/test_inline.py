"""Functions inlined on request: the same numbers, no function, and weights where they were."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from graphopt.errors import UnsafeModelError
from graphopt.ir.inline import inline_functions
from graphopt.ir.reader import load
from graphopt.ir.storage import Payload
from graphopt.ir.writer import to_proto
from tests.ir.equal import assert_same
from tests.ir.test_roundtrip import WEIGHTS, parse

TEXT = """<ir_version: 10, opset_import: ["": 21, "f": 1], metadata_props: ["k": "v"]>
    g (float[N, 3] x) => (float[N, 3] z) <float[3] w = {1, 2, 3}> { y = f.twice(x) z = f.scaled <by = 3.0> (y, w) }
    <domain: "f", opset_import: ["": 21]> twice (x) => (y) { y = Add(x, x) }
    <domain: "f", opset_import: ["": 21, "f": 1]> scaled <by> (x, w) => (y) {
        c = Constant <value_float: float = @by> () t = f.twice(x) s = Mul(t, c) y = Add(s, w) }"""


def chain(length, calls):
    """Functions f0 ... that each call the next one several times."""
    proto = parse("g (float[3] x) => (float[3] y) { y = f.f0(x) }")
    proto.opset_import.add(domain="f", version=1)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    for index in range(length):
        last = index == length - 1
        nodes = [
            helper.make_node("Neg" if last else f"f{index + 1}", ["x"], [f"t{i}"], domain="" if last else "f")
            for i in range(calls)
        ]
        nodes.append(helper.make_node("Sum", [f"t{i}" for i in range(calls)], ["y"]))
        proto.functions.append(helper.make_function("f", f"f{index}", ["x"], ["y"], nodes, imports))
    return proto


def test_the_same_numbers():
    model = load(onnx.parser.parse_model(TEXT))
    inlined = inline_functions(model)
    assert [node.op for node in inlined.graph.nodes] == ["Add", "Constant", "Add", "Mul", "Add"]
    assert not inlined.functions
    assert len(model.functions) == 2
    assert inlined.metadata == {"k": "v"}
    feeds = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
    before, after = (ReferenceEvaluator(to_proto(m)).run(None, feeds) for m in (model, inlined))
    assert np.array_equal(before[0], after[0])


def test_weights_stay_in_the_file(tmp_path):
    proto = onnx.parser.parse_model(TEXT)
    proto.graph.initializer.append(numpy_helper.from_array(np.arange(5000.0), "large"))
    onnx.save(proto, tmp_path / "m.onnx")
    model = load(tmp_path / "m.onnx")
    model.graph.initializers[0].values = changed = np.zeros((700, 3), np.float32)
    inlined = inline_functions(model)
    assert inlined.path == model.path
    assert inlined.graph.initializers[0].stored is changed
    stored = inlined.graph.initializers[1].stored
    assert isinstance(stored, Payload)
    assert stored is model.graph.initializers[1].stored


def test_nothing_to_do():
    model = load(parse(WEIGHTS))
    assert inline_functions(model) is model


def test_growth_is_measured_before_it_happens():
    with pytest.raises(UnsafeModelError, match=r"would have 2,199,023,255,551 nodes"):
        inline_functions(load(chain(40, 2)))
    assert len(inline_functions(load(chain(5, 2))).graph.nodes) == 63


def test_depth_is_measured_before_it_happens():
    with pytest.raises(UnsafeModelError, match="more than 100 levels deep"):
        inline_functions(load(chain(101, 1)))
    assert len(inline_functions(load(chain(100, 1))).graph.nodes) == 101


def test_functions_with_branches_keep_their_captures():
    text = """<ir_version: 10, opset_import: ["": 21, "f": 1]>
        g (float[3] x, bool c) => (float[3] z) { z = f.pick(x, c) }
        <domain: "f", opset_import: ["": 21]> pick (x, c) => (y) { n = Neg(x)
            y = If(c) <then_branch = a () => (float[3] p) { p = Identity(n) },
                       else_branch = b () => (float[3] q) { q = Identity(x) }> }"""
    inlined = inline_functions(load(onnx.parser.parse_model(text)))
    branch = inlined.graph.nodes[1].attrs["then_branch"]
    assert branch.nodes[0].inputs[0] is inlined.graph.nodes[0].outputs[0]
    assert_same(to_proto(inlined), to_proto(load(to_proto(inlined).SerializeToString())))
