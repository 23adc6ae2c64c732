"""`graphopt why`: near misses in words."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import PLUGIN, run

CHAINS = """
agraph (float[n, 4] x) => (float[n, 4] y, float[n, 4] z, float[n, 4] u, float[n, 4] v)
{
    a = Relu(x)
    y = Relu(a)
    b = Abs(x)
    z = Relu(b)
    c = Sigmoid(x)
    u = Relu(c)
    d = Abs(u)
    v = Relu(d)
}
"""


@pytest.fixture
def chains(written):
    return written(CHAINS)


def why(*arguments):
    return run("why", *arguments, *PLUGIN, "--passes", "")


def test_says_where_the_rule_fires_and_why_nowhere_else(chains):
    record = json.loads(why(chains, "--rule", "relu_twice", "--json").stdout)
    assert record["fires"] == ["Relu y"]
    places = [place for reason in record["reasons"] for place in reason["places"]]
    assert sorted(places) == ["Relu u", "Relu v", "Relu y_Relu", "Relu z"]


def test_reasons_alike_but_for_names_are_one(chains):
    record = json.loads(why(chains, "--rule", "relu_twice", "--json").stdout)
    alike = {reason["reason"]: len(reason["places"]) for reason in record["reasons"]}
    assert alike == {
        "expected Relu, found Abs (b)": 2,
        "expected Relu, found Sigmoid (c)": 1,
        "expected Relu, found the input x": 1,
    }


def test_what_a_rule_says_of_itself_is_passed_on(model):
    result = why(model, "--rule", "fussy")
    assert result.exit_code == 0
    assert "It fires nowhere." in result.stdout
    assert "the moon is not full." in result.stdout
    assert "at Exp y" in result.stdout


def test_passes_can_be_run_before(model):
    alone = json.loads(why(model, "--rule", "relu_twice", "--json").stdout)
    after = json.loads(run("why", model, "--rule", "relu_twice", *PLUGIN, "--passes", "right", "--json").stdout)
    assert (alone["fires"], alone["before"]) == (["Relu b"], "")
    assert (after["fires"], after["before"]) == ([], "right")


def test_by_default_the_passes_that_come_before(here):
    from tests.cli.conftest import ROOT

    result = run("why", ROOT / "models" / "digits.onnx", "--rule", "conv_batchnorm", "--json")
    record = json.loads(result.stdout)
    assert len(record["fires"]) == 7
    assert record["before"].startswith("clean")
    assert "fuse" not in record["before"]


def test_the_limit_counts_what_it_leaves_out(chains):
    result = why(chains, "--rule", "relu_twice", "--limit", 1)
    assert "... and 2 more reasons (--limit)" in result.stdout


def test_an_operator_that_is_not_there(chains):
    result = why(chains, "--rule", "fussy")
    assert "Nothing in the model looks like it." in result.stdout


def test_an_opset_that_is_too_old(written):
    old = '<ir_version: 8, opset_import: ["" : 12]> agraph (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }'
    result = run("why", written(old), "--rule", "gelu", "--passes", "")
    assert "It cannot be used here: it needs opset 20, the model has 12" in result.stdout
