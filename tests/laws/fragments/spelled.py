"""What fusion looks for, spelled out; now and then with a mistake, or an inner value that is used elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.laws.fragments.builder import Builder, Impossible, Value
from tests.laws.fragments.linear import image


def times(g: Builder, a: Value, b: Value) -> Value:
    return g.emit("Mul", [b, a] if g.chance(0.3) else [a, b])


def plus(g: Builder, a: Value, b: Value) -> Value:
    return g.emit("Add", [b, a] if g.chance(0.3) else [a, b])


OFF = 0.08


def gelu(g: Builder) -> None:
    x = g.float()
    if g.chance(0.5):
        inner = g.emit("Div", [x, g.number(2**0.5, x, off=OFF)])
    else:
        inner = times(g, x, g.number(0.5**0.5, x, off=OFF))
    bell = plus(g, g.emit("Erf", [inner]), g.number(1.0, x, off=OFF))
    style = g.rng.random()
    if style < 0.4:
        y = times(g, times(g, x, bell), g.number(0.5, x, off=OFF))
    elif style < 0.7:
        y = times(g, times(g, x, g.number(0.5, x, off=OFF)), bell)
    else:
        y = times(g, x, times(g, bell, g.number(0.5, x, off=OFF)))
    leak(g, [inner, bell, y])


def gelu_tanh(g: Builder) -> None:
    x = g.float()
    cube = g.emit("Pow", [x, g.number(3.0, x, off=OFF)]) if g.chance(0.5) else times(g, times(g, x, x), x)
    inner = plus(g, x, times(g, cube, g.number(0.044715, x, off=OFF)))
    bent = g.emit("Tanh", [times(g, inner, g.number((2 / np.pi) ** 0.5, x, off=OFF))])
    bell = plus(g, bent, g.number(1.0, x, off=OFF))
    y = times(g, times(g, x, g.number(0.5, x, off=OFF)), bell)
    leak(g, [cube, inner, bell, y])


def swish(g: Builder) -> None:
    x = g.float()
    inner = x if g.chance(0.5) else times(g, x, g.number(1.702, x, off=OFF))
    gate = g.emit("Sigmoid", [inner])
    leak(g, [gate, times(g, x, gate)])


def hard_swish(g: Builder) -> None:
    x = g.float()
    shifted = plus(g, x, g.number(3.0, x, off=OFF))
    if g.chance(0.5):
        clipped = g.emit("Clip", [shifted, g.const(0.0, x.dtype, plain=True), g.const(6.0, x.dtype, plain=True)])
    else:
        clipped = g.emit("Min", [g.emit("Max", [shifted, g.number(0.0, x)]), g.number(6.0, x, off=OFF)])
    if g.chance(0.5):
        gate = g.emit("Div", [clipped, g.number(6.0, x, off=OFF)])
        y = times(g, x, gate)
    else:
        gate = times(g, x, clipped)
        y = times(g, gate, g.number(1 / 6, x, off=OFF))
    leak(g, [shifted, gate, y])


def mish(g: Builder) -> None:
    x = g.float()
    if g.chance(0.5):
        soft = g.emit("Softplus", [x])
    else:
        soft = g.emit("Log", [plus(g, g.emit("Exp", [x]), g.number(1.0, x, off=OFF))])
    leak(g, [soft, times(g, x, g.emit("Tanh", [soft]))])


def leaky(g: Builder) -> None:
    """LeakyRelu, PRelu, Softsign and Sigmoid from parts."""
    x = g.float()
    style = g.rng.randrange(4)
    if style == 0:
        g.emit("Max", [x, times(g, x, g.number(0.1, x, off=OFF))])
    elif style == 1:
        negative = times(g, g.emit("Relu", [g.emit("Neg", [x])]), g.number(-0.1, x, off=OFF))
        plus(g, g.emit("Relu", [x]), negative)
    elif style == 2:
        g.emit("Div", [x, plus(g, g.emit("Abs", [x]), g.number(1.0, x, off=OFF))])
    else:
        below = plus(g, g.emit("Exp", [g.emit("Neg", [x])]), g.number(1.0, x, off=OFF))
        g.emit("Div", [g.number(1.0, x, off=OFF), below]) if g.chance(0.5) else g.emit("Reciprocal", [below])


def some_axes(g: Builder, x: Value) -> list[int]:
    axes = g.rng.choice([[-1], [-1], [-2, -1], [1], list(range(2, x.rank)), list(range(1, x.rank))])
    if not axes or min(axes) < -x.rank or max(axes) >= x.rank:
        raise Impossible
    return [a + x.rank if a < 0 and g.chance(0.4) else a for a in axes]


def layer_norm(g: Builder) -> None:
    x = g.float(1)
    axes = some_axes(g, x)
    mean = g.reduce("ReduceMean", x, axes)
    centred = g.emit("Sub", [x, mean])
    other = g.emit("Sub", [x, mean]) if g.chance(0.2) else centred
    square = g.emit("Pow", [other, g.number(2.0, x, off=OFF)]) if g.chance(0.6) else g.emit("Mul", [other, other])
    variance = g.reduce("ReduceMean", square, axes if g.chance(0.95) else [0])
    _scaled_norm(g, x, centred, variance, [mean, centred, variance])


def rms_norm(g: Builder) -> None:
    x = g.float(1)
    square = g.emit("Pow", [x, g.number(2.0, x, off=OFF)]) if g.chance(0.6) else g.emit("Mul", [x, x])
    mean = g.reduce("ReduceMean", square, some_axes(g, x))
    _scaled_norm(g, x, x, mean, [square, mean])


def _scaled_norm(g: Builder, x: Value, top: Value, variance: Value, inner: list[Value]) -> None:
    root = g.emit("Sqrt", [plus(g, variance, g.number(g.rng.choice([1e-5, 1e-3, 0.0, 0.1]), x))])
    if g.chance(0.5):
        y = g.emit("Div", [top, root])
    else:
        y = times(
            g, top, g.emit("Reciprocal", [root]) if g.chance(0.5) else g.emit("Div", [g.number(1.0, x, off=OFF), root])
        )
    if g.chance(0.8):
        y = times(g, y, g.operand(y))
    if g.chance(0.6):
        y = plus(g, y, g.operand(y))
    leak(g, [*inner, root, y])


def group_norm(g: Builder) -> None:
    x = image(g)
    channels = x.sizes[1]
    if channels is None:
        raise Impossible
    groups = g.rng.choice([1, 2, channels])
    flat = g.emit("Reshape", [x, g.const([0, groups, -1], np.int64, plain=True)], exact=True)
    ones = [
        g.const(np.ones(groups) if g.chance(0.9) else g.draw([groups], x.dtype), x.dtype),
        g.const(np.zeros(groups), x.dtype),
    ]
    inner = g.emit("InstanceNormalization", [flat, *ones])
    y = g.emit("Reshape", [inner, g.emit("Shape", [x], exact=True)], exact=True)
    if g.chance(0.8):
        shape = (channels, *(1,) * (x.rank - 2)) if g.chance(0.9) else (1,)
        y = plus(g, times(g, y, g.const(g.draw(shape, x.dtype), x.dtype)), g.const(g.draw(shape, x.dtype), x.dtype))
    leak(g, [flat, inner, y])


def softmax(g: Builder) -> None:
    x = g.float(1)
    axes = [g.rng.randrange(-x.rank, x.rank)]
    top = g.emit("Sub", [x, g.reduce("ReduceMax", x, axes)]) if g.chance(0.7) else x
    powers = g.emit("Exp", [top])
    total = g.reduce("ReduceSum", powers, axes if g.chance(0.9) else [0], 1 if g.chance(0.9) else 0)
    if g.chance(0.6):
        y = g.emit("Div", [powers, total])
        if g.chance(0.5):
            y = g.emit("Log", [y])
    else:
        y = g.emit("Sub", [top, g.emit("Log", [total])])
    leak(g, [powers, total, y])


def softmax_operator(g: Builder) -> None:
    x = g.float(1)
    op = g.rng.choice(["Softmax", "LogSoftmax"])
    y = g.emit(op, [x], **({"axis": g.rng.randrange(-x.rank, x.rank)} if g.chance(0.8) else {}))
    if op == "Softmax" and g.chance(0.5):
        g.emit("Log", [y])


def length(g: Builder) -> None:
    x = g.float(1)
    square = g.emit("Pow", [x, g.number(2.0, x, off=OFF)]) if g.chance(0.5) else g.emit("Mul", [x, x])
    total = g.reduce("ReduceSum", square, some_axes(g, x), g.rng.choice([0, 1]))
    leak(g, [square, total, g.emit("Sqrt", [total])])


def leak(g: Builder, inner: Sequence[Value]) -> None:
    """Now and then an inner value of a pattern is used by something else, or is an output of the graph."""
    if g.chance(0.15):
        value = g.rng.choice(list(inner))
        if g.chance(0.5):
            g.wanted.append(value)
        else:
            g.emit("Neg", [value])
