"""cast: the network in 16-bit floats, but for what cannot be."""

from __future__ import annotations

from collections import Counter
from functools import cache

from graphopt.calibration.ranges import ranges
from graphopt.errors import UsageError
from graphopt.ir.types import Node, Tensor
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Table
from graphopt.pipeline.passes import Option, Options, Pass, check_names, names
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


def _run(context: Context, options: Options) -> None:
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


def _type(text: str) -> str:
    if text not in NARROW:
        raise ValueError(f"expected {' or '.join(NARROW)}, found {text!r}")
    return text


def _number(text: str) -> float:
    value = float(text)
    if not -100 <= value <= 200:  # noqa: PLR2004 - dB
        raise ValueError(f"expected a number of dB from -100 to 200, found {text!r}")
    return value


CAST = Pass(
    "cast",
    _run,
    """Compute in 16-bit floats (`cast:to=fp16`, `cast:to=bf16`); inputs and outputs of the model keep their types.

Left in float are operators on a block list, those that the type or the target lacks, constants beyond the type's range
or too small for it, activations that come near its end on the calibration data, and what only moves data between such.
Each call is checked on its own; Casts that meet cancel.""",
    options=(
        Option("to", _type, "fp16 (unless said) or bf16"),
        Option("block", names, "operators that stay float besides the usual ones, joined with +"),
        Option("allow", names, "operators that need not stay float, joined with +"),
        Option("exclude", names, "calls that stay float, by the names of their nodes or outputs"),
        Option("floor", _number, "a call with less signal-to-noise, in dB, stays float; 40 for fp16, 25 for bf16"),
    ),
    safe=False,
)
