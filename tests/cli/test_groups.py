"""`graphopt inspect --groups`: what can be pruned, and what pins the rest."""

from __future__ import annotations

import json

import onnx

from tests.cli.conftest import run
from tests.support import proto

NETWORK = """
g (float[n, 8] x) => (float[n, 4] y) { a = MatMul(x, w1)  b = Add(a, bias)  r = Relu(b)  y = MatMul(r, w2) }
"""


def network(here, text=NETWORK, **weights):
    path = here / "network.onnx"
    onnx.save(proto(text, weights or {"w1": (8, 6), "bias": (6,), "w2": (6, 4)}), path)
    return path


def test_groups_with_members_and_pins(here):
    record = json.loads(run("inspect", "--groups", "--json", network(here)).stdout)
    free, pinned = record["groups"]
    assert (free["name"], free["kind"], free["size"], free["pins"]) == ("w1", "units", 6, [])
    assert free["members"] == {"producer": ["w1[1]"], "follower": ["bias[0]"], "consumer": ["w2[0]"]}
    assert (pinned["name"], pinned["pins"]) == ("w2", ["y axis 1: it is an output of the model"])


def test_the_text_says_the_same(here):
    result = run("inspect", "--groups", network(here))
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    assert "6 units w1" in said
    assert "1 consumer: w2[0]" in said
    assert "y axis 1: it is an output of the model" in said
    assert "1 group can be cut, 1 group cannot." in said


def test_a_network_without_weights_says_why(here):
    path = network(here, "g (float[4] x) => (float[4] y) { y = Relu(x) }", unused=(2,))
    result = run("inspect", "--groups", path)
    assert result.exit_code == 0
    assert "it has no weights that make channels, heads or units" in " ".join(result.stdout.split())


def test_a_pattern_that_matches_nothing_is_a_mistake(here):
    result = run("optimize", network(here), "--passes", "prune:only=w9", "-o", here / "out.onnx")
    assert result.exit_code == 2
    assert "only=w9 matches no group; some are w1, w2" in result.stderr
    assert not (here / "out.onnx").exists()


def test_nothing_to_prune_is_a_mistake(here):
    path = network(here, "g (float[n, 8] x) => (float[n, 6] y) { y = MatMul(x, w1) }", w1=(8, 6))
    result = run("optimize", path, "--passes", "prune", "-o", here / "out.onnx")
    assert result.exit_code == 2
    assert "w1 stays because of y axis 1: it is an output of the model" in result.stderr
