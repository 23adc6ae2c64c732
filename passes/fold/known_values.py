"""Integer tensors whose values follow from known dimensions, whatever the other dimensions are."""

from __future__ import annotations

from graphopt.ir import walk
from graphopt.ir.types import Array, Node, Tensor
from graphopt.pipeline.context import Context
from passes.fold.constants import substitute
from passes.fold.growth import SLACK
from passes.fold.plan import is_constant, obstacle

RULE = "known_value"


def known_values(context: Context) -> None:
    """What the shape analysis knows of integer tensors becomes constant where something else reads it."""
    context.editor.flush()
    nodes = list(walk.nodes(context.editor.graph))
    evaluable: dict[Node, None] = {}
    for node in nodes:
        if is_constant(node, evaluable) and not obstacle(node):
            evaluable[node] = None
    for node in reversed(nodes):
        if node not in evaluable and node.op != "Constant":
            found = {t: value for t in node.outputs if (value := _wanted(context, t)) is not None}
            if found:
                substitute(context, node, found, RULE)


def _wanted(context: Context, tensor: Tensor) -> Array | None:
    """The known values of a tensor that a graph returns, or that a node reads which will not be replaced itself."""
    if not context.editor.is_used(tensor):
        return None
    value = context.shapes.known(tensor)
    if value is None or value.nbytes > SLACK:
        return None
    outside = context.editor.is_output(tensor) or not all(_is_known(context, reader) for reader in tensor.outputs)
    return value if outside else None


def _is_known(context: Context, node: Node) -> bool:
    used = [tensor for tensor in node.outputs if context.editor.is_used(tensor)]
    known = [context.shapes.known(tensor) for tensor in used]
    return all(value is not None and value.nbytes <= SLACK for value in known)
