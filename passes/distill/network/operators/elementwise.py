"""Operators that work on every element alone."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import onnx
import torch
from torch import Tensor
from torch.nn import functional

from graphopt.ir import dtypes
from passes.distill.network.call import Call, Given, Operator

ONE_AXIS_SINCE = 13
"""The version of ai.onnx in which Softmax goes along one axis; before, all from `axis` on are one."""
ARITHMETIC_SINCE = 7
"""The version of ai.onnx from which on arithmetic broadcasts as NumPy does."""


def torch_dtype(element_type: int) -> torch.dtype:
    """PyTorch's name for an element type of ONNX."""
    found: torch.dtype = getattr(torch, dtypes.name(dtypes.numpy_dtype(element_type)))
    return found


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda _call, x: function(x)


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def run(call: Call, a: Tensor, b: Tensor) -> Tensor:
        call.require(call.opset >= ARITHMETIC_SINCE or a.shape == b.shape, "it broadcasts in the way of old versions")
        return function(a, b)

    return run


def _variadic(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda _call, *inputs: functools.reduce(function, inputs)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _power(a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, b.to(a.dtype) if not a.is_floating_point() else b).to(a.dtype)


def _prelu(_call: Call, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


def _mod(call: Call, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if call.attr("fmod", 0) else torch.remainder(a, b)


def _leaky(call: Call, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, call.attr("alpha", 0.01))


def _hard_sigmoid(call: Call, x: Tensor) -> Tensor:
    return (x * call.attr("alpha", 0.2) + call.attr("beta", 0.5)).clamp(0, 1)


def _elu(call: Call, x: Tensor) -> Tensor:
    return functional.elu(x, call.attr("alpha", 1.0))


def _celu(call: Call, x: Tensor) -> Tensor:
    return functional.celu(x, call.attr("alpha", 1.0))


def _selu(call: Call, x: Tensor) -> Tensor:
    alpha, gamma = call.attr("alpha", 1.67326319217681884765625), call.attr("gamma", 1.05070102214813232421875)
    return gamma * functional.elu(x, alpha)


def _thresholded(call: Call, x: Tensor) -> Tensor:
    return torch.where(x > call.attr("alpha", 1.0), x, torch.zeros_like(x))


def _swish(call: Call, x: Tensor) -> Tensor:
    return x * torch.sigmoid(call.attr("alpha", 1.0) * x)


def _quick_gelu(call: Call, x: Tensor) -> Tensor:
    return x * torch.sigmoid(call.attr("alpha", 1.702) * x)


def _gelu(call: Call, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=call.attr("approximate", "none"))


def _bias_gelu(_call: Call, x: Tensor, bias: Given = None) -> Tensor:
    return functional.gelu(x if bias is None else x + bias)


def _fast_gelu(_call: Call, x: Tensor, bias: Given = None) -> Tensor:
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


def _clip(call: Call, x: Tensor, low: Given = None, high: Given = None) -> Tensor:
    least, most = (call.attr(name, None) for name in ("min", "max"))
    least, most = (held if found is None else found for held, found in ((least, low), (most, high)))
    if least is None and most is None:
        return x
    return torch.clamp(x, *(bound.item() if isinstance(bound, torch.Tensor) else bound for bound in (least, most)))


def _cast(call: Call, x: Tensor) -> Tensor:
    return x.to(torch_dtype(call.attr("to", onnx.TensorProto.FLOAT)))


def _softmax(function: Callable[..., Tensor]) -> Operator:
    def run(call: Call, x: Tensor) -> Tensor:
        if call.opset >= ONE_AXIS_SINCE:
            return function(x, dim=call.attr("axis", -1))
        axis = call.attr("axis", 1) % max(x.ndim, 1)
        flat = x.reshape(math.prod(x.shape[:axis]), -1)
        return function(flat, dim=1).reshape(x.shape)

    return run


def _where(_call: Call, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition, a, b)


def _cumulative_sum(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    dim = int(axis.item())
    turned = x.flip(dim) if call.attr("reverse", 0) else x
    total = torch.cumsum(turned, dim)
    total = (total - turned if call.attr("exclusive", 0) else total).to(x.dtype)
    return total.flip(dim) if call.attr("reverse", 0) else total


def _mean(_call: Call, *inputs: Tensor) -> Tensor:
    return functools.reduce(torch.add, inputs) / len(inputs)


OPERATORS: Mapping[str, Operator] = {
    **{
        name: _unary(function)
        for name, function in {
            "Abs": torch.abs, "Acos": torch.acos, "Acosh": torch.acosh, "Asin": torch.asin, "Asinh": torch.asinh,
            "Atan": torch.atan, "Atanh": torch.atanh, "Ceil": torch.ceil, "Cos": torch.cos, "Cosh": torch.cosh,
            "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "HardSwish": functional.hardswish,
            "Identity": lambda x: x, "IsNaN": torch.isnan, "Log": torch.log, "Mish": functional.mish, "Neg": torch.neg,
            "Not": torch.logical_not, "Reciprocal": torch.reciprocal, "Relu": torch.relu, "Round": torch.round,
            "Sigmoid": torch.sigmoid, "Sign": torch.sign, "Sin": torch.sin, "Sinh": torch.sinh,
            "Softplus": lambda x: functional.softplus(x, threshold=80), "Softsign": functional.softsign,
            "Sqrt": torch.sqrt, "Tan": torch.tan, "Tanh": torch.tanh,
        }.items()
    },
    **{
        name: _binary(function)
        for name, function in {
            "Add": torch.add, "And": torch.logical_and, "Div": _divide, "Equal": torch.eq, "Greater": torch.gt,
            "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le, "Mul": torch.mul,
            "Or": torch.logical_or, "Pow": _power, "Sub": torch.sub, "Xor": torch.logical_xor,
        }.items()
    },
    "Max": _variadic(torch.maximum), "Min": _variadic(torch.minimum), "Sum": _variadic(torch.add), "Mean": _mean,
    "Cast": _cast, "CastLike": lambda _call, x, like: x.to(like.dtype), "Celu": _celu, "Clip": _clip,
    "CumSum": _cumulative_sum, "Dropout": lambda _call, x, *_rest: x, "Elu": _elu, "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid, "LeakyRelu": _leaky, "LogSoftmax": _softmax(functional.log_softmax), "Mod": _mod,
    "PRelu": _prelu, "Selu": _selu, "Softmax": _softmax(functional.softmax), "Swish": _swish,
    "ThresholdedRelu": _thresholded, "Where": _where,
}  # fmt: skip

CONTRIB: Mapping[str, Operator] = {
    "BiasGelu": _bias_gelu, "FastGelu": _fast_gelu, "Gelu": _bias_gelu, "QuickGelu": _quick_gelu,
}  # fmt: skip
