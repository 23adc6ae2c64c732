"""Which constants of a network are its weights: what training may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graphopt.ir import walk
from graphopt.ir.types import Constant, Graph, Node, Tensor
from graphopt.ir.values import constant

INPUTS: Mapping[str, tuple[int, ...]] = {
    "Attention": (1, 2), "BatchNormalization": (1, 2), "BiasGelu": (1,), "Conv": (1, 2), "ConvTranspose": (1, 2),
    "FastGelu": (1,), "FusedConv": (1, 2), "FusedGemm": (1, 2), "FusedMatMul": (0, 1), "GRU": (1, 2, 3),
    "Gemm": (0, 1, 2), "GroupNormalization": (1, 2), "InstanceNormalization": (1, 2), "LSTM": (1, 2, 3),
    "LayerNormalization": (1, 2), "MatMul": (0, 1), "MultiHeadAttention": (3,), "PRelu": (1,), "RMSNormalization": (1,),
    "RNN": (1, 2, 3), "SimplifiedLayerNormalization": (1,), "SkipLayerNormalization": (2, 3, 4),
    "SkipSimplifiedLayerNormalization": (2, 3),
}  # fmt: skip
"""Which inputs of an operator hold weights."""
LINEAR = frozenset(("MatMul", "FusedMatMul", "Conv", "ConvTranspose"))
"""An Add of a constant to what one of these gives has a bias."""
STEPS = frozenset(("QuantizeLinear", "DequantizeLinear"))
MOVES = frozenset(("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))
"""Behind these stand the same values."""


@dataclass(frozen=True, eq=False)
class Weight:
    """A constant that training may change.

    tensor: the one in the graph, an initializer or what a Constant node gives; constant: what holds its values.
    scale, zero, axis: of integers that a DequantizeLinear turns into weights; None for floats.
    """

    tensor: Tensor
    constant: Constant
    scale: Constant | None = None
    zero: Constant | None = None
    axis: int = 0


def weights(graph: Graph) -> list[Weight]:
    """The weights of a graph and of the graphs nested in it, each once, in the order of the nodes that read them."""
    found: dict[Constant, Weight] = {}
    for node in walk.nodes(graph):
        for tensor in _held(node):
            weight = _weight(tensor)
            if weight is not None:
                found.setdefault(weight.constant, weight)
    return list(found.values())


def _held(node: Node) -> Iterator[Tensor]:
    """The inputs of a node that may be weights."""
    for index in INPUTS.get(node.op, ()):
        if index < len(node.inputs):
            yield node.inputs[index]
    if node.op == "Add" and len(node.inputs) > 1:
        for bias, product in (node.inputs, node.inputs[::-1]):
            if _from_linear(product):
                yield bias


def _from_linear(tensor: Tensor) -> bool:
    producer = tensor.producer
    while producer is not None and producer.op in STEPS:
        producer = producer.inputs[0].producer
    return producer is not None and producer.op in LINEAR


def _weight(tensor: Tensor) -> Weight | None:
    """The weight behind an input, through a quantisation of it."""
    held, producer = constant(tensor), tensor.producer
    if held is not None:
        return Weight(tensor, held) if _is_weight(held, "f") else None
    if producer is None or producer.op not in STEPS | MOVES:
        return None
    if producer.op == "DequantizeLinear":
        inner = constant(producer.inputs[0])
        if inner is None:
            return _weight(producer.inputs[0])
        scale, zero = (_constant_at(producer.inputs, index) for index in (1, 2))
        if scale is None or producer.attrs.get("block_size") or not _is_weight(inner, "iu"):
            return None
        return Weight(producer.inputs[0], inner, scale, zero, producer.attrs.get("axis", 1))
    return _weight(producer.inputs[0])


def _constant_at(inputs: Iterable[Tensor], index: int) -> Constant | None:
    tensors = list(inputs)
    return constant(tensors[index]) if index < len(tensors) and tensors[index].name else None


def _is_weight(held: Constant, kinds: str) -> bool:
    import numpy as np

    if held.dtype.name == "bfloat16":
        return "f" in kinds
    return held.dtype.kind in kinds and held.size > 0 and (kinds != "f" or bool(np.isfinite(held.values).all()))
