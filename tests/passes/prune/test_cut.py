"""Cutting takes atoms out of every tensor on which they lie, and is what zeroing their consumers was."""

from __future__ import annotations

import numpy as np
import onnx

from graphopt.analysis.cost import macs
from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.reader import load
from passes.prune import PRUNE
from passes.prune.grouping import Grouping
from passes.prune.planned import Planned
from tests.support import apply, proto

BLOCK = """
g (float[n, 3, 8, 8] x) => (float[n, 10] y) {
    c1 = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
    n1 = BatchNormalization(c1, gamma, beta, mean, var)
    r1 = Relu(n1)
    c2 = Conv<pads = [1, 1, 1, 1]>(r1, w2)
    s = Add(c2, r1)
    d = Conv<group = 16, pads = [1, 1, 1, 1]>(s, w3)
    p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(d)
    f = Flatten(p)
    h = Gemm<transB = 1>(f, w4, b4)
    a = Sigmoid(h)
    y = MatMul(a, w5)
}
"""
WEIGHTS = {
    "w1": (16, 3, 3, 3),
    "b1": (16,),
    "gamma": (16,),
    "beta": (16,),
    "mean": (16,),
    "var": np.ones(16, "f4"),
    "w2": (16, 16, 3, 3),
    "w3": (16, 1, 3, 3),
    "w4": (24, 256),
    "b4": (24,),
    "w5": (24, 10),
}


def grouping(text=BLOCK, weights=WEIGHTS):
    model = load(proto(text, weights))
    return Grouping(model, Shapes(model))


def shapes(model):
    return {tensor.name: tuple(tensor.dims) for tensor in model.to_proto().graph.initializer}


def test_a_group_is_what_residual_connections_join():
    found = grouping()
    assert [(group.name, group.size) for group in found.groups] == [("w1", 16), ("w4", 24)]
    assert [(group.name, str(group.pins[0])) for group in found.pinned] == [
        ("w5", "y axis 1: it is an output of the model")
    ]


def test_members_say_what_weights_are_to_the_atoms():
    first, second = grouping().groups
    assert [(m.constant.name, m.axis) for m in first.producers] == [("w1", 0), ("w2", 0)]
    assert [(m.constant.name, m.axis) for m in first.consumers] == [("w2", 1), ("w4", 1)]
    assert {m.constant.name for m in first.followers} == {"b1", "gamma", "beta", "mean", "var", "w3"}
    block = next(m for m in first.consumers if m.constant.name == "w4")
    assert list(np.searchsorted(first.atoms, block.labels)) == [channel for channel in range(16) for _ in range(16)]
    assert [m.constant.name for m in second.members] == ["w4", "b4", "w5"]


def test_half_of_every_group_goes():
    result = apply("prune:ratio=0.5", BLOCK, WEIGHTS)
    assert not result.report.rolled_back
    assert not result.report.unverified
    assert shapes(result.model) == {
        "w1": (8, 3, 3, 3),
        "b1": (8,),
        "gamma": (8,),
        "beta": (8,),
        "mean": (8,),
        "var": (8,),
        "w2": (8, 8, 3, 3),
        "w3": (8, 1, 3, 3),
        "w4": (12, 128),
        "b4": (12,),
        "w5": (12, 10),
    }
    onnx.checker.check_model(result.model.to_proto(), full_check=True)


def test_names_of_nodes_and_tensors_survive():
    before, after = proto(BLOCK, WEIGHTS), apply(PRUNE, BLOCK, WEIGHTS).model.to_proto()
    assert [list(node.output) for node in after.graph.node] == [list(node.output) for node in before.graph.node]
    assert {held.name for held in after.graph.initializer} == {held.name for held in before.graph.initializer}


def test_a_plan_says_what_a_cut_would_leave():
    found = grouping()
    whole = Planned(found, {})
    assert whole.parameters() == sum(
        int(np.prod(np.shape(np.zeros(s) if isinstance(s, tuple) else s))) for s in WEIGHTS.values()
    )
    plan = Planned(found, {group: group.atoms[::2] for group in found.groups})
    nodes = list(walk.nodes(found.model.graph))
    conv = next(node for node in nodes if node.outputs[0].name == "c2")
    assert macs(conv, plan) * 4 == macs(conv, whole)
