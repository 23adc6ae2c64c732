"""Wrong rewrites are caught, blamed on rule and place, rolled back alone, and leave a reproducer; the rest is kept."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import graphopt
from graphopt import Close, Exact, Pass, PassError, Value, op, rule
from graphopt.ir.edit import Draft, Rewrite
from graphopt.ir.types import Constant, Variable
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.feeds import Real
from graphopt.numerics.region import READERS
from graphopt.numerics.run import InProcess, PairResult, check_pair
from graphopt.numerics.worker import Worker
from graphopt.pipeline.journal import Status, Verdict
from tests.support import apply, operators, proto

x, y, c = Value("x"), Value("y"), graphopt.Const("c")

NET = """agraph (float[N, 4, 4] x) => (float[N, 4, 4] y) {
    [first] a = Mul(x, two)  [second] b = Relu(a)  [third] d = Mul(b, row)  [fourth] e = Neg(d)  [fifth] f = Neg(e)
    [sixth] y = Sigmoid(f)
}"""
WEIGHTS = {"two": np.array(2.0, np.float32), "row": np.array([1.0, 2.0, 3.0, 4.0], np.float32)}


@rule(op.Neg(op.Neg(x)), numerics=Exact())
def double_negation(m, new):
    """-(-x) is x; right."""
    m.require(m.can_stand_for(m[x], m.root.outputs[0]), "the name must be kept")
    return m[x]


@rule(x * 2.0, numerics=Close(4))
def wrong_constant(m, new):
    """2 x is x + x; here a little more."""
    return new.Add(m[x], new.Mul(m[x], np.array(1.001, np.float32)))


@rule(x * c, numerics=Exact())
def wrong_axis(m, new):
    """x row is x row; here along the wrong axis."""
    m.require(m[c].shape == (4,), "not a row")
    return new.Mul(m[x], m[c].reshape(4, 1))


@pytest.mark.parametrize(("wrong", "place"), [(wrong_constant, "Mul first"), (wrong_axis, "Mul third")])
def test_a_wrong_rule_is_undone_alone(wrong, place, tmp_path):
    result = apply_all([wrong, double_negation], tmp_path)
    (entry,) = result.report.rolled_back
    assert (entry.rule, entry.place, entry.verdict.status) == (wrong.name, place, Status.WRONG)
    assert result.report.hits == {"double_negation": 1}
    assert operators(result.model) == {"Mul": 2, "Relu": 1, "Sigmoid": 1}
    assert result.report.whole.status is Status.VERIFIED


def test_checking_ahead_and_checking_step_by_step_say_the_same(tmp_path):
    rules = [wrong_constant, wrong_axis, double_negation]
    ahead = apply_all(rules, tmp_path / "ahead")
    options = {"reproducers": tmp_path / "steps", "runner": InProcess()}
    steps = graphopt.optimize(proto(NET, WEIGHTS), passes=rules, **options)
    assert ahead.model.to_proto() == steps.model.to_proto()
    assert [plain(entry) for entry in ahead.report.rolled_back] == [plain(entry) for entry in steps.report.rolled_back]
    assert ahead.report.rewrites == steps.report.rewrites
    assert sorted(folder.name for folder in (tmp_path / "ahead" / "faults").iterdir()) == [
        "wrong_axis-1",
        "wrong_constant-1",
    ]


def plain(entry):
    return entry.rule, entry.place, entry.number, entry.verdict.error, entry.verdict.detail


def apply_all(rules, tmp_path):
    return graphopt.optimize(proto(NET, WEIGHTS), passes=rules, reproducers=tmp_path / "faults")


def test_the_reproducer_shows_the_fault_with_the_command_that_it_names(tmp_path):
    (entry,) = apply_all([wrong_axis], tmp_path).report.rolled_back
    folder = tmp_path / "faults" / "wrong_axis-1"
    assert entry.verdict.reproducer == str(folder)
    facts = json.loads((folder / "rule.json").read_text("utf-8"))
    assert facts["rule"] == "wrong_axis"
    assert facts["place"] == "Mul third"
    lines = (folder / "README.md").read_text("utf-8").splitlines()
    (command,) = [line.strip() for line in lines if "graphopt compare" in line]
    arguments = command.replace('"', "").split()[1:]
    command = [sys.executable, "-m", "graphopt.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr


def test_only_one_of_many_equal_places_can_be_wrong():
    text = "agraph (float[N, 4] x) => (float[N, 4] y) {" + "\n".join(
        f"[m{i}] a{i} = Mul({'x' if i == 0 else f'a{i - 1}'}, two)" for i in range(40)
    )
    text += " y = Identity(a39) }"

    @rule(x * 2.0, numerics=Close(4))
    def wrong_at_one_place(m, new):
        return new.Add(m[x], new.Mul(m[x], np.array(3.0, np.float32)) if m.root.name == "m17" else m[x])

    report = apply(wrong_at_one_place, text, {"two": np.array(2.0, np.float32)}).report
    assert [entry.place for entry in report.rolled_back] == ["Mul m17"]
    assert report.hits == {"wrong_at_one_place": 39}


def test_a_rule_that_is_wrong_only_at_another_batch_size_is_caught():
    @rule(op.Relu(x), numerics=Exact())
    def frozen_batch(m, new):
        return new.Reshape(new.Relu(m[x]), np.array([2, -1, 4], np.int64))

    (entry,) = apply(frozen_batch, NET, WEIGHTS).report.rolled_back
    assert entry.place == "Relu second"


@pytest.mark.parametrize("slip", ["large", "denormal"])
def test_a_rule_that_is_wrong_only_for_unusual_values_is_caught(slip):
    @rule(op.Neg(x), numerics=Exact())
    def careless(m, new):
        if slip == "large":
            return new.Neg(new.Clip(m[x], np.array(-5e3, np.float32), np.array(5e3, np.float32)))
        small = new.Less(new.Abs(m[x]), np.array(1e-37, np.float32))
        return new.Neg(new.Where(small, np.array(0.0, np.float32), m[x]))

    assert len(apply(careless, NET, WEIGHTS).report.rolled_back) == 2


def test_a_rule_that_makes_nan_is_caught():
    @rule(op.Relu(x), numerics=Close(1e6))
    def through_the_root(m, new):
        root = new.Sqrt(m[x])
        return new.Mul(root, root)

    (entry,) = apply(through_the_root, NET, WEIGHTS).report.rolled_back
    assert "nan" in entry.verdict.detail.lower()


def test_a_rule_that_changes_the_dtype_is_caught():
    @rule(op.Relu(x), numerics=Close(1e6))
    def doubled(m, new):
        return new.Cast(m[x], to=11)

    assert apply(doubled, NET, WEIGHTS).report.rolled_back


def test_a_rule_that_emits_an_operator_which_the_opset_lacks_is_caught():
    @rule(op.Relu(x), numerics=Exact())
    def from_the_future(m, new):
        return new.Swish(m[x])

    (entry,) = apply(from_the_future, NET, WEIGHTS).report.rolled_back
    assert "no operator Swish" in entry.verdict.detail


def test_layers_with_other_weights_are_each_checked():
    @rule(op.MatMul(x, c), numerics=Close(64))
    def wrong_for_negative_weights(m, new):
        return new.Gemm(m[x], abs(m[c]))

    text = "agraph (float[N, 40] x) => (float[N, 40] y) { a = MatMul(x, u) [second] b = MatMul(a, v) y = MatMul(b, w) }"
    positive = np.random.default_rng(0).uniform(0.1, 1, (40, 40)).astype(np.float32)
    one_negative = positive.copy()
    one_negative[7, 30] *= -1
    result = apply(wrong_for_negative_weights, text, {"u": positive, "v": one_negative, "w": positive * 2})
    assert [entry.place for entry in result.report.rolled_back] == ["MatMul second"]


def forged(context, _options):
    """Rewrites every Neg, one of them wrongly, with evidence that no region check would give."""
    for node in list(context.model.graph.nodes):
        if node.op == "Neg":
            out = Variable("?")
            scale = Constant("?", np.array(-1.5 if node.name == "fifth" else -1.0, np.float32))
            draft = Draft("Mul", [node.inputs[0], scale], [out])
            rewrite = Rewrite(context.model.graph, node, (node,), (draft,), {node.outputs[0]: out})
            context.apply(rewrite, "forged", Exact(), Verdict(Status.EVALUATED))


def test_a_fault_that_shows_only_in_the_whole_model_is_found_by_bisection():
    result = apply(Pass("forger", forged, ""), NET, WEIGHTS)
    (entry,) = result.report.rolled_back
    assert (entry.rule, entry.place) == ("forged", "Neg fifth")
    assert result.report.hits == {"forged": 1}
    assert operators(result.model) == {"Mul": 3, "Relu": 1, "Neg": 1, "Sigmoid": 1}
    assert result.report.whole.status is Status.VERIFIED


ROUNDED = """g (float16[64] x) => (float16[64] y) {
    a = Tanh(x)
    y = If (c) <then_branch = t () => (float16[64] p) { p = Sigmoid(a) },
                else_branch = e () => (float16[64] q) { q = Neg(a) }>
}"""


def test_where_the_runtime_rounds_to_16_bits_is_no_fault_of_a_rewrite():
    """In front of the If the runtime rounds; between Tanh and Sigmoid it does not."""
    report = apply("fold", ROUNDED, {"c": np.bool_(True)}).report
    assert report.hits == {"take_branch": 1}
    assert report.whole.status is Status.VERIFIED
    assert "16 bits" in report.whole.detail


def lose_output(context, _options):
    context.model.graph.outputs.pop()
    context.editor.revision += 1


def rename_input(context, _options):
    context.model.graph.inputs[0].name = "renamed"
    context.editor.revision += 1


def free_dimension(context, _options):
    context.model.graph.inputs[0].shape = (1, 4, 4)
    context.editor.revision += 1


def unsort(context, _options):
    context.model.graph.nodes.reverse()
    context.editor.revision += 1


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (lose_output, "had 1 outputs and now has 0"),
        (rename_input, "'x' .* became 'renamed'"),
        (free_dimension, "became 'x' .*1, 4, 4"),
        (unsort, "which nothing before it computes"),
    ],
)
def test_a_pass_that_breaks_the_model_by_itself_is_named(deed, words):
    with pytest.raises(PassError, match=f"(?s)vandal.*{words}"):
        apply(Pass("vandal", deed, ""), NET, WEIGHTS)


def test_levels_check_as_much_as_they_say():
    model = proto(NET, WEIGHTS)
    off = graphopt.optimize(model, passes=[wrong_axis], verify="off").report
    assert off.hits == {"wrong_axis": 1}
    assert off.regions_checked == 0
    assert off.whole.status is Status.OFF
    with pytest.raises(graphopt.UsageError, match="level 'much'"):
        graphopt.optimize(model, verify="much")


class Recording(InProcess):
    """Runs models, and takes down at which sizes of the first dimension regions and whole models were compared."""

    def __init__(self):
        self.sizes, self.regions = [], []

    def check_pair(self, before, after, feeds, contract, **options):
        kept = self.sizes if isinstance(after, str) else self.regions
        kept.append([next(iter(feed.draw().values())).shape[0] for feed in feeds])
        return check_pair(before, after, feeds, contract, **options)


@pytest.mark.parametrize(("count", "regions"), [(40, [[1, 3], [3]]), (4, [[1, 3], [1, 3]])])
def test_a_region_with_other_weights_than_one_that_passed_is_run_on_ordinary_numbers_alone(count, regions):
    """But not one with a few other numbers, on which it may hang what a rule does."""

    @rule(op.Relu(x * c), numerics=Exact())
    def paused(m, new):
        return new.Relu(new.Identity(new.Mul(m[x], m[c])))

    text = f"g (float[N, {count}] x) => (float[N, {count}] y) {{ a = Mul(x, v) b = Relu(a) d = Mul(b, w) y = Relu(d) }}"
    weights = {name: np.linspace(begin, 9, count, dtype=np.float32) for begin, name in enumerate("vw")}
    runner = Recording()
    report = graphopt.optimize(proto(text, weights), passes=[paused], runner=runner).report
    assert report.hits == {"paused": 2}
    assert runner.regions == regions


TABLES = """g (float[N, 40] x) => (float[N, 40] y) {
    count = Shape<start = 0, end = 1>(x)
    a = Slice(v, zero, count)  b = Add(x, a)  c = Relu(b)  d = Slice(w, zero, count)  e = Add(c, d)  y = Relu(e)
}"""


def test_regions_with_other_weights_are_run_where_more_of_those_show(monkeypatch):
    """Not at size 1: there a rule that looks at the first row of a table alone is right where that is zero."""

    @rule(x + op.Slice(c, graphopt.Rest("bounds")), numerics=Close(4))
    def careless(m, new):
        m.require(not m[c][0].any(), "not zero")
        return new.Identity(m[x])

    monkeypatch.setattr("graphopt.pipeline.verify.WHOLE_NODES", 1)
    zeros, later = np.zeros((8, 40), np.float32), np.repeat(np.float32([[0]] + [[1]] * 7), 40, axis=1)
    weights = {"v": later, "w": zeros, "zero": np.array([0])}
    report = graphopt.optimize(proto(TABLES, weights), passes=[careless]).report
    assert len(report.rolled_back) == 1
    assert report.hits == {"careless": 1}


def test_nothing_leans_on_a_region_that_could_not_be_run(monkeypatch):
    """The first of two that differ in their weights crashed, so the second is run on unusual numbers as well."""

    @rule(op.Relu(x * c), numerics=Exact())
    def paused(m, new):
        return new.Relu(new.Identity(new.Mul(m[x], m[c])))

    given, kinds, check = [], [], Worker.check_pair

    def lost(_self, pairs):
        given.extend(pairs)
        crashed = PairResult(failure=RunFailure("crash", "It died."), side="before")
        return [crashed if pair is given[0] else check_pair(*pair[:4]) for pair in pairs]

    def seen(self, before, after, feeds, *arguments, **options):
        kinds.append([getattr(feed, "kind", "") for feed in feeds])
        return check(self, before, after, feeds, *arguments, **options)

    monkeypatch.setattr(Worker, "check_pairs", lost)
    monkeypatch.setattr(Worker, "check_pair", seen)
    text = "g (float[N, 40] x) => (float[N, 40] y) { a = Mul(x, v) b = Relu(a) d = Mul(b, w) y = Relu(d) }"
    report = graphopt.optimize(proto(text, {"v": (40,), "w": (40,)}), passes=[paused]).report
    assert [[feed.kind for feed in pair.feeds] for pair in given] == [["normal", "edge"], ["normal"]]
    assert [entry.verdict.status for entry in report.rewrites] == [Status.UNVERIFIED, Status.VERIFIED]
    assert kinds[0] == ["normal", "edge"]


@pytest.mark.parametrize(
    ("level", "sizes"),
    [("region", [[3]]), ("full", [[3, 1]])],
)
def test_the_whole_is_compared_at_one_size_where_all_rewrites_were_checked_at_two(level, sizes):
    runner = Recording()
    report = graphopt.optimize(proto(NET, WEIGHTS), passes=[double_negation], verify=level, runner=runner).report
    assert report.whole.status is Status.VERIFIED
    assert runner.sizes == sizes


@pytest.mark.parametrize(("level", "sizes"), [("region", [1, 3]), ("full", [1, 3, 3])])
def test_ordinary_numbers_are_run_at_the_least_size_and_at_level_full_at_both(level, sizes):
    runner = Recording()
    report = graphopt.optimize(proto(NET, WEIGHTS), passes=[double_negation], verify=level, runner=runner).report
    assert report.hits == {"double_negation": 1}
    assert runner.regions == [sizes]


@pytest.mark.parametrize(("passes", "sizes"), [([double_negation], [3]), ("fuse", [1])])
def test_the_original_is_run_ahead_at_the_size_of_the_comparison_and_at_the_least_where_none_comes(
    passes, sizes, monkeypatch
):
    seen, expect = [], Worker.expect

    def recorded(self, model, feeds, **options):
        seen.extend(feed.inputs[0].shape[0] for feed in feeds)
        return expect(self, model, feeds, **options)

    monkeypatch.setattr(Worker, "expect", recorded)
    assert graphopt.optimize(proto(NET, WEIGHTS), passes=passes).report.whole.status is Status.VERIFIED
    assert seen == sizes


def unchecked(context, _options):
    """Puts Relu(Relu(x)) for Relu(x), which is right, without a check."""
    for node in list(context.model.graph.nodes):
        if node.name == "second":
            inner, out = Variable("inner", np.float32), Variable("outer", np.float32)
            drafts = Draft("Relu", [node.inputs[0]], [inner]), Draft("Relu", [inner], [out])
            rewrite = Rewrite(context.model.graph, node, (node,), drafts, {node.outputs[0]: out})
            context.apply(rewrite, "unchecked", Exact(), Verdict(Status.UNVERIFIED))


def test_the_whole_is_compared_at_two_sizes_where_a_rewrite_could_not_be_checked():
    runner = Recording()
    report = graphopt.optimize(proto(NET, WEIGHTS), passes=[Pass("unchecked", unchecked, "")], runner=runner).report
    assert (report.hits, report.whole.status) == ({"unchecked": 1}, Status.VERIFIED)
    assert runner.sizes == [[3, 1]]


def test_fuel_makes_every_run_a_prefix_of_the_next():
    text = "agraph (float[4] x) => (float[4] y) { a = Neg(x) b = Neg(a) c = Relu(b) d = Neg(c) e = Neg(d) y = Relu(e) }"
    counts = [len(apply([double_negation], text, limit=limit).report.rewrites) for limit in range(4)]
    assert counts == [0, 1, 2, 2]


def test_inputs_that_have_defaults_hold_them_where_a_rewrite_is_checked():
    """What stands behind a Reshape to such an input has no known shape, but for that."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[4, 6] x, int64[2] target) => (float[A, B] y) <int64[2] target = {8, 3}> {
        a = Reshape(x, target)  b = Neg(a)  y = Neg(b)
    }"""
    runner = Recording()
    report = graphopt.optimize(proto(text), passes=[double_negation], runner=runner).report
    assert [entry.verdict.status for entry in report.rewrites] == [Status.VERIFIED]
    assert runner.regions == [[8, 8]]


@pytest.mark.parametrize("layers", [3, READERS + 1])
def test_weights_that_many_layers_share_keep_their_values(layers, monkeypatch):
    """To draw others, each of the readers would be asked what it accepts, at each of them."""
    asked = []
    monkeypatch.setattr("graphopt.numerics.region.domain_of", lambda tensor, _: asked.append(tensor.name) or Real())

    @rule(op.Neg(op.Neg(x * c)), numerics=Exact())
    def positive(m, new):
        return new.Mul(m[x], m.tensor(c))

    body = " ".join(f"a{i} = Mul(h{i}, w) b{i} = Neg(a{i}) h{i + 1} = Neg(b{i})" for i in range(layers))
    text = f"g (float[40] h0) => (float[40] y) {{ {body} y = Identity(h{layers}) }}"
    report = graphopt.optimize(
        proto(text, {"w": np.linspace(0.9, 1, 40, dtype=np.float32)}), passes=[positive], runner=InProcess()
    ).report
    assert report.hits == {"positive": layers}
    assert ("w" in asked) == (layers <= READERS)
