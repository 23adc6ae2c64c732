"""Weight-only quantisation: matrices in 2, 4 or 8 bits, activations as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.dtypes import epsilon
from graphopt.ir.edit import UNNAMED
from graphopt.ir.scratch import Scratch
from graphopt.ir.types import Constant, Tensor
from graphopt.ir.types import Stored as Weights
from graphopt.numerics.contract import Lossy
from graphopt.pipeline.journal import Status, Verdict
from graphopt.pipeline.passes import check_names
from graphopt.rewrite.driver import Refusal
from graphopt.rewrite.tape import Builder
from passes.clean.constant_nodes import constant_nodes
from passes.quant import columns
from passes.quant.embeddings import embeddings
from passes.quant.expanded import convolutions
from passes.quant.linear import Linear, linears
from passes.quant.options import Settings
from passes.quant.prepare import raise_opset
from passes.quant.weight_only.blocked import Format, Layout
from passes.quant.weight_only.emit import Style, rewrite, style_for
from passes.quant.weight_only.methods import FEW, METHODS, Method, Rounded
from passes.quant.weight_only.moments import Moments, moments
from passes.quant.weight_only.unpacked import unpack

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

RULE = "weight_only"
INFINITE = "its weights are not all finite"
BITS = {"int8": 8, "int4": 4, "int2": 2, "ternary": 2, "binary": 2}
"""The schemes, and the bits of a weight in each."""
NO_DATA = "the method {method} looks at what products are fed: give --calibration DATA, or take hqq or nearest"


def run(context: Context, settings: Settings) -> None:
    """Give every product with a constant matrix its weights in few bits.

    Raises UsageError where the target's operator for such weights needs an opset to which the model cannot be raised,
    and for settings that do not fit.
    """
    bits = BITS[settings.scheme]
    if settings.bits not in (None, bits):
        raise UsageError(f"scheme={settings.scheme} has {bits} bits: leave out bits={settings.bits}")
    check_names(context.model, (*settings.exclude, *settings.only))
    job = Job(context, settings, Format(bits, settings.block, settings.scheme in FEW or bool(settings.symmetric)))
    raise_opset(context, job.style.since.get(bits, 1))
    unpack(context, settings)
    context.editor.flush()
    constant_nodes(context)
    wanted = [linear for linear in linears(context, RULE) if settings.wants(linear.node)]
    if job.method.needs_data:
        if context.calibration is None:
            raise UsageError(NO_DATA.format(method=settings.method))
        job.fed = moments(context, wanted, settings.samples)
    for linear in wanted:
        job.product(linear)
    embeddings(context, settings)
    if settings.scheme == "int8":
        convolutions(context, settings)


@dataclass(eq=False)
class Job:
    """One run. shared: what is stored instead of each weight, or why it stays. scratch: where that lies.

    fed: what products are fed on the calibration data, by the name of that.
    """

    context: Context
    settings: Settings
    format: Format
    shared: dict[object, Stored | str] = field(default_factory=dict)
    scratch: Scratch = field(default_factory=Scratch)
    fed: dict[str, Moments] = field(default_factory=dict)

    @property
    def method(self) -> Method:
        """How weights are rounded."""
        return FEW.get(self.settings.scheme) or METHODS[self.settings.method]

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
        fed = self.fed.get(linear.x.name)
        key = (*linear.key, linear.x.name if fed else None)
        if key not in self.shared:
            self.shared[key] = self.stored(linear, fed)
        held = self.shared[key]
        if isinstance(held, str):
            self.context.refuse(Refusal(RULE, linear.label, linear.label, 2, held))
            return
        change = rewrite(linear, held.layout, held.constants, self.style, held.divisors)
        self.context.apply(change, RULE, self.numerics, held.evidence)

    def stored(self, linear: Linear, fed: Moments | None) -> Stored | str:
        """The weight as it will be stored, or why it cannot be."""
        fmt = self.format.fitting(linear.rows, linear.dtype)
        if fed is not None and not np.isfinite(linear.matrix()).all():
            return INFINITE
        rounded = self.method.run(linear.matrix(), fmt, fed)
        held = rounded.held
        if not np.isfinite(held.scales).all():
            return INFINITE
        divisors = None if rounded.factors is None else Constant(UNNAMED, (1 / rounded.factors).astype(linear.dtype))
        evidence = self.evidence(linear, rounded, divisors, fed) if self.context.checks else None
        constants = self.style.constants(held, linear.dtype)
        for constant in constants:
            constant.values = self.scratch.put(constant.values)
        if isinstance(linear.weight.stored, Weights):
            linear.weight.stored.release()
        return Stored(held.layout, constants, divisors, evidence)

    def evidence(
        self, linear: Linear, rounded: Rounded, divisors: Constant | None, fed: Moments | None
    ) -> Verdict | None:
        """The verdict on a matrix as a whole, and on products with it if it is large; else None: they are run."""
        held, worst = rounded.held, rounded.worst
        if worst is not None and not worst <= 0.5 + held.format.top * epsilon(linear.dtype):
            return Verdict(Status.WRONG, worst, f"a weight is {worst:.3g} steps from what it is rounded to")
        if fed is None and not columns.is_large(linear):
            return None
        part = held.part(columns.some(linear))
        constants = self.style.constants(part, linear.dtype)

        def product(new: Builder, x: Tensor) -> Tensor:
            divided = x if divisors is None else new.Mul(x, divisors)
            return self.style.write(new, divided, part.layout, constants, None)

        activations = [] if fed is None else [fed.rows.astype(linear.dtype)]
        return columns.verdict(self.context, linear, product, self.numerics, activations)


@dataclass(frozen=True, eq=False)
class Stored:
    """A matrix as it will be stored. divisors: what its operand is multiplied by first, or None.

    evidence: the verdict on it, where its products need no check of their own.
    """

    layout: Layout
    constants: tuple[Constant, ...]
    divisors: Constant | None
    evidence: Verdict | None
