"""Residual blocks: sums of a tensor and of what is computed of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphopt.analysis.cost import TABLE
from graphopt.analysis.inference import key_of
from graphopt.analysis.shapes import Shapes
from graphopt.ir.model import Model
from graphopt.ir.types import Constant, Node, Tensor

LARGEST = 512
"""Nodes of a block; a branch with more is no block, but most of a network."""


@dataclass(frozen=True, eq=False)
class Block:
    """`total` adds `branch` to `skip`, of which it is computed. nodes: what computes the branch behind `skip`.
    name: that of the Add."""

    name: str
    total: Node
    skip: Tensor
    branch: Tensor
    nodes: tuple[Node, ...]


def blocks(model: Model, shapes: Shapes) -> list[Block]:
    """All blocks of the model's graph, in its order, whose branch has weights. Looks at most at LARGEST nodes for each
    sum, so the time is linear."""
    order = {node: place for place, node in enumerate(model.graph.nodes)}
    return [block for node in model.graph.nodes for block in _of(node, order, shapes)]


def _of(node: Node, order: dict[Node, int], shapes: Shapes) -> Iterator[Block]:
    if node.op != "Add" or node.domain:
        return
    dims = shapes.dims(node.outputs[0])
    both = sorted(node.inputs, key=lambda tensor: order.get(tensor.producer, -1) if tensor.producer else -1)
    skip, branch = both[0], both[1]
    if dims is None or isinstance(skip, Constant) or dims != shapes.dims(skip) or dims != shapes.dims(branch):
        return
    within = _between(skip, branch, order)
    if within and any(key_of(one.op, one.domain) in TABLE for one in within):
        yield Block(node.name or node.outputs[0].name, node, skip, branch, tuple(within))


def _between(skip: Tensor, branch: Tensor, order: dict[Node, int]) -> list[Node] | None:
    """The nodes that compute `branch` and come behind `skip`; None if they are too many, or do not read it."""
    first = order.get(skip.producer, -1) if skip.producer else -1
    found: dict[Node, None] = {}
    reads = False
    stack = [branch]
    while stack:
        tensor = stack.pop()
        reads = reads or tensor is skip
        node = tensor.producer
        if node is None or node in found or order.get(node, -1) <= first:
            continue
        found[node] = None
        if len(found) > LARGEST:
            return None
        stack += node.inputs
    return list(found) if reads else None
