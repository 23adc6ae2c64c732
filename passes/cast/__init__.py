"""cast: the network in 16-bit floats, but for what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.pipeline.passes import Option, Options, Pass, names

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

TYPES = ("fp16", "bf16")
LEAST, MOST = -100, 200
"""Decibels."""


def _run(context: Context, options: Options) -> None:
    from passes.cast.run import cast

    cast(context, options)


def _type(text: str) -> str:
    if text not in TYPES:
        raise ValueError(f"expected {' or '.join(TYPES)}, found {text!r}")
    return text


def _number(text: str) -> float:
    value = float(text)
    if not LEAST <= value <= MOST:
        raise ValueError(f"expected a number of dB from {LEAST} to {MOST}, found {text!r}")
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
