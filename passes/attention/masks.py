"""What is added to scores, told apart: which keys count, which keys come later, and everything else."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir import values
from graphopt.ir.dtypes import INTEGERS
from passes.attention.axes import Dimension, View, product
from passes.attention.layout import steps
from passes.attention.reading import seen
from passes.attention.scores import Fill, Term, align
from passes.attention.triangle import triangle

if TYPE_CHECKING:
    from graphopt.ir.types import Array, Node, Tensor
    from graphopt.rewrite import Match

HUGE = 1e30
"""A number of this size takes the place of any score that it is added to."""
MASK = 1e3
"""A number of this size that is added to scores where something is 0 says that this something is a mask."""
BOOL = np.dtype(bool)
START, STEP = 1, 4
"""Inputs of Slice."""


@dataclass(frozen=True, eq=False)
class Keys:
    """Scores of keys for which `mask`, (batch, keys), is zero have `number` added.

    mask: of zeros and ones, or of truth values. truth: of any numbers, all of which but zero count.
    nodes: from the mask to what is added.
    """

    mask: Tensor
    inverted: bool
    number: float
    nodes: tuple[Node, ...]
    truth: bool = False


@dataclass(frozen=True, eq=False)
class Frame:
    """The axes of scores: batch, heads, queries, keys."""

    batch: Dimension
    heads: Dimension
    rows: Dimension
    columns: Dimension


def of_keys(m: Match, term: Term | Fill, frame: Frame) -> Keys | None:
    """The term as a mask of keys; None if it is none."""
    if isinstance(term, Fill):
        taken = abs(term.number) >= HUGE
        return _condition(m, term.view, frame, term.number, inverted=term.where) if taken else None
    for reading in seen(m, term.view.tensor, term.view.dims):
        node = reading.view.tensor.producer
        if node is not None and reading.factor == 1 and not node.domain:
            found = _where(m, reading.view, frame)
            found = _complement(m, reading.view, node, frame) if node.op == "Mul" else found
            if found is not None:
                return replace(found, nodes=(*reading.nodes, node, *found.nodes))
    return None


def _where(m: Match, view: View, frame: Frame) -> Keys | None:
    """Where(condition, 0, number), or the other way round."""
    told = _chosen(m, view)
    return None if told is None else _condition(m, told.view, frame, told.number, inverted=told.where)


def _chosen(m: Match, view: View) -> Fill | None:
    """Where(condition, 0, number), or the other way round, as a number in some places."""
    node = view.tensor.producer
    if node is None or node.op != "Where" or node.domain:
        return None
    numbers = [values.scalar(tensor) for tensor in node.inputs[1:]]
    condition = align(m, view, node.inputs[0])
    if condition is None or numbers.count(0) != 1 or None in numbers:
        return None
    return Fill(condition, numbers[1] == 0, float(numbers[0] or numbers[1] or 0))


def _complement(m: Match, view: View, node: Node, frame: Frame) -> Keys | None:
    """(1 - x) number, of which x then is a mask of zeros and ones, or not x."""
    number = next((n for tensor in node.inputs if (n := values.scalar(tensor)) is not None), None)
    other = next((tensor for tensor in node.inputs if values.scalar(tensor) is None), None)
    if number is None or other is None or number > -MASK:
        return None
    source, inverted, nodes = other, True, []
    inner = other.producer
    if inner is not None and inner.op == "Sub" and values.scalar(inner.inputs[0]) == 1:
        source, inverted = inner.inputs[1], False
        nodes.append(inner)
    for reading in seen(m, source, view.dims):
        cast = reading.view.tensor.producer
        if cast is None or cast.op != "Cast" or reading.factor != 1:
            continue
        whole = m.dtype(cast.inputs[0])
        if whole == BOOL or (whole in INTEGERS and not inverted):
            found = _condition(m, View(cast.inputs[0], reading.view.dims), frame, number, inverted=inverted)
            if found is not None:
                return replace(found, nodes=(*nodes, *reading.nodes, cast, *found.nodes))
    return None


def _condition(m: Match, view: View, frame: Frame, number: float, *, inverted: bool) -> Keys | None:
    """A condition that depends on batch and keys alone, read back to where it has no other dimensions."""
    for reading in seen(m, view.tensor, view.dims):
        if steps(reading.view, (frame.batch, frame.columns)) == ():
            return Keys(reading.view.tensor, inverted, number, reading.nodes)
        node = reading.view.tensor.producer
        if node is None or node.domain:
            continue
        if node.op == "Cast" and m.dtype(reading.view.tensor) == BOOL and m.dtype(node.inputs[0]) in INTEGERS:
            found = _condition(m, View(node.inputs[0], reading.view.dims), frame, number, inverted=inverted)
            nodes = (*reading.nodes, node)
            return found and replace(found, nodes=(*nodes, *found.nodes), truth=True)
        if node.op == "Not":
            found = _condition(m, View(node.inputs[0], reading.view.dims), frame, number, inverted=not inverted)
            return found and replace(found, nodes=(*reading.nodes, node, *found.nodes))
    return None


def causal(m: Match, term: Term | Fill, frame: Frame) -> bool:
    """Whether a term hides from each query exactly the keys that come later: as many of both, the mask a constant, or
    cut from the beginning of one, or computed. The match then relies on how."""
    chosen = _chosen(m, term.view)
    told = chosen or term
    if product(frame.rows) != product(frame.columns) or told.view.leaves[-2:] != (frame.rows, frame.columns):
        return False
    window = _window(m, told.view.tensor)
    if window is None:
        return _computed(m, term)
    if min(window[0].shape[-2:]) == 1:
        return False
    array, nodes = window
    numbers = array if isinstance(told, Term) else np.where(array == told.where, told.number, 0)
    earlier = np.tril(np.ones(numbers.shape[-2:], bool))
    found = bool(np.all(np.where(earlier, numbers == 0, numbers <= -HUGE)))
    choice = term.view.tensor.producer
    if found:
        m.rely_on(nodes if chosen is None or choice is None else (choice, *nodes))
    return found


def _computed(m: Match, term: Term | Fill) -> bool:
    """Whether a mask that is computed hides the keys that come later. The match then relies on how."""
    found = triangle(m, term.view.tensor)
    if found is None:
        return False
    numbers, nodes = found
    if isinstance(term, Fill):
        below, above = (term.number if bool(number) == term.where else 0.0 for number in numbers)
        numbers = below, above
    hides = numbers[0] == 0 and numbers[1] <= -HUGE
    if hides:
        m.rely_on(nodes)
    return bool(hides)


def _window(m: Match, tensor: Tensor) -> tuple[Array, tuple[Node, ...]] | None:
    """The constant from whose beginning a tensor is cut, and the nodes that do so; None if it is no such window."""
    nodes: list[Node] = []
    truth = False
    while values.constant(tensor) is None:
        node = tensor.producer
        if node is None or node.domain or not (node.op == "Slice" or (node.op == "Cast" and m.dtype(tensor) == BOOL)):
            return None
        if node.op == "Slice" and not _from_the_beginning(m, node):
            return None
        truth = truth or node.op == "Cast"
        nodes.append(node)
        tensor = node.inputs[0]
    array = m.array(tensor)
    return (array != 0 if truth else array), tuple(nodes)


def _from_the_beginning(m: Match, node: Node) -> bool:
    """Whether a Slice takes the first elements, one after the other."""
    starts = m.known(node.inputs[START]) if len(node.inputs) > START else np.array(node.attrs.get("starts"))
    steps = m.known(node.inputs[STEP]) if len(node.inputs) > STEP else np.ones(1)
    return starts is not None and steps is not None and not starts.any() and bool((steps == 1).all())


def never_all(m: Match, term: Term | Fill) -> bool:
    """Whether a term leaves, in every row, a number that is neither NaN nor minus infinity."""
    held = values.constant(term.view.tensor)
    if isinstance(term, Fill):
        return math.isfinite(term.number)
    if held is not None:
        array = m.array(term.view.tensor)
        return bool(np.isfinite(array.max(axis=-1)).all() and not np.isnan(array).any())
    node = term.view.tensor.producer
    numbers = (
        [values.scalar(tensor) for tensor in node.inputs[1:]] if node is not None and node.op == "Where" else [None]
    )
    return all(number is not None and math.isfinite(number) for number in numbers)
