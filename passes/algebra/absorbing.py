"""Operators whose constant weights take in a factor or summand of their result."""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import MATRIX, Array, Constant, Node, Tensor
from passes.algebra.upstream import SCALE, SHIFT, Climb, steps

NO_SPATIAL = 9
"""Before this opset BatchNormalization has an attribute `spatial`."""


@steps((SCALE,), "Conv")
def _conv(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, w, *bias = node.inputs
    s = climb.along(factor, 1)
    weights = climb.array(w)
    made = climb.weights(w, weights * s.reshape(-1, *(1,) * (weights.ndim - 1)))
    return climb.again(node, x, made, *(climb.weights(b, climb.array(b) * s) for b in bias if b.name))


@steps((SCALE,), "MatMul")
def _matmul(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, w = node.inputs
    climb.m.require(len(w.shape or ()) >= MATRIX, f"{w.name} is not known to be a matrix")
    return climb.again(node, x, climb.weights(w, climb.array(w) * climb.along(factor, -1)))


@steps((SCALE,), "Gemm")
def _gemm(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, w, *bias = node.inputs
    s = climb.along(factor, -1)
    weights = climb.array(w) * (s[:, None] if node.attrs.get("transB", 0) else s)
    return climb.again(
        node, x, climb.weights(w, weights), *(climb.weights(b, climb.array(b) * s) for b in bias if b.name)
    )


@steps((SCALE,), "BatchNormalization")
def _batch(climb: Climb, node: Node, factor: Array) -> Tensor:
    plain = len(node.outputs) == 1 and not node.attrs.get("training_mode", 0) and climb.m.opset >= NO_SPATIAL
    climb.m.require(plain, "BatchNormalization is in training mode, or not per channel")
    x, gamma, beta = node.inputs[:3]
    s = climb.along(factor, 1)
    return climb.again(node, x, *(climb.weights(part, climb.array(part) * s) for part in (gamma, beta)))


@steps((SCALE,), "LayerNormalization")
def _layer(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, gamma, *beta = node.inputs
    last = int(node.attrs.get("axis", -1)) % factor.ndim == factor.ndim - 1
    climb.m.require(last and len(node.outputs) == 1, "LayerNormalization is not along the last axis alone")
    s = climb.along(factor, -1)
    return climb.again(node, x, *(climb.weights(p, climb.array(p) * s) for p in (gamma, *beta) if p.name))


@steps((SHIFT,), "Conv")
def _conv_bias(climb: Climb, node: Node, summand: Array) -> Tensor:
    x, w, *bias = node.inputs
    return climb.again(node, x, w, _row(climb, bias, climb.along(summand, 1), w, w.shape[0] if w.shape else None))


@steps((SHIFT,), "Gemm")
def _gemm_bias(climb: Climb, node: Node, summand: Array) -> Tensor:
    x, w, *bias = node.inputs
    beta = float(node.attrs.get("beta", 1.0))
    climb.m.require(beta != 0, "Gemm leaves its summand out")
    columns = None if not w.shape else w.shape[0 if node.attrs.get("transB", 0) else 1]
    return climb.again(node, x, w, _row(climb, bias, climb.along(summand, -1) / beta, w, columns))


def _row(climb: Climb, bias: list[Tensor], summand: Array, like: Tensor, count: object) -> Tensor:
    """The bias of `count` numbers with a summand; a new one, in the dtype of `like`, where there is none."""
    dtype = climb.m.dtype(like)
    if not isinstance(count, int) or dtype is None:
        climb.m.refuse(f"the shape of {like.name} is not known")
    spread = np.broadcast_to(summand, (count,))
    if bias and bias[0].name:
        return climb.weights(bias[0], climb.array(bias[0]) + spread)
    return Constant("?", spread.astype(dtype))


@steps((SHIFT,), "BatchNormalization")
def _batch_shift(climb: Climb, node: Node, summand: Array) -> Tensor:
    plain = len(node.outputs) == 1 and not node.attrs.get("training_mode", 0) and climb.m.opset >= NO_SPATIAL
    climb.m.require(plain, "BatchNormalization is in training mode, or not per channel")
    x, gamma, beta = node.inputs[:3]
    return climb.again(node, x, gamma, climb.weights(beta, climb.array(beta) + climb.along(summand, 1)))


@steps((SHIFT,), "LayerNormalization")
def _layer_shift(climb: Climb, node: Node, summand: Array) -> Tensor:
    x, gamma, *beta = node.inputs
    last = int(node.attrs.get("axis", -1)) % summand.ndim == summand.ndim - 1
    climb.m.require(last and len(node.outputs) == 1, "LayerNormalization is not along the last axis alone")
    return climb.again(node, x, gamma, _row(climb, beta, climb.along(summand, -1), gamma, (gamma.shape or (None,))[0]))
