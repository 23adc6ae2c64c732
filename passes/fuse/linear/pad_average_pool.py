"""Pad followed by AveragePool."""

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.padding import enlarged, every_window_has_input, pad_of, spatial, value

x = Value("x")
pad = pad_of(x)
pool = op.AveragePool(pad)


@rule(pool, numerics=Close(2), opset=7)
def pad_average_pool(m: Match, new: Builder) -> Tensor:
    """Averages over an input padded with zeros are averages that count the padding (count_include_pad)."""
    m.require(value(m, pad) == 0, "Pad fills in another number than 0")
    attrs = enlarged(m, pool, spatial(m, pad, len(m.attr(pool, "kernel_shape", [])) + 2))
    uncounted = any(m.attr(pool, "pads", [])) and not m.attr(pool, "count_include_pad", 0)
    m.require(not uncounted, "AveragePool does not count its own padding")
    every_window_has_input(m, pool, attrs["pads"])
    return new.AveragePool(m[x], **attrs | {"count_include_pad": 1})
