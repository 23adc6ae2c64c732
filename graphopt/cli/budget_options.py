"""The options that say what a result must keep within, and what it is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.cli.data_options import Reading, open_given
from graphopt.errors import UsageError
from graphopt.recipe.names import FUNCTION, SOURCE

if TYPE_CHECKING:
    from pathlib import Path

    from graphopt.budget import Budget
    from graphopt.data.source import Data

PANEL = "Budget"


def _metric_names() -> list[str]:
    from graphopt.measure.metrics import METRICS

    return list(METRICS)


Place = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="What MODEL and OUT are scored on: FILE.npz, a folder, module:function "
                 "and so on, see graphopt evaluate.", rich_help_panel=PANEL),
    SOURCE,
]  # fmt: skip
Calibration = Annotated[
    str | None,
    typer.Option("--calibration", metavar="DATA", help="What lossy passes may look at: samples like those of "
                 "--data, but others, whose labels do not matter; by default those of --data.", rich_help_panel=PANEL),
    SOURCE,
]  # fmt: skip
Metric = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="What they are scored by: top1, agreement, cosine and so on, see graphopt "
                 "evaluate.", autocompletion=_metric_names, rich_help_panel=PANEL),
    FUNCTION,
]  # fmt: skip
MaxDrop = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="How much worse the metric may get: 1%, 0.5 points, or a number on its own "
                 "scale.", rich_help_panel=PANEL),
]  # fmt: skip
MaxLatency = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="How long a run with one sample may take: 5ms.", rich_help_panel=PANEL),
]
MaxSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="How large OUT may be, with its external data: 8MB.", rich_help_panel=PANEL),
]
NeverSlower = Annotated[
    bool,
    typer.Option("--never-slower", help="Leave out passes that make the model slower.", rich_help_panel=PANEL),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="Write OUT even if it breaks a limit.", rich_help_panel=PANEL)
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Budgeting(Reading):
    """What the result must keep within; a command inherits it for the record of its options."""

    data: Place = None
    calibration: Calibration = None
    metric: Metric = None
    max_drop: MaxDrop = None
    max_latency: MaxLatency = None
    max_size: MaxSize = None
    never_slower: NeverSlower = False
    keep: Keep = False


def budget_given(options: Budgeting) -> Budget | None:
    """The budget of a command. Raises UsageError for amounts that make no sense."""
    from graphopt.budget import Budget

    budget = Budget(
        max_drop=options.max_drop,
        max_latency=options.max_latency,
        max_size=options.max_size,
        never_slower=options.never_slower,
    )
    if options.keep and not budget:
        raise UsageError("--keep is for results that break a limit, and there is none, such as --max-drop 1%")
    return budget or None


def data_given(
    given: str | None, options: Budgeting, model: Path, recipe: Path | None, *, allow_outside: bool
) -> Data | None:
    """The data that a command was given under one of its options. Raises UsageError where it does not fit the model."""
    from graphopt.ir.reader import load

    if given is None:
        return None
    return open_given(given, load(model, allow_outside=allow_outside), options, recipe)
