"""Whatever nobody uses."""

from __future__ import annotations

from functools import lru_cache

from onnx import defs

from graphopt.ir import calls, walk
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.model import Model
from graphopt.ir.types import Node, Tensor, Variable, subgraphs
from graphopt.numerics.contract import Exact
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Verdict

TRAINS_BY_OUTPUTS = ("BatchNormalization", "Dropout")
"""Operators whose outputs said, in early opsets, whether they are in training mode."""
SAME_CALL = Verdict(Status.VERIFIED, 0.0, "the same call without outputs that nobody reads")


def dead_code(context: Context) -> None:
    """Nodes and initializers that nothing uses go; so do functions that nobody calls, and their opset imports."""
    editor = context.editor
    for node in reversed(list(walk.nodes(editor.graph))):
        if editor.alive(node) and not any(map(editor.is_used, node.outputs)):
            editor.remove_unused([node])
    editor.flush()
    editor.drop_unused_initializers()
    _drop_functions(context.model)


def unused_outputs(context: Context) -> None:
    """Optional outputs that nobody uses are left out, so that they need not be computed."""
    editor = context.editor
    for node in list(walk.nodes(editor.graph)):
        unused = [at for at, tensor in enumerate(node.outputs) if tensor.name and not editor.is_used(tensor)]
        if not unused or len(unused) == len(node.outputs) or not _may_drop(context, node, unused):
            continue
        made = {old: Variable(UNNAMED) for old in node.outputs if editor.is_used(old)}
        outputs: list[Variable] = [made.get(old) or Variable.empty() for old in node.outputs]
        while not outputs[-1].name:
            outputs.pop()
        draft = Draft(node.op, list(node.inputs), outputs, dict(node.attrs), node.domain, node.name, node.overload)
        replace: dict[Tensor, Tensor] = dict(made)
        context.apply(
            Rewrite(editor.home[node], node, (node,), (draft,), replace), "unused_outputs", Exact(), SAME_CALL
        )


def _may_drop(context: Context, node: Node, unused: list[int]) -> bool:
    optional = _optional(node.op, node.domain, context.model.opsets.get(node.domain, 1))
    special = node.op in TRAINS_BY_OUTPUTS or any(True for _ in subgraphs(node)) or nondeterministic(node)
    return not special and optional.issuperset(unused)


@lru_cache(maxsize=1024)
def _optional(op: str, domain: str, version: int) -> frozenset[int]:
    """The positions of the optional outputs of an operator; none for operators that onnx does not know."""
    if not defs.has(op, version, domain):
        return frozenset()
    outputs = defs.get_schema(op, version, domain).outputs
    optional = defs.OpSchema.FormalParameterOption.Optional
    return frozenset(at for at, output in enumerate(outputs) if output.option == optional)


def _drop_functions(model: Model) -> None:
    """Keep the functions that something calls, directly or not, and the domains of what is left."""
    by_key = {calls.key(function): function for function in model.functions}
    wanted = [(node.domain, node.op, node.overload) for node in walk.nodes(model.graph)]
    domains = {"", *(domain for domain, _, _ in wanted)}
    called: dict[calls.Key, None] = {}
    while wanted:
        key = wanted.pop()
        if key in by_key and key not in called:
            called[key] = None
            wanted.extend(map(calls.called, calls.nodes(by_key[key].node)))
            domains.update(imported.domain for imported in by_key[key].opset_import)
    model.functions[:] = [function for function in model.functions if calls.key(function) in called]
    if domains & model.opsets.keys():  # a model must import something, even if nothing is left in it
        for domain in [domain for domain in model.opsets if domain not in domains]:
            del model.opsets[domain]
