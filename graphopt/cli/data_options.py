"""The options that say how data is read: the same for every command that takes some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from graphopt.errors import UsageError
from graphopt.recipe.names import READ, SOURCE

if TYPE_CHECKING:
    from graphopt.data.interface import Interface
    from graphopt.data.source import Data
    from graphopt.ir.model import Model

PANEL = "Data"

Place = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DATA",
        help="FILE.npz, FILE.safetensors, a folder of them or of pictures, text, or module:function.",
        rich_help_panel=PANEL,
    ),
    SOURCE,
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What pictures become: raw (0 to 255), unit (0 to 1), signed (-1 to 1) or imagenet, with changes such as "
        "unit:mean=0.5:std=0.25:crop=0.875.",
        rich_help_panel=PANEL,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(metavar="ARRAY", help="The array that holds labels; by default label, labels or y.",
                 rich_help_panel=PANEL),
]  # fmt: skip
Labels = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file of labels: .npy, .npz, or a table, also of files and labels.",
                 rich_help_panel=PANEL),
    READ,
]  # fmt: skip
LabelOffset = Annotated[
    int, typer.Option(metavar="N", help="Added to every label; 1 if class 0 is background.", rich_help_panel=PANEL)
]
Classes = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Names of all classes, one in each line, for labels that are names.",
                 rich_help_panel=PANEL),
    READ,
]  # fmt: skip
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="INPUT=ARRAY", help="The array for an input of another name. May be repeated.",
                 rich_help_panel=PANEL),
]  # fmt: skip
Tokenizer = Annotated[
    Path | None, typer.Option(metavar="FILE", help="For text: a tokenizer.json.", rich_help_panel=PANEL), READ
]
Length = Annotated[
    int | None, typer.Option(metavar="N", help="For text: cut to so many tokens.", rich_help_panel=PANEL)
]
Nan = Annotated[
    Literal["refuse", "keep"], typer.Option(help="What to do with data that holds NaN.", rich_help_panel=PANEL)
]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How data is read; commands inherit it for the record of their options."""

    preprocess: Preprocess = None
    label: Label = None
    labels: Labels = None
    label_offset: LabelOffset = 0
    classes: Classes = None
    inputs: Inputs = None
    tokenizer: Tokenizer = None
    length: Length = None
    nan: Nan = "refuse"


def open_given(data: str, model: Model | Interface | str | Path, reading: Reading, recipe: Path | None = None) -> Data:
    """The data of a command. Raises UsageError where it does not fit the model.

    Modules may lie in the current folder, or beside the recipe.
    """
    from graphopt.cli.files import find_modules
    from graphopt.data.opening import open_data

    find_modules(recipe)
    return open_data(
        data,
        model,
        preprocess=reading.preprocess,
        label=reading.label,
        labels=reading.labels,
        label_offset=reading.label_offset,
        classes=reading.classes,
        inputs=dict(map(_pair, reading.inputs or ())),
        tokenizer=reading.tokenizer,
        length=reading.length,
        nan=reading.nan,
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, array = text.rpartition("=")
    if not (name and equals and array):
        raise UsageError(f"--input {text}: write the name of an input and that of an array, such as image=x")
    return name, array
