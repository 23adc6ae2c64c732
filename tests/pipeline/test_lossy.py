"""Lossy rewrites: checked by their metric on their region, added up on the whole, left out on request for good."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import graphopt
from graphopt import Close, Const, Lossy, Value, op, rule, rule_pass
from graphopt.numerics.contract import combined
from graphopt.numerics.run import InProcess
from graphopt.pipeline import manager
from graphopt.pipeline.journal import Status
from graphopt.pipeline.level import Level
from graphopt.pipeline.registry import Bound, BoundFix
from graphopt.pipeline.verify import Verifier
from tests.support import apply, operators, proto

x, w = Value("x"), Const("w")
NET = """agraph (float[N, 8] x) => (float[N, 8] y) {
    [first] a = MatMul(x, v)  [second] b = MatMul(a, w)  y = Tanh(b)
}"""
WEIGHTS = {"v": (8, 8), "w": (8, 8)}


def rounding(name, contract, step=1 / 64):
    @rule(op.MatMul(x, w), numerics=contract)
    def rounded(m, new):
        """x w is x w with w rounded to multiples of a power of two."""
        coarse = np.round(m[w] / step) * step
        m.require((coarse != m[w]).any(), "already rounded")
        return new.MatMul(m[x], coarse)

    return dataclasses.replace(rounded, name=name)


def test_a_lossy_rewrite_is_kept_with_the_metric_that_was_measured():
    report = apply([rounding("coarse", Lossy("sqnr", 20))], NET, WEIGHTS).report
    assert report.hits == {"coarse": 2}
    for entry in report.rewrites:
        assert entry.verdict.status is Status.VERIFIED
        assert 20 <= entry.verdict.error < 60
    assert report.contract.startswith("lossy(sqnr >= 16.9897)")  # two of 20 dB
    assert report.whole.status is Status.VERIFIED
    assert report.whole.error >= 16.98
    assert "The whole model keeps lossy(sqnr >= 16.98" in " ".join(str(report).split())


def test_a_lossy_rewrite_below_its_floor_is_undone():
    report = apply([rounding("coarse", Lossy("sqnr", 20), step=4)], NET, WEIGHTS).report
    assert not report.rewrites
    assert [entry.place for entry in report.rolled_back] == ["MatMul second", "MatMul first"]
    assert all("sqnr is" in entry.verdict.detail for entry in report.rolled_back)


def test_different_metrics_give_no_bound_on_the_whole():
    @rule(op.Tanh(x), numerics=Lossy("cosine", 0.9))
    def clipped(m, new):
        """tanh(x) is nearly x between -1 and 1."""
        return new.Clip(m[x], -1.0, 1.0)

    report = apply([rounding("coarse", Lossy("sqnr", 20)), clipped], NET, WEIGHTS).report
    assert report.hits == {"coarse": 2, "clipped": 1}
    assert report.whole.status is Status.UNVERIFIED
    assert "different metrics" in report.whole.detail
    assert not report.clean


def test_different_metrics_do_not_excuse_what_is_not_finite():
    @rule(op.Tanh(x), numerics=Lossy("cosine", 0.0))
    def overflowing(m, new):
        """tanh(x), says a rule that divides by zero where x is 1."""
        return new.Div(m[x], new.Sub(new.Clip(m[x], -1.0, 1.0), 1.0))

    source = proto(NET, WEIGHTS)
    rules = rule_pass("both", "Both.", [rounding("coarse", Lossy("sqnr", 20)), overflowing])
    verifier = Verifier(InProcess(), lambda: graphopt.load(source), source.SerializeToString, Level.FULL)
    job = manager.Compile(
        verifier.source, (Bound(rules, {}, "both"),), verifier.observe, whole=verifier.whole, runner=verifier.runner
    )
    outcome = manager.run(job)
    assert [entry.rule for entry in outcome.blamed] == ["overflowing"]
    assert len(outcome.context.keys) == 2


@pytest.mark.parametrize(
    ("contracts", "expected"),
    [
        ([Close(2), Lossy("top1", 0.75), Lossy("top1", 0.75)], Lossy("top1", 0.5)),
        ([Close(2), Close(3)], Close(5)),
        ([Lossy("top1", 0.9), Lossy("sqnr", 20)], None),
    ],
)
def test_combined_contracts(contracts, expected):
    assert combined(contracts) == expected


@pytest.mark.parametrize("fix", [False, True])
def test_a_rewrite_left_out_is_not_made_by_a_later_round_either(fix):
    coarse = rule_pass("coarse", "Rounds.", [rounding("coarse", Lossy("sqnr", 20))])
    bound = Bound(coarse, {}, "coarse")
    pipeline = (BoundFix((bound,)),) if fix else (bound, bound)
    source = proto(NET, WEIGHTS)
    job = manager.Compile(lambda: graphopt.load(source), pipeline, runner=InProcess())
    every = manager.run(job)
    first, second = every.context.keys
    outcome = manager.run(dataclasses.replace(job, left_out=[first]))
    assert outcome.context.keys == [second]
    assert outcome.left_out == [first]
    assert operators(outcome.context.model) == operators(source)


def test_the_error_of_equal_results_is_no_loss():
    @rule(op.Tanh(x), numerics=Lossy("sqnr", 20))
    def renamed(m, new):
        """tanh(x) is tanh(x)."""
        m.require(not m.root.metadata.get("graphopt.rule"), "done")
        return new.Neg(new.Neg(new.Tanh(m[x])))

    report = apply([renamed], NET, WEIGHTS).report
    (entry,) = report.rewrites
    assert entry.verdict.error == math.inf
    assert report.whole.status is Status.VERIFIED
