"""Weight-only quantisation: matrices in 2, 4 or 8 bits, activations as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir.dtypes import epsilon
from graphopt.ir.scratch import Scratch
from graphopt.ir.types import Constant
from graphopt.ir.types import Stored as Weights
from graphopt.numerics.contract import Lossy
from graphopt.pipeline.journal import Status, Verdict
from graphopt.rewrite.driver import Refusal
from passes.quant import columns
from passes.quant.linear import Linear, linears
from passes.quant.options import Settings
from passes.quant.prepare import raise_opset
from passes.quant.weight_only.blocked import Blocked, Format, Layout, nearest
from passes.quant.weight_only.emit import Style, rewrite, style_for
from passes.quant.weight_only.unpacked import unpack

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

RULE = "weight_only"


BITS = {"int8": 8, "int4": 4, "int2": 2}
"""The schemes, and the bits of a weight in each."""
METHODS = ("nearest",)


def run(context: Context, settings: Settings) -> None:
    """Give every product with a constant matrix its weights in few bits.

    Raises UsageError where the target's operator for such weights needs an opset to which the model cannot be raised.
    """
    bits = BITS[settings.scheme]
    job = Job(context, settings, Format(bits, settings.block, bool(settings.symmetric)))
    raise_opset(context, job.style.since.get(bits, 1))
    unpack(context, settings)
    for linear in linears(context, RULE):
        if settings.wants(linear.node):
            job.product(linear)


@dataclass(eq=False)
class Job:
    """One run. shared: what is stored instead of each weight, or why it stays. scratch: where that lies."""

    context: Context
    settings: Settings
    format: Format
    shared: dict[object, Stored | str] = field(default_factory=dict)
    scratch: Scratch = field(default_factory=Scratch)

    @property
    def style(self) -> Style:
        """How the target spells such products."""
        return style_for(self.context.target)

    @property
    def numerics(self) -> Lossy:
        """What each product promises: by default 8 dB less than numbers of a normal distribution have."""
        floor = self.settings.floor
        return Lossy("sqnr", max(6.0 * self.format.bits - 12, 3.0) if floor is None else floor)

    def product(self, linear: Linear) -> None:
        """Replace the weight of a product."""
        if linear.key not in self.shared:
            self.shared[linear.key] = self.stored(linear)
        held = self.shared[linear.key]
        if isinstance(held, str):
            self.context.refuse(Refusal(RULE, linear.label, linear.label, 2, held))
            return
        change = rewrite(linear, held.layout, held.constants, self.style)
        self.context.apply(change, RULE, self.numerics, held.evidence)

    def stored(self, linear: Linear) -> Stored | str:
        """The weight as it will be stored, or why it cannot be."""
        held, worst = nearest(linear.matrix(), self.format.fitting(linear.rows, linear.dtype))
        if not np.isfinite(held.scales).all():
            return "its weights are not all finite"
        evidence = self.evidence(linear, held, worst) if self.context.checks else None
        constants = self.style.constants(held, linear.dtype)
        for constant in constants:
            constant.values = self.scratch.put(constant.values)
        if isinstance(linear.weight.stored, Weights):
            linear.weight.stored.release()
        return Stored(held.layout, constants, evidence)

    def evidence(self, linear: Linear, held: Blocked, worst: float) -> Verdict | None:
        """The verdict on a matrix as a whole, and on products with it if it is large; else None: they are run."""
        if not worst <= 0.5 + held.format.top * epsilon(linear.dtype):
            return Verdict(Status.WRONG, worst, f"a weight is {worst:.3g} steps from what it is rounded to")
        if not columns.is_large(linear):
            return None
        part = held.part(columns.some(linear))
        constants = self.style.constants(part, linear.dtype)
        write = self.style.write
        product: columns.Write = lambda new, x: write(new, x, part.layout, constants, None)  # noqa: E731
        return columns.verdict(self.context, linear, product, self.numerics)


@dataclass(frozen=True, eq=False)
class Stored:
    """A matrix as it will be stored. evidence: the verdict on it, where its products need no check of their own."""

    layout: Layout
    constants: tuple[Constant, ...]
    evidence: Verdict | None
