"""prune: takes channels, heads and units out of a network."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from graphopt.pipeline.passes import Options, Pass
from passes.prune.settings import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphopt.ir.model import Model
    from graphopt.pipeline.context import Context
    from graphopt.pipeline.survey import Found

__all__ = ["PRUNE"]


def _run(context: Context, options: Options) -> None:
    from passes.prune.run import prune

    prune(context, options)


def _survey(model: Model) -> tuple[Sequence[Found], str]:
    from passes.prune.survey import survey

    return survey(model)


PRUNE = Pass(
    "prune",
    _run,
    inspect.cleandoc("""Take channels, attention heads and units out, with everything that belongs to them.

    With samples (--calibration) those go that the layers behind them can best make up for, from each group as much as
    the whole network bears, and every layer is fitted anew to what the original gave: no training, no labels. Without,
    those with the smallest weights go, as many of each group. With --max-drop and no target, as much goes as that
    allows."""),
    options=OPTIONS,
    safe=False,
    survey=_survey,
)
