"""Blocks of networks: sums that are normalised, convolutions with what follows, branches that are summed, factors
that could be part of weights far above, and what stands between two Transposes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.laws.fragments.attention import sequence
from tests.laws.fragments.builder import Builder, Impossible, Value
from tests.laws.fragments.linear import batch_norm, biased, image
from tests.laws.fragments.spelled import gelu, layer_norm, leak, plus, rms_norm, swish, times

ACTIVATIONS = ("Relu", "Relu", "Sigmoid", "Tanh", "HardSigmoid", "LeakyRelu", "Clip", "Elu")
PIXEL_MOVES = ("Relu", "MaxPool", "AveragePool", "Pad", "Transpose", "Slice", "Concat", "Reshape", "Neg", "Flatten")


def row(g: Builder, x: Value) -> Value:
    """A constant with an element for each of the last dimension, or nearly."""
    width = x.sizes[-1]
    if width is None:
        raise Impossible
    shape = g.rng.choice([(width,), (width,), (width,), (1, width), (1, 1, width), (1,), ()])
    return g.const(g.draw(shape, x.dtype), x.dtype)


def normed(g: Builder, x: Value) -> None:
    """A normalisation of the last dimension as an operator, where the opset has one."""
    axis: dict[str, Any] = {"axis": g.rng.choice([-1, -1, x.rank - 1, 1])}
    width = x.sizes[-1]
    if width is None:
        raise Impossible
    parts = [g.const(g.draw([width], x.dtype), x.dtype) for _ in range(2)]
    if g.opset >= 23 and g.chance(0.5):
        g.emit("RMSNormalization", [x, parts[0]], **axis)
    elif g.opset >= 17:
        g.emit("LayerNormalization", [x, *parts[: g.rng.choice([1, 2, 2])]], **axis)
    else:
        raise Impossible


def residual(g: Builder) -> None:
    """x + skip, or x + bias + skip, normalised; the sum is used again, or not."""
    x = sequence(g, g.rng.choice([2, 4, 6]))
    skip = biased(g, x, x.shape[2]) if g.chance(0.6) else sequence(g, x.shape[2])
    total = plus(g, plus(g, x, row(g, x)), skip) if g.chance(0.5) else plus(g, x, skip)
    marks = len(g.values)
    style = g.rng.choice([normed, normed, layer_norm, rms_norm])
    if style is normed:
        normed(g, total)
    else:
        style(g)
    if g.chance(0.4):
        plus(g, total, g.rng.choice(g.values[marks:]))
    leak(g, [total])


def kernel(g: Builder, inputs: int, outputs: int, *size: int) -> Value:
    return g.const(g.draw([outputs, inputs, *size], g.dtype), g.dtype)


def plain_conv(g: Builder, x: Value, outputs: int, size: int | None = None, **attrs: Any) -> Value:
    """A convolution that keeps the spatial lengths, of kernel 1 or 3."""
    inputs, spatial = x.sizes[1], x.rank - 2
    if inputs is None or spatial < 1 or x.dtype != g.dtype:
        raise Impossible
    size = size or g.rng.choice([1, 3])
    weights = [kernel(g, inputs, outputs, *(size,) * spatial)]
    if g.chance(0.6):
        weights.append(g.const(g.draw([outputs], g.dtype), g.dtype))
    pads = [(size - 1) // 2] * 2 * spatial
    return g.emit("Conv", [x, *weights], pads=pads, kernel_shape=[size] * spatial, **attrs)


def activated(g: Builder) -> None:
    """A convolution or a Gemm, something added or not, and an activation."""
    y = plain_conv(g, image(g), g.rng.choice([2, 4])) if g.chance(0.7) else gemm(g, g.float(2, 2), 3)
    if g.chance(0.3):
        same = [v for v in g.values if v.dtype == y.dtype and v.sizes == y.sizes and not v.constant]
        y = plus(g, y, g.rng.choice(same))
    op = g.rng.choice(ACTIVATIONS)
    bounds = [g.const(one, y.dtype, plain=True) for one in (0.0, 6.0)] if op == "Clip" else []
    leak(g, [y])
    g.emit(op, [y, *bounds])


def gemm(g: Builder, x: Value, outputs: int) -> Value:
    width = x.sizes[1]
    if width is None:
        raise Impossible
    turned = g.chance(0.3)
    shape = [outputs, width] if turned else [width, outputs]
    inputs = [x, g.const(g.draw(shape, x.dtype), x.dtype)]
    if g.chance(0.6):
        inputs.append(g.const(g.draw(g.rng.choice([(outputs,), (1, outputs), ()]), x.dtype), x.dtype))
    attrs: dict[str, Any] = {"alpha": 0.5} if g.chance(0.2) else {}
    return g.emit("Gemm", inputs, transB=int(turned), **attrs)


def parallel_convs(g: Builder) -> None:
    """Convolutions of one input, a normalisation of it, a multiple of it, or itself, summed or joined."""
    x = image(g)
    channels = x.sizes[1]
    if channels is None:
        raise Impossible
    if g.chance(0.25):
        size = g.rng.choice([1, 3])
        parts = [plain_conv(g, x, g.rng.choice([1, 2]), size) for _ in range(g.rng.choice([2, 3]))]
        leak(g, parts)
        g.emit("Concat", parts, axis=1, exact=True)
        return
    total = plain_conv(g, x, channels)
    for _ in range(g.rng.choice([1, 1, 2])):
        style = g.rng.choice(["conv", "conv", "normal", "multiple", "itself"])
        factor = g.const(g.draw(g.rng.choice([(channels,) + (1,) * (x.rank - 2), ()]), x.dtype), x.dtype)
        other = {
            "conv": lambda: plain_conv(g, x, channels),
            "normal": lambda: batch_norm(g, x),
            "multiple": lambda one=factor: times(g, x, one),
            "itself": lambda: x,
        }[style]()
        leak(g, [total, other])
        total = plus(g, total, other)


def convs_in_a_row(g: Builder) -> None:
    x = image(g)
    y = plain_conv(g, x, g.rng.choice([1, 2, 4]), 1 if g.chance(0.6) else 3)
    leak(g, [y])
    plain_conv(g, y, g.rng.choice([1, 2]), None, **({"strides": [2] * (x.rank - 2)} if g.chance(0.2) else {}))


def products(g: Builder) -> None:
    """Products with constant matrices in a row, or beside each other: summed, or each for itself."""
    x = g.float(2, 3)
    width = x.sizes[-1]
    if width is None:
        raise Impossible
    out = g.rng.choice([width, 1, 3])
    flat = x.rank == 2 and g.chance(0.4)

    def linear(of: Value, outputs: int) -> Value:
        return gemm(g, of, outputs) if flat else biased(g, of, outputs)

    style = g.rng.random()
    if style < 0.3:
        inner = linear(x, out)
        leak(g, [inner])
        linear(inner, g.rng.choice([1, 2]))
    elif style < 0.7:
        first, second = linear(x, out), linear(linear(x, 1), out) if g.chance(0.3) else linear(x, out)
        between = plus(g, first, g.operand(first)) if g.chance(0.3) else first
        plus(g, between, second)
        leak(g, [first, second])
    else:
        for _ in range(g.rng.choice([2, 3])):
            linear(x, g.rng.choice([1, 2, out]))


def far_factor(g: Builder) -> None:
    """A linear operator, what moves or selects its results, then a factor or a summand for each channel."""
    x = image(g)
    y = plain_conv(g, x, g.rng.choice([2, 4]))
    held = [y]
    for _ in range(g.rng.choice([1, 1, 2, 3])):
        y = passed(g, y)
        held.append(y)
    shape = tuple((size or 1) if g.chance(0.4) else 1 for size in y.sizes)
    numbers = g.draw(shape, y.dtype)
    numbers = np.abs(numbers) + 0.1 if g.chance(0.5) else numbers
    y = g.emit(g.rng.choice(["Mul", "Mul", "Add", "Div", "Sub"]), [y, g.const(numbers, y.dtype)])
    leak(g, held)


def passed(g: Builder, y: Value) -> Value:
    """Something that moves, selects, averages or rectifies."""
    op, spatial = g.rng.choice(PIXEL_MOVES), y.rank - 2
    if op in ("MaxPool", "AveragePool"):
        if spatial < 1:
            raise Impossible
        return g.emit(op, [y], kernel_shape=[2] * spatial, pads=[g.rng.choice([0, 1])] * 2 * spatial)
    pads = [0, 0, *(g.rng.choice([0, 1]) for _ in range(spatial))] * 2
    numbers = {"Pad": [pads], "Slice": [[0], [2], [1 if g.chance(0.5) else y.rank - 1]], "Reshape": [[0, 0, -1]]}
    given = [g.const(one, np.int64, plain=True) for one in numbers.get(op, [])]
    more = [y if g.chance(0.5) else plain_conv(g, y, y.shape[1])] if op == "Concat" else []
    attrs: dict[str, Any] = {"Transpose": {"perm": g.rng.sample(range(y.rank), y.rank)}, "Concat": {"axis": 1}}.get(
        op, {}
    )
    return g.emit(op, [y, *more, *given], exact=True, **attrs)


def between_transposes(g: Builder) -> None:
    """Operators that work in any layout, between a Transpose and the one that takes it back."""
    x = g.float(2, 4)
    perm = g.rng.sample(range(x.rank), x.rank)
    back = list(np.argsort(perm))
    y = g.emit("Transpose", [x], perm=perm, exact=True)
    held = [y]
    for _ in range(g.rng.choice([1, 2, 2, 3])):
        y = unlaid(g, y)
        held.append(y)
    if y.rank == x.rank:
        g.emit("Transpose", [y], perm=[int(one) for one in back], exact=True)
    leak(g, held)


def unlaid(g: Builder, y: Value) -> Value:
    """An operator that works in any layout."""
    op = g.rng.choice(["Relu", "Sigmoid", "Softmax", "Concat", "Add", "Mul", "Reduce", "Pad", "Sum", "Where"])
    axis = g.rng.randrange(y.rank)
    if op == "Reduce":
        return g.reduce(g.rng.choice(["ReduceMean", "ReduceMax", "ReduceSum"]), y, [axis], g.rng.choice([0, 1, 1]))
    inputs, attrs = [y], dict[str, Any]()
    if op in ("Softmax", "Concat"):
        inputs, attrs = [y] * (1 + (op == "Concat")), {"axis": g.rng.choice([axis, axis - y.rank])}
    elif op in ("Add", "Mul", "Sum"):
        inputs = [y, g.operand(y)]
    elif op == "Pad":
        inputs = [y, g.const([g.rng.choice([0, 0, 1]) for _ in range(2 * y.rank)], np.int64, plain=True)]
    elif op == "Where":
        inputs = [g.const(g.draw([y.sizes[-1] or 1], bool), bool), y, g.const(0.0, y.dtype)]
    return g.emit(op, inputs, exact=op in ("Concat", "Pad", "Where"), **attrs)


def biased_activation(g: Builder) -> None:
    """A product, a bias, and an activation that is spelled out."""
    x = g.float(2, 3)
    biased(g, x, g.rng.choice([2, 4]))
    g.rng.choice([gelu, swish])(g)
