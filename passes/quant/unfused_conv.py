"""ONNX Runtime's convolution with an activation, taken apart: it has no integer kernel, and its parts have."""

from __future__ import annotations

from typing import Any

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor

x, w, b, z = Value("x"), Value("w"), Value("b"), Value("z")
fused = op.domain("com.microsoft").FusedConv(x, w, Opt(b), Opt(z))
PARAMETERS = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}
"""The attributes that an activation's parameters are."""
CLIP_TAKES_INPUTS = 11


@rule(fused, numerics=Close(16))
def unfused_conv(m: Match, new: Builder) -> Tensor:
    """FusedConv is Conv, then the sum with its fourth operand, then the activation."""
    attrs = dict(m[fused].attrs)
    name, parameters = _text(attrs.pop("activation", "")), list(attrs.pop("activation_params", ()))
    made = new.Conv(m[x], m[w], m.get(b), **attrs)
    if m.get(z) is not None:
        made = new.Add(made, m[z])
    if not name:
        return made
    if name == "Clip":
        m.require(m.opset >= CLIP_TAKES_INPUTS, "Clip takes its bounds as attributes at this opset")
        return new.Clip(made, *parameters)
    result: Tensor = new.node(name, made, **dict(zip(PARAMETERS.get(name, ()), parameters, strict=False)))
    return result


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
