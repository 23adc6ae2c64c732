"""Operators that slide a window: convolutions and pooling, of any rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from passes.distill.network.call import Call, Given, Operator
from passes.distill.network.operators.elementwise import OPERATORS as ELEMENTWISE

CONVOLVE = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
LARGEST = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
AVERAGE = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
"""By number of spatial axes, from one on."""

Pads = list[tuple[int, int]]
"""Before and after each spatial axis."""


def _window(call: Call, x: Tensor, kernel: Sequence[int]) -> tuple[list[int], list[int], Pads]:
    """Strides, dilations and padding of a window."""
    rank = len(kernel)
    strides = list(call.attr("strides", [1] * rank))
    dilations = list(call.attr("dilations", [1] * rank))
    mode = call.attr("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        pads = list(call.attr("pads", [0] * 2 * rank)) if mode == "NOTSET" else [0] * 2 * rank
        return strides, dilations, list(zip(pads[:rank], pads[rank:], strict=True))
    found: Pads = []
    for size, width, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max(0, (math.ceil(size / stride) - 1) * stride + dilation * (width - 1) + 1 - size)
        less, more = total // 2, total - total // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return strides, dilations, found


def _padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    flat = [side for pair in reversed(pads) for side in pair]
    return functional.pad(x, flat, value=value) if any(flat) else x


def _even(pads: Pads) -> bool:
    return all(before == after for before, after in pads)


def conv(call: Call, x: Tensor, w: Tensor, b: Given = None) -> Tensor:
    """Conv."""
    strides, dilations, pads = _window(call, x, w.shape[2:])
    padding = [before for before, _ in pads]
    if not _even(pads):
        x, padding = _padded(x, pads), [0] * len(pads)
    return CONVOLVE[w.ndim - 3](x, w, b, strides, padding, dilations, call.attr("group", 1))


def conv_transpose(call: Call, x: Tensor, w: Tensor, b: Given = None) -> Tensor:
    """ConvTranspose: the whole output, of which the padding is cut off."""
    call.require(call.attr("auto_pad", "NOTSET") == "NOTSET", "auto_pad of a ConvTranspose")
    call.require(call.attr("output_shape", None) is None, "output_shape of a ConvTranspose")
    strides, dilations, pads = _window(call, x, w.shape[2:])
    extra = list(call.attr("output_padding", [0] * len(pads)))
    function, group = TRANSPOSED[w.ndim - 3], call.attr("group", 1)
    if _even(pads):
        return function(x, w, b, strides, [before for before, _ in pads], extra, group, dilations)
    whole = function(x, w, b, strides, 0, extra, group, dilations)
    for axis, (before, after) in enumerate(pads, 2):
        whole = whole.narrow(axis, before, whole.shape[axis] - before - after)
    return whole


def _overhang(x: Tensor, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads) -> Pads:
    """Padding that makes a last window, which begins inside but ends outside, a whole one: `ceil_mode`."""
    found = []
    every = zip(x.shape[2:], kernel, strides, dilations, pads, strict=True)
    for size, width, stride, dilation, (before, after) in every:
        span = size + before + after - dilation * (width - 1) - 1
        steps = math.ceil(span / stride)
        steps -= steps * stride >= size + before
        found.append((0, max(0, steps * stride - span)))
    return found


def _max_pool(call: Call, x: Tensor) -> Tensor:
    call.require(call.count == 1, "the indices of a MaxPool")
    kernel = call.attr("kernel_shape", [])
    strides, dilations, pads = _window(call, x, kernel)
    if call.attr("ceil_mode", 0):
        extra = _overhang(x, kernel, strides, dilations, pads)
        pads = [(before, after + more) for (before, after), (_, more) in zip(pads, extra, strict=True)]
    return LARGEST[len(kernel) - 1](_padded(x, pads, -math.inf), kernel, strides, 0, dilations)


def _average_pool(call: Call, x: Tensor) -> Tensor:
    kernel = call.attr("kernel_shape", [])
    strides, dilations, pads = _window(call, x, kernel)
    call.require(all(dilation == 1 for dilation in dilations), "dilations of an AveragePool")
    extra: Pads = [(0, 0)] * len(kernel)
    if call.attr("ceil_mode", 0):
        extra = _overhang(x, kernel, strides, dilations, pads)
    function = AVERAGE[len(kernel) - 1]
    means = function(_padded(_padded(x, pads), extra), kernel, strides)
    if not any(side for pair in (*pads, *extra) for side in pair):
        return means
    there = torch.ones_like(x[:1, :1])
    there = _padded(there, pads, 1.0 if call.attr("count_include_pad", 0) else 0.0)
    return means / function(_padded(there, extra), kernel, strides)


def _global(function: Operator) -> Operator:
    return lambda _call, x: function(x, dim=tuple(range(2, x.ndim)), keepdim=True)


def _fused_conv(call: Call, x: Tensor, w: Tensor, b: Given = None, z: Given = None) -> Tensor:
    found = conv(call, x, w, b)
    found = found if z is None else found + z
    activation = call.attr("activation", "")
    parameters = call.attr("activation_params", [])
    if activation == "LeakyRelu":
        return functional.leaky_relu(found, parameters[0])
    if activation == "Clip":
        return torch.clamp(found, parameters[0], parameters[1])
    if activation == "HardSigmoid":
        return (found * parameters[0] + parameters[1]).clamp(0, 1)
    applied: Tensor = ELEMENTWISE[activation](call, found) if activation else found
    return applied


OPERATORS: Mapping[str, Operator] = {
    "AveragePool": _average_pool,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": _global(torch.mean),
    "GlobalMaxPool": _global(torch.amax),
    "MaxPool": _max_pool,
}

CONTRIB: Mapping[str, Operator] = {"FusedConv": _fused_conv}
