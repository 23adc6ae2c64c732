"""What a look at a call and at what is directly above it says of the rules that may match there."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt import Computed, Const, Exact, Opt, Rest, op, rule, values
from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.edit import Editor
from graphopt.ir.reader import load
from graphopt.pipeline.registry import Registry
from graphopt.rewrite.index import Index
from graphopt.rewrite.match import Matcher
from tests.support import proto

x, y, c = *values("x y"), Const("c")
WEIGHTS = {"w": np.ones(4, np.float32)}
CALLS = """
    a = Add(x, w) b = Sigmoid(a) m = Mul(b, a) two = Constant<value_float = 2.0>() d = Div(m, two) e = Sub(w, d)
    f = Clip(e, , two) g = com.microsoft.Gelu(f) y = Concat<axis = 0>(g, a, b)
"""


def model():
    return load(proto(f"agraph (float[N, 4] x) => (float[M, 4] y) {{ {CALLS} }}", WEIGHTS))


def starts(*patterns):
    """The outputs of the nodes at which rules of these patterns are candidates."""
    rules = [rule(pattern, numerics=Exact())(lambda m, _new: m.root.outputs[0]) for pattern in patterns]
    nodes = list(walk.nodes(model().graph))
    index = Index(rules, {node.op for node in nodes})
    return [node.outputs[0].name for node in nodes if index.candidates(node)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (x + c, ["a"]),
        (c + x, ["a"]),
        (x - c, []),
        (c - x, ["e"]),
        ((x + c).in_order(), ["a"]),
        ((c + x).in_order(), []),
        (Computed() - x, []),
        (Computed() / c, ["d"]),
        (x / 2.0, ["d"]),
        (x * op.Sigmoid(y), ["m"]),
        (x * op.Relu(y), []),
        (x * (op.Relu(y) | op.Add(x, y)), ["m"]),
        (op.Clip(x, Opt(c), Opt(c)), ["f"]),
        (op.Clip(x, c, Opt(c)), []),
        (op.Clip(x, Opt(c)), []),
        (op.Clip(x, Rest()), ["f"]),
        (op.Concat(op.Sigmoid(x), Rest()), []),
        (op.Gelu(x), []),
        (op.domain("com.microsoft").Gelu(x), ["g"]),
        (op.Div(op.Neg(x), y), []),
    ],
)
def test_calls_are_told_apart_by_operators_and_constants_directly_above(pattern, found):
    assert starts(pattern) == found


def test_larger_patterns_come_first():
    small, large = x * y, x * op.Sigmoid(y)
    rules = [rule(one, numerics=Exact())(lambda m, _new: m.root.outputs[0]) for one in (small, large)]
    (node,) = (node for node in walk.nodes(model().graph) if node.op == "Mul")
    assert [root for _, root in Index(rules, {"Mul", "Sigmoid"}).candidates(node)] == [large, small]


def test_no_rule_matches_where_it_is_no_candidate():
    graph = model()
    rules = [one for found in Registry().passes.values() for one in found.rules]
    nodes = list(walk.nodes(graph.graph))
    index, matcher = Index(rules, {node.op for node in nodes}), Matcher(Editor(graph), Shapes(graph))
    for node in nodes:
        candidates = set(index.candidates(node))
        left_out = [(one, root) for one in rules for root in one.roots if (one, root) not in candidates]
        assert [one.name for one, root in left_out if any(True for _ in matcher.matches(root, node))] == []
