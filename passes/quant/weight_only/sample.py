"""The check of products with large matrices: on some of their columns, which do not depend on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphopt.ir.edit import UNNAMED
from graphopt.ir.types import Array, Constant, Tensor, Variable
from graphopt.numerics.feeds import FeedPlan, InputSpec
from graphopt.numerics.region import Region
from graphopt.pipeline.journal import Status, Verdict
from graphopt.rewrite.tape import Builder
from passes.quant.weight_only.blocked import Blocked
from passes.quant.weight_only.emit import Style
from passes.quant.weight_only.linear import Linear

if TYPE_CHECKING:
    from graphopt.numerics.contract import Contract
    from graphopt.pipeline.context import Context

WEIGHTS = 1 << 20
"""Of matrices with more weights only so many are run."""
ROWS, SECONDS = 16, 60.0


@dataclass(frozen=True, eq=False)
class Part:
    """Some columns of a product: its weight as it was, and in blocks."""

    matrix: Array
    held: Blocked

    @classmethod
    def of(cls, linear: Linear, held: Blocked) -> Part:
        """Columns at equal distances, from the first on."""
        step = -(-linear.rows * linear.columns // WEIGHTS)
        some = slice(None, None, step)
        blocked = Blocked(held.format, held.rows, held.codes[some], held.scales[some], held.zeros[some])
        return cls(linear.matrix()[:, some], blocked)


def sampled(
    context: Context,
    linear: Linear,
    held: Blocked,
    style: Style,
    numerics: Contract,
    feeds: Sequence[Array] = (),
) -> Verdict:
    """The verdict on a product by its columns. feeds: activations (rows, terms); drawn numbers without."""
    part = Part.of(linear, held)
    region, x = _region(context, linear, part, style)
    plans: list[FeedPlan | Mapping[str, Array]] = [{region.inputs[x]: rows} for rows in feeds]
    if not plans:
        spec = InputSpec(region.inputs[x], linear.dtype, (ROWS, linear.rows))
        plans = [FeedPlan((spec,), context.resources.seed, kind) for kind in ("normal", "edge")]
    result = context.runner.check_pair(*region.models(), plans, numerics, limit_s=SECONDS)
    status = {"ok": Status.VERIFIED, "wrong": Status.WRONG, "unverified": Status.UNVERIFIED}[result.verdict]
    error = None if result.worst is None else min(comparison.error for comparison in result.comparisons)
    told = result.reason or f"{part.held.columns:,} of its {linear.columns:,} columns were run"
    return Verdict(status, error, told)


def _region(context: Context, linear: Linear, part: Part, style: Style) -> tuple[Region, Tensor]:
    x = Variable("x", linear.dtype)
    old, new = Builder(), Builder()
    weight = Constant(UNNAMED, part.matrix)
    before = old.MatMul(x, weight)
    constants = style.constants(part.held, linear.dtype)
    after = style.write(new, x, part.held.layout, constants, None)
    embedded: dict[Tensor, str] = {held: f"c{i}" for i, held in enumerate((weight, *constants))}
    dtypes = dict.fromkeys((x, before), linear.dtype)
    calls = tuple(old.drafts), tuple(new.drafts)
    return Region(context.model, *calls, (before,), (after,), {x: "i0"}, embedded, dtypes, own_names=False), x
