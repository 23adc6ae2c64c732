import os
import subprocess
import sys

import numpy as np
import pytest

import graphopt
from passes.fold import FOLD
from tests.support import operators, proto

TEXT = """g (float[B, T, 12] x, bool d) => (float[B, T, 3, 4] y, float[4] z, int64[1] n) {
    s = Shape(x) b = Gather(s, zero) t = Gather(s, one) u = Concat<axis=0>(b, t, heads) y = Reshape(x, u)
    w = Exp(v)
    k = If (d) <then_branch = p () => (float[4] h) { h = Neg(w) }, else_branch = q () => (float[4] i) { i = Abs(w) }>
    z = Add(k, w)
    n = Shape<start=2>(x)
}"""
WEIGHTS = {"zero": np.array([0]), "one": np.array([1]), "heads": np.array([3, 4]), "v": (4,)}


def test_a_second_run_changes_nothing():
    first = graphopt.optimize(proto(TEXT, WEIGHTS), passes=[FOLD]).model.to_proto()
    second = graphopt.optimize(first, passes=[FOLD])
    assert not second.report.rewrites
    assert second.model.to_proto().SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)


def test_the_result_does_not_depend_on_hashing():
    program = (
        "import sys, graphopt; from passes.fold import FOLD; from tests.passes.fold.test_fold import *;"
        "m = graphopt.optimize(proto(TEXT, WEIGHTS), passes=[FOLD], verify='off').model.to_proto();"
        "sys.stdout.buffer.write(m.SerializeToString(deterministic=True))"
    )
    results = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            check=True, capture_output=True,
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(results) == 1


def test_parts_can_be_chosen():
    folded = graphopt.optimize(proto(TEXT, WEIGHTS), passes="fold:only=evaluate")
    assert {entry.rule for entry in folded.report.rewrites} == {"constant"}
    without = graphopt.optimize(proto(TEXT, WEIGHTS), passes="fold:skip=evaluate")
    assert "constant" not in {entry.rule for entry in without.report.rewrites}


@pytest.mark.parametrize("part", ["only", "skip"])
def test_a_part_that_does_not_exist(part):
    with pytest.raises(graphopt.UsageError, match="pass fold has no part 'nothing'"):
        graphopt.optimize(proto(TEXT, WEIGHTS), passes=f"fold:{part}=nothing")


def test_every_prefix_of_the_rewrites_is_a_valid_model():
    total = len(graphopt.optimize(proto(TEXT, WEIGHTS), passes=[FOLD], verify="off").report.rewrites)
    assert total > 3
    for limit in range(total):
        result = graphopt.optimize(proto(TEXT, WEIGHTS), passes=[FOLD], verify="full", limit=limit)
        assert len(result.report.rewrites) == limit
        assert not result.report.rolled_back


def test_a_deep_chain_of_constants():
    count = 3000
    chain = " ".join(f"a{i + 1} = Neg(a{i})" for i in range(count))
    text = f"g (float[2] x) => (float[2] y) {{ {chain} y = Add(x, a{count}) }}"
    result = graphopt.optimize(proto(text, {"a0": (2,)}), passes=[FOLD], verify="structure")
    assert operators(result.model) == {"Add": 1}
