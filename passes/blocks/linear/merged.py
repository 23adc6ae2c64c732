"""Products of one tensor with several weights, as one product."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Match, Value, rule
from graphopt.ir.types import MATRIX, Constant, Node, Tensor
from graphopt.ir.values import constant

LARGEST = 64 << 20
"""Bytes of the weights together."""

x, w = Value("x"), Value("w")
product = x @ w


@rule(product, numerics=Close(32), opset=13)
def merged_products(m: Match, new: Builder) -> dict[Tensor, Tensor]:
    """Products of one tensor with several constant matrices are one product with all of them, and Split."""
    alike = [node for node in dict.fromkeys(m[x].outputs) if _weights(m, node) is not None]
    m.require(len(alike) > 1 and alike[0] is m.root, "nothing else, or something earlier, multiplies the same tensor")
    held = [weights for node in alike if (weights := _weights(m, node)) is not None]
    m.require(sum(weights.nbytes for weights in held) <= LARGEST, "the weights together are large")
    m.rely_on(alike)
    joined = np.concatenate([m.array(node.inputs[1]) for node in alike], axis=1)
    widths = np.array([weights.shape[1] for weights in held], np.int64)
    parts = new.node("Split", new.MatMul(m[x], joined), widths, outputs=len(alike), axis=-1)
    return {node.outputs[0]: part for node, part in zip(alike, parts, strict=True)}


def _weights(m: Match, node: Node) -> Constant | None:
    """The constant matrix, used nowhere else, with which a MatMul multiplies `x` from the right."""
    if node.op != "MatMul" or node.domain or node.inputs[0] is not m[x]:
        return None
    held = constant(node.inputs[1])
    fits = held is not None and len(held.shape) == MATRIX and len(set(node.inputs[1].outputs)) == 1
    return held if fits and not m.is_output(node.inputs[1]) else None
