"""Every kind of fault that a rule can have: caught, blamed on the exact place, and rolled back alone.

Each is planted beside a rule that is right, and met on both ways of checking: region by region while the compile goes
on, by a process that may die (the default), and step by step in this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import graphopt
from graphopt import Close, Exact, Pass, PassError, Value, op, rule
from graphopt.ir.edit import Draft, Rewrite
from graphopt.ir.types import Constant, Variable
from graphopt.numerics import process, worker
from graphopt.numerics.run import InProcess
from graphopt.pipeline.journal import Status, Verdict
from graphopt.pipeline.level import Level
from graphopt.pipeline.verify import LEAST_SECONDS, WHOLE_SECONDS, Verifier
from tests.support import proto

x = Value("x")
c = graphopt.Const("c")

NET = """agraph (float[N, 4, 4] x) => (float[N, 4, 4] y, float[N, 4, 4] z) {
    [first] a = Mul(x, two)  [second] b = Relu(a)  [third] d = Mul(b, row)  [fourth] e = Neg(d)  [fifth] f = Neg(e)
    [sixth] y = Sigmoid(f)  [seventh] z = Tanh(a)
}"""
WEIGHTS = {"two": np.array(2.0, np.float32), "row": np.array([1.0, 2.0, 3.0, 4.0], np.float32)}

RUNNERS: dict[str, Callable[[], Any]] = {"ahead": lambda: None, "step by step": InProcess}


@rule(op.Neg(op.Neg(x)), numerics=Exact())
def double_negation(m, new):
    """-(-x) is x; right."""
    return new.Identity(m[x])


@rule(x * 2.0, numerics=Close(4))
def wrong_number(m, new):
    return new.Mul(m[x], np.array(2.001, np.float32))


@rule(x * c, numerics=Exact())
def wrong_axis(m, new):
    m.require(m[c].shape == (4,), "not a row")
    return new.Mul(m[x], m[c].reshape(4, 1))


@rule(op.Tanh(x), numerics=Close(1e6))
def changed_dtype(m, new):
    return new.Cast(new.Tanh(m[x]), to=11)


@rule(op.Tanh(x), numerics=Close(1e6))
def changed_rank(m, new):
    return new.Unsqueeze(new.Tanh(m[x]), np.array([0], np.int64))


@rule(op.Tanh(x), numerics=Exact())
def only_at_another_batch_size(m, new):
    return new.Reshape(new.Tanh(m[x]), np.array([2, -1, 4], np.int64))


@rule(op.Tanh(x), numerics=Exact())
def dropped_batch(m, new):
    return new.Slice(new.Tanh(m[x]), np.array([0], np.int64), np.array([2], np.int64), np.array([0], np.int64))


@rule(op.Relu(x), numerics=Exact())
def only_for_large_values(m, new):
    return new.Min(new.Relu(m[x]), np.array(3e3, np.float32))


@rule(op.Relu(x), numerics=Exact())
def only_for_denormal_values(m, new):
    y = new.Max(m[x], np.array(0.0, np.float32))
    return new.Where(new.Less(y, np.array(1e-38, np.float32)), np.array(0.0, np.float32), y)


@rule(op.Relu(x), numerics=Close(1e6))
def a_nan(m, new):
    root = new.Sqrt(m[x])
    return new.Mul(root, root)


@rule(op.Relu(x), numerics=Exact())
def missing_input(m, new):
    return new.Add(m[x])


@rule(op.Relu(x), numerics=Exact())
def unknown_operator(m, new):
    return new.Relux(m[x])


@rule(op.Relu(x), numerics=Exact())
def sizes_that_do_not_fit(m, new):
    return new.Add(new.Relu(m[x]), np.zeros(3, np.float32))


PLANTED = [
    (wrong_number, "Mul first"),
    (wrong_axis, "Mul third"),
    (changed_dtype, "Tanh seventh"),
    (changed_rank, "Tanh seventh"),
    (only_at_another_batch_size, "Tanh seventh"),
    (dropped_batch, "Tanh seventh"),
    (only_for_large_values, "Relu second"),
    (only_for_denormal_values, "Relu second"),
    (a_nan, "Relu second"),
    (missing_input, "Relu second"),
    (unknown_operator, "Relu second"),
    (sizes_that_do_not_fit, "Relu second"),
]


def optimized(passes, text=NET, weights=WEIGHTS, how="ahead", **options):
    return graphopt.optimize(proto(text, weights), passes=passes, runner=RUNNERS[how](), **options)


@pytest.mark.parametrize("how", RUNNERS)
@pytest.mark.parametrize(("wrong", "place"), PLANTED, ids=lambda value: getattr(value, "name", ""))
def test_a_fault_is_caught_blamed_and_undone_alone(wrong, place, how):
    result = optimized([wrong, double_negation], how=how)
    assert [(entry.rule, entry.place) for entry in result.report.rolled_back] == [(wrong.name, place)]
    assert result.report.hits == {"double_negation": 1}
    assert result.report.whole.status is Status.VERIFIED
    right = optimized([double_negation], how=how)
    assert result.model.to_proto() == right.model.to_proto()


FED = [wrong_number, wrong_axis, dropped_batch, only_for_denormal_values]


@pytest.mark.parametrize(("wrong", "place"), [one for one in PLANTED if one[0] in FED], ids=str)
def test_a_fault_is_caught_where_constants_are_fed_as_large_ones_are(wrong, place, monkeypatch):
    monkeypatch.setattr("graphopt.numerics.region.BULK", 0)
    report = optimized([wrong, double_negation]).report
    assert [(entry.rule, entry.place) for entry in report.rolled_back] == [(wrong.name, place)]
    assert report.hits == {"double_negation": 1}
    assert report.whole.status is Status.VERIFIED


def test_large_constants_are_not_copied_into_the_models_of_a_region(monkeypatch):
    seen = []
    check = worker.Worker.check_pairs
    monkeypatch.setattr(worker.Worker, "check_pairs", lambda self, pairs: seen.extend(pairs) or check(self, pairs))
    weights = {"w": np.ones((600, 600), np.float32)}

    @rule(op.MatMul(x, c), numerics=Close(64))
    def doubled(m, new):
        m.require(m[c].max() == 1, "done")
        return new.Mul(new.MatMul(m[x], m[c] * 2), np.array(0.5, np.float32))

    report = graphopt.optimize(
        proto("agraph (float[N, 600] x) => (float[N, 600] y) { y = MatMul(x, w) }", weights), passes=[doubled]
    ).report
    (pair,) = seen
    assert len(pair.before) + len(pair.after) < 2000
    assert sorted(array.nbytes for array in pair.given.values()) == [1_440_000, 1_440_000]
    assert [entry.verdict.status for entry in report.rewrites] == [Status.VERIFIED]


@pytest.mark.parametrize("how", RUNNERS)
@pytest.mark.parametrize("number", [0, 17, 39])
def test_a_fault_in_one_of_forty_equal_places(number, how):
    text = "agraph (float[N, 4] x) => (float[N, 4] y) {" + "\n".join(
        f"[m{i}] a{i} = Mul({'x' if i == 0 else f'a{i - 1}'}, two)" for i in range(40)
    )

    @rule(x * 2.0, numerics=Close(4))
    def twice(m, new):
        return new.Add(m[x], new.Mul(m[x], 1.5) if m.root.name == f"m{number}" else m[x])

    report = optimized([twice], text + " y = Identity(a39) }", {"two": WEIGHTS["two"]}, how).report
    assert [entry.place for entry in report.rolled_back] == [f"Mul m{number}"]
    assert report.hits == {"twice": 39}
    assert report.regions_checked < 40


def lose_output(model):
    model.graph.outputs.pop()


def rename_input(model):
    model.graph.inputs[0].name = "renamed"


def fix_dimension(model):
    model.graph.inputs[0].shape = (1, 4, 4)


def rename_dimension(model):
    model.graph.outputs[0].shape = ("M", 4, 4)


def change_dtype(model):
    model.graph.outputs[0].dtype = np.dtype(np.float64)


def unsort(model):
    model.graph.nodes.reverse()


def lose_metadata(model):
    model.metadata.clear()


DEEDS = {
    "lost output": (lose_output, "had 2 outputs and now has 1"),
    "renamed input": (rename_input, "'x' .* became 'renamed'"),
    "changed free dimension": (fix_dimension, "became 'x' .*1, 4, 4"),
    "renamed free dimension": (rename_dimension, "became 'y' .*'M', 4, 4"),
    "changed dtype": (change_dtype, "'y' .* became 'y' .*float64"),
    "unsorted graph": (unsort, "which nothing before it computes"),
}


@pytest.mark.parametrize("how", RUNNERS)
@pytest.mark.parametrize("kind", DEEDS)
def test_a_pass_that_breaks_the_model_by_itself_is_named(kind, how):
    deed, words = DEEDS[kind]

    def vandalise(context, _options):
        deed(context.model)
        context.editor.revision += 1

    with pytest.raises(PassError, match=f"(?s)vandal.*{words}"):
        optimized([double_negation, Pass("vandal", vandalise, "")], how=how)


@pytest.mark.parametrize("how", RUNNERS)
@pytest.mark.parametrize("kind", DEEDS)
def test_a_rewrite_that_breaks_the_model_is_left_out_alone(kind, how):
    """The rewrite passes its own check; what it brings about is found when the pass is over, and it is named."""
    deed, _ = DEEDS[kind]

    def careless(context, _options):
        for node in [node for node in context.model.graph.nodes if node.op in ("Neg", "Sigmoid")]:
            out = Variable("?")
            draft = Draft(node.op, list(node.inputs), [out], metadata={"by": "careless"})
            rewrite = Rewrite(context.model.graph, node, (node,), (draft,), {node.outputs[0]: out})
            if context.apply(rewrite, "same_again", Exact()) is not None and node.name == "fifth":
                context.editor.flush()
                deed(context.model)

    result = optimized([Pass("careless", careless, "")], how=how)
    (entry,) = result.report.rolled_back
    assert (entry.rule, entry.place) == ("same_again", "Neg fifth")
    assert result.report.hits == {"same_again": 2}
    assert result.report.whole.status is Status.VERIFIED


MERGED = {
    "the same call": ("b = Softmax <axis = 1> (x)", Status.VERIFIED),
    "another attribute": ("b = Softmax <axis = 2> (x)", Status.WRONG),
    "another input": ("b = Softmax <axis = 1> (u)", Status.WRONG),
    "another operator": ("b = Hardmax <axis = 1> (x)", Status.WRONG),
}


def merge(context, _options, old=0, new=0):
    """Let an output of the first call stand for one of the second, whatever they compute."""
    first, second = context.model.graph.nodes[:2]
    rewrite = Rewrite(context.model.graph, second, (second, first), (), {second.outputs[old]: first.outputs[new]})
    context.apply(rewrite, "merge", Exact())


@pytest.mark.parametrize("how", RUNNERS)
@pytest.mark.parametrize("kind", MERGED)
def test_calls_are_merged_if_they_are_the_same(kind, how):
    other, status = MERGED[kind]
    text = f"""agraph (float[N, 3, 4] x, float[N, 3, 4] u) => (float[N, 3, 4] y) {{
        a = Softmax <axis = 1> (x) {other} y = Sub(a, b) }}"""
    report = optimized([Pass("merger", merge, "")], text, {}, how).report
    assert [entry.verdict.status for entry in report.rewrites + report.rolled_back] == [status]


def test_outputs_of_equal_calls_are_merged_in_their_order():
    text = """agraph (float[N, 4] x) => (float[N, 2] y, float[N, 2] z) {
        a, b = Split <axis = 1> (x, half) c, d = Split <axis = 1> (x, half) y = Sub(a, c) z = Sub(b, d) }"""
    weights = {"half": np.array([2, 2])}
    swapped = Pass("swapping", lambda context, options: merge(context, options, 0, 1), "")
    assert optimized([swapped], text, weights).report.rolled_back
    assert not optimized([Pass("merging", merge, "")], text, weights).report.rolled_back


def test_two_draws_of_random_numbers_are_not_the_same():
    text = """agraph (float[N, 4] x) => (float[N, 4] y) {
        a = RandomNormalLike(x) b = RandomNormalLike(x) y = Sub(a, b) }"""
    (entry,) = optimized([Pass("merger", merge, "")], text, {}).report.rewrites
    assert entry.verdict.status is Status.UNVERIFIED
    assert "random" in entry.verdict.detail


def forged(context, _options):
    """Rewrites every Neg, one of them wrongly, with evidence that no region check would give."""
    for node in [node for node in context.model.graph.nodes if node.op == "Neg"]:
        out = Variable("?")
        scale = Constant("?", np.array(-1.5 if node.name == "fifth" else -1.0, np.float32))
        draft = Draft("Mul", [node.inputs[0], scale], [out])
        rewrite = Rewrite(context.model.graph, node, (node,), (draft,), {node.outputs[0]: out})
        context.apply(rewrite, "forged", Exact(), Verdict(Status.EVALUATED))


@pytest.mark.parametrize("how", RUNNERS)
def test_a_fault_that_no_region_shows_is_found_in_the_whole(how):
    result = optimized([Pass("forger", forged, "")], how=how)
    (entry,) = result.report.rolled_back
    assert (entry.rule, entry.place) == ("forged", "Neg fifth")
    assert result.report.hits == {"forged": 1}
    assert result.report.whole.status is Status.VERIFIED


@dataclass
class Failing:
    """The default runner with a process that dies, or waits, whenever it runs a model in which `word` stands."""

    act: str
    word: str = "Tanh"
    made: list[worker.Worker] = field(default_factory=list)

    def program(self) -> str:
        return (
            "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import os, time\n"
            "from graphopt.numerics import session, worker\n"
            "enter = session.Session.__enter__\n"
            "def fail(self):\n"
            f"    held = self._source if isinstance(self._source, bytes) else open(self._source, 'rb').read()\n"
            f"    if {self.word.encode()!r} in held: {self.act}\n"
            "    return enter(self)\n"
            "session.Session.__enter__ = fail\n"
            "worker.serve(*map(int, sys.argv[2:]))"
        )

    def __call__(self, _: process.Process | None = None) -> worker.Worker:
        self.made.append(worker.Worker(program=self.program()))
        return self.made[-1]


ACTS = {"crash": ("os.abort()", "died"), "hang": ("time.sleep(1000)", "No result after")}


@pytest.mark.parametrize("kind", ACTS)
@pytest.mark.parametrize("ahead", [True, False])
def test_where_the_runtime_crashes_or_hangs_nothing_is_verified_and_the_compile_goes_on(kind, ahead, monkeypatch):
    act, words = ACTS[kind]
    failing = Failing(act)
    monkeypatch.setattr(worker, "best_runner", failing)
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    for name in ("REGION_SECONDS", "WHOLE_SECONDS"):
        monkeypatch.setattr(f"graphopt.pipeline.verify.{name}", 1.0)

    @rule(op.Tanh(x), numerics=Close(64))
    def spelled_out(m, new):
        return new.Div(new.Sinh(m[x]), new.Cosh(m[x]))

    runner = None if ahead else failing()
    result = graphopt.optimize(proto(NET, WEIGHTS), passes=[spelled_out, wrong_number, double_negation], runner=runner)
    assert {entry.rule: words in entry.verdict.detail for entry in result.report.unverified} == {"spelled_out": True}
    assert [entry.rule for entry in result.report.rolled_back] == ["wrong_number"]
    assert result.report.hits == {"spelled_out": 1, "double_negation": 1}
    assert result.report.whole.status is Status.UNVERIFIED
    assert words in result.report.whole.detail
    assert failing.made[-1].restarts > 0


def test_a_model_that_never_ends_is_waited_for_once(monkeypatch):
    monkeypatch.setattr("graphopt.pipeline.verify.LEAST_SECONDS", 1.0)
    text = """agraph (float[N, 3] x, float[N, 3] u) => (float[N, 3] y, float[N, 3] z) {
        n = Constant <value_int = 9223372036854775807> () c = Constant <value = bool {1}> ()
        y = Loop (n, c, x) <body = b (int64 j, bool k, float[N, 3] s) => (bool k2, float[N, 3] s2) {
            k2 = Identity (k) s2 = Cos (s) }>
        a = Neg (u) z = Neg (a) }"""
    report = graphopt.optimize(proto(text), passes=[double_negation]).report
    assert report.whole.status is Status.UNVERIFIED
    assert "seconds" in report.whole.detail
    assert [entry.verdict.status for entry in report.rewrites] == [Status.VERIFIED]


def test_how_long_a_whole_model_may_take_depends_on_its_size():
    tiny, large, huge = (Verifier(InProcess(), dict, bytes) for _ in range(3))
    tiny._nodes, large._nodes, huge._weights = 1, 20_000, 1 << 40
    assert LEAST_SECONDS < tiny._patience < 31 < large._patience == 130 < huge._patience == WHOLE_SECONDS
    tiny.level = Level.FULL
    assert tiny._patience == WHOLE_SECONDS


def test_a_crash_of_what_a_rewrite_made_is_its_fault(monkeypatch):
    failing = Failing("os.abort()", "Softsign")
    monkeypatch.setattr(worker, "best_runner", failing)

    @rule(op.Tanh(x), numerics=Exact())
    def crashing(m, new):
        return new.Softsign(m[x])

    result = graphopt.optimize(proto(NET, WEIGHTS), passes=[crashing, double_negation])
    assert [(entry.rule, entry.place) for entry in result.report.rolled_back] == [("crashing", "Tanh seventh")]
    assert result.report.hits == {"double_negation": 1}
    assert result.report.whole.status is Status.VERIFIED
