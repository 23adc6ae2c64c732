"""`graphopt inspect`: what a model consists of, and what passes would find in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphopt.cli.options import AllowOutside, Dimensions, Json, ModelFile, Plugins, pipeline_option, sizes
from graphopt.errors import GraphoptError, UsageError

if TYPE_CHECKING:
    from graphopt.report.inspection import Findings

Passes = Annotated[str | None, pipeline_option("The passes to try; by default those of optimize.")]
NoPasses = Annotated[bool, typer.Option("--no-passes", help="Try no passes.")]
Target = Annotated[
    str | None, typer.Option("--target", metavar="NAME", help="Also tell what has no kernel there: ort, cpu, cuda.")
]
Groups = Annotated[
    bool, typer.Option("--groups", help="Show what can be pruned: groups, their members, and what pins the others.")
]


def inspect(
    model: ModelFile,
    passes: Passes = None,
    no_passes: NoPasses = False,
    dimensions: Dimensions = None,
    target: Target = None,
    groups: Groups = False,
    plugins: Plugins = None,
    json: Json = False,
    allow_outside: AllowOutside = False,
) -> None:
    """Show operators, parameters, cost and interface of a model, and what passes would find.

    Passes are tried without verifying anything, and nothing is written.
    """
    from dataclasses import replace

    from graphopt.cli.files import find_plugins
    from graphopt.cli.terminal import emit, show
    from graphopt.ir.reader import load
    from graphopt.report.inspection import inspect as look
    from graphopt.report.inspection_text import layout
    from graphopt.target import target_named

    if groups:
        _groups(model, find_plugins(plugins), allow_outside=allow_outside, json=json)
        return
    where = None if target is None else target_named(target)
    record = look(load(model, allow_outside=allow_outside), sizes(dimensions), where)
    if not no_passes:
        options = {"target": target or "ort", "plugins": find_plugins(plugins), "allow_outside": allow_outside}
        record = replace(record, findings=_findings(model, passes, options))
    if json:
        emit(record.to_json())
    else:
        show(layout(record))


def _groups(model: Path, plugins: Sequence[str], *, allow_outside: bool, json: bool) -> None:
    """Show what passes could take out of the model."""
    from graphopt.cli.terminal import emit, show
    from graphopt.ir.reader import load
    from graphopt.pipeline.registry import Registry
    from graphopt.pipeline.survey import Survey
    from graphopt.report.encode import to_json
    from graphopt.report.survey_text import layout

    loaded = load(model, allow_outside=allow_outside)
    surveyed = [one.survey(loaded) for one in Registry(plugins).passes.values() if one.survey is not None]
    found = [group for groups, _ in surveyed for group in groups]
    note = " ".join(note for _, note in surveyed if note)
    record = Survey(str(model), tuple(sorted(found, key=lambda group: bool(group.pins))), note)
    if json:
        emit(to_json(record))
    else:
        show(layout(record))


def _findings(model: Path, passes: str | None, options: dict[str, Any]) -> Findings:
    """What a dry run finds. Raises UsageError for passes that do not exist; other failures are findings."""
    from graphopt.api import DEFAULT, optimize
    from graphopt.pipeline.level import Level
    from graphopt.report.inspection import Findings

    try:
        report = optimize(model, passes=passes, verify=Level.OFF, **options).report
    except UsageError:
        raise
    except GraphoptError as error:
        return Findings(passes or DEFAULT, problem=str(error))
    return Findings(report.pipeline, report.after.nodes, report.after.weight_bytes, report.hits)
