"""Control flow whose course is known: the branch that an `If` takes, and loops that do not run."""

from __future__ import annotations

from graphopt.ir import walk
from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Constant, Graph, Node, Tensor
from graphopt.ir.values import constant
from graphopt.numerics.contract import Exact
from graphopt.pipeline.context import Context
from passes.fold.constants import refuse

LOOP_ARGUMENTS = 2
"""Inputs of a Loop before those that it carries: the number of iterations, and whether to begin."""


def branches(context: Context) -> None:
    """The branch that a constant condition takes stands in the place of its `If`; loops that never run go."""
    while True:
        context.editor.flush()
        found = [node for node in walk.nodes(context.editor.graph) if not node.domain and node.op in ("If", "Loop")]
        done = sum(context.editor.alive(node) and _decide(context, node) for node in found)
        if not done:
            return


def _decide(context: Context, node: Node) -> bool:
    return _take(context, node) if node.op == "If" else _skip(context, node)


def _flag(tensor: Tensor) -> bool | None:
    """The value of a constant with one element."""
    held = constant(tensor) if tensor.name else None
    return bool(held.values.reshape(-1)[0]) if held is not None and held.size == 1 else None


def _take(context: Context, node: Node) -> bool:
    condition = _flag(node.inputs[0])
    if condition is None:
        refuse(context, "take_branch", node, "the condition is not constant")
        return False
    branch = node.attrs["then_branch" if condition else "else_branch"]
    declared = set(branch.initializers)
    reads = {tensor for inner in branch.nodes for tensor in inner.inputs if tensor in declared}
    rewrite = Rewrite(
        context.editor.home[node],
        node,
        (node,),
        tuple(branch.nodes),
        {old: new for old, new in zip(node.outputs, branch.outputs, strict=True) if old.name},
        frozenset(tensor for tensor in reads if isinstance(tensor, Constant)),
    )
    return context.apply(rewrite, "take_branch", Exact()) is not None


def _skip(context: Context, node: Node) -> bool:
    """A loop of no iterations returns what it was given; what it would have collected is left to the runtime."""
    body = node.attrs["body"]
    carried = node.inputs[LOOP_ARGUMENTS:]
    if not isinstance(body, Graph) or not _never_runs(node):
        return False
    collected = node.outputs[len(carried) :]
    if any(context.editor.is_used(tensor) for tensor in collected):
        refuse(context, "skip_loop", node, "it returns what its iterations collect")
        return False
    replace = {old: new for old, new in zip(node.outputs, carried, strict=False) if old.name}
    return (
        context.apply(Rewrite(context.editor.home[node], node, (node,), (), replace), "skip_loop", Exact()) is not None
    )


def _never_runs(node: Node) -> bool:
    count = constant(node.inputs[0]) if node.inputs and node.inputs[0].name else None
    no_count = count is not None and count.size == 1 and int(count.values.reshape(-1)[0]) <= 0
    return no_count or (len(node.inputs) > 1 and _flag(node.inputs[1]) is False)
