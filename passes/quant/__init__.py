"""quant: numbers in fewer bits, where the target computes with them faster, or they take less room."""

from __future__ import annotations

from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Options, Pass
from passes.quant.options import OPTIONS, settings
from passes.quant.prepare import RULES


def _run(context: Context, options: Options) -> None:
    from passes.quant.choice import choose
    from passes.quant.schemes import SCHEMES

    asked = settings(options)
    scheme = asked.scheme
    if scheme == "auto":
        scheme, reason = choose(context, asked)
        context.note(f"quant chose {scheme}: {reason}")
    SCHEMES[scheme].run(context, asked)


QUANT = Pass(
    "quant",
    _run,
    """Store weights, and compute, in fewer bits.

Without options the scheme follows from the target, the network and whether there is calibration data. Integers go
exactly where the target has kernels for them, and every quantised layer is checked against the float one on what the
calibration data feeds it; the report says what stayed float, and why.""",
    RULES,
    OPTIONS,
    safe=False,
)
