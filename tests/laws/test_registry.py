"""Laws over every pass and every rule: named, documented, tested, importable, and round-tripping as text."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from graphopt.numerics.contract import Close, Exact, parse_contract
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.text import parse

ROOT = Path(__file__).parents[2]
PASSES = Registry().passes
RULES = [(one, rule) for one in PASSES.values() for rule in one.rules]


def ids(case):
    return f"{case[0].name}.{case[1].name}"


def test_there_are_passes_and_rules():
    assert {"clean", "canonical", "fold", "fuse", "opset", "freeze"} <= PASSES.keys()
    assert len(RULES) > 50


def test_rule_names_are_unique():
    rules = dict.fromkeys(rule for _, rule in RULES)
    assert len({rule.name for rule in rules}) == len(rules)


@pytest.mark.parametrize("one", PASSES.values(), ids=lambda one: one.name)
def test_a_pass_is_documented_and_its_name_is_a_pipeline(one):
    assert len(one.doc.split()) >= 5
    assert str(parse(one.name)) == one.name
    for option in one.options:
        assert option.doc


@pytest.mark.parametrize("case", RULES, ids=ids)
def test_a_rule_says_what_it_does_and_what_it_promises(case):
    _, rule = case
    assert len(rule.doc.split()) >= 3
    assert rule.doc.rstrip().endswith((".", ":"))
    assert parse_contract(str(rule.numerics)) == rule.numerics
    assert rule.roots
    assert 1 <= rule.opset <= 28


@pytest.mark.parametrize("case", RULES, ids=ids)
def test_a_safe_pass_makes_only_small_errors(case):
    one, rule = case
    assert isinstance(rule.numerics, Exact | Close) or not one.safe


@pytest.mark.parametrize("case", RULES, ids=ids)
def test_a_rule_has_tests_and_can_be_imported_from_its_pass(case):
    one, rule = case
    package = importlib.import_module(f"passes.{one.name}")
    assert getattr(package, rule.name) is rule
    module = inspect.getmodule(rule.apply)
    assert module is not None
    home = module.__name__.split(".")[1]
    tests = [path.read_text("utf-8") for path in (ROOT / "tests" / "passes" / home).rglob("test_*.py")]
    assert any(rule.name in text for text in tests), f"no test names {rule.name} of {module}"


@pytest.mark.parametrize("case", RULES, ids=ids)
def test_a_rule_is_short(case):
    lines = len(inspect.getsource(case[1].apply).splitlines())
    assert lines <= 30


@pytest.mark.parametrize("case", RULES, ids=ids)
def test_a_rule_can_be_chosen_alone(case):
    one, rule = case
    text = f"{one.name}:only={rule.name}"
    assert str(parse(text)) == text
    Registry().resolve(parse(text))
