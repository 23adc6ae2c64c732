from __future__ import annotations

import passes.positions as package
from passes.positions import POSITIONS


def test_every_rule_is_exported_by_its_name():
    assert {rule.name: rule for rule in POSITIONS.rules} == {
        rule.name: getattr(package, rule.name) for rule in POSITIONS.rules
    }
    assert {rule.name for rule in POSITIONS.rules} | {"POSITIONS", "RULES"} == set(package.__all__)


def test_it_writes_nothing_but_the_standard():
    assert not any(rule.emits for rule in POSITIONS.rules)
