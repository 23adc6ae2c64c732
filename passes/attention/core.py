"""What every attention rule begins with: a Softmax between two products, read backwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphopt import Value, op
from passes.attention.axes import Axis, View, leaves
from passes.attention.layout import Layout, steps
from passes.attention.masks import Frame
from passes.attention.operands import Operands, arrange, length
from passes.attention.reading import Reading, sizes
from passes.attention.scores import Scores, read_scores

if TYPE_CHECKING:
    from graphopt.ir.types import Tensor
    from graphopt.rewrite import Match

scores, values = Value("scores"), Value("values")
softmax = op.Softmax(scores)
guard = op.Where(op.IsNaN(softmax), 0.0, softmax)
narrow = op.Cast(softmax)
probabilities = softmax | guard | narrow
product = op.MatMul(probabilities, values)


SOFTMAX_AXIS = 13
"""The first opset in which Softmax goes over the last axis by default, instead of all after the first."""
FARTHEST = 64
"""Nodes between the scores and what makes their shape unknown, of which more are not looked through."""
BATCHED = 3
"""Dimensions of scores: at least a batch, or heads, and queries and keys."""


@dataclass(frozen=True, eq=False)
class Attention:
    """An attention as it stands in the graph. guarded: a row of scores without a number gives zeros, not NaN."""

    operands: Operands
    scores: Scores
    rows: View
    value: View
    guarded: bool

    @property
    def frame(self) -> Frame:
        """The axes of the scores."""
        heads, dims = self.operands.heads, self.rows.dims
        return Frame(heads.batch, heads.all, leaves(dims[-2]), leaves(dims[-1]))

    @property
    def factor(self) -> float:
        """By what the products of queries and keys are multiplied."""
        query, key, _ = self.operands.all
        return self.scores.factor * query.reading.factor * key.reading.factor


def read(m: Match, **options: Any) -> Attention:
    """The attention of a match of `product`, whose nodes it then includes. options: of `arrange`. Raises Refused."""
    size = sizes(m, m.tensor(scores))
    if size is None:
        m.refuse(f"the shape of the scores is unknown, as that of {_unknown(m).name} is")
    m.require(len(size) >= BATCHED, "the scores have no batch")
    axis = m.attr(softmax, "axis", -1 if m.opset >= SOFTMAX_AXIS else 1)
    m.require(axis in (-1, len(size) - 1), "Softmax does not go over the keys")
    rows = View(m.tensor(scores), tuple((Axis(one),) for one in size))
    found = read_scores(m, Reading(rows))
    if found is None:
        alone = len(m.tensor(scores).outputs) == 1 and not m.is_output(scores)
        m.require(alone, "something else reads the scores too")
        m.refuse("the scores are not a product of queries and keys, or something else reads that product too")
    own = sizes(m, m.tensor(values))
    if own is None or len(own) != len(size):
        m.refuse("the values have not as many dimensions as the scores")
    lead = (() if one == 1 else dim for dim, one in zip(rows.dims[:-2], own, strict=False))
    value = View(m.tensor(values), (*lead, rows.dims[-1], (Axis(own[-1]),)))
    ends = (rows.dims[-2], found.size, rows.dims[-1], value.dims[-1])
    operands = arrange(m, (found.query, found.key, value), ends, **options)
    if operands is None:
        m.refuse("the dimensions of queries, keys and values do not tell batch and heads")
    types = {m.dtype(operand.reading.view.tensor) for operand in operands.all}
    m.require(len(types) == 1, "queries, keys and values have different element types")
    m.take(*found.nodes, *(node for operand in operands.all for node in operand.reading.nodes))
    return Attention(operands, found, rows, value, guard in m)


def _unknown(m: Match) -> Tensor:
    """From which tensor on, before the scores, shapes are unknown."""
    tensor = m.tensor(scores)
    for _ in range(FARTHEST):
        inputs = () if tensor.producer is None else tensor.producer.inputs
        before = next((one for one in inputs if one.name and sizes(m, one) is None), None)
        if before is None:
            break
        tensor = before
    return tensor


def restored(m: Match, layout: Layout, attention: Attention, made: Tensor) -> Tensor:
    """The result of an operator, (batch, queries, heads * size), as the product had it. Raises Refused."""
    frame, last = attention.frame, attention.value.dims[-1]
    view = View(made, (frame.batch, frame.rows, (*frame.heads, *last)))
    way = steps(view, (*attention.rows.dims[:-1], last))
    m.require(way is not None, "the dimensions of the result are unknown")
    return layout.write(made, way or ())


def scale(attention: Attention) -> Any:
    """The attribute that says by what scores are multiplied; None for the default, one by the root of the size."""
    size = length(attention.scores.size)
    usual = isinstance(size, int) and math.isclose(attention.factor, 1 / math.sqrt(size), rel_tol=1e-6)
    return None if usual else attention.factor


__all__ = ["Attention", "guard", "probabilities", "product", "read", "restored", "scale", "scores", "softmax", "values"]
