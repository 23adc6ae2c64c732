"""What an attention adds to its scores, as inputs and attributes of one operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir import dtypes
from passes.attention.axes import Dimension, product
from passes.attention.layout import Layout, steps, unsqueezed
from passes.attention.masks import BOOL, HUGE, Frame, Keys, causal, never_all, of_keys
from passes.attention.scores import Fill, Term

if TYPE_CHECKING:
    from graphopt import Builder, Match
    from graphopt.ir.types import Tensor
    from passes.attention.core import Attention

LOWEST = float(np.finfo(np.float32).min)
SHRINK, AXES_ARE_INPUTS, SHAPE_IN_PARTS = 9, 18, 15
"""First opsets that have Shrink, in which ReduceMax takes its axes as an input, and Shape a part of the shape."""


@dataclass(frozen=True, eq=False)
class Additions:
    """bias: (batch or 1, heads or 1, queries, keys). keys: (batch, keys), 0 for what does not count; filler: what is
    added to scores there. causal: queries do not see later keys.

    kept: a factor, (batch, 1, 1), for the result, 0 where all scores of a row are masked.
    guarded: NaN in the result, from such rows, is 0.
    """

    bias: Tensor | None = None
    keys: Tensor | None = None
    filler: float | None = None
    causal: bool = False
    kept: Tensor | None = None
    guarded: bool = False


def additions(m: Match, new: Builder, attention: Attention) -> Additions:
    """What is added to the scores of an attention. Raises Refused for what no operator takes."""
    terms, frame = attention.scores.terms, attention.frame
    if len(terms) == 1 and causal(m, terms[0], frame):
        m.take(*attention.operands.key.reading.nodes)
        return Additions(causal=True)
    found = [(term, of_keys(m, term, frame)) for term in terms]
    masks = [keys for _, keys in found if keys is not None]
    mask = masks[0] if len(masks) == 1 and not any(map(_overrides, terms[:-1])) else None
    rest = [term for term, keys in found if keys is None or keys is not mask]
    bias = total_bias(m, new, attention, rest)
    safe = not attention.guarded or not terms or (len(terms) == 1 and never_all(m, terms[0]))
    if mask is None:
        return Additions(bias, guarded=not safe)
    m.take(*mask.nodes)
    keys = _whole(m, new, mask)
    if attention.guarded and mask.number == -math.inf and not rest and not _shrinks(m):
        return Additions(bias, keys, LOWEST, kept=_kept(m, new, mask))
    return Additions(bias, keys, mask.number, guarded=not safe)


def cleared(m: Match, new: Builder, extra: Additions, made: Tensor) -> Tensor:
    """The result of an attention, with zeros for rows of which all scores are masked, if that is what the graph has.

    Shrink, which gives a zero where neither x < 0 nor x > 0, takes NaN for one and leaves everything else alone.
    """
    if extra.kept is not None:
        return new.Mul(made, extra.kept)
    if extra.guarded and _shrinks(m):
        return new.Shrink(made, lambd=0.0, bias=0.0)
    if extra.guarded:
        return new.Where(new.IsNaN(made), 0.0, made)
    return made


def _shrinks(m: Match) -> bool:
    """Whether the target has a Shrink that is worth having."""
    dtype = m.dtype(m.root.outputs[0])
    return m.opset >= SHRINK and not m.target.spurns("Shrink") and m.target.runs("Shrink", dtype=dtype)


def total_bias(m: Match, new: Builder, attention: Attention, terms: list[Term | Fill]) -> Tensor | None:
    """The sum of the terms, of which a number in place of scores is in place of those before it, too."""
    total: Tensor | None = None
    for term in reversed(terms):
        one = _spread(m, new, attention, term)
        if isinstance(term, Fill):
            m.require(abs(term.number) >= HUGE, "the number in place of scores is too small to be one that is added")
            kept = 0.0 if total is None else total
            total = new.Where(one, term.number, kept) if term.where else new.Where(one, kept, term.number)
        else:
            same = m.dtype(term.view.tensor) == m.dtype(attention.value.tensor)
            m.require(same, "what is added to the scores has another dtype than values")
            total = one if total is None else new.Add(one, total)
    return total


def _overrides(term: Term | Fill) -> bool:
    """Whether a term takes the place of a sum, which it would not do by being added to one that is as large."""
    return isinstance(term, Fill) and math.isfinite(term.number)


def _spread(m: Match, new: Builder, attention: Attention, term: Term | Fill) -> Tensor:
    """A term with four dimensions, and a number for each query and key."""
    frame = attention.frame
    there = {axis for dim in term.view.leaves for axis in dim}
    batch, heads, rows, columns = (
        tuple(axis for axis in axes if axis in there) for axes in (frame.batch, frame.heads, frame.rows, frame.columns)
    )
    if batch not in ((), frame.batch):
        return _repeated(m, new, attention, term, batch, heads)
    m.require(heads in ((), frame.heads), "what is added to the scores differs in part of the heads")
    m.require(columns == frame.columns, "what is added to the scores is the same for all keys")
    way = steps(term.view, (batch, heads, rows, columns))
    if way is None:
        m.refuse("the dimensions of what is added to the scores are unknown")
    one = Layout(new, m.opset).write(term.view.tensor, way)
    if rows == frame.rows:
        return one
    m.require(m.opset >= SHAPE_IN_PARTS, f"before opset {SHAPE_IN_PARTS} it takes more to repeat a mask for each query")
    *_, queried, keyed = m.shapes.dims(attention.rows.tensor) or (None, None)
    if isinstance(queried, int):
        return new.Expand(one, np.array([1, 1, queried, 1], np.int64))
    m.require(queried is not None and queried == keyed, "a mask of keys alone, for another number of queries")
    queries = new.Shape(term.view.tensor, start=-1)
    ones = np.ones(2, np.int64)
    return new.Expand(one, new.Concat(ones, queries, ones[:1], axis=0))


def _repeated(
    m: Match, new: Builder, attention: Attention, term: Term | Fill, batch: Dimension, heads: Dimension
) -> Tensor:
    """A term that differs in part of the batch, such as in the windows of an image, for all of it."""
    frame = attention.frame
    sizes = [axis.size for axis in frame.batch]
    wanted = [(axis,) if axis in batch else () for axis in frame.batch]
    way = steps(term.view, (*wanted, heads, frame.rows, frame.columns))
    known = all(isinstance(size, int) for size in sizes)
    m.require(known and way is not None, "what is added to the scores differs in part of the batch, of unknown size")
    lengths = np.array([*sizes, 1, 1, 1], np.int64)
    spread = new.Expand(Layout(new, m.opset).write(term.view.tensor, way or ()), lengths)
    return new.Reshape(spread, np.array([math.prod(lengths.tolist()), *_ends(m, attention, heads)], np.int64))


def _ends(m: Match, attention: Attention, heads: Dimension) -> list[int]:
    """The lengths of heads, queries and keys. Raises Refused where they are unknown."""
    found = [product(axes) for axes in (heads, attention.frame.rows, attention.frame.columns)]
    m.require(all(isinstance(size, int) for size in found), "the number of queries and keys is unknown")
    return [int(size) for size in found if isinstance(size, int)]


def _truth(new: Builder, mask: Keys) -> Tensor:
    """The mask as it counts: of truth values, or of zeros and ones, which are never inverted."""
    tensor = mask.mask
    if mask.truth:
        tensor = new.Cast(tensor, to=dtypes.elem_type(BOOL))
    return new.Not(tensor) if mask.inverted else tensor


def _whole(m: Match, new: Builder, mask: Keys) -> Tensor:
    """The mask as int32."""
    tensor = _truth(new, mask)
    return tensor if m.dtype(tensor) == np.int32 else new.Cast(tensor, to=dtypes.elem_type(np.dtype(np.int32)))


def _kept(m: Match, new: Builder, mask: Keys) -> Tensor:
    """1 where any key counts, else 0: (batch, 1, 1)."""
    dtype = m.dtype(m.root.outputs[0])
    if dtype is None:
        m.refuse("the dtype of the result is unknown")
    numbers = new.Cast(_truth(new, mask), to=dtypes.elem_type(dtype))
    by_input = m.opset >= AXES_ARE_INPUTS
    largest = (
        new.ReduceMax(numbers, np.array([1], np.int64), keepdims=1)
        if by_input
        else new.ReduceMax(numbers, axes=[1], keepdims=1)
    )
    return unsqueezed(new, largest, [2], m.opset)


__all__ = ["Additions", "Frame", "additions", "cleared", "total_bias"]
