"""`graphopt passes`: which passes and rules there are, from their own descriptions."""

from __future__ import annotations

from typing import Annotated

import typer

from graphopt.cli import complete
from graphopt.cli.options import Json, Plugins

Topic = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="A pass or a rule.", autocompletion=complete.topics, show_default=False),
]


def passes(name: Topic = None, plugins: Plugins = None, json: Json = False) -> None:
    """List the passes, or describe a pass with its options and rules, or a rule."""
    from graphopt.api import DEFAULT
    from graphopt.cli.files import find_plugins
    from graphopt.cli.terminal import emit, show
    from graphopt.pipeline.registry import Registry
    from graphopt.report import catalogue
    from graphopt.report.encode import to_json

    registry = Registry(find_plugins(plugins))
    listing = catalogue.listing(registry.passes.values(), DEFAULT)
    if name is None:
        record, layout = listing, catalogue.layout(listing)
    elif name in registry.passes:
        described = catalogue.describe(registry.passes[name])
        record, layout = described, catalogue.layout_pass(described)  # type: ignore[assignment]
    else:
        rule = catalogue.rule_called(name, registry.passes.values())
        record, layout = rule, catalogue.layout_rule(rule)  # type: ignore[assignment]
    if json:
        emit(to_json(record))
    else:
        show(layout)
