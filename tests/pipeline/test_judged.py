"""Rewrites that change the numbers on purpose, and what lossy passes work with."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt import Builder, Judged, Lossy, Match, Value, op, rule
from graphopt.ir.edit import Draft, Rewrite
from graphopt.ir.types import Variable
from graphopt.pipeline.journal import Table
from graphopt.pipeline.passes import Pass
from graphopt.report import markdown, text
from graphopt.report.page import compile as page
from tests.support import apply, proto

x = Value("x")

NET = """
    <ir_version: 10, opset_import: ["" : 20]>
    agraph (float[n, 4] x) => (float[n, 4] y) { t = Tanh(x) y = Softmax(t) }
"""


@rule(op.Tanh(x), numerics=Judged())
def softsign(m: Match, new: Builder):
    """Something else that looks like it."""
    return new.Softsign(m[x])


@rule(op.Tanh(x), numerics=Judged())
def broken(m: Match, new: Builder):
    """No number where there was one."""
    return new.Log(new.Neg(new.Exp(m[x])))


@pytest.fixture
def samples():
    draw = np.random.default_rng(0)
    return {"x": draw.normal(size=(20, 4)).astype(np.float32), "label": draw.integers(0, 4, 20)}


@pytest.fixture
def data(tmp_path, samples):
    path = tmp_path / "data.npz"
    np.savez(path, **samples)
    return path


def test_the_whole_is_unverified_until_a_metric_judges_it(data):
    result = apply([softsign], NET)
    assert result.report.contract == "judged"
    assert "--metric" in text.whole_verdict(result.report)
    assert not result.report.clean
    judged = apply([softsign], NET, data=data, metric="top1").report
    assert judged.clean
    assert text.whole_verdict(judged) == "The whole model runs, and is judged by top1."


def test_what_is_no_number_any_more_is_rolled_back():
    report = apply([broken], NET).report
    assert [entry.rule for entry in report.rolled_back] == ["broken"]


def test_a_budget_leaves_out_what_is_judged_too_bad(data):
    @rule(op.Tanh(x), numerics=Judged())
    def mirrored(m: Match, new: Builder):
        """The largest becomes the smallest."""
        return new.Neg(new.Softsign(m[x]))

    held = apply([mirrored], NET, data=data, metric="agreement", budget=graphopt.Budget(max_drop="1%")).report
    assert not held.rewrites
    assert [cost.rule for cost in held.budget.left_out] == ["mirrored"]


def passing(run):
    return Pass("trial", lambda context, _options: run(context), "A trial.", safe=False)


def test_regions_and_the_whole_run_on_activations_where_they_are_given(tmp_path):
    """Outside -0.1 .. 0.1, where drawn numbers are, the identity is far from tanh."""
    fed = []
    np.savez(tmp_path / "small.npz", x=np.linspace(-0.1, 0.1, 80, dtype=np.float32).reshape(20, 4))

    def run(context):
        node = next(node for node in context.model.graph.nodes if node.op == "Tanh")
        held = np.linspace(-0.1, 0.1, 12, dtype=np.float32).reshape(3, 4)

        def activations(tensors):
            fed.extend(tensor.name for tensor in tensors)
            return [dict.fromkeys(tensors, held)]

        for feeds in (None, activations):
            new = Draft("Identity", [node.inputs[0]], [Variable("same")])
            rewrite = Rewrite(context.model.graph, node, [node], [new], {node.outputs[0]: new.outputs[0]})
            context.apply(rewrite, f"linear_{feeds is not None}", Lossy("sqnr", 40), feeds=feeds)

    report = apply([passing(run)], NET, calibration=tmp_path / "small.npz").report
    assert [entry.rule for entry in report.rolled_back] == ["linear_False"]
    assert [entry.rule for entry in report.rewrites] == ["linear_True"]
    assert fed == ["x"]


def test_a_pass_finds_samples_a_goal_and_the_original(data, samples):
    seen = {}

    def run(context):
        (batch,) = context.calibration.batches(size=20)
        seen["same"] = np.array_equal(batch.feeds["x"], samples["x"])
        seen["goal"] = context.goal.metric, context.goal.allowed
        seen["original"] = [node.op for node in context.original.graph.nodes]
        seen["attempts"] = context.memo.setdefault("attempts", 0) + 1
        seen["seed"] = context.seed
        context.say("looking")

    options = {"data": data, "metric": "top1", "budget": graphopt.Budget(max_drop="2 points"), "seed": 7}
    apply([passing(run)], NET, **options)
    assert seen == {"same": True, "goal": ("top1", 0.02), "original": ["Tanh", "Softmax"], "attempts": 1, "seed": 7}


def test_samples_to_look_at_may_be_others_than_those_for_the_score(data, tmp_path):
    other = tmp_path / "other.npz"
    np.savez(other, x=np.zeros((3, 4), np.float32))
    counts = []
    run = passing(lambda context: counts.append(context.calibration.count))
    apply([run], NET, data=data, metric="top1", calibration=other)
    apply([run], NET, calibration=other)
    assert counts == [3, 3]


def test_tables_are_in_every_report():
    table = Table("Operators that stayed float", ("operator", "share"), (("Tanh t", 0.25), ("Softmax y", None)), "Why")
    report = apply([passing(lambda context: context.tabulate(table))], NET).report
    for shown in (str(report), markdown.render(report), page.render(report), report.to_json()):
        assert "Operators that stayed float" in shown
        assert "Softmax y" in shown


def test_the_source_stays_as_it_is():
    source = proto(NET)
    before = source.SerializeToString()
    graphopt.optimize(source, passes=[softsign])
    assert source.SerializeToString() == before
