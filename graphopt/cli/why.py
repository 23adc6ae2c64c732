"""`graphopt why`: where a rule almost fired, and what was missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.cli import complete
from graphopt.cli.options import AllowOutside, Json, ModelFile, Plugins, TargetName, pipeline_option

if TYPE_CHECKING:
    from graphopt.pipeline.registry import Registry
    from graphopt.pipeline.text import Pipeline
    from graphopt.rewrite.rule import Rule

RuleName = Annotated[
    str, typer.Option("--rule", metavar="NAME", help="The rule to ask about.", autocompletion=complete.rules)
]
Passes = Annotated[
    str | None, pipeline_option("The passes to run first, none if empty; by default those that come before the rule.")
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="Show at most N reasons.")]


def why(
    model: ModelFile,
    rule: RuleName,
    passes: Passes = None,
    limit: Limit = 10,
    target: TargetName = "ort",
    plugins: Plugins = None,
    json: Json = False,
    allow_outside: AllowOutside = False,
) -> None:
    """Say where a rule fires in a model, and where and why it does not: the nearest misses first.

    Nothing is verified, and nothing is written.
    """
    from graphopt.cli.files import find_plugins
    from graphopt.cli.terminal import emit, show
    from graphopt.ir.reader import load
    from graphopt.ir.schema import checked
    from graphopt.pipeline.registry import Registry
    from graphopt.report.near import account, layout
    from graphopt.target import target_named

    where = target_named(target)
    registry = Registry(find_plugins(plugins))
    asked = registry.rule_named(rule)
    before = _before(registry, asked) if passes is None else _parsed(passes)
    steps = registry.resolve(before)
    record = account(checked(load(model, allow_outside=allow_outside)), asked, steps, str(before), where)
    if json:
        emit(record.to_json())
    else:
        show(layout(record, limit))


def _parsed(passes: str) -> Pipeline:
    """The pipeline that a text spells; the empty text is one that does nothing."""
    from graphopt.pipeline.text import Pipeline, parse

    return parse(passes) if passes.strip() else Pipeline(())


def _before(registry: Registry, rule: Rule) -> Pipeline:
    """The steps of the default pipeline up to the pass that has the rule; all of them if none has it."""
    from graphopt.api import DEFAULT
    from graphopt.pipeline.text import Pipeline, parse

    homes = {one.name for one in registry.passes.values() if rule in one.rules}
    whole = parse(DEFAULT)
    if not homes.intersection(step.name for step in whole.steps()):
        return whole
    steps = []
    for step in whole.steps():
        if step.name in homes:
            break
        steps.append(step)
    return Pipeline(tuple(steps))
