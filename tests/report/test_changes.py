"""What became of the nodes of a model, by what new nodes say of themselves and by what they compute."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

from graphopt.ir.reader import load
from graphopt.report.changes import State, changes
from graphopt.report.changes_text import layout
from graphopt.report.marked import DOMAIN, GONE, marked
from graphopt.report.style import plain
from passes.fuse import FUSE
from tests.support import apply, proto

CHAIN = """<ir_version: {ir}, opset_import: ["" : 21]>
agraph (float[n, 2, 6, 6] x) => (float[n, 3, 4, 4] y) {{
    [conv] c = Conv <kernel_shape = [3, 3]> (x, w)
    [norm] b = BatchNormalization (c, s, t, m, v)
    [last] y = Relu (b)
}}"""
WEIGHTS = {"w": (3, 2, 3, 3), "s": (3,), "t": (3,), "m": (3,), "v": [1.0, 2.0, 3.0]}


def weights():
    return {name: np.float32(value) if isinstance(value, list) else value for name, value in WEIGHTS.items()}


def pair(ir):
    """A model before and after its fusion, as files of an IR version have them."""
    text = CHAIN.format(ir=ir)
    result = apply(FUSE, text, weights())
    return load(result.model.to_proto()), load(proto(text, weights()))


def states(record):
    return {(one.name, one.operator): one.state.value for one in record.nodes}


@pytest.mark.parametrize(("ir", "rule"), [(10, "conv_batchnorm"), (8, "")], ids=["told", "computed"])
def test_a_fused_node_stands_for_those_it_was_made_of(ir, rule):
    record, _ = changes(*pair(ir))
    assert states(record) == {
        ("norm_Conv", "Conv"): "fused",
        ("last", "Relu"): "kept",
        ("conv", "Conv"): "replaced",
        ("norm", "BatchNormalization"): "replaced",
    }
    fused = record.nodes[0]
    assert (fused.rule, set(fused.others)) == (rule, {"conv", "norm"})
    assert record.counts == {"kept": 1, "changed": 0, "fused": 1, "added": 0, "replaced": 2, "removed": 0}


def test_a_model_differs_from_itself_in_nothing():
    model, original = load(proto(CHAIN.format(ir=10), weights())), load(proto(CHAIN.format(ir=10), weights()))
    record, _ = changes(model, original)
    assert Counter(one.state for one in record.nodes) == {State.KEPT: 3}


def test_what_was_added_removed_and_changed():
    line = "agraph (float[4] x) => (float[4] y) {{ [a] h = LeakyRelu <alpha = {}> (x) {} [c] y = Abs (i) }}"
    before, after = line.format(0.5, "[b] i = Identity (h)"), line.format(0.25, "[d] j = Neg (h)").replace("(i)", "(j)")
    record, _ = changes(load(proto(after)), load(proto(before)))
    assert states(record) == {
        ("a", "LeakyRelu"): "changed",
        ("d", "Neg"): "added",
        ("c", "Abs"): "kept",
        ("b", "Identity"): "removed",
    }


def test_nodes_without_names_are_known_by_what_they_compute():
    text = "agraph (float[4] x) => (float[4] y) { h = Relu (x) y = Abs (h) }"
    record, _ = changes(load(proto(text)), load(proto(text)))
    assert states(record) == {("h", "Relu"): "kept", ("y", "Abs"): "kept"}


def test_nodes_of_nested_graphs_count():
    text = """agraph (bool c, float[4] x) => (float[4] y) {
        [if] y = If (c) <then_branch = one () => (float[4] p) { [p] p = %s (x) },
                         else_branch = two () => (float[4] q) { [q] q = Neg (x) }>
    }"""
    record, _ = changes(load(proto(text % "Abs")), load(proto(text % "Relu")))
    assert states(record) == {
        ("if", "If"): "kept",
        ("p", "Abs"): "fused",
        ("q", "Neg"): "kept",
        ("p", "Relu"): "replaced",
    }


def test_a_marked_model_shows_both_side_by_side():
    model, original = pair(10)
    _, difference = changes(model, original)
    made = marked(model, original, difference)
    nodes = {node.name: node for node in made.graph.node}
    assert {name: (node.op_type, node.domain) for name, node in nodes.items()} == {
        "norm_Conv": ("+ Conv", DOMAIN),
        "last": ("Relu", ""),
        GONE + "conv": ("- Conv", DOMAIN),
        GONE + "norm": ("- BatchNormalization", DOMAIN),
    }
    assert nodes["norm_Conv"].doc_string == "Made by conv_batchnorm from conv, norm."
    assert nodes[GONE + "norm"].doc_string == "Gone from the original; norm_Conv stands for it."
    assert nodes[GONE + "conv"].input[0] == nodes["norm_Conv"].input[0] == "x"
    assert nodes[GONE + "norm"].input[0] == nodes[GONE + "conv"].output[0] == GONE + "c"
    said = {entry.key: entry.value for entry in nodes["last"].metadata_props}
    assert said["graphopt.state"] == "kept"


def test_a_marked_model_can_be_read_again():
    model, original = pair(8)
    _, difference = changes(model, original)
    message = onnx.ModelProto.FromString(marked(model, original, difference).SerializeToString())
    assert len(load(message).graph.nodes) == 4


def test_what_people_read():
    record, _ = changes(*pair(10))
    said = " ".join(plain(layout(record)).split())
    assert "1 fused new, stand for some of the original Conv 1" in said
    assert "1 conv_batchnorm Conv Conv + BatchNormalization" in said
