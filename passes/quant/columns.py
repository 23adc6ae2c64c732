"""The check of products with large matrices: on some of their columns, which do not depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

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
    x = Variable("x", linear.dtype)
    region = _region(context, linear, x, write)
    plans: list[FeedPlan | Mapping[str, Array]] = [{region.inputs[x]: rows} for rows in activations]
    if not plans:
        spec = InputSpec(region.inputs[x], linear.dtype, (ROWS, linear.rows))
        plans = [FeedPlan((spec,), context.seed, kind) for kind in ("normal", "edge")]
    result = context.runner.check_pair(*region.models(), plans, numerics, limit_s=SECONDS)
    status = {"ok": Status.VERIFIED, "wrong": Status.WRONG, "unverified": Status.UNVERIFIED}[result.verdict]
    error = min((comparison.error for comparison in result.comparisons), default=None)
    count = len(range(linear.columns)[some(linear)])
    return Verdict(status, error, result.reason or f"{count:,} of its {linear.columns:,} columns were run")


def _region(context: Context, linear: Linear, x: Tensor, write: Write) -> Region:
    old, new = Builder(lambda: linear.dtype), Builder(lambda: linear.dtype)
    before = old.MatMul(x, Constant(UNNAMED, linear.matrix()[:, some(linear)]))
    after = write(new, x)
    constants = (t for call in (*old.drafts, *new.drafts) for t in call.inputs if isinstance(t, Constant))
    embedded: dict[Tensor, str] = {held: f"c{i}" for i, held in enumerate(constants)}
    dtypes = dict.fromkeys((x, before), linear.dtype)
    calls = tuple(old.drafts), tuple(new.drafts)
    return Region(context.model, *calls, (before,), (after,), {x: "i0"}, embedded, dtypes, own_names=False)
