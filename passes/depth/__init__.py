"""depth: takes whole residual blocks out of a network."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from graphopt.pipeline.passes import Option, Options, Pass, names

if TYPE_CHECKING:
    from graphopt.ir.model import Model
    from graphopt.pipeline.context import Context

__all__ = ["DEPTH"]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"expected a whole number of at least 1, found {text}")
    return number


def _run(context: Context, options: Options) -> None:
    from passes.depth.drop import drop

    drop(context, options)


def _missing(_model: Model, options: Options) -> str | None:
    return None if "blocks" in options else "say how many blocks go: depth:blocks=2"


DEPTH = Pass(
    "depth",
    _run,
    inspect.cleandoc("""Take whole residual blocks out: x + f(x) becomes x.

    Those go that change the least, as measured on samples (--calibration): the square of f(x) against that of
    x + f(x). A block is named by its Add."""),
    options=(
        Option("blocks", _positive, "how many blocks go"),
        Option("only", names, "take only blocks of such names: layer4*+*ffn*"),
        Option("keep", names, "leave blocks of such names"),
        Option("samples", _positive, "measure on so many samples at most; by default 128"),
    ),
    requires=_missing,
    safe=False,
)
