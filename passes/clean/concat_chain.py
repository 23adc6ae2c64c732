"""Concats inside Concats."""

from __future__ import annotations

from graphopt.ir import walk
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Node, Tensor, Variable
from graphopt.numerics.contract import Exact
from graphopt.pipeline.context import Context


def concat_chain(context: Context) -> None:
    """Concat(Concat(a, b), c) on one axis is Concat(a, b, c); parts of length 0 are left out."""
    editor = context.editor
    for node in reversed(list(walk.nodes(editor.graph))):
        axis = _axis(context, node) if editor.alive(node) else None
        if axis is None:
            continue
        parts, absorbed = _parts(context, node, axis)
        if len(parts) == len(node.inputs) and not absorbed:
            continue
        made = Variable(UNNAMED)
        draft = Draft("Concat", parts, [made], {"axis": axis})
        rewrite = Rewrite(editor.home[node], node, (node, *absorbed), (draft,), {node.outputs[0]: made})
        context.apply(rewrite, "concat_chain", Exact())


def _axis(context: Context, node: Node) -> int | None:
    """The axis of a Concat, counted from the front; None for other nodes, and where that cannot be said."""
    axis = node.attrs.get("axis", 1)
    if node.op != "Concat" or node.domain or not isinstance(axis, int):
        return None
    rank = context.shapes.rank(node.outputs[0])
    return axis % rank if rank else None


def _parts(context: Context, node: Node, axis: int) -> tuple[list[Tensor], list[Node]]:
    """What is joined, from front to back, and the inner Concats that nothing else needs."""
    editor = context.editor
    parts: list[Tensor] = []
    absorbed: list[Node] = []
    stack: list[Tensor] = list(reversed(node.inputs))
    while stack:
        tensor = stack.pop()
        inner = tensor.producer
        ours = inner is not None and len(tensor.outputs) == 1 and not editor.is_output(tensor)
        if inner is not None and ours and editor.home[inner] is editor.home[node] and _axis(context, inner) == axis:
            absorbed.append(inner)
            stack.extend(reversed(inner.inputs))
        else:
            parts.append(tensor)
    filled = [part for part in parts if not _is_empty(context, part, axis)]
    return filled or parts[:1], absorbed


def _is_empty(context: Context, tensor: Tensor, axis: int) -> bool:
    shape = context.shapes.shape(tensor)
    return shape is not None and len(shape) > axis and shape[axis] == 0
