"""clean: remove what has no effect, share what is there twice. Every rewrite is exact, up to the sign of zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Option, Options, Pass, names
from graphopt.rewrite.driver import rewrite_all
from graphopt.rewrite.rule import Rule
from passes.clean.cast_chain import cast_chain
from passes.clean.clip_chain import clip_chain
from passes.clean.common_subexpressions import common_subexpressions
from passes.clean.concat_chain import concat_chain
from passes.clean.constant_nodes import constant_nodes
from passes.clean.dead_code import dead_code, unused_outputs
from passes.clean.duplicate_initializers import duplicate_initializers
from passes.clean.expand_operand import expand_operand
from passes.clean.grouped_transpose import grouped_transpose
from passes.clean.identity import identity
from passes.clean.identity_transpose import identity_transpose
from passes.clean.inference_dropout import inference_dropout
from passes.clean.neutral_operand import neutral_operand
from passes.clean.noop_cast import noop_cast
from passes.clean.repeated import idempotent, involution
from passes.clean.reshape_chain import reshape_chain
from passes.clean.reshape_of_transpose import reshape_of_transpose
from passes.clean.same_shape import same_shape
from passes.clean.single_input import single_input
from passes.clean.single_split import single_split
from passes.clean.slice_chain import slice_chain
from passes.clean.squeeze_chain import squeeze_chain
from passes.clean.transpose_chain import transpose_chain
from passes.clean.unit_resize import unit_resize
from passes.clean.unit_window import unit_pool, unit_reduction
from passes.clean.where_constant import where_constant
from passes.clean.whole_slice import whole_slice
from passes.clean.zero_pad import zero_pad

RULES: tuple[Rule, ...] = (
    identity, noop_cast, same_shape, identity_transpose, whole_slice, single_input, single_split,
    inference_dropout, zero_pad, unit_resize, unit_pool, unit_reduction, neutral_operand, idempotent, involution,
    where_constant, cast_chain, clip_chain, transpose_chain, reshape_chain, squeeze_chain, slice_chain, expand_operand,
    grouped_transpose, reshape_of_transpose,
)  # fmt: skip

BEFORE: tuple[Callable[[Context], None], ...] = (dead_code, constant_nodes, duplicate_initializers)
AFTER: tuple[Callable[[Context], None], ...] = (concat_chain, common_subexpressions, unused_outputs)
MOST_ROUNDS = 100


def _chosen(text: str) -> tuple[str, ...]:
    chosen, known = names(text), [*(rule.name for rule in RULES), *(step.__name__ for step in (*BEFORE, *AFTER))]
    for one in chosen:
        if one not in known:
            raise ValueError(f"pass clean has no part {one!r}; its parts: {', '.join(sorted(known))}")
    return chosen


def _run(context: Context, options: Options) -> None:
    only, skip = options.get("only"), options.get("skip", ())

    def wanted(part: Any) -> bool:
        name = part.name if isinstance(part, Rule) else part.__name__
        return (only is None or name in only) and name not in skip

    for _ in range(MOST_ROUNDS):
        revision = context.editor.revision
        for step in filter(wanted, BEFORE):
            step(context)
        rewrite_all(context, list(filter(wanted, RULES)))
        context.editor.flush()
        for step in filter(wanted, AFTER):
            step(context)
            context.editor.flush()
        if context.editor.revision == revision:
            return


CLEAN = Pass(
    "clean",
    _run,
    """Remove what has no effect and share what is there twice.

Dead code, identities and operators that do nothing, common subexpressions, equal initializers, chains of Cast,
Transpose, Reshape, Squeeze, Slice and Concat, outputs that nobody uses; Constant nodes become initializers.""",
    RULES,
    (
        Option("only", _chosen, "only these rules and steps, joined with +"),
        Option("skip", _chosen, "all but these rules and steps, joined with +"),
    ),
)
