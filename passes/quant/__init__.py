"""quant: numbers in fewer bits, where the target computes with them faster, or they take less room."""

from __future__ import annotations

from dataclasses import replace

from graphopt.ir.model import Model
from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Options, Pass
from passes.quant.mean_pool import mean_pool
from passes.quant.options import OPTIONS, Existing, Settings, settings
from passes.quant.prepare import RULES
from passes.quant.schemes import SCHEMES
from passes.quant.silu import quick_gelu_apart, silu_of_pixels, swish_apart
from passes.quant.unfused_conv import unfused_conv

__all__ = ["QUANT", "mean_pool", "quick_gelu_apart", "silu_of_pixels", "swish_apart", "unfused_conv"]


def _requires(model: Model, options: Options) -> str | None:
    """What can be said before any work: a model that is quantised already needs a word about that."""
    if settings(options).existing is not Existing.REFUSE:
        return None
    from passes.quant.existing import quantised

    found = quantised(model)
    if not found:
        return None
    named = ", ".join(f"{count} {op}" for op, count in sorted(found.items()))
    return (
        f"the model is quantised already ({named}): say what becomes of that, quant:existing=keep (its grids stay, and "
        "get integer kernels), requantise, dequantise, or leave (quantise only the rest)"
    )


def _run(context: Context, options: Options) -> None:
    asked = settings(options)
    if asked.existing in (Existing.REQUANTISE, Existing.DEQUANTISE):
        from passes.quant.existing import lift

        lift(context)
    if asked.existing is Existing.DEQUANTISE:
        return
    scheme = _scheme(context, asked)
    if scheme is not None:
        SCHEMES[scheme].run(context, asked if scheme == asked.scheme else replace(asked, scheme=scheme))


def _scheme(context: Context, asked: Settings) -> str | None:
    """The scheme that was asked for, or that suits."""
    from passes.quant.choice import choose

    if asked.existing is Existing.KEEP:
        return "static"
    if asked.scheme != "auto":
        return asked.scheme
    scheme, reason = choose(context)
    context.note(f"quant chose {scheme}: {reason}" if scheme else f"quant leaves the model as it is: {reason}")
    return scheme


QUANT = Pass(
    "quant",
    _run,
    f"""Store weights, and compute, in fewer bits.

Without options the scheme follows from the target, the network and whether there is calibration data. Integers go
exactly where the target has kernels for them, and every quantised layer is checked against the float one on what the
calibration data feeds it; the report says what stayed float, and why.

Schemes: {", ".join(SCHEMES)}.""",
    (*RULES, quick_gelu_apart, swish_apart, silu_of_pixels),
    OPTIONS,
    safe=False,
    native=True,
    requires=_requires,
)
