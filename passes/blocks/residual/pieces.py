"""The sum that a residual connection adds up, before it is normalised."""

from __future__ import annotations

from graphopt.analysis.order import cut_off
from graphopt.ir.types import Tensor
from graphopt.rewrite import Builder, Match, Value
from graphopt.rewrite.pattern import Node
from passes.blocks.contrib import DEFAULT_EPSILON, DOMAIN, is_row

BATCHED = 3
"""(batch, sequence, hidden)."""
FUSED = {
    "LayerNormalization": "SkipLayerNormalization",
    "RMSNormalization": "SkipSimplifiedLayerNormalization",
    "SimplifiedLayerNormalization": "SkipSimplifiedLayerNormalization",
}
OUTPUTS, SUM, STATISTICS = 4, 3, (1, 2)
"""How many outputs the fused normalisations have, and which of them are the sum and the mean and deviation."""
FLOAT = 1
"""The element type in which normalisations compute by default."""

x, skip, bias = Value("x"), Value("skip"), Value("bias")
plain = x + skip
biased = (x + bias) + skip
shared_plain, shared_biased = plain.shared(), biased.shared()


def normalised(m: Match, new: Builder, norm: Node, *parameters: Value, spread: bool = False) -> dict[Node, Tensor]:
    """The matched normalisation `norm` of one of the sums above, fused with it: what replaces the result, and the sum
    where something outside needs it.

    parameters: the scale, and for LayerNormalization the offset. spread: whether the second summand is the same for
    each batch. Raises Refused.
    """
    total = biased if biased in m else plain
    m.require(_fits(m, spread=spread), "the summands are not known to have the same shape")
    _check_shapes(m, norm, *parameters)
    m.require(total is plain or is_row(m, bias, x), "the bias is not known to be a vector as long as the rows of x")
    operands = [m[x], m[skip], *(m.get(one) for one in parameters), m.get(bias)]
    needed = len(dict.fromkeys(m.tensor(total).outputs)) > 1 or m.is_output(m.tensor(total))
    epsilon = m.attr(norm, "epsilon", DEFAULT_EPSILON)
    op = FUSED[m[norm].op]
    if not needed:
        return {norm: new.node(op, *operands, domain=DOMAIN, epsilon=epsilon)}
    computed = any(m[one].producer is not None for one in parameters if one in m)
    m.require(not (computed and m.leads_back(total)), "the scale or the offset may be made of the sum")
    made = new.node(op, *operands, domain=DOMAIN, outputs=OUTPUTS, omitted=STATISTICS, epsilon=epsilon)
    return {norm: made[0], total: made[SUM]}


def _fits(m: Match, *, spread: bool) -> bool:
    """Whether the second summand has the shape of the first, with a single batch if it is spread."""
    dims, other = m.shapes.dims(m[x]) or (None,), m.shapes.dims(m[skip]) or ()
    if not spread or len(dims) != BATCHED or len(other) != BATCHED:
        return None not in dims and dims == other
    batch, length, hidden = other
    if batch != 1 or hidden is None or hidden != dims[2] or length is None or dims[1] is None:
        return False
    return cut_off(length, dims[1])


def _check_shapes(m: Match, norm: Node, *parameters: Value) -> None:
    """Require batches of sequences, normalised over their last dimension. Raises Refused."""
    rank = m.rank(x) or 0
    m.require(rank == BATCHED, f"the sum has {rank} dimensions, not batch, sequence and hidden size")
    m.require(m.attr(norm, "axis", -1) in {-1, rank - 1}, "more than the last dimension is normalised")
    rows = all(is_row(m, one, x) for one in parameters if one in m)
    m.require(rows, "scale and offset are not known to be vectors as long as the rows")
    m.require(m.attr(norm, "stash_type", FLOAT) == FLOAT, "the statistics are not computed in float32")
    m.require(not any(t.name for t in m[norm].outputs[1:]), "the mean or the deviation is used too")
