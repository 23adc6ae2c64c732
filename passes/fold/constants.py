"""Putting constants in the place of computed tensors."""

from __future__ import annotations

from collections.abc import Mapping

from graphopt.ir.edit import UNNAMED, Draft, Editor, Rewrite
from graphopt.ir.types import Array, Constant, Node, Stored, Tensor, Variable
from graphopt.numerics.contract import Contract, Exact
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Verdict
from graphopt.rewrite.driver import Refusal

EXACT = Exact()


def substitute(
    context: Context,
    node: Node,
    found: Mapping[Tensor, Array | Stored],
    rule: str,
    evidence: Verdict | None = None,
    numerics: Contract = EXACT,
    reads: frozenset[Constant] = frozenset(),
) -> bool:
    """Replace outputs of `node` by constants, which were computed from `reads`.

    A tensor that a graph returns becomes the output of a `Constant` node, so that its name and declaration stay; its
    other readers see the constant through it.
    Returns whether the rewrite was let through.
    """
    editor = context.editor
    drafts: list[Draft] = []
    replace: dict[Tensor, Tensor] = {}
    for old, values in found.items():
        if editor.is_output(old):
            replace[old] = made = Variable(UNNAMED)
            drafts.append(Draft("Constant", (), (made,), {"value": Constant("", values)}))
        else:
            replace[old] = Constant(_name(editor, node, old, found), values)
    rewrite = Rewrite(editor.home[node], node, (node,), tuple(drafts), replace, reads)
    if context.apply(rewrite, rule, numerics, evidence) is None:
        return False
    for new in replace.values():
        if isinstance(new, Constant):
            editor.declare(new)
    return True


def _name(editor: Editor, node: Node, old: Tensor, found: Mapping[Tensor, object]) -> str:
    """The name of the tensor itself where that becomes free: constants live in the outermost graph."""
    vanishes = all(t in found and not editor.is_output(t) for t in node.outputs if editor.is_used(t))
    return old.name if vanishes and editor.home[node] is editor.graph else editor.fresh(old.name)


def refuse(context: Context, rule: str, node: Node, reason: str) -> None:
    """Note why `node` was left as it is."""
    label = f"{node.op} {node.name or node.outputs[0].name}"
    context.refuse(Refusal(rule, label, label, 1, reason))
