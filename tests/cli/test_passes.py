"""`graphopt passes`: passes and rules as they describe themselves."""

from __future__ import annotations

import json

from tests.cli.conftest import PLUGIN, run


def test_every_pass_is_listed_with_what_it_does():
    from passes import PASSES

    result = run("passes")
    assert result.exit_code == 0
    for one in PASSES:
        assert any(line.startswith(one.name) for line in result.stdout.splitlines())


def test_plugins_are_listed_too():
    listed = json.loads(run("passes", *PLUGIN, "--json").stdout)
    planted = next(one for one in listed["passes"] if one["name"] == "planted")
    assert planted["doc"] == "Rules with faults.\n\nFor tests."
    assert [rule["name"] for rule in planted["rules"]] == ["relu_twice", "wrong_sigmoid", "unknown_thing"]
    assert "planted" not in run("passes", "--json").stdout


def test_a_pass_tells_its_options_and_the_contracts_of_its_rules():
    result = run("passes", "planted", *PLUGIN)
    assert "planted:only=" in result.stdout
    line = next(line for line in result.stdout.splitlines() if "wrong_sigmoid" in line)
    assert "close(16)" in line
    assert "tanh(0.51 x)" in line


def test_a_rule_tells_where_it_is_written_and_which_passes_have_it():
    rule = json.loads(run("passes", "relu_twice", *PLUGIN, "--json").stdout)
    assert rule["module"] == "tests.cli.planted"
    assert rule["passes"] == ["planted", "right"]
    assert rule["contract"] == "exact"
    assert "planted, right" in run("passes", "relu_twice", *PLUGIN).stdout


def test_every_rule_describes_itself():
    listed = json.loads(run("passes", "--json").stdout)
    for one in listed["passes"]:
        for rule in one["rules"]:
            assert rule["doc"], f"{rule['name']} has no docstring"
