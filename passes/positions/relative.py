"""Embeddings of relative positions: buckets of distances, computed for every pair of a query and a key."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.dtypes import INTEGERS
from graphopt.ir.types import Node, Tensor
from graphopt.ir.values import constant, scalar
from passes.positions.bounds import ARITHMETIC, bounds, bounds_given

FARTHEST, BEYOND = 4096, 1 << 40
"""Up to which number each has an entry of its own, and more than any sequence is long."""
FEW = 3
"""Computed for each pair by fewer operators than this, buckets are as good as a table."""
ELEMENTWISE = (frozenset(ARITHMETIC) - {"Concat"}) | {"Cast", "Where", "And", "Or"}
MOST = 64

table, buckets = Value("table"), Value("buckets")
lookup = op.Gather(table, buckets)


@rule(lookup, numerics=Exact(), opset=12)
def bucketed_lookup(m: Match, new: Builder) -> Tensor:
    """Rows f(i) of a table, where f is the same for all i beyond some number, are rows of a table of all f(i)."""
    m.require(constant(m[table]) is not None, "the table is not constant")
    source, cone = _source(m, m[buckets])
    m.require(constant(source) is None, "the numbers of rows are constant")
    m.require(len(cone) >= FEW, "the numbers of rows are not computed from whole numbers by several operators")
    dtype = m.dtype(source)
    if dtype is None or dtype not in INTEGERS or dtype.kind != "i":
        m.refuse("the numbers of rows are not computed from whole numbers")
    m.require(bounds(m, source) is not None, "the numbers may be larger than those of positions")
    last = next((one for one in _doublings() if _settled(m, m[buckets], source, one)), None)
    if last is None:
        m.refuse("the numbers of rows are not known to be the same for all large numbers")
    m.take(*cone)
    numbers = np.concatenate([np.arange(last + 1), np.arange(-last, 0)]).astype(dtype)
    made: dict[Tensor, Tensor | np.ndarray] = {source: numbers}
    for node in reversed(cone):
        inputs = [made.get(tensor, tensor) for tensor in node.inputs]
        made[node.outputs[0]] = new.node(node.op, *inputs, **node.attrs)
    axis = m.attr(lookup, "axis", 0)
    rows = new.Gather(m[table], made[m[buckets]], axis=axis)
    return new.Gather(rows, new.Clip(source, np.array(-last, dtype), np.array(last, dtype)), axis=axis)


def _doublings() -> Iterator[int]:
    number = 1
    while number <= FARTHEST:
        yield number
        number *= 2


def _settled(m: Match, tensor: Tensor, source: Tensor, last: int) -> bool:
    """Whether what is computed from numbers beyond `last`, on either side, is what is computed from it."""
    sides = ((float(last), float(BEYOND)), (-float(BEYOND), -float(last)))
    found = [bounds_given(m, tensor, {source: side}) for side in sides]
    return all(one is not None and one[0] == one[1] for one in found)


def _source(m: Match, tensor: Tensor) -> tuple[Tensor, list[Node]]:
    """What a tensor is computed from alone, element by element, as far back as there is such a tensor of its shape.

    Returns it, and the nodes from there on, the last one first.
    """
    shape = m.shapes.dims(tensor)
    frontier, cone = {tensor: None}, list[Node]()
    found: tuple[Tensor, int] = (tensor, 0)
    for current in _latest_first(m, tensor):
        node = current.producer
        if node is None or current not in frontier or not _elementwise(m, node):
            continue
        del frontier[current]
        frontier |= dict.fromkeys(one for one in node.inputs if scalar(one) is None)
        cone.append(node)
        only = next(iter(frontier), None)
        if only is not None and len(frontier) == 1 and shape is not None and m.shapes.dims(only) == shape:
            found = only, len(cone)
    return found[0], cone[: found[1]]


def _elementwise(m: Match, node: Node) -> bool:
    whole = len(node.outputs) == 1 and m.shapes.dims(node.outputs[0]) is not None
    return whole and not node.domain and node.op in ELEMENTWISE


def _latest_first(m: Match, tensor: Tensor) -> list[Tensor]:
    """What a tensor is computed from by elementwise operators: each after all that are computed from it."""
    done: dict[Tensor, None] = {}
    stack: list[tuple[Tensor, bool]] = [(tensor, False)]
    while stack:
        current, ready = stack.pop()
        if ready:
            done[current] = None
        elif current not in done and len(done) + len(stack) < MOST:
            stack.append((current, True))
            node = current.producer
            if node is not None and _elementwise(m, node):
                stack += [(one, False) for one in node.inputs if scalar(one) is None]
    return list(done)[::-1]
