"""layout: Transposes are pushed through what works in any layout until they meet and cancel, by what they move."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.ir import walk
from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Node, Tensor
from graphopt.numerics.contract import Close, Contract, Exact
from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import rule_pass
from graphopt.rewrite.driver import Refusal
from passes.layout import operators
from passes.layout.change import Change
from passes.layout.flattened_weights import flattened_weights
from passes.layout.plan import Plan
from passes.layout.region import Region, grow
from passes.layout.unsqueezed_lookup import unsqueezed_lookup

__all__ = ["LAYOUT", "RULES", "flattened_weights", "operators", "unsqueezed_lookup"]

RULE = "transposes"
ROUNDS = 16
VISITS = 32
"""How often, on average, a node may be looked at as part of a region, before the pass is content with what it has."""


def transposes(context: Context) -> None:
    """Give the calls around each Transpose the layout in which the fewest bytes are moved."""
    left = VISITS * len(context.editor.home)
    for _ in range(ROUNDS):
        context.editor.flush()
        seeds = [node for node in walk.nodes(context.editor.graph) if node.op == "Transpose" and not node.domain]
        covered: set[Node] = set()
        changed = False
        for seed in seeds:
            fresh = left > 0 and seed not in covered and context.editor.alive(seed)
            region = grow(context, seed) if fresh else None
            if region is not None:
                covered.update(region.transposes)
                left -= len(region.members)
                changed = _settle(context, seed, region) or changed
        if not changed or left <= 0:
            return


def _settle(context: Context, seed: Node, region: Region) -> bool:
    """Choose the layouts of the region around a Transpose. Returns whether anything changed."""
    if _merged(context, region):
        return True
    if not region.members:
        return _refuse(context, seed, region)
    try:
        plan = Plan(region, context.editor, context.bound)
    except ValueError as reason:
        context.refuse(Refusal(RULE, _label(seed), _label(seed), 1, str(reason)))
        return False
    groups = list(plan.parts(plan.best()))
    done = [_apply(context, plan, group) for group in groups]
    return any(done) or _refuse(context, seed, region)


def _merged(context: Context, region: Region) -> bool:
    """Use one tensor where several are equal. One that the graph returns takes the place of the one that it equals,
    which nothing else can refer to afterwards: such are merged last, one at a time."""
    done = False
    for old, new in sorted(region.again(), key=lambda pair: context.editor.is_output(pair[0])):
        returned = context.editor.is_output(old)
        done = _merge(context, region, old, new) or done
        if returned and done:
            break
    return done


def _merge(context: Context, region: Region, old: Tensor, new: Tensor) -> bool:
    """Use `new` for `old`, which has the same elements in the same order: it was turned there and back, or twice."""
    node = old.producer
    if node is None or not context.editor.alive(node) or not context.editor.can_stand_for(new, old):
        return False
    rewrite = Rewrite(region.graph, node, (*_above(region, old), *_above(region, new)), (), {old: new})
    return context.apply(rewrite, RULE, Exact()) is not None


def _above(region: Region, tensor: Tensor) -> Iterator[Node]:
    """The Transposes that a tensor is the result of."""
    while tensor.producer is not None and tensor.producer in region.transposes:
        yield tensor.producer
        tensor = tensor.producer.inputs[0]


def _apply(context: Context, plan: Plan, group: list[Node]) -> bool:
    errors = sum(plan.region.members[node].error for node in group)
    contract: Contract = Close(errors) if errors else Exact()
    return context.apply(Change(plan, group).rewrite(group[-1]), RULE, contract) is not None


def _refuse(context: Context, seed: Node, region: Region) -> bool:
    """Say why the Transposes of a region stay. Returns False."""
    reasons = list(dict.fromkeys(region.outside.values()))
    told = "; ".join(reasons[:3]) or "it stands between the inputs and outputs of the model"
    if region.members:
        told = f"another layout of the {len(region.members)} calls around it would move no less: {told}"
    context.refuse(Refusal(RULE, _label(seed), _label(seed), 1, told))
    return False


def _label(node: Node) -> str:
    return f"{node.op} {node.name or node.outputs[0].name}"


RULES = (flattened_weights, unsqueezed_lookup)

LAYOUT = rule_pass(
    "layout",
    """Push Transposes through whatever works in any layout, to where they cancel.

    For each region of such operators the layouts are chosen that move the fewest bytes: a minimum cut.
    Weights that multiply what is flattened take Transposes in, and tables leading axes of what is looked up in them.
    """,
    RULES,
    finish=transposes,
)
