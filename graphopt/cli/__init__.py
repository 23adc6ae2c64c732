"""The command line: `graphopt optimize`, `inspect`, `passes`, `compare`, `why`. One file for each command."""

from __future__ import annotations

import gc
from typing import NoReturn

SELDOM = 100_000
"""How many objects more than at the last collection there are before the next: modules are made of nearly as many, of
which none is garbage."""


def main() -> NoReturn:
    """Run the program with the arguments of this process, and end it with one of the exit codes."""
    gc.set_threshold(SELDOM)
    from graphopt.cli.app import main as run

    run()
