"""What moves, cuts, joins and counts elements, and the arithmetic of shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from tests.laws.fragments.builder import ATTRIBUTES_TO_INPUTS, Builder, Impossible, Value
from tests.laws.fragments.linear import image


def shape_of(g: Builder, x: Value) -> Value:
    attrs = {}
    if g.opset >= 15 and g.chance(0.3) and x.rank:
        attrs = {"start": g.rng.randrange(x.rank), "end": g.rng.choice([x.rank, -1])}
    return g.emit("Shape", [x], exact=True, **attrs)


def entry(g: Builder, shape: Value, index: int, *, scalar: bool = False) -> Value:
    """One element of a shape, by Gather or Slice, of rank 1."""
    if g.chance(0.3) and not scalar:
        bounds = [g.const([v], np.int64, plain=True) for v in (index, index + 1)]
        return g.emit("Slice", [shape, *bounds, g.const([0], np.int64, plain=True)], exact=True)
    if g.chance(0.3) and not scalar:
        return g.emit("Gather", [shape, g.const([index], np.int64, plain=True)], axis=0, exact=True)
    one = g.emit("Gather", [shape, g.const(index, np.int64, plain=True)], axis=0, exact=True)
    return one if scalar else g.axes("Unsqueeze", one, [0])


def reshape(g: Builder) -> None:
    x = g.pick(lambda v: v.rank <= 5)
    attrs: dict[str, Any] = {"allowzero": 1} if g.opset >= 14 and g.chance(0.1) else {}
    for _ in range(g.rng.choice([1, 1, 2])):
        sizes = [1 if s is None else s for s in x.sizes]
        style = g.rng.random()
        if style < 0.4 or x.rank == 0:
            options = [
                [-1],
                [0, -1],
                [-1, *sizes[1:]],
                [0] * x.rank,
                [1, -1],
                sizes,
                [-1, *sizes[-1:]],
                [0, 0, -1],
                [*sizes[:1], -1],
            ]
            x = g.emit("Reshape", [x, g.const(g.rng.choice(options), np.int64, plain=True)], exact=True, **attrs)
        else:
            shape = g.emit("Shape", [x], exact=True)
            keep = [entry(g, shape, i) for i in range(g.rng.randrange(1, x.rank + 1))]
            if g.chance(0.3):
                keep[-1] = g.emit(
                    "Mul", [keep[-1], g.const(g.rng.choice([1, [1], 2]), np.int64, plain=True)], exact=True
                )
            tail = g.const([-1], np.int64, plain=True)
            parts = [*keep, tail] if g.chance(0.6) else [tail, *keep]
            if g.chance(0.2):
                parts[0] = g.const([0], np.int64, plain=True)
            target = g.emit("Concat", parts, axis=0, exact=True)
            x = g.emit("Reshape", [x, target], exact=True, **attrs)


def flatten(g: Builder) -> None:
    x = g.pick()
    g.emit("Flatten", [x], axis=g.rng.randrange(-x.rank, x.rank + 1), exact=True)


def transpose(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 2)
    for _ in range(g.rng.choice([1, 1, 2])):
        perm = list(range(x.rank))
        g.rng.shuffle(perm)
        x = g.emit("Transpose", [x], exact=True, **({"perm": perm} if g.chance(0.9) else {}))


def squeeze(g: Builder) -> None:
    x = g.pick(lambda v: v.rank <= 4)
    for _ in range(g.rng.choice([1, 2, 2, 3])):
        ones = [i for i, size in enumerate(x.sizes) if size == 1]
        if ones and g.chance(0.5):
            axes = g.rng.sample(ones, g.rng.randrange(1, len(ones) + 1))
            x = g.axes("Squeeze", x, [a - x.rank if g.chance(0.3) else a for a in axes])
        else:
            count = g.rng.choice([1, 1, 2])
            axes = g.rng.sample(range(x.rank + count), count)
            x = g.axes("Unsqueeze", x, [a - x.rank - count if g.chance(0.3) else a for a in axes])


def slicing(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    for _ in range(g.rng.choice([1, 1, 2])):
        axes = g.rng.sample(range(x.rank), g.rng.choice([1, 1, min(2, x.rank)]))
        starts = [g.rng.choice([0, 0, 1, -2, -1, 5]) for _ in axes]
        ends = [g.rng.choice([1, 2, 3, -1, 1000, (1 << 63) - 1, (1 << 31) - 1]) for _ in axes]
        steps = [g.rng.choice([1, 1, 1, 2, -1]) for _ in axes]
        back = [g.rng.choice([-(1 << 31), 0, -1]) if end > 1000 or g.chance(0.5) else end for end in ends]
        ends = [b if step < 0 else end for b, end, step in zip(back, ends, steps, strict=True)]
        axes = [a - x.rank if g.chance(0.3) else a for a in axes]
        kind = g.rng.choice([np.int64, np.int64, np.int32])
        if kind is np.int32:
            ends = [min(end, (1 << 31) - 1) for end in ends]
        inputs = [x, g.const(starts, kind, plain=True), g.const(ends, kind, plain=True)]
        if axes != [0] or g.chance(0.5):
            inputs.append(g.const(axes, kind, plain=True))
        if len(inputs) == 4 and (steps != [1] * len(axes) or g.chance(0.5)):
            inputs.append(g.const(steps, kind, plain=True))
        y = g.emit("Slice", inputs, exact=True)
        if 0 in y.shape and g.chance(0.8):
            raise Impossible
        x = y


def concat(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    axis = g.rng.randrange(x.rank)
    like = [v for v in g.values if v.dtype == x.dtype and v.rank == x.rank and fits(v, x, axis)]
    parts = [g.rng.choice(like) for _ in range(g.rng.choice([1, 2, 2, 3]))]
    if g.chance(0.3) and None not in (*x.sizes[:axis], *x.sizes[axis + 1 :]):
        shape = [1 if i == axis else s for i, s in enumerate(x.sizes)]
        parts += [g.const(g.draw(shape, x.dtype), x.dtype) for _ in range(g.rng.choice([1, 2]))]
    y = g.emit("Concat", parts, axis=axis - x.rank if g.chance(0.3) else axis, exact=True)
    if g.chance(0.3):
        g.emit("Concat", [y, x], axis=axis, exact=True)


def fits(a: Value, b: Value, axis: int) -> bool:
    return all(
        i == axis or x.arrays[k].shape[i] == y.arrays[k].shape[i]
        for x, y in [(a, b)]
        for k in range(2)
        for i in range(b.rank)
    )


def split(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    axis = g.rng.randrange(x.rank)
    size = x.sizes[axis]
    if size is None:
        raise Impossible
    parts = [size] if g.chance(0.2) else [size // 2, size - size // 2]
    if g.opset < ATTRIBUTES_TO_INPUTS:
        pieces = g.emits("Split", [x], len(parts), axis=axis, split=parts, exact=True)
    elif g.opset >= 18 and len(set(parts)) == 1 and g.chance(0.5):
        pieces = g.emits("Split", [x], len(parts), axis=axis, num_outputs=len(parts), exact=True)
    else:
        pieces = g.emits("Split", [x, g.const(parts, np.int64, plain=True)], len(parts), axis=axis, exact=True)
    if g.chance(0.4):
        if g.chance(0.3):
            pieces.reverse()
        g.emit("Concat", pieces, axis=axis, exact=True)


def gather(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    axis = g.rng.randrange(x.rank)
    indices = g.rng.choice([0, [0], [0, 0], [[0, 0]], [0, -1], -1])
    g.emit("Gather", [x, g.const(indices, g.rng.choice([np.int64, np.int32]))], axis=axis, exact=True)


def expand(g: Builder) -> None:
    x = g.pick(lambda v: v.rank <= 4)
    if g.chance(0.5):
        y = g.pick(lambda v: v.rank <= 4)
        g.emit("Expand", [x, g.emit("Shape", [y], exact=True)], exact=True)
        return
    target = [s if s and g.chance(0.5) else 1 for s in x.sizes]
    if g.chance(0.3):
        target = [2, *target]
    if not target:
        target = [1]
    g.emit("Expand", [x, g.const(target, np.int64, plain=True)], exact=True)


def tile(g: Builder) -> None:
    x = g.pick(lambda v: 1 <= v.rank <= 4)
    g.emit("Tile", [x, g.const([g.rng.choice([1, 1, 2]) for _ in range(x.rank)], np.int64, plain=True)], exact=True)


def filled(g: Builder) -> None:
    """ConstantOfShape or Range from the shape of something."""
    x = g.pick(lambda v: v.rank >= 1)
    shape = shape_of(g, x)
    if g.chance(0.5):
        index = g.rng.randrange(max(shape.shape[0], 1))
        size = entry(g, g.emit("Shape", [x], exact=True), min(index, x.rank - 1), scalar=True)
        ends = [g.const(0, np.int64, plain=True), size, g.const(g.rng.choice([1, 2]), np.int64, plain=True)]
        y = g.emit("Range", ends, exact=True)
        if g.chance(0.5):
            g.emit("Cast", [y], to=helper.np_dtype_to_tensor_dtype(np.dtype(g.dtype)), exact=True)
        return
    value = np.array([g.rng.choice([0, 1, 2])], g.rng.choice([g.dtype, np.int64, np.bool_]))
    y = g.emit("ConstantOfShape", [shape], value=numpy_helper.from_array(value), exact=True)
    if y.dtype == x.dtype and g.chance(0.6):
        g.emit(g.rng.choice(["Add", "Mul"]), [x, y])


def shape_arithmetic(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    shape = g.emit("Shape", [x], exact=True)
    a, b = (entry(g, shape, g.rng.randrange(x.rank)) for _ in range(2))
    c = g.emit(g.rng.choice(["Add", "Mul", "Sub", "Div", "Max", "Min"]), [a, b], exact=True)
    if g.chance(0.5):
        c = g.emit(g.rng.choice(["Add", "Mul", "Div"]), [c, g.const(g.rng.choice([1, [1], [2]]), np.int64)], exact=True)
    if g.chance(0.4):
        for to in (g.dtype, np.int64):
            c = g.emit("Cast", [c], to=helper.np_dtype_to_tensor_dtype(np.dtype(to)), exact=True)
    if g.chance(0.3):
        g.emit("Equal", [c, g.const(g.rng.choice([[1], [2]]), np.int64)], exact=True)


def reduction(g: Builder) -> None:
    x = g.float(1)
    op = g.rng.choice(
        ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare", "ReduceProd"]
    )
    axes = g.rng.sample(range(-x.rank, 0) if g.chance(0.5) else range(x.rank), g.rng.choice([1, 1, min(2, x.rank)]))
    g.reduce(op, x, axes, g.rng.choice([0, 1, 1]))


def resize(g: Builder) -> None:
    x = image(g)
    scales = [1.0, 1.0, *(g.rng.choice([1.0, 1.0, 2.0]) for _ in range(x.rank - 2))]
    g.emit("Resize", [x, None, g.const(scales, np.float32, plain=True)], mode=g.rng.choice(["nearest", "linear"]))


def dropout(g: Builder) -> None:
    x = g.float()
    count = g.rng.choice([1, 1, 2])
    if g.opset < 12:
        g.emits("Dropout", [x], count, exact=True)
    else:
        g.emits("Dropout", [x, g.const(0.5, x.dtype, plain=True)][: g.rng.choice([1, 2])], count, exact=True)


def again(g: Builder) -> None:
    """A node once more, as it stands: a common subexpression."""
    if not g.nodes:
        raise Impossible
    node = g.rng.choice([n for n in g.nodes if n.op_type != "Constant"] or g.nodes)
    by_name = {v.name: v for v in g.values}
    inputs = [by_name.get(name) if name else None for name in node.input]
    if any(v is None and name for v, name in zip(inputs, node.input, strict=True)):
        raise Impossible
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    exact = all(v.exact for v in g.values if v.name in node.output)
    g.emits(node.op_type, inputs, len(node.output), exact=exact, **attrs)
