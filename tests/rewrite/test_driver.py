"""Where rules are tried again: near a change, and where they declined for what was then known of the graph."""

from __future__ import annotations

from graphopt import Exact, Rule, Value, op, rule
from graphopt.ir.reader import load
from graphopt.pipeline.context import Context
from graphopt.rewrite.driver import rewrite_all
from tests.support import proto

TEXT = "agraph (float[N, 4] x) => (float[N, 4] y) { a = Identity(x) b = Neg(a) c = Exp(b) y = Abs(c) }"
x = Value("x")


def compile_of(text: str = TEXT) -> Context:
    context = Context(load(proto(text)))
    context.begin("test")
    return context


def declining(*, final: bool) -> tuple[Rule, list[str]]:
    """A rule for Abs that never applies, and the outputs of the nodes at which it was asked."""
    asked: list[str] = []

    @rule(op.Abs(x), numerics=Exact())
    def declines(m, _new):
        asked.append(m.root.outputs[0].name)
        m.require(False, "never", final=final)

    return declines, asked


@rule(op.Identity(x), numerics=Exact())
def identity(m, _new):
    return m[x]


def test_a_rule_is_not_asked_again_while_nothing_changes():
    context, (declines, asked) = compile_of(), declining(final=False)
    rewrite_all(context, [declines])
    context.begin("again")
    rewrite_all(context, [declines])
    assert asked == ["y"]


def test_a_rule_is_asked_again_when_something_far_away_has_changed():
    context, (declines, asked) = compile_of(), declining(final=False)
    rewrite_all(context, [declines])
    assert rewrite_all(context, [identity]) == 1
    rewrite_all(context, [declines])
    assert asked == ["y", "y"]


def test_a_rule_is_asked_again_when_more_is_known_of_shapes():
    context, (declines, asked) = compile_of(), declining(final=False)
    assert rewrite_all(context, [identity]) == 1
    rewrite_all(context, [declines])
    rewrite_all(context, [declines])
    assert asked == ["y"]
    context.begin("again")
    rewrite_all(context, [declines])
    assert asked == ["y", "y"]


def test_a_rule_that_declined_for_good_is_asked_again_only_near_a_change():
    context, (declines, asked) = compile_of(), declining(final=True)
    rewrite_all(context, [declines])
    rewrite_all(context, [identity])
    rewrite_all(context, [declines])
    assert asked == ["y"]
    context.editor.redirect(context.editor.graph.outputs[0].producer.inputs[0], context.editor.graph.inputs[0], None)
    rewrite_all(context, [declines])
    assert asked == ["y", "y"]


def test_a_rule_that_declined_is_asked_again_as_far_from_a_change_as_any_pattern_of_its_pass_reaches():
    text = "agraph (float[N, 4] x) => (float[N, 4] y) { a = Neg(x) b = Neg(a) c = Exp(b) y = Abs(c) }"
    asked: list[str] = []

    @rule(op.Abs(x), numerics=Exact())
    def after_two(m, _new):
        asked.append(m.root.outputs[0].name)
        m.refuse("never")

    @rule(op.Neg(op.Neg(x)), numerics=Exact())
    def twice(m, new):
        return new.Identity(m[x])

    context = compile_of(text)
    assert rewrite_all(context, [after_two, twice]) == 1
    assert asked == ["y", "y"]
