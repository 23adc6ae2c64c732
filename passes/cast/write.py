"""A call in 16 bits: Casts before and after it, constants in that type; and its check."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir.dtypes import elem_type
from graphopt.ir.edit import UNNAMED, Rewrite
from graphopt.ir.scratch import Scratch
from graphopt.ir.types import Constant, Node, Stored, Tensor
from graphopt.ir.values import constant
from graphopt.numerics.contract import Lossy
from graphopt.numerics.feeds import FeedPlan
from graphopt.numerics.region import Unverifiable, region
from graphopt.pipeline.journal import Status, Verdict
from graphopt.rewrite.tape import Builder
from passes.cast.types import FLOAT, Narrow, at, operands

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

RULE = "narrowed"
SECONDS = 60.0
WIDE = elem_type(FLOAT)
Narrowed = Callable[[Builder, Tensor], Tensor]


class Writer:
    """Makes calls narrow, one rewrite each. What two of them share, constants and verdicts, is made once."""

    def __init__(self, context: Context, narrow: Narrow, floor: float | None) -> None:
        self.context, self.narrow = context, narrow
        self.numerics = Lossy("sqnr", narrow.floor if floor is None else floor)
        self.constants: dict[Constant, Constant] = {}
        self.verdicts: dict[Hashable, Verdict] = {}
        self.scratch = Scratch()

    def write(self, node: Node) -> bool:
        """Whether the call is narrow now."""
        evidence = self.verdict(node) if self.context.checks else None
        return self.context.apply(self.rewrite(node, self.stored), RULE, self.numerics, evidence) is not None

    def rewrite(self, node: Node, constants: Narrowed, *, emulated: bool = False) -> Rewrite:
        """The call between Casts. emulated: computed in float between roundings, as it is where it is checked."""
        follows = operands(node.op, node.domain, self.context.model.opsets.get(node.domain, 1), self.narrow.dtype)
        assert follows is not None  # noqa: S101 - the plan has looked
        new = Builder()

        def read(position: int, tensor: Tensor) -> Tensor | None:
            if not tensor.name:
                return None
            if not at(follows[0], position) or self.context.shapes.dtype(tensor) != FLOAT:
                return tensor
            cast = constants(new, tensor)
            return new.Cast(cast, to=WIDE) if emulated else cast

        inputs = [read(position, tensor) for position, tensor in enumerate(node.inputs)]
        omitted = [position for position, tensor in enumerate(node.outputs) if not tensor.name]
        made = new.node(node.op, *inputs, domain=node.domain, outputs=len(node.outputs), omitted=omitted, **node.attrs)
        replace: dict[Tensor, Tensor] = {}
        for position, (old, result) in enumerate(
            zip(node.outputs, made if isinstance(made, list) else [made], strict=True)
        ):
            if not old.name:
                continue
            narrowed = at(follows[1], position) and self.context.shapes.dtype(old) == FLOAT
            rounded = new.Cast(result, to=self.narrow.code) if emulated and narrowed else result
            replace[old] = new.Cast(rounded, to=WIDE) if narrowed else rounded
        return Rewrite(self.context.editor.home[node], node, (node,), tuple(new.drafts), replace)

    def cast(self, new: Builder, tensor: Tensor) -> Tensor:
        """A tensor in the narrow type, while the model runs."""
        return new.Cast(tensor, to=self.narrow.code)

    def stored(self, new: Builder, tensor: Tensor) -> Tensor:
        """A tensor in the narrow type; a constant is stored so."""
        held = constant(tensor)
        if held is None:
            return self.cast(new, tensor)
        if held not in self.constants:
            with np.errstate(all="ignore"):
                values = self.scratch.put(held.values.astype(self.narrow.dtype))
            self.constants[held] = Constant(UNNAMED, values)
            if isinstance(held.stored, Stored):
                held.stored.release()
        return self.constants[held]

    def verdict(self, node: Node) -> Verdict:
        """The verdict on a call, on ordinary numbers: extreme ones are beyond the type on purpose.

        Constants are drawn too, so calls that are alike are run once. Where the reference runtime has no kernel for
        the type, the call is computed in float between roundings.
        """
        emulated = self.narrow.dtype != np.float16
        try:
            built = region(self.rewrite(node, self.cast, emulated=emulated), self.context.model, self.context.bound)
        except Unverifiable as reason:
            return Verdict(Status.UNVERIFIED, detail=str(reason))
        if built.key is not None and built.key in self.verdicts:
            return self.verdicts[built.key]
        plans = [FeedPlan(inputs, self.context.seed) for inputs in built.feeds]
        result = self.context.runner.check_pair(*built.models(), plans, self.numerics, limit_s=SECONDS)
        status = {"ok": Status.VERIFIED, "wrong": Status.WRONG, "unverified": Status.UNVERIFIED}[result.verdict]
        error = min((comparison.error for comparison in result.comparisons), default=None)
        verdict = Verdict(status, error, result.reason)
        if built.key is not None:
            self.verdicts[built.key] = verdict
        return verdict
