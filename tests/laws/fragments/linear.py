"""Convolutions, products, pooling and normalisation, and what is done before and after them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.laws.fragments.builder import Builder, Impossible, Value


def scaled(g: Builder, x: Value, channels: int) -> Value:
    """What follows, or stands before, a linear operator: arithmetic by constants that fit its channels, or do not."""
    for _ in range(g.rng.choice([0, 1, 1, 2])):
        style = g.rng.random()
        if style < 0.35 and x.rank >= 2:
            x = batch_norm(g, x)
        else:
            shape: tuple[int, ...] = (channels, *(1,) * (x.rank - 2))
            shape = g.rng.choice([shape, (1, *shape), (), (1,), (1,) * x.rank, (x.sizes[-1] or 1,), (1, 1, *shape)])
            pair = [x, g.const(g.draw(shape, x.dtype) + (1 if g.chance(0.5) else 0), x.dtype)]
            if g.chance(0.3):
                pair.reverse()
            x = g.emit(g.rng.choice(["Add", "Mul", "Sub", "Div"]), pair)
    return x


def batch_norm(g: Builder, x: Value) -> Value:
    channels = x.sizes[1]
    if channels is None:
        raise Impossible
    parts = [g.const(g.draw([channels], x.dtype), x.dtype) for _ in range(3)]
    variance = g.const(np.abs(g.draw([channels], x.dtype)) + 0.1, x.dtype)
    return g.emit("BatchNormalization", [x, *parts, variance], **({"epsilon": 1e-3} if g.chance(0.5) else {}))


def normalised(g: Builder) -> None:
    batch_norm(g, g.float(2))


def image(g: Builder) -> Value:
    """Something with channels and one or two spatial axes."""
    if g.chance(0.6):
        found = [v for v in g.values if v.floating and v.rank in (3, 4) and v.sizes[1] and not v.constant]
        if found:
            return g.rng.choice(found[-3:])
    rank = g.rng.choice([3, 4, 4])
    size = [g.rng.choice([4, 5, 6, None]) for _ in range(rank - 2)]
    return g.feed([g.rng.choice([None, None, 1]), g.rng.choice([2, 4]), *size], g.dtype)


def padded(g: Builder, x: Value) -> Value:
    value = g.rng.choice([0.0, 0.0, 0.0, 1.0, -np.inf if g.dtype != np.float16 else 0.0])
    spatial = x.rank - 2
    begin = [g.rng.choice([0, 1]) for _ in range(spatial)]
    end = [g.rng.choice([0, 1]) for _ in range(spatial)]
    pads = [0, g.rng.choice([0, 0, 0, 0, 1]), *begin, 0, 0, *end]
    mode = g.rng.choice(["constant"] * 4 + ["reflect", "edge"])
    inputs = [x, g.const(pads, np.int64, plain=True)]
    if value or g.chance(0.5):
        inputs.append(g.const(value if np.isfinite(value) else -1.0, x.dtype))
    return g.emit("Pad", inputs, mode=mode, exact=True)


def windows_fit(x: Value, kernel: list[int], attrs: dict[str, Any]) -> None:
    """Raises Impossible for windows larger than what they go over: that has no result, and runtimes make one up."""
    count = len(kernel)
    pads, dilations = attrs.get("pads", [0] * 2 * count), attrs.get("dilations", [1] * count)
    for array in () if attrs.get("auto_pad", "").startswith("SAME") else x.arrays:
        for at, length in enumerate(array.shape[2:]):
            if length + pads[at] + pads[at + count] <= dilations[at] * (kernel[at] - 1):
                raise Impossible


def convolution(g: Builder) -> None:
    x = image(g)
    if g.chance(0.3):
        x = padded(g, x)
    if g.chance(0.3):
        x = scaled(g, x, x.sizes[1] or 1)
    channels, spatial = x.sizes[1], x.rank - 2
    if channels is None:
        raise Impossible
    group = g.rng.choice([1, 1, channels, 2 if channels % 2 == 0 else 1])
    transposed = g.chance(0.25)
    out = g.rng.choice([1, 2]) * group
    kernel = [g.rng.choice([1, 2, 3]) for _ in range(spatial)]
    shape = [channels, out // group, *kernel] if transposed else [out, channels // group, *kernel]
    attrs: dict[str, Any] = {"group": group}
    if g.chance(0.3):
        attrs["strides"] = [g.rng.choice([1, 2]) for _ in range(spatial)]
    if g.chance(0.3):
        attrs["pads"] = [g.rng.choice([0, 1]) for _ in range(2 * spatial)]
    elif g.chance(0.2):
        attrs["auto_pad"] = g.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    if g.chance(0.2):
        attrs["dilations"] = [g.rng.choice([1, 2]) for _ in range(spatial)]
    if not transposed:
        windows_fit(x, kernel, attrs)
    inputs = [x, g.const(g.draw(shape, x.dtype), x.dtype)]
    if g.chance(0.5):
        inputs.append(g.const(g.draw([out], x.dtype), x.dtype))
    y = g.emit("ConvTranspose" if transposed else "Conv", inputs, **attrs)
    scaled(g, y, out)


def pooling(g: Builder) -> None:
    x = image(g)
    if g.chance(0.5):
        x = padded(g, x)
    spatial = x.rank - 2
    if g.chance(0.2):
        g.emit(g.rng.choice(["GlobalAveragePool", "GlobalMaxPool"]), [x])
        return
    attrs: dict[str, Any] = {"kernel_shape": [g.rng.choice([1, 2, 3]) for _ in range(spatial)]}
    if g.chance(0.4):
        attrs["pads"] = [g.rng.choice([0, 1]) for _ in range(2 * spatial)]
    if g.chance(0.4):
        attrs["strides"] = [g.rng.choice([1, 2]) for _ in range(spatial)]
    if g.chance(0.2):
        attrs["ceil_mode"] = 1
    windows_fit(x, attrs["kernel_shape"], attrs)
    op = g.rng.choice(["MaxPool", "AveragePool"])
    if op == "AveragePool" and g.chance(0.5):
        attrs["count_include_pad"] = 1
    if op == "MaxPool" and g.chance(0.2):
        g.emits(op, [x], 2, **attrs)
    else:
        g.emit(op, [x], **attrs)


def product(g: Builder) -> None:
    x = g.float(1)
    width = x.sizes[-1]
    if width is None:
        raise Impossible
    if g.chance(0.3):
        x = scaled(g, x, width)
    if x.sizes[-1] != width:
        raise Impossible
    out = g.rng.choice([1, 2, 3])
    weight = g.const(g.draw([width, out], x.dtype), x.dtype)
    if g.chance(0.3):
        weight = g.const(g.draw([out, width], x.dtype), x.dtype)
        weight = g.emit("Transpose", [weight], perm=[1, 0], exact=True)
    if g.chance(0.1):
        weight = g.const(g.draw([2, width, out], x.dtype), x.dtype)
    y = g.emit("MatMul", [x, weight])
    bias = g.rng.choice([(out,), (out,), (1, out), (), (1,), (1, 1, out)])
    if g.chance(0.7):
        pair = [y, g.const(g.draw(bias, x.dtype), x.dtype)]
        if g.chance(0.5):
            pair.reverse()
        y = g.emit("Add", pair)
    scaled(g, y, out)


def biased(g: Builder, x: Value, out: int) -> Value:
    """x W + b, with or without b, which has one element for each column."""
    width = x.sizes[-1]
    if width is None:
        raise Impossible
    y = g.emit("MatMul", [x, g.const(g.draw([width, out], x.dtype) / 2, x.dtype)])
    if g.chance(0.6):
        pair = [y, g.const(g.draw([out], x.dtype), x.dtype)]
        y = g.emit("Add", pair[:: g.rng.choice([1, -1])])
    return y


def gemm(g: Builder) -> None:
    x = g.float(2, 2)
    if g.chance(0.3):
        x = g.emit("Transpose", [x], perm=[1, 0], exact=True)
    attrs: dict[str, Any] = {key: 1 for key in ("transA", "transB") if g.chance(0.3)}
    width = x.sizes[0 if attrs.get("transA") else 1]
    if width is None:
        raise Impossible
    if g.chance(0.2):
        attrs["alpha"] = 0.5
    if g.chance(0.2):
        attrs["beta"] = 2.0
    out = g.rng.choice([1, 2, 3])
    shape = [out, width] if attrs.get("transB") else [width, out]
    inputs = [x, g.const(g.draw(shape, x.dtype), x.dtype)]
    if g.chance(0.6):
        inputs.append(g.const(g.draw(g.rng.choice([(out,), (1, out), (1,), ()]), x.dtype), x.dtype))
    y = g.emit("Gemm", inputs, **attrs)
    if g.chance(0.3):
        y = g.emit("Transpose", [y], perm=[1, 0], exact=True)
    scaled(g, y, out)


def product_of_values(g: Builder) -> None:
    x = g.float(2)
    y = g.float(2)
    if g.chance(0.5):
        perm = list(range(y.rank))
        perm[-1], perm[-2] = perm[-2], perm[-1]
        if g.chance(0.2):
            g.rng.shuffle(perm)
        y = g.emit("Transpose", [y], perm=perm, exact=True)
    z = g.emit("MatMul", [x, y])
    if g.chance(0.5):
        g.emit(g.rng.choice(["Mul", "Div", "Add"]), [z, g.number(g.rng.choice([0.125, 8.0, 3.0]), z)])
