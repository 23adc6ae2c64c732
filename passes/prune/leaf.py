"""Constants, whatever names they reach a node by."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.ir.types import Constant, Node, Tensor
from graphopt.ir.values import constant


def leaf(tensor: Tensor) -> Constant | None:
    """The Constant behind a tensor: itself, the value of a Constant node, or what Identities hand on."""
    for node in handing(tensor):
        tensor = node.inputs[0] if node.op == "Identity" else tensor
    return constant(tensor)


def handing(tensor: Tensor) -> Iterator[Node]:
    """The nodes that hand a constant on to a tensor, the nearest first."""
    node = tensor.producer
    while node is not None and not node.domain and node.op in ("Identity", "Constant"):
        yield node
        node = node.inputs[0].producer if node.inputs else None
