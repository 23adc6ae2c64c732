"""Attention in many spellings: projections, heads, masks, rotary embeddings, pasts; now and then with a mistake."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.laws.fragments.builder import OTHER, Array, Builder, Impossible, Value
from tests.laws.fragments.linear import biased
from tests.laws.fragments.spelled import leak, plus, times

FREE = None
LENGTH, WIDTHS, HEADS_APART = 3, (2, 4), 4


def sequence(g: Builder, width: int) -> Value:
    """(batch, sequence, width), new or one that there is."""
    found = [v for v in g.values if v.floating and v.rank == 3 and v.sizes[2] == width and not v.constant]
    if found and g.chance(0.5):
        return g.rng.choice(found)
    return g.feed([g.rng.choice([FREE, OTHER, 1, 2]), g.rng.choice([FREE, OTHER, LENGTH, 1]), width], g.dtype)


def moved(g: Builder, x: Value, *perm: int) -> Value:
    return g.emit("Transpose", [x], perm=list(perm), exact=True)


def shaped(g: Builder, x: Value, *shape: int) -> Value:
    return g.emit("Reshape", [x, g.const(list(shape), np.int64, plain=True)], exact=True)


def apart(g: Builder, x: Value, heads: int, size: int) -> Value:
    """(batch, heads, sequence, size)."""
    lengths = (g.rng.choice([0, 0, 0, -1]), 0, heads, size) if g.chance(0.7) else (0, 0, heads, -1)
    if heads == 1 and g.chance(0.3):
        return g.axes("Unsqueeze", x, [1])
    return moved(g, shaped(g, x, *lengths), 0, 2, 1, 3)


def operands(g: Builder, heads: int, size: int) -> tuple[Value, Value, Value]:
    """Queries, keys and values: of one input or two, projected each for itself or together, or not at all."""
    x = sequence(g, heads * size)
    y = x if g.chance(0.7) else sequence(g, heads * size)
    style = g.rng.random()
    if style < 0.4:
        q, k, v = (biased(g, part, heads * size) for part in (x, y, y))
    elif style < 0.6:
        joined = biased(g, x, 3 * heads * size)
        widths = g.const([heads * size] * 3, np.int64, plain=True)
        split: dict[str, object] = {"split": [heads * size] * 3} if g.opset < 13 else {}
        q, k, v = g.emits("Split", [joined] if split else [joined, widths], 3, axis=2, exact=True, **split)
    else:
        q, k, v = x, y, y
    return apart(g, q, heads, size), apart(g, k, heads, size), apart(g, v, heads, size)


def angles(g: Builder, rows: int, size: int, *, neighbours: bool) -> tuple[Value, Value]:
    """Cosines and sines for each position, the same for both elements of a pair, or not."""
    half = g.draw([rows, size // 2], np.float64)
    both = np.repeat(half, 2, axis=-1) if neighbours else np.concatenate([half, half], axis=-1)
    if g.chance(0.1):
        both = g.draw([rows, size], np.float64)
    lead = (1,) * g.rng.choice([0, 1, 2])
    cos, sin = (function(both).reshape(*lead, rows, size) for function in (np.cos, np.sin))
    return g.const(cos), g.const(sin)


def sliced(g: Builder, x: Value, start: int, end: int, step: int = 1) -> Value:
    bounds = [g.const([one], np.int64, plain=True) for one in (start, end, x.rank - 1, step)]
    return g.emit("Slice", [x, *(bounds if step > 1 else bounds[:3])], exact=True)


def turned(g: Builder, x: Value) -> Value:
    """Rotary embedding of (batch, heads, sequence, size)."""
    rows, size = x.sizes[2:]
    if rows is None or size is None or size % 2:
        raise Impossible
    neighbours = g.chance(0.3)
    cos, sin = angles(g, rows, size, neighbours=neighbours)
    if neighbours:
        first, second = sliced(g, x, 0, size, 2), sliced(g, x, 1, size, 2)
        pieces = [g.axes("Unsqueeze", one, [4]) for one in (g.emit("Neg", [second], exact=True), first)]
        other = shaped(g, g.emit("Concat", pieces, axis=4, exact=True), 0, 0, 0, size)
    else:
        first, second = sliced(g, x, 0, size // 2), sliced(g, x, size // 2, g.rng.choice([size, 1 << 62]))
        pair = [g.emit("Neg", [second], exact=True), first]
        other = g.emit("Concat", pair[:: 1 if g.chance(0.95) else -1], axis=-1, exact=True)
    y = plus(g, times(g, x, cos), times(g, other, sin))
    leak(g, [first, second, other])
    return y


def rotary(g: Builder) -> None:
    heads, size = g.rng.choice([1, 2]), g.rng.choice(WIDTHS)
    x = g.feed([g.rng.choice([FREE, 1, 2]), LENGTH, heads * size], g.dtype)
    y = apart(g, x, heads, size) if g.chance(0.7) else g.feed([g.rng.choice([FREE, 1]), heads, LENGTH, size], g.dtype)
    if size > 2 and g.chance(0.2):
        pieces = [turned(g, sliced(g, y, 0, 2)), sliced(g, y, 2, size)]
        g.emit("Concat", pieces, axis=-1)
    else:
        turned(g, y)


def root(g: Builder, x: Value, size: int, power: float = 0.5) -> Value:
    """The product with the scale, or the quotient by its inverse."""
    number = size**power
    if g.chance(0.5):
        return g.emit("Div", [x, g.number(number, x, off=0.05)])
    return times(g, x, g.number(1 / number, x, off=0.05))


def key_mask(g: Builder, scores: Value) -> Value:
    """Which keys count, from an input of (batch, keys) that has no row of zeros: (batch, 1, 1, keys)."""
    batch, _, _, keys = scores.sizes
    arrays = tuple(np.ones((a.shape[0], a.shape[3]), np.int64) for a in scores.arrays)
    for array in arrays:
        array[:, 1:] = g.draw(array[:, 1:].shape, bool)
    value = given(g, arrays, (batch, keys), g.rng.choice([np.int64, np.int64, np.bool_, np.int32]))
    return g.axes("Unsqueeze", value, [1, 2])


def given(g: Builder, arrays: tuple[Array, ...], sizes: tuple[int | None, ...], dtype: type) -> Value:
    """An input of the graph with chosen elements."""
    value = g.feed([1 if size is None else size for size in sizes], dtype)
    value.arrays = (arrays[0].astype(dtype), arrays[1].astype(dtype))
    return value


def lowest(g: Builder) -> float:
    least = float(np.finfo(g.dtype).min)
    return g.rng.choice([-1e4, least, least, -np.inf])


def masked(g: Builder, scores: Value) -> Value:
    """Scores with something added to them, or in place of them."""
    if scores.rank != HEADS_APART:
        raise Impossible
    style = g.rng.choice(["keys", "keys", "where", "where", "causal", "bias", "heads", "rows"])
    heads, rows, columns = scores.sizes[1:]
    if style in ("keys", "where"):
        return masked_keys(g, scores, added=style == "keys")
    if rows is None or columns is None:
        if g.chance(0.7):
            return masked_keys(g, scores, added=g.chance(0.5))
        shape: tuple[int, ...] = (heads or 1, 1, 1)
    elif style == "causal":
        held = np.where(np.tril(np.ones((rows, columns), bool)), 0, lowest(g))
        if not np.isfinite(held[:, 0]).all():
            raise Impossible
        return hidden(g, scores, held)
    else:
        shape = {"heads": (heads or 1, 1, 1), "rows": (rows, columns)}.get(style, (1, heads or 1, rows, columns))
    return plus(g, scores, g.const(g.draw(shape, scores.dtype), scores.dtype))


def hidden(g: Builder, scores: Value, held: Array) -> Value:
    """The scores where `held` is zero, spelled as a sum or a choice."""
    shape = (1,) * g.rng.choice([0, 2]) + held.shape
    if g.chance(0.5):
        return plus(g, scores, g.const(held.reshape(shape), scores.dtype))
    least = g.const(lowest(g), scores.dtype)
    if g.chance(0.5):
        return g.emit("Where", [g.const((held == 0).reshape(shape), bool), scores, least], exact=True)
    return g.emit("Where", [g.const((held != 0).reshape(shape), bool), least, scores], exact=True)


def masked_keys(g: Builder, scores: Value, *, added: bool) -> Value:
    mask = key_mask(g, scores)
    to = helper.np_dtype_to_tensor_dtype(scores.dtype)
    least = g.const(lowest(g), scores.dtype)
    if added and g.chance(0.6):
        zeros = g.emit("Sub", [g.number(1.0, scores), g.emit("Cast", [mask], to=to, exact=True)])
        return plus(g, scores, times(g, zeros, g.const(g.rng.choice([-1e4, -1e3, -5.0]), scores.dtype)))
    condition = mask if mask.dtype == np.bool_ else g.emit("Cast", [mask], to=9, exact=True)
    pair = [g.const(0.0, scores.dtype) if added else scores, least]
    if g.chance(0.4):
        condition = g.emit("Not", [condition], exact=True)
        pair.reverse()
    chosen = g.emit("Where", [condition, *pair], exact=True)
    return plus(g, scores, chosen) if added else chosen


def soft(g: Builder, scores: Value) -> Value:
    """Softmax over the keys, now and then with zeros for what is no number."""
    if g.opset < 13:
        y = g.emit("Softmax", [scores], axis=3)
    else:
        y = g.emit("Softmax", [scores], **({"axis": g.rng.choice([-1, 3, 3, 2])} if g.chance(0.8) else {}))
    if g.chance(0.2):
        return g.emit("Where", [g.emit("IsNaN", [y], exact=True), g.const(0.0, y.dtype), y], exact=True)
    return y


def attention(g: Builder) -> None:
    """A Softmax between two products, for each head."""
    heads, size = g.rng.choice([1, 2, 2, 3]), g.rng.choice(WIDTHS)
    q, k, v = operands(g, heads, size)
    if g.chance(0.25):
        q, k = turned(g, q), turned(g, k)
    if g.chance(0.25):
        k, v = behind(g, k), behind(g, v)
    turn = (0, 1, 3, 2)
    style = g.rng.choice(["query", "scores", "both", "none"])
    q = root(g, q, size) if style == "query" else root(g, q, size, 0.25) if style == "both" else q
    k = root(g, k, size, 0.25) if style == "both" else k
    scores = g.emit("MatMul", [q, moved(g, k, *turn)])
    plain = scores
    scores = root(g, scores, size) if style == "scores" else scores
    for _ in range(g.rng.choice([0, 1, 1, 2])):
        scores = masked(g, scores)
    p = soft(g, scores)
    out = g.emit("MatMul", [p, v])
    if g.chance(0.9):
        out = shaped(g, moved(g, out, 0, 2, 1, 3), 0, 0, heads * size)
    leak(g, [q, k, plain, scores, p, out])


def behind(g: Builder, x: Value) -> Value:
    """New keys or values behind those of earlier calls; both are returned."""
    heads, size = x.sizes[1], x.sizes[3]
    batch = x.sizes[0] or (FREE if x.shape[0] == g.free[0] else OTHER)
    past = g.feed([batch, heads, g.rng.choice([FREE, OTHER, 2]), size], g.dtype)
    y = g.emit("Concat", [past, x], axis=2, exact=True)
    if g.chance(0.5):
        g.wanted.append(y)
    return y
