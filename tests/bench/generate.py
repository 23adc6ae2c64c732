"""Models of any size, made of seeded numbers: chains, fans and towers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

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


def turned(count: int) -> onnx.ModelProto:
    """About `count` operators that work in any layout, between Transposes there and back in every eight."""
    nodes, last = [helper.make_node("Transpose", ["x"], ["begin"], name="begin", perm=[1, 0])], "begin"
    for i in range(count):
        op, inputs, attrs = ("Relu", "Sigmoid", "Add", "Tanh")[i % 4], [last], {}
        if op == "Add":
            inputs = [last, last]
        if i % 8 == 7:
            op, attrs = "Transpose", {"perm": [1, 0]}
        nodes.append(helper.make_node(op, inputs, [f"t{i}"], name=f"n{i}", **attrs))
        last = f"t{i}"
    if sum(node.op_type == "Transpose" for node in nodes) % 2:
        nodes.append(helper.make_node("Transpose", [last], ["end"], name="end", perm=[1, 0]))
        last = "end"
    return _model(nodes, last, {}, [4, 8])


def decoder(folder: Path, layers: int = 20, width: int = 2048, hidden: int = 8192, words: int = 32000) -> Path:
    """A decoder of `layers` blocks (attention without heads, gated MLP) in `folder`, its weights in one file beside it.

    The defaults make 1.1 billion float32 parameters. Weights are seeded, no two alike.
    """
    block = (np.random.default_rng(0).standard_normal(1 << 24) * 0.02).astype(np.float32).tobytes() * 2
    path, initializers, offset = folder / "decoder.onnx", list[onnx.TensorProto](), 0

    def weight(name: str, *shape: int) -> str:
        nonlocal offset
        size = math.prod(shape) * 4
        tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", "decoder.data"), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        initializers.append(tensor)
        start, half = 4 * 40_961 * len(initializers), len(block) // 2
        for at in range(0, size, half):
            data.write(block[start % half :][: min(half, size - at)])
        offset += size
        return name

    with (folder / "decoder.data").open("wb") as data:
        nodes = [helper.make_node("Gather", [weight("embedding", words, width), "ids"], ["h0"], name="embed")]
        for i in range(layers):
            nodes += _block(i, f"h{i}", f"h{i + 1}", weight, width, hidden)
        nodes.append(helper.make_node("MatMul", [f"h{layers}", weight("head", width, words)], ["logits"], name="head"))
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", "sequence", words])],
    )
    graph.initializer.extend(initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _block(
    index: int, source: str, target: str, weight: Callable[..., str], width: int, hidden: int
) -> list[onnx.NodeProto]:
    def name(part: str) -> str:
        return f"{part}.{index}"

    nodes: list[onnx.NodeProto] = []

    def node(op: str, inputs: list[str], part: str, **attrs: object) -> str:
        nodes.append(helper.make_node(op, inputs, [name(part)], name=name(part), **attrs))
        return name(part)

    def linear(tensor: str, part: str, rows: int, columns: int) -> str:
        product = node("MatMul", [tensor, weight(name(f"{part}.weight"), rows, columns)], f"{part}.product")
        return node("Add", [product, weight(name(f"{part}.bias"), columns)], part)

    norm = node("LayerNormalization", [source, weight(name("norm.weight"), width)], "norm")
    query, key, value = (linear(norm, part, width, width) for part in ("query", "key", "value"))
    scores = node("MatMul", [query, node("Transpose", [key], "turned", perm=[0, 2, 1])], "scores")
    mixed = node("MatMul", [node("Softmax", [scores], "probabilities", axis=-1), value], "mixed")
    attended = node("Add", [source, linear(mixed, "output", width, width)], "attended")
    up = linear(attended, "up", width, hidden)
    active = node("Mul", [up, node("Sigmoid", [up], "gate")], "active")
    down = linear(active, "down", hidden, width)
    nodes.append(helper.make_node("Add", [attended, down], [target], name=name("block")))
    return nodes
