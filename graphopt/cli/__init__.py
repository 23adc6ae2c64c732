"""The command line: `graphopt optimize`, `inspect`, `passes`, `compare`, `why`. One file for each command."""

from graphopt.cli.app import main

__all__ = ["main"]
