"""opset: raise the model to a newer version of ai.onnx, all of it or nothing."""

from __future__ import annotations

from collections import Counter

from onnx import helper

from graphopt.errors import UsageError
from graphopt.ir.edit import Rewrite
from graphopt.ir.model import Model
from graphopt.numerics.contract import combine
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Verdict
from graphopt.pipeline.passes import Option, Options, Pass
from passes.opset.check import check
from passes.opset.history import NEWEST
from passes.opset.raising import Raised, obstacle, plan

RULE = "raise_opset"


def _version(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= NEWEST:
        raise ValueError(f"expected a version of ai.onnx from 1 to {NEWEST}, found {text!r}")
    return int(text)


def _requires(model: Model, options: Options) -> str | None:
    """What can be said before any work."""
    target = options.get("version")
    if target is None:
        return "say which version: opset:version=21"
    if "" not in model.opsets:
        return None
    if target < model.graph.opset:
        return f"the model has opset {model.graph.opset}, and cannot be lowered to {target}"
    if any(node.domain == "" for function in model.functions for node in function.node) and target > model.graph.opset:
        return "the model has functions with versions of their own: inline them first"
    return obstacle(model.graph, target)


def _run(context: Context, options: Options) -> None:
    reason = _requires(context.model, options)
    if reason:
        raise UsageError(f"opset: {reason}")
    target, before = options["version"], context.model.graph.opset
    if "" not in context.model.opsets or target == before:
        return
    raised = plan(context.model, context.shapes, target)
    numerics = combine(one.numerics for one in raised)
    place = f"ai.onnx {before} to {target}"
    if context.admit(RULE, place, numerics, lambda: _verdict(context, raised, target)):
        _commit(context, raised, target)
        changed = Counter(one.node.op for one in raised if one.call.changed)
        spelled = ", ".join(f"{count} {op}" for op, count in sorted(changed.items())) or "no node"
        context.note(f"raised from opset {before} to {target}; spelled anew: {spelled}")


def _verdict(context: Context, raised: list[Raised], target: int) -> Verdict:
    if not context.checks:
        return Verdict(Status.OFF)
    return check(context, raised, target)


def _commit(context: Context, raised: list[Raised], target: int) -> None:
    """Carry it out. A file of the oldest IR versions cannot say a newer opset, so it gets a newer one."""
    editor, model = context.editor, context.model
    for one in raised:
        if one.call.changed:
            after, replace = one.call.drafts()
            editor.commit(Rewrite(editor.home[one.node], one.node, (one.node,), after, replace), RULE)
    model.opsets[""] = target
    needed = helper.find_min_ir_version_for([helper.make_opsetid("", target)])
    if model.ir_version < needed:
        context.note(f"raised from IR version {model.ir_version} to {needed}, which opset {target} belongs to")
        model.ir_version = needed
    editor.revision += 1


OPSET = Pass(
    "opset",
    _run,
    """Raise the model to a newer version of ai.onnx (`opset:version=21`), all of it or nothing.

Operators whose spelling or meaning changed on the way are spelled anew, one version after the other; each kind of
node that is concerned is run in both versions and compared. Other domains stay as they are. Lowering, unknown
operators, and changes that cannot be made without changing results are refused.""",
    options=(Option("version", _version, "the version of ai.onnx"),),
    requires=_requires,
)
