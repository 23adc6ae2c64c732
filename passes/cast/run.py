"""The run of the pass: what becomes narrow, written call by call, and what stayed float, told."""

from __future__ import annotations

from collections import Counter
from functools import cache

from graphopt.calibration.ranges import ranges
from graphopt.errors import UsageError
from graphopt.ir.types import Node, Tensor
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Table
from graphopt.pipeline.passes import Options, check_names
from graphopt.rewrite.driver import Refusal
from passes.cast.plan import Asked, constant_unfit, floats, lacks, plan
from passes.cast.types import BLOCKED, NARROW, Narrow
from passes.cast.write import RULE, Writer
from passes.clean import CLEAN

SAMPLES = 64
"""Of the calibration data, for the ranges of activations."""
ROOM = 2.0
"""Activations may be so much larger on other data than on the calibration data."""
SLOW = (
    "ONNX Runtime's x86 CPU provider computes most of fp16 and bf16 in float, with Casts around it: the file is "
    "smaller, but slower. The target cuda computes in 16 bits"
)


def cast(context: Context, options: Options) -> None:
    """Write in 16 bits what may be. Raises UsageError where the target computes hardly anything in them."""
    narrow = NARROW[options.get("to", "fp16")]
    blocked = BLOCKED.difference(options.get("allow", ())).union(options.get("block", ()))
    asked = Asked(narrow, context.target, blocked, options.get("exclude", ()))
    lacking = lacks(asked, "MatMul", "")
    if lacking:
        raise UsageError(f"cast: {lacking}, nor much else: cast:to=bf16 is for --target cuda")
    check_names(context.model, asked.exclude)
    reasons = _planned(context, asked)
    writer = Writer(context, narrow, options.get("floor"))
    for node, reason in reasons.items():
        if not reason and not writer.write(node):
            reasons[node] = "it was undone: see what was rolled back"
    for node, reason in reasons.items():
        if reason:
            label = f"{node.op} {node.name or node.outputs[0].name}"
            context.refuse(Refusal(RULE, label, label, 1, reason))
    CLEAN.run(context, {})
    _tell(context, reasons, narrow)


def _planned(context: Context, asked: Asked) -> dict[Node, str]:
    """What becomes narrow, by its constants, and by its activations where there is calibration data."""

    @cache
    def constants_fit(tensor: Tensor) -> str:
        return constant_unfit(tensor, asked.narrow)

    first = plan(context.model, context.shapes, asked, constants_fit)
    if context.calibration is None:
        return first
    tensors = floats([node for node, reason in first.items() if not reason], context.shapes)
    found = ranges(context.model, context.calibration, tensors, samples=SAMPLES, seed=context.seed)
    reach = {tensor: max(-edges.low, edges.high) for tensor, edges in found.ranges.items()}

    def fits(tensor: Tensor) -> str:
        if reach.get(tensor, 0.0) * ROOM > asked.narrow.largest:
            return (
                f"{tensor.name} reaches {reach[tensor]:.3g} on the calibration data, too much for {asked.narrow.text}"
            )
        return constants_fit(tensor)

    return plan(context.model, context.shapes, asked, fits)


def _tell(context: Context, reasons: dict[Node, str], narrow: Narrow) -> None:
    """A table of what stayed float, and a word on where that is fast."""
    stayed = Counter((node.op, reason) for node, reason in reasons.items() if reason)
    if stayed:
        rows = tuple((op, count, reason) for (op, reason), count in stayed.most_common())
        context.tabulate(Table(f"operators that are not {narrow.text}", ("operator", "calls", "reason"), rows))
    if context.target.name in ("cpu", "ort"):
        context.note(SLOW)
