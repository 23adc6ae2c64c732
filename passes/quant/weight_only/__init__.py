"""Weight-only quantisation: matrices in 2, 4 or 8 bits, activations as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.dtypes import epsilon
from graphopt.ir.scratch import Scratch
from graphopt.ir.types import Constant
from graphopt.ir.types import Stored as Weights
from graphopt.numerics.contract import Lossy
from graphopt.pipeline.journal import Status, Verdict
from graphopt.rewrite.driver import Refusal
from passes.quant import columns
from passes.quant.linear import Linear, linears
from passes.quant.weight_only.blocked import Blocked, Format, Layout, nearest
from passes.quant.weight_only.emit import Style, rewrite, style_for

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

RULE = "weight_only"


@dataclass(frozen=True)
class WeightOnly:
    """What to do. format: of the weights. floor: the signal to noise ratio, in dB, that each product keeps."""

    format: Format = field(default_factory=Format)
    floor: float | None = None

    @property
    def contract(self) -> Lossy:
        """What each product promises: by default 8 dB less than numbers of a normal distribution have."""
        return Lossy("sqnr", max(6.0 * self.format.bits - 12, 3.0) if self.floor is None else self.floor)


def quantise(context: Context, asked: WeightOnly) -> int:
    """Give every product with a constant matrix its weights in few bits. Returns how many.

    Raises UsageError where the target has no operator for such weights at the model's version of ai.onnx.
    """
    style = style_for(context.target)
    needed = style.since.get(asked.format.bits, 0)
    if needed > context.model.graph.opset:
        raise UsageError(f"{asked.format.bits}-bit weights in {style.name} need opset {needed}")
    scratch = Scratch()
    shared: dict[object, Stored | str] = {}
    done = 0
    for linear in linears(context, RULE):
        if linear.key not in shared:
            shared[linear.key] = _stored(context, linear, asked, style, scratch)
        held = shared[linear.key]
        if isinstance(held, str):
            context.refuse(Refusal(RULE, linear.label, linear.label, 2, held))
            continue
        change = rewrite(linear, held.layout, held.constants, style)
        done += context.apply(change, RULE, asked.contract, held.evidence) is not None
    return done


@dataclass(frozen=True, eq=False)
class Stored:
    """A matrix as it will be stored. evidence: the verdict on it, where its products need no check of their own."""

    layout: Layout
    constants: tuple[Constant, ...]
    evidence: Verdict | None


def _stored(context: Context, linear: Linear, asked: WeightOnly, style: Style, scratch: Scratch) -> Stored | str:
    """The weight as it will be stored, or why it cannot be."""
    held, worst = nearest(linear.matrix(), asked.format.fitting(linear.rows, linear.dtype))
    if not np.isfinite(held.scales).all():
        return "its weights are not all finite"
    evidence = _evidence(context, linear, held, worst, style, asked) if context.checks else None
    constants = style.constants(held, linear.dtype)
    for constant in constants:
        constant.values = scratch.put(constant.values)
    if isinstance(linear.weight.stored, Weights):
        linear.weight.stored.release()
    return Stored(held.layout, constants, evidence)


def _evidence(
    context: Context, linear: Linear, held: Blocked, worst: float, style: Style, asked: WeightOnly
) -> Verdict | None:
    """The verdict on a matrix as a whole, and on products with it if it is large; else None: they are run."""
    if not worst <= 0.5 + held.format.top * epsilon(linear.dtype):
        return Verdict(Status.WRONG, worst, f"a weight is {worst:.3g} steps from what it is rounded to")
    if not columns.is_large(linear):
        return None
    part = held.part(columns.some(linear))
    return columns.verdict(
        context,
        linear,
        lambda new, x: style.write(new, x, part.layout, style.constants(part, linear.dtype), None),
        asked.contract,
    )
