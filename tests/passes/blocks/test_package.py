from __future__ import annotations

import graphopt
import passes.blocks as package
from passes.blocks import BLOCKS, OPTIONAL, RULES
from tests.support import apply, operators


def test_every_rule_is_exported_by_its_name():
    rules = {rule.name: rule for rule in BLOCKS.rules}
    assert rules == {name: getattr(package, name) for name in rules}
    assert rules.keys() | {"BLOCKS", "RULES"} == set(package.__all__)


def test_what_is_slower_on_the_cpu_is_not_written_for_it():
    assert set(RULES).isdisjoint(OPTIONAL)
    text = """g (float[N,S,8] x, float[N,S,8] k) => (float[N,S,8] y) {
        t = Add(x, k) n = LayerNormalization(t, w) y = Add(n, t) }"""
    weights = {"w": (8,)}
    assert operators(apply("blocks", text, weights, target="cpu").model) == {"Add": 2, "LayerNormalization": 1}
    assert operators(apply("blocks", text, weights).model) == {"SkipLayerNormalization": 1, "Add": 1}


def test_a_second_run_changes_nothing():
    text = """g (float[N,S,8] x, float[N,S,8] k) => (float[N,S,8] y) {
        b = Add(x, w) g = Gelu(b) t = Add(g, k) n = LayerNormalization(t, w) s = Sigmoid(n) y = Mul(n, s) }"""
    once = apply("blocks", text, {"w": (8,)})
    again = graphopt.optimize(once.model.to_proto(), passes="blocks")
    assert not again.report.rewrites
    assert operators(again.model) == operators(once.model)
