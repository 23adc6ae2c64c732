"""Positions, lookups and masks as exporters compute them."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.laws.fragments.attention import sequence
from tests.laws.fragments.builder import OTHER, Builder, Impossible, Value
from tests.laws.fragments.movement import entry
from tests.laws.fragments.spelled import leak, plus

ROWS = 9


def counted(g: Builder, ids: Value) -> Value:
    """Numbers from 0 (or another) for each place along the last axis of something."""
    size = entry(g, g.emit("Shape", [ids], exact=True), ids.rank - 1, scalar=True)
    ends = [g.const(g.rng.choice([0, 0, 1]), np.int64, plain=True), size, g.const(1, np.int64, plain=True)]
    if g.chance(0.2):
        ends[1] = g.emit("Add", [size, g.const(2, np.int64, plain=True)], exact=True)
    numbers = g.emit("Range", ends, exact=True)
    return g.axes("Unsqueeze", numbers, [0]) if g.chance(0.6) else numbers


def token_ids(g: Builder) -> Value:
    """(batch, sequence), int64 or int32."""
    dims = [g.rng.choice([None, OTHER, 1, 2]), g.rng.choice([None, OTHER, 3])]
    x = g.feed(dims, g.rng.choice([np.int64, np.int64, np.int32]))
    if x.dtype == np.int32 and g.chance(0.6):
        return g.emit("Cast", [x], to=helper.np_dtype_to_tensor_dtype(np.dtype(np.int64)), exact=True)
    return x


def same_ids(g: Builder, ids: Value) -> Value:
    """The same number for each place: token types that nobody gave."""
    shape = g.emit("Shape", [ids], exact=True)
    if g.chance(0.5):
        value = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(np.dtype(np.int64)), [1], [1])
        return g.emit("ConstantOfShape", [shape], value=value, exact=True)
    return g.emit("Expand", [g.const(np.array([[1]]), np.int64, plain=True), shape], exact=True)


def window(g: Builder, ids: Value) -> Value:
    """The first numbers of a constant row of them, as many as there are places."""
    size = entry(g, g.emit("Shape", [ids], exact=True), 1)
    row = np.arange(ROWS)[None] if g.chance(0.9) else np.arange(ROWS)[None, ::-1]
    bounds = [g.const([0], np.int64, plain=True), size, g.const([g.rng.choice([1, -1])], np.int64, plain=True)]
    return g.emit("Slice", [g.const(row, np.int64), *bounds], exact=True)


def embedding(g: Builder) -> None:
    """Lookups by token, by position, by type, and rows that are added, in some order."""
    ids, width = token_ids(g), g.rng.choice([2, 4])
    made: list[Value] = []
    for style in g.rng.sample(["tokens", "positions", "types", "window", "row", "shifted"], g.rng.choice([2, 3])):
        if style == "row":
            shape = g.rng.choice([(width,), (1, width), (1, 1, width), (1,), ()])
            made.append(g.const(g.draw(shape, g.dtype)))
            continue
        table = g.const(g.draw([ROWS, width], g.dtype))
        if style == "shifted":
            by = g.const(g.rng.choice([2, [2], 1]), ids.dtype)
            indices = plus(g, counted(g, ids) if g.chance(0.5) and ids.dtype == np.int64 else ids, by)
        else:
            indices = {"tokens": lambda: ids, "positions": lambda: counted(g, ids)}.get(
                style, lambda style=style: same_ids(g, ids) if style == "types" else window(g, ids)
            )()
        made.append(g.emit("Gather", [table, indices], axis=0, exact=True))
    total = made[0]
    for one in made[1:]:
        total = plus(g, total, one)
    leak(g, [v for v in made if not v.constant] or [total])


def class_token(g: Builder) -> None:
    """A constant row before each sequence, and positions."""
    x = sequence(g, g.rng.choice([2, 4]))
    width, length = x.shape[2], x.sizes[1]
    token = g.const(g.draw([1, 1, width], x.dtype), x.dtype)
    batch = entry(g, g.emit("Shape", [x], exact=True), 0)
    target = g.emit("Concat", [batch, g.const([1, width], np.int64, plain=True)], axis=0, exact=True)
    y = g.emit("Concat", [g.emit("Expand", [token, target], exact=True), x], axis=1, exact=True)
    if length is None:
        raise Impossible
    rows = g.rng.choice([length + 1, length + 1, 1])
    plus(g, y, g.const(g.draw([*(1,) * g.rng.choice([0, 1]), rows, width], x.dtype), x.dtype))
    leak(g, [y])


def roll(g: Builder) -> None:
    """Slices of one tensor, put together again."""
    x = g.pick(lambda v: 1 <= v.rank <= 4 and not v.constant)
    axis = g.rng.randrange(x.rank)
    size = x.sizes[axis]
    if size is None or size < 2:
        raise Impossible
    cut = g.rng.randrange(1, size)
    ends = [[cut, g.rng.choice([size, (1 << 63) - 1])], [0, g.rng.choice([cut, cut - size])]]
    if g.chance(0.2):
        ends[0] = [-1, -(1 << 31), -1]
    pieces = []
    for bounds in ends[:: g.rng.choice([1, 1, -1])]:
        given = [g.const([one], np.int64, plain=True) for one in (*bounds[:2], axis, *bounds[2:])]
        pieces.append(g.emit("Slice", [x, *given], exact=True))
    leak(g, pieces)
    g.emit("Concat", pieces, axis=g.rng.choice([axis, axis - x.rank]), exact=True)


def certain(g: Builder, x: Value) -> Value:
    """A condition that always holds, or nearly, with the shape of something or a smaller one."""
    value = np.array([g.rng.choice([True, True, True, False])])
    shape = g.emit("Shape", [x], exact=True)
    if g.chance(0.4):
        tensor = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(np.dtype(bool)), [1], value)
        return g.emit("ConstantOfShape", [shape], value=tensor, exact=True)
    if g.chance(0.5):
        return g.emit("Expand", [g.const(value, bool, plain=True), shape], exact=True)
    low = g.const(g.rng.choice([0, -1, 1]), np.int64, plain=True)
    return g.emit("Greater", [counted(g, x), low], exact=True)


def mask(g: Builder) -> None:
    """A condition And another that always holds, and what it chooses."""
    x = g.float(2, 3)
    size = [s if s is not None and g.chance(0.6) else 1 for s in x.sizes]
    condition = g.emit("Greater", [g.pick(lambda v: v.exact and v.floating), g.const(0.0)], exact=True)
    if g.chance(0.3):
        condition = g.const(g.draw(size, bool), bool)
    elif g.chance(0.5) and x.exact:
        condition = g.emit("Greater", [x, g.const(0.0, x.dtype)], exact=True)
    pair = [condition, certain(g, x)]
    both = g.emit("And", pair[:: g.rng.choice([1, -1])], exact=True)
    least = g.const(g.rng.choice([-5.0, 0.0, -1e4]), x.dtype)
    style = g.rng.random()
    if style < 0.4:
        plus(g, x, g.emit("Where", [both, g.const(0.0, x.dtype), least], exact=True))
    elif style < 0.7:
        g.emit("Where", [both, x, least], exact=True)
    else:
        g.emit("Where", [g.emit("Not", [both], exact=True), least, x], exact=True)
    leak(g, [both])


def uniform(g: Builder) -> None:
    """Arithmetic with something that is computed, and the same number everywhere."""
    x = g.pick(lambda v: v.rank >= 1 and v.dtype != np.bool_ and not v.constant)
    number = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(x.dtype), [1], np.array([2], x.dtype))
    y = g.emit("ConstantOfShape", [g.emit("Shape", [g.pick(lambda v: v.rank <= x.rank)], exact=True)], value=number)
    pair = [x, y] if g.chance(0.6) else [y, x]
    g.emit(g.rng.choice(["Add", "Mul", "Sub", "Div", "Max", "Less", "Equal"]), pair)


def repeated(g: Builder) -> None:
    """Arithmetic with a constant that repeats itself."""
    x = g.pick(lambda v: v.rank >= 1 and v.dtype != np.bool_ and not v.constant)
    shape = [size or 1 for size in x.sizes]
    part = [size if g.chance(0.5) else 1 for size in shape]
    held = np.broadcast_to(g.draw(part, x.dtype) + np.array(1, x.dtype), shape)
    pair = [x, g.const(held, x.dtype)]
    g.emit(g.rng.choice(["Add", "Mul", "Sub", "Div"]), pair[:: g.rng.choice([1, -1])])


def grid(g: Builder) -> None:
    """Lookups of every element of a matrix in order: flattened by counters, or by constant indices."""
    x = g.pick(lambda v: v.rank == 2 and not v.constant)
    height, width = x.sizes
    if height is None or width is None or g.chance(0.5):
        flat = g.emit("Reshape", [x, g.const([-1], np.int64, plain=True)], exact=True)
        shape = g.emit("Shape", [x], exact=True)
        rows, columns = (entry(g, shape, i, scalar=True) for i in range(2))
        zero, one = (g.const(n, np.int64, plain=True) for n in (0, 1))
        down = g.axes("Unsqueeze", g.emit("Range", [zero, rows, one], exact=True), [1])
        across = g.emit("Range", [zero, columns, one], exact=True)
        across = g.axes("Unsqueeze", across, [0]) if g.chance(0.7) else across
        step = columns if g.chance(0.9) else one
        indices = plus(g, g.emit("Mul", [down, step], exact=True), across)
        g.emit("Gather", [flat, indices], axis=0, exact=True)
        return
    indices = np.stack(np.unravel_index(np.arange(height * width), (height, width)), -1).reshape(height, width, 2)
    if g.chance(0.1):
        indices = indices[::-1]
    g.emit("GatherND", [x, g.const(indices, np.int64)], exact=True)


def sizes(g: Builder) -> None:
    """One dimension as a vector, by Gather with a vector or Gather and Unsqueeze, counted from either end."""
    x = g.pick(lambda v: v.rank >= 1)
    shape = g.emit("Shape", [x], exact=True)
    at = g.rng.randrange(-x.rank, x.rank)
    if g.chance(0.5):
        g.emit("Gather", [shape, g.const([at], np.int64)], axis=0, exact=True)
    else:
        g.axes("Unsqueeze", g.emit("Gather", [shape, g.const(at, np.int64)], axis=0, exact=True), [0])
