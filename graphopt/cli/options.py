"""Arguments and options that several commands have."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from graphopt.cli import complete
from graphopt.errors import UsageError
from graphopt.recipe.names import MODEL, MODULE, WRITTEN

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False), MODEL]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="Add the passes of a Python module (its PASSES). May be repeated."),
    MODULE,
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the inputs on which models are compared.")]
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let external data lie outside the model's folder.")
]
Dimensions = Annotated[
    list[str] | None,
    typer.Option("--dim", "--size", metavar="NAME=N", help="The size of a free dimension. May be repeated."),
]

ReportFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--report", metavar="FILE", help="Also write the report: FILE.html, .md, .json or .txt. May be repeated."
    ),
    WRITTEN,
]

Options = TypeVar("Options")


def sizes(dimensions: list[str] | None) -> dict[str, int]:
    """What --dim says. Raises UsageError."""
    return dict(map(_dimension, dimensions or ()))


def _dimension(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition("=")
    if not name or not number.isdecimal():
        raise UsageError(f"--dim {text}: write the name of a dimension and a number, such as batch=1")
    return name, int(number)


def taking(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Makes a command out of a function of one record: each field of the dataclass is an argument or option.

    options: a dataclass whose fields are annotated as typer's parameters are.
    """

    def decorate(run: Callable[[Options], None]) -> Callable[..., None]:
        def command(**given: Any) -> None:
            run(options(**given))

        hints = get_type_hints(options, include_extras=True)  # resolved where each field is declared, also in a base
        signature = inspect.signature(options)
        parameters = [one.replace(annotation=hints[name]) for name, one in signature.parameters.items()]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # what `inspect` asks for
        command.__annotations__ = {name: hints[name] for name in signature.parameters}
        command.__name__, command.__doc__ = run.__name__, run.__doc__
        return command

    return decorate


def pipeline_option(help: str) -> Any:  # noqa: A002 - typer's own name for it
    """The option --passes, with completion of names of passes and rules inside the text."""
    return typer.Option("--passes", metavar="TEXT", help=help, autocompletion=complete.pipelines, show_default=False)


def _target_names() -> list[str]:
    from graphopt.target import TARGETS

    return list(TARGETS)


TargetName = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Where the model is to run: ort (ONNX Runtime on CPU or CUDA), cpu, cuda, portable (ai.onnx only), "
        "tensorrt, or a CPU of a kind: x64-vnni, x64-avx2, x64-any, arm64.",
        autocompletion=_target_names,
    ),
]
