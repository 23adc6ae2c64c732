"""Operators that are products of matrices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from passes.distill.network.call import Call, Given, Operator
from passes.distill.network.operators.elementwise import OPERATORS as ELEMENTWISE


def gemm(call: Call, a: Tensor, b: Tensor, c: Given = None) -> Tensor:
    """Gemm: alpha a b + beta c, each of a and b perhaps transposed."""
    a = a.T if call.attr("transA", 0) else a
    alpha, beta = call.attr("alpha", 1.0), call.attr("beta", 1.0)
    if alpha == 1 and beta == 1 and c is not None and c.ndim == 1:
        return functional.linear(a, b if call.attr("transB", 0) else b.T, c)
    product = alpha * (a @ (b.T if call.attr("transB", 0) else b))
    return product if c is None else product + beta * c


def _fused_gemm(call: Call, a: Tensor, b: Tensor, c: Given = None) -> Tensor:
    activation = call.attr("activation", "")
    call.require("activation_alpha" not in call.node.attrs, "an activation with parameters")
    applied: Tensor = ELEMENTWISE[activation](call, gemm(call, a, b, c))
    return applied


def _fused_matmul(call: Call, a: Tensor, b: Tensor) -> Tensor:
    call.require(not call.attr("transBatchA", 0) and not call.attr("transBatchB", 0), "transposed batches")
    a = a.mT if call.attr("transA", 0) else a
    b = b.mT if call.attr("transB", 0) else b
    return call.attr("alpha", 1.0) * (a @ b)


OPERATORS: Mapping[str, Operator] = {
    "Einsum": lambda call, *inputs: torch.einsum(call.attr("equation", ""), *inputs),
    "Gemm": gemm,
    "MatMul": lambda _call, a, b: torch.matmul(a, b),
}

CONTRIB: Mapping[str, Operator] = {"FusedGemm": _fused_gemm, "FusedMatMul": _fused_matmul}
