"""Models of any size, made of seeded numbers: chains, fans and towers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


def _model(
    nodes: list[onnx.NodeProto], output: str, weights: dict[str, np.ndarray], shape: list[int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "generated",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def chain(count: int) -> onnx.ModelProto:
    """`count` operators one after another: Mul, Add, Relu, Sigmoid, and an Identity in every ten."""
    rng = np.random.default_rng(0)
    weights = {f"w{i}": rng.uniform(0.5, 1.5, 8).astype(np.float32) for i in range(7)}
    nodes, last = [], "x"
    for i in range(count):
        out = f"t{i}"
        op = ("Mul", "Relu", "Add", "Sigmoid", "Mul", "Add", "Relu", "Tanh", "Sub", "Identity")[i % 10]
        inputs = [last, f"w{i % 7}"] if op in ("Mul", "Add", "Sub") else [last]
        nodes.append(helper.make_node(op, inputs, [out], name=f"n{i}"))
        last = out
    return _model(nodes, last, weights, [4, 8])


def fan(count: int) -> onnx.ModelProto:
    """About `count` operators that all read the input, summed up pairwise."""
    width = count // 2
    nodes = [
        helper.make_node(("Sigmoid", "Tanh", "Relu", "Cos")[i % 4], ["x"], [f"f{i}"], name=f"f{i}")
        for i in range(width)
    ]
    level = [f"f{i}" for i in range(width)]
    made = 0
    while len(level) > 1:
        following = []
        for a, b in zip(level[::2], level[1::2], strict=False):
            nodes.append(helper.make_node("Add", [a, b], [f"s{made}"], name=f"s{made}"))
            following.append(f"s{made}")
            made += 1
        level = following + (level[-1:] if len(level) % 2 else [])
    return _model(nodes, level[0], {}, [4, 8])


def tower(count: int) -> onnx.ModelProto:
    """About `count` operators in residual blocks: MatMul, Add, Relu, Add."""
    rng = np.random.default_rng(0)
    weights = {
        "w": (rng.standard_normal((8, 8)) * 1e-3).astype(np.float32),
        "b": (rng.standard_normal(8) * 1e-3).astype(np.float32),
    }
    nodes, last = [], "x"
    for i in range(count // 4):
        nodes += [
            helper.make_node("MatMul", [last, "w"], [f"m{i}"], name=f"m{i}"),
            helper.make_node("Add", [f"m{i}", "b"], [f"a{i}"], name=f"a{i}"),
            helper.make_node("Relu", [f"a{i}"], [f"r{i}"], name=f"r{i}"),
            helper.make_node("Add", [last, f"r{i}"], [f"o{i}"], name=f"o{i}"),
        ]
        last = f"o{i}"
    return _model(nodes, last, weights, [4, 8])
