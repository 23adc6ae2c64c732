"""A plugin with rules that are right, wrong in a number, and impossible to check, for the tests of the command line."""

from __future__ import annotations

from graphopt import Close, Exact, Value, op, rule, rule_pass

x, y = Value("x"), Value("y")
first = op.Relu(x)
thing = op.domain("custom").Thing(x)
pair = op.Exp(op.Tanh(x))


@rule(op.Relu(first), numerics=Exact())
def relu_twice(m, new):
    """Relu(Relu(x)) is Relu(x)."""
    return new.Relu(m[x])


@rule(op.Sigmoid(x), numerics=Close(16))
def wrong_sigmoid(m, new):
    """Sigmoid(x) is (tanh(0.51 x) + 1) / 2, says a rule with a wrong constant."""
    return new.Mul(new.Add(new.Tanh(new.Mul(m[x], 0.51)), 1.0), 0.5)


@rule(thing, numerics=Exact())
def unknown_thing(m, new):
    """Thing(x) is x, says a rule about an operator that no runtime knows."""
    return new.Identity(m[x])


@rule(pair, numerics=Exact())
def fussy(m, new):
    """Never fires: it always finds something missing."""
    m.refuse("the moon is not full")


@rule(op.StringConcat(x, y), numerics=Exact())
def swapped_texts(m, new):
    """Joining texts does not depend on their order, says a rule that is wrong."""
    return new.StringConcat(m[y], m[x])


PASSES = (
    rule_pass("planted", "Rules with faults.\n\nFor tests.", [relu_twice, wrong_sigmoid, unknown_thing]),
    rule_pass("right", "The one rule that is right, and one that never fires.", [relu_twice, fussy]),
    rule_pass("texts", "A rule about texts.", [swapped_texts]),
)
