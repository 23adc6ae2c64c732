"""Conditions that are turned round."""

from __future__ import annotations

from passes.canonical.negated_condition import negated_condition
from tests.support import fires, refuses


def test_a_negated_condition_exchanges_the_choices():
    text = "g (bool[M,K] c, float[K] a, float[M,1] b) => (float[M,K] y) { n = Not(c) y = Where(n, a, b) }"
    model = fires(negated_condition, text, leaves=["Where"])
    assert [tensor.name for tensor in model.graph.nodes[0].inputs] == ["c", "b", "a"]


def test_since_where_chooses():
    model = '<ir_version: 4, opset_import: ["" : 9]> g (bool[M] c, float[M] a, float[M] b) => (float[M] y)'
    fires(negated_condition, f"{model} {{ n = Not(c) y = Where(n, a, b) }}", leaves=["Where"])


def test_a_negation_that_something_else_reads_stays():
    text = "g (bool[M] c, float[M] a, float[M] b) => (float[M] y, bool[M] n) { n = Not(c) y = Where(n, a, b) }"
    refuses(negated_condition, text)
