"""The default pipeline on every real network: verified, right, idempotent, with at most the nodes of its peers."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest

import graphopt
from graphopt.ir.reader import load
from graphopt.numerics.compare import compare
from graphopt.numerics.contract import parse_contract
from graphopt.numerics.run import run
from tests.corpus import fusions
from tests.corpus.files import best, inputs, models, network_best, peers

pytestmark = pytest.mark.skipif(not models(), reason="the corpus of real networks is not beside the checkout")

EXCEPTIONS = {
    "ultraface.onnx": "its weights are inputs with defaults, which peers fold and thereby drop from the interface; "
    "with `freeze` in front 125 nodes are left, as the best peer leaves",
}
"""Files on which a peer leaves fewer nodes, and why that is right."""

CPU_ALONE = ("efficientnet.dynamo.onnx", "efficientnet.ts.onnx")
"""Files of which the best peer counts with FusedConv and Sigmoid, which only the CPU provider has."""
FIXED_SIZES = {"t5.ts.onnx": 1}
"""Files with free sizes, and how many nodes more compute with them than in an export with fixed ones."""

UNVERIFIED = {
    "silero-vad.onnx": "has branches for inputs of another rank, which no input that the model accepts reaches"
}
"""Files in which some rewrites cannot be checked on their own, and why."""


@functools.cache
def optimised(path):
    return graphopt.optimize(path, feeds=inputs(path))


def each(function):
    return pytest.mark.parametrize("path", models(), ids=lambda path: path.stem)(function)


@each
def test_verifies(path):
    report = optimised(path).report
    assert not report.rolled_back, report
    assert not report.unverified or path.name in UNVERIFIED, report
    assert report.whole.status == "verified", report


@pytest.mark.parametrize("path", [p for p in models() if p.stem.startswith("silero")], ids=lambda path: path.stem)
def test_the_whole_is_compared_although_no_shape_tells_which_sizes_fit(path):
    assert graphopt.optimize(path).report.whole.status == "verified"


@each
def test_agrees_on_its_own_inputs(path):
    result = optimised(path)
    feeds = inputs(path)
    names = [tensor.name for tensor in load(path).graph.outputs]
    expected = run(str(path), feeds, outputs=names)
    found = run(result.model.to_proto().SerializeToString(), feeds, outputs=names)
    verdict = compare(expected, found, parse_contract(result.report.contract), names=names)
    assert verdict.ok, verdict.reason


@each
def test_leaves_at_most_as_many_nodes_as_the_best_peer(path):
    if path.name in EXCEPTIONS:
        pytest.skip(EXCEPTIONS[path.name])
    assert optimised(path).report.after.nodes <= best(peers()[path.name])


@pytest.mark.parametrize("path", [p for p in models() if p.parent.name == "graphs"], ids=lambda path: path.stem)
def test_leaves_at_most_as_many_nodes_as_any_peer_of_any_export(path):
    on_cpu = path.name in CPU_ALONE
    result = graphopt.optimize(path, target="cpu", verify="off") if on_cpu else optimised(path)
    assert result.report.after.nodes <= network_best(path.name, peers()) + FIXED_SIZES.get(path.name, 0)


@each
def test_the_readme_says_what_is_written(path):
    line = fusions.row(path, optimised(path))
    about = [shown for shown in fusions.shown() if shown.split(" | ")[:2] == line.split(" | ")[:2]]
    if line:
        assert about == [line], "run `python -m tests.corpus.fusions`"


@each
def test_a_second_run_changes_nothing(path, tmp_path):
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    optimised(path).model.save(first)
    again = graphopt.optimize(first, verify="structure")
    again.model.save(second)
    assert not again.report.rewrites, again.report
    assert first.read_bytes() == second.read_bytes()


HASHED = "import sys, graphopt; graphopt.optimize(sys.argv[1], verify='off').model.save(sys.argv[2])"


@pytest.mark.parametrize("name", ["swin.ts", "bert.dynamo", "silero-vad-op15"])
def test_the_result_does_not_depend_on_the_hash_seed(name, tmp_path):
    path = next(path for path in models() if path.stem == name)
    results = []
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.onnx"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", HASHED, str(path), str(out)], check=True, env=environment)
        results.append(out.read_bytes())
    assert results[0] == results[1]
