"""Operators that reduce axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from passes.distill.network.call import Call, Given, Operator, ints


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def run(call: Call, x: Tensor, given: Given = None) -> Tensor:
        axes = ints(given) or [int(axis) for axis in call.attr("axes", ())]
        if not axes and call.attr("noop_with_empty_axes", 0):
            return x
        return function(x, [axis % x.ndim for axis in axes] or list(range(x.ndim)), bool(call.attr("keepdims", 1)))

    return run


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001 - as the others have it
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, dim=axis, keepdim=keep)
    return x


def _extreme(function: Callable[..., Tensor]) -> Operator:
    def run(call: Call, x: Tensor) -> Tensor:
        axis, keep = call.attr("axis", 0), bool(call.attr("keepdims", 1))
        if not call.attr("select_last_index", 0):
            return function(x, dim=axis, keepdim=keep)
        return x.shape[axis] - 1 - function(x.flip(axis), dim=axis, keepdim=keep)

    return run


def _top(call: Call, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    found = torch.topk(x, int(k.item()), dim=call.attr("axis", -1), largest=bool(call.attr("largest", 1)))
    return found.values, found.indices


OPERATORS: Mapping[str, Operator] = {
    "ArgMax": _extreme(torch.argmax),
    "ArgMin": _extreme(torch.argmin),
    "TopK": _top,
    **{
        name: _reduce(function)
        for name, function in {
            "ReduceL1": lambda x, axes, keep: torch.sum(torch.abs(x), axes, keep),
            "ReduceL2": lambda x, axes, keep: torch.sqrt(torch.sum(x * x, axes, keep)),
            "ReduceLogSum": lambda x, axes, keep: torch.log(torch.sum(x, axes, keep)),
            "ReduceLogSumExp": torch.logsumexp,
            "ReduceMax": torch.amax,
            "ReduceMean": torch.mean,
            "ReduceMin": torch.amin,
            "ReduceProd": _product,
            "ReduceSum": lambda x, axes, keep: torch.sum(x, axes, keep, dtype=x.dtype),
            "ReduceSumSquare": lambda x, axes, keep: torch.sum(x * x, axes, keep),
        }.items()
    },
}
