"""Quantisation as training sees it: rounded on the way forth, and as if it were not on the way back.

The straight-through estimator: a gradient passes a rounding unchanged, and stops where a value was clipped.
Source: Y. Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013; B. Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphopt.ir.types import Constant, Node
from graphopt.ir.values import constant, same
from passes.distill.network.call import Call, Given, Operator

RANGES: Mapping[torch.dtype, tuple[int, int]] = {
    torch.uint8: (0, 255), torch.int8: (-128, 127), torch.int32: (-(2**31), 2**31 - 1),
    torch.uint16: (0, 2**16 - 1), torch.int16: (-(2**15), 2**15 - 1),
}  # fmt: skip


class _Straight(torch.autograd.Function):
    """Rounding, half to even, through which gradients pass."""

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Snapped(torch.autograd.Function):
    """The nearest multiples of a step; gradients pass unchanged."""

    @staticmethod
    def forward(_context: Any, x: Tensor, step: float) -> Tensor:
        return torch.div(x, step).round_().mul_(step)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def rounded(x: Tensor) -> Tensor:
    """The nearest whole numbers, as numbers of the same dtype; gradients pass unchanged."""
    found: Tensor = _Straight.apply(x)
    return found


def _along(call: Call, parameter: Tensor, x: Tensor) -> Tensor:
    """A scale or zero point of each index of the axis, shaped to go with x."""
    call.require(not call.attr("block_size", 0), "quantisation in blocks")
    if parameter.ndim == 0 or parameter.numel() == 1:
        return parameter.reshape(())
    shape = [1] * x.ndim
    shape[call.attr("axis", 1)] = -1
    return parameter.reshape(shape)


def quantize(call: Call, x: Tensor, scale: Tensor, zero: Given = None) -> Tensor:
    """QuantizeLinear: whole numbers within the range of its type, held as floats so that gradients pass."""
    low, high = RANGES[_kind(call, zero)]
    point = 0 if zero is None else _along(call, zero, x).to(x.dtype)
    return torch.clamp(rounded(x / _along(call, scale, x)) + point, low, high)


def _kind(call: Call, zero: Given) -> torch.dtype:
    from passes.distill.network.operators.elementwise import torch_dtype

    declared = call.attr("output_dtype", 0)
    found = torch_dtype(declared) if declared else torch.uint8 if zero is None else zero.dtype
    call.require(found in RANGES, f"the type {found} of quantised numbers")
    return found


def dequantize(call: Call, x: Tensor, scale: Tensor, zero: Given = None) -> Tensor:
    """DequantizeLinear."""
    point = 0 if zero is None else _along(call, zero, x).to(scale.dtype)
    return (x.to(scale.dtype) - point) * _along(call, scale, x)


def round_trip(node: Node) -> Node | None:
    """The QuantizeLinear of a whole tensor that a DequantizeLinear only undoes; None for anything else."""
    before = node.inputs[0].producer if node.op == "DequantizeLinear" else None
    if before is None or before.op != "QuantizeLinear" or len(before.inputs) != len(node.inputs):
        return None
    pairs = list(zip(before.inputs[1:], node.inputs[1:], strict=True))
    scale = constant(node.inputs[1])
    whole = scale is not None and scale.size == 1 and scale.dtype == "float32"
    return before if whole and all(same(one, other) for one, other in pairs) else None


def there_and_back(call: Call, x: Tensor, scale: Tensor, zero: Given = None) -> Tensor:
    """A QuantizeLinear and the DequantizeLinear that undoes it."""
    low, high = RANGES[_kind(call, zero)]
    point, step = 0 if zero is None else int(zero.item()), scale.item()
    found: Tensor = _Snapped.apply(torch.clamp(x, (low - point) * step, (high - point) * step), step)
    return found


def integer_range(held: Constant) -> tuple[int, int]:
    """The least and the largest number that a constant of integers can hold."""
    import numpy as np

    info = np.iinfo(held.dtype)
    return int(info.min), int(info.max)


OPERATORS: Mapping[str, Operator] = {"DequantizeLinear": dequantize, "QuantizeLinear": quantize}
CONTRIB = OPERATORS
