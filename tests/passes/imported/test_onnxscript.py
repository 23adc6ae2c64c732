"""Rules of onnxscript run as a pass: right ones stay, wrong ones are undone alone and named."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt import Close, Exact
from graphopt.errors import UsageError
from passes.imported import onnxscript_pass
from tests.support import apply, operators, proto

orp = pytest.importorskip("onnxscript.rewriter")

TEXT = """g (float[N,3,8,8] x) => (float[N,4,1,36] y) {
    a = Conv (x, w) b = BatchNormalization (a, gamma, beta, mean, variance) c = Relu (b) d = Relu (c)
    e = Transpose <perm = [0, 2, 3, 1]> (d) f = Transpose <perm = [0, 3, 1, 2]> (e) y = Reshape (f, shape) }"""
HELD = {
    "w": (4, 3, 3, 3), "shape": np.array([0, 4, 1, 36]),
    **dict.fromkeys(("gamma", "beta", "mean", "variance"), np.linspace(0.5, 1.5, 4, dtype=np.float32)),
}  # fmt: skip


def real_rules():
    from onnxscript.rewriter.rules.common import (
        fuse_batchnorm_into_conv_rule,
        successive_relu_rule,
        transpose_transpose_rule,
    )

    return [fuse_batchnorm_into_conv_rule, successive_relu_rule, transpose_transpose_rule]


def forgetful():
    """A normalised convolution without the normalisation: wrong."""
    return orp.RewriteRule(
        lambda op, x, w, g, b, m, v: op.BatchNormalization(op.Conv(x, w), g, b, m, v),
        lambda op, x, w, **_: op.Conv(x, w),
        name="forgetful",
    )


def test_real_rules():
    theirs = onnxscript_pass("theirs", "Rules of onnxscript.", real_rules(), numerics=Close(64))
    result = apply([theirs, "clean"], TEXT, HELD)
    assert not result.report.rolled_back, result.report
    assert not result.report.unverified, result.report
    assert operators(result.model) == {"Conv": 1, "Relu": 1, "Reshape": 1}
    assert str(result.report.whole.status) == "verified"
    onnx.checker.check_model(result.model.to_proto(), full_check=True)


def test_a_wrong_rule_is_undone_alone_and_named(tmp_path):
    rules = [forgetful(), *real_rules()[1:]]
    result = apply(
        [onnxscript_pass("theirs", "Rules of onnxscript.", rules), "clean"], TEXT, HELD, reproducers=tmp_path
    )
    assert {entry.rule for entry in result.report.rolled_back} == {"forgetful"}
    assert operators(result.model) == {"Conv": 1, "BatchNormalization": 1, "Relu": 1, "Reshape": 1}
    assert str(result.report.whole.status) == "verified"
    assert any(tmp_path.iterdir())


def test_constants_and_operators_of_other_domains():
    rule = orp.RewriteRule(
        lambda op, x: op.Mul(x, op.Sigmoid(x)),
        lambda op, x: op.QuickGelu(x, alpha=1.0, _domain="com.microsoft"),
        name="quick",
    )
    result = apply(
        onnxscript_pass("theirs", "One rule.", rule),
        "g (float[N,4] x) => (float[N,4] y) { a = Sigmoid (x) y = Mul (x, a) }",
    )
    assert operators(result.model) == {"QuickGelu": 1}
    assert result.model.opsets["com.microsoft"] == 1
    assert not result.report.rolled_back


def test_rules_that_feed_each_other_run_until_nothing_fits():
    text = "g (float[N] x) => (float[N] y) { a = Relu (x) b = Relu (a) c = Relu (b) d = Relu (c) y = Relu (d) }"
    rules = onnxscript_pass("theirs", "Relu of Relu.", real_rules()[1], numerics=Exact())
    assert operators(apply(rules, text).model) == {"Relu": 1}


def test_an_exact_promise_of_a_rule_that_rounds_is_broken():
    result = apply(onnxscript_pass("theirs", "Rules.", real_rules()[0], numerics=Exact()), TEXT, HELD)
    assert result.report.rolled_back
    assert operators(result.model)["BatchNormalization"] == 1


def test_fuel():
    result = apply(onnxscript_pass("theirs", "Rules.", real_rules()), TEXT, HELD, limit=1)
    assert len(result.report.rewrites) == 1


def test_a_rule_that_makes_functions_is_refused():
    rule = orp.RewriteRule(
        lambda op, x: op.Relu(x), lambda op, x: op.Mine(x, _domain="mine"), name="mine", as_function=True
    )
    with pytest.raises(UsageError, match="function"):
        onnxscript_pass("theirs", "One rule.", rule)


PLUGIN = """
from onnxscript.rewriter.rules.common import successive_relu_rule
from passes.imported import onnxscript_pass

PASSES = (onnxscript_pass("theirs", "Relu of Relu is Relu.", successive_relu_rule),)
"""


def test_from_the_command_line(tmp_path: Path):
    (tmp_path / "theirs.py").write_text(PLUGIN, "utf-8")
    onnx.save(proto("g (float[N] x) => (float[N] y) { a = Relu (x) y = Relu (a) }"), tmp_path / "in.onnx")
    command = [
        sys.executable,
        "-m",
        "graphopt.cli",
        "optimize",
        "in.onnx",
        "-o",
        "out.onnx",
        "--plugin",
        "theirs",
        "--passes",
        "theirs",
    ]
    root = str(Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), root))}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(onnx.load(tmp_path / "out.onnx").graph.node) == 1
