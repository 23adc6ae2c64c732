"""Constant nodes as initializers."""

from __future__ import annotations

from graphopt.ir import walk
from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Constant
from graphopt.ir.values import constant_of_node
from graphopt.numerics.contract import Exact
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Verdict

MOVED = Verdict(Status.VERIFIED, 0.0, "the same values in another place")


def constant_nodes(context: Context) -> None:
    """A Constant node is an initializer, unless a graph returns it or its value is sparse."""
    editor = context.editor
    for node in list(walk.nodes(editor.graph)):
        if node.op != "Constant" or node.domain or editor.is_output(node.outputs[0]):
            continue
        held = constant_of_node(node.attrs)
        if held is None:
            continue
        home, old = editor.home[node], node.outputs[0]
        name = old.name if home is editor.graph else editor.fresh(old.name)
        new = Constant(name, held.stored)
        rewrite = Rewrite(home, node, (node,), (), {old: new}, frozenset((new,)))
        if context.apply(rewrite, "constant_nodes", Exact(), MOVED) is not None:
            editor.declare(new)
