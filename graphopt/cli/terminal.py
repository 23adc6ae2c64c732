"""Where words go: results to the standard output, everything else to the standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 100
"""Columns of what goes to no terminal, unless COLUMNS says otherwise."""


def console(*, stderr: bool = False) -> Console:
    """A console for this process's output or error stream, as it is now. Names are printed as they are: no markup."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made


def show(what: RenderableType) -> None:
    """Print a result."""
    from graphopt.report.style import plain

    out = console()
    if out.is_terminal:
        out.print(what)
    else:
        emit(plain(what, out.width))


def emit(text: str) -> None:
    """Print a result for programs, exactly as it is."""
    with read_or_not():
        print(text, flush=True)  # noqa: T201 - what the command is for


@contextmanager
def read_or_not() -> Iterator[None]:
    """Whoever reads the output may go away, as `head` does: what is left of it goes nowhere, which is no error."""
    try:
        yield
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Send what is still to be written to the standard output nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def complain(message: str) -> None:
    """Print why something was not done, or not wholly."""
    from rich.text import Text

    from graphopt.report.style import shown

    text = Text.assemble(("graphopt: ", "bold red"), shown(message, lines=True))
    console(stderr=True).print(text, soft_wrap=True)
