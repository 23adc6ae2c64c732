"""Reading attention: the scores behind a Softmax, what was added to them, and the two products around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphopt.analysis.order import cut_off
from graphopt.ir import values
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import MATRIX, Node
from passes.attention.axes import Axis, Dimension, View
from passes.attention.reading import REGROUPING, Reading, back, sizes

if TYPE_CHECKING:
    from graphopt.ir.types import Tensor
    from graphopt.rewrite import Match

MOVING = (*REGROUPING, "Transpose", "Mul", "Div")
FUSED = (("transA", 0), ("transB", 0), ("alpha", 1.0))
"""What FusedMatMul does besides: transposes, and a factor."""
PRODUCTS = {"MatMul": "", "FusedMatMul": "com.microsoft"}


@dataclass(frozen=True, eq=False)
class Term:
    """Something added to the scores. view: the tensor, its dimensions aligned with those of the scores."""

    view: View


@dataclass(frozen=True, eq=False)
class Fill:
    """A number in place of the scores wherever a condition holds, or where it does not."""

    view: View
    where: bool
    number: float


@dataclass(frozen=True, eq=False)
class Scores:
    """query, key: the operands of the product; size: the axes over which it adds up. nodes: from there on.

    terms: what is added to it after it has been multiplied by `factor`, the last one first.
    """

    query: View
    key: View
    factor: float
    terms: tuple[Term | Fill, ...]
    nodes: tuple[Node, ...]
    size: Dimension = ()


def sole(m: Match, tensor: Tensor) -> bool:
    """Whether one node alone reads the tensor."""
    return len(tensor.outputs) == 1 and not m.is_output(tensor)


def read_scores(m: Match, reading: Reading) -> Scores | None:
    """The product of queries and keys that a tensor with the view of scores was made from."""
    return next(_products(m, Scores(reading.view, reading.view, 1.0, (), ())), None)


def _products(m: Match, so_far: Scores) -> Iterator[Scores]:
    """Ways back to a product; `so_far.query` is the view of what was read last."""
    view = so_far.query
    node = view.tensor.producer
    if node is None or not sole(m, view.tensor):
        return
    if node.op in PRODUCTS and PRODUCTS[node.op] == node.domain:
        yield from _product(m, so_far, node)
    elif node.domain:
        return
    elif node.op in ("Add", "Where") and so_far.factor == 1:
        yield from _added(m, so_far, node)
    elif node.op == "Cast" and FLOATS.issuperset((m.dtype(node.inputs[0]), m.dtype(view.tensor))):
        before = View(node.inputs[0], view.dims)
        yield from _products(m, replace(so_far, query=before, nodes=(*so_far.nodes, node)))
    elif node.op in MOVING and (step := back(m, Reading(view))) is not None:
        nodes = (*so_far.nodes, *step.nodes)
        yield from _products(m, replace(so_far, query=step.view, factor=so_far.factor * step.factor, nodes=nodes))


def _product(m: Match, so_far: Scores, node: Node) -> Iterator[Scores]:
    left, right = (sizes(m, tensor) for tensor in node.inputs)
    dims = so_far.query.dims
    across, along, factor = (node.attrs.get(name, default) for name, default in FUSED)
    batches = node.attrs.get("transBatchA") or node.attrs.get("transBatchB")
    if left is None or right is None or not len(left) == len(right) == len(dims) or batches or not factor:
        return
    shared, *lead = (Axis(left[-2 if across else -1]),), *dims[:-MATRIX]
    rows, columns = (dims[-2], shared), (shared, dims[-1])
    query = View(node.inputs[0], (*_present(lead, left), *(rows[::-1] if across else rows)))
    key = View(node.inputs[1], (*_present(lead, right), *(columns[::-1] if along else columns)))
    nodes = (*so_far.nodes, node)
    yield replace(so_far, query=query, key=key, size=shared, factor=so_far.factor * factor, nodes=nodes)


def _present(dims: list[Dimension], size: tuple[object, ...]) -> tuple[Dimension, ...]:
    """The dimensions, without the axes of those that have length 1 here."""
    return tuple(() if length == 1 else dim for dim, length in zip(dims, size, strict=False))


def _added(m: Match, so_far: Scores, node: Node) -> Iterator[Scores]:
    """Through a sum, or numbers in place of scores, on either side."""
    view = so_far.query
    first = len(node.inputs) - MATRIX
    for at in (first, first + 1):
        scores, other = node.inputs[at], node.inputs[2 * first + 1 - at]
        if m.shape(scores) is None or m.shape(scores) != m.shape(view.tensor):
            continue
        term = _fill(m, node, view, other, where=at != first) if first else _term(m, view, other)
        if term is not None:
            nodes, terms = (*so_far.nodes, node), (*so_far.terms, term)
            yield from _products(m, replace(so_far, query=View(scores, view.dims), terms=terms, nodes=nodes))


def _term(m: Match, view: View, tensor: Tensor) -> Term | None:
    aligned = align(m, view, tensor)
    return None if aligned is None else Term(aligned)


def _fill(m: Match, node: Node, view: View, other: Tensor, *, where: bool) -> Fill | None:
    number, aligned = values.scalar(other), align(m, view, node.inputs[0])
    return None if number is None or aligned is None else Fill(aligned, where, number)


def align(m: Match, view: View, tensor: Tensor) -> View | None:
    """The view of a tensor that broadcasts to the shape of `view`; None where that cannot be told."""
    own, size = sizes(m, tensor), sizes(m, view.tensor)
    if own is None or size is None or len(own) > len(size):
        return None
    dims = list(zip(view.dims[len(size) - len(own) :], own, size[len(size) - len(own) :], strict=True))
    if any(length != 1 and not cut_off(length, whole) for _, length, whole in dims):
        return None
    return View(tensor, tuple(() if length == 1 else dim for dim, length, _ in dims))
