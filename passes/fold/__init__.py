"""Compute now what does not depend on the inputs; spell shapes as numbers; take branches that are decided."""

from __future__ import annotations

from collections.abc import Callable

from graphopt.ir import walk
from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Option, Options, Pass, names
from graphopt.rewrite.driver import rewrite_all
from graphopt.rewrite.rule import Rule
from passes.clean.constant_nodes import constant_nodes
from passes.clean.same_shape import same_shape
from passes.clean.where_constant import where_constant
from passes.clean.whole_slice import whole_slice
from passes.fold.branches import branches
from passes.fold.evaluate import evaluate
from passes.fold.expand_target import expand_target
from passes.fold.known_values import known_values
from passes.fold.reshape_target import reshape_target
from passes.fold.slice_end import slice_end
from passes.fold.zero_state import zero_state

STEPS: tuple[Callable[[Context], None], ...] = (
    constant_nodes,
    known_values,
    evaluate,
    branches,
    zero_state,
)
RULES: tuple[Rule, ...] = (same_shape, whole_slice, where_constant, reshape_target, expand_target, slice_end)
ROUNDS = 8
"""Rounds after which what is left is left to the next run of the pass."""


def _chosen(text: str) -> tuple[str, ...]:
    chosen, known = names(text), [*(step.__name__ for step in STEPS), *(rule.name for rule in RULES)]
    for one in chosen:
        if one not in known:
            raise ValueError(f"pass fold has no part {one!r}; its parts: {', '.join(sorted(known))}")
    return chosen


def _run(context: Context, options: Options) -> None:
    only, skip = options.get("only"), options.get("skip", ())

    def wanted(name: str) -> bool:
        return (only is None or name in only) and name not in skip

    steps = [step for step in STEPS if wanted(step.__name__)]
    rules = [rule for rule in RULES if wanted(rule.name)]
    for _ in range(ROUNDS):
        before = len(context.keys)
        for step in steps:
            step(context)
        rewrite_all(context, rules)
        context.begin(context.step)
        context.editor.remove_unused(list(walk.nodes(context.editor.graph)))
        context.begin(context.step)
        if len(context.keys) == before:
            break


FOLD = Pass(
    "fold",
    _run,
    __doc__ or "",
    RULES,
    (
        Option("only", _chosen, "do only these parts, joined with +"),
        Option("skip", _chosen, "leave out these parts, joined with +"),
    ),
)
