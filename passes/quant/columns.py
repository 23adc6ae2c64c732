"""The check of products with large matrices: on some of their columns, which do not depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from graphopt.ir.dtypes import DType
from graphopt.ir.edit import UNNAMED
from graphopt.ir.types import Array, Constant, Tensor, Variable
from graphopt.numerics.feeds import FeedPlan, InputSpec
from graphopt.numerics.region import Region
from graphopt.pipeline.journal import Status, Verdict
from graphopt.rewrite.tape import Builder
from passes.quant.linear import Linear

if TYPE_CHECKING:
    from graphopt.numerics.contract import Contract
    from graphopt.pipeline.context import Context

WEIGHTS = 1 << 18
"""Of matrices with more weights only so many are run."""
ROWS, SECONDS = 16, 60.0
FED = "x"
"""What the operand is called where it is fed."""
Write = Callable[[Builder, Tensor], Tensor]
"""Writes down the new product of a tensor with some columns of a matrix."""


def is_large(linear: Linear) -> bool:
    """Whether not all of the weight is run."""
    return linear.weight.size > WEIGHTS


def some(linear: Linear) -> slice:
    """Columns at equal distances, from the first on."""
    return slice(None, None, -(-linear.weight.size // WEIGHTS))


def verdict(
    context: Context, linear: Linear, write: Write, numerics: Contract, activations: Sequence[Array] = ()
) -> Verdict:
    """The verdict on a product by `some` of its columns, which `write` computes.

    activations: (rows, terms), on which they are run; drawn numbers without.
    """
    weight = Constant(UNNAMED, linear.matrix()[:, some(linear)])
    plans: list[FeedPlan | Mapping[str, Array]] = [{FED: rows} for rows in activations]
    if not plans:
        spec = InputSpec(FED, linear.dtype, (ROWS, linear.rows))
        plans = [FeedPlan((spec,), context.seed, kind) for kind in ("normal", "edge")]
    x = Variable("x", linear.dtype)
    told = compared(context, x, lambda new, fed: new.MatMul(fed, weight), write, linear.dtype, plans, numerics)
    count = len(range(linear.columns)[some(linear)])
    return replace(told, detail=told.detail or f"{count:,} of its {linear.columns:,} columns were run")


def compared(
    context: Context,
    x: Variable,
    before: Write,
    after: Write,
    dtype: DType,
    plans: Sequence[FeedPlan | Mapping[str, Array]],
    numerics: Contract,
) -> Verdict:
    """The verdict on two ways to compute a tensor of `dtype` from `x`, which the plans feed as `FED`."""
    region = _region(context, x, before, after, dtype)
    result = context.runner.check_pair(*region.models(), plans, numerics, limit_s=SECONDS)
    status = {"ok": Status.VERIFIED, "wrong": Status.WRONG, "unverified": Status.UNVERIFIED}[result.verdict]
    error = min((comparison.error for comparison in result.comparisons), default=None)
    return Verdict(status, error, result.reason)


def _region(context: Context, x: Variable, before: Write, after: Write, dtype: DType) -> Region:
    tapes = Builder(lambda: dtype), Builder(lambda: dtype)
    old, new = before(tapes[0], x), after(tapes[1], x)
    calls = tuple(tapes[0].drafts), tuple(tapes[1].drafts)
    constants = (tensor for call in (*calls[0], *calls[1]) for tensor in call.inputs if isinstance(tensor, Constant))
    embedded: dict[Tensor, str] = {held: f"c{i}" for i, held in enumerate(constants)}
    dtypes: dict[Tensor, DType | None] = {x: x.dtype, old: dtype}
    return Region(context.model, *calls, (old,), (new,), {x: FED}, embedded, dtypes, own_names=False)
