"""Passes made of rules: which of them run, by name."""

from __future__ import annotations

import pytest

import graphopt
from graphopt import Exact, Value, op, rule, rule_pass
from tests.support import proto

x = Value("x")
TEXT = "agraph (float[4] x) => (float[4] y) { a = Relu(x) b = Abs(a) c = Neg(b) y = Sigmoid(c) }"


@rule(op.Relu(op.Relu(x)), numerics=Exact())
def usual(m, new):
    """Relu twice is Relu once."""
    return new.Relu(m[x])


@rule(op.Abs(op.Relu(x)), numerics=Exact())
def late(m, new):
    """Abs of Relu is Relu."""
    return new.Relu(m[x])


@rule(op.Neg(x), numerics=Exact())
def optional(m, new):
    """Neg is a product with -1."""
    return new.Mul(m[x], -1.0)


PASSES = (rule_pass("mine", "A pass of three kinds of rules.", [usual], late=[late], optional=[optional]),)


@pytest.mark.parametrize(
    ("text", "fired"),
    [
        ("mine", {"late"}),
        ("mine:skip=late", set()),
        ("mine:only=optional", {"optional"}),
        ("mine:also=optional", {"late", "optional"}),
        ("mine:also=optional:skip=late", {"optional"}),
    ],
)
def test_rules_are_chosen_by_name(text, fired):
    result = graphopt.optimize(proto(TEXT), passes=text, plugins=[__name__], verify="structure")
    assert set(result.report.hits) == fired


def test_names_that_do_not_exist_are_errors_before_any_work():
    with pytest.raises(graphopt.UsageError, match="pass mine has no rule 'nothing'; its rules: late, optional, usual"):
        graphopt.optimize(proto(TEXT), passes="mine:also=nothing", plugins=[__name__])
