"""A plugin of lossy passes, one that makes models slower, and one that makes them bigger, for tests of budgets."""

from __future__ import annotations

import numpy as np

from graphopt import Const, Exact, Lossy, Opt, Value, op, rule, rule_pass

x, w, b = Value("x"), Const("w"), Const("b")
conv, gemm = op.Conv(x, w, Opt(b)), op.Gemm(x, w, Opt(b))
POOR = "/6/6.0/Conv"
"""The one layer of digits.onnx that keeps only the signs of its weights, and not even those of half of them."""
ANYTHING = Lossy("sqnr", -40)


def stored(m, new, bits):
    """Weights as 8-bit integers of which `bits` are used, times one scale."""
    scale = np.abs(m[w]).max() / (2 ** (bits - 1) - 1)
    whole = np.round(m[w] / scale).astype(np.int8)
    return new.DequantizeLinear(whole, np.float32(scale))


def layer(m, new, call, bits):
    return new.node(m[call].op, m[x], stored(m, new, bits), m.tensor(b) if b in m else None, **m[call].attrs)


@rule(conv, numerics=ANYTHING)
def small_conv(m, new):
    """Weights in 8 bits."""
    if m.root.name != POOR:
        return layer(m, new, conv, 8)
    forgotten = np.where(np.arange(m[w].size).reshape(m[w].shape) % 2, -m[w], m[w])
    scale = np.abs(m[w]).max()
    whole = np.sign(forgotten).astype(np.int8)
    return new.Conv(m[x], new.DequantizeLinear(whole, np.float32(scale)), m.tensor(b) if b in m else None,
                    **m[conv].attrs)  # fmt: skip


@rule(gemm, numerics=ANYTHING)
def small_gemm(m, new):
    """Weights in 8 bits."""
    return layer(m, new, gemm, 8)


@rule(conv, numerics=ANYTHING)
def coarse_conv(m, new):
    """Weights in 3 bits: every layer costs something, none of them everything."""
    return layer(m, new, conv, 3)


@rule(op.Relu(x), numerics=Exact())
def slow_relu(m, new):
    """Relu(x) is Relu(-(-x)), a hundred times over."""
    m.require(m[x].producer is None or m[x].producer.op != "Neg", "already slow")
    y = m[x]
    for _ in range(100):
        y = new.Neg(new.Neg(y))
    return new.Relu(y)


@rule(op.Neg(op.Neg(x)), numerics=Exact())
def quick_neg(m, new):
    """-(-x) is x."""
    m.require(m.can_stand_for(m[x], m.root.outputs[0]), "the name must be kept")
    return m[x]


@rule(op.GlobalAveragePool(x), numerics=Exact())
def big_pool(m, new):
    """A megabyte beside it that nobody needs."""
    m.require(m[x].producer is None or m[x].producer.op != "Mul", "already big")
    ones = np.ones((1, 4, 64, 1024), np.float32)
    return new.GlobalAveragePool(new.Mul(m[x], new.ReduceMax(ones, keepdims=1)))


PASSES = (
    rule_pass("small", "Weights in 8 bits; one layer of digits.onnx is ruined.", [small_conv, small_gemm]),
    rule_pass("coarse", "Weights in 3 bits.", [coarse_conv]),
    rule_pass("slow", "Slower by far.", [slow_relu]),
    rule_pass("quick", "Takes away what `slow` does.", [quick_neg]),
    rule_pass("big", "Bigger by a megabyte.", [big_pool]),
)
