"""What a rule may return: tensors for the outputs of the root, or for those of any calls of its pattern."""

from __future__ import annotations

from collections.abc import Mapping

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from tests.support import fires, refuses

x = Value("x")
minus = op.Neg(x)
size = op.Abs(minus.shared())


@rule(size, numerics=Exact())
def both(m: Match, new: Builder) -> Mapping[Node, Tensor]:
    """|-x| and -x, which something else needs too, written anew."""
    m.require(len(m.tensor(minus).outputs) > 1, "nothing else needs it")
    made = new.Mul(m[x], -1.0)
    return {size: new.Relu(new.Sub(new.Relu(made), new.Neg(new.Relu(new.Neg(made))))), minus: made}


@rule(size, numerics=Exact())
def nothing(_m: Match, _new: Builder) -> Mapping[Node, Tensor]:
    """Returns no replacement."""
    return {}


def test_inner_values_are_replaced_even_where_they_are_read_before_the_root():
    text = "g (float[N] x) => (float[N] y, float[N] z) { n = Neg(x) z = Exp(n) y = Abs(n) }"
    left = {"Mul": 1, "Relu": 3, "Neg": 2, "Sub": 1, "Exp": 1}
    fires(both, text, leaves=left)


def test_inner_values_that_the_graph_returns_keep_their_names():
    text = "g (float[N] x) => (float[N] y, float[N] n) { n = Neg(x) y = Abs(n) z = Exp(n) }"
    model = fires(both, text, leaves={"Mul": 1, "Relu": 3, "Neg": 2, "Sub": 1, "Exp": 1})
    assert [tensor.name for tensor in model.graph.outputs] == ["y", "n"]


def test_a_rule_that_returns_nothing_refuses():
    refuses(nothing, "g (float[N] x) => (float[N] y) { n = Neg(x) y = Abs(n) }", reason="the rule returned nothing")
