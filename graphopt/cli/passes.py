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
    known = registry.passes
    found: catalogue.Record
    if name is None:
        found = catalogue.listing(known.values(), DEFAULT)
    elif name in known:
        found = catalogue.describe(known[name])
    else:
        found = catalogue.rule_called(name, known.values())
    if json:
        emit(to_json(found))
    else:
        show(catalogue.layout(found))
