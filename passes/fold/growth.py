"""The growth cap: which constant nodes may be evaluated without making the file noticeably larger.

A result is written in place of the constants that only it was computed from. Those are its credit; a constant or an
intermediate that several results share is shared by them in equal parts. A node whose results exceed their credit by
more than `SLACK` stays, and so its inputs are the results to be judged next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graphopt.ir.edit import Editor
from graphopt.ir.types import Constant, Node, Tensor
from passes.fold.sizes import SEQUENCES, weight

SLACK = 1 << 14
"""Bytes by which a result may be larger than the constants that it makes superfluous."""
ROUNDS = 8


class Excess(NamedTuple):
    """A node that would grow the file: bytes of its results, and of what they would make superfluous."""

    node: Node
    result: int
    credit: int

    def __str__(self) -> str:
        if self.node.op in SEQUENCES:
            return "a sequence cannot be written as a constant"
        return f"its result has {self.result:,} bytes and would replace {self.credit:,}: the file would grow"


def cap(editor: Editor, nodes: dict[Node, None], sizes: Mapping[Tensor, int]) -> list[Excess]:
    """Remove from `nodes`, which are in topological order, those whose replacement would grow the file; returns them.

    sizes: bytes of every output of the nodes.
    """
    left_out: list[Excess] = []
    for _ in range(ROUNDS):
        vanishing = _credits(editor, nodes)
        found: list[Excess] = []
        for node in reversed(list(nodes)):
            outside = [tensor for tensor in node.outputs if is_result(editor, tensor, nodes)]
            result, credit = sum(sizes[tensor] for tensor in outside), int(vanishing[node])
            if outside and (result > credit + SLACK or node.op in SEQUENCES):
                found.append(Excess(node, result, credit))
                del nodes[node]
        left_out += found
        if not found:
            break
    return left_out


def is_result(editor: Editor, tensor: Tensor, nodes: Mapping[Node, None]) -> bool:
    """Whether something other than `nodes` uses the tensor."""
    return editor.is_output(tensor) or any(reader not in nodes for reader in tensor.outputs)


def _credits(editor: Editor, nodes: Mapping[Node, None]) -> dict[Node, float]:
    """For each node the bytes that vanish on account of its results that are used elsewhere."""
    share: dict[Tensor, float] = {}
    own: dict[Node, float] = {}
    for node in nodes:
        inputs = dict.fromkeys(node.inputs)
        for tensor in inputs:
            if isinstance(tensor, Constant) and tensor not in share:
                share[tensor] = _vanishing(editor, tensor, nodes)
        credit = sum(share.get(tensor, 0.0) for tensor in inputs)
        results = sum(is_result(editor, tensor, nodes) for tensor in node.outputs)
        readers = [sum(reader in nodes for reader in dict.fromkeys(tensor.outputs)) for tensor in node.outputs]
        part = credit / max(results + sum(readers), 1)
        share.update((tensor, part) for tensor in node.outputs)
        own[node] = part * results
    return own


def _vanishing(editor: Editor, constant: Constant, nodes: Mapping[Node, None]) -> float:
    """Bytes of a constant for each of its readers, if nothing but `nodes` reads it."""
    return 0.0 if is_result(editor, constant, nodes) else weight(constant) / len(dict.fromkeys(constant.outputs))
