"""The manager: passes in order, fix(...) until nothing changes, termination, observers, plugins, provenance."""

from __future__ import annotations

import sys
from importlib import metadata

import numpy as np
import pytest

import graphopt
from graphopt import Exact, Pass, PassError, UsageError, Value, op, rule, rule_pass
from tests.support import apply, proto

x = Value("x")
TEXT = "agraph (float[N, 4] x) => (float[N, 4] y) { [one] a = Relu(x) [two] b = Relu(a) [three] y = Relu(b) }"


@rule(op.Relu(op.Relu(x)), numerics=Exact())
def once(m, new):
    """Relu twice is Relu once."""
    return new.Relu(m[x])


@rule(op.Relu(x), numerics=Exact())
def to_max(m, new):
    """Relu is the maximum with zero."""
    return new.Max(m[x], 0.0)


@rule(op.Max(x, 0.0), numerics=Exact())
def to_relu(m, new):
    """The maximum with zero is Relu."""
    return new.Relu(m[x])


class Watch:
    def __init__(self):
        self.heard = []

    def pass_begins(self, _context, step):
        self.heard.append(f"begin {step}")

    def pass_ends(self, _context, record):
        self.heard.append(f"end {record.step} {record.nodes_before}->{record.nodes_after} {record.hits}")

    def message(self, text):
        self.heard.append(text)


def test_observers_hear_of_every_pass():
    watch = Watch()
    apply([once], TEXT, observers=[watch])
    assert watch.heard[:2] == ["begin once", "end once 3->1 {'once': 2}"]


def test_a_fixpoint_ends_when_a_round_changes_nothing(monkeypatch):
    watch, calls = Watch(), []
    counted = Pass("counted", lambda context, _options: calls.append(context.step), "Counts its runs.")
    plugin = type(sys)("plugin_of_rounds")
    plugin.PASSES = (counted, rule_pass("once", "Relu once.", [once]))
    monkeypatch.setitem(sys.modules, "plugin_of_rounds", plugin)
    graphopt.optimize(proto(TEXT), passes="fix(counted,once)", plugins=["plugin_of_rounds"], observers=[watch])
    assert calls == ["counted", "counted"]


def test_a_step_that_found_nothing_runs_again_only_after_a_change(monkeypatch):
    watch, calls = Watch(), []
    counted = Pass("counted", lambda context, _options: calls.append(context.step), "Counts its runs.")
    lossy = Pass("lossy", lambda context, _options: calls.append(context.step), "Counts its runs.", safe=False)
    plugin = type(sys)("plugin_of_steps")
    plugin.PASSES = (counted, lossy, rule_pass("once", "Relu once.", [once]))
    monkeypatch.setitem(sys.modules, "plugin_of_steps", plugin)
    passes = "counted,counted,once,counted,counted,lossy,lossy"
    graphopt.optimize(proto(TEXT), passes=passes, plugins=["plugin_of_steps"], observers=[watch])
    assert calls == ["counted", "counted", "lossy", "lossy"]
    assert [text for text in watch.heard if text.startswith("begin")] == [f"begin {one}" for one in passes.split(",")]


def test_rules_that_undo_each_other_are_named():
    with pytest.raises(PassError, match=r"rule (to_max|to_relu) does not terminate"):
        apply(rule_pass("circle", "Goes round.", [to_max, to_relu]), TEXT)


def test_passes_that_undo_each_other_do_not_run_for_ever(monkeypatch):
    plugin = type(sys)("plugin_of_circles")
    plugin.PASSES = (rule_pass("there", "To Max.", [to_max]), rule_pass("back", "To Relu.", [to_relu]))
    monkeypatch.setitem(sys.modules, "plugin_of_circles", plugin)
    with pytest.raises(PassError, match="still changes the model after"):
        graphopt.optimize(proto(TEXT), passes="fix(there,back)", plugins=["plugin_of_circles"], verify="structure")


def test_plugins_are_found_by_entry_point(monkeypatch):
    plugin = type(sys)("plugin_by_entry")
    plugin.PASSES = (rule_pass("theirs", "Somebody else's.", [once]),)
    monkeypatch.setitem(sys.modules, "plugin_by_entry", plugin)
    entry = metadata.EntryPoint("theirs", "plugin_by_entry:PASSES", "graphopt.passes")
    monkeypatch.setattr("graphopt.pipeline.registry.installed", lambda: [entry])
    assert graphopt.optimize(proto(TEXT), passes="theirs").report.hits == {"once": 2}


@pytest.mark.parametrize("name", ["no_such_module_anywhere", "json"])
def test_plugins_that_cannot_be_loaded(name):
    with pytest.raises(UsageError, match=f"plugin {name}"):
        graphopt.optimize(proto(TEXT), plugins=[name])


def test_new_nodes_say_where_they_come_from():
    model = proto(TEXT)
    model.graph.node[1].metadata_props.add(key="layer", value="encoder.1")
    (node,) = graphopt.optimize(model, passes=[once]).model.graph.nodes
    assert node.metadata["graphopt.rule"] == "once"
    assert node.metadata["graphopt.from"].split() == ["three", "two", "one"]
    assert node.metadata["layer"] == "encoder.1"


def test_the_source_is_never_changed():
    message = proto(TEXT)
    model = graphopt.load(message)
    before, read = (m.SerializeToString(deterministic=True) for m in (message, model.to_proto()))
    graphopt.optimize(message, passes=[once])
    graphopt.optimize(model, passes=[once])
    assert message.SerializeToString(deterministic=True) == before
    assert model.to_proto().SerializeToString(deterministic=True) == read


def test_what_cannot_be_checked_is_kept_and_said():
    text = '<ir_version: 10, opset_import: ["": 21, "nobody.knows": 1]> '
    nodes = "a = nobody.knows.Blur(x) b = Relu(a) c = Relu(b) y = nobody.knows.Blur(c)"
    body = f"agraph (float[4] x) => (float[4] y) {{ {nodes} }}"
    result = graphopt.optimize(proto(text + body), passes=[once])
    (entry,) = result.report.unverified
    assert entry.rule == "once"
    assert result.report.whole.status == "unverified"
    assert not result.report.clean


def test_shapes_come_from_the_feeds():
    feeds = {"x": np.ones((3, 4), np.float32)}
    assert graphopt.optimize(proto(TEXT), passes=[once], feeds=feeds).report.whole.status == "verified"
    with pytest.raises(UsageError, match=r"input 'x' must have shape \['N', 4\], found \[3, 5\]"):
        graphopt.optimize(proto(TEXT), passes=[once], feeds={"x": np.ones((3, 5), np.float32)})
