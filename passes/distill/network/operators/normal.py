"""Normalisations, as inference has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from passes.distill.network.call import Call, Given, Operator


def _column(vector: Tensor, x: Tensor) -> Tensor:
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def _batch(call: Call, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    call.require(not call.attr("training_mode", 0) and call.count == 1, "a BatchNormalization in training mode")
    factor = scale / torch.sqrt(variance + call.attr("epsilon", 1e-5))
    return x * _column(factor, x) + _column(bias - mean * factor, x)


def _instance(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=call.attr("epsilon", 1e-5))


def _group(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = call.attr("num_groups", 1)
    if len(scale) != x.shape[1]:  # before version 21 they were of groups, not of channels
        scale, bias = (vector.repeat_interleave(x.shape[1] // groups) for vector in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, call.attr("epsilon", 1e-5))


def _layer(call: Call, x: Tensor, scale: Tensor, bias: Given = None) -> Tensor:
    call.require(call.count == 1, "the mean of a LayerNormalization")
    axis = call.attr("axis", -1) % x.ndim
    found = functional.layer_norm(x, x.shape[axis:], eps=call.attr("epsilon", 1e-5)) * scale
    return found if bias is None else found + bias


def root_mean_square(x: Tensor, scale: Tensor, axes: Sequence[int], epsilon: float) -> Tensor:
    """The normalisation x / sqrt(mean(x²) + epsilon) · scale."""
    return x * torch.rsqrt(torch.mean(x * x, dim=list(axes), keepdim=True) + epsilon) * scale


def _rms(call: Call, x: Tensor, scale: Tensor) -> Tensor:
    call.require(call.count == 1, "the statistics of a normalisation")
    axes = range(call.attr("axis", -1) % x.ndim, x.ndim)
    return root_mean_square(x, scale, axes, call.attr("epsilon", 1e-5))


def _skip_layer(
    call: Call, x: Tensor, skip: Tensor, gamma: Tensor, beta: Given = None, bias: Given = None
) -> tuple[Tensor, None, None, Tensor]:
    total = x + skip if bias is None else x + skip + bias
    found = functional.layer_norm(total, total.shape[-1:], gamma, beta, call.attr("epsilon", 1e-12))
    return found, None, None, total


def _skip_rms(
    call: Call, x: Tensor, skip: Tensor, gamma: Tensor, bias: Given = None
) -> tuple[Tensor, None, None, Tensor]:
    total = x + skip if bias is None else x + skip + bias
    return root_mean_square(total, gamma, [-1], call.attr("epsilon", 1e-12)), None, None, total


def _local_response(call: Call, x: Tensor) -> Tensor:
    size = call.attr("size", 1)
    squares = functional.pad((x * x).movedim(1, -1), ((size - 1) // 2, size // 2))
    around = squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    scaled = call.attr("bias", 1.0) + call.attr("alpha", 1e-4) / size * around
    return x / scaled ** call.attr("beta", 0.75)


def _lp(call: Call, x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, ord=call.attr("p", 2), dim=call.attr("axis", -1), keepdim=True)


OPERATORS: Mapping[str, Operator] = {
    "BatchNormalization": _batch,
    "GroupNormalization": _group,
    "InstanceNormalization": _instance,
    "LRN": _local_response,
    "LayerNormalization": _layer,
    "LpNormalization": _lp,
    "RMSNormalization": _rms,
    "SimplifiedLayerNormalization": _rms,
}

CONTRIB: Mapping[str, Operator] = {
    "SimplifiedLayerNormalization": _rms,
    "SkipLayerNormalization": _skip_layer,
    "SkipSimplifiedLayerNormalization": _skip_rms,
}
