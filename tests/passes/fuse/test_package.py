import passes.fuse as package
from passes.fuse import FUSE, activation, linear, norm


def test_every_rule_is_exported_by_its_name():
    assert {rule.name: rule for rule in FUSE.rules} == {rule.name: getattr(package, rule.name) for rule in FUSE.rules}
    assert {rule.name for rule in FUSE.rules} | {"FUSE", "RULES"} == set(package.__all__)


def test_rules_have_one_home_each():
    assert list(FUSE.rules) == [*linear.RULES, *activation.RULES, *norm.RULES, *linear.LATE]
    assert len({rule.name for rule in FUSE.rules}) == len(FUSE.rules)
