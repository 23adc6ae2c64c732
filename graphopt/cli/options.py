"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphopt.cli import complete

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="Add the passes of a Python module (its PASSES). May be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the inputs on which models are compared.")]
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let external data lie outside the model's folder.")
]


def pipeline_option(help: str) -> Any:  # noqa: A002 - typer's own name for it
    """The option --passes, with completion of names of passes and rules inside the text."""
    return typer.Option("--passes", metavar="TEXT", help=help, autocompletion=complete.pipelines, show_default=False)
