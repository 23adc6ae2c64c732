"""Where patterns hold: expressions, alternatives, optional and remaining inputs, bindings, and what lies outside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from graphopt import Computed, Const, Opt, Rest, Value, op, values
from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.dtypes import elem_type
from graphopt.ir.edit import Editor
from graphopt.ir.reader import load
from graphopt.rewrite.match import Matcher, Refused
from graphopt.rewrite.pattern import Literal, Pattern
from tests.support import proto

x, y, z, c, computed = *values("x y z"), Const("c"), Computed("computed")


def matches(pattern, body, weights=None, *, head="float[N, 4] x, float[N, 4] z"):
    """All matches of the pattern, at every node, in a graph with these nodes that returns y."""
    model = load(proto(f"agraph ({head}) => (float[N, 4] y) {{ {body} }}", weights))
    matcher = Matcher(Editor(model), Shapes(model))
    return [match for node in walk.nodes(model.graph) for match in matcher.matches(pattern, node)]


def places(pattern, body, weights=None, **options):
    return [match.root.outputs[0].name for match in matches(pattern, body, weights, **options)]


def test_an_expression_is_the_operators_that_it_spells():
    assert places(op.Sigmoid(x * y), "a = Mul(x, z) y = Sigmoid(a)") == ["y", "y"]
    assert places(op.Sigmoid(x / y), "a = Mul(x, z) y = Sigmoid(a)") == []
    assert places(-(x**2.0), "two = Constant<value_float = 2.0>() a = Pow(x, two) y = Neg(a)") == ["y"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_operands_that_commute_are_tried_in_both_orders(order):
    gate = x * op.Sigmoid(x) + 1.0
    left, right = ("x", "s") if order[0] < order[1] else ("s", "x")
    first, second = ("m", "one") if order[1] < order[2] else ("one", "m")
    body = f"s = Sigmoid(x) m = Mul({left}, {right}) y = Add({first}, {second})"
    assert places(gate, body, {"one": np.float32(1)}) == ["y"]


def test_operands_that_do_not_commute_stay_in_order():
    assert places(op.Relu(x) - y, "r = Relu(x) y = Sub(z, r)") == []
    assert places(op.Relu(x) - y, "r = Relu(x) y = Sub(r, z)") == ["y"]


def test_the_same_object_is_the_same_tensor():
    assert places(x * op.Sigmoid(x), "s = Sigmoid(x) y = Mul(x, s)") == ["y"]
    assert places(x * op.Sigmoid(x), "s = Sigmoid(z) y = Mul(x, s)") == []


def test_equal_constants_count_as_the_same_tensor():
    weights = {"c1": np.ones(4, np.float32), "c2": np.ones(4, np.float32), "c3": np.zeros(4, np.float32)}
    pattern = op.Sub(op.Div(x, c), c)
    assert places(pattern, "d = Div(x, c1) y = Sub(d, c2)", weights) == ["y"]
    assert places(pattern, "d = Div(x, c1) y = Sub(d, c3)", weights) == []


def test_a_computed_operand_is_no_constant_wherever_that_stands():
    assert places(computed + x, "y = Add(z, w)", {"w": np.ones(4, np.float32)}) == ["y"]
    assert places(op.Sub(x, computed), "y = Sub(z, w)", {"w": np.ones(4, np.float32)}) == []
    assert places(computed + x, "k = Constant<value_float = 2.0>() y = Add(k, k)") == []


def test_operands_in_order_are_not_exchanged():
    ordered = (c + x).in_order()
    (match,) = matches(ordered, "y = Add(w, z)", {"w": np.ones(4, np.float32)})
    assert match[ordered] is match.root
    assert places(ordered, "y = Add(z, w)", {"w": np.ones(4, np.float32)}) == []


def test_a_constant_is_seen_through_a_constant_node():
    (match,) = matches(op.Sub(x, c), "k = Constant<value_floats = [1.0, 2.0, 3.0, 4.0]>() y = Sub(x, k)")
    assert match[c].tolist() == [1, 2, 3, 4]
    assert match[c].dtype == np.float64


@pytest.mark.parametrize(
    ("number", "dtype", "found"),
    [
        (np.sqrt(2), np.float32, True),
        (1.41421354, np.float32, True),
        (1.4142, np.float32, False),
        (1.4142, np.float16, True),
        (1.4142, np.float64, False),
    ],
)
def test_a_literal_is_as_exact_as_its_dtype(number, dtype, found):
    body = f"a = Cast<to = {elem_type(dtype)}>(x) d = Div(a, k) y = Cast<to = 1>(d)"
    assert places(op.Cast(x / float(np.sqrt(2))), body, {"k": np.array(number, dtype)}) == (["y"] if found else [])


def test_alternatives_mean_the_same():
    relu = op.Relu(x) | op.Max(x, 0.0) | op.Clip(x, 0.0)
    for body in ("y = Relu(x)", "y = Max(x, zero)", "y = Max(zero, x)", "y = Clip(x, zero)"):
        assert places(relu, body, {"zero": np.float32(0)}) == ["y"], body
    inner = op.Neg(op.Abs(x) | op.Relu(x))
    assert places(inner, "a = Abs(x) y = Neg(a)") == places(inner, "a = Relu(x) y = Neg(a)") == ["y"]


def test_one_of_several_operators():
    assert places(op.one_of("Relu", "Abs")(x), "a = Relu(x) b = Abs(a) y = Neg(b)") == ["a", "b"]


def test_an_optional_input_may_be_absent_or_omitted():
    low, high = Const("low"), Const("high")
    clip = op.Clip(x, Opt(low), Opt(high))
    weights = {"k": np.float32(1)}
    (bare,) = matches(clip, "y = Clip(x)")
    (only_high,) = matches(clip, "y = Clip(x, , k)", weights)
    (only_low,) = matches(clip, "y = Clip(x, k)", weights)
    assert [low in m for m in (bare, only_high, only_low)] == [False, False, True]
    assert [high in m for m in (bare, only_high, only_low)] == [False, True, False]
    assert only_high.get(low, "nothing") == "nothing"


def test_more_inputs_than_expected_are_a_mismatch():
    assert places(op.Clip(x, c), "y = Clip(x, k, k)", {"k": np.float32(1)}) == []


def test_the_rest_of_the_inputs():
    first, rest = Value("first"), Rest("rest")
    (match,) = matches(op.Sum(first, rest), "a = Relu(x) y = Sum(x, a, z)")
    assert [tensor.name for tensor in (match[first], *match[rest])] == ["x", "a", "z"]
    (alone,) = matches(op.Sum(first, rest), "y = Sum(x)")
    assert alone[rest] == []


def test_attributes_are_values_or_conditions():
    body = "a = Softmax<axis = 1>(x) y = Softmax(a)"
    assert places(op.Softmax(x, axis=1), body) == ["a"]
    assert places(op.Softmax(x, axis=None), body) == ["y"]
    assert places(op.Softmax(x, axis=lambda axis: axis in (None, 1)), body) == ["a", "y"]


def test_outputs_of_one_call_are_one_node():
    split = op.Split(x, num_outputs=2)
    body = "a, b = Split<axis = 1, num_outputs = 2>(x) d, e = Split<axis = 1, num_outputs = 2>(z) "
    assert places(split[0] - split[1], body + "y = Sub(a, b)") == ["y"]
    assert places(split[0] - split[1], body + "y = Sub(b, a)") == []
    assert places(split[0] - split[1], body + "y = Sub(a, e)") == []


def test_a_domain_is_part_of_the_operator():
    gelu = op.domain("com.microsoft").Gelu(x)
    text = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]> '
    body = "agraph (float[4] x) => (float[4] y) { a = com.microsoft.Gelu(x) y = Gelu(a) }"
    model = load(proto(text + body))
    matcher = Matcher(Editor(model), Shapes(model))
    found = [m.root.outputs[0].name for n in model.graph.nodes for m in matcher.matches(gelu, n)]
    assert found == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        "a = Relu(x) b = Neg(a) y = Add(a, b)",
        "a = Relu(x) w = Neg(a) y = Identity(a)",
    ],
)
def test_inner_values_are_not_used_outside(body):
    assert "b" not in places(op.Neg(op.Relu(x)), body)
    assert places(op.Neg(op.Relu(x).shared()), body)


def test_inner_values_are_not_returned():
    text = "agraph (float[4] x) => (float[4] a, float[4] y) { a = Relu(x) y = Neg(a) }"
    model = load(proto(text))
    matcher = Matcher(Editor(model), Shapes(model))
    assert not list(matcher.matches(op.Neg(op.Relu(x)), model.graph.nodes[1]))
    assert list(matcher.matches(op.Neg(op.Relu(x).shared()), model.graph.nodes[1]))


BRANCH = """agraph (bool flag, float[4] x) => (float[4] y) {
    outer = Relu(x)
    y = If(flag) <
        then_branch = g1 () => (float[4] t) { inner = Relu(x) t = Neg(inner) },
        else_branch = g2 () => (float[4] e) { e = Neg(outer) }
    >
}"""


def test_patterns_match_inside_subgraphs_but_not_across_their_border():
    model = load(proto(BRANCH))
    matcher = Matcher(Editor(model), Shapes(model))
    found = [m.root.outputs[0].name for n in walk.nodes(model.graph) for m in matcher.matches(op.Neg(op.Relu(x)), n)]
    assert found == ["t"]
    anything = [m.root.outputs[0].name for n in walk.nodes(model.graph) for m in matcher.matches(op.Neg(x), n)]
    assert anything == ["t", "e"]


def test_what_a_rule_looked_at_is_recorded():
    weights = {"k": np.ones(4, np.float32), "w": np.ones((4, 4), np.float32)}
    bias, weight = Const("bias"), Value("weight")
    (match, *_) = matches(op.MatMul(x, weight) + bias, "p = MatMul(x, w) y = Add(p, k)", weights)
    assert not match.reads
    assert match.tensor(weight).name == "w"
    assert match[bias].shape == (4,)
    assert [constant.name for constant in match.reads] == ["k"]


def test_require_gives_the_reason():
    (match,) = matches(op.Relu(x), "y = Relu(x)")
    with pytest.raises(Refused, match="not today"):
        match.require(False, "not today")


def test_the_match_of_a_deep_pattern_leaves_nothing_behind():
    model = load(proto("agraph (float[4] x) => (float[4] y) { a = Relu(x) b = Relu(a) y = Relu(b) }"))
    matcher = Matcher(Editor(model), Shapes(model))
    pattern = op.Relu(op.Relu(op.Neg(x)))
    assert not [m for node in model.graph.nodes for m in matcher.matches(pattern, node)]
    assert not matcher.bindings
    assert not matcher.nodes


def test_patterns_know_their_size_height_and_operators():
    pattern: Pattern = op.Add(op.Mul(x, op.Sigmoid(x)), Opt(op.Relu(y))) | op.Neg(x)
    assert (pattern.size, pattern.height) == (4, 3)
    assert op.Add(op.Mul(x, y), z).required == {"Add", "Mul"}
    assert pattern.required == frozenset()
    assert isinstance((x * 0.5).inputs[1], Literal)


def test_a_pattern_is_built_from_patterns_and_numbers():
    with pytest.raises((TypeError, ValueError)):
        op.Relu("x")
